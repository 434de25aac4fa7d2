import type { Leaf, Range } from "../diff/difference.ts";
import { placeOf } from "./explain.ts";
import type { Place } from "./group-testing.ts";

/**
 * Parts of places. Builds are compared with one of them, the control, and what
 * differs is counted in the control's bytes: so a line in which no two equal
 * builds agree can be set aside, and the lines beside it still be asked for.
 */
export interface Span {
  from: number;
  to: number;
}

/** What differs from the control, by place and in order. */
export type Spots = ReadonlyMap<Place, readonly Span[]>;

/** All of a place that has no bytes to count: a field, a name. */
export const WHOLE: Span = { from: 0, to: Infinity };

/** Bytes between two that differ which are the same by chance. */
const CHANCE = 16;

/** Longer runs of lines are not cut, nor looked through for lines that moved within them. */
const MOST_LINES = 64;

/** Whether two values that differ do so for a reason that is known. */
export type Excused = (a: string, b: string) => boolean;

/** What differs, as exactly as the comparison has it: line by line where lines were replaced one for one. */
export function spotsOf(leaves: Iterable<Leaf>, excused: Excused = () => false): Map<Place, Span[]> {
  return gathered(leaves, (run) => (isMoved(run) ? [around(run)] : run.flatMap((leaf) => parts(leaf, excused))));
}

/** What differs between equal builds: lines that moved with all between them, values with what agreed by chance. */
export function noiseOf(leaves: Iterable<Leaf>): Map<Place, Span[]> {
  const found = gathered(leaves, (run) => (isMoved(run) ? [around(run)] : run.flatMap(rangesOf)));
  return new Map([...found].map(([place, spans]) => [place, merged(spans, CHANCE)]));
}

/** Whether the two sides of a leaf, or of those that stand beside it, hold the same lines or words in another order. */
export function movedLeaves(leaves: readonly Leaf[]): Set<Leaf> {
  const moved = new Set<Leaf>();
  for (const run of runsOf(leaves.filter(isCounted))) {
    if (isMoved(run) || (run.length === 1 && run[0] !== undefined && sameWords(run[0]))) {
      for (const leaf of run) moved.add(leaf);
    }
  }
  return moved;
}

const isCounted = (leaf: Leaf): boolean =>
  leaf.ranges.length > 0 && (leaf.what === "text" || leaf.what === "bytes" || leaf.what === "order");

const isMoved = (run: readonly Leaf[]): boolean => run.length > 1 || run[0]?.what === "order";

function gathered(leaves: Iterable<Leaf>, spans: (run: readonly Leaf[]) => Span[]): Map<Place, Span[]> {
  const found = new Map<Place, Span[]>();
  for (const [place, members] of Map.groupBy(leaves, placeOf)) {
    const counted = members.filter(isCounted);
    // A name with a digest is another wherever the content is: beside that it says nothing.
    const silent = counted.length === 0 ? 0 : members.filter(({ field }) => field === "name").length;
    const here = counted.length + silent < members.length ? [WHOLE] : runsOf(counted).flatMap(spans);
    if (here.length > 0) found.set(place, merged(here, -1));
  }
  return found;
}

/** Leaves beside one another that hold the same lines on both sides, all told; the others by themselves. */
function runsOf(leaves: readonly Leaf[]): Leaf[][] {
  const runs: Leaf[][] = [];
  for (const members of Map.groupBy(leaves, placeOf).values()) {
    const sorted = members.toSorted((a, b) => (a.ranges[0]?.a.offset ?? 0) - (b.ranges[0]?.a.offset ?? 0));
    for (let from = 0; from < sorted.length;) {
      const many = permuted(sorted.slice(from, from + MOST_LINES));
      runs.push(sorted.slice(from, from + many));
      from += many;
    }
  }
  return runs;
}

/** How many of these, from the first on, only change places with one another; at least one. */
function permuted(leaves: readonly Leaf[]): number {
  const balance = new Map<string, number>();
  const count = (line: string, by: number): void => {
    const sum = (balance.get(line) ?? 0) + by;
    if (sum === 0) balance.delete(line);
    else balance.set(line, sum);
  };
  for (const [index, leaf] of leaves.entries()) {
    const [a, b] = [linesOf(leaf, "a"), linesOf(leaf, "b")];
    if (leaf.what !== "text" || a === undefined || b === undefined) break;
    for (const line of a) count(line, 1);
    for (const line of b) count(line, -1);
    if (balance.size === 0) return index + 1;
  }
  return 1;
}

/** All of a leaf's lines; undefined when they are not all at hand. */
function linesOf(leaf: Leaf, side: "a" | "b"): string[] | undefined {
  const [bytes, at] = side === "a" ? [leaf.bytesA, leaf.atA] : [leaf.bytesB, leaf.atB];
  const [range] = leaf.ranges;
  if (range === undefined || leaf.ranges.length !== 1) return undefined;
  if (range[side].length === 0) return [];
  if (bytes === undefined || at !== range[side].offset || bytes.length !== range[side].length) return undefined;
  return Buffer.from(bytes)
    .toString("latin1")
    .split(/(?<=\n)/);
}

