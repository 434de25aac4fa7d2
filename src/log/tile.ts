/**
 * The mathematics of a tile log, without input or output. Hashes are SHA-256
 * as in RFC 6962, section 2.1; tiles as in C2SP tlog-tiles, of height 8.
 *
 * A *node* is the root of a complete subtree: `level` 0 are leaf hashes, and
 * node (level, index) covers leaves [index·2^level, (index+1)·2^level). A tile
 * (L, N) holds the nodes of level 8·L with indexes 256·N … 256·N+255; a tile
 * at the right edge may be partial, of `width` 1 to 255.
 *
 *     300 leaves:  tile/0/000   tile/0/001.p/44   tile/1/000.p/1
 */
import { createHash, hash } from "node:crypto";
import { concat, equalBytes } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

export const HASH_BYTES = 32;
export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;

export interface Tile {
  /** Tile level L: its nodes have level 8·L. */
  level: number;
  index: number;
  /** 1 to 256; 256 is a full tile. */
  width: number;
}

/** The nodes of one tile, a row a level, from its own hashes up. */
export type TileRows = Uint8Array[][];

/** Gives the hash of a node. */
export type NodeHash = (level: number, index: number) => Uint8Array;

/** SHA-256(0x00 ‖ entry): RFC 6962, section 2.1. */
export function leafHash(entry: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return hashed(input);
}

/** Of the node that is being hashed: one buffer for millions of them. */
const NODE_INPUT = Uint8Array.of(1, ...new Uint8Array(2 * HASH_BYTES));

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  NODE_INPUT.set(left, 1);
  NODE_INPUT.set(right, 1 + HASH_BYTES);
  return hashed(NODE_INPUT);
}

const HASHED: Buffer = Buffer.alloc(HASH_BYTES);

/** SHA-256 by way of a string, a character a byte: a Buffer has memory of its own to be made and freed, in three times the time. */
function hashed(input: Uint8Array): Uint8Array {
  HASHED.write(hash("sha256", input, "binary"), 0, HASH_BYTES, "latin1");
  return new Uint8Array(HASHED); // a copy, and not a Buffer, whose slices share memory
}

/** The root of a tree without leaves: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return new Uint8Array(createHash("sha256").digest());
}

/** The largest power of two smaller than `size` (RFC 6962's k), for size ≥ 2. */
export function splitPoint(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** h when `value` is 2^h, else undefined. (Math.log2 rounds 2^50 − 1 up to 50.) */
export function exponent(value: number): number | undefined {
  let level = 0;
  let power = 1;
  for (; power < value; level++) power *= 2;
  return power === value ? level : undefined;
}

/** Roots of ranges that end at the edge of one tree, by their first leaf: to not compute them twice. */
export type Ragged = Map<number, Uint8Array>;

/** Root of the leaves [from, to) where `from` is a multiple of the next power of two ≥ to − from. */
export function rangeRoot(from: number, to: number, node: NodeHash, ragged?: Ragged): Uint8Array {
  const size = to - from;
  if (size < 1) throw new RangeError(`empty range ${from}..${to}`);
  const level = exponent(size);
  if (level !== undefined) return node(level, from / size);
  const known = ragged?.get(from);
  if (known !== undefined) return known;
  const k = splitPoint(size);
  const root = nodeHash(rangeRoot(from, from + k, node), rangeRoot(from + k, to, node, ragged));
  ragged?.set(from, root);
  return root;
}

export function treeRoot(size: number, node: NodeHash): Uint8Array {
  return size === 0 ? emptyRoot() : rangeRoot(0, size, node);
}

/** PATH(index, D[size]) of RFC 6962, section 2.1.1: lowest sibling first. `ragged` is of this `size`. */
export function inclusionProof(index: number, size: number, node: NodeHash, ragged?: Ragged): Uint8Array[] {
  checkRange(index, 0, size - 1, "leaf index");
  const path: Uint8Array[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      path.push(rangeRoot(middle, to, node, to === size ? ragged : undefined));
      to = middle;
    } else {
      path.push(rangeRoot(from, middle, node));
      from = middle;
    }
  }
  return path.reverse();
}

