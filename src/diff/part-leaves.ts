/** How the leaves of parts are told that differ as a whole: by their bytes, a listing, their kind, or their absence. */
import { hex } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import type { Part } from "../format/part.ts";
import { byteLeaves } from "./bytes.ts";
import { counted, onlyLeaf, rangeOf } from "./comparison.ts";
import type { Leaf } from "./difference.ts";
import { addDerived, fieldLeaf } from "./fields.ts";
import { insideOf } from "./inside.ts";
import { isGap } from "./part-list.ts";
import { rangeIn } from "./ranges.ts";
import type { Lists, Space } from "./space.ts";

const MAX_SEEN = 200_000;
const HEX_SHOWN = 32;

export function pathOf(lists: Lists, one: Part, other: Part): string[] {
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

export function anotherKind(space: Space, path: string[], one: Part, other: Part): void {
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

export function bytesIn(
  space: Space,
  path: string[],
  one: Part,
  other: Part,
  note: string | undefined,
  field: { field?: string } = {},
): void {
  const options = { ...field, baseA: one.offset, baseB: other.offset, ...(note === undefined ? {} : { note }) };
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

export function bytesOrPadding(space: Space, above: string[], path: string[], one: Part, other: Part): void {
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
  bytesIn(space, above, one, other, why, { field: label });
}

/** Bytes that can be shown as a listing: one leaf with both listings, and the places where the bytes differ. */
function listing(space: Space, path: string[], one: Part, other: Part, note: string | undefined): void {
  const from = space.children.length;
  bytesIn(space, path, one, other, note);
  const found = space.children[from];
  if (found === undefined || found.kind !== "leaf") return;
  const [a, b] = [one.show?.() ?? "", other.show?.() ?? ""];
  // Two listings that read the same say less than the bytes that differ, and are most of what a shifted program has.
  if (a !== b) Object.assign(found, { a, b, listing: true });
}

function isZero(source: ByteSource, { offset, length }: Part): boolean {
  for (let at = 0; at < length; at += 1 << 16) {
    if (source.read(offset + at, Math.min(1 << 16, length - at)).some((byte) => byte !== 0)) return false;
  }
  return true;
}

function hexOf(source: ByteSource, { offset, length }: Part): string {
  return `${hex(source.read(offset, Math.min(length, HEX_SHOWN)))}${length > HEX_SHOWN ? "…" : ""}`;
}

/** `at`: where it would stand on the other side. */
export function onlyHere(space: Space, lists: Lists, side: "a" | "b", part: Part, at: number): void {
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
