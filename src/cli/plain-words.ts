/**
 * The words of a plain call, read without the parser of the command line, which
 * takes as long to load as two files to compare. Plain are calls of nothing but
 * what the verb's entry names, each option written out; help, errors,
 * `--name=value` and `--` are left to the parser. A test holds that both
 * understand the same.
 */
export interface PlainWords {
  args: string[];
  options: Readonly<Record<string, unknown>>;
}

/** What of a verb's entry says how its words are read. */
export interface Reads {
  /** "diff <a> <b>": the verb, then what must be there, then what may be (`[dir]`), once or several times (`[files...]`). */
  usage: string;
  /** "-o, --output <file>", "--exclude <glob...>", "--force". */
  options: readonly (readonly [flags: string, description: string])[];
}

interface Flag {
  key: string;
  takes: "nothing" | "a word" | "words";
  /** `--no-cache`: without it, `cache` is true. */
  denies: boolean;
}

/** Undefined when the words, without the verb, are not plain. */
export function plainWords({ usage, options: described }: Reads, words: readonly string[]): PlainWords | undefined {
  const known = new Map(described.flatMap(([flags]) => flagsOf(flags)));
  const args: string[] = [];
  const options: Record<string, unknown> = {};
  for (const { key, denies } of known.values()) if (denies) options[key] = true;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (!isOption(word)) {
      args.push(word);
      continue;
    }
    const flag = known.get(word);
    if (flag === undefined) return undefined;
    if (flag.takes === "nothing") {
      options[flag.key] = !flag.denies;
      continue;
    }
    const end = flag.takes === "words" ? endOfValues(words, at + 1) : Math.min(at + 2, words.length);
    const values = words.slice(at + 1, end);
    if (values.length === 0 || values.some(isOption)) return undefined;
    const before = options[flag.key];
    options[flag.key] =
      flag.takes === "words" ? [...(Array.isArray(before) ? (before as unknown[]) : []), ...values] : values[0];
    at = end - 1;
  }
  const places = usage.split(" ").slice(1);
  const needed = places.filter((place) => place.startsWith("<")).length;
  // The last place may take several: `[artifacts...]`.
  const most = places.at(-1)?.includes("...") === true ? Number.POSITIVE_INFINITY : places.length;
  return args.length < needed || args.length > most ? undefined : { args, options };
}

function isOption(word: string): boolean {
  return word.length > 1 && word.startsWith("-");
}

function endOfValues(words: readonly string[], from: number): number {
  const next = words.findIndex((word, at) => at >= from && isOption(word));
  return next < 0 ? words.length : next;
}

/** `-o, --output <file>`: both of its names, and the name of the option in camel case. */
function flagsOf(text: string): [name: string, flag: Flag][] {
  const found = /^(?:(-\w), )?--([a-z][a-z-]*)(?: <[^>]*?(\.\.\.)?>)?$/.exec(text);
  if (found === null) return [];
  const [, short, long = "", several] = found;
  const takes = several !== undefined ? "words" : text.endsWith(">") ? "a word" : "nothing";
  const denies = takes === "nothing" && long.startsWith("no-");
  const name = denies ? long.slice("no-".length) : long;
  const key = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const flag: Flag = { key, takes, denies };
  return [[`--${long}`, flag], ...(short === undefined ? [] : [[short, flag] satisfies [string, Flag]])];
}
