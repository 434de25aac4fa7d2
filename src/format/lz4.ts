import { setImmediate } from "node:timers/promises";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { compressedPart, moreCompressed } from "./compressed-part.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { lz4Block } from "./lz4-block.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * lz4's files (LZ4 Frame Format 1.6.4). Frames follow each other, and so do
 * their contents:
 *
 *     04 22 4d 18, flags(1), block size(1), [content size(8)] [dictionary(4)] header checksum(1)
 *     blocks: size(4, highest bit: stored as it is) data [checksum(4)]; a size of 0 ends them
 *     [checksum of the content(4)]
 *
 *     02 21 4c 18: the legacy frame, of which kernels are made: blocks of size(4) and data, each of 8 MB of content
 *     50 to 5f 2a 4d 18, size(4), data: to be skipped
 */
const FRAME = 0x184d2204;
const LEGACY = 0x184c2102;
const SKIPPED = 0x184d2a50;
const LEGACY_BLOCK = 8 << 20;
const HISTORY = 64 << 10;
const MAX_FRAMES = 1_000_000;

interface Frame {
  kind: "frame" | "legacy" | "skipped";
  offset: number;
  /** Where the blocks stand; of a skipped one, its data. */
  dataOffset: number;
  dataEnd: number;
  end: number;
  flags: number;
  blockSize: number;
  blocks: number;
}

/** Decompresses every frame into `sink`; returns the size. Throws `input`, `limit`. */
export async function unlz4(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  for (const frame of frames(source)) {
    if (frame.kind === "skipped") continue;
    await unpackFrame(source, frame, (chunk) => {
      guard.add(chunk.length);
      sink(chunk);
    });
  }
  return guard.bytes;
}

async function unpackFrame(source: ByteSource, frame: Frame, sink: Sink): Promise<void> {
  const independent = frame.kind === "legacy" || (frame.flags & 0x20) !== 0;
  const checksum = frame.kind === "frame" && (frame.flags & 0x10) !== 0 ? 4 : 0;
  // What came before, which blocks that depend on each other copy from, then the block.
  const space = new Uint8Array(HISTORY + frame.blockSize);
  let history = 0;
  for (let at = frame.dataOffset; at < frame.dataEnd;) {
    const word = uint32(source, at);
    const size = frame.kind === "legacy" ? word : word & 0x7fff_ffff;
    const data = source.read(at + 4, size);
    let length = size;
    if (frame.kind === "frame" && word >= 0x8000_0000) space.set(data, history);
    else length = lz4Block(data, space, history, frame.blockSize, (what) => bad(source, at + 4, what));
    if (length > 0) sink(space.slice(history, history + length));
    if (!independent) history = keepHistory(space, history + length);
    at += 4 + size + checksum;
    await setImmediate();
  }
}

/** Moves the last 64 KiB to the front; returns how many there are. */
function keepHistory(space: Uint8Array, filled: number): number {
  const kept = Math.min(HISTORY, filled);
  space.copyWithin(0, filled - kept, filled);
  return kept;
}

/** Frames with their headers' fields, the blocks of each as one content. Throws `input`, `limit`. */
export function* lz4Parts(source: ByteSource): Generator<Part> {
  let first = true;
  for (const frame of frames(source)) {
    const { offset, dataOffset, dataEnd, end } = frame;
    yield field("frame", offset, 4, () => frame.kind);
    if (frame.kind === "skipped") {
      yield derived("size", offset + 4, 4);
      yield { key: "skipped frame", kind: "content", offset: dataOffset, length: end - dataOffset };
      continue;
    }
    if (frame.kind === "frame") yield* headerParts(source, offset + 4, frame.flags);
    yield first
      ? compressedPart(
          source.name,
          dataOffset,
          dataEnd,
          { name: "unlz4", run: (sink, limits) => unlz4(source, sink, limits) },
          { unit: "block", count: blockCount },
        )
      : moreCompressed("unlz4", dataOffset, dataEnd);
    first = false;
    if (end > dataEnd) yield derived("end", dataEnd, 4);
    if (end > dataEnd + 4) yield derived("checksum", dataEnd + 4, 4);
  }
}

function* headerParts(source: ByteSource, offset: number, flags: number): Generator<Part> {
  yield field("flags", offset, 1, () => flagNames(flags));
  const block = source.read(offset + 1, 1)[0] ?? 0;
  yield field("block size", offset + 1, 1, () => String(1 << (8 + 2 * ((block >> 4) & 7))));
  let at = offset + 2;
  if ((flags & 8) !== 0) {
    yield derived("content size", at, 8);
    at += 8;
  }
  if ((flags & 1) !== 0) {
    const dictionary = uint32(source, at);
    yield field("dictionary", at, 4, () => `0x${dictionary.toString(16)}`);
    at += 4;
  }
  yield derived("header checksum", at, 1);
}

