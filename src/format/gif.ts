import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * GIF89a:
 *
 *     "GIF89a" width(2) height(2) flags(1) background(1) aspect(1) [colours]
 *     blocks: 0x21 label(1) sub-blocks, or 0x2c x y width height (2 each) flags(1) [colours] code size(1) sub-blocks
 *     0x3b
 *
 * Sub-blocks are length(1) data, until a length of 0. Images and extensions go
 * by what they are; the nth of a kind is the nth frame's.
 */
const MAX_BLOCKS = 100_000;
const MAX_SUB_BLOCKS = 4 << 20;

export function* gifParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < 13 || !/^GIF8[79]a/.test(showable(source.read(0, 6)))) {
    throw new BitforbitError("input", `${name}: GIF, offset 0: no GIF87a or GIF89a`);
  }
  yield field("version", 0, 6, () => showable(source.read(0, 6)));
  yield word(source, "width", 6);
  yield word(source, "height", 8);
  yield field("flags", 10, 1, () => `0x${hex(source.read(10, 1))}`);
  yield byte(source, "background", 11);
  yield byte(source, "aspect ratio", 12);
  let at = 13;
  const colours = coloursAfter(source, at, source.read(10, 1)[0] ?? 0);
  if (colours > 0) yield paletteOf(source, at, colours);
  at += colours;
  let frames = 0;
  for (let blocks = 0; at < source.size; blocks++) {
    if (blocks > MAX_BLOCKS) throw new BitforbitError("limit", `${name}: more than ${MAX_BLOCKS} blocks`);
    const kind = source.read(at, 1)[0];
    if (kind === 0x3b) {
      yield { key: "trailer", kind: "bytes", offset: at++, length: 1 };
      break;
    }
    const part =
      kind === 0x2c ? imagePart(source, at, ++frames) : kind === 0x21 ? extensionPart(source, at) : undefined;
    if (part === undefined) break;
    yield part;
    at += part.length;
  }
  if (at < source.size) yield { key: "after the end", kind: "content", offset: at, length: source.size - at };
}

function word(source: ByteSource, key: string, at: number): Part {
  return field(key, at, 2, () => String(Buffer.from(source.read(at, 2)).readUInt16LE(0)));
}

function byte(source: ByteSource, key: string, at: number): Part {
  return field(key, at, 1, () => String(source.read(at, 1)[0]));
}

function coloursAfter(source: ByteSource, at: number, flags: number): number {
  const length = (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1);
  return Math.min(length, source.size - at);
}

function paletteOf(source: ByteSource, offset: number, length: number): Part {
  return group("colours", offset, length, function* () {
    for (let at = offset; at + 3 <= offset + length; at += 3) {
      const here = at;
      yield field(`colour ${(at - offset) / 3}`, at, 3, () => `#${hex(source.read(here, 3))}`);
    }
  });
}

/** Where the sub-blocks end that begin at `from`: after the empty one, or at the end of the file. */
function subBlocksEnd(source: ByteSource, from: number): number {
  let at = from;
  for (let blocks = 0; at < source.size && blocks < MAX_SUB_BLOCKS; blocks++) {
    const length = source.read(at, 1)[0] ?? 0;
    at += 1 + length;
    if (length === 0) break;
  }
  return Math.min(at, source.size);
}

function imagePart(source: ByteSource, at: number, number: number): Part | undefined {
  if (at + 11 > source.size) return undefined;
  const flags = source.read(at + 9, 1)[0] ?? 0;
  const colours = coloursAfter(source, at + 10, flags);
  const data = at + 10 + colours;
  if (data >= source.size) return undefined;
  const end = subBlocksEnd(source, data + 1);
  return group(`image ${number}`, at, end - at, function* () {
    yield { key: "separator", kind: "bytes", offset: at, length: 1 };
    for (const [index, key] of ["x", "y", "width", "height"].entries()) yield word(source, key, at + 1 + index * 2);
    yield field("flags", at + 9, 1, () => `0x${hex(source.read(at + 9, 1))}`);
    if (colours > 0) yield paletteOf(source, at + 10, colours);
    yield byte(source, "code size", data);
    if (end > data + 1) yield { key: "pixels (LZW)", kind: "bytes", offset: data + 1, length: end - data - 1 };
  });
}

function extensionPart(source: ByteSource, at: number): Part | undefined {
  if (at + 3 > source.size) return undefined;
  const [, label = 0, first = 0] = source.read(at, 3);
  const end = subBlocksEnd(source, at + 2);
  const length = Math.min(first, source.size - at - 3);
  const application = label === 0xff ? ` ${showable(source.read(at + 3, length))}` : "";
  const key = ({ 0xf9: "graphic control", 0xfe: "comment", 0x01: "plain text", 0xff: "application" } as const)[label];
  return group(`${key ?? `extension 0x${label.toString(16)}`}${application}`, at, end - at, function* () {
    yield { key: "introducer", kind: "bytes", offset: at, length: 2 };
    if (label === 0xf9 && length === 4 && end - at === 8) yield* controlParts(source, at);
    else if (label === 0xfe) yield field("text", at + 2, end - at - 2, () => commentText(source, at + 2, end));
    else if (end > at + 2) yield { key: "data", kind: "bytes", offset: at + 2, length: end - at - 2 };
  });
}

function* controlParts(source: ByteSource, at: number): Generator<Part> {
  yield derived("length", at + 2, 1);
  yield field("flags", at + 3, 1, () => `0x${hex(source.read(at + 3, 1))}`);
  yield field(
    "delay",
    at + 4,
    2,
    () => `${Buffer.from(source.read(at + 4, 2)).readUInt16LE(0)} hundredths of a second`,
  );
  yield byte(source, "transparent colour", at + 6);
  yield { key: "end", kind: "padding", offset: at + 7, length: 1 };
}

function commentText(source: ByteSource, from: number, end: number): string {
  let text = "";
  for (let at = from; at < end && text.length < 300;) {
    const length = source.read(at, 1)[0] ?? 0;
    text += showable(source.read(at + 1, Math.min(length, end - at - 1)));
    at += 1 + length;
  }
  return text;
}
