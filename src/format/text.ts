import { utf8Text } from "../bytes.ts";

/**
 * True for bytes that people would call text: no NUL, and hardly a control
 * character besides tab, line feed, carriage return, form feed and escape.
 * Bytes that are not UTF-8 may still be text, of an older encoding.
 */
export function looksLikeText(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true;
  let odd = 0;
  for (const byte of bytes) {
    if (byte === 0) return false;
    if (byte < 0x20 && (byte < 0x09 || byte > 0x0d) && byte !== 0x1b) odd++;
  }
  if (utf8Text(bytes) !== undefined) return odd * 100 <= bytes.length;
  let high = 0;
  for (const byte of bytes) if (byte >= 0x80) high++;
  return odd === 0 && high * 4 <= bytes.length;
}

/** Where each line begins: after a line feed. The last line may have no end; there is no empty one after the last. */
export function lineStarts(bytes: Uint8Array): number[] {
  const starts: number[] = [];
  for (let at = 0; at < bytes.length;) {
    starts.push(at);
    const end = bytes.indexOf(0x0a, at);
    at = end < 0 ? bytes.length : end + 1;
  }
  return starts;
}

/**
 * A number for each line, the same for the same line; `known` is shared by the
 * sides that are compared. `anyEnding`: a carriage return before the end does not count.
 */
export function lineNumbers(
  bytes: Uint8Array,
  starts: readonly number[],
  known: Map<string, number>,
  anyEnding = false,
): Int32Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Int32Array.from(starts, (start, index) => {
    const text = buffer.toString("latin1", start, starts[index + 1] ?? bytes.length);
    const line = anyEnding && text.endsWith("\r\n") ? `${text.slice(0, -2)}\n` : text;
    const number = known.get(line) ?? known.size;
    known.set(line, number);
    return number;
  });
}

/** How the lines of a text end: each kind of end by how often it occurs, the most frequent first. */
export function lineEndings(bytes: Uint8Array): { end: "LF" | "CRLF" | "CR"; count: number }[] {
  const counts = { LF: 0, CRLF: 0, CR: 0 };
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0x0a) counts.LF++;
    else if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) {
      counts.CRLF++;
      at++;
    } else if (bytes[at] === 0x0d) counts.CR++;
  }
  return (["LF", "CRLF", "CR"] as const)
    .map((end) => ({ end, count: counts[end] }))
    .filter(({ count }) => count > 0)
    .toSorted((one, other) => other.count - one.count);
}
