import { hex, showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inflatedContent } from "./inflated-content.ts";
import { derived, field, group, type Part } from "./part.ts";
import { COLOUR_TYPES, framePart, type PngFrame, type PngHeader } from "./png-pixels.ts";
import { shifted } from "./shifted.ts";
import { tiffParts } from "./tiff.ts";

/**
 * PNG (ISO/IEC 15948, W3C third edition) and APNG: a signature, then chunks of
 *
 *     length(4, big-endian) type(4) data crc32(4)
 *
 * A chunk is a group that goes by its type, texts by their keyword. All IDAT
 * chunks together are the pixels; the fdAT chunks after one fcTL are a frame's.
 */
const SIGNATURE = "89504e470d0a1a0a";
const MAX_CHUNKS = 1 << 20;
const MAX_KEYWORD = 79;

interface PngChunk {
  type: string;
  /** Of the length field. */
  offset: number;
  /** Of the data. */
  length: number;
}

export function* pngParts(source: ByteSource, name: string): Generator<Part> {
  if (source.size < 8 || hex(source.read(0, 8)) !== SIGNATURE) throw bad(name, 0, "no PNG signature");
  yield { key: "signature", kind: "bytes", offset: 0, length: 8 };
  const chunks = chunksOf(source, name);
  const header = headerOf(source, chunks[0], name);
  let frames = 0;
  for (let index = 0; index < chunks.length;) {
    const chunk = chunks[index];
    if (chunk === undefined) break;
    const { type } = chunk;
    let until = index + 1;
    if (type === "IDAT" || type === "fdAT") {
      while (chunks[until]?.type === type) until++;
      const run = chunks.slice(index, until);
      yield pixelsPart(source, run, frameOf(source, chunks[index - 1], header), type === "IDAT" ? 0 : frames);
    } else {
      if (type === "fcTL") frames++;
      yield chunkPart(source, chunk, frames);
    }
    index = until;
  }
  const end = chunks.reduce((_, { offset, length }) => offset + length + 12, 8);
  const rest = { offset: end, length: source.size - end };
  if (rest.length === 0) return;
  if (chunks.at(-1)?.type === "IEND") yield { key: "after the end", kind: "content", ...rest };
  else yield { key: "broken off", kind: "bytes", ...rest };
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: PNG, offset ${offset}: ${what}`);
}

/** Up to IEND, or to the last whole chunk. */
function chunksOf(source: ByteSource, name: string): PngChunk[] {
  const chunks: PngChunk[] = [];
  for (let at = 8; at + 12 <= source.size;) {
    const head = Buffer.from(source.read(at, 8));
    const type = head.toString("latin1", 4);
    const length = head.readUInt32BE(0);
    if (!/^[A-Za-z]{4}$/.test(type) || at + 12 + length > source.size) break;
    chunks.push({ type, offset: at, length });
    if (chunks.length > MAX_CHUNKS) throw new BitforbitError("limit", `${name}: more than ${MAX_CHUNKS} chunks`);
    at += 12 + length;
    if (type === "IEND") break;
  }
  return chunks;
}

function headerOf(source: ByteSource, chunk: PngChunk | undefined, name: string): PngHeader {
  if (chunk?.type !== "IHDR" || chunk.length !== 13) throw bad(name, 8, "no IHDR chunk of 13 bytes");
  const data = Buffer.from(source.read(chunk.offset + 8, 13));
  return {
    width: data.readUInt32BE(0),
    height: data.readUInt32BE(4),
    depth: data.readUInt8(8),
    colourType: data.readUInt8(9),
    interlaced: data.readUInt8(12) === 1,
  };
}

/** The size that a frame control chunk states right before the data; otherwise the image's. */
function frameOf(source: ByteSource, before: PngChunk | undefined, header: PngHeader): PngHeader {
  if (before?.type !== "fcTL" || before.length < 12) return header;
  const data = Buffer.from(source.read(before.offset + 8, 12));
  return { ...header, width: data.readUInt32BE(4), height: data.readUInt32BE(8) };
}

function pixelsPart(source: ByteSource, run: readonly PngChunk[], header: PngHeader, number: number): Part {
  const first = run[0]?.offset ?? 0;
  const end = run.reduce((_, { offset, length }) => offset + length + 12, first);
  const skipped = number === 0 ? 0 : 4;
  const data = run.map(({ offset, length }) => ({
    offset: offset + 8 + Math.min(skipped, length),
    length: Math.max(0, length - skipped),
  }));
  const frame: PngFrame = { header, data, source };
  const key = number === 0 ? "pixels" : `pixels of frame ${number}`;
  return group(key, first, end - first, () => dataParts(run, frame, skipped));
}

function* dataParts(run: readonly PngChunk[], frame: PngFrame, skipped: number): Generator<Part> {
  for (const [index, { offset, length }] of run.entries()) {
    yield derived("length", offset, 4);
    yield field("type", offset + 4, 4);
    if (skipped > 0 && length >= skipped) yield derived("sequence number", offset + 8, skipped);
    const data = frame.data[index] ?? { offset: offset + 8, length };
    yield index === 0 ? framePart(frame, data) : { key: "", kind: "stored", ...data };
    yield derived("crc", offset + 8 + length, 4);
  }
}

function chunkPart(source: ByteSource, chunk: PngChunk, frames: number): Part {
  const { offset, length, type } = chunk;
  const isText = type === "tEXt" || type === "zTXt" || type === "iTXt";
  const called = isText ? `text ${keywordOf(source, chunk)}` : type === "fcTL" ? `frame ${frames}` : `chunk ${type}`;
  return group(called, offset, length + 12, () => insideChunk(source, chunk));
}

function keywordOf(source: ByteSource, { offset, length }: PngChunk): string {
  const data = source.read(offset + 8, Math.min(length, MAX_KEYWORD + 1));
  const end = data.indexOf(0);
  return Buffer.from(end < 0 ? data : data.subarray(0, end)).toString("latin1");
}

function* insideChunk(source: ByteSource, { type, offset, length }: PngChunk): Generator<Part> {
  yield derived("length", offset, 4);
  yield field("type", offset + 4, 4, () => type);
  const at = offset + 8;
  const cut = CUTS[type];
  if (cut !== undefined) yield* cut(source, at, length);
  else if (length > 0) yield { key: "data", kind: "bytes", offset: at, length };
  yield derived("crc", at + length, 4);
}

type Cut = (source: ByteSource, at: number, length: number) => Iterable<Part>;

/** Numbers one after another: name and bytes of each; data of another length is bytes. */
function numbers(...layout: readonly [string, number, ((value: number) => string)?][]): Cut {
  return function* (source, at, length) {
    if (length !== layout.reduce((sum, [, size]) => sum + size, 0)) {
      yield { key: "data", kind: "bytes", offset: at, length };
      return;
    }
    let from = at;
    for (const [key, size, show = String] of layout) {
      const value = Buffer.from(source.read(from, size)).readUIntBE(0, size);
      yield field(key, from, size, () => show(value));
      from += size;
    }
  };
}

const UNIT = (unit: number): string => (unit === 1 ? "metre" : `unit ${unit}`);
const RATIO = (value: number): string => (value / 100000).toFixed(5);
const INTENTS = ["perceptual", "relative colorimetric", "saturation", "absolute colorimetric"];

const CUTS: Readonly<Record<string, Cut>> = {
  IHDR: numbers(
    ["width", 4],
    ["height", 4],
    ["bit depth", 1],
    ["colour type", 1, (type) => COLOUR_TYPES[type]?.name ?? String(type)],
    ["compression", 1],
    ["filter method", 1],
    ["interlace", 1, (kind) => ["none", "Adam7"][kind] ?? String(kind)],
  ),
  gAMA: numbers(["gamma", 4, RATIO]),
  cHRM: numbers(
    ["white x", 4, RATIO],
    ["white y", 4, RATIO],
    ["red x", 4, RATIO],
    ["red y", 4, RATIO],
    ["green x", 4, RATIO],
    ["green y", 4, RATIO],
    ["blue x", 4, RATIO],
    ["blue y", 4, RATIO],
  ),
  sRGB: numbers(["rendering intent", 1, (intent) => INTENTS[intent] ?? String(intent)]),
  pHYs: numbers(["pixels per unit, x", 4], ["pixels per unit, y", 4], ["unit", 1, UNIT]),
  tIME: timeParts,
  PLTE: paletteParts,
  acTL: numbers(["frames", 4], ["plays", 4, (plays) => (plays === 0 ? "without end" : String(plays))]),
  fcTL: numbers(
    ["sequence number", 4],
    ["width", 4],
    ["height", 4],
    ["x", 4],
    ["y", 4],
    ["delay numerator", 2],
    ["delay denominator", 2],
    ["dispose", 1],
    ["blend", 1],
  ),
  tEXt: textParts,
  zTXt: compressedTextParts,
  iTXt: internationalTextParts,
  iCCP: profileParts,
  eXIf: (source, at, length) => [
    group("EXIF", at, length, function* () {
      for (const part of tiffParts(partOf(source, at, length), "EXIF")) yield shifted(part, at);
    }),
  ],
};

function* timeParts(source: ByteSource, at: number, length: number): Generator<Part> {
  if (length !== 7) {
    yield { key: "data", kind: "bytes", offset: at, length };
    return;
  }
  const data = Buffer.from(source.read(at, 7));
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = data.subarray(2);
  yield field("mtime", at, 7, () =>
    String(Date.UTC(data.readUInt16BE(0), month - 1, day, hour, minute, second) / 1000),
  );
}

function* paletteParts(source: ByteSource, at: number, length: number): Generator<Part> {
  const count = Math.min(256, Math.floor(length / 3));
  for (let index = 0; index < count; index++) {
    const from = at + index * 3;
    yield field(`colour ${index}`, from, 3, () => `#${hex(source.read(from, 3))}`);
  }
  if (length > count * 3) yield { key: "data", kind: "bytes", offset: at + count * 3, length: length - count * 3 };
}

