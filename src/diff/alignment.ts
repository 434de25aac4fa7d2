import { type ByteSource, commonPrefix } from "../bytesource.ts";
import { rangeOf } from "./comparison.ts";
import type { Range } from "./difference.ts";

export interface RangePair {
  a: Range;
  b: Range;
}

/** Equal bytes between two differing ones that are not worth a range of their own. */
const GAP = 8;
const MAX_RANGES = 20_000;
/** Longer runs are compared place by place only: aligning them costs memory. */
const MAX_ALIGNED = 64 << 20;
/** Bytes of a block at least; larger inputs have larger blocks, so that there are not too many. */
const MIN_BLOCK = 32;
const MAX_BLOCKS = 1 << 19;
const MAX_CANDIDATES = 8;
const CHUNK = 1 << 20;

/**
 * Where two runs of bytes differ, which differ in their first byte and in
 * their last. Of equal length they are compared place by place; where that
 * finds most bytes changed, or the lengths differ, they are aligned, so that
 * one inserted byte does not count as a change of all that follow.
 */
export function alignedRanges(a: ByteSource, b: ByteSource): RangePair[] {
  const whole = [{ a: rangeOf(0, a.size), b: rangeOf(0, b.size) }];
  if (a.size === 0 || b.size === 0) return whole;
  const placed = a.size === b.size ? byPlace(a, b) : undefined;
  const changed = placed?.reduce((sum, pair) => sum + pair.a.length, 0) ?? Infinity;
  if (placed !== undefined && changed < a.size / 2) return placed;
  if (a.size > MAX_ALIGNED || b.size > MAX_ALIGNED) return placed ?? whole;
  const aligned = byContent(a.read(0, a.size), b.read(0, b.size));
  const cost = aligned.reduce((sum, pair) => sum + Math.max(pair.a.length, pair.b.length), 0);
  return placed !== undefined && changed <= cost ? placed : aligned;
}

function byPlace(a: ByteSource, b: ByteSource): RangePair[] {
  const starts: number[] = [];
  const ends: number[] = [];
  for (let offset = 0; offset < a.size; offset += CHUNK) {
    const length = Math.min(CHUNK, a.size - offset);
    collect(a.read(offset, length), b.read(offset, length), offset, starts, ends);
  }
  return starts.map((start, index) => {
    const range = rangeOf(start, (ends[index] ?? start) - start);
    return { a: range, b: { ...range } };
  });
}

function collect(left: Uint8Array, right: Uint8Array, base: number, starts: number[], ends: number[]): void {
  for (let at = 0; at < left.length; at++) {
    if (left[at] === right[at]) continue;
    const place = base + at;
    const end = ends.at(-1);
    if (end !== undefined && (place - end < GAP || ends.length >= MAX_RANGES)) ends[ends.length - 1] = place + 1;
    else {
      starts.push(place);
      ends.push(place + 1);
    }
  }
}

/**
 * Blocks of `a` are looked up by a rolling hash over `b`; each hit is widened
 * to both sides, and what lies between the hits differs. Greedy and in order:
 * not the shortest script there is, but one found in linear time.
 */
function byContent(a: Uint8Array, b: Uint8Array): RangePair[] {
  const ranges: RangePair[] = [];
  const blocks = new Blocks(a);
  const { size, power } = blocks;
  let doneA = 0;
  let doneB = 0;
  let at = 0;
  let hash = b.length >= size ? hashAt(b, 0, size) : 0;
  while (at + size <= b.length) {
    const match = blocks.find(hash, b, at, doneA);
    if (match === undefined) {
      if (at + size >= b.length) break;
      hash = (Math.imul(hash - Math.imul(b[at] ?? 0, power), PRIME) + (b[at + size] ?? 0)) | 0;
      at++;
      continue;
    }
    let startA = match;
    let startB = at;
    while (startA > doneA && startB > doneB && a[startA - 1] === b[startB - 1]) {
      startA--;
      startB--;
    }
    addRange(ranges, doneA, startA, doneB, startB);
    const same = size + commonPrefix(a.subarray(match + size), b.subarray(at + size));
    doneA = match + same;
    doneB = at + same;
    at = doneB;
    if (at + size <= b.length) hash = hashAt(b, at, size);
  }
  addRange(ranges, doneA, a.length, doneB, b.length);
  return ranges;
}

function addRange(ranges: RangePair[], fromA: number, toA: number, fromB: number, toB: number): void {
  if (fromA === toA && fromB === toB) return;
  const last = ranges.at(-1);
  const near = last !== undefined && fromA - (last.a.offset + last.a.length) < GAP;
  if (last !== undefined && (near || ranges.length >= MAX_RANGES)) {
    last.a.length = toA - last.a.offset;
    last.b.length = toB - last.b.offset;
    return;
  }
  ranges.push({ a: rangeOf(fromA, toA - fromA), b: rangeOf(fromB, toB - fromB) });
}

const PRIME = 0x01000193;

function hashAt(bytes: Uint8Array, at: number, size: number): number {
  let hash = 0;
  for (let index = at; index < at + size; index++) hash = (Math.imul(hash, PRIME) + (bytes[index] ?? 0)) | 0;
  return hash;
}

/** The blocks of some bytes by hash: chains in an array, since there may be half a million. */
class Blocks {
  readonly size: number;
  /** What a byte counts that leaves the rolling hash. */
  readonly power: number;
  readonly #bytes: Uint8Array;
  readonly #first = new Map<number, number>();
  readonly #next: Int32Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = Math.max(MIN_BLOCK, Math.ceil(bytes.length / MAX_BLOCKS));
    let power = 1;
    for (let index = 1; index < this.size; index++) power = Math.imul(power, PRIME);
    this.power = power;
    const count = Math.floor(bytes.length / this.size);
    this.#next = new Int32Array(count).fill(-1);
    // From the end, so that each chain begins with its first block.
    for (let block = count - 1; block >= 0; block--) {
      const hash = hashAt(bytes, block * this.size, this.size);
      this.#next[block] = this.#first.get(hash) ?? -1;
      this.#first.set(hash, block);
    }
  }

  /** Where a block stands, not before `from`, that is equal to what stands in `other` at `at`. */
  find(hash: number, other: Uint8Array, at: number, from: number): number | undefined {
    const first = this.#first.get(hash);
    if (first === undefined) return undefined;
    let block = first;
    // `from` never goes back: what lies before it is left out of the chain for good.
    while (block >= 0 && block * this.size < from) block = this.#next[block] ?? -1;
    if (block !== first) this.#first.set(hash, block);
    // Runs of zeros are a chain of the same block: only a few are tried.
    for (let tried = 0; block >= 0 && tried < MAX_CANDIDATES; block = this.#next[block] ?? -1) {
      tried++;
      const place = block * this.size;
      const here = this.#bytes.subarray(place, place + this.size);
      if (Buffer.compare(here, other.subarray(at, at + this.size)) === 0) return place;
    }
    return undefined;
  }
}
