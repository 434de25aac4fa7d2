import type { Dex, DexReader } from "./dex-file.ts";
import { quoted } from "./listing.ts";

/**
 * Values as DEX files encode them (Android, "Dalvik executable format",
 * encoded_value): a byte of type and size, then as many bytes as it says, least
 * significant first.
 */
const MAX_DEPTH = 32;
/** Characters of an array or annotation; hostile ones name a long string again and again. */
const MAX_TEXT = 2 << 20;

/** One value, at the reader; goes with the reader behind it. */
export function encodedValue(dex: Dex, reader: DexReader, depth = 0): string {
  if (depth > MAX_DEPTH) dex.file.fail(reader.at, "values within values too deep");
  const at = reader.at;
  const head = reader.u8();
  const [type, argument] = [head & 0x1f, head >> 5];
  if (type === 0x1c) return `{${encodedArray(dex, reader, depth + 1).join(", ")}}`;
  if (type === 0x1d) {
    const [name = "", ...elements] = encodedAnnotation(dex, reader, depth + 1);
    return `${name}(${elements.map((element) => element.trim()).join(", ")})`;
  }
  if (type === 0x1e) return "null";
  if (type === 0x1f) return argument === 1 ? "true" : "false";
  const size = argument + 1;
  const signed = number(dex, reader, size);
  const unsigned = Number(BigInt.asUintN(32, size < 4 ? BigInt.asUintN(size * 8, signed) : signed));
  switch (type) {
    case 0x00:
      return `${signed} (byte)`;
    case 0x02:
      return `${signed} (short)`;
    case 0x03:
      return `${quoted(String.fromCharCode(unsigned & 0xffff))} (char)`;
    case 0x04:
      return String(signed);
    case 0x06:
      return `${signed}l`;
    case 0x10:
    case 0x11:
      return real(signed, size, type === 0x10 ? 4 : 8);
    case 0x15:
      return `prototype ${dex.prototype(unsigned)}`;
    case 0x16:
      return `method handle ${dex.methodHandle(unsigned)}`;
    case 0x17:
      return quoted(dex.string(unsigned), 4000);
    case 0x18:
      return `type ${dex.type(unsigned)}`;
    case 0x19:
      return `field ${dex.field(unsigned)}`;
    case 0x1a:
      return `method ${dex.method(unsigned)}`;
    case 0x1b:
      return `enum ${dex.field(unsigned)}`;
  }
  return dex.file.fail(at, `a value of the type 0x${type.toString(16)}`);
}

/** A count, then as many values. */
export function encodedArray(dex: Dex, reader: DexReader, depth = 0): string[] {
  const values: string[] = [];
  let length = 0;
  for (let count = reader.uleb(); count > 0; count--) {
    const value = encodedValue(dex, reader, depth);
    values.push(value);
    if ((length += value.length + 2) > MAX_TEXT) dex.file.fail(reader.at, "an array too long to be told");
  }
  return values;
}

/** The type, then a line for each element. */
export function encodedAnnotation(dex: Dex, reader: DexReader, depth = 0): string[] {
  const lines = [`@${dex.type(reader.uleb())}`];
  let length = 0;
  for (let count = reader.uleb(); count > 0; count--) {
    const line = `  ${dex.name(reader.uleb())} = ${encodedValue(dex, reader, depth)}`;
    lines.push(line);
    if ((length += line.length) > MAX_TEXT) dex.file.fail(reader.at, "an annotation too long to be told");
  }
  return lines;
}

function number(dex: Dex, reader: DexReader, size: number): bigint {
  const at = reader.skip(size);
  let value = 0n;
  for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(dex.file.bytes[at + index] ?? 0);
  return BigInt.asIntN(size * 8, value);
}

/** Floating-point numbers leave zeros at their end away. */
function real(bits: bigint, size: number, width: 4 | 8): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, bits << BigInt(Math.max(0, 8 - size) * 8)));
  const value = width === 4 ? view.getFloat32(0) : view.getFloat64(0);
  return `${Object.is(value, -0) ? "-0" : value}${width === 4 ? "f" : "d"}`;
}
