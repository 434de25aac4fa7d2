import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type Cell, flags, number, placed, recordParts, text, unsigned } from "./image-record.ts";
import { derived, field, group, type Part } from "./part.ts";
import { joined, type Piece, scattered } from "./scattered.ts";

/**
 * Cuts an image of FAT12, FAT16 or FAT32 (Microsoft, FAT32 File System
 * Specification 1.03; ECMA-107):
 *
 *     boot sector  [more reserved sectors]  FATs  [root directory]  clusters
 *
 * A file is a chain of clusters; the FAT has for each cluster the next one,
 * and 0 for one that is free.
 */
interface Fat {
  source: ByteSource;
  name: string;
  bits: 12 | 16 | 32;
  clusterSize: number;
  /** Where the table begins, and how long each copy is. */
  fatAt: number;
  fatSize: number;
  copies: number;
  rootAt: number;
  rootSize: number;
  rootCluster: number;
  dataAt: number;
  /** Numbered from 2 on. */
  clusters: number;
  /** Clusters that something has: a chain that meets one ends. */
  taken: Uint8Array;
  parts: Part[];
}

const MAX_CLUSTERS = 1 << 26;
const MAX_ENTRIES = 4_000_000;
const MAX_PATH = 16 << 10;

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: FAT, offset ${offset}: ${what}`);
}

/** Throws `input` for what is no FAT. */
export function fatParts(source: ByteSource, name: string): Iterable<Part> {
  const fat = fatOf(source, name);
  const { parts, fatAt, fatSize, copies } = fat;
  reserved(fat);
  for (let copy = 0; copy < copies; copy++) {
    parts.push(derived(copy === 0 ? "FAT" : "copy of the FAT", fatAt + copy * fatSize, fatSize));
  }
  walk(fat);
  return withUnallocated(fat, placed(parts, source.size));
}

function fatOf(source: ByteSource, name: string): Fat {
  if (source.size < 512) throw bad(name, source.size, "cut off in the boot sector");
  const bytes = source.read(0, 512);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 512);
  const u16 = (at: number): number => view.getUint16(at, true);
  const sector = u16(11);
  const perCluster = view.getUint8(13);
  const copies = view.getUint8(16);
  if (!isPower(sector) || sector < 128 || sector > 4096) throw bad(name, 11, `sectors of ${sector} bytes`);
  if (!isPower(perCluster)) throw bad(name, 13, `clusters of ${perCluster} sectors`);
  if (copies < 1 || copies > 4) throw bad(name, 16, `${copies} FATs`);
  const fatSize = (u16(22) || view.getUint32(36, true)) * sector;
  const rootSize = u16(17) * 32;
  const fatAt = u16(14) * sector;
  const rootAt = fatAt + copies * fatSize;
  const dataAt = rootAt + Math.ceil(rootSize / sector) * sector;
  const total = (u16(19) || view.getUint32(32, true)) * sector;
  const clusterSize = perCluster * sector;
  const clusters = Math.floor((Math.min(total, source.size) - dataAt) / clusterSize);
  if (fatAt < sector || clusters < 0) throw bad(name, 14, `data at ${dataAt} in ${source.size} bytes`);
  if (clusters > MAX_CLUSTERS) throw new BitforbitError("limit", `${name}: FAT: over ${MAX_CLUSTERS} clusters`);
  const stated = Math.floor((total - dataAt) / clusterSize);
  const bits = u16(22) === 0 ? 32 : stated < 4085 ? 12 : 16;
  const rootCluster = bits === 32 ? view.getUint32(44, true) : 0;
  const taken = new Uint8Array(clusters + 2);
  const where = { fatAt, fatSize, copies, rootAt, rootSize, rootCluster, dataAt };
  return { source, name, bits, clusterSize, ...where, clusters, taken, parts: [] };
}

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

const BOOT: readonly Cell[] = [
  ["jump", 3, "field", showHex],
  ["OEM name", 8, "field", text],
  ["sector size", 2, "field"],
  ["sectors in a cluster", 1, "field"],
  ["reserved sectors", 2, "field"],
  ["FATs", 1, "field"],
  ["root entries", 2, "field"],
  ["sectors", 2, "derived"],
  ["media", 1, "field", showHex],
  ["sectors in a FAT", 2, "derived"],
  ["sectors in a track", 2, "field"],
  ["heads", 2, "field"],
  ["hidden sectors", 4, "field"],
  ["sectors", 4, "derived"],
];
const REST: readonly Cell[] = [
  ["drive", 1, "field", showHex],
  ["reserved", 1, "field"],
  ["extended signature", 1, "derived"],
  ["volume serial", 4, "field", (bytes) => serial(bytes)],
  ["volume label", 11, "field", text],
  ["type", 8, "field", text],
];
const REST_32: readonly Cell[] = [
  ["sectors in a FAT", 4, "derived"],
  ["flags", 2, "field"],
  ["version", 2, "field"],
  ["root cluster", 4, "derived"],
  ["FSInfo sector", 2, "derived"],
  ["backup sector", 2, "derived"],
  ["reserved", 12, "padding"],
  ...REST,
];

function showHex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString("hex")}`;
}