/** PROOF(first, D[second]) of RFC 6962, section 2.1.2; empty when first is 0 or equals second. */
export function consistencyProof(first: number, second: number, node: NodeHash): Uint8Array[] {
  checkRange(first, 0, second, "first size");
  const proof: Uint8Array[] = [];
  if (first === 0 || first === second) return proof;
  let from = 0;
  let to = second;
  for (;;) {
    if (first === to) {
      if (from !== 0) proof.push(rangeRoot(from, to, node));
      return proof.reverse();
    }
    const middle = from + splitPoint(to - from);
    if (first <= middle) {
      proof.push(rangeRoot(middle, to, node));
      to = middle;
    } else {
      proof.push(rangeRoot(from, middle, node));
      from = middle;
    }
  }
}

/** The width of tile (level, index) in a tree of `size` leaves: 0 when the tree does not reach it. */
export function tileWidth(level: number, index: number, size: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH;
  return Math.max(0, Math.min(TILE_WIDTH, nodes));
}

/** The tiles at the right edge of a tree, lowest level first: with them a log can grow and be checked. */
export function edgeTiles(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; TILE_WIDTH ** level <= size; level++) {
    const index = Math.floor(Math.floor(size / TILE_WIDTH ** level) / TILE_WIDTH);
    const width = tileWidth(level, index, size);
    if (width > 0) tiles.push({ level, index, width });
  }
  return tiles;
}

/** Every tile that a tree of `to` leaves has and one of `from` leaves has not, or has less wide. */
export function newTiles(from: number, to: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; TILE_WIDTH ** level <= to; level++) {
    const before = Math.floor(from / TILE_WIDTH ** level);
    const after = Math.floor(to / TILE_WIDTH ** level);
    if (before === after) continue;
    for (let index = Math.floor(before / TILE_WIDTH); index * TILE_WIDTH < after; index++) {
      tiles.push({ level, index, width: tileWidth(level, index, to) });
    }
  }
  return tiles;
}

/** `tile/0/x001/x234/067.p/8`: the path of a tile, relative to the log; `entries` for the leaves themselves. */
export function tilePath(level: number | "entries", index: number, width: number): string {
  checkRange(index, 0, Number.MAX_SAFE_INTEGER, "tile index");
  let path = String(index % 1000).padStart(3, "0");
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, "0")}/${path}`;
  }
  return `tile/${level}/${path}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/**
 * All complete nodes inside a tile: row 0 holds its hashes, row h the nodes h
 * levels above. `hashes` is the tile's content, width × 32 bytes.
 */
export function tileRows(hashes: Uint8Array): TileRows {
  const rows: TileRows = [[]];
  for (let at = 0; at < hashes.length; at += HASH_BYTES) growRows(rows, hashes.subarray(at, at + HASH_BYTES));
  return rows;
}

/** Adds one hash at the right of a tile, and the nodes that it completes. */
export function growRows(rows: TileRows, hash: Uint8Array): void {
  let added = hash;
  for (let height = 0; ; height++) {
    const row = (rows[height] ??= []);
    row.push(added);
    const left = row.at(-2);
    if (row.length % 2 === 1 || left === undefined) return;
    added = nodeHash(left, added);
  }
}

/** The content of a tile: the inverse of `tileRows`. */
export function tileBytes(rows: TileRows): Uint8Array {
  return concat(rows[0] ?? []);
}

/** The leaves of an entry tile (C2SP tlog-tiles, "Log Entries"): each a big-endian uint16 length and the bytes. */
export function parseEntries(bytes: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const end = at + 2 + length;
    if (end > bytes.length) throw new BitforbitError("input", `an entry tile is cut off at byte ${at}`);
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/** The inverse of `parseEntries`. Throws `limit` for an entry over 65,535 bytes. */
export function writeEntries(entries: readonly Uint8Array[]): Uint8Array {
  const total = entries.reduce((sum, { length }) => sum + 2 + length, 0);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const entry of entries) {
    if (entry.length > 0xffff) throw new BitforbitError("limit", `a log entry of ${entry.length} bytes is over 65535`);
    bytes[at] = entry.length >> 8;
    bytes[at + 1] = entry.length & 0xff;
    bytes.set(entry, at + 2);
    at += 2 + entry.length;
  }
  return bytes;
}

export function sameRoot(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === HASH_BYTES && equalBytes(a, b);
}

function checkRange(value: number, low: number, high: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new BitforbitError("input", `${what} ${value} is not between ${low} and ${high}`);
  }
}
