import type { ByteSource } from "../bytesource.ts";
import type { InflationLimits } from "../format/inflation.ts";
import { showable } from "../bytes.ts";
import type { Difference, Leaf, Range } from "./difference.ts";

/** What one run of `diff` shares: its bounds, what is used up of them, and the way down. */
export interface Comparison {
  readonly bounds: Bounds;
  /** Leaves made so far. */
  leaves: number;
  /** Decompressed bytes held in memory now. */
  inMemory: number;
  /** Bytes decompressed so far. */
  inflated: number;
  /** Looks into two contents, whatever they are; undefined when they are equal. */
  descend(a: ByteSource, b: ByteSource, path: string[], depth: number): Promise<Difference | undefined>;
}

export interface Bounds {
  /** Containers within containers. */
  maxDepth: number;
  /** Leaves; what is left then becomes one coarse leaf for each open container. */
  maxLeaves: number;
  /** Bytes of a text that is compared line by line. */
  maxText: number;
  /** Leaves of one file that is compared as text or bytes; the last covers the rest. */
  maxRegions: number;
  /** Bytes decompressed in the whole run. */
  maxInflated: number;
  /** Bytes of decompressed content kept in memory in the whole run; more goes to `temporary`. */
  maxInMemory: number;
  inflation: InflationLimits;
  /** Folder for decompressed content; files there vanish with the process. */
  temporary: string;
  excluded: (path: string) => boolean;
}

/** Bytes that a leaf shows at most. */
export const MAX_EXCERPT: number = 64 << 10;
/** Bytes shown around differing bytes. */
export const CONTEXT = 128;
const MAX_VALUE = 2000;

export function isFull(comparison: Comparison): boolean {
  return comparison.leaves >= comparison.bounds.maxLeaves;
}

/** Counts a leaf. */
export function counted(comparison: Comparison, leaf: Leaf): Leaf {
  comparison.leaves++;
  return leaf;
}

/** A value short enough to show. */
export function shortened(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

export function rangeOf(offset: number, length: number): Range {
  return { offset, length };
}

/** The bytes of `range` with `context` bytes on either side, at most 64 KiB, and where they begin. */
export function excerpt(
  source: ByteSource,
  range: Range,
  context: number = CONTEXT,
): { at: number; bytes: Uint8Array } {
  const at = Math.max(0, range.offset - context);
  const end = Math.min(source.size, range.offset + range.length + context, at + MAX_EXCERPT);
  // Sources may lend out memory that they use again.
  return { at, bytes: source.read(at, end - at).slice() };
}

/** A leaf for what exists on one side only: `range` in that side's container. */
export function onlyLeaf(
  comparison: Comparison,
  side: "a" | "b",
  path: string[],
  found: { source?: ByteSource; range?: Range; shown?: string; note?: string; at?: number },
): Leaf {
  const range = found.range ?? rangeOf(0, found.source?.size ?? 0);
  const nothing = rangeOf(found.at ?? 0, 0);
  const piece = found.source === undefined ? undefined : excerpt(found.source, range, 0);
  const value = found.shown === undefined ? {} : { [side]: shortened(found.shown) };
  return counted(comparison, {
    kind: "leaf",
    path,
    what: side === "a" ? "only-a" : "only-b",
    ...value,
    ranges: [side === "a" ? { a: range, b: nothing } : { a: nothing, b: range }],
    ...(piece === undefined ? {} : side === "a" ? { bytesA: piece.bytes } : { bytesB: piece.bytes }),
    ...(piece === undefined ? {} : side === "a" ? { atA: piece.at } : { atB: piece.at }),
    ...(found.note === undefined ? {} : { note: found.note }),
  });
}

/** One leaf for everything from `a` and `b` on, once the leaves are used up. */
export function restLeaf(comparison: Comparison, path: string[], a: Range, b: Range): Leaf {
  const note = `over ${comparison.bounds.maxLeaves} differences: the rest was not looked into`;
  return { kind: "leaf", path, what: "bytes", ranges: [{ a, b }], note };
}

/** Text of header bytes: without the NULs and blanks that fill them up. */
export function fieldText(bytes: Uint8Array): string {
  return shortened(showable(bytes).replace(/[\0 ]+$/, ""));
}