/** From the first of them to the last, and to where on the control's side the others have what moved. */
function around(run: readonly Leaf[]): Span {
  const spans = run.flatMap(rangesOf);
  return { from: Math.min(...spans.map(({ from }) => from)), to: Math.max(...spans.map(({ to }) => to)) };
}

const rangesOf = (leaf: Leaf): Span[] => leaf.ranges.map(({ a }) => spanOf(a));

const spanOf = ({ offset, length }: Range): Span => ({ from: offset, to: offset + length });

/** A leaf's spans: its lines where each was replaced by one, else its ranges. */
function parts(leaf: Leaf, excused: Excused): Span[] {
  const [a, b] = [linesOf(leaf, "a"), linesOf(leaf, "b")];
  if (leaf.what === "text" && a !== undefined && a.length === b?.length && a.length <= MOST_LINES) {
    const spans: Span[] = [];
    let at = leaf.ranges[0]?.a.offset ?? 0;
    for (const [index, line] of a.entries()) {
      const other = b[index] ?? "";
      if (line !== other && !excused(line, other)) spans.push({ from: at, to: at + line.length });
      at += line.length;
    }
    return spans;
  }
  const [whole, other] = [leaf.bytesA, leaf.bytesB].map((bytes) => Buffer.from(bytes ?? []).toString("latin1"));
  return whole !== undefined && other !== undefined && whole !== other && excused(whole, other) ? [] : rangesOf(leaf);
}

/** In order; those that overlap, or have at most `gap` between them, as one. */
function merged(spans: readonly Span[], gap: number): Span[] {
  const found: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    const last = found.at(-1);
    if (last !== undefined && (span.from - last.to <= gap || span.to <= last.to)) last.to = Math.max(last.to, span.to);
    else found.push({ ...span });
  }
  return found;
}

/** `spots` and `more`, as one. */
export function union(spots: Spots, more: Spots): Map<Place, Span[]> {
  const all = new Map<Place, Span[]>([...spots].map(([place, spans]) => [place, [...spans]]));
  for (const [place, spans] of more) all.set(place, merged([...(all.get(place) ?? []), ...spans], CHANCE));
  return all;
}

/** What of `spots` is not noise. */
export function without(spots: Spots, noise: Spots): Map<Place, Span[]> {
  const left = new Map<Place, Span[]>();
  for (const [place, spans] of spots) {
    const rest = spans.flatMap((span) => outside(span, noise.get(place) ?? []));
    if (rest.length > 0) left.set(place, rest);
  }
  return left;
}

function outside(span: Span, noise: readonly Span[]): Span[] {
  let rest = [span];
  for (const one of noise) {
    rest = rest.flatMap((part) =>
      !touches(part, one)
        ? [part]
        : [
            { from: part.from, to: Math.min(part.to, one.from) },
            { from: Math.max(part.from, one.to), to: part.to },
          ].filter(({ from, to }) => from < to),
    );
  }
  return rest;
}

/** Whether two have a byte in common, or one, which is empty, lies in the other or at its ends. */
export function touches(a: Span, b: Span): boolean {
  if (a.from === a.to || b.from === b.to) return a.from <= b.to && b.from <= a.to;
  return a.from < b.to && b.from < a.to;
}

export type Ranges = readonly { a: Range; b: Range }[];

/** Where `span`, counted in the first side's bytes, lies in the second's: what differs there all in all. */
export function translated(span: Span, differing: Ranges): Span {
  if (span.to === Infinity) return span;
  const first = position(span.from, differing);
  const last = span.to > span.from ? position(span.to - 1, differing) : first;
  const end = span.to > span.from && last.from === last.to ? last.to + 1 : last.to;
  return { from: Math.min(first.from, last.from), to: Math.max(first.to, end) };
}

/** A differing byte is somewhere in what stands there instead; one that is the same has as many of these before it. */
function position(at: number, differing: Ranges): Span {
  const within = differing.find(({ a }) => a.offset <= at && at < a.offset + a.length);
  if (within !== undefined) return spanOf(within.b);
  const before = differing.filter(({ a }) => a.offset + a.length <= at);
  let there = at - before.reduce((sum, { a }) => sum + a.length, 0);
  for (const { b } of differing.toSorted((x, y) => x.b.offset - y.b.offset)) {
    if (b.offset <= there) there += b.length;
  }
  return { from: there, to: there };
}

/** Same words, at least two that are not alike, in another order: a listing on one line. */
function sameWords({ bytesA, bytesB, what }: Leaf): boolean {
  if (bytesA === undefined || bytesB === undefined || what === "field") return false;
  const [a, b] = [bytesA, bytesB].map(
    (bytes) =>
      Buffer.from(bytes)
        .toString("latin1")
        .match(/[\w.-]+/g) ?? [],
  );
  if (a === undefined || a.length !== b?.length || a.join(" ") === b.join(" ")) return false;
  return new Set(a).size > 1 && a.toSorted().join(" ") === b.toSorted().join(" ");
}
