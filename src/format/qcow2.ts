import { inflateRawSync, zstdDecompressSync } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { looksLikeQcow2 } from "./image-magic.ts";
import { type Cell, flags, placed, recordParts, text, unsigned } from "./image-record.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";
import { joined, type Piece } from "./scattered.ts";
import { zstdFrameLength } from "./zstd-frame.ts";

/**
 * Cuts a qcow2 image, version 2 or 3 (QEMU, docs/interop/qcow2); all numbers are big endian:
 *
 *     header  extensions(type(4) length(4) data, up to a multiple of 8)…  name of the backing file
 *     tables of the first level, of the second, of reference counts, and clusters, anywhere
 *
 * The disk that it holds is one content, put together from its clusters.
 */
const MAX_CLUSTERS = 1 << 22;
const CHUNK = 1 << 20;
/** Bits 9 to 55 of an entry are an offset; two numbers hold it. */
const HIGH_MASK = 0xff_ffff;
const LOW_MASK = 0xffff_fe00;
const COMPRESSED = 0x4000_0000;

const EXTERNAL_DATA = 0x4;
const EXTENDED_L2 = 0x10;

const INCOMPATIBLE: Readonly<Record<number, string>> = {
  0: "dirty",
  1: "corrupt",
  2: "external_data",
  3: "compression_type",
  4: "extended_l2",
};
const EXTENSIONS: Readonly<Record<number, string>> = {
  0xe2792aca: "backing format",
  0x6803f857: "feature names",
  0x23852875: "bitmaps",
  0x0537be77: "encryption header",
  0x44415441: "external data file",
};
const ENCRYPTIONS: readonly string[] = ["none", "AES", "LUKS"];

interface Qcow2 {
  source: ByteSource;
  name: string;
  header: number;
  clusterBits: number;
  cluster: number;
  size: number;
  l1: Piece;
  refcounts: Piece;
  backing: Piece;
  encrypted: boolean;
  incompatible: number;
  zstd: boolean;
}

