import { crc32 } from "node:zlib";
import { showable } from "../bytes.ts";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inflateAt } from "./deflate.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";

/**
 * Reads zip (APPNOTE.TXT 6.3.10), zip64 included:
 *
 *     [bytes before]  (local header, data, [data descriptor])…  [bytes between]
 *     central header…  [zip64 end, zip64 locator]  end of central directory, comment
 *
 * The central directory is what counts; local headers are read beside it, since
 * a build tool writes both. Members may not overlap: that is how a small zip
 * states a petabyte.
 */
export interface ZipSpan {
  field: string;
  /** In the file. */
  offset: number;
  length: number;
}

export interface ZipHeader {
  offset: number;
  length: number;
  spans: ZipSpan[];
  flags: number;
  method: number;
  /** The DOS time taken as UTC, in seconds since the epoch; it has no zone and counts in twos. */
  dosTime: number;
  crc: number;
  compressedSize: number;
  size: number;
  nameBytes: Uint8Array;
  extras: ZipExtra[];
}

export interface ZipExtra {
  id: number;
  offset: number;
  length: number;
  data: Uint8Array;
}

export interface ZipEntry extends ZipHeader {
  name: string;
  comment: string;
  versionMadeBy: number;
  versionNeeded: number;
  internalAttributes: number;
  externalAttributes: number;
  local: ZipHeader;
  dataOffset: number;
  descriptor: ZipSpan | undefined;
  /** Where the member's bytes end, descriptor included. */
  end: number;
}

export interface Zip {
  /** In central directory order. */
  entries: ZipEntry[];
  comment: string;
  /** Everything after the central headers, part by part, up to the end of the file. */
  endSpans: ZipSpan[];
  /** Where no part of the zip stands: before, between and after members. */
  gaps: ZipSpan[];
}

export interface ZipLimits {
  maxMembers: number;
  /** Bytes of the central directory. */
  maxDirectory: number;
}

export const ZIP_LIMITS: ZipLimits = { maxMembers: 500_000, maxDirectory: 256 << 20 };

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;

/** Reads the directory and every local header. Throws `input` with the offset, or `limit`. */
export function readZip(source: ByteSource, limits: ZipLimits = ZIP_LIMITS): Zip {
  const end = endOfDirectory(source, limits);
  const entries: ZipEntry[] = [];
  let at = end.directoryOffset;
  for (let index = 0; index < end.count; index++) {
    const entry = entryAt(source, at, end);
    entries.push(entry);
    at += entry.length;
  }
  if (at !== end.directoryEnd) {
    throw bad(source, at, `the directory holds ${end.count} members, but goes on to ${end.directoryEnd}`);
  }
  const gaps = gapsBetween(source, entries, end.directoryOffset);
  return { entries, comment: end.comment, endSpans: end.spans, gaps };
}

interface Directory {
  count: number;
  directoryOffset: number;
  directoryEnd: number;
  /** Added to every stated offset: bytes that stand before the zip. */
  base: number;
  comment: string;
  spans: ZipSpan[];
}

function endOfDirectory(source: ByteSource, limits: ZipLimits): Directory {
  const at = findEnd(source);
  const view = viewOf(source.read(at, 22));
  let count = view.getUint16(10, true);
  let size = view.getUint32(12, true);
  let offset = view.getUint32(16, true);
  const commentLength = view.getUint16(20, true);
  const spans: ZipSpan[] = [
    { field: "end-of-directory", offset: at, length: 22 },
    { field: "comment", offset: at + 22, length: commentLength },
    { field: "trailing", offset: at + 22 + commentLength, length: source.size - at - 22 - commentLength },
  ].filter(({ length }) => length > 0);
  if (view.getUint16(4, true) !== view.getUint16(6, true)) throw bad(source, at + 4, "a zip in several volumes");
  let directoryEnd = at;
  const zip64 = at >= 20 && viewOf(source.read(at - 20, 4)).getUint32(0, true) === ZIP64_LOCATOR;
  if (zip64 && (count === 0xffff || size === 0xffff_ffff || offset === 0xffff_ffff)) {
    const large = zip64End(source, at - 20);
    ({ count, size, offset } = large);
    directoryEnd = large.at;
    spans.unshift({ field: "zip64-end", offset: large.at, length: at - large.at });
  }
  const directoryOffset = directoryEnd - size;
  const base = directoryOffset - offset;
  if (directoryOffset < 0 || base < 0) throw bad(source, at, "the directory's size and offset do not fit the file");
  if (count > limits.maxMembers) {
    throw new BitforbitError("limit", `${source.name}: ${count} members, more than ${limits.maxMembers} (maxMembers)`);
  }
  if (size > limits.maxDirectory) {
    throw new BitforbitError("limit", `${source.name}: a directory of ${size} bytes, over ${limits.maxDirectory}`);
  }
  const comment = showable(source.read(at + 22, commentLength));
  return { count, directoryOffset, directoryEnd, base, comment, spans };
}