function* textParts(source: ByteSource, at: number, length: number): Generator<Part> {
  const keyword = keywordOf(source, { type: "tEXt", offset: at - 8, length });
  const head = Math.min(length, keyword.length + 1);
  yield field("keyword", at, head, () => keyword);
  yield textValue(source, at + head, length - head);
}

function textValue(source: ByteSource, offset: number, length: number): Part {
  if (length > 300) return { key: "text", kind: "content", offset, length };
  return field("text", offset, length, () => showable(source.read(offset, length)));
}

function* compressedTextParts(source: ByteSource, at: number, length: number): Generator<Part> {
  const keyword = keywordOf(source, { type: "zTXt", offset: at - 8, length });
  const head = Math.min(length, keyword.length + 1);
  yield field("keyword", at, head, () => keyword);
  if (head === length) return;
  yield field("compression", at + head, 1);
  yield inflatedContent(source, "text", at + head + 1, length - head - 1);
}

function* profileParts(source: ByteSource, at: number, length: number): Generator<Part> {
  const called = keywordOf(source, { type: "iCCP", offset: at - 8, length });
  const head = Math.min(length, called.length + 1);
  yield field("name", at, head, () => called);
  if (head === length) return;
  yield field("compression", at + head, 1);
  yield { ...inflatedContent(source, "profile", at + head + 1, length - head - 1), name: "profile.icc" };
}

function* internationalTextParts(source: ByteSource, at: number, length: number): Generator<Part> {
  const keyword = keywordOf(source, { type: "iTXt", offset: at - 8, length });
  let from = at + Math.min(length, keyword.length + 1);
  const end = at + length;
  yield field("keyword", at, from - at, () => keyword);
  if (end - from < 2) return;
  const compressed = source.read(from, 1)[0] === 1;
  yield field("compressed", from, 1, () => (compressed ? "yes" : "no"));
  yield field("compression", from + 1, 1);
  from += 2;
  for (const key of ["language", "translated keyword"]) {
    const rest = source.read(from, Math.min(end - from, 4096));
    const stop = rest.indexOf(0);
    const size = stop < 0 ? rest.length : stop + 1;
    const offset = from;
    yield field(key, offset, size, () => showable(source.read(offset, Math.max(0, size - 1))));
    from += size;
  }
  yield compressed ? inflatedContent(source, "text", from, end - from) : textValue(source, from, end - from);
}
