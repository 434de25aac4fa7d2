import type { ByteSource } from "../bytesource.ts";

/**
 * Text in UTF-16 or UTF-32 (Unicode, section 3.10), with a byte order mark or,
 * where most units are of ASCII, without. Apart from its parser, so that
 * telling it loads none.
 */
export type Wide = "UTF-16LE" | "UTF-16BE" | "UTF-32LE" | "UTF-32BE";

/** Units looked at where there is no mark, and how many of them must be of ASCII text. */
const LOOKED_AT = 1024;
const FEWEST = 8;

/** The encoding and how long its mark is; undefined for anything else. */
export function wideEncoding(start: Uint8Array, size: number): { encoding: Wide; mark: number } | undefined {
  const [one, two, three, four] = start;
  if (one === 0xff && two === 0xfe) {
    return three === 0 && four === 0 && size % 4 === 0
      ? { encoding: "UTF-32LE", mark: 4 }
      : { encoding: "UTF-16LE", mark: 2 };
  }
  if (one === 0xfe && two === 0xff) return { encoding: "UTF-16BE", mark: 2 };
  if (one === 0 && two === 0 && three === 0xfe && four === 0xff) return { encoding: "UTF-32BE", mark: 4 };
  for (const encoding of ["UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE"] as const) {
    if (isMostlyAscii(start, encoding) && size % unitOf(encoding) === 0) return { encoding, mark: 0 };
  }
  return undefined;
}

export function looksLikeWideText(start: Uint8Array, _name: string, { size }: ByteSource): boolean {
  return wideEncoding(start, size) !== undefined;
}

export function unitOf(encoding: Wide): number {
  return encoding.startsWith("UTF-32") ? 4 : 2;
}

/** Nine of ten units are printable ASCII or the ends of lines, and none is zero. */
function isMostlyAscii(start: Uint8Array, encoding: Wide): boolean {
  const size = unitOf(encoding);
  const low = encoding.endsWith("LE") ? 0 : size - 1;
  const count = Math.min(LOOKED_AT, Math.floor(start.length / size));
  let ascii = 0;
  for (let unit = 0; unit < count; unit++) {
    const bytes = start.subarray(unit * size, (unit + 1) * size);
    const byte = bytes[low] ?? 0;
    const high = bytes.reduce((sum, value) => sum + value, 0) - byte;
    if (high === 0 && byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
    if (high === 0 && byte < 0x7f) ascii++;
  }
  return count >= FEWEST && ascii * 10 >= count * 9;
}
