import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import type { TarEntry } from "../format/tar.ts";
import { BLOCK, padded } from "../format/tar-header.ts";

/** What a sparse member stands for: pieces of content, with holes of zeros between them. */
export interface SparseFile {
  /** The name, which GNU tar hides in a record of its own. */
  nameBytes: Uint8Array;
  /** Bytes, holes included. */
  size: number;
  /** In order, not overlapping: where each piece stands in the file and in the archive. */
  pieces: { offset: number; at: number; length: number }[];
}

const MAX_PIECES = 1_000_000;

/**
 * The pieces of a sparse member: GNU tar manual, "Storing Sparse Files": the old GNU format, and PAX formats 0.1 and 1.0. Throws
 * `input` for a map that is none, or format 0.0, which readers take for 0.1 only with all of its repeated records.
 */
export function sparseFile(source: ByteSource, entry: TarEntry): SparseFile {
  const text = (key: string): string | undefined => {
    const record = entry.pax.get(key);
    return record === undefined ? undefined : showable(record.value);
  };
  const bad = (what: string): BitforbitError =>
    new BitforbitError("input", `${source.name}: tar, offset ${entry.headerOffset}: ${what}`);
  let map: number[];
  let size: number;
  let at = entry.dataOffset;
  if (entry.type === "S") {
    ({ map, size } = oldMap(source, entry, bad));
  } else if (text("GNU.sparse.major") === "1" && text("GNU.sparse.minor") === "0") {
    size = numberOf(text("GNU.sparse.realsize"), bad);
    const read = mapInData(source, entry, bad);
    map = read.map;
    at += read.length;
  } else {
    size = numberOf(text("GNU.sparse.size"), bad);
    if (text("GNU.sparse.map") === undefined) throw bad("a sparse file in a format that is not known");
    map = (text("GNU.sparse.map") ?? "").split(",").map((number) => numberOf(number, bad));
  }
  const pieces = piecesOf(map, size, at, entry, bad);
  return { nameBytes: entry.pax.get("GNU.sparse.name")?.value ?? entry.nameBytes, size, pieces };
}

type Bad = (what: string) => BitforbitError;

function numberOf(text: string | undefined, bad: Bad): number {
  const value = /^[0-9]{1,15}$/.test(text ?? "") ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw bad(`a sparse map with ${JSON.stringify((text ?? "").slice(0, 60))}`);
  return value;
}

function piecesOf(
  map: readonly number[],
  size: number,
  start: number,
  entry: TarEntry,
  bad: Bad,
): SparseFile["pieces"] {
  if (map.length % 2 !== 0) throw bad("a sparse map with half a piece");
  const pieces: SparseFile["pieces"] = [];
  let at = start;
  let end = 0;
  for (let index = 0; index < map.length; index += 2) {
    const [offset = 0, length = 0] = map.slice(index, index + 2);
    if (offset < end || offset + length > size) throw bad("a sparse map out of order");
    if (at + length > entry.dataOffset + entry.size) throw bad("a sparse map with more than the member holds");
    if (length > 0) pieces.push({ offset, at, length });
    end = offset + length;
    at += length;
  }
  return pieces;
}

/** The map in the header, 4 pieces at 386, and in the blocks after it, 21 in each. */
function oldMap(source: ByteSource, entry: TarEntry, bad: Bad): { map: number[]; size: number } {
  const header = source.read(entry.headerOffset, BLOCK).slice();
  const map: number[] = [];
  const take = (block: Uint8Array, from: number, count: number): void => {
    for (let piece = 0; piece < count; piece++) {
      const at = from + piece * 24;
      if (block[at] === 0) return;
      map.push(tarNumber(block.subarray(at, at + 12), bad), tarNumber(block.subarray(at + 12, at + 24), bad));
    }
  };
  take(header, 386, 4);
  for (let at = entry.headerOffset + BLOCK; at < entry.dataOffset; at += BLOCK) {
    if (map.length > 2 * MAX_PIECES) throw new BitforbitError("limit", `${source.name}: over ${MAX_PIECES} pieces`);
    take(source.read(at, BLOCK), 0, 21);
  }
  return { map, size: tarNumber(header.subarray(483, 495), bad) };
}

function tarNumber(bytes: Uint8Array, bad: Bad): number {
  if (((bytes[0] ?? 0) & 0x80) === 0) {
    const digits = /^ *([0-7]{1,12})[ \0]*$/.exec(Buffer.from(bytes).toString("latin1"))?.[1];
    if (digits !== undefined) return Number.parseInt(digits, 8);
  } else {
    let value = (bytes[0] ?? 0) & 0x7f;
    for (const byte of bytes.subarray(1)) value = value * 256 + byte;
    if (Number.isSafeInteger(value)) return value;
  }
  throw bad("a sparse map with a number that is none");
}

/** PAX 1.0: decimal lines before the content, filled up to a block. */
function mapInData(source: ByteSource, entry: TarEntry, bad: Bad): { map: number[]; length: number } {
  let at = 0;
  const line = (): number => {
    const rest = source.read(entry.dataOffset + at, Math.min(24, entry.size - at));
    const end = rest.indexOf(0x0a);
    if (end < 0) throw bad("a sparse map that does not end");
    at += end + 1;
    return numberOf(Buffer.from(rest.subarray(0, end)).toString("latin1"), bad);
  };
  const count = line();
  if (count > MAX_PIECES) throw new BitforbitError("limit", `${source.name}: a sparse file of ${count} pieces`);
  const map: number[] = [];
  for (let piece = 0; piece < count; piece++) map.push(line(), line());
  return { map, length: padded(at) };
}
