import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { BLOCK, base256, checksumHolds, cString, fieldOf, isZero, octal, padded } from "./tar-header.ts";

/**
 * Reads tar: v7, ustar and PAX (POSIX.1-2024, "pax", "ustar Interchange
 * Format" and "pax Interchange Format"), and GNU tar's long names, base-256
 * numbers and sparse files (GNU tar manual, "Basic Tar Format"). An archive is
 * a sequence of members:
 *
 *     [x|g|L|K header, its data, padding]…  header  data  padding to 512
 *
 * and ends with a block of zeros (two by the book) or at the end of the file.
 */

export interface TarLimits {
  /** Members in the archive, extension headers not counted. */
  maxMembers: number;
  /** Bytes of one extension header's data: PAX records, a long name. */
  maxExtension: number;
  /** Extension headers before one member. */
  maxExtensions: number;
}

export const TAR_LIMITS: TarLimits = { maxMembers: 1_000_000, maxExtension: 1 << 20, maxExtensions: 16 };

/** One `x`, `g`, `L` or `K` header that stands before a member. */
export interface TarExtension {
  type: "x" | "g" | "L" | "K";
  headerOffset: number;
  dataOffset: number;
  size: number;
}

/** A PAX record, `length SP key=value LF`, and where it stands in the archive. */
export interface PaxRecord {
  key: string;
  value: Uint8Array;
  offset: number;
  length: number;
}

export interface TarEntry {
  /** UTF-8 where it is, otherwise Latin-1; `nameBytes` is the truth. */
  name: string;
  nameBytes: Uint8Array;
  /** The typeflag; NUL, which v7 wrote for a file, is given as "0". */
  type: string;
  /** Permission and set-id bits. */
  mode: number;
  uid: number;
  gid: number;
  uname: string;
  gname: string;
  /** Seconds since the epoch, with a fraction when PAX gives one. */
  mtime: number;
  /** The same as decimal text, exactly as written when PAX gives it. */
  mtimeText: string;
  linkName: string;
  linkBytes: Uint8Array;
  devMajor: number;
  devMinor: number;
  dialect: "v7" | "ustar" | "gnu";
  /** Holes were left out: `size` bytes are stored, not the whole file. */
  sparse: boolean;
  /** Records in effect for this member, global ones included. */
  pax: ReadonlyMap<string, PaxRecord>;
  extensions: readonly TarExtension[];
  /** Where the member begins, extension headers included. */
  start: number;
  headerOffset: number;
  dataOffset: number;
  /** Bytes stored. */
  size: number;
  /** Where the next member begins. */
  end: number;
}

export type PaxGlobals = ReadonlyMap<string, PaxRecord>;
export const NO_GLOBALS: PaxGlobals = new Map();

