import { setImmediate } from "node:timers/promises";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { looksLikeBzip2 } from "./archive-magic.ts";
import { blockCrc, bzip2Block, newBlockSpace, type BlockSpace } from "./bzip2-block.ts";
import { compressedPart, moreCompressed } from "./compressed-part.ts";
import { MsbBits } from "./msb-bits.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * bzip2 (there is no specification but the program's source and its many
 * descriptions). A file is one stream or several, whose contents follow each
 * other; pbzip2 makes one of each block:
 *
 *     "BZh" level("1" to "9": blocks of that many 100,000 bytes)
 *     block: 31 41 59 26 53 59, CRC-32(4), Burrows-Wheeler and Huffman data
 *     …
 *     17 72 45 38 50 90, CRC-32 of the blocks' CRCs(4), bits up to a whole byte
 *
 * Only the stream begins at a whole byte; blocks and the end stand at any bit.
 */
const BLOCK = [0x314159, 0x265359] as const;
const END = [0x177245, 0x385090] as const;
const BLOCK_MAGIC = 0x3141_5926_5359n;
const END_MAGIC = 0x1772_4538_5090n;
const MAX_STREAMS = 1_000_000;
const WINDOW = 1 << 20;

/** Decompresses every stream into `sink`, checking each CRC; returns the size. Throws `input`, `limit`. */
export async function bunzip2(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const bits = new MsbBits(source, "bzip2");
  const space = newBlockSpace();
  for (let streams = 0; streams === 0 || startsStream(source, bits.byteOffset); streams++) {
    const at = bits.byteOffset;
    if (!startsStream(source, at)) throw bad(source, at, "no bzip2 stream");
    if (streams >= MAX_STREAMS) throw new BitforbitError("limit", `${source.name}: over ${MAX_STREAMS} bzip2 streams`);
    bits.take(24);
    await unpackStream(source, bits, (bits.take(8) - 0x30) * 100_000, { sink, guard, space });
    bits.align();
  }
  return guard.bytes;
}

function startsStream(source: ByteSource, offset: number): boolean {
  return offset + 10 <= source.size && looksLikeBzip2(source.read(offset, 5));
}

async function unpackStream(
  source: ByteSource,
  bits: MsbBits,
  blockSize: number,
  to: { sink: Sink; guard: InflationGuard; space: BlockSpace },
): Promise<void> {
  let combined = 0;
  for (;;) {
    const at = bits.byteOffset;
    const high = bits.take(24);
    const low = bits.take(24);
    const stated = bits.take(16) * 65_536 + bits.take(16);
    if (high === END[0] && low === END[1]) {
      if (combined !== stated) throw bad(source, at, "the blocks do not have the stated CRC-32");
      return;
    }
    if (high !== BLOCK[0] || low !== BLOCK[1]) throw bad(source, at, "neither a block nor the stream's end");
    let crc = 0xffff_ffff;
    bzip2Block(bits, blockSize, to.space, (chunk) => {
      crc = blockCrc(crc, chunk);
      to.guard.add(chunk.length);
      to.sink(chunk);
    });
    if (~crc >>> 0 !== stated) throw bad(source, at, "the block's content does not have the stated CRC-32");
    combined = (((combined << 1) | (combined >>> 31)) ^ stated) >>> 0;
    // A block takes tens of milliseconds: timers get their turn.
    await setImmediate();
  }
}

/** The streams' headers and ends as fields, what is between as one content. Throws `input`. */
export function* bzip2Parts(source: ByteSource): Generator<Part> {
  if (!startsStream(source, 0)) throw bad(source, 0, "no bzip2 stream");
  const ends = magics(source, END_MAGIC);
  let at = 0;
  for (let streams = 0; streams < MAX_STREAMS && startsStream(source, at); streams++) {
    const level = source.read(at + 3, 1)[0] ?? 0;
    yield derived("magic", at, 3);
    yield field("level", at + 3, 1, () => String.fromCharCode(level));
    const end = streamEnd(source, ends, at + 4);
    yield streams === 0 ? bzip2Content(source, at + 4, end.trailer) : moreCompressed("bunzip2", at + 4, end.trailer);
    yield derived("checksum", end.trailer, end.offset - end.trailer);
    at = end.offset;
  }
}

function bzip2Content(source: ByteSource, offset: number, end: number): Part {
  const run = (sink: Sink, limits: InflationLimits): Promise<number> => bunzip2(source, sink, limits);
  return compressedPart(source.name, offset, end, { name: "bunzip2", run }, { unit: "block", count: blockCount });
}

function blockCount(source: ByteSource): number {
  let count = 0;
  for (const _ of magics(source, BLOCK_MAGIC)) count++;
  return count;
}

/** Where the end of the stream begins (its first byte that is wholly its own) and where the stream ends. */
function streamEnd(source: ByteSource, ends: Iterator<number>, from: number): { trailer: number; offset: number } {
  for (let next = ends.next(); next.done !== true; next = ends.next()) {
    const trailer = Math.ceil(next.value / 8);
    const offset = Math.ceil((next.value + 80) / 8);
    if (trailer < from || offset > source.size) continue;
    // Chance makes the six bytes once in 2^48 bits; what stands behind tells.
    if (offset === source.size || startsStream(source, offset) || !hasMore(source, offset)) return { trailer, offset };
  }
  throw bad(source, source.size, "cut off before the stream's end");
}

/** Whether the stream may go on behind `offset`: a block or an end is found there. */
function hasMore(source: ByteSource, offset: number): boolean {
  return magics(source, END_MAGIC, offset).next().done !== true;
}

/**
 * Offsets in bits at which `magic`, six bytes long, stands. Whatever the bit
 * of the first byte that it begins at, its second and third byte in the file
 * are whole, and there are eight such pairs.
 */
function* magics(source: ByteSource, magic: bigint, from = 0): Generator<number> {
  const shifts = new Uint8Array(65_536);
  for (let shift = 0; shift < 8; shift++) {
    const pair = Number((magic >> BigInt(24 + shift)) & 0xffffn);
    shifts[pair] = (shifts[pair] ?? 0) | (1 << shift);
  }
  for (let at = from; at < source.size; at += WINDOW - 1) {
    const window = source.read(at, Math.min(WINDOW, source.size - at));
    let pair = window[0] ?? 0;
    for (let i = 1; i < window.length; i++) {
      pair = ((pair << 8) | (window[i] ?? 0)) & 0xffff;
      const possible = shifts[pair] ?? 0;
      if (possible === 0) continue;
      for (let shift = 0; shift < 8; shift++) {
        const bit = (at + i - 2) * 8 + shift;
        if ((possible & (1 << shift)) !== 0 && bit >= from * 8 && standsAt(source, bit, magic)) yield bit;
      }
    }
  }
}

function standsAt(source: ByteSource, bit: number, magic: bigint): boolean {
  const at = Math.floor(bit / 8);
  if (Math.ceil((bit + 48) / 8) > source.size) return false;
  let value = 0n;
  for (const byte of source.read(at, Math.min(7, source.size - at))) value = (value << 8n) | BigInt(byte);
  const read = Math.min(7, source.size - at) * 8;
  return ((value >> BigInt(read - (bit % 8) - 48)) & 0xffff_ffff_ffffn) === magic;
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: bzip2, offset ${offset}: ${what}`);
}
