import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type Cell, isZero, placed, recordParts, text, unsigned } from "./image-record.ts";
import { allEntries, linkTarget, longTime, rockRidgeOf, shortTime, type Susp, suspParts } from "./iso9660-susp.ts";
import { derived, field, group, type Part } from "./part.ts";
import { partitionTables } from "./partition-table.ts";
import { joined, scattered } from "./scattered.ts";

/**
 * Cuts an ISO 9660 image (ECMA-119, 4th edition) with Rock Ridge, Joliet and
 * El Torito, and the partition tables of a hybrid one:
 *
 *     system area(16 sectors)  volume descriptors…  path tables  directories  contents
 *
 * in sectors of 2048 bytes. Directories and contents are found from each
 * volume's root; path tables follow from the directories.
 */
const SECTOR = 2048;
const SYSTEM_AREA = 16 * SECTOR;
const MAX_DESCRIPTORS = 64;
const MAX_RECORDS = 4_000_000;
const MAX_PATH = 16 << 10;
const MAX_FOLDER = 256 << 20;

interface DirectoryRecord {
  at: number;
  length: number;
  nameLength: number;
  extent: number;
  size: number;
  flags: number;
  name: string;
  entries: Susp[];
  areas: { offset: number; length: number }[];
}

interface Volume {
  joliet: boolean;
  root: DirectoryRecord;
}

interface Reading {
  source: ByteSource;
  name: string;
  parts: Part[];
  /** Where each content or folder begins, so that what two trees share is told once. */
  taken: Set<number>;
  records: number;
}