/** The last record whose comment reaches the end of the file; failing that, the last whose comment fits. */
function findEnd(source: ByteSource): number {
  const length = Math.min(source.size, 22 + 0xffff);
  const start = source.size - length;
  const tail = source.read(start, length);
  const view = viewOf(tail);
  let fitting: number | undefined;
  for (let at = length - 22; at >= 0; at--) {
    if (tail[at] !== 0x50 || view.getUint32(at, true) !== END) continue;
    const rest = length - at - 22 - view.getUint16(at + 20, true);
    if (rest === 0) return start + at;
    if (rest > 0) fitting ??= start + at;
  }
  if (fitting === undefined) throw bad(source, source.size, "no end of central directory: cut off?");
  return fitting;
}

function zip64End(source: ByteSource, locator: number): { at: number; count: number; size: number; offset: number } {
  const stated = safe(source, locator + 8, viewOf(source.read(locator, 20)).getBigUint64(8, true));
  // With bytes before the zip the stated offset is short by them: the record then stands right before its locator.
  const at = [stated, locator - 56].find(
    (offset) =>
      offset >= 0 && offset + 56 <= locator && viewOf(source.read(offset, 4)).getUint32(0, true) === ZIP64_END,
  );
  if (at === undefined) throw bad(source, locator, "no zip64 end of central directory");
  const view = viewOf(source.read(at, 56));
  const number = (position: number): number => safe(source, at + position, view.getBigUint64(position, true));
  return { at, count: number(32), size: number(40), offset: number(48) };
}

function entryAt(source: ByteSource, at: number, directory: Directory): ZipEntry {
  const room = directory.directoryEnd - at;
  if (room < 46) throw bad(source, at, "cut off in a central header");
  const view = viewOf(source.read(at, 46));
  if (view.getUint32(0, true) !== CENTRAL) throw bad(source, at, "no central header");
  const lengths = [view.getUint16(28, true), view.getUint16(30, true), view.getUint16(32, true)] as const;
  const length = 46 + lengths[0] + lengths[1] + lengths[2];
  if (length > room) throw bad(source, at, "a central header that reaches beyond the directory");
  const header = headerOf(source, view, at, CENTRAL_FIELDS, { version: 6, name: 46, lengths });
  const large = zip64Values(source, header, [
    { value: header.size, width: 8 },
    { value: header.compressedSize, width: 8 },
    { value: view.getUint32(42, true), width: 8 },
  ]);
  const [size = 0, compressedSize = 0, localOffset = 0] = large;
  const localAt = localOffset + directory.base;
  const local = localHeader(source, localAt, directory.directoryOffset);
  const dataOffset = localAt + local.length;
  if (dataOffset + compressedSize > directory.directoryOffset) {
    throw bad(source, localAt, `a member of ${compressedSize} bytes reaches into the directory`);
  }
  const dataEnd = dataOffset + compressedSize;
  const whole = { ...header, size, compressedSize };
  const descriptor =
    ((header.flags | local.flags) & 8) === 0 ? undefined : descriptorAt(source, dataEnd, directory, whole);
  return {
    ...whole,
    name: showable(header.nameBytes),
    comment: showable(source.read(at + 46 + lengths[0] + lengths[1], lengths[2])),
    versionMadeBy: view.getUint16(4, true),
    versionNeeded: view.getUint16(6, true),
    internalAttributes: view.getUint16(36, true),
    externalAttributes: view.getUint32(38, true),
    local,
    dataOffset,
    descriptor,
    end: dataEnd + (descriptor?.length ?? 0),
  };
}

