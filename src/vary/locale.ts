import { patternWatermark, textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";

/** Words of the world's locale that turn up where dates and numbers are written; glibc's own et_EE, but those that English has too. */
const WORDS: Readonly<Record<string, RegExp>> = {
  "et_EE.UTF-8":
    /(?<![\w\u0080-\u00ff])(?:jaan(?:uar)?|veebr(?:uar)?|m\u00c3\u00a4rts|aprill|juuni|juuli|oktoober|dets(?:ember)?|esmasp\u00c3\u00a4ev|teisip\u00c3\u00a4ev|kolmap\u00c3\u00a4ev|neljap\u00c3\u00a4ev|reede|laup\u00c3\u00a4ev|p\u00c3\u00bchap\u00c3\u00a4ev|kokku)(?![\w\u0080-\u00ff])/gi,
};

/**
 * LC_ALL: sorting (in Estonian z stands between s and t), letter case, the
 * decimal sign, month names. What was sorted leaves no watermark: the same
 * lines in another order point here or to `readdir-order`.
 */
export const locale: Variation = {
  name: "locale",
  how: "`LC_ALL` and `LANG`; the locale is compiled for the sandbox when the machine lacks it.",
  shows:
    "`et_EE`; Estonian names of months and days, `kokku` for `total`; lines sorted with z between s and t; `,` for `.`.",
  beyond: "What was only sorted bears no watermark: the same lines in another order point here or to `readdir-order`.",
  describe: (a, b) => against("locale", a.locale, b.locale),
  take: (world, { locale }) => ({ ...world, locale }),
  watermarks: (world) => {
    const words = WORDS[world.locale];
    if (words === undefined) return [];
    const bare = world.locale.split(".")[0] ?? world.locale;
    return [
      ...textWatermarks("locale", "locale", bare),
      patternWatermark("locale", "a word of the locale", words, "likely"),
    ];
  },
  remedy: "set LC_ALL=C.UTF-8 where the output is sorted or formatted (LC_ALL=C sort), or sort by bytes in code",
};
