import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { lineSpans } from "./line-spans.ts";
import { field, type Part } from "./part.ts";

/**
 * Java's properties (java.util.Properties, "load"): a key, `=` or `:` or
 * blanks, a value; a backslash at a line's end makes it go on. `store` writes
 * a comment with the time.
 */
const MAX_VALUE = 8 << 20;
const SHOWN = 400;
/** As java.util.Date is written. */
const DATE = /^[#!](?:[A-Z][a-z]{2}) [A-Z][a-z]{2} \d{2} \d{2}:\d{2}:\d{2} \S+ \d{4}$/;

/** Each property by its key, comments, the time of writing. Throws `input` for control characters, `limit`. */
export function* propertiesParts(source: ByteSource): Generator<Part> {
  let start: number | undefined;
  let value = "";
  let end = 0;
  for (const { offset, length, bytes } of lineSpans(source)) {
    const text = showable(bytes);
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u0008\u000e-\u001f]/.test(text)) {
      throw new BitforbitError("input", `${source.name}: properties, offset ${offset}: a control character`);
    }
    end = offset + length;
    if (start === undefined && /^\s*(?:[#!]|$)/.test(text)) {
      const shown = text.trim();
      const key = shown === "" ? "blank line" : DATE.test(shown) ? "date" : "comment";
      yield field(key, offset, length, () => (shown === "" ? "empty" : shown.slice(1, SHOWN)));
      continue;
    }
    start ??= offset;
    value += text.replace(/^[ \t\f]+/, "");
    if (value.length > MAX_VALUE) throw new BitforbitError("limit", `${source.name}: a property of over 8 MiB`);
    if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) {
      value = value.slice(0, -1);
      continue;
    }
    yield propertyPart(value, start, end - start);
    start = undefined;
    value = "";
  }
  if (start !== undefined) yield propertyPart(value, start, end - start);
}

function propertyPart(line: string, offset: number, length: number): Part {
  const key = /^(?:\\.|[^\\=: \t\f])*/.exec(line)?.[0] ?? "";
  const value = line.slice(key.length).replace(/^[ \t\f]*[=:]?[ \t\f]*/, "");
  return field(unescaped(key).slice(0, 400) || "(empty)", offset, length, () => unescaped(value.slice(0, SHOWN)));
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", f: "\f" };

function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, code: string | undefined, character: string) =>
    code === undefined ? (ESCAPES[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