function flagNames(flags: number): string {
  const names = [
    `version ${flags >> 6}`,
    (flags & 0x20) === 0 ? "blocks dependent" : "blocks independent",
    ...((flags & 0x10) === 0 ? [] : ["block checksums"]),
    ...((flags & 8) === 0 ? [] : ["content size"]),
    ...((flags & 4) === 0 ? [] : ["content checksum"]),
    ...((flags & 2) === 0 ? [] : ["reserved"]),
    ...((flags & 1) === 0 ? [] : ["dictionary"]),
  ];
  return names.join(", ");
}

function blockCount(source: ByteSource): number {
  let count = 0;
  for (const frame of frames(source)) count += frame.blocks;
  return count;
}

/** The frames in order, up to bytes that begin none. Throws `input` for what is cut off. */
function* frames(source: ByteSource): Generator<Frame> {
  let at = 0;
  for (let count = 0; at + 4 <= source.size; count++) {
    if (count >= MAX_FRAMES) throw new BitforbitError("limit", `${source.name}: over ${MAX_FRAMES} lz4 frames`);
    const magic = uint32(source, at);
    const known = magic === FRAME || magic === LEGACY || (magic & 0xffff_fff0) >>> 0 === SKIPPED;
    if (!known && count > 0) return;
    if (!known) throw bad(source, at, "no lz4 frame");
    const frame =
      magic === FRAME ? frameAt(source, at) : magic === LEGACY ? legacyAt(source, at) : skippedAt(source, at);
    yield frame;
    at = frame.end;
  }
  if (at === 0) throw bad(source, 0, "no lz4 frame");
}

function frameAt(source: ByteSource, offset: number): Frame {
  need(source, offset, 7);
  const [flags = 0, block = 0] = source.read(offset + 4, 2);
  const code = (block >> 4) & 7;
  if (flags >> 6 !== 1) throw bad(source, offset + 4, `version ${flags >> 6}, 1 expected`);
  if (code < 4) throw bad(source, offset + 5, `block size ${code}, 4 to 7 expected`);
  const dataOffset = offset + 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4);
  const checksum = (flags & 0x10) === 0 ? 0 : 4;
  const blockSize = 1 << (8 + 2 * code);
  let at = dataOffset;
  let blocks = 0;
  for (; ; blocks++) {
    need(source, at, 4);
    const size = uint32(source, at) & 0x7fff_ffff;
    if (uint32(source, at) === 0) break;
    if (size > blockSize) throw bad(source, at, `a block of ${size} bytes, ${blockSize} at most`);
    need(source, at, 4 + size + checksum);
    at += 4 + size + checksum;
  }
  const end = at + 4 + ((flags & 4) === 0 ? 0 : 4);
  need(source, offset, end - offset);
  return { kind: "frame", offset, dataOffset, dataEnd: at, end, flags, blockSize, blocks };
}

/** Ends where the file does, or where another frame begins. */
function legacyAt(source: ByteSource, offset: number): Frame {
  let at = offset + 4;
  let blocks = 0;
  while (at + 4 <= source.size) {
    const size = uint32(source, at);
    // The largest that 8 MB can become; every magic number is larger.
    if (size > LEGACY_BLOCK + LEGACY_BLOCK / 255 + 16 || size === 0) break;
    need(source, at, 4 + size);
    at += 4 + size;
    blocks++;
  }
  return {
    kind: "legacy",
    offset,
    dataOffset: offset + 4,
    dataEnd: at,
    end: at,
    flags: 0,
    blockSize: LEGACY_BLOCK,
    blocks,
  };
}

function skippedAt(source: ByteSource, offset: number): Frame {
  need(source, offset, 8);
  const size = uint32(source, offset + 4);
  need(source, offset, 8 + size);
  const end = offset + 8 + size;
  return { kind: "skipped", offset, dataOffset: offset + 8, dataEnd: end, end, flags: 0, blockSize: 0, blocks: 0 };
}

function uint32(source: ByteSource, offset: number): number {
  const bytes = source.read(offset, 4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

function need(source: ByteSource, offset: number, length: number): void {
  if (offset + length > source.size) throw bad(source, offset, `cut off: ${length} bytes expected`);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: lz4, offset ${offset}: ${what}`);
}
