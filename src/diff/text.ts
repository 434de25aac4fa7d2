import { diff as myers } from "fast-myers-diff";
import { showable } from "../bytes.ts";
import { type ByteSource, commonSuffix, firstDifference, partOf } from "../bytesource.ts";
import { lineEndings, lineNumbers, lineStarts, looksLikeText } from "../format/text.ts";
import { byteLeaves } from "./bytes.ts";
import { type Comparison, counted, MAX_EXCERPT, rangeOf, shortened } from "./comparison.ts";
import type { Leaf, Range } from "./difference.ts";

/** Comparisons of lines after which the shortest script is given up. */
const MAX_COMPARED = 20_000_000;

/** True when both sides are text, and short enough to be compared line by line. */
export function areTexts(comparison: Comparison, a: ByteSource, b: ByteSource): boolean {
  const { maxText } = comparison.bounds;
  if (a.size > maxText || b.size > maxText) return false;
  // A quick look first: most binaries show themselves at once.
  if ([a, b].some((source) => source.read(0, Math.min(source.size, 4096)).includes(0))) return false;
  return looksLikeText(a.read(0, a.size)) && looksLikeText(b.read(0, b.size));
}

interface Middle {
  /** Offset in the file. */
  at: number;
  bytes: Uint8Array;
  starts: number[];
  numbers: Int32Array;
}

/** A leaf for each run of changed lines; one of the kind `order` when the same lines stand in another order. */
export function textLeaves(comparison: Comparison, a: ByteSource, b: ByteSource, path: string[]): Leaf[] {
  const first = firstDifference(a, b);
  if (first === undefined) return [];
  const from = lineStartBefore(a, first);
  const suffix = commonSuffix(a, b, Math.min(a.size, b.size) - first);
  const shared = suffix - restOfLine(a, b, suffix);
  const left = middleOf(a, from, a.size - shared);
  const right = middleOf(b, from, b.size - shared);
  const endings = endingsOf(left, right);
  if (endings !== undefined && sameBut(left, right, /\r\n?/g, "\n")) {
    return [endingsLeaf(comparison, path, endings, [wholeOf(left, right)])];
  }
  number(left, right, endings !== undefined);
  const most = Math.min(comparison.bounds.maxRegions, comparison.bounds.maxLeaves - comparison.leaves);
  const hunks = hunksOf(left, right, most);
  const { moved, rest } = movedBlocks(left, right, hunks);
  if (rest.length > 0 && sameLines(left, right)) {
    return [leafOf(comparison, left, right, [0, left.starts.length, 0, right.starts.length], path, "order")];
  }
  const leaves = moved.map((block) => leafOf(comparison, left, right, block, path, "order"));
  leaves.push(...rest.flatMap((hunk) => hunkLeaves(comparison, left, right, hunk, path)));
  const between = endings === undefined ? [] : differentBetween(left, right, hunks);
  if (endings !== undefined && between.length > 0) leaves.push(endingsLeaf(comparison, path, endings, between));
  return leaves;
}

function lineStartBefore(source: ByteSource, offset: number): number {
  const before = source.read(0, offset);
  return before.lastIndexOf(0x0a) + 1;
}

/** How much of the common end belongs to a line that began before it on one side at least. */
function restOfLine(a: ByteSource, b: ByteSource, suffix: number): number {
  const begins = (source: ByteSource): boolean =>
    suffix === source.size || source.read(source.size - suffix - 1, 1)[0] === 0x0a;
  if (begins(a) && begins(b)) return 0;
  const end = a.read(a.size - suffix, suffix).indexOf(0x0a);
  return end < 0 ? suffix : end + 1;
}

function middleOf(source: ByteSource, from: number, to: number): Middle {
  const bytes = source.read(from, Math.max(to - from, 0)).slice();
  return { at: from, bytes, starts: lineStarts(bytes), numbers: new Int32Array(0) };
}

function number(a: Middle, b: Middle, anyEnding: boolean): void {
  const known = new Map<string, number>();
  for (const middle of [a, b]) middle.numbers = lineNumbers(middle.bytes, middle.starts, known, anyEnding);
}

interface Endings {
  a: string;
  b: string;
}

/** What most lines of either side end with, where that differs. */
function endingsOf(a: Middle, b: Middle): Endings | undefined {
  const [left, right] = [lineEndings(a.bytes), lineEndings(b.bytes)];
  if (left[0] === undefined || right[0] === undefined || left[0].end === right[0].end) return undefined;
  const shown = (found: typeof left): string => found.map(({ end, count }) => `${end} (${count})`).join(", ");
  return { a: shown(left), b: shown(right) };
}

