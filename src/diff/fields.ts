import type { Part } from "../format/part.ts";
import type { Space } from "./space.ts";
import { type Comparison, counted, fieldText, isFull, MAX_EXCERPT, shortened } from "./comparison.ts";
import type { Leaf, Range } from "./difference.ts";

/** What only follows from other differences of a space, gathered. */
export interface Derived {
  ranges: { a: Range; b: Range }[];
}

export const DERIVED = "derived";

export function newDerived(): Derived {
  return { ranges: [] };
}

export function addDerived(derived: Derived, ranges: readonly { a: Range; b: Range }[]): void {
  for (const range of ranges) derived.ranges.push(range);
}

/** The leaf for what was gathered, if anything was. `alone`: nothing else differs, so it follows from nothing. */
export function derivedLeaf(comparison: Comparison, path: string[], derived: Derived, alone: boolean): Leaf[] {
  if (derived.ranges.length === 0) return [];
  const note = alone
    ? "checksums, sizes or offsets differ though nothing else does"
    : "checksums, sizes and offsets that follow from the other differences";
  const leaf: Leaf = { kind: "leaf", path, what: "field", field: DERIVED, ranges: derived.ranges, note };
  return [isFull(comparison) ? leaf : counted(comparison, leaf)];
}

/**
 * A leaf for a field that differs. What tells the same of the same place
 * joins the leaf that is there: a tar name may stand in three places, a zip's
 * time in two. Where one side has no bytes of it, the other places' values count.
 */
export function fieldLeaf(space: Space, path: string[], one: Part, other: Part): void {
  const label = labelOf(one, other);
  const key = `${path.join("\0")}\0\0${label}`;
  const value = (part: Part, side: "a" | "b"): string => part.show?.() ?? fieldText(bytesOf(space, part, side));
  const [a, b] = [value(one, "a"), value(other, "b")];
  if (a === b && !(one.note ?? other.note)) return notation(space, path, label, one, other);
  const half = one.length === 0 || other.length === 0;
  const known = space.joined.get(key);
  const [bytesA, bytesB] = [bytesOf(space, one, "a"), bytesOf(space, other, "b")];
  const range = { a: { offset: one.offset, length: one.length }, b: { offset: other.offset, length: other.length } };
  if (known !== undefined && ((known.a === a && known.b === b) || half)) {
    known.ranges.push(range);
    known.bytesA = joinedBytes(known.bytesA, bytesA);
    known.bytesB = joinedBytes(known.bytesB, bytesB);
    return;
  }
  const said = one.compare?.(other, space.a, space.b) ?? one.note ?? other.note;
  const note = said ?? (a === b ? "the same value, written in another way" : undefined);
  const leaf: Leaf = {
    kind: "leaf",
    path,
    what: "field",
    field: label,
    a,
    b,
    ranges: [range],
    bytesA,
    bytesB,
    ...(note === undefined ? {} : { note }),
  };
  space.joined.set(key, leaf);
  space.children.push(counted(space.comparison, leaf));
}

/** Of what changed in place: both names, where they are names and not what stands there. */
function labelOf(one: Part, other: Part): string {
  const label = one.label ?? one.key;
  if (one.key === other.key || one.length === 0 || other.length === 0) return label;
  if (one.label !== undefined && one.label === other.label) return label;
  return one.key === one.show?.() && other.key === other.show?.() ? "text" : `${label} → ${other.label ?? other.key}`;
}

/** Values that are the same and only written in another way are told together. */
function notation(space: Space, path: string[], label: string, one: Part, other: Part): void {
  const range = { a: { offset: one.offset, length: one.length }, b: { offset: other.offset, length: other.length } };
  const key = `${path.join("\0")}\0notation`;
  const known = space.joined.get(key);
  if (known !== undefined) {
    known.ranges.push(range);
    if (!(known.a ?? "").split(", ").includes(label)) known.b = known.a = shortened(`${known.a}, ${label}`);
    return;
  }
  const leaf: Leaf = {
    kind: "leaf",
    path,
    what: "field",
    field: "notation",
    a: label,
    b: label,
    ranges: [range],
    bytesA: bytesOf(space, one, "a"),
    bytesB: bytesOf(space, other, "b"),
    note: "the same values, written in another way",
  };
  space.joined.set(key, leaf);
  space.children.push(counted(space.comparison, leaf));
}

function bytesOf(space: Space, { offset, length, secret }: Part, side: "a" | "b"): Uint8Array {
  const source = side === "a" ? space.a : space.b;
  return length === 0 || secret === true
    ? new Uint8Array(0)
    : source.read(offset, Math.min(length, MAX_EXCERPT)).slice();
}

function joinedBytes(before: Uint8Array | undefined, more: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([before ?? new Uint8Array(0), more]).subarray(0, MAX_EXCERPT));
}

/** A leaf for an order that differs of names that both sides have; undefined when it does not. */
export function orderLeaf(path: string[], left: readonly string[], right: readonly string[]): Leaf | undefined {
  const at = left.findIndex((name, index) => name !== right[index]);
  if (at < 0) return undefined;
  const shown = (names: readonly string[]): string =>
    `from place ${at + 1}: ${names
      .slice(at, at + 8)
      .map((name) => name.slice(0, 200))
      .join(", ")}`;
  return {
    kind: "leaf",
    path,
    what: "order",
    a: shown(left),
    b: shown(right),
    ranges: [],
    bytesA: orderBytes(left, at),
    bytesB: orderBytes(right, at),
    note: "the same, in another order",
  };
}

function orderBytes(names: readonly string[], at: number): Uint8Array {
  let text = "";
  for (let index = at; index < names.length && text.length < MAX_EXCERPT / 4; index++) text += `${names[index]}\n`;
  return new Uint8Array(Buffer.from(text));
}
