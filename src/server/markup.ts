import { html, raw } from "hono/html";
import { neutralised } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

/** HTML that is safe to send: made by `markup` only. */
export type Markup = ReturnType<typeof raw>;
type Value = string | number | false | undefined | Markup | readonly (Markup | false | undefined)[];

/**
 * A template tag for HTML. Every string put into it is taken for hostile: what
 * could steer a terminal or reorder text is made visible, and `& < > " '` are
 * escaped, so it may stand in text and in quoted attributes (never in a script,
 * a style or an unquoted attribute; the pages have none).
 */
export function markup(strings: TemplateStringsArray, ...values: Value[]): Markup {
  const made = html(strings, ...values.map((value) => (typeof value === "string" ? neutralised(value) : value)));
  if (made instanceof Promise) throw new BitforbitError("input", "markup takes values, not promises of them");
  return made;
}

/** Text of our own that is HTML already: the style sheet. */
export const trusted: (text: string) => Markup = raw;

/** Characters that would be shown otherwise than they are: a command that holds one cannot be copied from a page. */
export function isPlain(text: string): boolean {
  return neutralised(text) === text && !/[\n\t\u200b-\u200d\u2028\u2029\ufeff]/u.test(text) && text.isWellFormed();
}

/** One word of a POSIX shell command, whatever it holds; a path that looks like an option gets `./`. */
export function shellWord(text: string): string {
  const safe = text.startsWith("-") ? `./${text}` : text;
  return /^[A-Za-z0-9_./:@%+,=-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`;
}
