import type { Cursor } from "./cursor.ts";
import { type Column, columnsOf, type Declaration, type Encoding, valueShown, varint } from "./sqlite-record.ts";

/** Pages and cells of a SQLite database (File Format, sections 1.3 to 1.6). */
export interface Database {
  cursor: Cursor;
  pageSize: number;
  /** Bytes of a page that are the format's own; the rest is an extension's. */
  usable: number;
  pages: number;
  encoding: Encoding;
}

/** A table or an index, as the schema tells it. */
export interface Stored {
  type: string;
  name: string;
  root: number;
  sql: string;
  declared: Declaration;
}

export interface Cell {
  /** From the beginning of the file. */
  at: number;
  /** Of the cell as it stands in its page. */
  length: number;
  /** Where the payload begins, how much of it is here, and how long it is. */
  payloadAt: number;
  local: number;
  payload: number;
  rowid: bigint | undefined;
  /** Page on the left of an inner cell. */
  child: number;
  /** First page of what does not fit; 0: all is here. */
  overflow: number;
}

export interface Page {
  number: number;
  at: number;
  /** Where its header begins: behind the file's, on page 1. */
  headerAt: number;
  /** 2 and 5: inner pages of an index and a table; 10 and 13: leaves. */
  type: number;
  headerLength: number;
  /** By offset. */
  cells: Cell[];
  /** Of an inner page: its last child. */
  right: number;
  /** Where blocks of free space begin, each with a pointer and its size. */
  freeBlocks: number[];
}

export function readPage(database: Database, number: number): Page {
  const { cursor, pageSize, pages } = database;
  if (number < 1 || number > pages) cursor.fail(`page ${number} of ${pages}`, 0);
  const at = (number - 1) * pageSize;
  const headerAt = number === 1 ? 100 : 0;
  const bytes = cursor.source.read(at, pageSize);
  const view = new DataView(bytes.buffer, bytes.byteOffset, pageSize);
  const type = view.getUint8(headerAt);
  if (type !== 2 && type !== 5 && type !== 10 && type !== 13) {
    cursor.fail(`a page of the type ${type}, not of a tree`, at + headerAt);
  }
  const headerLength = type < 8 ? 12 : 8;
  const count = view.getUint16(headerAt + 3);
  const table = headerAt + headerLength;
  if (table + count * 2 > database.usable) cursor.fail(`${count} cells in a page`, at + headerAt);
  const cells: Cell[] = [];
  for (let index = 0; index < count; index++) {
    const cell = readCell(database, bytes, view, type, at, view.getUint16(table + index * 2));
    if (cell === undefined) return cursor.fail(`cell ${index} is broken`, at + table + index * 2);
    cells.push(cell);
  }
  const right = type < 8 ? view.getUint32(headerAt + 8) : 0;
  cells.sort((a, b) => a.at - b.at);
  const freeBlocks = freeBlocksOf(view, at, view.getUint16(headerAt + 1), database.usable);
  return { number, at, headerAt: at + headerAt, type, headerLength, cells, right, freeBlocks };
}

/** They stand in increasing order, or the chain ends. */
function freeBlocksOf(view: DataView, pageAt: number, first: number, usable: number): number[] {
  const found: number[] = [];
  for (let at = first, before = 0; at > before && at + 4 <= usable; before = at, at = view.getUint16(at)) {
    found.push(pageAt + at);
  }
  return found;
}

function readCell(
  database: Database,
  bytes: Uint8Array,
  view: DataView,
  type: number,
  pageAt: number,
  start: number,
): Cell | undefined {
  const { usable } = database;
  let at = start;
  const child = type < 8 && at + 4 <= usable ? view.getUint32(at) : 0;
  if (type < 8) at += 4;
  const none = { payloadAt: pageAt + at, local: 0, payload: 0, rowid: undefined, child, overflow: 0 };
  if (type === 5) {
    const key = varint(bytes, at);
    return key === undefined ? undefined : { ...none, at: pageAt + start, length: key.next - start };
  }
  const size = varint(bytes, at);
  if (size === undefined || size.value < 0n || size.value > 0x7fff_ffffn) return undefined;
  const payload = Number(size.value);
  at = size.next;
  let rowid: bigint | undefined;
  if (type === 13) {
    const key = varint(bytes, at);
    if (key === undefined) return undefined;
    rowid = key.value;
    at = key.next;
  }
  const local = localPart(payload, usable, type === 13);
  const end = at + local + (local < payload ? 4 : 0);
  if (end > usable) return undefined;
  const overflow = local < payload ? view.getUint32(end - 4) : 0;
  // The smallest cell takes four bytes.
  const length = Math.min(Math.max(end - start, 4), usable - start);
  return { at: pageAt + start, length, payloadAt: pageAt + at, local, payload, rowid, child, overflow };
}

/** How much of a payload stands in the cell itself (section 1.6). */
function localPart(payload: number, usable: number, table: boolean): number {
  const most = table ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
  if (payload <= most) return payload;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const fitting = least + ((payload - least) % (usable - 4));
  return fitting <= most ? fitting : least;
}

/** Payload read for showing. */
const MOST_SHOWN = 64 << 10;

/** The beginning of a cell's payload, further pages included. */
export function payloadOf(database: Database, cell: Cell): Uint8Array {
  const { cursor, usable, pageSize, pages } = database;
  const wanted = Math.min(cell.payload, MOST_SHOWN);
  const found = [cursor.source.read(cell.payloadAt, Math.min(cell.local, wanted))];
  let length = Math.min(cell.local, wanted);
  for (let page = cell.overflow; length < wanted && page > 0 && page <= pages;) {
    const at = (page - 1) * pageSize;
    const piece = Math.min(usable - 4, wanted - length);
    found.push(cursor.source.read(at + 4, piece));
    length += piece;
    page = Buffer.from(cursor.source.read(at, 4)).readUInt32BE();
  }
  return new Uint8Array(Buffer.concat(found));
}

export interface Row {
  payload: Uint8Array;
  /** Bytes before the first column's type. */
  typesAt: number;
  headerLength: number;
  columns: Column[];
}

export function rowOf(database: Database, cell: Cell): Row | undefined {
  const payload = payloadOf(database, cell);
  const found = columnsOf(payload);
  return found === undefined ? undefined : { payload, ...found };
}

export function shownRow(database: Database, cell: Cell): string {
  const row = rowOf(database, cell);
  if (row === undefined) return "a broken record";
  const values: string[] = [];
  for (const column of row.columns.slice(0, 100)) values.push(valueShown(row.payload, column, database.encoding));
  return values.join(", ");
}

/** Every page of a tree with its cells, each page once; a child met again is a circle. */
export function* pagesOf(database: Database, root: number, seen: Uint8Array): Iterable<Page> {
  const waiting = [root];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (number < 1 || number > database.pages || seen[number] === 1) continue;
    seen[number] = 1;
    const page = readPage(database, number);
    yield page;
    if (page.type < 8) for (const child of [...page.cells.map((cell) => cell.child), page.right]) waiting.push(child);
  }
}
