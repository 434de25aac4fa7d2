import { crc32 } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type Cell, flags, guid, isZero, placed, recordParts, unsigned } from "./image-record.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Disk images: an MBR (as PCs have it since DOS 2, with extended partitions
 * since DOS 3.3), or a GUID partition table (UEFI 2.10, section 5) behind a
 * protective one.
 *
 *     boot code(440)  disk signature(4)  reserved(2)  partitions(4 × 16)  55 aa
 *     GPT: header in sector 1, entries; both again at the end, in the other order
 */
interface Partition {
  key: string;
  offset: number;
  length: number;
}

interface Table {
  parts: Part[];
  partitions: Partition[];
}

const SECTOR = 512;
const MAX_LOGICAL = 256;
const MAX_ENTRIES = 4096;

/** Throws `input` for what has no partition table. */
export function diskParts(source: ByteSource, name: string): Iterable<Part> {
  const { parts, partitions } = partitionTables(source);
  if (parts.length === 0) throw new BitforbitError("input", `${name}: partition table, offset 510: no 55 aa`);
  for (const { key, offset, length } of partitions) {
    const there = Math.min(length, source.size - offset);
    if (there > 0) parts.push({ key, kind: "content", offset, length: there, show: () => `${there} bytes` });
  }
  return placed(parts, source.size);
}

/** The tables alone: hybrid ISO images have them, too. Without an MBR there are none. */
export function partitionTables(source: ByteSource): Table {
  const table: Table = { parts: [], partitions: [] };
  if (source.size < SECTOR) return table;
  const mbr = source.read(0, SECTOR).slice();
  if (mbr[510] !== 0x55 || mbr[511] !== 0xaa) return table;
  table.parts.push(group("MBR", 0, SECTOR, () => mbrParts(mbr, 0)));
  for (const sectorSize of [512, 4096]) {
    if (source.size < sectorSize * 2 || !isGpt(source, sectorSize)) continue;
    gpt(source, sectorSize, table);
    return table;
  }
  for (let index = 0; index < 4; index++) {
    const entry = mbrEntry(mbr, index);
    if (entry === undefined) continue;
    if (EXTENDED.has(entry.type)) logical(source, entry.offset, table);
    else table.partitions.push({ key: `partition ${index + 1}`, offset: entry.offset, length: entry.length });
  }
  return table;
}

const TYPES: Readonly<Record<number, string>> = {
  0x00: "empty",
  0x01: "FAT12",
  0x04: "FAT16 below 32 MB",
  0x05: "extended",
  0x06: "FAT16",
  0x07: "NTFS or exFAT",
  0x0b: "FAT32",
  0x0c: "FAT32 LBA",
  0x0e: "FAT16 LBA",
  0x0f: "extended LBA",
  0x17: "hidden NTFS",
  0x82: "Linux swap",
  0x83: "Linux",
  0x85: "Linux extended",
  0x8e: "Linux LVM",
  0xcd: "ISO 9660",
  0xda: "data",
  0xee: "GPT protective",
  0xef: "EFI system",
  0xfd: "Linux RAID",
};
const EXTENDED: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);

const hexNumber = (bytes: Uint8Array): string =>
  `0x${unsigned(bytes)
    .toString(16)
    .padStart(bytes.length * 2, "0")}`;

const ENTRY: readonly Cell[] = [
  ["status", 1, "field", (bytes) => (bytes[0] === 0x80 ? "active" : hexNumber(bytes))],
  ["first sector, CHS", 3, "derived"],
  ["type", 1, "field", (bytes) => TYPES[bytes[0] ?? 0] ?? hexNumber(bytes)],
  ["last sector, CHS", 3, "derived"],
  ["first sector", 4, "field"],
  ["sectors", 4, "field"],
];

function* mbrParts(mbr: Uint8Array, offset: number): Generator<Part> {
  yield { key: "boot code", kind: "bytes", offset, length: 440 };
  yield field("disk signature", offset + 440, 4, () => hexNumber(mbr.subarray(440, 444)));
  yield field("reserved", offset + 444, 2, () => hexNumber(mbr.subarray(444, 446)));
  for (let index = 0; index < 4; index++) {
    const at = 446 + index * 16;
    yield group(`partition ${index + 1}`, offset + at, 16, () =>
      recordParts(ENTRY, mbr.subarray(at, at + 16), offset + at),
    );
  }
  yield derived("signature", offset + 510, 2);
}

function mbrEntry(mbr: Uint8Array, index: number): { type: number; offset: number; length: number } | undefined {
  const view = new DataView(mbr.buffer, mbr.byteOffset + 446 + index * 16, 16);
  const [type, first, sectors] = [view.getUint8(4), view.getUint32(8, true), view.getUint32(12, true)];
  return type === 0 || sectors === 0 ? undefined : { type, offset: first * SECTOR, length: sectors * SECTOR };
}

