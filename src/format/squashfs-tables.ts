import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { decompressedBlock } from "./squashfs-compression.ts";

/**
 * squashfs 4.0 (Linux, Documentation/filesystems/squashfs.rst): the superblock
 * and the tables behind the data, all little endian:
 *
 *     superblock(96)  [compressor options]  data and fragment blocks
 *     inodes  directories  [fragments + index]  [export + index]  ids + index
 *     [extended attributes, their ids + index]  padding to 4096
 *
 * A table is a row of metadata blocks of 8 KiB, each compressed by itself
 * behind 16 bits of length. An index is a row of 64-bit offsets of blocks.
 */
export interface Superblock {
  inodes: number;
  mkfsTime: number;
  blockSize: number;
  fragments: number;
  compressor: number;
  flags: number;
  ids: number;
  rootBlock: number;
  rootOffset: number;
  bytesUsed: number;
  idTable: number;
  xattrTable: number;
  inodeTable: number;
  directoryTable: number;
  fragmentTable: number;
  exportTable: number;
}

export const SUPERBLOCK = 96;
const METADATA_BLOCK = 8192;
/** Bytes of all tables of one image. */
const MAX_TABLES = 512 << 20;
/** Compressor options follow the superblock. */
export const HAS_OPTIONS = 0x400;

/** A table, decompressed. */
export interface Table {
  name: string;
  bytes: Uint8Array;
  /** Where its stored blocks begin, counted from the table's beginning; one for each 8 KiB of `bytes`. */
  starts: number[];
}

export interface StoredTable {
  table: Table;
  offset: number;
  length: number;
  /** The row of offsets after it. */
  index: number;
  indexLength: number;
}

