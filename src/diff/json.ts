import { base64 } from "../bytes.ts";
import type { Json, JsonObject } from "../json.ts";
import type { Difference, Leaf } from "./difference.ts";
import { summaryOf } from "./difference.ts";

/** The version of the document: `schemas/diff.schema.json` describes it. */
export const DIFF_JSON_VERSION = 1;

/** Bytes of an excerpt in the document. */
const MAX_SHOWN = 1024;
/** Ranges of a leaf in the document; `moreRanges` counts the others. */
const MAX_RANGES = 100;

/**
 * A difference as a plain JSON document; of `undefined`, which `diff` gives
 * for equal inputs, the document that says so. Excerpts are base64 of at most
 * 1024 bytes. Text that came from the inputs is as it is: whoever shows it
 * must escape it.
 */
export function differenceJson(difference: Difference | undefined): JsonObject {
  if (difference === undefined) return { version: DIFF_JSON_VERSION, equal: true };
  const { leaves, byWhat, files, bytesA, bytesB } = summaryOf(difference);
  return {
    version: DIFF_JSON_VERSION,
    equal: false,
    summary: { leaves, byWhat, files: files.map(wellFormed), bytesA, bytesB },
    difference: nodeJson(difference),
  };
}

function nodeJson(node: Difference): JsonObject {
  return {
    kind: "node",
    path: node.path.map(wellFormed),
    format: node.format,
    ...optional("note", node.note),
    children: node.children.map((child): Json => (child.kind === "leaf" ? leafJson(child) : nodeJson(child))),
  };
}

function leafJson(leaf: Leaf): JsonObject {
  const ranges = leaf.ranges.slice(0, MAX_RANGES).map(({ a, b }) => ({
    a: { offset: a.offset, length: a.length },
    b: { offset: b.offset, length: b.length },
  }));
  const more = leaf.ranges.length - ranges.length;
  return {
    kind: "leaf",
    path: leaf.path.map(wellFormed),
    what: leaf.what,
    ...optional("field", leaf.field),
    ...optional("a", leaf.a),
    ...optional("b", leaf.b),
    ranges,
    ...(more > 0 ? { moreRanges: more } : {}),
    ...excerptJson("excerptA", leaf.bytesA, leaf.atA),
    ...excerptJson("excerptB", leaf.bytesB, leaf.atB),
    ...optional("note", leaf.note),
  };
}

function optional(key: string, value: string | undefined): JsonObject {
  return value === undefined ? {} : { [key]: wellFormed(value) };
}

function excerptJson(key: string, bytes: Uint8Array | undefined, at: number | undefined): JsonObject {
  if (bytes === undefined) return {};
  return {
    [key]: {
      ...(at === undefined ? {} : { offset: at }),
      base64: base64(bytes.subarray(0, MAX_SHOWN)),
      ...(bytes.length > MAX_SHOWN ? { omitted: bytes.length - MAX_SHOWN } : {}),
    },
  };
}

/** Values are cut by length, which may cut a surrogate pair in two. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}