/** The chain of logical partitions, each behind a table of its own. */
function logical(source: ByteSource, base: number, table: Table): void {
  let at = base;
  for (let index = 5; index < 5 + MAX_LOGICAL; index++) {
    if (at + SECTOR > source.size) return;
    const record = source.read(at, SECTOR).slice();
    if (record[510] !== 0x55 || record[511] !== 0xaa) return;
    const offset = at;
    table.parts.push(group(`table of partition ${index}`, offset, SECTOR, () => mbrParts(record, offset)));
    const own = mbrEntry(record, 0);
    const next = mbrEntry(record, 1);
    if (own !== undefined) {
      table.partitions.push({ key: `partition ${index}`, offset: at + own.offset, length: own.length });
    }
    // Always further on: a chain that goes back would never end.
    if (next === undefined || base + next.offset <= at) return;
    at = base + next.offset;
  }
}

function isGpt(source: ByteSource, sectorSize: number): boolean {
  return Buffer.from(source.read(sectorSize, 8)).toString("latin1") === "EFI PART";
}

const HEADER: readonly Cell[] = [
  ["signature", 8, "derived"],
  ["revision", 4, "field", hexNumber],
  ["header size", 4, "derived"],
  ["checksum", 4, "derived"],
  ["reserved", 4, "padding"],
  ["this sector", 8, "derived"],
  ["other header's sector", 8, "derived"],
  ["first usable sector", 8, "field"],
  ["last usable sector", 8, "field"],
  ["disk GUID", 16, "field", guid],
  ["sector of entries", 8, "derived"],
  ["entries", 4, "field"],
  ["entry size", 4, "field"],
  ["checksum of entries", 4, "derived"],
];

const GUIDS: Readonly<Record<string, string>> = {
  "00000000-0000-0000-0000-000000000000": "unused",
  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
  "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
  "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux data",
  "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
  "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (arm64)",
  "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
  "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
  "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
};

const PARTITION: readonly Cell[] = [
  ["type", 16, "field", (bytes) => GUIDS[guid(bytes)] ?? guid(bytes)],
  ["GUID", 16, "field", guid],
  ["first sector", 8, "field"],
  ["last sector", 8, "field"],
  [
    "attributes",
    8,
    "field",
    flags({ 0: "required", 1: "no-block-io", 2: "legacy-boot", 60: "read-only", 63: "no-automount" }),
  ],
  ["name", 72, "field", utf16],
];

function utf16(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("utf16le");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

function gpt(source: ByteSource, sectorSize: number, table: Table): void {
  const header = source.read(sectorSize, 92).slice();
  const view = new DataView(header.buffer);
  const big = (at: number): number => Number(view.getBigUint64(at, true));
  const [entriesAt, count, size] = [big(72) * sectorSize, view.getUint32(80, true), view.getUint32(84, true)];
  table.parts.push(group("GPT header", sectorSize, 92, () => recordParts(HEADER, header, sectorSize)));
  const length = count * size;
  if (size < 128 || count > MAX_ENTRIES || !(entriesAt + length <= source.size)) return;
  const entries = source.read(entriesAt, length).slice();
  for (let index = 0; index < count; index++) {
    const at = index * size;
    const entry = entries.subarray(at, at + size);
    if (isZero(entry)) continue;
    const key = `partition ${index + 1}`;
    table.parts.push({
      ...group(`entry of ${key}`, entriesAt + at, size, () => recordParts(PARTITION, entry, entriesAt + at)),
      show: () => utf16(entry.subarray(56, 128)),
    });
    const bounds = new DataView(entry.buffer, entry.byteOffset + 32, 16);
    const first = Number(bounds.getBigUint64(0, true)) * sectorSize;
    const last = (Number(bounds.getBigUint64(8, true)) + 1) * sectorSize;
    if (last > first) table.partitions.push({ key, offset: first, length: last - first });
  }
  backup(source, sectorSize, big(32) * sectorSize, { header, entries }, table);
}

/** The copy at the end follows from the first, unless it says something else. */
function backup(
  source: ByteSource,
  sectorSize: number,
  at: number,
  first: { header: Uint8Array; entries: Uint8Array },
  table: Table,
): void {
  if (!(at >= sectorSize && at + 92 <= source.size)) return;
  const header = source.read(at, 92).slice();
  const entriesAt = Number(new DataView(header.buffer).getBigUint64(72, true)) * sectorSize;
  const length = first.entries.length;
  const same = crc32(header.subarray(56, 72)) === crc32(first.header.subarray(56, 72));
  if (same) table.parts.push(derived("copy of the GPT header", at, 92));
  else table.parts.push(group("copy of the GPT header", at, 92, () => recordParts(HEADER, header, at)));
  if (entriesAt + length > source.size) return;
  const equal = Buffer.compare(source.read(entriesAt, length), first.entries) === 0;
  const key = "copy of the GPT entries";
  table.parts.push(equal ? derived(key, entriesAt, length) : { key, kind: "bytes", offset: entriesAt, length });
}