/** Throws `input` for what is no ISO 9660. */
export function iso9660Parts(source: ByteSource, name: string): Iterable<Part> {
  const reading: Reading = { source, name, parts: [], taken: new Set(), records: 0 };
  systemArea(reading);
  const volumes = descriptors(reading);
  if (volumes.length === 0) throw bad(name, SYSTEM_AREA, "no volume descriptor CD001");
  for (const volume of volumes) walk(reading, volume);
  appended(reading);
  return placed(reading.parts, source.size);
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: ISO 9660, offset ${offset}: ${what}`);
}

/** A hybrid image has a partition table here; its partitions are the files below, seen otherwise. */
function systemArea({ source, parts }: Reading): void {
  for (const part of partitionTables(source).parts) {
    if (part.offset + part.length <= SYSTEM_AREA || part.key.startsWith("copy of")) parts.push(part);
  }
}

/** Partitions that hold nothing of the volumes: they were appended. */
function appended({ source, parts }: Reading): void {
  for (const { key, offset, length } of partitionTables(source).partitions.slice(0, 16)) {
    const end = Math.min(offset + length, source.size);
    const own = parts.every((part) => part.offset >= end || part.offset + part.length <= offset);
    if (own && offset >= SYSTEM_AREA && end > offset)
      parts.push({ key, kind: "content", offset, length: end - offset });
  }
}

const trimmed = (bytes: Uint8Array): string => text(bytes);
/** Joliet's identifiers are big endian. */
const wide = (bytes: Uint8Array): string => {
  const copy = Buffer.from(bytes.subarray(0, bytes.length & ~1));
  return copy
    .swap16()
    .toString("utf16le")
    .replace(/[\0 ]+$/, "");
};
const firstHalf = (bytes: Uint8Array): string => String(unsigned(bytes.subarray(0, bytes.length / 2)));

function volumeCells(joliet: boolean): readonly Cell[] {
  const identifier = joliet ? wide : trimmed;
  return [
    ["type", 1, "derived"],
    ["identifier", 5, "derived"],
    ["version", 1, "field"],
    ["volume flags", 1, "field"],
    ["system", 32, "field", identifier],
    ["volume", 32, "field", identifier],
    ["unused", 8, "padding"],
    ["sectors", 8, "derived"],
    ["escape sequences", 32, "field", trimmed],
    ["volumes in the set", 4, "field", firstHalf],
    ["number in the set", 4, "field", firstHalf],
    ["block size", 4, "field", firstHalf],
    ["path tables", 24, "derived"],
    ["root record", 34, "derived"],
    ["volume set", 128, "field", identifier],
    ["publisher", 128, "field", identifier],
    ["preparer", 128, "field", identifier],
    ["application", 128, "field", identifier],
    ["copyright file", 37, "field", identifier],
    ["abstract file", 37, "field", identifier],
    ["bibliographic file", 37, "field", identifier],
    ["creation-mtime", 17, "field", longTime],
    ["modification-mtime", 17, "field", longTime],
    ["expiration-mtime", 17, "field", longTime],
    ["effective-mtime", 17, "field", longTime],
    ["file structure version", 1, "field"],
    ["reserved", 1, "padding"],
    ["application use", 512, "field", trimmed],
    ["reserved", 653, "padding"],
  ];
}

function descriptors(reading: Reading): Volume[] {
  const { source, parts } = reading;
  const volumes: Volume[] = [];
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const at = SYSTEM_AREA + index * SECTOR;
    if (at + SECTOR > source.size) break;
    const bytes = source.read(at, SECTOR).slice();
    if (showable(bytes.subarray(1, 6)) !== "CD001") break;
    const type = bytes[0] ?? 0;
    if (type === 255) {
      parts.push(derived("end of descriptors", at, SECTOR));
      toolBlock(reading, at + SECTOR);
      break;
    }
    if (type === 0) bootRecord(reading, bytes, at);
    if (type !== 1 && type !== 2) continue;
    const joliet = type === 2 && /^%\/[@CE]/.test(showable(bytes.subarray(88, 91)));
    const key = type === 1 ? "primary volume" : joliet ? "Joliet volume" : "supplementary volume";
    parts.push(group(key, at, SECTOR, () => recordParts(volumeCells(joliet), bytes, at)));
    pathTables(reading, bytes);
    const root = recordAt(reading, at + 156, 34, joliet);
    if (root !== undefined) volumes.push({ joliet, root });
  }
  return volumes;
}

/** mkisofs and what stems from it leave their version and the time here. */
function toolBlock({ source, parts }: Reading, at: number): void {
  if (at + SECTOR > source.size) return;
  const bytes = source.read(at, SECTOR).slice();
  if (showable(bytes.subarray(0, 4)) === "MKI ") parts.push(field("tool", at, SECTOR, () => text(bytes)));
}

function pathTables({ source, parts }: Reading, volume: Uint8Array): void {
  const view = new DataView(volume.buffer, volume.byteOffset, volume.byteLength);
  const size = view.getUint32(132, true);
  const places = [view.getUint32(140, true), view.getUint32(144, true), view.getUint32(148), view.getUint32(152)];
  for (const place of places) {
    const offset = place * SECTOR;
    if (place > 16 && size > 0 && offset + size <= source.size) parts.push(derived("path table", offset, size));
  }
}

/** El Torito (1.0): the boot catalog, and images that are no files. */
function bootRecord(reading: Reading, bytes: Uint8Array, at: number): void {
  const { source, parts } = reading;
  const cells: readonly Cell[] = [
    ["type", 7, "derived"],
    ["boot system", 32, "field", trimmed],
    ["boot identifier", 32, "field", trimmed],
    ["boot catalog's place", 4, "derived"],
    ["boot system use", 1973, "padding"],
  ];
  parts.push(group("boot record", at, SECTOR, () => recordParts(cells, bytes, at)));
  const catalog = new DataView(bytes.buffer, bytes.byteOffset).getUint32(71, true) * SECTOR;
  if (!showable(bytes.subarray(7, 30)).startsWith("EL TORITO") || catalog < SYSTEM_AREA) return;
  if (catalog + SECTOR > source.size) return;
  const entries = source.read(catalog, SECTOR).slice();
  reading.taken.add(catalog);
  parts.push(group("boot catalog", catalog, SECTOR, () => catalogParts(entries, catalog)));
}

const VALIDATION: readonly Cell[] = [
  ["header", 1, "derived"],
  ["platform", 1, "field"],
  ["reserved", 2, "padding"],
  ["identifier", 24, "field", trimmed],
  ["checksum", 2, "derived"],
  ["key", 2, "derived"],
];
const SECTION: readonly Cell[] = [
  ["header", 1, "field"],
  ["platform", 1, "field"],
  ["entries", 2, "field"],
  ["identifier", 28, "field", trimmed],
];
const BOOT: readonly Cell[] = [
  ["bootable", 1, "field", (bytes) => (bytes[0] === 0x88 ? "yes" : "no")],
  ["media", 1, "field"],
  ["load segment", 2, "field"],
  ["system type", 1, "field"],
  ["unused", 1, "padding"],
  ["sectors to load", 2, "field"],
  ["image's place", 4, "derived"],
  ["selection", 20, "field", trimmed],
];

function* catalogParts(bytes: Uint8Array, offset: number): Generator<Part> {
  for (let at = 0; at + 32 <= bytes.length; at += 32) {
    const entry = bytes.subarray(at, at + 32);
    if (isZero(entry)) return;
    const section = entry[0] === 0x90 || entry[0] === 0x91;
    const cells = at === 0 ? VALIDATION : section ? SECTION : BOOT;
    const key = at === 0 ? "validation" : section ? "section" : "boot entry";
    yield group(key, offset + at, 32, () => recordParts(cells, entry, offset + at));
  }
}

/** The record at `at`, within `left` bytes; undefined where there is none. */
function recordAt({ source }: Reading, at: number, left: number, joliet: boolean): DirectoryRecord | undefined {
  if (left < 34) return undefined;
  const head = source.read(at, 34);
  const [length = 0, nameLength = 0] = [head[0], head[32]];
  if (length < 33 + nameLength || length > left) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, 34);
  const extent = view.getUint32(2, true) + (head[1] ?? 0);
  const [size, flags] = [view.getUint32(10, true), head[25] ?? 0];
  const identifier = source.read(at + 33, nameLength).slice();
  const special = nameLength === 1 && (identifier[0] ?? 2) < 2;
  const susp = 33 + nameLength + (nameLength % 2 === 0 ? 1 : 0);
  const { entries, areas } = joliet || susp >= length ? NOTHING : allEntries(source, at + susp, length - susp);
  const plain = (joliet ? wide(identifier) : showable(identifier)).replace(/\.?;1$/, "");
  const name = special ? (identifier[0] === 0 ? "." : "..") : (rockRidgeOf(entries).name ?? plain);
  return { at, length, nameLength, extent: extent * SECTOR, size, flags, name, entries, areas };
}

const NOTHING: ReturnType<typeof allEntries> = { entries: [], areas: [] };
const FOLDER = 2;
const CONTINUED = 0x80;

function walk(reading: Reading, { joliet, root }: Volume): void {
  const queue = [{ record: root, path: "/" }];
  const seen = new Set<number>();
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { record, path } = next;
    if (seen.has(record.extent) || record.extent < SYSTEM_AREA) continue;
    seen.add(record.extent);
    const records = folderRecords(reading, record, joliet);
    folderPart(reading, record, records, path, joliet);
    const above = path === "/" ? "" : `${path}/`;
    let pieces: DirectoryRecord[] = [];
    for (const inside of records) {
      if (inside.name === "." || inside.name === "..") continue;
      const inner = above + inside.name;
      if (inner.length > MAX_PATH) continue;
      if ((inside.flags & FOLDER) !== 0) queue.push({ record: inside, path: inner });
      else {
        pieces.push(inside);
        if ((inside.flags & CONTINUED) !== 0) continue;
        contentParts(reading, pieces, inner);
        pieces = [];
      }
    }
  }
}

/** The records of a folder; none reaches over the end of a sector. */
function folderRecords(reading: Reading, folder: DirectoryRecord, joliet: boolean): DirectoryRecord[] {
  const { source, name } = reading;
  const { extent, size } = folder;
  if (extent + size > source.size || size > MAX_FOLDER) {
    throw bad(name, folder.at, `a folder of ${size} bytes at ${extent}, beyond the image's end`);
  }
  const records: DirectoryRecord[] = [];
  for (let at = extent; at < extent + size;) {
    const left = Math.min(extent + size, at + SECTOR - (at % SECTOR)) - at;
    const record = recordAt(reading, at, left, joliet);
    if (record === undefined) {
      at += left;
      continue;
    }
    if (++reading.records > MAX_RECORDS)
      throw new BitforbitError("limit", `${name}: ISO 9660: over ${MAX_RECORDS} records`);
    records.push(record);
    at += record.length;
  }
  return records;
}