/** As DOS shows it: 1234-ABCD. */
function serial(bytes: Uint8Array): string {
  const digits = unsigned(bytes).toString(16).padStart(8, "0").toUpperCase();
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}

function bootCells(bits: number): readonly Cell[] {
  const rest = bits === 32 ? REST_32 : REST;
  const used = [...BOOT, ...rest].reduce((sum, [, size]) => sum + size, 0);
  return [...BOOT, ...rest, ["boot code", 510 - used, "field", showHexStart], ["signature", 2, "derived"]];
}

function showHexStart(bytes: Uint8Array): string {
  const printable = showable(bytes.filter((byte) => byte >= 0x20 && byte < 0x7f));
  return `${showHex(bytes.subarray(0, 16))}… ${printable.slice(0, 200)}`;
}

const FSINFO: readonly Cell[] = [
  ["signature", 4, "derived"],
  ["reserved", 480, "padding"],
  ["signature", 4, "derived"],
  ["free clusters", 4, "derived"],
  ["next free cluster", 4, "derived"],
  ["reserved", 12, "padding"],
  ["signature", 4, "derived"],
];

function reserved({ source, bits, parts, fatAt }: Fat): void {
  const boot = source.read(0, 512).slice();
  parts.push(group("boot sector", 0, 512, () => recordParts(bootCells(bits), boot, 0)));
  if (bits !== 32) return;
  const sector = (boot[11] ?? 0) | ((boot[12] ?? 0) << 8);
  const info = ((boot[48] ?? 0) | ((boot[49] ?? 0) << 8)) * sector;
  const backup = ((boot[50] ?? 0) | ((boot[51] ?? 0) << 8)) * sector;
  if (info > 0 && info + 512 <= fatAt) {
    parts.push(group("FSInfo", info, 512, () => recordParts(FSINFO, source.read(info, 512).slice(), info)));
  }
  if (backup > 0 && backup + 512 <= fatAt) {
    parts.push(derived("copy of the boot sector", backup, 512));
    if (backup + sector + 512 <= fatAt) parts.push(derived("copy of FSInfo", backup + sector, 512));
  }
}

/** What follows a cluster; 0 at the end of its chain, and for what there is not. */
function next({ source, bits, fatAt, fatSize, clusters }: Fat, cluster: number): number {
  const at = bits === 12 ? Math.floor(cluster * 1.5) : (cluster * bits) / 8;
  const length = bits === 32 ? 4 : 2;
  if (at + length > fatSize || fatAt + at + length > source.size) return 0;
  let value = Number(unsigned(source.read(fatAt + at, length)));
  if (bits === 12) value = cluster % 2 === 0 ? value & 0xfff : value >> 4;
  if (bits === 32) value &= 0x0fff_ffff;
  return value >= 2 && value < clusters + 2 ? value : 0;
}

function isFree({ source, bits, fatAt, fatSize }: Fat, cluster: number): boolean {
  const at = bits === 12 ? Math.floor(cluster * 1.5) : (cluster * bits) / 8;
  const length = bits === 32 ? 4 : 2;
  if (at + length > fatSize || fatAt + at + length > source.size) return false;
  const value = Number(unsigned(source.read(fatAt + at, length)));
  if (bits !== 12) return value === 0;
  return (cluster % 2 === 0 ? value & 0xfff : value >> 4) === 0;
}

function* chain(fat: Fat, first: number): Generator<Piece> {
  const { taken, dataAt, clusterSize, clusters } = fat;
  let cluster = first;
  while (cluster >= 2 && cluster < clusters + 2 && taken[cluster] === 0) {
    taken[cluster] = 1;
    yield { offset: dataAt + (cluster - 2) * clusterSize, length: clusterSize };
    cluster = next(fat, cluster);
  }
}

