import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { field, type Part } from "./part.ts";

/**
 * Text in UTF-16 or UTF-32 (Unicode, section 3.10), with a byte order mark or,
 * where most units are of ASCII, without. One content, whose plain form is
 * UTF-8; what is no character stands there as U+FFFD.
 */
export type Wide = "UTF-16LE" | "UTF-16BE" | "UTF-32LE" | "UTF-32BE";

const CHUNK = 1 << 20;
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

function unitOf(encoding: Wide): number {
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

export function wideTextParts(source: ByteSource, name: string): Part[] {
  const found = wideEncoding(source.read(0, Math.min(source.size, 4096)), source.size);
  if (found === undefined) throw new BitforbitError("input", `${name}: text, offset 0: neither UTF-16 nor UTF-32`);
  const { encoding, mark } = found;
  const end = mark + Math.floor((source.size - mark) / unitOf(encoding)) * unitOf(encoding);
  const parts: Part[] = mark === 0 ? [] : [field("byte order mark", 0, mark, () => encoding)];
  parts.push({
    key: "",
    kind: "content",
    offset: mark,
    length: end - mark,
    name,
    decode: {
      name: encoding,
      run: (sink) => {
        for (const chunk of plainText(source, mark, end, encoding)) sink(chunk);
        return Promise.resolve();
      },
    },
  });
  if (end < source.size) parts.push({ key: "half a unit", kind: "bytes", offset: end, length: source.size - end });
  return parts;
}

function* plainText(source: ByteSource, from: number, to: number, encoding: Wide): Generator<Uint8Array> {
  const decoder = encoding.startsWith("UTF-16")
    ? new TextDecoder(encoding.toLowerCase(), { ignoreBOM: true })
    : undefined;
  const little = encoding.endsWith("LE");
  for (let at = from; at < to; at += CHUNK) {
    const bytes = source.read(at, Math.min(CHUNK, to - at));
    const text = decoder === undefined ? utf32(bytes, little) : decoder.decode(bytes, { stream: at + CHUNK < to });
    yield new Uint8Array(Buffer.from(text));
  }
}

function utf32(bytes: Uint8Array, little: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const code = view.getUint32(at, little);
    text += String.fromCodePoint(code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code);
  }
  return text;
}
