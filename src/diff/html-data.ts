/** A difference in the form that a report carries: a tree of places in columns, and its leaves in chunks. */
import { base64 } from "../bytes.ts";
import type { Difference, Leaf } from "./difference.ts";
import { kindOf, leafBytes, rankOf, RANKS } from "./findings.ts";
import { fullText, isHex, isLines, sideText } from "./leaf-text.ts";
import type { NodeColumns, ReportHead } from "./report/document.ts";
import type { LeafData } from "./report/leaf-rows.ts";

/** A place: a step of a path. Names are cut at "/", so that folders can be folded. */
interface Place {
  label: string;
  inside: boolean;
  format: string;
  note: string;
  below: Map<string, Place>;
  leaves: Leaf[];
}

const newPlace = (label: string, inside: boolean): Place => ({
  label,
  inside,
  format: "",
  note: "",
  below: new Map(),
  leaves: [],
});

/** The tree of all places, in the order in which they were met. */
function placesOf(difference: Difference): Place {
  const root = newPlace("", true);
  const visit = (node: Difference): void => {
    const place = placeAt(root, node.path);
    place.format = node.format;
    place.note = node.note ?? "";
    for (const child of node.children) {
      if (child.kind === "node") visit(child);
      else placeAt(root, child.path).leaves.push(child);
    }
  };
  visit(difference);
  return root;
}

/** Folders within folders that are told apart in one name: whoever made the name may have put in any number. */
const MAX_FOLDERS = 50;

function placeAt(root: Place, path: readonly string[]): Place {
  let place = root;
  for (const name of path) {
    let inside = true;
    const labels = name.split(/(?<=[^/])\/(?=[^/])/);
    const deep =
      labels.length > MAX_FOLDERS ? [...labels.slice(0, MAX_FOLDERS), labels.slice(MAX_FOLDERS).join("/")] : labels;
    for (const label of deep) {
      const key = `${inside ? ">" : "/"}${label}`;
      let next = place.below.get(key);
      if (next === undefined) {
        next = newPlace(label, inside);
        place.below.set(key, next);
      }
      place = next;
      inside = false;
    }
  }
  return place;
}

export interface ReportData {
  nodes: NodeColumns;
  node: Uint32Array;
  kind: Uint16Array;
  rows: Uint16Array;
  kinds: ReportHead["kinds"];
  /** The number of each leaf. */
  numbers: Map<Leaf, number>;
  /** First leaf and JSON text of each chunk. */
  chunks(): Generator<{ first: number; text: string }>;
}

/** Characters of text or base64 of one leaf, while there is room; and when a report has grown large. */
const MOST = 16 << 10;
const LITTLE = 512;
const LARGE = 96 << 20;
const MAX_RANGES = 400;
const CHUNK_LEAVES = 1024;
const CHUNK_CHARACTERS = 1 << 19;

export function reportData(difference: Difference): ReportData {
  const nodes: NodeColumns = { label: [], parent: [], inside: [], format: [], note: [], start: [], end: [] };
  const leaves: Leaf[] = [];
  const nodeOf: number[] = [];
  const walk = (place: Place, parent: number): void => {
    const index = nodes.label.length;
    nodes.label.push(place.label.toWellFormed());
    nodes.parent.push(parent);
    nodes.inside.push(place.inside ? 1 : 0);
    nodes.format.push(place.format.toWellFormed());
    nodes.note.push(place.note.toWellFormed());
    nodes.start.push(leaves.length);
    nodes.end.push(0);
    const own = (derived: boolean): void => {
      for (const leaf of place.leaves) {
        if ((rankOf(leaf) === "derived") !== derived) continue;
        leaves.push(leaf);
        nodeOf.push(index);
      }
    };
    own(false);
    for (const below of place.below.values()) walk(below, index);
    // What only follows stands behind what it follows from.
    own(true);
    nodes.end[index] = leaves.length;
  };
  walk(placesOf(difference), -1);
  return {
    nodes,
    ...columnsOf(leaves, nodeOf),
    numbers: new Map(leaves.map((leaf, at) => [leaf, at])),
    chunks: () => chunksOf(leaves),
  };
}

function columnsOf(
  leaves: readonly Leaf[],
  nodeOf: readonly number[],
): Pick<ReportData, "node" | "kind" | "rows" | "kinds"> {
  const found = new Map<string, ReportHead["kinds"][number]>();
  for (const leaf of leaves) {
    const name = kindOf(leaf);
    const kind = found.get(name) ?? { name: name.toWellFormed(), rank: RANKS.indexOf(rankOf(leaf)), count: 0 };
    kind.count++;
    kind.rank = Math.min(kind.rank, RANKS.indexOf(rankOf(leaf)));
    found.set(name, kind);
  }
  const sorted = [...found].sort(([, a], [, b]) => a.rank - b.rank || b.count - a.count);
  const numbers = new Map(sorted.map(([name], at) => [name, at]));
  return {
    node: Uint32Array.from(nodeOf),
    kind: Uint16Array.from(leaves, (leaf) => Math.min(numbers.get(kindOf(leaf)) ?? 0, 0xffff)),
    rows: Uint16Array.from(leaves, rowsExpected),
    kinds: sorted.slice(0, 0x10000).map(([, kind]) => kind),
  };
}

