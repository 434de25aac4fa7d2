/** What both sides begin and end with: it is skipped without being cut, and read once. */
import { commonSuffix, equalSources, firstDifference, partOf } from "../bytesource.ts";
import type { Part } from "../format/part.ts";
import type { Range } from "./difference.ts";
import { endOf, rangeIn } from "./ranges.ts";
import type { Lists, Space } from "./space.ts";

/** Below this, looking for what both begin and end with costs more than it saves. */
const WORTH_A_LOOK = 256 << 10;

/** Bytes at the beginning and at the end that are the same on both sides. */
export interface Ends {
  prefix: number;
  suffix: number;
}

export function sameEnds(space: Space, a: Range, b: Range): Ends {
  const shorter = Math.min(a.length, b.length);
  if (shorter < WORTH_A_LOOK) return { prefix: 0, suffix: 0 };
  const left = partOf(space.a, a.offset, a.length);
  const right = partOf(space.b, b.offset, b.length);
  const prefix = firstDifference(left, right) ?? shorter;
  return { prefix, suffix: commonSuffix(left, right, shorter - prefix) };
}

/** Of two parts of lists of which this is known: what was read once is not read again. */
export function endsWithin(space: Space, lists: Lists, one: Part, other: Part): Ends {
  const { a, b, prefix, suffix } = lists;
  const [atA, atB] = [one.offset - a.offset, other.offset - b.offset];
  const [leftA, leftB] = [endOf(a) - endOf(one), endOf(b) - endOf(other)];
  if (atA !== atB || leftA !== leftB || prefix < atA || suffix < leftA) {
    return sameEnds(space, rangeIn(one), rangeIn(other));
  }
  const shorter = Math.min(one.length, other.length);
  const begin = Math.min(shorter, prefix - atA);
  return { prefix: begin, suffix: Math.min(shorter - begin, suffix - leftA) };
}

function isSmall({ kind }: Part): boolean {
  return kind !== "group" && kind !== "content" && kind !== "stored";
}

/** Small things that lie in what both sides begin with need no look at their names. */
export function plainlySame({ a, b, prefix }: Lists, one: Part, other: Part): boolean {
  const at = one.offset - a.offset;
  if (!isSmall(one)) return false;
  return at === other.offset - b.offset && one.length === other.length && at + one.length <= prefix;
}

/** From here on both sides are the same to their ends, and cut alike. */
export function inSuffix({ a, b, suffix }: Lists, one: Part, other: Part): boolean {
  const left = endOf(a) - one.offset;
  return left === endOf(b) - other.offset && left <= suffix && isSmall(one) && isSmall(other);
}

export function sameBytes(space: Space, lists: Lists, one: Part, other: Part): boolean {
  if (one.length !== other.length) return false;
  const { a, b, prefix, suffix } = lists;
  const [atA, atB] = [one.offset - a.offset, other.offset - b.offset];
  if (atA === atB && atA + one.length <= prefix) return true;
  const [leftA, leftB] = [endOf(a) - one.offset, endOf(b) - other.offset];
  if (leftA === leftB && leftA <= suffix) return true;
  return equalSources(partOf(space.a, one.offset, one.length), partOf(space.b, other.offset, other.length));
}