/** Whether the two are the same once `what` is replaced in both. */
function sameBut(a: Middle, b: Middle, what: RegExp, by: string): boolean {
  const plain = ({ bytes }: Middle): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1").replace(what, by);
  return plain(a) === plain(b);
}

function wholeOf(a: Middle, b: Middle): { a: Range; b: Range } {
  return { a: rangeOf(a.at, a.bytes.length), b: rangeOf(b.at, b.bytes.length) };
}

/** One leaf for lines that are the same but for their ends. */
function endingsLeaf(
  comparison: Comparison,
  path: string[],
  { a, b }: Endings,
  ranges: { a: Range; b: Range }[],
): Leaf {
  const note = "lines end otherwise";
  return counted(comparison, { kind: "leaf", path, what: "field", field: "line endings", a, b, ranges, note });
}

/** Where lines that were paired differ all the same: in their ends. */
function differentBetween(a: Middle, b: Middle, hunks: readonly Hunk[]): { a: Range; b: Range }[] {
  const found: { a: Range; b: Range }[] = [];
  let [fromA, fromB] = [0, 0];
  for (const [toA, nextA, toB, nextB] of [...hunks, [a.starts.length, 0, b.starts.length, 0] as const]) {
    const [startA, endA, startB, endB] = [offsetOf(a, fromA), offsetOf(a, toA), offsetOf(b, fromB), offsetOf(b, toB)];
    if (Buffer.compare(a.bytes.subarray(startA, endA), b.bytes.subarray(startB, endB)) !== 0) {
      found.push({ a: rangeOf(a.at + startA, endA - startA), b: rangeOf(b.at + startB, endB - startB) });
    }
    [fromA, fromB] = [nextA, nextB];
  }
  return found;
}

/** Lines that only one side lost and that only the other gained, word for word: a block that moved. */
function movedBlocks(a: Middle, b: Middle, hunks: readonly Hunk[]): { moved: Hunk[]; rest: Hunk[] } {
  const gained = new Map<string, Hunk>();
  for (const hunk of hunks) if (hunk[0] === hunk[1]) gained.set(linesOf(b, hunk[2], hunk[3]), hunk);
  const moved: Hunk[] = [];
  const taken = new Set<Hunk>();
  for (const hunk of hunks) {
    const [from, to] = hunk;
    const partner = hunk[2] === hunk[3] && isWorthMoving(a, from, to) ? gained.get(linesOf(a, from, to)) : undefined;
    if (partner === undefined || taken.has(partner) || !sameText(a, hunk, b, partner)) continue;
    taken.add(hunk).add(partner);
    moved.push([from, to, partner[2], partner[3]]);
  }
  return { moved, rest: hunks.filter((hunk) => !taken.has(hunk)) };
}

function linesOf(middle: Middle, from: number, to: number): string {
  return middle.numbers.subarray(from, to).join(" ");
}

/** Where lines count as the same whatever they end with, moved ones must be the same to the byte. */
function sameText(a: Middle, lost: Hunk, b: Middle, gained: Hunk): boolean {
  const left = a.bytes.subarray(offsetOf(a, lost[0]), offsetOf(a, lost[1]));
  return Buffer.compare(left, b.bytes.subarray(offsetOf(b, gained[2]), offsetOf(b, gained[3]))) === 0;
}

/** A lone bracket or an empty line that came here and went there did not move. */
function isWorthMoving(middle: Middle, from: number, to: number): boolean {
  let letters = 0;
  for (let at = offsetOf(middle, from); at < offsetOf(middle, to) && letters < 8; at++) {
    if ((middle.bytes[at] ?? 0) > 0x2f) letters++;
  }
  return letters >= 8;
}

function sameLines(a: Middle, b: Middle): boolean {
  if (a.numbers.length !== b.numbers.length || a.bytes.length !== b.bytes.length) return false;
  const left = Int32Array.from(a.numbers).sort();
  const right = Int32Array.from(b.numbers).sort();
  return left.every((number, index) => number === right[index]);
}

type Hunk = readonly [number, number, number, number];

/** Runs of lines that differ: from and to in `a`, from and to in `b`; the last takes all beyond `most`. */
function hunksOf(a: Middle, b: Middle, most: number): Hunk[] {
  const whole: Hunk = [0, a.numbers.length, 0, b.numbers.length];
  if (a.numbers.length === 0 || b.numbers.length === 0) return [whole];
  let compared = 0;
  const hunks: Hunk[] = [];
  const equal = (i: number, j: number): boolean => {
    if (++compared > MAX_COMPARED) throw new TooFar();
    return a.numbers[i] === b.numbers[j];
  };
  try {
    for (const [fromA, toA, fromB, toB] of myers(a.numbers, b.numbers, equal)) {
      if (hunks.length + 1 >= Math.max(most, 1)) return [...hunks, [fromA, whole[1], fromB, whole[3]]];
      hunks.push([fromA, toA, fromB, toB]);
    }
  } catch (error) {
    if (error instanceof TooFar) return [whole];
    throw error;
  }
  return hunks;
}