const CENTRAL_FIELDS: readonly (readonly [string, number])[] = [
  ["signature", 4],
  ["version", 2],
  ["version-needed", 2],
  ["flags", 2],
  ["method", 2],
  ["time", 4],
  ["crc", 4],
  ["compressed-size", 4],
  ["size", 4],
  ["lengths", 6],
  ["disk", 2],
  ["internal-attributes", 2],
  ["external-attributes", 4],
  ["local-offset", 4],
];
const LOCAL_FIELDS: readonly (readonly [string, number])[] = [
  ["signature", 4],
  ["version-needed", 2],
  ["flags", 2],
  ["method", 2],
  ["time", 4],
  ["crc", 4],
  ["compressed-size", 4],
  ["size", 4],
  ["lengths", 4],
];

/** The part that local and central headers share; it begins with the version needed. */
function headerOf(
  source: ByteSource,
  view: DataView,
  offset: number,
  fields: readonly (readonly [string, number])[],
  shape: { version: number; name: number; lengths: readonly number[] },
): ZipHeader {
  const spans: ZipSpan[] = [];
  let at = offset;
  for (const [field, length] of [...fields, ...variableFields(shape.lengths)]) {
    if (length > 0) spans.push({ field, offset: at, length });
    at += length;
  }
  const [nameLength = 0, extraLength = 0] = shape.lengths;
  const first = shape.version;
  return {
    offset,
    length: at - offset,
    spans,
    flags: view.getUint16(first + 2, true),
    method: view.getUint16(first + 4, true),
    dosTime: fromDosTime(view.getUint16(first + 8, true), view.getUint16(first + 6, true)),
    crc: view.getUint32(first + 10, true),
    compressedSize: view.getUint32(first + 14, true),
    size: view.getUint32(first + 18, true),
    nameBytes: source.read(offset + shape.name, nameLength).slice(),
    extras: extrasAt(source, offset + shape.name + nameLength, extraLength),
  };
}

function variableFields(lengths: readonly number[]): [string, number][] {
  return ["name", "extra", "comment"].map((field, index) => [field, lengths[index] ?? 0]);
}

function localHeader(source: ByteSource, at: number, limit: number): ZipHeader {
  if (at < 0 || at + 30 > limit) throw bad(source, at, "a local header outside of the members' part");
  const view = viewOf(source.read(at, 30));
  if (view.getUint32(0, true) !== LOCAL) throw bad(source, at, "no local header");
  const lengths = [view.getUint16(26, true), view.getUint16(28, true)];
  if (at + 30 + (lengths[0] ?? 0) + (lengths[1] ?? 0) > limit) throw bad(source, at, "cut off in a local header");
  return headerOf(source, view, at, LOCAL_FIELDS, { version: 4, name: 30, lengths });
}

/** Extra fields: id, length, data. What does not parse becomes one extra with id -1: some tools pad with zeros. */
function extrasAt(source: ByteSource, offset: number, length: number): ZipExtra[] {
  const bytes = source.read(offset, length).slice();
  const view = viewOf(bytes);
  const extras: ZipExtra[] = [];
  let at = 0;
  while (at < length) {
    const size = at + 4 <= length ? view.getUint16(at + 2, true) : Infinity;
    if (at + 4 + size > length) {
      extras.push({ id: -1, offset: offset + at, length: length - at, data: bytes.subarray(at) });
      break;
    }
    extras.push({
      id: view.getUint16(at, true),
      offset: offset + at,
      length: 4 + size,
      data: bytes.subarray(at + 4, at + 4 + size),
    });
    at += 4 + size;
  }
  return extras;
}

/** Values of 0xffffffff are replaced, in order, by those of the zip64 extra (4.5.3). */
function zip64Values(source: ByteSource, header: ZipHeader, fields: { value: number; width: 8 }[]): number[] {
  const extra = header.extras.find(({ id }) => id === 1);
  let at = 0;
  return fields.map(({ value, width }) => {
    if (value !== 0xffff_ffff || extra === undefined) return value;
    if (at + width > extra.data.length) throw bad(source, extra.offset, "a zip64 field that is too short");
    const large = safe(source, extra.offset, viewOf(extra.data).getBigUint64(at, true));
    at += width;
    return large;
  });
}

