/**
 * Text from strangers, made safe to show and honest: what steers a terminal,
 * reorders text, has no width or is no character is written as `\u{…}`. Shared
 * by the terminal view and the page of the report, so it imports nothing.
 */

// Controls, format characters (bidi, zero widths, soft hyphen, tags), line separators, fillers that look like nothing.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\p{Default_Ignorable_Code_Point}\u2800]/gu;

const escaped = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}}`;

/** One line, whatever the text: line ends are `↵`, tabs two blanks. */
export function visible(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return text.replaceAll("\n", "↵").replaceAll("\t", "  ").replace(UNSEEN, escaped);
}

/**
 * Two texts that are not the same, shown so that they do not look the same:
 * blanks and tabs as `·` and `→`, and where that is not enough everything
 * beyond ASCII as `\u{…}`.
 */
export function distinct(a: string, b: string): { a: string; b: string } {
  if (a !== b && a.replace(/\s+/g, "") === b.replace(/\s+/g, "")) return { a: blanks(a), b: blanks(b) };
  const [left, right] = [visible(a), visible(b)];
  if (a === b || left.normalize("NFKC") !== right.normalize("NFKC")) return { a: left, b: right };
  return { a: spelled(left), b: spelled(right) };
}

const spelled = (text: string): string => text.replace(/[^\x20-\x7e]/gu, escaped);

function blanks(text: string): string {
  return visible(text.replaceAll("\t", "→").replaceAll("\r\n", "␍\n").replaceAll(" ", "·")).replace(
    /[\u00a0\u2000-\u200a\u202f\u205f\u3000]/gu,
    escaped,
  );
}

const WIDE =
  /[\u1100-\u115e\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns of a character on a terminal and in a monospaced font. */
export function columnsOf(character: string): number {
  if (character <= "\u02ff") return 1;
  return /\p{M}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
}

/** Columns of a text that `visible` made. */
export function textColumns(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += columnsOf(character);
  return columns;
}

/** Seconds since 1970 as a date, for fields that hold times; "" for whatever is none. */
export function dateOf(field: string | undefined, value: string | undefined): string {
  if (field === undefined || value === undefined || !/mtime$|^[ac]time$|[ _-]time$/.test(field)) return "";
  if (!/^-?\d{1,12}(?:\.\d+)?$/.test(value)) return "";
  const date = new Date(Math.floor(Number(value)) * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString().replace(/\.\d{3}Z$/, "Z");
}

const UNITS = [
  ["day", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;

/** Seconds from one time to another, in words: `1 h 5 min later`. */
export function elapsedWords(seconds: number): string {
  if (seconds === 0) return "the same time";
  let left = Math.abs(seconds);
  const words: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = unit === "s" ? Math.round(left * 1000) / 1000 : Math.floor(left / size);
    left -= count * size;
    if (count > 0 && words.length < 2) words.push(`${count} ${unit}${unit === "day" && count > 1 ? "s" : ""}`);
  }
  return `${words.join(" ")} ${seconds > 0 ? "later" : "earlier"}`;
}
