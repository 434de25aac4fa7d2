/** A leaf as rows of two sides, wrapped to a width: what the page draws. Pure; imports only what the page carries. */
import { type HexRow, hexRows, type RangeNumbers } from "./hex-rows.ts";
import { columnsOf, dateOf, distinct, elapsedWords, visible } from "./visible.ts";
import { linePairs, type Piece, withContext, wordPieces } from "./words.ts";

/** A leaf in the document of a report: short names, since there may be a million. */
export interface LeafData {
  /** Values, or text of many lines; untrusted. */
  a?: string;
  b?: string;
  /** Ranges, four numbers each: offset and length in A, offset and length in B. */
  r?: number[];
  /** Ranges that are not in the document. */
  m?: number;
  /** Bytes of either side, base64, and where they begin (-1: they are the bytes of the ranges, one after the other). */
  A?: string;
  B?: string;
  p?: [number, number];
  /** A note. */
  n?: string;
  /** How it is drawn: lines (t), bytes (h), else values. */
  s?: "t" | "h";
  /** 1 where the text of A, 2 where that of B has no line end at its end; 3 for both. */
  o?: number;
  /** Bytes of it that the report leaves out. */
  c?: number;
  /** The value of what is there on one side only: "file, 12 bytes". */
  v?: string;
}

export type Row =
  | { type: "pair"; a: Piece[] | undefined; b: Piece[] | undefined; changed: boolean; quiet?: boolean }
  | { type: "hex"; hex: HexRow; perRow: number }
  | { type: "words"; text: string };

export interface Measure {
  /** Columns of text on one side. */
  columns: number;
  /** Bytes in a row of a hex view. */
  perRow: number;
}

const CONTEXT = 3;
const MAX_HEX_ROWS = 600;
const MAX_ROWS = 4000;

/** All rows of a leaf but its title. */
export function rowsOf(leaf: LeafData, kind: string, measure: Measure): Row[] {
  const rows: Row[] = [];
  if (leaf.v !== undefined) rows.push({ type: "words", text: visible(leaf.v) });
  if (leaf.s === "t") rows.push(...lineRows(leaf, measure.columns));
  else if (leaf.s === "h") rows.push(...byteRows(leaf, measure.perRow));
  else if (leaf.a !== undefined || leaf.b !== undefined) rows.push(...valueRows(leaf, kind, measure.columns));
  if (rows.length > MAX_ROWS)
    rows.splice(MAX_ROWS, Infinity, { type: "words", text: `… ${rows.length - MAX_ROWS} more rows` });
  if (leaf.n !== undefined) rows.push({ type: "words", text: visible(leaf.n) });
  if (leaf.c !== undefined) rows.push({ type: "words", text: `${leaf.c} more bytes of this are not in the report` });
  return rows;
}

function lineRows(leaf: LeafData, columns: number): Row[] {
  const pairs = linePairs(linesOf(leaf.a), linesOf(leaf.b));
  const ends = leaf.a !== undefined && leaf.b !== undefined && (leaf.o === 1 || leaf.o === 2);
  const last = pairs.at(-1);
  if (ends && last !== undefined) last.changed = true;
  const rows = withContext(pairs, CONTEXT).flatMap((pair): Row[] => {
    if (pair === undefined) return [{ type: "words", text: "…" }];
    const { a, b } = pair;
    if (a !== undefined && b !== undefined && pair.changed) {
      const shown = distinct(a, b);
      const pieces = wordPieces(shown.a, shown.b);
      return pairRows(pieces.a, pieces.b, true, columns);
    }
    return pairRows(
      a === undefined ? undefined : plain(a),
      b === undefined ? undefined : plain(b),
      pair.changed,
      columns,
    );
  });
  if (ends) rows.push({ type: "words", text: `the last line has no line end in ${leaf.o === 1 ? "A" : "B"}` });
  return rows;
}

function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

const plain = (text: string): Piece[] => [{ text: visible(text), marked: false }];

function valueRows(leaf: LeafData, kind: string, columns: number): Row[] {
  const shown = distinct(leaf.a ?? "", leaf.b ?? "");
  const pieces = wordPieces(shown.a, shown.b);
  const rows = pairRows(sideOf(leaf.a, pieces.a), sideOf(leaf.b, pieces.b), true, columns);
  const field = kind.replace(/^field:/, "");
  const [dateA, dateB] = [dateOf(field, leaf.a), dateOf(field, leaf.b)];
  if (dateA !== "" || dateB !== "") {
    const later = dateA !== "" && dateB !== "" ? ` (${elapsedWords(Number(leaf.b) - Number(leaf.a))})` : "";
    rows.push(
      ...pairRows(
        dateA === "" ? undefined : plain(dateA),
        dateB === "" ? undefined : plain(dateB + later),
        false,
        columns,
      ).map((row): Row => (row.type === "pair" ? { ...row, quiet: true } : row)),
    );
  }
  return rows;
}

const sideOf = (value: string | undefined, pieces: Piece[]): Piece[] | undefined =>
  value === undefined ? undefined : value === "" ? plain("(empty)") : pieces;

function byteRows(leaf: LeafData, perRow: number): Row[] {
  const ranges: RangeNumbers[] = [];
  const numbers = leaf.r ?? [];
  for (let at = 0; at + 3 < numbers.length; at += 4)
    ranges.push([numbers[at] ?? 0, numbers[at + 1] ?? 0, numbers[at + 2] ?? 0, numbers[at + 3] ?? 0]);
  const [atA, atB] = leaf.p ?? [-1, -1];
  const a = { bytes: bytesOf(leaf.A), at: atA < 0 ? undefined : atA };
  const b = { bytes: bytesOf(leaf.B), at: atB < 0 ? undefined : atB };
  return hexRows(a, b, ranges, { perRow, context: 1, most: MAX_HEX_ROWS }).flatMap((hex): Row[] => [
    ...(hex.skipped > 0 ? [{ type: "words", text: `… ${hex.skipped} equal bytes` } as const] : []),
    { type: "hex", hex, perRow },
  ]);
}

function bytesOf(text: string | undefined): Uint8Array {
  const binary = atob(text ?? "");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function pairRows(a: Piece[] | undefined, b: Piece[] | undefined, changed: boolean, columns: number): Row[] {
  const left = a === undefined ? [] : wrappedPieces(a, columns);
  const right = b === undefined ? [] : wrappedPieces(b, columns);
  return Array.from({ length: Math.max(left.length, right.length) }, (_, at): Row => ({
    type: "pair",
    a: left[at] ?? (a === undefined ? undefined : []),
    b: right[at] ?? (b === undefined ? undefined : []),
    changed,
  }));
}

/** Pieces broken so that no line is wider than `columns`; at least one line. */
export function wrappedPieces(pieces: readonly Piece[], columns: number): Piece[][] {
  const lines: Piece[][] = [[]];
  let used = 0;
  for (const piece of pieces) {
    let text = "";
    for (const character of piece.text) {
      const wide = columnsOf(character);
      if (used + wide > columns && used > 0) {
        if (text !== "") lines.at(-1)?.push({ text, marked: piece.marked });
        lines.push([]);
        [text, used] = ["", 0];
      }
      text += character;
      used += wide;
    }
    if (text !== "") lines.at(-1)?.push({ text, marked: piece.marked });
  }
  return lines;
}
