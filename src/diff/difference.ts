/**
 * What `diff` finds: a tree whose inner nodes are containers and formats and
 * whose leaves hold the differing bytes. Each node is a space of bytes of its
 * own on either side: a file, a piece of its parent (`place`), or what a piece
 * of its parent decodes to (`decoding`). In each space every byte lies in just
 * one leaf, or in the place of one child that is no decoding, or is the same
 * on both sides; and what is the same stands in the same order. What only
 * follows from other differences (checksums, sizes, offsets, a compressed
 * stream whose content differs) is gathered in leaves whose field is `derived`.
 */

/** Bytes, counted in the content of that side of the leaf's node. */
export interface Range {
  offset: number;
  length: number;
}

export type LeafKind = "bytes" | "text" | "field" | "only-a" | "only-b" | "order" | "type";

export interface Leaf {
  kind: "leaf";
  /** From the root: "dist/foo.tar.gz", "gunzip", "member/x". */
  path: string[];
  what: LeafKind;
  /**
   * For `field`: "mtime", "mode", "uid", "link", "compressed", "padding",
   * "derived"… Times are decimal epoch seconds, modes octal.
   */
  field?: string;
  /** Short values to show, at most 2000 characters; untrusted text as it is. */
  a?: string;
  b?: string;
  /** Where it differs, in order on side A: counted in the node that holds the leaf, for a field of a member in the archive. */
  ranges: { a: Range; b: Range }[];
  /** The differing bytes with some context, at most 64 KiB a side. */
  bytesA?: Uint8Array;
  bytesB?: Uint8Array;
  /** Where `bytesA` and `bytesB` begin, when they are one piece: counted as `ranges` are. */
  atA?: number;
  atB?: number;
  note?: string;
  /** `a` and `b` are listings of many lines: disassembly, bytecode. */
  listing?: true;
}

/** What a node was read as: "directory", "tar", "ELF", "text", "bytes"… */
export type Format = string;

export interface Difference {
  kind: "node";
  path: string[];
  format: Format;
  children: (Difference | Leaf)[];
  /** Bytes of its content on each side; not of a folder. */
  sizes?: { a: number; b: number };
  /** Where its content lies in the parent's bytes, or its stored form does. */
  place?: { a: Range; b: Range };
  /** How its content is stored there, when not as it is: "gunzip", "inflate". */
  decoding?: string;
  /** Why it was not looked into further, for one. */
  note?: string;
}

/** All leaves, in order. */
export function* leavesOf(difference: Difference | Leaf): Generator<Leaf> {
  if (difference.kind === "leaf") {
    yield difference;
    return;
  }
  for (const child of difference.children) yield* leavesOf(child);
}

export interface Summary {
  leaves: number;
  /** Leaves by what they are: "bytes", "text", "field:mtime", "only-a", … */
  byWhat: Record<string, number>;
  /** First names of the paths: the files that differ. */
  files: string[];
  /** Bytes of the ranges on each side. */
  bytesA: number;
  bytesB: number;
}

/** Counts of what differs. Keys are in the order of their first appearance. */
export function summaryOf(difference: Difference): Summary {
  const summary: Summary = { leaves: 0, byWhat: {}, files: [], bytesA: 0, bytesB: 0 };
  const files = new Set<string>();
  for (const leaf of leavesOf(difference)) {
    const what = leaf.field === undefined ? leaf.what : `${leaf.what}:${leaf.field}`;
    summary.leaves++;
    summary.byWhat[what] = (summary.byWhat[what] ?? 0) + 1;
    for (const { a, b } of leaf.ranges) {
      summary.bytesA += a.length;
      summary.bytesB += b.length;
    }
    if (leaf.path[0] !== undefined) files.add(leaf.path[0]);
  }
  summary.files = [...files];
  return summary;
}