export interface TarEnd {
  /** Where the members end; what follows should be zeros. */
  offset: number;
  /** A block of zeros follows. */
  terminated: boolean;
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: tar, offset ${offset}: ${what}`);
}

/**
 * The members in order; returns where they ended. Memory does not grow with
 * the archive. Throws `input` with the offset for what is not tar or is cut
 * off, `limit` when a limit is exceeded.
 */
export function* tarEntries(source: ByteSource, limits: TarLimits = TAR_LIMITS): Generator<TarEntry, TarEnd> {
  let offset = 0;
  let members = 0;
  let globals = NO_GLOBALS;
  for (;;) {
    const read = tarEntryAt(source, offset, globals, limits);
    if (read.entry === undefined) return { offset: read.offset, terminated: read.terminated };
    if (++members > limits.maxMembers) {
      throw new BitforbitError("limit", `${source.name}: more than ${limits.maxMembers} members (maxMembers)`);
    }
    globals = read.globals;
    yield read.entry;
    offset = read.entry.end;
  }
}

export type TarRead =
  | { entry: TarEntry; globals: PaxGlobals }
  | { entry: undefined; offset: number; terminated: boolean; globals: PaxGlobals };

/** The member that begins at `offset`, given the global PAX records in effect there. Throws as `tarEntries`. */
export function tarEntryAt(
  source: ByteSource,
  offset: number,
  globals: PaxGlobals,
  limits: TarLimits = TAR_LIMITS,
): TarRead {
  const extensions: TarExtension[] = [];
  const gathered: Gathered = { globals, own: undefined, longName: undefined, longLink: undefined };
  let at = offset;
  for (;;) {
    const block = headerBlock(source, at);
    if (block === undefined) {
      if (extensions.some((extension) => extension.type !== "g")) {
        throw bad(source, at, "the archive ends after an extension header");
      }
      return { entry: undefined, offset: at, terminated: at < source.size, globals: gathered.globals };
    }
    const type = String.fromCharCode(block[156] ?? 0);
    if (!isExtension(type)) {
      const entry = memberOf(source, block, at, { start: offset, extensions, gathered });
      return { entry, globals: gathered.globals };
    }
    if (extensions.length >= limits.maxExtensions) {
      throw new BitforbitError("limit", `${source.name}: tar, offset ${at}: over ${limits.maxExtensions} extensions`);
    }
    const extension = extensionOf(source, block, at, type, limits);
    extensions.push(extension);
    gather(source, extension, gathered);
    at = extension.dataOffset + padded(extension.size);
  }
}

interface Gathered {
  globals: PaxGlobals;
  own: Map<string, PaxRecord> | undefined;
  longName: Uint8Array | undefined;
  longLink: Uint8Array | undefined;
}

function isExtension(type: string): type is TarExtension["type"] | "X" {
  return type === "x" || type === "X" || type === "g" || type === "L" || type === "K";
}

/** The header at `offset`, or undefined at the end of the archive. */
function headerBlock(source: ByteSource, offset: number): Uint8Array | undefined {
  if (offset === source.size) return undefined;
  if (offset + BLOCK > source.size) throw bad(source, offset, "cut off in a header");
  const block = source.read(offset, BLOCK);
  if (block[0] === 0 && isZero(block)) return undefined;
  if (!checksumHolds(block)) throw bad(source, offset, "the header's checksum does not hold");
  return block;
}

function extensionOf(
  source: ByteSource,
  block: Uint8Array,
  offset: number,
  type: TarExtension["type"] | "X",
  limits: TarLimits,
): TarExtension {
  const size = sizeField(source, block, offset);
  if (size > limits.maxExtension) {
    throw new BitforbitError(
      "limit",
      `${source.name}: tar, offset ${offset}: an extension header of ${size} bytes, over ${limits.maxExtension}`,
    );
  }
  const dataOffset = offset + BLOCK;
  if (dataOffset + padded(size) > source.size) throw bad(source, offset, "cut off in an extension header");
  return { type: type === "X" ? "x" : type, headerOffset: offset, dataOffset, size };
}

function gather(source: ByteSource, extension: TarExtension, into: Gathered): void {
  const data = source.read(extension.dataOffset, extension.size);
  switch (extension.type) {
    case "L":
      into.longName = cString(data).slice();
      break;
    case "K":
      into.longLink = cString(data).slice();
      break;
    case "x":
    case "g": {
      const records = extension.type === "g" ? new Map(into.globals) : (into.own ??= new Map<string, PaxRecord>());
      for (const record of paxRecords(source, extension)) {
        if (record.value.length === 0) records.delete(record.key);
        else records.set(record.key, record);
      }
      if (extension.type === "g") into.globals = records;
    }
  }
}

/** The records of an `x` or `g` header, with their places. Throws `input`. */
export function paxRecords(source: ByteSource, extension: TarExtension): PaxRecord[] {
  const data = source.read(extension.dataOffset, extension.size).slice();
  const records: PaxRecord[] = [];
  let at = 0;
  // GNU and Solaris pad records with NULs up to the stated size.
  while (at < data.length && data[at] !== 0) {
    const offset = extension.dataOffset + at;
    const space = data.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? "" : Buffer.from(data.subarray(at, space)).toString("latin1");
    const length = /^[0-9]+$/.test(digits) ? Number(digits) : 0;
    const equals = data.indexOf(0x3d, space);
    if (length === 0 || at + length > data.length || equals < 0 || equals >= at + length - 1) {
      throw bad(source, offset, "a PAX record that is none");
    }
    if (data[at + length - 1] !== 0x0a) throw bad(source, offset, "a PAX record without its line feed");
    const key = showable(data.subarray(space + 1, equals));
    records.push({ key, value: data.subarray(equals + 1, at + length - 1), offset, length });
    at += length;
  }
  return records;
}

function memberOf(
  source: ByteSource,
  block: Uint8Array,
  offset: number,
  before: { start: number; extensions: TarExtension[]; gathered: Gathered },
): TarEntry {
  const { gathered } = before;
  const pax = paxInEffect(gathered);
  const text = (field: string): Uint8Array => cString(fieldOf(block, field));
  const type = block[156] === 0 ? "0" : String.fromCharCode(block[156] ?? 0);
  const dialect = dialectOf(block);
  const nameBytes = pax.get("path")?.value ?? gathered.longName ?? ustarName(block, dialect);
  const linkBytes = pax.get("linkpath")?.value ?? gathered.longLink ?? text("linkname").slice();
  const number = (field: string, key?: string): number =>
    paxNumber(source, key === undefined ? undefined : pax.get(key)) ?? numberField(source, block, offset, field);
  const stored = storedSize(source, block, offset, type, pax);
  const dataOffset = offset + BLOCK + sparseMaps(source, block, offset, type);
  if (dataOffset + stored > source.size) {
    throw bad(source, offset, `a member of ${stored} bytes, but the archive ends at ${source.size}`);
  }
  const mtimeRecord = pax.get("mtime");
  const mtime = number("mtime", "mtime");
  return {
    name: showable(nameBytes),
    nameBytes,
    type,
    mode: numberField(source, block, offset, "mode") & 0o7777,
    uid: number("uid", "uid"),
    gid: number("gid", "gid"),
    uname: showable(pax.get("uname")?.value ?? text("uname")),
    gname: showable(pax.get("gname")?.value ?? text("gname")),
    mtime,
    mtimeText: mtimeRecord === undefined ? String(mtime) : showable(mtimeRecord.value),
    linkName: showable(linkBytes),
    linkBytes,
    devMajor: type === "3" || type === "4" ? number("devmajor") : 0,
    devMinor: type === "3" || type === "4" ? number("devminor") : 0,
    dialect,
    sparse: type === "S" || pax.has("GNU.sparse.major") || pax.has("GNU.sparse.map") || pax.has("GNU.sparse.size"),
    pax,
    extensions: before.extensions,
    start: before.start,
    headerOffset: offset,
    dataOffset,
    size: stored,
    // The last member's padding may be missing: GNU tar warns and reads on, and so do we.
    end: Math.min(dataOffset + padded(stored), source.size),
  };
}

function paxInEffect(gathered: Gathered): ReadonlyMap<string, PaxRecord> {
  if (gathered.own === undefined) return gathered.globals;
  return gathered.globals.size === 0 ? gathered.own : new Map([...gathered.globals, ...gathered.own]);
}

function dialectOf(block: Uint8Array): TarEntry["dialect"] {
  const magic = Buffer.from(block.subarray(257, 265)).toString("latin1");
  if (magic.startsWith("ustar  ")) return "gnu";
  return magic.startsWith("ustar") ? "ustar" : "v7";
}

function ustarName(block: Uint8Array, dialect: TarEntry["dialect"]): Uint8Array {
  const name = cString(fieldOf(block, "name"));
  const prefix = dialect === "ustar" ? cString(fieldOf(block, "prefix")) : new Uint8Array(0);
  if (prefix.length === 0) return name.slice();
  return new Uint8Array(Buffer.concat([prefix, Buffer.from("/"), name]));
}

/** Links, devices and FIFOs carry no data; GNU tar ignores the size of a hard link. */
function storedSize(
  source: ByteSource,
  block: Uint8Array,
  offset: number,
  type: string,
  pax: ReadonlyMap<string, PaxRecord>,
): number {
  if (type === "1") return 0;
  const size = paxNumber(source, pax.get("size")) ?? sizeField(source, block, offset);
  if (!Number.isSafeInteger(size) || size < 0) throw bad(source, offset, `a size of ${size} bytes`);
  if (size > 0 && (type === "2" || type === "3" || type === "4" || type === "6")) {
    throw bad(source, offset, "a link, device or FIFO with data: readers disagree about what follows");
  }
  return size;
}

/** Bytes of old GNU sparse map blocks after the header. */
function sparseMaps(source: ByteSource, block: Uint8Array, offset: number, type: string): number {
  if (type !== "S") return 0;
  let length = 0;
  for (let more = block[482] !== 0; more; length += BLOCK) {
    const at = offset + BLOCK + length;
    if (at + BLOCK > source.size) throw bad(source, at, "cut off in a sparse map");
    more = source.read(at, BLOCK)[504] !== 0;
  }
  return length;
}

function sizeField(source: ByteSource, block: Uint8Array, offset: number): number {
  const size = numberField(source, block, offset, "size");
  if (size < 0) throw bad(source, offset, `a size of ${size} bytes`);
  return size;
}

function numberField(source: ByteSource, block: Uint8Array, offset: number, field: string): number {
  const bytes = fieldOf(block, field);
  const value = ((bytes[0] ?? 0) & 0x80) !== 0 ? base256(bytes) : octal(bytes);
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw bad(source, offset, `${field} is no number: ${JSON.stringify(showable(bytes))}`);
  }
  return value;
}

function paxNumber(source: ByteSource, record: PaxRecord | undefined): number | undefined {
  if (record === undefined) return undefined;
  const text = showable(record.value);
  if (!/^-?[0-9]{1,20}(?:\.[0-9]{0,40})?$/.test(text)) {
    throw bad(source, record.offset, `${record.key} is no number: ${JSON.stringify(text.slice(0, 60))}`);
  }
  return Number(text);
}