class TooFar extends Error {}

function offsetOf(middle: Middle, line: number): number {
  return middle.starts[line] ?? middle.bytes.length;
}

/** Hunks too long to show are cut down to the bytes that differ in them. */
function hunkLeaves(comparison: Comparison, a: Middle, b: Middle, hunk: Hunk, path: string[]): Leaf[] {
  const lengthA = offsetOf(a, hunk[1]) - offsetOf(a, hunk[0]);
  const lengthB = offsetOf(b, hunk[3]) - offsetOf(b, hunk[2]);
  if (lengthA <= MAX_EXCERPT && lengthB <= MAX_EXCERPT) return [leafOf(comparison, a, b, hunk, path, "text")];
  const baseA = a.at + offsetOf(a, hunk[0]);
  const baseB = b.at + offsetOf(b, hunk[2]);
  const part = (middle: Middle, from: number, length: number): ByteSource =>
    partOf(
      { name: "text", size: middle.bytes.length, read: (at, count) => middle.bytes.subarray(at, at + count) },
      from,
      length,
    );
  return byteLeaves(comparison, part(a, baseA - a.at, lengthA), part(b, baseB - b.at, lengthB), path, {
    what: "text",
    baseA,
    baseB,
    note: "long lines",
  });
}

function leafOf(
  comparison: Comparison,
  a: Middle,
  b: Middle,
  hunk: Hunk,
  path: string[],
  what: "text" | "order",
): Leaf {
  const range = (middle: Middle, from: number, to: number): { offset: number; length: number } =>
    rangeOf(offsetOf(middle, from), offsetOf(middle, to) - offsetOf(middle, from));
  const rangeA = range(a, hunk[0], hunk[1]);
  const rangeB = range(b, hunk[2], hunk[3]);
  const bytes = (middle: Middle, { offset, length }: { offset: number; length: number }): Uint8Array =>
    middle.bytes.slice(offset, offset + Math.min(length, MAX_EXCERPT));
  const bytesA = bytes(a, rangeA);
  const bytesB = bytes(b, rangeB);
  const note = what === "order" ? "the same lines in another order" : noteOf(a, b, hunk, bytesA, bytesB);
  const marked = note === ONLY_BLANKS ? visible : shortened;
  return counted(comparison, {
    kind: "leaf",
    path,
    what,
    a: marked(showable(bytesA.subarray(0, 8000))),
    b: marked(showable(bytesB.subarray(0, 8000))),
    ranges: [{ a: rangeOf(rangeA.offset + a.at, rangeA.length), b: rangeOf(rangeB.offset + b.at, rangeB.length) }],
    bytesA,
    bytesB,
    atA: rangeA.offset + a.at,
    atB: rangeB.offset + b.at,
    ...(note === undefined ? {} : { note }),
  });
}

const ONLY_BLANKS = "only blanks differ: tabs are shown as →, blanks as ·, carriage returns as ␍";
const MARKS: Readonly<Record<string, string>> = { "\t": "→", " ": "·", "\r": "␍" };

function visible(text: string): string {
  return shortened(text.replace(/[\t \r]/g, (blank) => MARKS[blank] ?? blank));
}

/** What one does not see in the lines themselves. */
function noteOf(a: Middle, b: Middle, hunk: Hunk, bytesA: Uint8Array, bytesB: Uint8Array): string | undefined {
  if (bytesA.length === 0 || bytesB.length === 0) return undefined;
  const bom = (middle: Middle, line: number, bytes: Uint8Array): boolean =>
    middle.at === 0 && line === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const [bomA, bomB] = [bom(a, hunk[0], bytesA), bom(b, hunk[2], bytesB)];
  if (bomA !== bomB) return `a byte order mark is in ${bomA ? "A" : "B"} only`;
  const [textA, textB] = [bytesA, bytesB].map((bytes) => Buffer.from(bytes).toString("latin1"));
  if (textA === undefined || textB === undefined) return undefined;
  if (textA.endsWith("\n") !== textB.endsWith("\n")) {
    return `the last line has no end in ${textA.endsWith("\n") ? "B" : "A"}`;
  }
  return textA.replace(/[\t \r]/g, "") === textB.replace(/[\t \r]/g, "") ? ONLY_BLANKS : undefined;
}
