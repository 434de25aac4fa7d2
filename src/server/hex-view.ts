import type { ByteWindow } from "./evidence.ts";
import { type Markup, markup } from "./markup.ts";

const ROW = 16;
const MOST_BYTES = 256;

/** The two sides of a difference, byte by byte; what differs is marked. */
export function hexView(a: ByteWindow | undefined, b: ByteWindow | undefined): Markup {
  const left = bytesOf(a);
  const right = bytesOf(b);
  const before = sharedStart(left, right);
  const after = sharedStart(left.slice(before).reverse(), right.slice(before).reverse());
  const shown = (name: string, window: ByteWindow | undefined, bytes: readonly number[]) => {
    if (window === undefined) return undefined;
    const differs = window.marks === undefined ? between(before, bytes.length - after) : among(window, window.marks);
    return side(name, window.offset, bytes, differs);
  };
  return markup`<div class="sides">${[shown("A", a, left), shown("B", b, right)]}</div>`;
}

function bytesOf(window: ByteWindow | undefined): number[] {
  if (window === undefined || !/^(?:[0-9a-f]{2})*$/.test(window.hex)) return [];
  return [...Buffer.from(window.hex.slice(0, 2 * MOST_BYTES), "hex")];
}

/** How many bytes the two share from the start. */
function sharedStart(a: readonly number[], b: readonly number[]): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

/** Whether the byte at an index of the window differs. */
type Differs = (index: number) => boolean;

function between(start: number, end: number): Differs {
  return (index) => index >= start && index < end;
}

function among(window: ByteWindow, marks: NonNullable<ByteWindow["marks"]>): Differs {
  const near = marks.slice(0, MOST_BYTES).map(({ offset, length }) => between(offset, offset + length));
  return (index) => near.some((isIn) => isIn(window.offset + index));
}

function side(name: string, offset: number, bytes: readonly number[], differs: Differs): Markup {
  const rows: Markup[] = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = bytes.slice(at, at + ROW);
    const pairs = row.map((byte) => byte.toString(16).padStart(2, "0"));
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·"));
    const gap = " ".repeat(3 * (ROW - row.length) + 2);
    const inRow: Differs = (index) => differs(at + index);
    rows.push(
      markup`<span class="offset">${(offset + at).toString(16).padStart(6, "0")}</span>  ${marked(pairs, inRow, " ")}${gap}${marked(text, inRow, "")}\n`,
    );
  }
  const nothing = bytes.length === 0 && markup`<span class="offset">(no bytes on this side)</span>`;
  return markup`<figure><figcaption>${name} <span class="quiet">from byte ${offset}</span></figcaption><pre class="hex" tabindex="0" aria-label="Bytes of side ${name}">${rows}${nothing}</pre></figure>`;
}

/** The cells of a row, runs of differing ones inside one `mark`. */
function marked(cells: readonly string[], differs: Differs, gap: string): Markup[] {
  const made: Markup[] = [];
  for (let start = 0; start < cells.length;) {
    let end = start + 1;
    while (end < cells.length && differs(end) === differs(start)) end++;
    const run = cells.slice(start, end).join(gap);
    const before = start === 0 ? "" : gap;
    made.push(differs(start) ? markup`${before}<mark>${run}</mark>` : markup`${before}${run}`);
    start = end;
  }
  return made;
}
