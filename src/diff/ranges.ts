import type { Part } from "../format/part.ts";
import type { RangePair } from "./alignment.ts";
import { rangeOf } from "./comparison.ts";
import type { Difference, Leaf, Range } from "./difference.ts";

export function rangeIn({ offset, length }: Part): Range {
  return { offset, length };
}

export function endOf({ offset, length }: Range): number {
  return offset + length;
}

/** Adds what is the same, as one range with the last where it goes on from there. */
export function addRange(same: RangePair[] | undefined, a: Range, b: Range): void {
  const last = same?.at(-1);
  if (last !== undefined && endOf(last.a) === a.offset && endOf(last.b) === b.offset) {
    last.a.length += a.length;
    last.b.length += b.length;
  } else same?.push({ a: { ...a }, b: { ...b } });
}

/** What lies between the ranges of some leaves of a part is the same. */
export function addSame(same: RangePair[], one: Part, other: Part, leaves: readonly (Difference | Leaf)[]): void {
  let [atA, atB] = [one.offset, other.offset];
  const ranges = leaves.flatMap((leaf) => (leaf.kind === "leaf" ? leaf.ranges : []));
  // Nothing was told: what differs was taken as derived, whole.
  if (ranges.length === 0) return;
  ranges.push({ a: rangeOf(endOf(one), 0), b: rangeOf(endOf(other), 0) });
  for (const { a, b } of ranges) {
    if (a.offset > atA) addRange(same, rangeOf(atA, a.offset - atA), rangeOf(atB, b.offset - atB));
    [atA, atB] = [endOf(a), endOf(b)];
  }
}
