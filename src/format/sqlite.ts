import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { derived, field, group, type Part } from "./part.ts";
import { type Column, declarationOf, type Encoding, valueShown } from "./sqlite-record.ts";
import { type Cell, type Database, type Page, pagesOf, readPage, rowOf, shownRow, type Stored } from "./sqlite-tree.ts";

/**
 * SQLite database files (https://www.sqlite.org/fileformat2.html), big-endian:
 * pages of one size, the first beginning with a header of 100 bytes and holding
 * the schema; each table and index is a tree of pages.
 *
 * Rows are told by table and key wherever their page is, so that a database
 * that was written in another order has the same rows in another order.
 * Indexes, page headers and pointers follow from the rows. What was deleted
 * stays in free space and free pages until it is overwritten.
 */
const MAX_PAGES = 16 << 20;
/** Pages of what overflows that are remembered by row. */
const MAX_OVERFLOWS = 2_000_000;
const ENCODINGS: Readonly<Record<number, Encoding>> = { 0: "utf8", 1: "utf8", 2: "utf16le", 3: "utf16be" };

type Role = { kind: "tree"; of: Stored } | { kind: "overflow"; key: string } | { kind: "trunk" } | { kind: "free" };

export function sqliteParts(source: ByteSource, name: string): Iterable<Part> {
  const cursor = new Cursor(source, `${name}: SQLite database`);
  if (Buffer.from(cursor.bytes(16)).toString("latin1") !== "SQLite format 3\0")
    cursor.fail("not its first 16 bytes", 0);
  const database = opened(cursor);
  return parts(database);
}

function opened(cursor: Cursor): Database {
  const { source } = cursor;
  const head = new Cursor(source, cursor.what, 0, 100).view(100);
  const stored = head.getUint16(16);
  const pageSize = stored === 1 ? 65_536 : stored;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0) cursor.fail(`pages of ${pageSize} bytes`, 16);
  const usable = pageSize - head.getUint8(20);
  if (usable < 480) cursor.fail(`${pageSize - usable} bytes reserved in each page`, 20);
  const pages = Math.floor(source.size / pageSize);
  if (pages < 1) cursor.fail(`less than one page of ${pageSize} bytes`, 0);
  if (pages > MAX_PAGES) throw new BitforbitError("limit", `${cursor.what}: ${pages} pages`);
  const encoding = ENCODINGS[head.getUint32(56)] ?? "utf8";
  return { cursor, pageSize, usable, pages, encoding };
}

const SCHEMA: Stored = {
  type: "table",
  name: "sqlite_schema",
  root: 1,
  sql: "",
  declared: { columns: ["type", "name", "tbl_name", "rootpage", "sql"], key: [] },
};

function* parts(database: Database): Iterable<Part> {
  const roles = rolesOf(database);
  yield* header(database);
  const { pageSize, pages } = database;
  const pointers = mapPages(database);
  for (let number = 1; number <= pages; number++) {
    const at = (number - 1) * pageSize;
    const role = roles[number];
    if (role === undefined) {
      const kind = pointers(number) ? derived("pointer map", at, pageSize) : padding("unused page", at, pageSize);
      yield kind;
    } else yield* pageParts(database, role, number, at);
  }
}

function padding(key: string, offset: number, length: number): Part {
  return { key, kind: "padding", offset, length };
}

function header({ cursor, pageSize }: Database): Part[] {
  const head = new Cursor(cursor.source, cursor.what, 0, 100).view(100);
  const number = (key: string, at: number): Part => field(key, at, 4, () => String(head.getUint32(at)));
  return [
    field("magic", 0, 16),
    field("page size", 16, 2, () => String(pageSize)),
    field("write version", 18, 1, () => mode(head.getUint8(18))),
    field("read version", 19, 1, () => mode(head.getUint8(19))),
    field("reserved bytes in a page", 20, 1, () => String(head.getUint8(20))),
    field("payload fractions", 21, 3),
    number("change counter", 24),
    derived("pages count", 28, 4),
    derived("first free page", 32, 4),
    derived("free pages count", 36, 4),
    number("schema cookie", 40),
    number("schema format", 44),
    number("cache size", 48),
    number("auto-vacuum", 52),
    field("text encoding", 56, 4, () => ENCODINGS[head.getUint32(56)] ?? String(head.getUint32(56))),
    number("user version", 60),
    number("incremental vacuum", 64),
    field("application id", 68, 4, () => `0x${head.getUint32(68).toString(16)}`),
    padding("reserved", 72, 20),
    derived("version valid for", 92, 4),
    field("written by SQLite", 96, 4, () => versionName(head.getUint32(96))),
  ];
}

