import { derived, field, group, type Part } from "./part.ts";
import type { Span } from "./json-index.ts";

/**
 * Mappings of a source map (ECMA-426, section "Mappings grammar"): a group for
 * each generated line, in it a segment for each mapping. A segment is called by
 * the place in the sources that it stands for, since the generated column moves
 * with everything before it; what it shows is that column.
 */
const MAX_SEGMENTS = 16 << 20;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE: Int8Array = new Int8Array(128).fill(-1);
for (let digit = 0; digit < 64; digit++) VALUE[DIGITS.charCodeAt(digit)] = digit;

/** Sources without the way up, which depends on where the map stands. */
export function sourceNames(sources: readonly string[]): string[] {
  return sources.map((source) => source.replace(/^(?:\.\.?\/)+/, ""));
}

interface State {
  source: number;
  line: number;
  column: number;
  name: number;
}

/** `value` is the string with its quotes. What is no proper segment is shown as it is. */
export function* mappingParts(
  bytes: Uint8Array,
  value: Span,
  sources: readonly string[],
  names: readonly string[],
): Generator<Part> {
  const state: State = { source: 0, line: 0, column: 0, name: 0 };
  const last = value.end - 1;
  let number = 1;
  let segments = 0;
  for (let at = value.start + 1; at < last; number++) {
    const stop = bytes.indexOf(0x3b, at);
    const end = stop < 0 || stop >= last ? last : stop + 1;
    const before = { ...state };
    const from = at;
    segments += advance(bytes, from, end, state);
    // Lines are decoded anew when they are opened, so that one state a line is all that is kept.
    if (segments <= MAX_SEGMENTS) {
      yield group(`line ${number}`, from, end - from, () => lineParts(bytes, from, end, before, sources, names));
    } else yield field(`line ${number}`, from, end - from);
    at = end;
  }
}

function advance(bytes: Uint8Array, from: number, end: number, state: State): number {
  let segments = 0;
  for (const segment of segmentsOf(bytes, from, end)) {
    segments++;
    move(state, segment.values);
  }
  return segments;
}

function move(state: State, values: readonly number[]): void {
  if (values.length < 4) return;
  state.source += values[1] ?? 0;
  state.line += values[2] ?? 0;
  state.column += values[3] ?? 0;
  state.name += values[4] ?? 0;
}

function* lineParts(
  bytes: Uint8Array,
  from: number,
  end: number,
  before: State,
  sources: readonly string[],
  names: readonly string[],
): Generator<Part> {
  const state = { ...before };
  let column = 0;
  for (const { start, stop, values } of segmentsOf(bytes, from, end)) {
    column += values[0] ?? 0;
    move(state, values);
    const here = column;
    const named = values.length > 4 ? ` (${names[state.name] ?? `name ${state.name}`})` : "";
    const source = sources[state.source] ?? `source ${state.source}`;
    const key = values.length < 4 ? "unmapped" : `${source}:${state.line + 1}:${state.column + 1}${named}`;
    if (stop > start) yield field(key, start, stop - start, () => `column ${here + 1}`);
    if (stop < end) yield derived("punctuation", stop, 1);
  }
}

interface Segment {
  start: number;
  stop: number;
  values: number[];
}

/** Base64 VLQ: five bits a digit, the lowest group first, the lowest bit of all the sign. */
function* segmentsOf(bytes: Uint8Array, from: number, end: number): Generator<Segment> {
  let start = from;
  let values: number[] = [];
  let value = 0;
  let shift = 0;
  for (let at = from; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x2c || byte === 0x3b) {
      yield { start, stop: at, values };
      values = [];
      start = at + 1;
      value = shift = 0;
      continue;
    }
    const digit = byte < 128 ? (VALUE[byte] ?? -1) : -1;
    if (digit < 0 || shift > 30 || values.length > 4) continue;
    value += (digit & 31) * 2 ** shift;
    if ((digit & 32) !== 0) shift += 5;
    else {
      values.push(value % 2 === 0 ? value / 2 : -(value - 1) / 2);
      value = shift = 0;
    }
  }
  if (start < end) yield { start, stop: end, values };
}