/** Throws `input` for what is not qcow2, or has extended entries; `limit` for more clusters than are believed. */
export function qcow2Parts(source: ByteSource, name: string): Iterable<Part> {
  const image = qcow2Of(source, name);
  const { header, l1, refcounts } = image;
  const parts: Part[] = [
    group("header", 0, header, () => recordParts(cellsOf(source), source.read(0, header).slice(), 0)),
    ...extensionParts(image),
    derived("L1 table", l1.offset, l1.length),
    derived("refcount table", refcounts.offset, refcounts.length),
  ];
  const { backing } = image;
  if (backing.length > 0 && inside(image, backing)) {
    parts.push(
      field("backing file", backing.offset, backing.length, () => text(source.read(backing.offset, backing.length))),
    );
  }
  for (const offset of entriesOf(image, refcounts)) parts.push(derived("refcounts", offset, image.cluster));
  for (const part of diskParts(image, parts)) parts.push(part);
  return placed(parts, source.size);
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: qcow2, offset ${offset}: ${what}`);
}

function inside({ source }: { source: ByteSource }, { offset, length }: Piece): boolean {
  return Number.isSafeInteger(offset) && offset + length <= source.size;
}

function qcow2Of(source: ByteSource, name: string): Qcow2 {
  const words = new Words(source.read(0, Math.min(source.size, 112)).slice(), false, `${name}: qcow2`);
  if (!looksLikeQcow2(words.bytes)) throw bad(name, 0, "no magic number 514649fb with version 2 or 3");
  words.need(0, 72);
  const third = words.u32(4) === 3;
  const header = third ? words.u32(100) : 72;
  const clusterBits = words.u32(20);
  const incompatible = third ? words.u32(76) : 0;
  if (clusterBits < 9 || clusterBits > 21)
    throw bad(name, 20, `clusters of 2^${clusterBits} bytes, 2^9 to 2^21 expected`);
  if (header < (third ? 104 : 72) || header > Math.min(source.size, 4096))
    throw bad(name, 100, `a header of ${header} bytes`);
  if ((incompatible & EXTENDED_L2) !== 0) throw bad(name, 72, "extended L2 entries, which are not read");
  const cluster = 2 ** clusterBits;
  const image = {
    source,
    name,
    header,
    clusterBits,
    cluster,
    size: words.u64(24),
    l1: { offset: words.u64(40), length: words.u32(36) * 8 },
    refcounts: { offset: words.u64(48), length: words.u32(56) * cluster },
    backing: { offset: words.u64(8), length: words.u32(16) },
    encrypted: words.u32(32) !== 0,
    incompatible,
    zstd: header > 104 && words.size > 104 && words.u8(104) === 1,
  };
  if (!inside(image, image.l1)) throw bad(name, 36, "an L1 table that is not in the image");
  if (!inside(image, image.refcounts)) throw bad(name, 48, "a refcount table that is not in the image");
  return image;
}

function bigEndian(bytes: Uint8Array): string {
  return String(unsigned(bytes.toReversed()));
}

function bits(names: Readonly<Record<number, string>>): (cell: Uint8Array) => string {
  return (cell) => flags(names)(cell.toReversed());
}

function cellsOf(source: ByteSource): readonly Cell[] {
  const version2: Cell[] = [
    ["magic", 4, "derived"],
    ["version", 4, "field", bigEndian],
    ["place of the backing file's name", 8, "derived"],
    ["length of the backing file's name", 4, "derived"],
    ["cluster size", 4, "field", (cell) => String(2 ** Number(bigEndian(cell)))],
    ["size", 8, "field", bigEndian],
    ["encryption", 4, "field", (cell) => ENCRYPTIONS[Number(bigEndian(cell))] ?? bigEndian(cell)],
    ["L1 entries", 4, "derived"],
    ["place of the L1 table", 8, "derived"],
    ["place of the refcount table", 8, "derived"],
    ["clusters of the refcount table", 4, "derived"],
    ["snapshots", 4, "field", bigEndian],
    ["place of snapshots", 8, "derived"],
  ];
  if ((source.read(7, 1)[0] ?? 0) < 3) return version2;
  return [
    ...version2,
    ["incompatible features", 8, "field", bits(INCOMPATIBLE)],
    ["compatible features", 8, "field", bits({ 0: "lazy_refcounts" })],
    ["autoclear features", 8, "field", bits({ 0: "bitmaps", 1: "raw_external_data" })],
    ["bits of a refcount", 4, "field", (cell) => String(2 ** Number(bigEndian(cell)))],
    ["header length", 4, "derived"],
    ["compression", 1, "field", ([type]) => (type === 0 ? "zlib" : type === 1 ? "zstd" : String(type))],
    ["reserved", 7, "padding"],
  ];
}

function* extensionParts({ source, header, cluster, backing }: Qcow2): Generator<Part> {
  const end = Math.min(cluster, source.size, backing.offset === 0 ? Infinity : backing.offset);
  for (let at = header; at + 8 <= end;) {
    const offset = at;
    const words = new Words(source.read(at, 8).slice(), false, "extension");
    const [type, length] = [words.u32(0), words.u32(4)];
    if (type === 0 || at + 8 + length > end) return;
    const title = EXTENSIONS[type] ?? `extension ${type.toString(16)}`;
    const named = title === "backing format" || title === "external data file";
    yield group(title, offset, 8 + length, () => [
      derived("type and length", offset, 8),
      named
        ? field("name", offset + 8, length, () => text(source.read(offset + 8, length)))
        : { key: "data", kind: "bytes", offset: offset + 8, length },
    ]);
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

/** Offsets of clusters in a table of the first level, or of reference counts. */
function* entriesOf(image: Qcow2, { offset, length }: Piece): Generator<number> {
  const { source, cluster } = image;
  for (let from = 0; from < length; from += CHUNK) {
    const words = new Words(source.read(offset + from, Math.min(CHUNK, length - from)).slice(), false, image.name);
    for (let at = 0; at + 8 <= words.size; at += 8) {
      const place = offsetIn(words, at);
      if (place > 0 && place + cluster <= source.size) yield place;
    }
  }
}

function offsetIn(words: Words, at: number): number {
  return (words.u32(at) & HIGH_MASK) * 2 ** 32 + ((words.u32(at + 4) & LOW_MASK) >>> 0);
}

/** Where a cluster that an entry names is stored; undefined for one of zeros. */
function storedAt(
  { clusterBits, cluster }: Qcow2,
  words: Words,
  at: number,
): (Piece & { compressed: boolean }) | undefined {
  const [high, low] = [words.u32(at), words.u32(at + 4)];
  if ((high & COMPRESSED) === 0) {
    const offset = offsetIn(words, at);
    return offset === 0 || (low & 1) !== 0 ? undefined : { offset, length: cluster, compressed: false };
  }
  // Of 62 bits the upper ones count the sectors behind the one in which it begins.
  const entry = words.big(at) & 0x3fff_ffff_ffff_ffffn;
  const bits = BigInt(62 - (clusterBits - 8));
  const offset = Number(entry & ((1n << bits) - 1n));
  const sectors = Number(entry >> bits) + 1;
  return { offset, length: sectors * 512 - (offset % 512), compressed: true };
}

function* diskParts(image: Qcow2, parts: Part[]): Generator<Part> {
  const { source, cluster, incompatible, encrypted, backing } = image;
  if ((incompatible & EXTERNAL_DATA) !== 0) return;
  const pieces: Piece[] = [];
  for (const table of new Set(entriesOf(image, image.l1))) {
    parts.push(derived("L2 table", table, cluster));
    const words = new Words(source.read(table, cluster).slice(), false, image.name);
    for (let at = 0; at < cluster; at += 8) {
      const stored = storedAt(image, words, at);
      if (stored === undefined || stored.offset >= source.size) continue;
      pieces.push({ offset: stored.offset, length: Math.min(stored.length, source.size - stored.offset) });
      if (pieces.length > MAX_CLUSTERS) {
        throw new BitforbitError("limit", `${image.name}: qcow2: over ${MAX_CLUSTERS} clusters`);
      }
    }
  }
  const run = (sink: Sink, limits: InflationLimits): Promise<void> => gather(image, sink, limits);
  const note = backing.length === 0 ? {} : { note: "what only the backing file has is taken for zeros" };
  for (const [index, piece] of merged(pieces).entries()) {
    if (encrypted) yield { key: "clusters", kind: "bytes", ...piece, note: "encrypted" };
    else if (index > 0) yield { key: "disk", kind: "stored", ...piece };
    else yield { key: "disk", kind: "content", ...piece, decode: { name: "gather", run }, ...note };
  }
}

/** Compressed clusters share sectors. */
function merged(pieces: Piece[]): Piece[] {
  let end = 0;
  const own: Piece[] = [];
  for (const { offset, length } of pieces.sort((a, b) => a.offset - b.offset)) {
    const from = Math.max(offset, end);
    if (offset + length <= from) continue;
    own.push({ offset: from, length: offset + length - from });
    end = offset + length;
  }
  return joined(own);
}

async function gather(image: Qcow2, sink: Sink, limits: InflationLimits): Promise<void> {
  const guard = new InflationGuard(image.name, image.source.size, limits);
  let done = 0;
  for (const { from, stored } of clustersOf(image)) {
    done = zeros(done, from, guard, sink);
    const bytes = clusterAt(image, stored);
    const wanted = Math.min(bytes.length, image.size - from);
    guard.add(wanted);
    sink(bytes.slice(0, wanted));
    done = from + wanted;
  }
  zeros(done, image.size, guard, sink);
}

function zeros(from: number, to: number, guard: InflationGuard, sink: Sink): number {
  for (let at = from; at < to; at += CHUNK) {
    const length = Math.min(CHUNK, to - at);
    guard.add(length);
    sink(new Uint8Array(length));
  }
  return to;
}

/** Clusters that are stored, in the order of the disk; `from`: where in it. */
function* clustersOf(image: Qcow2): Generator<{ from: number; stored: Piece & { compressed: boolean } }> {
  const { source, cluster, size, l1 } = image;
  const covered = cluster * (cluster / 8);
  for (let index = 0; index < Math.min(l1.length / 8, Math.ceil(size / covered)); index++) {
    const table = offsetIn(new Words(source.read(l1.offset + index * 8, 8), false, image.name), 0);
    if (table === 0 || table + cluster > source.size) continue;
    const words = new Words(source.read(table, cluster).slice(), false, image.name);
    for (let entry = 0; entry < cluster / 8; entry++) {
      const from = index * covered + entry * cluster;
      const stored = from < size ? storedAt(image, words, entry * 8) : undefined;
      if (stored !== undefined) yield { from, stored };
    }
  }
}

function clusterAt(image: Qcow2, { offset, length, compressed }: Piece & { compressed: boolean }): Uint8Array {
  const { source, name, cluster } = image;
  if (offset >= source.size) throw bad(name, offset, "a cluster behind the end of the image");
  const bytes = source.read(offset, Math.min(length, source.size - offset)).slice();
  let plain = bytes;
  try {
    // Behind the frame stands the next cluster's, or nothing.
    const frame = compressed && image.zstd ? bytes.subarray(0, zstdFrameLength(bytes)) : undefined;
    if (frame !== undefined) plain = new Uint8Array(zstdDecompressSync(frame, { maxOutputLength: cluster }));
    else if (compressed) plain = new Uint8Array(inflateRawSync(bytes, { maxOutputLength: cluster }));
  } catch (error) {
    throw bad(name, offset, `a broken cluster: ${messageOf(error)}`);
  }
  if (plain.length > cluster) throw bad(name, offset, `a cluster of ${plain.length} bytes`);
  // The last one may be cut.
  if (plain.length === cluster) return plain;
  const whole = new Uint8Array(cluster);
  whole.set(plain);
  return whole;
}