interface Entry {
  key: string;
  /** In the listing. */
  at: number;
  /** With the entries of the long name before it. */
  length: number;
  attributes: number;
  cluster: number;
  size: number;
}

const LABEL = 8;
const FOLDER = 16;
const LONG = 15;
const DELETED = 0xe5;

function walk(fat: Fat): void {
  const { rootAt, rootSize } = fat;
  const root = fat.bits === 32 ? joined(chain(fat, fat.rootCluster)) : [{ offset: rootAt, length: rootSize }];
  const queue = [{ path: "/", pieces: root }];
  let count = 0;
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    const above = folder.path === "/" ? "" : `${folder.path}/`;
    for (const entry of listing(fat, folder.path, folder.pieces)) {
      if (++count > MAX_ENTRIES) throw new BitforbitError("limit", `${fat.name}: FAT: over ${MAX_ENTRIES} entries`);
      const path = above + entry.key;
      if ((entry.attributes & LABEL) !== 0 || path.length > MAX_PATH) continue;
      if (entry.key === "." || entry.key === "..") continue;
      const pieces = joined(chain(fat, entry.cluster));
      if ((entry.attributes & FOLDER) !== 0) queue.push({ path, pieces });
      else fileParts(fat, path, pieces, entry.size);
    }
  }
}

/** A file's clusters; what of the last is beyond its end is slack. */
function fileParts({ source, parts }: Fat, path: string, clusters: readonly Piece[], size: number): void {
  const own: Piece[] = [];
  let left = size;
  for (const { offset, length } of clusters) {
    const inside = Math.min(left, length);
    if (inside > 0) own.push({ offset, length: inside });
    if (inside < length) {
      const slack = { kind: "padding", label: "slack", offset: offset + inside, length: length - inside } as const;
      parts.push({ ...slack, key: `slack of ${path}`, note: "the rest of a file's last cluster" });
    }
    left -= inside;
  }
  parts.push(...scattered(source, path, own));
}

/** Entries of a folder; its parts are made on the way. */
function* listing(fat: Fat, path: string, pieces: readonly Piece[]): Generator<Entry> {
  const { source, parts } = fat;
  for (const { offset, length } of pieces) {
    const bytes = source.read(offset, Math.min(length, source.size - offset)).slice();
    const entries = [...entriesIn(bytes)];
    parts.push(
      group(`directory ${path}`, offset, bytes.length, function* () {
        let end = 0;
        let before = "";
        for (const entry of entries) {
          if (entry.at > end) yield deleted(before, offset + end, entry.at - end);
          before = entry.key;
          end = entry.at + entry.length;
          const part = group(entry.key, offset + entry.at, entry.length, () => entryParts(bytes, offset, entry));
          yield { ...part, show: () => ((entry.attributes & FOLDER) === 0 ? `file, ${entry.size} bytes` : "folder") };
        }
        if (end < bytes.length) yield deleted(before, offset + end, bytes.length - end);
      }),
    );
    yield* entries;
  }
}

/** Named for what stands before it: there may be several. */
function deleted(before: string, offset: number, length: number): Part {
  const note = "entries of files that were deleted";
  return { key: `deleted after ${before}`, kind: "padding", label: "deleted entries", offset, length, note };
}

function* entriesIn(bytes: Uint8Array): Generator<Entry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let long = "";
  let start = -1;
  for (let at = 0; at + 32 <= bytes.length; at += 32) {
    const first = bytes[at] ?? 0;
    if (first === 0) return;
    const attributes = bytes[at + 11] ?? 0;
    if (first !== DELETED && (attributes & 0x3f) === LONG) {
      if ((first & 0x40) !== 0) {
        long = "";
        start = at;
      }
      long = longPiece(bytes, at) + long;
      continue;
    }
    if (first !== DELETED) {
      const from = start < 0 ? at : start;
      const end = long.indexOf("\0");
      const key = long === "" ? shortName(bytes, at) : end < 0 ? long : long.slice(0, end);
      const cluster = view.getUint16(at + 26, true) + view.getUint16(at + 20, true) * 65536;
      const size = view.getUint32(at + 28, true);
      yield { key, at: from, length: at + 32 - from, attributes, cluster, size };
    }
    long = "";
    start = -1;
  }
}

/** Thirteen UTF-16 units in three places. */
function longPiece(bytes: Uint8Array, at: number): string {
  const units = [bytes.subarray(at + 1, at + 11), bytes.subarray(at + 14, at + 26), bytes.subarray(at + 28, at + 32)];
  return Buffer.concat(units).toString("utf16le").replaceAll("\uffff", "");
}

