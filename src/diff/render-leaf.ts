/** A leaf's content as lines for a terminal: values beside each other, lines as in a unified diff, bytes as hex. */
import type { styleText } from "node:util";
import type { Leaf } from "./difference.ts";
import { isHex, isLines, sideText } from "./leaf-text.ts";
import { hexRows, type HexRow } from "./report/hex-rows.ts";
import { dateOf, distinct, textColumns, visible } from "./report/visible.ts";
import { type LinePair, linePairs, type Piece, withContext, wordPieces } from "./report/words.ts";

export type Style = Parameters<typeof styleText>[0];

export interface Canvas {
  width: number;
  color: boolean;
  paint(style: Style, text: string): string;
}

/** Equal lines around a changed one in a listing. */
const CONTEXT = 3;

/** The value of a field on one line, where both sides fit: `mtime  1 (date) → 2 (date)`. */
export function valueLines(canvas: Canvas, leaf: Leaf, label: string, most: number): string[] {
  const { a, b } = distinct(leaf.a ?? "", leaf.b ?? "");
  const [dateA, dateB] = [dated(leaf, "a"), dated(leaf, "b")];
  const pieces = wordPieces(a, b);
  const left = leaf.a === undefined ? "(none)" : a === "" ? "(empty)" : a;
  const right = leaf.b === undefined ? "(none)" : b === "" ? "(empty)" : b;
  const columns = textColumns(label) + 2 + textColumns(left + dateA) + 3 + textColumns(right + dateB);
  const painted = (shown: string, value: string, own: readonly Piece[], style: Style, room: number): string =>
    shown === value ? paintPieces(canvas, fitted(own, room), style) : canvas.paint("dim", shown);
  if (columns <= most) {
    const one = painted(left, a, pieces.a, "red", most) + canvas.paint("dim", dateA);
    return [
      `${label}  ${one} ${canvas.paint("dim", "→")} ${painted(right, b, pieces.b, "green", most)}${canvas.paint("dim", dateB)}`,
    ];
  }
  const room = most - 4;
  return [
    label,
    `  ${canvas.paint("red", "-")} ${painted(left, a, pieces.a, "red", room)}${canvas.paint("dim", dateA)}`,
    `  ${canvas.paint("green", "+")} ${painted(right, b, pieces.b, "green", room)}${canvas.paint("dim", dateB)}`,
  ];
}

function dated(leaf: Leaf, side: "a" | "b"): string {
  const date = dateOf(leaf.field, side === "a" ? leaf.a : leaf.b);
  return date === "" ? "" : ` (${date})`;
}

function paintPieces(canvas: Canvas, pieces: readonly Piece[], style: Style): string {
  const strong: Style = [style, "inverse"].flat() as Style;
  const whole = pieces.every((piece) => piece.marked);
  return pieces.map(({ text, marked }) => canvas.paint(marked && !whole ? strong : style, text)).join("");
}

/** Pieces that fit into `room` columns: what is equal gives way first, at its far end or in its middle. */
export function fitted(pieces: readonly Piece[], room: number): Piece[] {
  const total = pieces.reduce((sum, piece) => sum + textColumns(piece.text), 0);
  if (total <= room) return [...pieces];
  const marked = pieces.filter((piece) => piece.marked).reduce((sum, piece) => sum + textColumns(piece.text), 0);
  const share = Math.max(6, Math.floor((room - Math.min(marked, room / 2)) / Math.max(1, pieces.length)));
  const most = Math.max(12, Math.floor((room * 2) / 3 / Math.max(1, pieces.filter((piece) => piece.marked).length)));
  const cut = pieces.map(({ text, marked: differs }, at): Piece => {
    if (differs) return { text: middle(text, most), marked: differs };
    if (pieces.length === 1) return { text: middle(text, room), marked: differs };
    if (at === 0) return { text: lastOf(text, share), marked: differs };
    return { text: at === pieces.length - 1 ? firstOf(text, share) : middle(text, share), marked: differs };
  });
  let left = room;
  return cut.flatMap((piece) => {
    const text = textColumns(piece.text) <= left ? piece.text : left > 1 ? firstOf(piece.text, left) : "";
    left -= textColumns(text);
    return text === "" ? [] : [{ ...piece, text }];
  });
}