function mode(value: number): string {
  return value === 1 ? "rollback journal" : value === 2 ? "write-ahead log" : String(value);
}

function versionName(number: number): string {
  return `${Math.floor(number / 1_000_000)}.${Math.floor(number / 1000) % 1000}.${number % 1000}`;
}

/** What each page is for: trees of the schema and of what it names, what overflows from them, and what is free. */
function rolesOf(database: Database): (Role | undefined)[] {
  const roles: (Role | undefined)[] = [];
  const seen = new Uint8Array(database.pages + 1);
  const overflows = { count: 0 };
  const stored: Stored[] = [];
  claim(database, SCHEMA, roles, seen, overflows, (cell) => {
    const found = storedIn(database, cell);
    if (found !== undefined) stored.push(found);
  });
  for (const each of stored) claim(database, each, roles, seen, overflows);
  freePages(database, roles);
  return roles;
}

function claim(
  database: Database,
  of: Stored,
  roles: (Role | undefined)[],
  seen: Uint8Array,
  overflows: { count: number },
  each?: (cell: Cell) => void,
): void {
  const role: Role = { kind: "tree", of };
  for (const page of pagesOf(database, of.root, seen)) {
    roles[page.number] = role;
    for (const cell of page.cells) {
      if (each !== undefined && page.type > 8) each(cell);
      if (cell.overflow === 0) continue;
      const key = of.type === "table" ? rowKey(database, of, cell) : `index ${of.name}`;
      for (let next = cell.overflow; next > 0 && next <= database.pages && seen[next] !== 1;) {
        seen[next] = 1;
        if (++overflows.count > MAX_OVERFLOWS)
          throw new BitforbitError("limit", `${database.cursor.what}: too many overflow pages`);
        roles[next] = { kind: "overflow", key };
        next = Buffer.from(database.cursor.source.read((next - 1) * database.pageSize, 4)).readUInt32BE();
      }
    }
  }
}

function storedIn(database: Database, cell: Cell): Stored | undefined {
  const row = rowOf(database, cell);
  if (row === undefined) return undefined;
  const raw = (index: number): string => {
    const column = row.columns[index];
    if (column === undefined) return "";
    const shown = valueShown(row.payload, column, database.encoding);
    if (!shown.startsWith('"')) return shown;
    const bytes = Buffer.from(row.payload.subarray(column.at, column.at + column.length));
    return database.encoding === "utf8" ? bytes.toString() : text16(bytes, database.encoding);
  };
  const sql = raw(4);
  return { type: raw(0), name: raw(1), root: Number(raw(3)) || 0, sql, declared: declarationOf(sql) };
}

function text16(bytes: Buffer, encoding: Encoding): string {
  const even = bytes.subarray(0, bytes.length & ~1);
  return (encoding === "utf16be" ? even.swap16() : even).toString("utf16le");
}

function freePages(database: Database, roles: (Role | undefined)[]): void {
  const { cursor, pageSize, pages, usable } = database;
  const number = (at: number): number => Buffer.from(cursor.source.read(at, 4)).readUInt32BE();
  let trunk = number(32);
  for (let steps = 0; steps < pages && trunk > 0 && trunk <= pages && roles[trunk] === undefined; steps++) {
    roles[trunk] = { kind: "trunk" };
    const at = (trunk - 1) * pageSize;
    const leaves = Math.min(number(at + 4), Math.floor(usable / 4) - 2);
    for (let index = 0; index < leaves; index++) {
      const leaf = number(at + 8 + index * 4);
      if (leaf > 0 && leaf <= pages) roles[leaf] ??= { kind: "free" };
    }
    trunk = number(at);
  }
}

/** Which pages map others to their parents, in databases that can be vacuumed by pieces (section 1.8). */
function mapPages({ cursor, usable }: Database): (page: number) => boolean {
  const vacuumed = Buffer.from(cursor.source.read(52, 4)).readUInt32BE() > 0;
  const each = Math.floor(usable / 5) + 1;
  return (page) => vacuumed && page >= 2 && (page - 2) % each === 0;
}

