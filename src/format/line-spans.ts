import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";

export interface LineSpan {
  offset: number;
  /** With what ends it: LF, or CR and LF. */
  length: number;
  /** Without what ends it. Shared with the source: copy what is kept. */
  bytes: Uint8Array;
}

const WINDOW = 256 << 10;
const MAX_LINE = 4 << 20;

/** The lines between `from` and `end`, read in windows. Throws `limit` for a line of more than 4 MiB. */
export function* lineSpans(source: ByteSource, from = 0, end: number = source.size): Generator<LineSpan> {
  let windowAt = from;
  let window = new Uint8Array(0);
  let at = from;
  while (at < end) {
    let feed = window.indexOf(0x0a, at - windowAt);
    if (feed < 0 && windowAt + window.length < end) {
      // The line goes on: a window that begins with it, larger each time.
      const wanted = at === windowAt ? Math.max(WINDOW, window.length * 2) : WINDOW;
      if (at === windowAt && window.length >= MAX_LINE) {
        throw new BitforbitError("limit", `${source.name}: a line of over ${MAX_LINE} bytes at offset ${at}`);
      }
      window = Uint8Array.from(source.read(at, Math.min(wanted, end - at)));
      windowAt = at;
      continue;
    }
    if (feed < 0) feed = window.length - 1;
    const line = window.subarray(at - windowAt, feed + 1);
    yield { offset: at, length: line.length, bytes: line.subarray(0, line.length - ending(line)) };
    at += line.length;
  }
}

function ending(line: Uint8Array): number {
  if (line.at(-1) !== 0x0a) return 0;
  return line.at(-2) === 0x0d ? 2 : 1;
}
