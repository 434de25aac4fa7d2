/** Differing bytes as rows of a hex view, both sides aligned; for the terminal and for the page; imports nothing. */

/** Offset and length in A, offset and length in B. */
export type RangeNumbers = readonly [number, number, number, number];

export interface HexSide {
  /** An excerpt; empty where this side has nothing. */
  bytes: Uint8Array;
  /** Where it begins; undefined: it is the bytes of the ranges one after the other. */
  at?: number | undefined;
}

export interface HexRow {
  /** Offsets of the first byte of either side; of a row that only says how much is left out, `skipped`. */
  atA: number;
  atB: number;
  /** A byte, or -1 where the other side has more. */
  a: number[];
  b: number[];
  marked: boolean[];
  /** Equal bytes left out before this row. */
  skipped: number;
}

interface Walk {
  rows: HexRow[];
  perRow: number;
  most: number;
  cells: { a: number; b: number; atA: number; atB: number; marked: boolean }[];
  skipped: number;
}

/**
 * Rows of `perRow` bytes for the ranges, with equal bytes before and after up
 * to a full row, `context` more rows around, and no more than `most` rows.
 */
export function hexRows(
  a: HexSide,
  b: HexSide,
  ranges: readonly RangeNumbers[],
  options: { perRow: number; context: number; most: number },
): HexRow[] {
  const walk: Walk = { rows: [], perRow: options.perRow, most: options.most, cells: [], skipped: 0 };
  const placed = (a.at !== undefined || a.bytes.length === 0) && (b.at !== undefined || b.bytes.length === 0);
  const both = placed && a.bytes.length > 0 && b.bytes.length > 0;
  let [doneA, doneB] = [a.at ?? 0, b.at ?? 0];
  let [usedA, usedB] = [0, 0];
  for (const [index, range] of ranges.entries()) {
    if (walk.rows.length >= walk.most) break;
    const [atA, lengthA, atB, lengthB] = range;
    if (placed) {
      if (index > 0 && atA >= doneA + a.bytes.length && atB >= doneB + b.bytes.length) break;
      if (both) lead(walk, a, b, range, Math.max(0, Math.min(atA - doneA, atB - doneB)), index === 0, options.context);
      differing(walk, a, b, range);
    } else {
      flush(walk);
      const sideA = { bytes: a.bytes.subarray(usedA, usedA + lengthA), at: atA };
      differing(walk, sideA, { bytes: b.bytes.subarray(usedB, usedB + lengthB), at: atB }, range);
      usedA += lengthA;
      usedB += lengthB;
    }
    [doneA, doneB] = [atA + lengthA, atB + lengthB];
  }
  if (both) trail(walk, a, b, doneA, doneB, options.context);
  flush(walk);
  return walk.rows;
}

const byteAt = (side: HexSide, at: number): number => side.bytes[at - (side.at ?? 0)] ?? -1;

/** The `equals` equal bytes before a range: all of them where they are few, or else the end of them, from the beginning of a row. */
function lead(
  walk: Walk,
  a: HexSide,
  b: HexSide,
  range: RangeNumbers,
  equals: number,
  first: boolean,
  context: number,
): void {
  const wanted = (range[0] % walk.perRow) + context * walk.perRow;
  let left = equals;
  if (!first) {
    if (left > wanted + 2 * walk.perRow) {
      const open = walk.cells.length % walk.perRow;
      const closing = (open === 0 ? 0 : walk.perRow - open) + context * walk.perRow;
      equal(walk, a, b, range[0] - left, range[2] - left, Math.min(closing, left));
      left -= Math.min(closing, left);
      flush(walk);
      const shown = Math.min(wanted, left);
      walk.skipped = left - shown;
      left = shown;
    }
  } else left = Math.min(wanted, left);
  equal(walk, a, b, range[0] - left, range[2] - left, left);
}

function trail(walk: Walk, a: HexSide, b: HexSide, atA: number, atB: number, context: number): void {
  const open = walk.cells.length % walk.perRow;
  const wanted = (open === 0 ? 0 : walk.perRow - open) + context * walk.perRow;
  const left = Math.min(a.bytes.length + (a.at ?? 0) - atA, b.bytes.length + (b.at ?? 0) - atB);
  if (left > 0) equal(walk, a, b, atA, atB, Math.min(wanted, left));
}

function equal(walk: Walk, a: HexSide, b: HexSide, atA: number, atB: number, count: number): void {
  for (let at = 0; at < count; at++) {
    const [left, right] = [byteAt(a, atA + at), byteAt(b, atB + at)];
    push(walk, { a: left, b: right, atA: atA + at, atB: atB + at, marked: left !== right });
  }
}

function differing(walk: Walk, a: HexSide, b: HexSide, [atA, lengthA, atB, lengthB]: RangeNumbers): void {
  const long = Math.max(lengthA, lengthB);
  for (let at = 0; at < long && walk.rows.length < walk.most; at++) {
    const left = at < lengthA ? byteAt(a, atA + at) : -1;
    const right = at < lengthB ? byteAt(b, atB + at) : -1;
    // Beyond the excerpts there is nothing to show.
    if (left < 0 && right < 0) return;
    push(walk, {
      a: left,
      b: right,
      atA: atA + Math.min(at, lengthA),
      atB: atB + Math.min(at, lengthB),
      marked: left !== right,
    });
  }
}

function push(walk: Walk, cell: Walk["cells"][number]): void {
  walk.cells.push(cell);
  if (walk.cells.length >= walk.perRow) flush(walk);
}

function flush(walk: Walk): void {
  const [first] = walk.cells;
  if (first !== undefined && walk.rows.length < walk.most) {
    const { cells, skipped } = walk;
    walk.rows.push({
      atA: first.atA,
      atB: first.atB,
      a: cells.map((cell) => cell.a),
      b: cells.map((cell) => cell.b),
      marked: cells.map((cell) => cell.marked),
      skipped,
    });
    walk.skipped = 0;
  }
  walk.cells = [];
}