function* pageParts(database: Database, role: Role, number: number, at: number): Iterable<Part> {
  const { pageSize, usable } = database;
  if (role.kind === "trunk") {
    yield derived("free page pointers", at, 8);
    yield { ...padding("free page", at + 8, pageSize - 8), note: LEFT };
  } else if (role.kind === "free") {
    yield { ...padding("free page", at, pageSize), note: LEFT };
  } else if (role.kind === "overflow") {
    yield derived("next page", at, 4);
    if (role.key.startsWith("index ")) yield derived(role.key, at + 4, usable - 4);
    else yield { key: `${role.key}, further bytes`, kind: "bytes", offset: at + 4, length: usable - 4 };
  } else if (role.of.type === "table") yield* tablePage(database, role.of, readPage(database, number));
  else {
    const from = number === 1 ? at + 100 : at;
    yield derived(`index ${role.of.name}`, from, at + pageSize - from);
  }
}

const LEFT = "left over from what was deleted";

function* tablePage(database: Database, of: Stored, page: Page): Iterable<Part> {
  const { cursor, pageSize } = database;
  yield derived("page header", page.headerAt, page.headerLength);
  let at = page.headerAt + page.headerLength;
  yield derived("cell pointers", at, page.cells.length * 2);
  at += page.cells.length * 2;
  for (const cell of page.cells) {
    if (cell.at < at) cursor.fail("cells that overlap", cell.at);
    yield* freeSpace(of, page, at, cell.at);
    if (page.type === 5) yield derived("child", cell.at, cell.length);
    else yield rowPart(database, of, cell);
    at = cell.at + cell.length;
  }
  yield* freeSpace(of, page, at, page.at + pageSize);
}

/** What lies between cells: blocks that begin with a pointer and a size, what was never used, and what was. */
function* freeSpace(of: Stored, { freeBlocks }: Page, from: number, to: number): Iterable<Part> {
  let at = from;
  const rest = (end: number): Part[] =>
    end > at ? [{ ...padding(`free space of ${of.name}`, at, end - at), note: LEFT }] : [];
  for (const block of freeBlocks) {
    if (block < at || block + 4 > to) continue;
    yield* rest(block);
    yield derived("free block", block, 4);
    at = block + 4;
  }
  yield* rest(to);
}

function rowKey(database: Database, of: Stored, cell: Cell): string {
  if (of === SCHEMA) {
    const found = storedIn(database, cell);
    return found === undefined ? `schema row ${cell.rowid}` : `schema: ${found.type} ${found.name}`;
  }
  if (cell.rowid !== undefined) return `table ${of.name} row ${cell.rowid}`;
  const row = rowOf(database, cell);
  const key = row?.columns.slice(0, Math.max(1, of.declared.key.length)) ?? [];
  const values = key.map((column) => valueShown(row?.payload ?? new Uint8Array(0), column, database.encoding));
  return `table ${of.name} row ${values.join(", ").slice(0, 200)}`;
}

function rowPart(database: Database, of: Stored, cell: Cell): Part {
  const inside = (): Iterable<Part> => columnParts(database, of, cell);
  return {
    ...group(rowKey(database, of, cell), cell.at, cell.length, inside),
    show: () => shownRow(database, cell),
  };
}

/** Names of the columns in the order in which they are stored: without row numbers, the key comes first. */
function storedNames(of: Stored, cell: Cell): readonly string[] {
  const { columns, key } = of.declared;
  return cell.rowid !== undefined ? columns : [...key, ...columns.filter((name) => !key.includes(name))];
}

function* columnParts(database: Database, of: Stored, cell: Cell): Iterable<Part> {
  const row = rowOf(database, cell);
  if (row === undefined || row.headerLength > cell.local) {
    yield { key: "record", kind: "bytes", offset: cell.at, length: cell.length };
    return;
  }
  yield derived("record header", cell.at, cell.payloadAt - cell.at + row.typesAt);
  const names = storedNames(of, cell);
  const each = row.columns.map((column, index) => ({ column, name: names[index] ?? `column ${index + 1}` }));
  const shown = (column: Column) => (): string => valueShown(row.payload, column, database.encoding);
  for (const { column, name } of each) {
    const part = field(`${name} type`, cell.payloadAt + column.typeAt, column.typeLength, shown(column));
    yield of === SCHEMA && name === "rootpage" ? { ...part, kind: "derived" } : { ...part, label: name };
  }
  for (const { column, name } of each) {
    const length = Math.min(column.length, cell.local - column.at);
    if (column.at > cell.local || (column.at === cell.local && column.length > 0)) break;
    const part = field(name, cell.payloadAt + column.at, length, shown(column));
    yield of === SCHEMA && name === "rootpage" ? { ...part, kind: "derived" } : part;
  }
  if (cell.overflow > 0) yield derived("overflow page", cell.payloadAt + cell.local, 4);
}
