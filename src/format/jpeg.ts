import { hex, showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";
import { shifted } from "./shifted.ts";
import { tiffParts } from "./tiff.ts";

/**
 * JPEG (ITU-T T.81, annex B): segments of
 *
 *     0xff marker(1) length(2, big-endian, counting itself) data
 *
 * and after the start of a scan its entropy-coded bytes, in which 0xff is
 * followed by 0 or a restart marker. APPn segments go by their identifier.
 */
const MAX_SEGMENTS = 100_000;
const CHUNK = 64 << 10;
const FRAMES = "baseline,extended sequential,progressive,lossless".split(",");
const MARKERS: ReadonlyMap<number, string> = new Map([
  [0xc4, "Huffman tables"],
  [0xcc, "arithmetic conditioning"],
  [0xd8, "start of image"],
  [0xd9, "end of image"],
  [0xda, "start of scan"],
  [0xdb, "quantisation tables"],
  [0xdc, "number of lines"],
  [0xdd, "restart interval"],
  [0xfe, "comment"],
]);

export function* jpegParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < 4 || hex(source.read(0, 3)) !== "ffd8ff") {
    throw new BitforbitError("input", `${name}: JPEG, offset 0: no start of image`);
  }
  yield { key: "start of image", kind: "bytes", offset: 0, length: 2 };
  let at = 2;
  for (let segments = 0; at + 2 <= source.size; segments++) {
    if (segments > MAX_SEGMENTS) throw new BitforbitError("limit", `${name}: more than ${MAX_SEGMENTS} segments`);
    const [mark = 0, marker = 0] = source.read(at, 2);
    if (mark !== 0xff) break;
    if (marker === 0xff) {
      yield { key: "fill", kind: "padding", offset: at++, length: 1 };
      continue;
    }
    const length = isBare(marker) ? 0 : at + 4 <= source.size ? Buffer.from(source.read(at + 2, 2)).readUInt16BE(0) : 1;
    if (length === 1 || at + 2 + length > source.size) break;
    yield segmentPart(source, at, marker, length);
    at += 2 + length;
    if (marker === 0xd9) break;
    if (marker !== 0xda) continue;
    const end = scanEnd(source, at);
    if (end > at) yield { key: "scan", kind: "bytes", offset: at, length: end - at };
    at = end;
  }
  if (at < source.size) yield { key: "after the end", kind: "content", offset: at, length: source.size - at };
}

function isBare(marker: number): boolean {
  return marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd9);
}

/** The first marker that is neither a stuffed zero nor a restart. */
function scanEnd(source: ByteSource, from: number): number {
  for (let base = from; base < source.size; base += CHUNK) {
    const window = source.read(base, Math.min(CHUNK + 1, source.size - base));
    for (let at = window.indexOf(0xff); at >= 0 && at < CHUNK; at = window.indexOf(0xff, at + 1)) {
      const next = window[at + 1];
      if (next !== undefined && next !== 0 && !(next >= 0xd0 && next <= 0xd7)) return base + at;
    }
  }
  return source.size;
}

function segmentPart(source: ByteSource, at: number, marker: number, length: number): Part {
  const called = nameOf(source, at, marker, length);
  return group(called, at, 2 + length, () => segmentParts(source, at, marker, length, called));
}

function nameOf(source: ByteSource, at: number, marker: number, length: number): string {
  if (marker >= 0xe0 && marker <= 0xef) {
    const head = Buffer.from(source.read(at + 4, Math.max(0, Math.min(length - 2, 40)))).toString("latin1");
    const identifier = /^[\x20-\x7e]{2,}/.exec(head)?.[0] ?? "";
    return `APP${marker - 0xe0}${identifier === "" ? "" : ` ${identifier.replace(/\/$/, "")}`}`;
  }
  if (marker >= 0xc0 && marker <= 0xcf && !MARKERS.has(marker)) return "frame";
  return MARKERS.get(marker) ?? `segment 0x${marker.toString(16)}`;
}