/** 12 or 20 bytes, with or without a signature before them (4.3.9): the one that fits the central header. */
function descriptorAt(
  source: ByteSource,
  offset: number,
  directory: Directory,
  header: { crc: number; compressedSize: number; size: number },
): ZipSpan | undefined {
  const room = Math.min(24, directory.directoryOffset - offset);
  const view = viewOf(source.read(offset, room));
  for (const signature of [4, 0]) {
    for (const width of [4, 8]) {
      const length = signature + 4 + 2 * width;
      if (length > room) continue;
      if (signature === 4 && view.getUint32(0, true) !== DESCRIPTOR) continue;
      const number = (at: number): number =>
        width === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
      const fits =
        view.getUint32(signature, true) === header.crc &&
        number(signature + 4) === header.compressedSize &&
        number(signature + 4 + width) === header.size;
      if (fits) return { field: "descriptor", offset, length };
    }
  }
  return undefined;
}

/** Refuses members that share bytes, and says where nobody's bytes are. */
function gapsBetween(source: ByteSource, entries: readonly ZipEntry[], limit: number): ZipSpan[] {
  const gaps: ZipSpan[] = [];
  let at = 0;
  for (const entry of [...entries].sort((a, b) => a.local.offset - b.local.offset)) {
    if (entry.local.offset < at) {
      throw bad(source, entry.local.offset, `${JSON.stringify(entry.name)} overlaps another member`);
    }
    if (entry.local.offset > at) gaps.push({ field: "gap", offset: at, length: entry.local.offset - at });
    at = entry.end;
  }
  if (limit > at) gaps.push({ field: "gap", offset: at, length: limit - at });
  return gaps;
}

/**
 * Inflates a member into `sink`, checking its size and CRC-32. Throws `input`
 * for broken data, encryption and methods other than stored and deflated,
 * `limit` for bombs.
 */
export async function readZipMember(
  source: ByteSource,
  entry: ZipEntry,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<void> {
  const what = JSON.stringify(entry.name);
  if ((entry.flags & 1) !== 0) throw bad(source, entry.local.offset, `${what} is encrypted`);
  if (entry.method !== 0 && entry.method !== 8) {
    throw bad(source, entry.local.offset, `${what} is compressed with method ${entry.method}`);
  }
  const data = partOf(source, entry.dataOffset, entry.compressedSize, `${source.name}: ${what}`);
  const guard = new InflationGuard(data.name, data.size, limits);
  let crc = 0;
  const checked: Sink = (chunk) => {
    crc = crc32(chunk, crc);
    if (guard.bytes > entry.size) throw bad(source, entry.dataOffset, `${what} is larger than it states`);
    sink(chunk);
  };
  if (entry.method === 8) {
    const taken = await inflateAt(data, 0, checked, guard);
    if (taken !== data.size) throw bad(source, entry.dataOffset + taken, `${what} has bytes after its deflate stream`);
  } else {
    for (let at = 0; at < data.size; at += 1 << 20) {
      const chunk = data.read(at, Math.min(1 << 20, data.size - at));
      guard.add(chunk.length);
      checked(chunk);
    }
  }
  if (guard.bytes !== entry.size) throw bad(source, entry.dataOffset, `${what} is smaller than it states`);
  if (crc !== entry.crc) throw bad(source, entry.dataOffset, `${what} does not have the stated CRC-32`);
}

/** Seconds since the epoch of a DOS date and time, taken as UTC. */
export function fromDosTime(date: number, time: number): number {
  const milliseconds = Date.UTC(
    1980 + (date >> 9),
    ((date >> 5) & 15) - 1,
    date & 31,
    time >> 11,
    (time >> 5) & 63,
    (time & 31) * 2,
  );
  return milliseconds / 1000;
}

/** DOS date and time of seconds since the epoch, as UTC; before 1980 and after 2107 the nearest there is. */
export function toDosTime(seconds: number): { date: number; time: number } {
  const clamped = Math.min(Math.max(seconds, 315_532_800), 4_354_819_198);
  const at = new Date(clamped * 1000);
  return {
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  };
}

function safe(source: ByteSource, offset: number, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(source, offset, `an absurd number, ${value}`);
  return Number(value);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: zip, offset ${offset}: ${what}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