/** Rows that a leaf will have, as far as one can tell without laying it out. */
function rowsExpected(leaf: Leaf): number {
  const notes = leaf.note === undefined ? 0 : 1;
  if (isLines(leaf)) return notes + Math.min(1000, Math.max(lineCount(leaf, "a"), lineCount(leaf, "b")));
  const { a, b } = leafBytes(leaf);
  if (isHex(leaf)) return notes + 2 + Math.min(120, Math.ceil(Math.max(a, b) / 16) + leaf.ranges.length);
  if (leaf.what === "only-a" || leaf.what === "only-b")
    return notes + 1 + lineCount(leaf, leaf.what === "only-a" ? "a" : "b");
  return notes + (leaf.a === undefined && leaf.b === undefined ? 0 : leaf.field?.endsWith("time") === true ? 2 : 1);
}

const lineCount = (leaf: Leaf, side: "a" | "b"): number => sideText(leaf, side)?.lines.length ?? 0;

function* chunksOf(leaves: readonly Leaf[]): Generator<{ first: number; text: string }> {
  let [first, size, total] = [0, 0, 0];
  let texts: string[] = [];
  for (const [at, leaf] of leaves.entries()) {
    const text = JSON.stringify(leafData(leaf, total > LARGE ? LITTLE : MOST));
    texts.push(text);
    size += text.length;
    total += text.length;
    if (texts.length < CHUNK_LEAVES && size < CHUNK_CHARACTERS && at < leaves.length - 1) continue;
    yield { first, text: `[${texts.join(",")}]` };
    [first, size, texts] = [at + 1, 0, []];
  }
}

function leafData(leaf: Leaf, most: number): LeafData {
  const only = leaf.what === "only-a" || leaf.what === "only-b";
  const value = leaf.what === "only-a" ? leaf.a : leaf.b;
  const ranges = leaf.ranges.slice(0, MAX_RANGES).flatMap(({ a, b }) => [a.offset, a.length, b.offset, b.length]);
  const more = leaf.ranges.length - ranges.length / 4;
  const data: LeafData = {
    ...(ranges.length > 0 ? { r: ranges } : {}),
    ...(more > 0 ? { m: more } : {}),
    ...(only && value !== undefined ? { v: value.toWellFormed() } : {}),
    ...(leaf.note === undefined ? {} : { n: leaf.note.toWellFormed() }),
  };
  if (isHex(leaf)) return { ...data, s: "h", ...bytesData(leaf, most) };
  const [a, b] = [fullText(leaf, "a"), fullText(leaf, "b")];
  const cut = Math.max(0, (a?.length ?? 0) - most) + Math.max(0, (b?.length ?? 0) - most);
  const lines = only ? a !== undefined || b !== undefined : isLines(leaf);
  const ends =
    leaf.what === "text"
      ? (a !== "" && a?.endsWith("\n") === false ? 1 : 0) + (b !== "" && b?.endsWith("\n") === false ? 2 : 0)
      : 0;
  return {
    ...data,
    ...(a === undefined ? {} : { a: a.slice(0, most).toWellFormed() }),
    ...(b === undefined ? {} : { b: b.slice(0, most).toWellFormed() }),
    ...(lines ? { s: "t" } : {}),
    ...(ends > 0 && cut === 0 ? { o: ends } : {}),
    ...(cut > 0 ? { c: cut } : {}),
  };
}

/** Bytes in the report, 32 of context before the first range included. */
function bytesData(leaf: Leaf, most: number): Partial<LeafData> {
  const before = 32;
  const room = most >> 2;
  const [first] = leaf.ranges;
  const skip = (at: number | undefined, offset: number | undefined): number =>
    at === undefined || offset === undefined ? 0 : Math.max(0, offset - (offset % 16) - before - at);
  const common = Math.min(skip(leaf.atA, first?.a.offset), skip(leaf.atB, first?.b.offset));
  const [skipA, skipB] = [
    leaf.bytesA === undefined || leaf.bytesB === undefined ? 0 : common,
    leaf.bytesA === undefined || leaf.bytesB === undefined ? 0 : common,
  ];
  const pieceA = (leaf.bytesA ?? new Uint8Array(0)).subarray(skipA, skipA + room);
  const pieceB = (leaf.bytesB ?? new Uint8Array(0)).subarray(skipB, skipB + room);
  const { a, b } = leafBytes(leaf);
  const cut = Math.max(0, a - pieceA.length) + Math.max(0, b - pieceB.length);
  return {
    ...(pieceA.length > 0 ? { A: base64(pieceA) } : {}),
    ...(pieceB.length > 0 ? { B: base64(pieceB) } : {}),
    ...(leaf.atA === undefined && leaf.atB === undefined
      ? {}
      : { p: [(leaf.atA ?? 0) + skipA, (leaf.atB ?? 0) + skipB] }),
    ...(cut > 0 ? { c: cut } : {}),
  };
}
