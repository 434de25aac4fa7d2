import { type ByteSource, equalSources, partOf } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { Spooled } from "../format/spool.ts";
import type { Part } from "../format/part.ts";
import { byteLeaves, differingRanges } from "./bytes.ts";
import { counted, rangeOf } from "./comparison.ts";
import type { Space } from "./space.ts";
import { inflated, withBoth } from "./inflated.ts";
import type { Difference, Leaf, Range } from "./difference.ts";
import { addDerived } from "./fields.ts";
import { rangeIn } from "./ranges.ts";

interface Pair {
  one: Part;
  other: Part;
  path: string[];
}

/** The contents of one list of parts, some of which are stored in several pieces. */
export interface Stored {
  /** Remembers a pair whose content may differ although its first stored piece does not. */
  meet(one: Part, other: Part): void;
  /** A further piece of a stored form differs. */
  differs(one: Part, other: Part): void;
  /** A further piece stands on one side only. */
  onlyHere(part: Part, ranges: { a: Range; b: Range }): void;
  /** Looks into a pair of contents whose bytes differ. */
  content(space: Space, path: string[], one: Part, other: Part): Promise<void>;
  /** Looks into what differs only in further pieces, and tells what of the stored forms differs. */
  finish(space: Space, path: string[]): Promise<void>;
}

export function contentsOf(): Stored {
  const met = new Map<string, Pair>();
  const pieces = new Map<string, { a: Range; b: Range }[]>();
  /** Whether the contents of a key were equal, once looked into. */
  const looked = new Map<string, boolean>();
  const add = (key: string, range: { a: Range; b: Range }): void => {
    const ranges = pieces.get(key);
    if (ranges === undefined) pieces.set(key, [range]);
    else ranges.push(range);
  };
  return {
    meet(one, other) {
      if (one.kind === "content" && other.kind === "content" && one.decode !== undefined && one.key === other.key)
        met.set(one.key, { one, other, path: [] });
    },
    differs(one, other) {
      add(one.key, { a: rangeIn(one), b: rangeIn(other) });
    },
    onlyHere: (part, ranges) => add(part.key, ranges),
    async content(space, path, one, other) {
      const found = await lookInto(space, path, one, other);
      looked.set(one.key, found === "equal");
    },
    async finish(space, path) {
      for (const [key, ranges] of pieces) {
        const pair = met.get(key);
        const at = [...path, ...(key === "" ? [] : [key])];
        let equal = looked.get(key);
        if (equal === undefined && pair !== undefined) {
          equal = (await lookInto(space, at, pair.one, pair.other)) === "equal";
        }
        if (equal === false) addDerived(space.derived, ranges);
        else for (const range of ranges) space.children.push(rawLeaf(space, at, range, SAME));
      }
    },
  };
}

const SAME = "the same content, stored otherwise: another compressor, version or level";

/** A listing that is the same says that only its writing differs; a content, that its compression does. */
function sameNote(part: Part, note: string | undefined): string {
  const listing = part.name?.endsWith(".txt") === true && part.decode !== undefined;
  const same = listing ? "it says the same, written in another way" : SAME;
  return note === undefined ? same : `${same}; ${note}`;
}

type Found = "equal" | "differs" | "raw";

/** What a content is, and what of its stored form differs. */
async function lookInto(space: Space, path: string[], one: Part, other: Part): Promise<Found> {
  const { comparison, children } = space;
  const ranges = { a: rangeIn(one), b: rangeIn(other) };
  const stored = one.decode !== undefined || other.decode !== undefined;
  const note = one.compare?.(other, space.a, space.b) ?? one.note;
  const rawDiffers = one.length !== other.length || !equalSources(piece(space.a, one), piece(space.b, other));
  try {
    return await withBoth(
      () => opened(space, space.a, one),
      () => opened(space, space.b, other),
      async (a, b) => {
        const content = await comparison.descend(a, b, path, space.depth + 1);
        if (content === undefined) {
          if (rawDiffers && one.follows === true) addDerived(space.derived, [ranges]);
          else if (rawDiffers) children.push(rawLeaf(space, path, ranges, sameNote(one, note)));
          return "equal";
        }
        content.place = ranges;
        const decoding = one.decode?.name ?? other.decode?.name;
        if (decoding !== undefined) content.decoding = decoding;
        if (note !== undefined && content.note === undefined) content.note = note;
        children.push(content);
        if (stored && rawDiffers) addDerived(space.derived, [ranges]);
        return "differs";
      },
    );
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    const why = `not decoded: ${messageOf(error)}`;
    const [a, b] = [piece(space.a, one), piece(space.b, other)];
    const leaves = byteLeaves(comparison, a, b, path);
    const node: Difference = { kind: "node", path, format: "bytes", children: leaves, note: why, place: ranges };
    node.sizes = { a: a.size, b: b.size };
    comparison.finished(node, a, b);
    children.push(node);
    return "raw";
  }
}

function piece(source: ByteSource, part: Part): ByteSource {
  return partOf(source, part.offset, part.length, part.name ?? part.key);
}

async function opened(space: Space, source: ByteSource, part: Part): Promise<Spooled> {
  const { decode } = part;
  const known = space.opened.get(part);
  if (known !== undefined) return { source: known, close: () => undefined };
  const name = part.name ?? (part.key === "" ? source.name : part.key);
  if (decode === undefined) return { source: piece(source, { ...part, name }), close: () => undefined };
  return await inflated(space.comparison, name, (sink, limits) => decode.run(sink, limits));
}

/** Stored forms that differ though their content does not: the compressor's own choice. */
function rawLeaf(space: Space, path: string[], ranges: { a: Range; b: Range }, note: string): Leaf {
  const [a, b] = [partOf(space.a, ranges.a.offset, ranges.a.length), partOf(space.b, ranges.b.offset, ranges.b.length)];
  const from = differingRanges(a, b)[0]?.a.offset ?? 0;
  const start = (source: ByteSource): Uint8Array =>
    source.read(Math.min(from, source.size), Math.min(256, source.size - Math.min(from, source.size))).slice();
  return counted(space.comparison, {
    kind: "leaf",
    path,
    what: "field",
    field: "compressed",
    a: `${a.size} bytes`,
    b: `${b.size} bytes`,
    ranges: [{ a: rangeOf(ranges.a.offset, a.size), b: rangeOf(ranges.b.offset, b.size) }],
    bytesA: start(a),
    bytesB: start(b),
    atA: ranges.a.offset + from,
    atB: ranges.b.offset + from,
    note,
  });
}
