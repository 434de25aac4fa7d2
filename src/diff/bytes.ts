import { type ByteSource, commonSuffix, equalSources, firstDifference, partOf } from "../bytesource.ts";
import { hex } from "../bytes.ts";
import { alignedRanges, type RangePair } from "./alignment.ts";
import { type Comparison, CONTEXT, counted, excerpt, MAX_EXCERPT, rangeOf } from "./comparison.ts";
import type { Leaf, LeafKind } from "./difference.ts";

export interface ByteLeafOptions {
  what?: LeafKind;
  field?: string;
  /** Added to offsets: where the two sources begin in what the leaf's ranges count in. */
  baseA?: number;
  baseB?: number;
  note?: string;
}

const SHOWN = 32;

/** The leaves for two runs of bytes: one for each place where they differ; none when they are equal. */
export function byteLeaves(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  options: ByteLeafOptions = {},
): Leaf[] {
  if (equalSources(a, b)) return [];
  const most = Math.max(1, Math.min(comparison.bounds.maxRegions, comparison.bounds.maxLeaves - comparison.leaves));
  return clusters(differingRanges(a, b), most).map((ranges) => leafOf(comparison, a, b, path, ranges, options));
}

/** Where two sources differ, in order. Both sides together cover every differing byte. */
export function differingRanges(a: ByteSource, b: ByteSource): RangePair[] {
  const start = firstDifference(a, b);
  if (start === undefined) return [];
  const suffix = commonSuffix(a, b, Math.min(a.size, b.size) - start);
  const middleA = partOf(a, start, a.size - start - suffix);
  const middleB = partOf(b, start, b.size - start - suffix);
  return alignedRanges(middleA, middleB).map((pair) => ({
    a: rangeOf(pair.a.offset + start, pair.a.length),
    b: rangeOf(pair.b.offset + start, pair.b.length),
  }));
}

/** Ranges that one excerpt can show together; the last cluster takes all that are left. */
function clusters(ranges: readonly RangePair[], most: number): RangePair[][] {
  const found: RangePair[][] = [];
  for (const range of ranges) {
    const current = found.at(-1);
    const last = current?.at(-1);
    const first = current?.[0];
    const near =
      last !== undefined &&
      first !== undefined &&
      range.a.offset - (last.a.offset + last.a.length) <= 2 * CONTEXT &&
      range.a.offset + range.a.length - first.a.offset <= MAX_EXCERPT / 2 &&
      range.b.offset + range.b.length - first.b.offset <= MAX_EXCERPT / 2;
    if (current !== undefined && (near || found.length >= most)) current.push(range);
    else found.push([range]);
  }
  return found;
}

/** Ranges that one leaf lists; the last one spans the rest. */
const MAX_LISTED = 1000;

function leafOf(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  ranges: RangePair[],
  options: ByteLeafOptions,
): Leaf {
  const whole = spanning(ranges, 0);
  const pieceA = excerpt(a, whole.a);
  const pieceB = excerpt(b, whole.b);
  const listed =
    ranges.length <= MAX_LISTED ? ranges : [...ranges.slice(0, MAX_LISTED - 1), spanning(ranges, MAX_LISTED - 1)];
  const { baseA = 0, baseB = 0 } = options;
  const what = options.field === undefined ? (options.what ?? "bytes") : "field";
  return counted(comparison, {
    kind: "leaf",
    path,
    what,
    ...(options.field === undefined ? {} : { field: options.field }),
    a: shown(a, ranges, "a"),
    b: shown(b, ranges, "b"),
    ranges: listed.map((pair) => ({
      a: rangeOf(pair.a.offset + baseA, pair.a.length),
      b: rangeOf(pair.b.offset + baseB, pair.b.length),
    })),
    bytesA: pieceA.bytes,
    bytesB: pieceB.bytes,
    atA: pieceA.at + baseA,
    atB: pieceB.at + baseB,
    ...(options.note === undefined ? {} : { note: options.note }),
  });
}

function spanning(ranges: readonly RangePair[], from: number): RangePair {
  const first = ranges[from];
  const last = ranges.at(-1);
  if (first === undefined || last === undefined) return { a: rangeOf(0, 0), b: rangeOf(0, 0) };
  const span = (side: "a" | "b"): { offset: number; length: number } =>
    rangeOf(first[side].offset, last[side].offset + last[side].length - first[side].offset);
  return { a: span("a"), b: span("b") };
}

function shown(source: ByteSource, ranges: readonly RangePair[], side: "a" | "b"): string {
  const first = ranges[0]?.[side] ?? rangeOf(0, 0);
  const length = Math.min(first.length, SHOWN);
  return `${hex(source.read(first.offset, length))}${first.length > length ? "…" : ""}`;
}
