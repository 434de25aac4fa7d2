import { type ByteSource, commonSuffix, equalSources, firstDifference, partOf } from "../bytesource.ts";
import { hex } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Part } from "../format/part.ts";
import { byteLeaves } from "./bytes.ts";
import { type Comparison, counted, isFull, onlyLeaf, rangeOf, restLeaf } from "./comparison.ts";
import { contentsOf, type Stored } from "./contents.ts";
import type { RangePair } from "./alignment.ts";
import type { Difference, Leaf, Range } from "./difference.ts";
import { type Derived, addDerived, derivedLeaf, fieldLeaf, newDerived, orderLeaf } from "./fields.ts";
import { pairedRest } from "./pairing.ts";
import { insideOf } from "./inside.ts";
import { isGap, PartList } from "./part-list.ts";

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
interface Lists {
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

const MAX_PARTS = 1_500_000;
const MAX_SEEN = 200_000;
/** Below this, looking for what both begin and end with costs more than it saves. */
const WORTH_A_LOOK = 256 << 10;

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

function wholeOf({ source, parts }: DiffSide): Side {
  return { part: { key: "", kind: "group", offset: 0, length: source.size }, parts };
}

function newSpace(comparison: Comparison, format: string, a: ByteSource, b: ByteSource, depth: number): Space {
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

function nodeOf(space: Space, path: string[]): Difference {
  const { comparison, children, derived, format, a, b } = space;
  for (const { leaf, ranges } of space.orders) leaf.ranges = [...leaf.ranges, ...ranges];
  children.push(...derivedLeaf(comparison, path, derived, children.length === 0));
  return { kind: "node", path, format, children, sizes: { a: a.size, b: b.size } };
}

/** A group on one side, and its parts. */
interface Side {
  part: Part;
  parts: Iterable<Part>;
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

function isSmall({ kind }: Part): boolean {
  return kind !== "group" && kind !== "content" && kind !== "stored";
}

/** Small things that lie in what both sides begin with need no look at their names. */
function plainlySame({ a, b, prefix }: Lists, one: Part, other: Part): boolean {
  const at = one.offset - a.offset;
  if (!isSmall(one)) return false;
  return at === other.offset - b.offset && one.length === other.length && at + one.length <= prefix;
}

/** From here on both sides are the same to their ends, and cut alike. */
function inSuffix({ a, b, suffix }: Lists, one: Part, other: Part): boolean {
  const left = endOf(a) - one.offset;
  return left === endOf(b) - other.offset && left <= suffix && isSmall(one) && isSmall(other);
}

function addRest(same: RangePair[] | undefined, { a, b }: Lists, one: Part, other: Part): void {
  addRange(same, rangeOf(one.offset, endOf(a) - one.offset), rangeOf(other.offset, endOf(b) - other.offset));
}

/** Bytes at the beginning and at the end that are the same on both sides. */
interface Ends {
  prefix: number;
  suffix: number;
}

/** Of two parts of lists of which this is known: what was read once is not read again. */
function endsWithin(space: Space, lists: Lists, one: Part, other: Part): Ends {
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

function sameEnds(space: Space, a: Range, b: Range): Ends {
  const shorter = Math.min(a.length, b.length);
  if (shorter < WORTH_A_LOOK) return { prefix: 0, suffix: 0 };
  const left = partOf(space.a, a.offset, a.length);
  const right = partOf(space.b, b.offset, b.length);
  const prefix = firstDifference(left, right) ?? shorter;
  return { prefix, suffix: commonSuffix(left, right, shorter - prefix) };
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

/** What was moved says that an order differs; fillers and checksums between do not. */
export function saysOrder(part: Part): boolean {
  return part.kind !== "padding" && part.kind !== "derived" && part.kind !== "stored";
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

function rangeIn({ offset, length }: Part): Range {
  return { offset, length };
}

function endOf({ offset, length }: Range): number {
  return offset + length;
}

function sameBytes(space: Space, lists: Lists, one: Part, other: Part): boolean {
  if (one.length !== other.length) return false;
  const { a, b, prefix, suffix } = lists;
  const [atA, atB] = [one.offset - a.offset, other.offset - b.offset];
  if (atA === atB && atA + one.length <= prefix) return true;
  const [leftA, leftB] = [endOf(a) - one.offset, endOf(b) - other.offset];
  if (leftA === leftB && leftA <= suffix) return true;
  return equalSources(partOf(space.a, one.offset, one.length), partOf(space.b, other.offset, other.length));
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

/** Adds what is the same, as one range with the last where it goes on from there. */
function addRange(same: RangePair[] | undefined, a: Range, b: Range): void {
  const last = same?.at(-1);
  if (last !== undefined && endOf(last.a) === a.offset && endOf(last.b) === b.offset) {
    last.a.length += a.length;
    last.b.length += b.length;
  } else same?.push({ a: { ...a }, b: { ...b } });
}

/** What lies between the ranges of some leaves of a part is the same. */
function addSame(same: RangePair[], one: Part, other: Part, leaves: readonly (Difference | Leaf)[]): void {
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

function pathOf(lists: Lists, one: Part, other: Part): string[] {
  if (one.kind === "field" || one.kind === "derived" || one.kind === "padding" || one.key === "") return lists.path;
  const { seen } = lists;
  const times = (seen.get(one.key) ?? 0) + 1;
  if (seen.has(one.key) || seen.size < MAX_SEEN) seen.set(one.key, times);
  const name = one.key === other.key ? one.key : `${one.key} → ${other.key}`;
  return [...lists.path, times > 1 ? `${name} (${times})` : name];
}

function kindShown(part: Part): string {
  return part.show?.() ?? `${part.kind} of ${part.length} bytes`;
}

function anotherKind(space: Space, path: string[], one: Part, other: Part): void {
  const leaf: Leaf = {
    kind: "leaf",
    path: path.at(-1) === one.key || one.key === "" ? path : [...path, one.key],
    what: "type",
    a: kindShown(one),
    b: kindShown(other),
    ranges: [{ a: rangeIn(one), b: rangeIn(other) }],
  };
  space.children.push(counted(space.comparison, leaf));
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

/** The parts of both groups, from where the two begin to differ if the format can do that. */
function insides(one: Part, other: Part, prefix: number): { a: Side; b: Side } {
  if (prefix > 0) {
    const [a, b] = [from(one, prefix), from(other, prefix)];
    const [skippedA, skippedB] = [a.part.offset - one.offset, b.part.offset - other.offset];
    if (skippedA === skippedB && skippedA <= prefix) return { a, b };
  }
  return { a: whole(one), b: whole(other) };
}

/** The group without what its cut left out at the beginning; the whole, when it found nothing at all. */
function from(group: Part, prefix: number): Side {
  const { first, parts } = ahead(group.parts?.(group.offset + prefix) ?? [], group.offset);
  const skipped = first === undefined ? 0 : first.offset - group.offset;
  return { part: { ...group, offset: group.offset + skipped, length: group.length - skipped }, parts };
}

function whole(part: Part): Side {
  return { part, parts: ahead(part.parts?.() ?? [], Infinity).parts };
}

/** What was left out of a moved group is the same as well. */
function addSkipped(same: RangePair[], one: Part, other: Part, inside: { a: Side; b: Side }): void {
  const skipped = inside.a.part.offset - one.offset;
  if (skipped > 0) addRange(same, rangeOf(one.offset, skipped), rangeOf(other.offset, skipped));
}

const MAX_AHEAD = 50_000;

/** Reads the first parts at once, so that a group that cannot be parsed shows before anything of it is told; `begin`: where it begins. */
function ahead(parts: Iterable<Part>, begin: number): { first: Part | undefined; parts: Iterable<Part> } {
  const iterator = parts[Symbol.iterator]();
  const read: Part[] = [];
  for (;;) {
    const { done, value } = iterator.next();
    if (done === true) return { first: read[0], parts: read };
    // What could be cut from its middle on is a list without an end to wait for.
    const most = (read[0] ?? value).offset > begin ? MAX_AHEAD / 50 : MAX_AHEAD;
    if (read.push(value) < most) continue;
    return { first: read[0], parts: continued(read, iterator) };
  }
}

function* continued(read: Part[], iterator: Iterator<Part>): Generator<Part> {
  yield* read.splice(0);
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) yield next.value;
}

function bytesIn(space: Space, path: string[], one: Part, other: Part, note: string | undefined): void {
  const options = { baseA: one.offset, baseB: other.offset, ...(note === undefined ? {} : { note }) };
  space.children.push(
    ...byteLeaves(
      space.comparison,
      partOf(space.a, one.offset, one.length),
      partOf(space.b, other.offset, other.length),
      path,
      options,
    ),
  );
}

function bytesOrPadding(space: Space, above: string[], path: string[], one: Part, other: Part): void {
  const note = one.compare?.(other, space.a, space.b) ?? one.note;
  if (one.kind === "bytes") {
    if (one.show !== undefined && other.show !== undefined) return void listing(space, path, one, other, note);
    return bytesIn(space, path, one, other, note);
  }
  if (one.length !== other.length && isZero(space.a, one) && isZero(space.b, other)) {
    // Zeros of another length follow from another size of what stands before them.
    return addDerived(space.derived, [{ a: rangeIn(one), b: rangeIn(other) }]);
  }
  const label = one.label ?? (isGap(one) ? "gap" : one.key === "" ? "padding" : one.key);
  const why = note ?? (isGap(one) ? "bytes that nothing claims" : undefined);
  space.children.push(
    ...byteLeaves(
      space.comparison,
      partOf(space.a, one.offset, one.length),
      partOf(space.b, other.offset, other.length),
      above,
      { field: label, baseA: one.offset, baseB: other.offset, ...(why === undefined ? {} : { note: why }) },
    ),
  );
}

/** Bytes that can be shown as a listing: one leaf with both listings, and the places where the bytes differ. */
function listing(space: Space, path: string[], one: Part, other: Part, note: string | undefined): void {
  const from = space.children.length;
  bytesIn(space, path, one, other, note);
  const found = space.children[from];
  if (found === undefined || found.kind !== "leaf") return;
  Object.assign(found, { a: one.show?.() ?? "", b: other.show?.() ?? "", listing: true });
}

function isZero(source: ByteSource, { offset, length }: Part): boolean {
  for (let at = 0; at < length; at += 1 << 16) {
    if (source.read(offset + at, Math.min(1 << 16, length - at)).some((byte) => byte !== 0)) return false;
  }
  return true;
}

const HEX_SHOWN = 32;

function hexOf(source: ByteSource, { offset, length }: Part): string {
  return `${hex(source.read(offset, Math.min(length, HEX_SHOWN)))}${length > HEX_SHOWN ? "…" : ""}`;
}

/** `at`: where it would stand on the other side. */
function onlyHere(space: Space, lists: Lists, side: "a" | "b", part: Part, at: number): void {
  const source = side === "a" ? space.a : space.b;
  const nothing = rangeOf(at, 0);
  const ranges = side === "a" ? { a: rangeIn(part), b: nothing } : { a: nothing, b: rangeIn(part) };
  if (part.kind === "stored") return lists.stored.onlyHere(part, ranges);
  const follows = part.kind === "derived" || (part.kind === "padding" && isZero(source, part));
  if (follows) return addDerived(space.derived, [ranges]);
  if (part.length === 0) return;
  if (part.kind === "field" || part.kind === "padding") {
    const named: Part = isGap(part) ? { ...part, label: "gap", note: "bytes that nothing claims" } : { ...part };
    const label = named.label ?? named.key;
    const says = side === "a" ? lists.says.b : lists.says.a;
    if (part.kind === "padding") named.show = () => hexOf(source, part);
    const absent: Part = { ...named, offset: at, length: 0, show: () => says?.(label) ?? "" };
    return fieldLeaf(space, lists.path, side === "a" ? named : absent, side === "a" ? absent : named);
  }
  const path = pathOf(lists, part, part);
  const key = `${side}\0${path.join("\0")}`;
  const known = space.joined.get(key);
  if (known !== undefined) return void known.ranges.push(ranges);
  const shown = part.show?.() ?? [`${part.length} bytes`, ...insideOf(part)].join("\n");
  const note = part.note === undefined ? {} : { note: part.note };
  const leaf = onlyLeaf(space.comparison, side, path, { source, range: rangeIn(part), shown, at, ...note });
  space.joined.set(key, leaf);
  space.children.push(leaf);
}
