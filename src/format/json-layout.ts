import { ARRAY, blankEnd, type JsonIndex, type JsonMember, latin1, membersOf, OBJECT } from "./json-index.ts";
import type { Part } from "./part.ts";

/**
 * How a document is laid out, told by its outermost object or array. A blank
 * that is as this makes one expect follows from the outermost ones, so that a
 * document laid out anew differs in a few blanks and not in thousands.
 */
export interface JsonLayout {
  /** What stands before a member on the first level when each has its own line: "\n  "; otherwise undefined. */
  line: string | undefined;
  /** How much deeper each level stands. */
  unit: string;
  colon: string;
  /** After a comma, on one line. */
  comma: string;
}

export function layoutOf(index: JsonIndex): JsonLayout {
  const layout: JsonLayout = { line: undefined, unit: "", colon: "", comma: "" };
  const root = index.roots[0];
  if (root === undefined || index.bytes[root.start] === undefined) return layout;
  const { bytes } = index;
  const first = bytes[root.start];
  if (first !== OBJECT && first !== ARRAY) return layout;
  let at = 0;
  for (const member of membersOf(index, root.start)) {
    const before = latin1(bytes, member.from, blankEnd(bytes, member.from));
    if (at === 0 && before.includes("\n")) {
      layout.line = before;
      layout.unit = before.slice(before.lastIndexOf("\n") + 1);
    }
    if (at === 0 && member.name !== undefined) layout.colon = latin1(bytes, member.colon + 1, member.value.start);
    if (++at === 2) break;
  }
  if (layout.line === undefined) layout.comma = afterFirstComma(index, root.start);
  return layout;
}

/** On the way down through what comes first, until there is a comma. */
function afterFirstComma(index: JsonIndex, root: number): string {
  const { bytes } = index;
  for (let start = root, depth = 0; depth < 8; depth++) {
    const [first, second] = firstTwo(index, start);
    if (second !== undefined) return latin1(bytes, second.from, blankEnd(bytes, second.from));
    const inside = first === undefined ? undefined : bytes[first.value.start];
    if (first === undefined || (inside !== OBJECT && inside !== ARRAY)) return "";
    start = first.value.start;
  }
  return "";
}

function firstTwo(index: JsonIndex, start: number): JsonMember[] {
  const found: JsonMember[] = [];
  for (const member of membersOf(index, start)) if (found.push(member) === 2) break;
  return found;
}

/** A blank from `from` to `to`. `expected`: what the layout makes one expect there, if it says. */
export function blankPart(
  bytes: Uint8Array,
  from: number,
  to: number,
  expected: string | undefined,
  where = "whitespace",
): Part {
  const usual = to - from < 1024 && latin1(bytes, from, to) === expected;
  return {
    key: where,
    label: "whitespace",
    kind: usual ? "derived" : "padding",
    offset: from,
    length: to - from,
    show: () => JSON.stringify(latin1(bytes, from, Math.min(to, from + 100))),
  };
}

/** What stands before the first member of an object or an array `depth` levels deep. */
export function leadingBlank({ line, unit }: JsonLayout, depth: number): string | undefined {
  // The outermost ones are what all others follow from.
  if (depth === 0) return undefined;
  return line === undefined ? "" : line + unit.repeat(depth);
}

/** What stands before the others, and before the closing bracket, where the first has `leading` before it. */
export function followingBlanks(leading: string, layout: JsonLayout, depth: number): { comma: string; close: string } {
  if (!leading.includes("\n")) {
    // In a document of lines what stands on one line has a blank after its commas.
    const comma = depth > 0 && layout.line !== undefined ? " " : layout.comma;
    return { comma, close: leading };
  }
  const { unit } = layout;
  return { comma: leading, close: unit !== "" && leading.endsWith(unit) ? leading.slice(0, -unit.length) : "\n" };
}