/** The beginning of a text, at most `columns` wide. */
export function firstOf(text: string, columns: number): string {
  return textColumns(text) <= columns ? text : `${head([...text], columns - 1)}…`;
}

function lastOf(text: string, columns: number): string {
  return textColumns(text) <= columns ? text : `…${tail([...text], columns - 1)}`;
}

/** Both ends of a text. */
export function middle(text: string, columns: number): string {
  if (textColumns(text) <= columns) return text;
  const characters = [...text];
  return `${head(characters, Math.ceil((columns - 1) / 2))}…${tail(characters, Math.floor((columns - 1) / 2))}`;
}

function head(characters: readonly string[], columns: number): string {
  let used = 0;
  const end = characters.findIndex((character) => (used += textColumns(character)) > columns);
  return characters.slice(0, end < 0 ? undefined : end).join("");
}

const tail = (characters: readonly string[], columns: number): string =>
  [...head(characters.toReversed(), columns)].reverse().join("");

/** What a leaf says beyond its title, at most `most` lines. */
export function bodyLines(canvas: Canvas, leaf: Leaf, room: number, most: number): string[] {
  if (isLines(leaf)) return textLines(canvas, leaf, room, most);
  const only = leaf.what === "only-a" || leaf.what === "only-b";
  if (isHex(leaf)) return hexLines(canvas, leaf, room, only ? Math.min(most, 4) : most);
  if (only) return onlyLines(canvas, leaf, room, Math.min(most, 6));
  return [];
}

