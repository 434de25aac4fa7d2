import type { ByteSource } from "../bytesource.ts";
import type { Part } from "../format/part.ts";
import type { RangePair } from "./alignment.ts";
import type { Comparison } from "./comparison.ts";
import type { Stored } from "./contents.ts";
import type { Difference, Leaf, Range } from "./difference.ts";
import { type Derived, newDerived } from "./fields.ts";

/** A node of the difference while it is made: two spaces of bytes, and what was found in them. */
export interface Space {
  comparison: Comparison;
  format: string;
  a: ByteSource;
  b: ByteSource;
  depth: number;
  children: (Difference | Leaf)[];
  derived: Derived;
  /** Leaves that further parts may join: fields that tell the same, orders of the same names. */
  joined: Map<string, Leaf>;
  /** Ranges that join the leaf of an order once they are all known. */
  orders: { leaf: Leaf; ranges: RangePair[] }[];
  /** Contents that are decoded already. */
  opened: ReadonlyMap<Part, ByteSource>;
  /** Names on side A whose part has another name on side B. */
  renamed: Map<string, string>;
}

/** Two lists of parts: the whole space, or a group's inside. */
export interface Lists {
  path: string[];
  a: Range;
  b: Range;
  /** What a field says on a side where it has no bytes. */
  says: { a: Part["says"]; b: Part["says"] };
  /** Bytes at the beginning and at the end that are the same on both sides. */
  prefix: number;
  suffix: number;
  /** How often a name was met, for those that occur again. */
  seen: Map<string, number>;
  /** Set inside what was moved: takes the bytes that are the same, for they do not stand in order with what surrounds them. */
  same: RangePair[] | undefined;
  /** Contents that are stored elsewhere too, and what of their stored form differs. */
  stored: Stored;
}

export function newSpace(comparison: Comparison, format: string, a: ByteSource, b: ByteSource, depth: number): Space {
  return {
    comparison,
    format,
    a,
    b,
    depth,
    children: [],
    derived: newDerived(),
    joined: new Map(),
    orders: [],
    opened: new Map(),
    renamed: new Map(),
  };
}
