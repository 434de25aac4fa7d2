import { base64 } from "../bytes.ts";
import type { JsonObject } from "../json.ts";
import type { Difference, Leaf, Range } from "./difference.ts";
import { summaryOf } from "./difference.ts";
import type { Excluded } from "./exclusion.ts";
import { incompleteIn, type Reading, verdictOf } from "./reading.ts";

/** The version of the document: `schemas/diff.schema.json` describes it. */
export const DIFF_JSON_VERSION = 2;

/** Bytes of excerpts in the document that are given whole; of those after, the first `MAX_SHOWN` each. */
const MAX_WHOLE = 16 << 20;
const MAX_SHOWN = 1024;

/** What is left of `MAX_WHOLE`. */
interface Room {
  bytes: number;
}

/** What is said besides the difference itself. */
export type Besides = Partial<Pick<Reading, "excluded" | "incomplete" | "certificate">>;

/**
 * A difference as a plain JSON document; of `undefined`, which `diff` gives
 * for equal inputs, the document that says so. Ranges are all there, four
 * numbers each: offset and length in A, offset and length in B. Excerpts are
 * base64; once they are 16 MiB together, of their first 1024 bytes. Text that came from the inputs is as it is:
 * whoever shows it must escape it.
 */
export function differenceJson(difference: Difference | undefined, besides: Besides = {}): JsonObject {
  const head = headJson(difference, besides);
  return difference === undefined ? head : { ...head, difference: nodeJson(difference, { bytes: MAX_WHOLE }) };
}

/** The same document as text in pieces: one line for each leaf, and never all of it in memory. */
export function* differenceText(difference: Difference | undefined, besides: Besides = {}): Generator<string> {
  const head = JSON.stringify(headJson(difference, besides), null, 2);
  if (difference === undefined) {
    yield `${head}\n`;
    return;
  }
  yield `${head.slice(0, -2)},\n  "difference": `;
  yield* nodeText(difference, "  ", { bytes: MAX_WHOLE });
  yield "\n}\n";
}

function headJson(difference: Difference | undefined, besides: Besides): JsonObject {
  const excluded = besides.excluded ?? [];
  const incomplete = besides.incomplete ?? incompleteIn(difference);
  const { certificate } = besides;
  return {
    version: DIFF_JSON_VERSION,
    equal: difference === undefined,
    verdict: verdictOf({ difference, excluded }),
    ...(difference === undefined ? {} : { summary: summaryJson(difference) }),
    excluded: excluded.map(excludedJson),
    incomplete: incomplete.map(({ path, why }) => ({ path: path.map(wellFormed), why: wellFormed(why) })),
    ...(certificate === undefined ? {} : { certificate: { ...certificate } }),
  };
}

function summaryJson(difference: Difference): JsonObject {
  const { leaves, byWhat, files, bytesA, bytesB } = summaryOf(difference);
  return { leaves, byWhat, files: files.map(wellFormed), bytesA, bytesB };
}

function excludedJson({ rule, reason, leaves, bytes }: Excluded): JsonObject {
  return { rule: wellFormed(rule), ...optional("reason", reason), leaves, bytes };
}

function nodeHead(node: Difference): JsonObject {
  return {
    kind: "node",
    path: node.path.map(wellFormed),
    format: wellFormed(node.format),
    ...(node.place === undefined ? {} : { place: rangeNumbers(node.place) }),
    ...optional("decoding", node.decoding),
    ...(node.sizes === undefined ? {} : { sizes: { a: node.sizes.a, b: node.sizes.b } }),
    ...optional("note", node.note),
  };
}

function nodeJson(node: Difference, room: Room): JsonObject {
  return {
    ...nodeHead(node),
    children: node.children.map((child) => (child.kind === "leaf" ? leafJson(child, room) : nodeJson(child, room))),
  };
}

function* nodeText(node: Difference, indent: string, room: Room): Generator<string> {
  yield `${JSON.stringify(nodeHead(node)).slice(0, -1)},"children":[`;
  const inner = `${indent}  `;
  for (const [at, child] of node.children.entries()) {
    yield `${at === 0 ? "" : ","}\n${inner}`;
    if (child.kind === "leaf") yield JSON.stringify(leafJson(child, room));
    else yield* nodeText(child, inner, room);
  }
  yield "]}";
}

function leafJson(leaf: Leaf, room: Room): JsonObject {
  return {
    kind: "leaf",
    path: leaf.path.map(wellFormed),
    what: leaf.what,
    ...optional("field", leaf.field),
    ...optional("a", leaf.a),
    ...optional("b", leaf.b),
    ...(leaf.listing === true ? { listing: true } : {}),
    ranges: leaf.ranges.map(rangeNumbers),
    ...excerptJson("excerptA", leaf.bytesA, leaf.atA, room),
    ...excerptJson("excerptB", leaf.bytesB, leaf.atB, room),
    ...optional("note", leaf.note),
  };
}

const rangeNumbers = ({ a, b }: { a: Range; b: Range }): number[] => [a.offset, a.length, b.offset, b.length];

function optional(key: string, value: string | undefined): JsonObject {
  return value === undefined ? {} : { [key]: wellFormed(value) };
}

function excerptJson(key: string, bytes: Uint8Array | undefined, at: number | undefined, room: Room): JsonObject {
  if (bytes === undefined) return {};
  const shown = bytes.length <= room.bytes ? bytes.length : Math.min(bytes.length, MAX_SHOWN);
  room.bytes = Math.max(0, room.bytes - shown);
  return {
    [key]: {
      ...(at === undefined ? {} : { offset: at }),
      base64: base64(bytes.subarray(0, shown)),
      ...(bytes.length > shown ? { omitted: bytes.length - shown } : {}),
    },
  };
}

/** Values are cut by length, which may cut a surrogate pair in two. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}
