import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Part } from "../format/part.ts";
import type { RangePair } from "./alignment.ts";
import { type Comparison, counted, isFull, rangeOf, restLeaf } from "./comparison.ts";
import { contentsOf } from "./contents.ts";
import type { Difference } from "./difference.ts";
import { addDerived, derivedLeaf, fieldLeaf, orderLeaf } from "./fields.ts";
import { insides, type Side } from "./group-cut.ts";
import { pairedRest, saysOrder } from "./pairing.ts";
import { anotherKind, bytesIn, bytesOrPadding, onlyHere, pathOf } from "./part-leaves.ts";
import { PartList } from "./part-list.ts";
import { addRange, addSame, endOf, rangeIn } from "./ranges.ts";
import { type Ends, endsWithin, inSuffix, plainlySame, sameBytes, sameEnds } from "./same-ends.ts";
import { type Lists, newSpace, type Space } from "./space.ts";

const MAX_PARTS = 1_500_000;

export interface DiffSide {
  source: ByteSource;
  parts: Iterable<Part>;
}

/**
 * Compares two sources by the parts that a format cuts them into. `opened`:
 * contents that are decoded already. Throws what the parts' iterators throw.
 */
export async function diffParts(
  comparison: Comparison,
  format: string,
  a: DiffSide,
  b: DiffSide,
  path: string[],
  depth: number,
  opened: ReadonlyMap<Part, ByteSource> = new Map(),
): Promise<Difference> {
  const space = { ...newSpace(comparison, format, a.source, b.source, depth), opened };
  await compareLists(space, wholeOf(a), wholeOf(b), path);
  return nodeOf(space, path);
}

function nodeOf(space: Space, path: string[]): Difference {
  const { comparison, children, derived, format, a, b } = space;
  for (const { leaf, ranges } of space.orders) leaf.ranges = [...leaf.ranges, ...ranges];
  children.push(...derivedLeaf(comparison, path, derived, children.length === 0));
  return { kind: "node", path, format, children, sizes: { a: a.size, b: b.size } };
}

async function compareLists(
  space: Space,
  sideA: Side,
  sideB: Side,
  path: string[],
  same?: RangePair[],
  ends?: Ends,
): Promise<void> {
  const [a, b] = [rangeIn(sideA.part), rangeIn(sideB.part)];
  const says = { a: sideA.part.says, b: sideB.part.says };
  const { prefix, suffix } = ends ?? sameEnds(space, a, b);
  const lists: Lists = { path, a, b, says, same, prefix, suffix, seen: new Map(), stored: contentsOf() };
  const left = new PartList(sideA.parts, a, space.a.name);
  const right = new PartList(sideB.parts, b, space.b.name);
  let one = left.next();
  let other = right.next();
  // As long as both go on alike, nothing need be kept: a million members cost no memory.
  while (one !== undefined && other !== undefined && !inSuffix(lists, one, other)) {
    if (plainlySame(lists, one, other)) addRange(same, rangeIn(one), rangeIn(other));
    else if (one.key !== other.key) break;
    else if (isFull(space.comparison)) return giveUp(space, lists, one.offset, other.offset);
    else await comparePair(space, lists, one, other, same);
    one = left.next();
    other = right.next();
  }
  if (one !== undefined && other !== undefined && inSuffix(lists, one, other)) addRest(same, lists, one, other);
  else if (one !== undefined || other !== undefined) await compareRest(space, lists, left, right, one, other);
  await lists.stored.finish(space, path);
}

function addRest(same: RangePair[] | undefined, { a, b }: Lists, one: Part, other: Part): void {
  addRange(same, rangeOf(one.offset, endOf(a) - one.offset), rangeOf(other.offset, endOf(b) - other.offset));
}

/** What is left of both lists becomes one leaf. */
function giveUp(space: Space, { path, a, b }: Lists, fromA: number, fromB: number): void {
  const rest = { a: rangeOf(fromA, a.offset + a.length - fromA), b: rangeOf(fromB, b.offset + b.length - fromB) };
  space.children.push(restLeaf(space.comparison, path, [rest]));
}

/** From the first place on where the names differ: everything is paired by name, wherever it stands. */
async function compareRest(
  space: Space,
  lists: Lists,
  left: PartList,
  right: PartList,
  one: Part | undefined,
  other: Part | undefined,
): Promise<void> {
  const found = collected(lists, left, right, one, other);
  if (found === undefined) {
    return giveUp(space, lists, one?.offset ?? endOf(lists.a), other?.offset ?? endOf(lists.b));
  }
  const { a, b, rest } = found;
  if (rest !== undefined) addRest(lists.same, lists, rest.one, rest.other);
  const { partners, moved, order } = pairedRest(space, a, b);
  const orderRanges = pushOrder(space, lists.path, order);
  for (const [at, part] of a.entries()) {
    const partner = b[partners[at] ?? -1];
    if (isFull(space.comparison)) return restOfPairs(space, lists, a, b, at, partners);
    if (partner === undefined) onlyHere(space, lists, "a", part, other?.offset ?? endOf(lists.b));
    else if (moved[at] !== 1) await comparePair(space, lists, part, partner, lists.same);
    else {
      const same = saysOrder(part) ? orderRanges : space.derived.ranges;
      await comparePair(space, lists, part, partner, same);
    }
  }
  const taken = new Set(partners);
  for (const [at, part] of b.entries()) {
    if (!taken.has(at)) onlyHere(space, lists, "b", part, one?.offset ?? endOf(lists.a));
  }
}

