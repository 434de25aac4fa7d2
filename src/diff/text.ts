import { diff as myers } from "fast-myers-diff";
import { showable } from "../bytes.ts";
import { type ByteSource, commonSuffix, firstDifference, partOf } from "../bytesource.ts";
import { lineNumbers, lineStarts, looksLikeText } from "../format/text.ts";
import { byteLeaves } from "./bytes.ts";
import { type Comparison, counted, MAX_EXCERPT, rangeOf, shortened } from "./comparison.ts";
import type { Leaf } from "./difference.ts";

/** Comparisons of lines after which the shortest script is given up. */
const MAX_COMPARED = 20_000_000;

/** True when both sides are text, and short enough to be compared line by line. */
export function areTexts(comparison: Comparison, a: ByteSource, b: ByteSource): boolean {
  const { maxText } = comparison.bounds;
  if (a.size > maxText || b.size > maxText) return false;
  // A quick look first: most binaries show themselves at once.
  if ([a, b].some((source) => source.read(0, Math.min(source.size, 4096)).includes(0))) return false;
  return looksLikeText(a.read(0, a.size)) && looksLikeText(b.read(0, b.size));
}

interface Middle {
  /** Offset in the file. */
  at: number;
  bytes: Uint8Array;
  starts: number[];
  numbers: Int32Array;
}

/** A leaf for each run of changed lines; one of the kind `order` when the same lines stand in another order. */
export function textLeaves(comparison: Comparison, a: ByteSource, b: ByteSource, path: string[]): Leaf[] {
  const first = firstDifference(a, b);
  if (first === undefined) return [];
  const from = lineStartBefore(a, first);
  const suffix = commonSuffix(a, b, Math.min(a.size, b.size) - first);
  const known = new Map<string, number>();
  const shared = suffix - restOfLine(a, b, suffix);
  const left = middleOf(a, from, a.size - shared, known);
  const right = middleOf(b, from, b.size - shared, known);
  if (sameLines(left, right))
    return [leafOf(comparison, left, right, [0, left.starts.length, 0, right.starts.length], path, "order")];
  const hunks = hunksOf(
    left,
    right,
    Math.min(comparison.bounds.maxRegions, comparison.bounds.maxLeaves - comparison.leaves),
  );
  return hunks.flatMap((hunk) => hunkLeaves(comparison, left, right, hunk, path));
}

function lineStartBefore(source: ByteSource, offset: number): number {
  const before = source.read(0, offset);
  return before.lastIndexOf(0x0a) + 1;
}

/** How much of the common end belongs to a line that began before it on one side at least. */
function restOfLine(a: ByteSource, b: ByteSource, suffix: number): number {
  const begins = (source: ByteSource): boolean =>
    suffix === source.size || source.read(source.size - suffix - 1, 1)[0] === 0x0a;
  if (begins(a) && begins(b)) return 0;
  const end = a.read(a.size - suffix, suffix).indexOf(0x0a);
  return end < 0 ? suffix : end + 1;
}

function middleOf(source: ByteSource, from: number, to: number, known: Map<string, number>): Middle {
  const bytes = source.read(from, Math.max(to - from, 0)).slice();
  const starts = lineStarts(bytes);
  return { at: from, bytes, starts, numbers: lineNumbers(bytes, starts, known) };
}

function sameLines(a: Middle, b: Middle): boolean {
  if (a.numbers.length !== b.numbers.length || a.bytes.length !== b.bytes.length) return false;
  const left = Int32Array.from(a.numbers).sort();
  const right = Int32Array.from(b.numbers).sort();
  return left.every((number, index) => number === right[index]);
}

type Hunk = readonly [number, number, number, number];

/** Runs of lines that differ: from and to in `a`, from and to in `b`; the last takes all beyond `most`. */
function hunksOf(a: Middle, b: Middle, most: number): Hunk[] {
  const whole: Hunk = [0, a.numbers.length, 0, b.numbers.length];
  if (a.numbers.length === 0 || b.numbers.length === 0) return [whole];
  let compared = 0;
  const hunks: Hunk[] = [];
  const equal = (i: number, j: number): boolean => {
    if (++compared > MAX_COMPARED) throw new TooFar();
    return a.numbers[i] === b.numbers[j];
  };
  try {
    for (const [fromA, toA, fromB, toB] of myers(a.numbers, b.numbers, equal)) {
      if (hunks.length + 1 >= Math.max(most, 1)) return [...hunks, [fromA, whole[1], fromB, whole[3]]];
      hunks.push([fromA, toA, fromB, toB]);
    }
  } catch (error) {
    if (error instanceof TooFar) return [whole];
    throw error;
  }
  return hunks;
}

class TooFar extends Error {}

function offsetOf(middle: Middle, line: number): number {
  return middle.starts[line] ?? middle.bytes.length;
}

/** Hunks too long to show are cut down to the bytes that differ in them. */
function hunkLeaves(comparison: Comparison, a: Middle, b: Middle, hunk: Hunk, path: string[]): Leaf[] {
  const lengthA = offsetOf(a, hunk[1]) - offsetOf(a, hunk[0]);
  const lengthB = offsetOf(b, hunk[3]) - offsetOf(b, hunk[2]);
  if (lengthA <= MAX_EXCERPT && lengthB <= MAX_EXCERPT) return [leafOf(comparison, a, b, hunk, path, "text")];
  const baseA = a.at + offsetOf(a, hunk[0]);
  const baseB = b.at + offsetOf(b, hunk[2]);
  const part = (middle: Middle, from: number, length: number): ByteSource =>
    partOf(
      { name: "text", size: middle.bytes.length, read: (at, count) => middle.bytes.subarray(at, at + count) },
      from,
      length,
    );
  return byteLeaves(comparison, part(a, baseA - a.at, lengthA), part(b, baseB - b.at, lengthB), path, {
    what: "text",
    baseA,
    baseB,
    note: "long lines",
  });
}

function leafOf(
  comparison: Comparison,
  a: Middle,
  b: Middle,
  hunk: Hunk,
  path: string[],
  what: "text" | "order",
): Leaf {
  const range = (middle: Middle, from: number, to: number): { offset: number; length: number } =>
    rangeOf(offsetOf(middle, from), offsetOf(middle, to) - offsetOf(middle, from));
  const rangeA = range(a, hunk[0], hunk[1]);
  const rangeB = range(b, hunk[2], hunk[3]);
  const bytes = (middle: Middle, { offset, length }: { offset: number; length: number }): Uint8Array =>
    middle.bytes.slice(offset, offset + Math.min(length, MAX_EXCERPT));
  const bytesA = bytes(a, rangeA);
  const bytesB = bytes(b, rangeB);
  return counted(comparison, {
    kind: "leaf",
    path,
    what,
    a: shortened(showable(bytesA.subarray(0, 8000))),
    b: shortened(showable(bytesB.subarray(0, 8000))),
    ranges: [{ a: rangeOf(rangeA.offset + a.at, rangeA.length), b: rangeOf(rangeB.offset + b.at, rangeB.length) }],
    bytesA,
    bytesB,
    atA: rangeA.offset + a.at,
    atB: rangeB.offset + b.at,
    ...(what === "order" ? { note: "the same lines in another order" } : {}),
  });
}