/** Eight and three; 0x05 stands for a first letter 0xe5. */
function shortName(bytes: Uint8Array, at: number): string {
  const raw = bytes.slice(at, at + 11);
  if (raw[0] === 5) raw[0] = DELETED;
  // Windows NT's way to have small letters without a long name.
  const small = bytes[at + 12] ?? 0;
  const [base, extension] = [raw.subarray(0, 8), raw.subarray(8)].map((part, index) => {
    const name = Buffer.from(part).toString("latin1").replace(/ +$/, "");
    return (small & (index === 0 ? 8 : 16)) === 0 ? name : name.toLowerCase();
  });
  const isLabel = ((bytes[at + 11] ?? 0) & LABEL) !== 0;
  if (isLabel) return "volume label";
  return extension === "" ? (base ?? "") : `${base}.${extension}`;
}

const ATTRIBUTES: Readonly<Record<number, string>> = {
  0: "read-only",
  1: "hidden",
  2: "system",
  3: "label",
  4: "folder",
  5: "archive",
};

function* entryParts(bytes: Uint8Array, offset: number, entry: Entry): Generator<Part> {
  const at = entry.at + entry.length - 32;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Entries are alike whatever they name: an empty content keeps them from being taken for renamed ones.
  yield { key: "", kind: "content", offset: offset + entry.at, length: 0 };
  if (at > entry.at) yield derived("long name", offset + entry.at, at - entry.at);
  const time = (place: number, hundredths = 0): string =>
    dosTime(view.getUint16(at + place + 2, true), view.getUint16(at + place, true), hundredths);
  const created = (): string => time(14, bytes[at + 13]);
  const place = offset + at;
  yield field("short name", place, 11, () => showable(bytes.subarray(at, at + 11)));
  yield field("attributes", place + 11, 1, () => flags(ATTRIBUTES)(bytes.subarray(at + 11, at + 12)));
  yield field("case", place + 12, 1, () => number(bytes.subarray(at + 12, at + 13)));
  yield field("crtime", place + 13, 5, created);
  yield field("atime", place + 18, 2, () => dosTime(view.getUint16(at + 18, true), 0, 0));
  yield derived("cluster, high", place + 20, 2);
  yield field("mtime", place + 22, 4, () => time(22));
  yield derived("cluster", place + 26, 2);
  yield derived("size", place + 28, 4);
}

/** Seconds since the epoch, taken as UTC: DOS times have no zone. */
function dosTime(date: number, time: number, hundredths: number): string {
  if (date === 0) return "none";
  const day = Date.UTC(1980 + (date >> 9), ((date >> 5) & 15) - 1, date & 31) / 1000;
  const seconds = day + (time >> 11) * 3600 + ((time >> 5) & 63) * 60 + (time & 31) * 2;
  const fraction = hundredths % 100;
  const whole = seconds + (hundredths - fraction) / 100;
  return fraction === 0 ? String(whole) : `${whole}.${String(fraction).padStart(2, "0")}`;
}

/** Fills in clusters that the table says are free. */
function* withUnallocated(fat: Fat, parts: Iterable<Part>): Generator<Part> {
  let end = 0;
  let before = "";
  for (const part of parts) {
    yield* freeBetween(fat, end, part.offset, before);
    yield part;
    end = part.offset + part.length;
    before = part.key;
  }
  yield* freeBetween(fat, end, fat.source.size, before);
}

function* freeBetween(fat: Fat, from: number, to: number, before: string): Generator<Part> {
  const { clusters, taken, dataAt, clusterSize } = fat;
  const first = Math.max(2, Math.ceil((from - dataAt) / clusterSize) + 2);
  const last = Math.min(clusters + 2, Math.floor((to - dataAt) / clusterSize) + 2);
  let start = -1;
  for (let cluster = first; cluster <= last; cluster++) {
    const free = cluster < last && taken[cluster] === 0 && isFree(fat, cluster);
    if (free && start < 0) start = cluster;
    if (free || start < 0) continue;
    yield unallocated(before, dataAt + (start - 2) * clusterSize, (cluster - start) * clusterSize);
    start = -1;
  }
}

/** Named for what stands before it, so that it is found again where files moved. */
function unallocated(before: string, offset: number, length: number): Part {
  const note = "free clusters, with what was there before";
  return { key: `unallocated after ${before}`, kind: "padding", label: "unallocated", offset, length, note };
}
