import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * BMP: "BM" size(4) reserved(4) offset of the pixels(4), then an information
 * header that begins with its own length; all little-endian.
 */
const BMP_FIELDS: readonly (readonly [string, number, number, boolean])[] = [
  ["width", 18, 4, false],
  ["height", 22, 4, false],
  ["planes", 26, 2, false],
  ["bits per pixel", 28, 2, false],
  ["compression", 30, 4, false],
  ["size of the pixels", 34, 4, true],
  ["pixels per metre, x", 38, 4, false],
  ["pixels per metre, y", 42, 4, false],
  ["colours", 46, 4, false],
  ["important colours", 50, 4, false],
];

export function* bmpParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < 54 || showable(source.read(0, 2)) !== "BM" || int(source, 14, 4) < 40) {
    throw new BitforbitError("input", `${name}: BMP, offset 0: no header of at least 54 bytes`);
  }
  yield { key: "magic", kind: "bytes", offset: 0, length: 2 };
  yield derived("size", 2, 4);
  yield { key: "reserved", kind: "padding", offset: 6, length: 4 };
  yield derived("offset", 10, 4);
  yield field("header length", 14, 4);
  for (const [key, at, length, follows] of BMP_FIELDS) {
    yield follows ? derived(key, at, length) : field(key, at, length, () => String(int(source, at, length)));
  }
  const pixels = Math.min(source.size, Math.max(54, int(source, 10, 4)));
  if (pixels > 54) yield { key: "colours and masks", kind: "bytes", offset: 54, length: pixels - 54 };
  if (pixels < source.size) yield { key: "pixels", kind: "bytes", offset: pixels, length: source.size - pixels };
}

function int(source: ByteSource, at: number, length: number): number {
  return Buffer.from(source.read(at, length)).readIntLE(0, length);
}

/** ICO and CUR: reserved(2) kind(2) count(2), entries of 16 bytes, images (PNG, or BMP without its file header). */
export function icoParts(source: ByteSource, name: string): Part[] {
  if (source.size < 6 || !/^00000[12]00$/.test(hex(source.read(0, 4)))) {
    throw new BitforbitError("input", `${name}: ICO, offset 0: no header of an icon or a cursor`);
  }
  const count = Buffer.from(source.read(4, 2)).readUInt16LE(0);
  if (6 + count * 16 > source.size) throw new BitforbitError("input", `${name}: ICO, offset 4: ${count} entries`);
  const parts: Part[] = [field("kind", 0, 4), derived("count", 4, 2)];
  for (let index = 0; index < count; index++) {
    const at = 6 + index * 16;
    const [width = 0, height = 0] = source.read(at, 2);
    const entry = Buffer.from(source.read(at, 16));
    const key = `image ${width || 256} × ${height || 256}, ${entry.readUInt16LE(6)} bits`;
    parts.push(
      group(`entry of ${key}`, at, 16, () => [
        field("size", at, 2),
        field("colours", at + 2, 6, () => hex(source.read(at + 2, 6))),
        derived("length", at + 8, 4),
        derived("offset", at + 12, 4),
      ]),
    );
    const offset = entry.readUInt32LE(12);
    const length = entry.readUInt32LE(8);
    if (length > 0) parts.push({ key, kind: "content", offset, length });
  }
  return inOrder(parts, 0, source.size);
}
