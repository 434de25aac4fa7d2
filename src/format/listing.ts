import { utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { Part } from "./part.ts";

/** Characters of one listing. */
const MAX_TEXT = 8 << 20;

/**
 * Bytes that people read as lines of text: a method's instructions, a table of
 * line numbers. The two sides' lines are compared; where they are equal though
 * the bytes are not, only the way of writing it down differs (indexes of a pool).
 */
export function listing(
  key: string,
  offset: number,
  length: number,
  name: string,
  lines: () => Iterable<string>,
): Part {
  return {
    key,
    kind: "content",
    offset,
    length,
    name: `${name}.txt`,
    decode: {
      name,
      run: async (sink, limits) => {
        let total = 0;
        for (const line of lines()) {
          total += line.length + 1;
          if (total > Math.min(MAX_TEXT, limits.maxBytes)) {
            throw new BitforbitError("limit", `${key}: a listing of more than ${MAX_TEXT} characters`);
          }
          sink(utf8(`${line}\n`));
        }
      },
    },
  };
}

/** Text of a constant for a listing: quoted, control characters escaped, at most `most` characters. */
export function quoted(text: string, most = 400): string {
  const cut = text.length > most ? text.slice(0, most) : text;
  return `${JSON.stringify(cut)}${cut.length < text.length ? `… (${text.length} characters)` : ""}`;
}