function onlyLines(canvas: Canvas, leaf: Leaf, room: number, most: number): string[] {
  const side = leaf.what === "only-a" ? "a" : "b";
  const lines = sideText(leaf, side)?.lines ?? [];
  const style: Style = side === "a" ? "red" : "green";
  const shown = lines
    .slice(0, lines.length > most ? most - 1 : most)
    .map((line) => canvas.paint(style, `${side === "a" ? "-" : "+"} ${firstOf(visible(line), room - 2)}`));
  return lines.length > shown.length
    ? [...shown, canvas.paint("dim", `… ${plural(lines.length - shown.length, "more line")}`)]
    : shown;
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

function textLines(canvas: Canvas, leaf: Leaf, room: number, most: number): string[] {
  const [a, b] = [sideText(leaf, "a"), sideText(leaf, "b")];
  const pairs = linePairs(a?.lines ?? [], b?.lines ?? []);
  const ends = a !== undefined && b !== undefined && a.open !== b.open && leaf.what !== "field";
  const last = pairs.at(-1);
  if (ends && last !== undefined) last.changed = true;
  const rows = withContext(pairs, CONTEXT);
  const lines: string[] = [];
  for (let at = 0; at < rows.length;) {
    const row = rows[at];
    if (row === undefined) {
      if (at > 0 && at < rows.length - 1) lines.push(canvas.paint("dim", "…"));
      at++;
    } else if (!row.changed) {
      lines.push(`  ${firstOf(visible(row.a ?? ""), room - 2)}`);
      at++;
    } else {
      const run: LinePair[] = [];
      for (let next = row as LinePair | undefined; next?.changed === true; next = rows[++at]) run.push(next);
      lines.push(...runLines(canvas, run, room));
    }
  }
  if (ends) lines.push(canvas.paint("dim", `the last line has no line end in ${a.open ? "A" : "B"}`));
  return halved(canvas, lines, most);
}

/** A run of changed lines: those of A, then those of B. */
function runLines(canvas: Canvas, run: readonly LinePair[], room: number): string[] {
  const left: string[] = [];
  const right: string[] = [];
  for (const pair of run) {
    const shown = distinct(pair.a ?? "", pair.b ?? "");
    const pieces =
      pair.a !== undefined && pair.b !== undefined
        ? wordPieces(shown.a, shown.b)
        : { a: [{ text: visible(pair.a ?? ""), marked: false }], b: [{ text: visible(pair.b ?? ""), marked: false }] };
    if (pair.a !== undefined)
      left.push(`${canvas.paint("red", "-")} ${paintPieces(canvas, fitted(pieces.a, room - 2), "red")}`);
    if (pair.b !== undefined)
      right.push(`${canvas.paint("green", "+")} ${paintPieces(canvas, fitted(pieces.b, room - 2), "green")}`);
  }
  return [...left, ...right];
}

/** The first lines and, where both sides have some, lines of the other side too. */
function halved(canvas: Canvas, lines: string[], most: number): string[] {
  if (lines.length <= most) return lines;
  const shown = Math.max(2, most - 1);
  const removed = lines.findIndex((line) => plainStart(line) === "+");
  const more = canvas.paint("dim", `… ${plural(lines.length - shown, "more line")}`);
  if (removed < shown) return [...lines.slice(0, shown), more];
  // A long run of removed lines would hide what came in their place.
  const first = Math.ceil(shown / 2);
  return [
    ...lines.slice(0, first),
    canvas.paint("dim", `… ${plural(removed - first, "more line")}`),
    ...lines.slice(removed, removed + shown - first),
    more,
  ];
}

// oxlint-disable-next-line no-control-regex -- our own colours
const plainStart = (line: string): string => line.replace(/^(?:\u001b\[\d+m)+/, "").slice(0, 1);

/** Columns of a row besides its offset: sign, blanks, bytes with their brackets, characters. */
const rowColumns = (perRow: number): number => 2 + 1 + perRow * 3 + 2 + 1 + perRow;

function hexLines(canvas: Canvas, leaf: Leaf, room: number, most: number): string[] {
  const end = Math.max(0, ...leaf.ranges.slice(-1).flatMap(({ a, b }) => [a.offset + a.length, b.offset + b.length]));
  const digits = Math.max(6, end.toString(16).length);
  const perRow = [16, 8].find((count) => room >= digits + rowColumns(count)) ?? 4;
  const ranges = leaf.ranges.map(({ a, b }) => [a.offset, a.length, b.offset, b.length] as const);
  const none = new Uint8Array(0);
  const rows = hexRows(
    { bytes: leaf.bytesA ?? none, at: leaf.atA },
    { bytes: leaf.bytesB ?? none, at: leaf.atB },
    ranges,
    {
      perRow,
      context: 0,
      most: Math.max(1, Math.floor(most / 2)),
    },
  );
  const lines = rows.flatMap((row) => {
    const [hasA, hasB] = [row.a.some((byte) => byte >= 0), row.b.some((byte) => byte >= 0)];
    return [
      ...(row.skipped > 0 ? [canvas.paint("dim", "…")] : []),
      ...(hasA ? [hexLine(canvas, row, "a", { perRow, digits })] : []),
      ...(hasB ? [hexLine(canvas, row, "b", { perRow, digits })] : []),
    ];
  });
  const last = leaf.ranges.at(-1);
  const lastRow = rows.at(-1);
  const rest =
    last === undefined || lastRow === undefined
      ? 0
      : Math.max(last.a.offset + last.a.length - lastRow.atA, last.b.offset + last.b.length - lastRow.atB) - perRow;
  return rest > 0 ? [...lines, canvas.paint("dim", "…")] : lines;
}

/** `- 000080  31 36[30]30 …  16·0`: differing bytes in colour, or in brackets. */
function hexLine(canvas: Canvas, row: HexRow, side: "a" | "b", shape: { perRow: number; digits: number }): string {
  const { perRow, digits } = shape;
  const bytes = side === "a" ? row.a : row.b;
  const style: Style = side === "a" ? "red" : "green";
  const strong: Style = [style, "inverse"].flat() as Style;
  const [from, to] = canvas.color ? [" ", " "] : ["[", "]"];
  let [text, marked] = ["", false];
  let ascii = "";
  for (let at = 0; at < perRow; at++) {
    const byte = bytes[at] ?? -1;
    const differs = row.marked[at] === true && byte >= 0;
    const gap = at === perRow / 2 ? " " : "";
    text += differs === marked ? ` ${gap}` : differs ? gap + from : to + gap;
    marked = differs;
    const shown = byte < 0 ? "  " : byte.toString(16).padStart(2, "0");
    text += differs ? canvas.paint(strong, shown) : shown;
    const character = byte < 0 ? " " : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
    ascii += differs ? canvas.paint(strong, character) : character;
  }
  text += marked ? to : " ";
  const offset = (side === "a" ? row.atA : row.atB).toString(16).padStart(digits, "0");
  return `${canvas.paint(style, side === "a" ? "-" : "+")} ${canvas.paint("dim", offset)} ${text} ${ascii}`.trimEnd();
}
