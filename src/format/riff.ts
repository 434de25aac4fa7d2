import { hex, showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";
import { shifted } from "./shifted.ts";
import { looksLikeTiff, tiffParts } from "./tiff.ts";

/**
 * RIFF, as WebP (RFC 9649), WAV and AVI have it:
 *
 *     "RIFF" length(4, little-endian) form(4), then chunks of name(4) length(4) data [0 to an even offset]
 *
 * LIST chunks, and ANMF of animated WebP, hold chunks of their own.
 */
const MAX_DEPTH = 8;
const MAX_CHUNKS = 1 << 20;

export function* riffParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < 12 || showable(source.read(0, 4)) !== "RIFF") {
    throw new BitforbitError("input", `${name}: RIFF, offset 0: no such header`);
  }
  const end = Math.min(source.size, 8 + uint32(source, 4));
  yield { key: "RIFF", kind: "bytes", offset: 0, length: 4 };
  yield derived("length", 4, 4);
  yield field("form", 8, 4, () => showable(source.read(8, 4)));
  if (end > 12) yield* chunkParts(source, 12, end, 0);
  const after = Math.max(end, 12);
  if (source.size > after) yield { key: "after the end", kind: "content", offset: after, length: source.size - after };
}

function uint32(source: ByteSource, at: number): number {
  return Buffer.from(source.read(at, 4)).readUInt32LE(0);
}

function* chunkParts(source: ByteSource, from: number, end: number, depth: number): Generator<Part> {
  let count = 0;
  for (let at = from; at + 8 <= end;) {
    if (++count > MAX_CHUNKS) throw new BitforbitError("limit", `${source.name}: more than ${MAX_CHUNKS} chunks`);
    const fourcc = showable(source.read(at, 4));
    const length = uint32(source, at + 4);
    if (at + 8 + length > end) return;
    const total = Math.min(8 + length + (length % 2), end - at);
    const here = at;
    const list = fourcc === "LIST" && length >= 4;
    const called = list ? `LIST ${showable(source.read(at + 8, 4))}` : `chunk ${fourcc.trim()}`;
    yield group(called, at, total, () => insideChunk(source, here, fourcc, length, total, depth));
    at += total;
  }
}

function* insideChunk(
  source: ByteSource,
  at: number,
  fourcc: string,
  length: number,
  total: number,
  depth: number,
): Generator<Part> {
  yield field("name", at, 4, () => fourcc);
  yield derived("length", at + 4, 4);
  const from = at + 8;
  const head = fourcc === "LIST" ? 4 : fourcc === "ANMF" ? 16 : 0;
  if (head > 0 && length >= head && depth < MAX_DEPTH) {
    yield { key: "header", kind: "bytes", offset: from, length: head };
    yield* chunkParts(source, from + head, from + length, depth + 1);
  } else if (length > 0) yield* dataParts(source, from, length, fourcc);
  if (total > 8 + length) yield { key: "padding", kind: "padding", offset: from + length, length: 1 };
}

function* dataParts(source: ByteSource, from: number, length: number, fourcc: string): Generator<Part> {
  const skipped = fourcc === "EXIF" && length > 6 && hex(source.read(from, 6)) === "457869660000" ? 6 : 0;
  if (fourcc === "EXIF" && length >= 8 + skipped && looksLikeTiff(source.read(from + skipped, 4))) {
    if (skipped > 0) yield field("identifier", from, skipped);
    const at = from + skipped;
    for (const part of tiffParts(partOf(source, at, length - skipped), source.name)) yield shifted(part, at);
  } else if (fourcc === "VP8X" && length === 10) {
    yield field("flags", from, 1, () => vp8xFlags(source.read(from, 1)[0] ?? 0));
    yield { key: "reserved", kind: "padding", offset: from + 1, length: 3 };
    for (const [index, key] of ["width", "height"].entries()) {
      const at = from + 4 + index * 3;
      yield field(key, at, 3, () => String(Buffer.from(source.read(at, 3)).readUIntLE(0, 3) + 1));
    }
  } else if (fourcc === "XMP " || fourcc === "ICCP") {
    yield { key: "", kind: "content", offset: from, length, name: fourcc === "ICCP" ? "profile.icc" : "metadata.xmp" };
  } else if (/^I[A-Z]{3}$/.test(fourcc) && length < 300) {
    yield field("text", from, length, () => showable(source.read(from, length)).replace(/\0+$/, ""));
  } else yield { key: "data", kind: "bytes", offset: from, length };
}

function vp8xFlags(flags: number): string {
  const names = ["", "animation", "XMP", "EXIF", "alpha", "ICC profile"];
  const set = names.filter((name, bit) => name !== "" && (flags & (1 << bit)) !== 0);
  return set.join(", ") || "none";
}
