import type { ByteSource } from "../bytesource.ts";
import type { InflationLimits } from "../format/inflation.ts";
import type { Platform } from "../oci/platform.ts";
import type { RegistryOptions } from "../oci/registry.ts";
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
  /** What was not compared, and why: paths with a reason. */
  readonly incomplete: Incomplete[];
  /** What has been shown to be complete so far; undefined: nobody asked. */
  readonly proof: Proof | undefined;
  /** A node is done: shows that it is complete, where that is asked for. */
  finished(node: Difference, a: ByteSource, b: ByteSource): void;
  /** Looks into two contents, whatever they are; undefined when they are equal. */
  descend(a: ByteSource, b: ByteSource, path: string[], depth: number): Promise<Difference | undefined>;
}

export interface Incomplete {
  path: string[];
  why: string;
}

export interface Proof {
  /** Spaces of bytes in which it was shown: files, and what they decode to. */
  spaces: number;
  /** Bytes that are the same on both sides, and those in leaves, over all spaces. */
  equal: number;
  inLeavesA: number;
  inLeavesB: number;
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
  /** True once time is up: what is left then becomes coarse leaves that say so. */
  expired: () => boolean;
  /** Milliseconds until then, where there is such a time. */
  timeLeft?: (() => number) | undefined;
  /** Of images for several platforms: which is compared; how registries are spoken to. */
  images: { platform?: Platform | undefined; registry?: RegistryOptions };
  /** Shows of every space that its leaves are complete, and throws `defect` when they are not. */
  prove: boolean;
}

/** Bytes that a leaf shows at most. */
export const MAX_EXCERPT: number = 64 << 10;
/** Bytes shown around differing bytes. */
export const CONTEXT = 128;
const MAX_VALUE = 2000;

/** No more is looked into: the leaves are used up, or time is up. */
export function isFull(comparison: Comparison): boolean {
  return comparison.leaves >= comparison.bounds.maxLeaves || comparison.bounds.expired();
}

/** Why nothing more is looked into. */
export function whyFull({ bounds, leaves }: Comparison): string {
  return leaves >= bounds.maxLeaves
    ? `over ${bounds.maxLeaves} differences: the rest was not looked into`
    : "time is up: the rest was not looked into";
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

/** One leaf for what is left once no more is looked into. */
export function restLeaf(comparison: Comparison, path: string[], ranges: { a: Range; b: Range }[]): Leaf {
  const why = whyFull(comparison);
  comparison.incomplete.push({ path, why });
  return { kind: "leaf", path, what: "bytes", ranges, note: why };
}

/** Text of header bytes: without the NULs and blanks that fill them up. */
export function fieldText(bytes: Uint8Array): string {
  return shortened(showable(bytes).replace(/[\0 ]+$/, ""));
}