function folderPart(
  reading: Reading,
  folder: DirectoryRecord,
  records: readonly DirectoryRecord[],
  path: string,
  joliet: boolean,
): void {
  if (folder.size === 0 || reading.taken.has(folder.extent)) return;
  reading.taken.add(folder.extent);
  const { source, parts } = reading;
  const inside = records.map((record) => ({
    ...group(record.name, record.at, record.length, () => recordFields(source, record)),
    show: () => ((record.flags & FOLDER) === 0 ? `file, ${record.size} bytes` : "folder"),
  }));
  parts.push(group(`${joliet ? "Joliet directory" : "directory"} ${path}`, folder.extent, folder.size, () => inside));
  for (const record of records) {
    for (const area of record.areas) {
      const own = record.entries.filter(({ at }) => at >= area.offset && at < area.offset + area.length);
      const target = linkTarget(record.entries);
      const key = `more of ${path === "/" ? "" : `${path}/`}${record.name}`;
      parts.push(group(key, area.offset, area.length, () => suspParts(own, target)));
    }
  }
}

function* recordFields(source: ByteSource, record: DirectoryRecord): Generator<Part> {
  const { at, length, nameLength } = record;
  const bytes = source.read(at, length).slice();
  // Records are alike whatever they name: an empty content keeps them from being taken for renamed ones.
  yield { key: "", kind: "content", offset: at, length: 0 };
  yield derived("length", at, 2);
  yield derived("place and size", at + 2, 16);
  yield field("recorded-mtime", at + 18, 7, () => shortTime(bytes.subarray(18, 25)));
  yield field("flags", at + 25, 1);
  yield field("interleaving", at + 26, 2);
  yield field("volume number", at + 28, 4, () => firstHalf(bytes.subarray(28, 32)));
  yield derived("name length", at + 32, 1);
  const name = bytes.subarray(33, 33 + nameLength);
  yield field("identifier", at + 33, nameLength, () => showable(name));
  const own = record.entries.filter((entry) => entry.at >= at && entry.at < at + length);
  yield* suspParts(own, linkTarget(record.entries));
}

/** A file's extents: one, or several for one of over 4 GiB. */
function contentParts(reading: Reading, pieces: readonly DirectoryRecord[], path: string): void {
  const { source, parts } = reading;
  const first = pieces[0];
  if (first === undefined || first.size === 0 || reading.taken.has(first.extent)) return;
  if (pieces.some(({ extent, size }) => extent < SYSTEM_AREA || extent + size > source.size)) return;
  reading.taken.add(first.extent);
  const extents = joined(pieces.map(({ extent, size }) => ({ offset: extent, length: size })));
  parts.push(...scattered(source, path, extents));
}
