import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { field, type Part } from "./part.ts";
import { unitOf, type Wide, wideEncoding } from "./wide-encoding.ts";

const CHUNK = 1 << 20;

/** One content, whose plain form is UTF-8; what is no character stands there as U+FFFD. */
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
