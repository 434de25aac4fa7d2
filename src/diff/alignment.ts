import type { ByteSource } from "../bytesource.ts";
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
const MAX_ALIGNED = 32 << 20;
const BLOCK = 32;
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
  const blocks = blocksOf(a);
  const power = powerOf(BLOCK - 1);
  let doneA = 0;
  let doneB = 0;
  let at = 0;
  let hash = b.length >= BLOCK ? hashAt(b, 0) : 0;
  while (at + BLOCK <= b.length) {
    const match = matchAt(a, b, at, blocks.get(hash), doneA);
    if (match === undefined) {
      if (at + BLOCK >= b.length) break;
      hash = (Math.imul(hash - Math.imul(b[at] ?? 0, power), PRIME) + (b[at + BLOCK] ?? 0)) | 0;
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
    doneA = match + BLOCK;
    doneB = at + BLOCK;
    while (doneA < a.length && doneB < b.length && a[doneA] === b[doneB]) {
      doneA++;
      doneB++;
    }
    at = doneB;
    if (at + BLOCK <= b.length) hash = hashAt(b, at);
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

function hashAt(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let index = at; index < at + BLOCK; index++) hash = (Math.imul(hash, PRIME) + (bytes[index] ?? 0)) | 0;
  return hash;
}

function powerOf(exponent: number): number {
  let power = 1;
  for (let index = 0; index < exponent; index++) power = Math.imul(power, PRIME);
  return power;
}

/** Places of blocks by hash, at most a few of each: runs of zeros would fill it with the same. */
function blocksOf(bytes: Uint8Array): Map<number, number[]> {
  const blocks = new Map<number, number[]>();
  for (let at = 0; at + BLOCK <= bytes.length; at += BLOCK) {
    const hash = hashAt(bytes, at);
    const places = blocks.get(hash);
    if (places === undefined) blocks.set(hash, [at]);
    else if (places.length < MAX_CANDIDATES) places.push(at);
  }
  return blocks;
}

function matchAt(
  a: Uint8Array,
  b: Uint8Array,
  at: number,
  places: readonly number[] | undefined,
  from: number,
): number | undefined {
  return places?.find(
    (place) => place >= from && Buffer.compare(a.subarray(place, place + BLOCK), b.subarray(at, at + BLOCK)) === 0,
  );
}
