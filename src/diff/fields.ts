import { equalBytes } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { type Comparison, counted, fieldText, isFull, MAX_EXCERPT, rangeOf } from "./comparison.ts";
import type { Leaf, Range } from "./difference.ts";

/** A named piece of a header. The spans of a header leave no gaps, so that no byte of it goes unnoticed. */
export interface Span {
  field: string;
  offset: number;
  length: number;
}

export interface Spans {
  source: ByteSource;
  spans: readonly Span[];
}

interface FieldDifference {
  ranges: { a: Range; b: Range }[];
  a: Uint8Array[];
  b: Uint8Array[];
}

/**
 * The fields whose bytes differ. Spans are matched by name and occurrence;
 * `fieldOf` names what several spans tell together (a tar name may stand in
 * three places). A span that one side lacks is empty there.
 */
function differingFields(a: Spans, b: Spans, fieldOf: (span: string) => string): Map<string, FieldDifference> {
  const left = keyed(a.spans);
  const right = keyed(b.spans);
  const found = new Map<string, FieldDifference>();
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const spanA = left.get(key);
    const spanB = right.get(key);
    const bytesA = bytesOf(a.source, spanA);
    const bytesB = bytesOf(b.source, spanB);
    if (spanA !== undefined && spanB !== undefined && equalBytes(bytesA, bytesB)) continue;
    const field = fieldOf((spanA ?? spanB)?.field ?? "");
    const difference = found.get(field) ?? { ranges: [], a: [], b: [] };
    difference.ranges.push({
      a: rangeOf(spanA?.offset ?? a.spans[0]?.offset ?? 0, spanA?.length ?? 0),
      b: rangeOf(spanB?.offset ?? b.spans[0]?.offset ?? 0, spanB?.length ?? 0),
    });
    difference.a.push(bytesA.slice());
    difference.b.push(bytesB.slice());
    found.set(field, difference);
  }
  return found;
}

const NOTHING = new Uint8Array(0);

function bytesOf(source: ByteSource, span: Span | undefined): Uint8Array {
  return span === undefined ? NOTHING : source.read(span.offset, span.length);
}

function keyed(spans: readonly Span[]): Map<string, Span> {
  const keys = new Map<string, Span>();
  for (const span of spans) {
    let key = span.field;
    for (let occurrence = 2; keys.has(key); occurrence++) key = `${span.field}\0${occurrence}`;
    keys.set(key, span);
  }
  return keys;
}

/** What follows from other differences in a container, gathered so that it does not drown them. */
export interface Derived {
  ranges: { a: Range; b: Range }[];
  /** Ranges beyond those kept. */
  more: number;
}

const MAX_DERIVED = 1000;
export const DERIVED = "derived";

export function newDerived(): Derived {
  return { ranges: [], more: 0 };
}

export interface Reading {
  /** The logical field of a span; `derived` for what follows from others. */
  fieldOf(span: string): string;
  /** The values of a field, for showing and matching; undefined: the bytes as text. */
  valueOf(field: string, side: "a" | "b"): string | undefined;
  noteOf?(field: string): string | undefined;
}

/** A leaf for each field that differs; derived ones go to `derived`. */
export function fieldLeaves(
  comparison: Comparison,
  path: string[],
  a: Spans,
  b: Spans,
  reading: Reading,
  derived: Derived,
): Leaf[] {
  const leaves: Leaf[] = [];
  for (const [field, difference] of differingFields(a, b, (span) => reading.fieldOf(span))) {
    if (field === DERIVED) {
      addDerived(derived, difference.ranges);
      continue;
    }
    const value = (side: "a" | "b"): string =>
      reading.valueOf(field, side) ?? fieldText(new Uint8Array(Buffer.concat(difference[side])));
    const shown = { a: value("a"), b: value("b") };
    const note = reading.noteOf?.(field) ?? (shown.a === shown.b ? "the same value, written differently" : undefined);
    leaves.push(
      counted(comparison, {
        kind: "leaf",
        path,
        what: "field",
        field,
        ...shown,
        ranges: difference.ranges,
        bytesA: new Uint8Array(Buffer.concat(difference.a).subarray(0, MAX_EXCERPT)),
        bytesB: new Uint8Array(Buffer.concat(difference.b).subarray(0, MAX_EXCERPT)),
        ...(note === undefined ? {} : { note }),
      }),
    );
  }
  return leaves;
}

export function addDerived(derived: Derived, ranges: readonly { a: Range; b: Range }[]): void {
  for (const range of ranges) {
    if (derived.ranges.length < MAX_DERIVED) {
      derived.ranges.push(range);
      continue;
    }
    const last = derived.ranges.at(-1);
    if (last === undefined) return;
    last.a = spanning(last.a, range.a);
    last.b = spanning(last.b, range.b);
    derived.more++;
  }
}

function spanning(one: Range, other: Range): Range {
  const offset = Math.min(one.offset, other.offset);
  return rangeOf(offset, Math.max(one.offset + one.length, other.offset + other.length) - offset);
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

/** A leaf for an order that differs among the names both sides have; undefined when it does not. */
export function orderLeaf(
  comparison: Comparison,
  path: string[],
  a: readonly string[],
  b: readonly string[],
  note: string,
): Leaf | undefined {
  const inA = new Set(a);
  const inB = new Set(b);
  const left = a.filter((name) => inB.has(name));
  const right = b.filter((name) => inA.has(name));
  const at = left.findIndex((name, index) => name !== right[index]);
  if (at < 0) return undefined;
  const shown = (names: readonly string[]): string =>
    `from place ${at + 1}: ${names
      .slice(at, at + 8)
      .map((name) => name.slice(0, 200))
      .join(", ")}`;
  return counted(comparison, {
    kind: "leaf",
    path,
    what: "order",
    a: shown(left),
    b: shown(right),
    ranges: [],
    bytesA: orderBytes(left, at),
    bytesB: orderBytes(right, at),
    note,
  });
}

function orderBytes(names: readonly string[], at: number): Uint8Array {
  let text = "";
  for (let index = at; index < names.length && text.length < MAX_EXCERPT / 4; index++) text += `${names[index]}\n`;
  return new Uint8Array(Buffer.from(text));
}