/** All parts that are left, but for small ones where both sides are the same to the end; undefined: too many. */
function collected(
  lists: Lists,
  left: PartList,
  right: PartList,
  one: Part | undefined,
  other: Part | undefined,
): { a: Part[]; b: Part[]; rest: { one: Part; other: Part } | undefined } | undefined {
  const a: Part[] = [];
  const b: Part[] = [];
  for (;;) {
    if (a.length > MAX_PARTS || b.length > MAX_PARTS) return undefined;
    if (one === undefined && other === undefined) return { a, b, rest: undefined };
    if (one !== undefined && other !== undefined && inSuffix(lists, one, other)) return { a, b, rest: { one, other } };
    // The side that has more before its end goes on, so that both meet where the ends are the same.
    const leftA = one === undefined ? 0 : endOf(lists.a) - one.offset;
    const leftB = other === undefined ? 0 : endOf(lists.b) - other.offset;
    if (one !== undefined && leftA >= leftB) {
      a.push(one);
      one = left.next();
    } else if (other !== undefined) {
      b.push(other);
      other = right.next();
    }
  }
}

/** All pairs from `from` on, and what stands on one side only, as one leaf. */
function restOfPairs(
  space: Space,
  { path, a: listA, b: listB }: Lists,
  a: readonly Part[],
  b: readonly Part[],
  from: number,
  partners: Int32Array,
): void {
  const done = new Set(partners.subarray(0, from).filter((place) => place >= 0));
  const rest = a.slice(from).map((part) => ({ a: rangeIn(part), b: rangeOf(endOf(listB), 0) }));
  for (const [at, part] of b.entries()) {
    if (!done.has(at)) rest.push({ a: rangeOf(endOf(listA), 0), b: rangeIn(part) });
  }
  space.children.push(restLeaf(space.comparison, path, rest));
}

/**
 * The leaf that says that an order differs, first of what is told of a list.
 * Gives the ranges to fill in as moved ones are met: its own, or those of what
 * only follows when no order can be told.
 */
function pushOrder(space: Space, path: string[], order: { a: string[]; b: string[] } | undefined): RangePair[] {
  const leaf = order === undefined ? undefined : orderLeaf(path, order.a, order.b);
  if (leaf === undefined) return space.derived.ranges;
  const key = `order\0${path.join("\0")}\0${leaf.a}\0${leaf.b}`;
  // A zip has two lists of its members: one leaf tells both.
  const known = space.joined.get(key);
  const ranges: RangePair[] = [];
  leaf.ranges = ranges;
  if (known === undefined) {
    space.joined.set(key, leaf);
    space.children.push(counted(space.comparison, leaf));
  } else space.orders.push({ leaf: known, ranges });
  return ranges;
}

/** `same`: set for a pair that stands in another order than its neighbours; takes what of it is the same. */
async function comparePair(
  space: Space,
  lists: Lists,
  one: Part,
  other: Part,
  same: RangePair[] | undefined,
): Promise<void> {
  const path = pathOf(lists, one, other);
  lists.stored.meet(one, other);
  if (sameBytes(space, lists, one, other)) return addRange(same, rangeIn(one), rangeIn(other));
  if (one.kind !== other.kind) return void anotherKind(space, path, one, other);
  switch (one.kind) {
    case "field":
      return fieldLeaf(space, lists.path, one, other);
    case "derived":
      return addDerived(space.derived, [{ a: rangeIn(one), b: rangeIn(other) }]);
    case "stored":
      return lists.stored.differs(one, other);
    case "content":
      return await lists.stored.content(space, path, one, other);
    default:
  }
  if (one.kind === "group") return await compareGroups(space, lists, one, other, path, same);
  const from = space.children.length;
  bytesOrPadding(space, lists.path, path, one, other);
  if (same !== undefined) addSame(same, one, other, space.children.slice(from));
}

async function compareGroups(
  space: Space,
  lists: Lists,
  one: Part,
  other: Part,
  path: string[],
  same: RangePair[] | undefined,
): Promise<void> {
  const from = space.children.length;
  const ends = endsWithin(space, lists, one, other);
  let inside: { a: Side; b: Side };
  try {
    inside = insides(one, other, ends.prefix);
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    bytesIn(space, path, one, other, `not looked into: ${messageOf(error)}`);
    if (same !== undefined) addSame(same, one, other, space.children.slice(from));
    return;
  }
  if (same !== undefined) addSkipped(same, one, other, inside);
  const { a, b } = inside;
  const left = { prefix: ends.prefix - (a.part.offset - one.offset), suffix: ends.suffix };
  await compareLists(space, a, b, path, same, left);
  const note = one.compare?.(other, space.a, space.b) ?? one.note;
  const found = space.children[from];
  if (note !== undefined && found !== undefined && found.note === undefined) found.note = note;
}

function wholeOf({ source, parts }: DiffSide): Side {
  return { part: { key: "", kind: "group", offset: 0, length: source.size }, parts };
}

/** What was left out of a moved group is the same as well. */
function addSkipped(same: RangePair[], one: Part, other: Part, inside: { a: Side; b: Side }): void {
  const skipped = inside.a.part.offset - one.offset;
  if (skipped > 0) addRange(same, rangeOf(one.offset, skipped), rangeOf(other.offset, skipped));
}