export function badSquashfs(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: squashfs, offset ${offset}: ${what}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit offset; -1 for what no image can have, "none" above all. */
function offsetAt(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(value);
}

/** Throws `input` for what is no squashfs 4.0. */
export function superblockOf(source: ByteSource): Superblock {
  if (source.size < SUPERBLOCK) throw badSquashfs(source.name, source.size, "cut off in the superblock");
  const bytes = source.read(0, SUPERBLOCK);
  const view = viewOf(bytes);
  const [major, minor] = [view.getUint16(28, true), view.getUint16(30, true)];
  if (bytes[0] !== 0x68 || major !== 4 || minor !== 0) {
    const version = bytes[0] === 0x68 ? `version ${major}.${minor}` : "big endian, of version 3 or before";
    throw badSquashfs(source.name, 28, `${version}; 4.0 is read`);
  }
  const superblock: Superblock = {
    inodes: view.getUint32(4, true),
    mkfsTime: view.getUint32(8, true),
    blockSize: view.getUint32(12, true),
    fragments: view.getUint32(16, true),
    compressor: view.getUint16(20, true),
    flags: view.getUint16(24, true),
    ids: view.getUint16(26, true),
    rootOffset: view.getUint16(32, true),
    rootBlock: view.getUint32(34, true),
    bytesUsed: offsetAt(view, 40),
    idTable: offsetAt(view, 48),
    xattrTable: offsetAt(view, 56),
    inodeTable: offsetAt(view, 64),
    directoryTable: offsetAt(view, 72),
    fragmentTable: offsetAt(view, 80),
    exportTable: offsetAt(view, 88),
  };
  const { blockSize } = superblock;
  if (blockSize < 4096 || blockSize > 1 << 20 || (blockSize & (blockSize - 1)) !== 0) {
    throw badSquashfs(source.name, 12, `blocks of ${blockSize} bytes; 4 KiB to 1 MiB are possible`);
  }
  return superblock;
}

export interface Tables {
  inodes: StoredTable;
  directories: StoredTable;
  fragments: StoredTable;
  exports: StoredTable;
  ids: StoredTable;
  xattrs: StoredTable;
  xattrIds: StoredTable;
}

/** All tables of an image, decompressed. Throws `input`, and `limit` beyond 512 MiB. */
export async function tablesOf(source: ByteSource, superblock: Superblock): Promise<Tables> {
  const reader = new TableReader(source, superblock.compressor);
  const fragments = await reader.indexed("fragments", superblock.fragmentTable, superblock.fragments * 16);
  const exports = await reader.indexed("export", superblock.exportTable, superblock.inodes * 8);
  const ids = await reader.indexed("ids", superblock.idTable, superblock.ids * 4);
  const { xattrs, xattrIds } = await reader.xattrs(superblock.xattrTable);
  const ends = [fragments, exports, ids, xattrs, xattrIds]
    .filter((table) => table.length > 0)
    .map((table) => table.offset);
  const end = Math.min(superblock.bytesUsed < 0 ? source.size : superblock.bytesUsed, source.size, ...ends);
  const { inodeTable, directoryTable } = superblock;
  if (inodeTable < SUPERBLOCK || directoryTable < inodeTable || end < directoryTable) {
    throw badSquashfs(
      source.name,
      64,
      `inodes at ${inodeTable}, directories at ${directoryTable}, their end at ${end}`,
    );
  }
  const inodes = await reader.run("inodes", inodeTable, directoryTable);
  const directories = await reader.run("directories", directoryTable, end);
  return { inodes, directories, fragments, exports, ids, xattrs, xattrIds };
}

class TableReader {
  readonly #source: ByteSource;
  readonly #compressor: number;
  #total = 0;

  constructor(source: ByteSource, compressor: number) {
    this.#source = source;
    this.#compressor = compressor;
  }

  /** The metadata blocks from `offset` to `end`, which must be the end of a block. */
  async run(name: string, offset: number, end: number): Promise<StoredTable> {
    const chunks: Uint8Array[] = [];
    const starts: number[] = [];
    let at = offset;
    while (at < end) {
      const { bytes, next } = await this.#block(at);
      if (next > end) throw badSquashfs(this.#source.name, at, `a block of ${name} that reaches beyond ${end}`);
      if (next < end && bytes.length !== METADATA_BLOCK) {
        throw badSquashfs(
          this.#source.name,
          at,
          `a block of ${name} with ${bytes.length} bytes, not ${METADATA_BLOCK}`,
        );
      }
      chunks.push(bytes);
      starts.push(at - offset);
      at = next;
    }
    const table = { name, bytes: new Uint8Array(Buffer.concat(chunks)), starts };
    return { table, offset, length: end - offset, index: end, indexLength: 0 };
  }

  /** The table of `size` bytes whose index stands at `index`. */
  async indexed(name: string, index: number, size: number, indexAt = index): Promise<StoredTable> {
    const blocks = Math.ceil(size / METADATA_BLOCK);
    if (index < 0 || blocks === 0) return emptyTable(name);
    if (size > MAX_TABLES)
      throw new BitforbitError("limit", `${this.#source.name}: squashfs: ${name} of ${size} bytes`);
    if (indexAt < SUPERBLOCK || indexAt + blocks * 8 > this.#source.size) {
      throw badSquashfs(this.#source.name, indexAt, `${name}: an index of ${blocks} blocks, beyond the image's end`);
    }
    const offset = offsetAt(viewOf(this.#source.read(indexAt, 8)), 0);
    if (offset < SUPERBLOCK || offset >= index) {
      throw badSquashfs(this.#source.name, indexAt, `${name} at ${offset}, not before their index`);
    }
    const stored = await this.run(name, offset, index);
    if (stored.table.bytes.length < size) {
      throw badSquashfs(this.#source.name, offset, `${name} of ${stored.table.bytes.length} bytes, ${size} are stated`);
    }
    return { ...stored, index: indexAt, indexLength: blocks * 8 };
  }

  /** Extended attributes: names and values, and the table that inodes refer to. */
  async xattrs(header: number): Promise<{ xattrs: StoredTable; xattrIds: StoredTable }> {
    const none = { xattrs: emptyTable("xattrs"), xattrIds: emptyTable("xattr-ids") };
    if (header < 0) return none;
    if (header + 16 > this.#source.size) throw badSquashfs(this.#source.name, header, "cut off in the xattr table");
    const view = viewOf(this.#source.read(header, 16));
    const [start, count] = [offsetAt(view, 0), view.getUint32(8, true)];
    if (count === 0) return none;
    const stored = await this.indexed("xattr-ids", header, count * 16, header + 16);
    if (start < SUPERBLOCK || start > stored.offset) {
      throw badSquashfs(this.#source.name, header, `xattrs at ${start}, not before ${stored.offset}`);
    }
    const xattrs = await this.run("xattrs", start, stored.offset);
    return { xattrs, xattrIds: { ...stored, index: header, indexLength: stored.indexLength + 16 } };
  }

  async #block(at: number): Promise<{ bytes: Uint8Array; next: number }> {
    if (at + 2 > this.#source.size) throw badSquashfs(this.#source.name, at, "cut off in a metadata block");
    const header = viewOf(this.#source.read(at, 2)).getUint16(0, true);
    const length = header & 0x7fff;
    const next = at + 2 + length;
    if (length === 0 || next > this.#source.size) {
      throw badSquashfs(this.#source.name, at, `a metadata block of ${length} bytes`);
    }
    const stored = this.#source.read(at + 2, length);
    const packed = (header & 0x8000) === 0;
    const bytes = packed
      ? await decompressedBlock(this.#compressor, stored, METADATA_BLOCK, this.#source.name)
      : stored.slice();
    if (bytes.length === 0 || bytes.length > METADATA_BLOCK) {
      throw badSquashfs(this.#source.name, at, `a metadata block with ${bytes.length} bytes in it`);
    }
    this.#total += bytes.length;
    if (this.#total > MAX_TABLES) {
      throw new BitforbitError("limit", `${this.#source.name}: squashfs: tables of over ${MAX_TABLES} bytes`);
    }
    return { bytes, next };
  }
}

function emptyTable(name: string): StoredTable {
  return { table: { name, bytes: new Uint8Array(0), starts: [] }, offset: 0, length: 0, index: 0, indexLength: 0 };
}

/** Where `offset` of the block that is stored at `start` stands in the plain table; undefined when there is no such block. */
export function placeIn(table: Table, start: number, offset: number): number | undefined {
  let low = 0;
  let high = table.starts.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = table.starts[middle] ?? 0;
    if (found === start) {
      const at = middle * METADATA_BLOCK + offset;
      return at <= table.bytes.length ? at : undefined;
    }
    if (found < start) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