function* segmentParts(
  source: ByteSource,
  at: number,
  marker: number,
  length: number,
  called: string,
): Generator<Part> {
  yield field("marker", at, 2, () => (called === "frame" ? (FRAMES[marker & 3] ?? "") : `0x${marker.toString(16)}`));
  if (length === 0) return;
  yield derived("length", at + 2, 2);
  const from = at + 4;
  const size = length - 2;
  if (size === 0) return;
  if (called.startsWith("APP0 JFIF") && size >= 14) yield* jfifParts(source, from, size);
  else if (called === "APP1 Exif" && size > 14) yield* exifParts(source, from, size);
  else if (called.startsWith("APP1 http://ns.adobe.com/xap") || called === "APP2 ICC_PROFILE") {
    yield* identifiedParts(source, from, size, called.endsWith("ICC_PROFILE") ? 14 : 0);
  } else if (marker === 0xfe) yield textPart(source, from, size);
  else if (marker === 0xdb) yield* quantisationParts(source, from, size);
  else if (marker === 0xc4) yield* huffmanParts(source, from, size);
  else if (called === "frame" && size >= 6) yield* frameParts(source, from, size);
  else yield { key: "data", kind: "bytes", offset: from, length: size };
}

function textPart(source: ByteSource, offset: number, length: number): Part {
  if (length > 300) return { key: "text", kind: "content", offset, length };
  return field("text", offset, length, () => showable(source.read(offset, length)));
}

function numberField(source: ByteSource, key: string, offset: number, length: number): Part {
  return field(key, offset, length, () => String(Buffer.from(source.read(offset, length)).readUIntBE(0, length)));
}

function* jfifParts(source: ByteSource, from: number, size: number): Generator<Part> {
  yield field("identifier", from, 5);
  yield field("version", from + 5, 2, () => [...source.read(from + 5, 2)].join("."));
  yield numberField(source, "density unit", from + 7, 1);
  yield numberField(source, "density x", from + 8, 2);
  yield numberField(source, "density y", from + 10, 2);
  yield { key: "thumbnail", kind: "bytes", offset: from + 12, length: size - 12 };
}

/** "Exif", two zeros, and a TIFF file. */
function* exifParts(source: ByteSource, from: number, size: number): Generator<Part> {
  yield field("identifier", from, 6);
  const inner = partOf(source, from + 6, size - 6);
  yield group("", from + 6, size - 6, function* () {
    for (const part of tiffParts(inner, source.name)) yield shifted(part, from + 6);
  });
}

/** A text that ends in a zero, or `fixed` bytes, and then what stands on its own. */
function* identifiedParts(source: ByteSource, from: number, size: number, fixed: number): Generator<Part> {
  const stop = source.read(from, Math.min(size, 64)).indexOf(0) + 1;
  const head = Math.min(size, fixed > 0 ? fixed : stop);
  if (head > 0) yield field("identifier", from, head);
  const name = fixed > 0 ? "profile.icc" : "metadata.xmp";
  if (size > head) yield { key: "", kind: "content", offset: from + head, length: size - head, name };
}

function* quantisationParts(source: ByteSource, from: number, size: number): Generator<Part> {
  for (let at = from; at < from + size;) {
    const head = source.read(at, 1)[0] ?? 0;
    const length = Math.min(1 + (head >> 4 === 0 ? 64 : 128), from + size - at);
    const start = at;
    yield field(`table ${head & 15}`, at, length, () => [...source.read(start + 1, length - 1)].join(" "));
    at += length;
  }
}

function* huffmanParts(source: ByteSource, from: number, size: number): Generator<Part> {
  for (let at = from; at < from + size;) {
    const head = source.read(at, 1)[0] ?? 0;
    const counts = source.read(at + 1, Math.min(16, from + size - at - 1));
    const length = Math.min(1 + counts.length + counts.reduce((sum, count) => sum + count, 0), from + size - at);
    yield { key: `${head >> 4 === 0 ? "DC" : "AC"} table ${head & 15}`, kind: "bytes", offset: at, length };
    at += length;
  }
}

function* frameParts(source: ByteSource, from: number, size: number): Generator<Part> {
  yield numberField(source, "precision", from, 1);
  yield numberField(source, "height", from + 1, 2);
  yield numberField(source, "width", from + 3, 2);
  yield derived("count", from + 5, 1);
  for (let at = from + 6; at + 3 <= from + size; at += 3) {
    const start = at;
    const [id = 0] = source.read(at, 1);
    yield field(`component ${id}`, at, 3, () => {
      const [, sampling = 0, table = 0] = source.read(start, 3);
      return `sampling ${sampling >> 4}×${sampling & 15}, table ${table}`;
    });
  }
}
