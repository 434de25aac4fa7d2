import { crc32 } from "node:zlib";
import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inflateAt } from "./deflate.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { looksLikeGzip } from "./magic.ts";

/**
 * gzip (RFC 1952). A file is one member or several, whose contents follow each
 * other:
 *
 *     1f 8b method flags mtime(4) xfl os [extra] [name NUL] [comment NUL] [crc16]
 *     deflate stream
 *     crc32(4) size modulo 2^32 (4)
 */
export interface GzipMember {
  offset: number;
  flags: number;
  /** Seconds since the epoch; 0 means none. */
  mtime: number;
  /** 2: best compression was asked for, 4: fastest. */
  extraFlags: number;
  /** 3: Unix, 0: FAT, 255: unknown. */
  os: number;
  extra: Uint8Array | undefined;
  name: string | undefined;
  comment: string | undefined;
  headerCrc: number | undefined;
  /** Where each part of the header stands in the file, in order, without gaps. */
  spans: { field: string; offset: number; length: number }[];
  /** Where the deflate stream stands. */
  dataOffset: number;
  dataLength: number;
  crc: number;
  /** Of the content, modulo 2^32. */
  sizeField: number;
  /** Bytes of the content. */
  size: number;
  end: number;
}

export interface Gunzipped {
  members: GzipMember[];
  /** Bytes of all contents. */
  size: number;
  /** Where the last member ends; bytes may follow that are no gzip. */
  end: number;
}

const MAX_MEMBERS = 100_000;
const MAX_TEXT = 64 << 10;

/**
 * Inflates every member into `sink`, checking CRC and size. Stops at bytes that
 * begin no member (padding, or something hidden): `end` says where. Throws
 * `input` for broken members, `limit` for bombs and over 100,000 members.
 */
export async function gunzip(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<Gunzipped> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const members: GzipMember[] = [];
  let offset = 0;
  do {
    if (members.length >= MAX_MEMBERS) {
      throw new BitforbitError("limit", `${source.name}: more than ${MAX_MEMBERS} gzip members`);
    }
    const member = await gunzipMember(source, offset, sink, guard);
    members.push(member);
    offset = member.end;
  } while (source.size - offset >= 18 && looksLikeGzip(source.read(offset, 3)));
  return { members, size: guard.bytes, end: offset };
}

async function gunzipMember(
  source: ByteSource,
  offset: number,
  sink: Sink,
  guard: InflationGuard,
): Promise<GzipMember> {
  const header = gzipHeader(source, offset);
  let crc = 0;
  const before = guard.bytes;
  const dataLength = await inflateAt(
    source,
    header.dataOffset,
    (chunk) => {
      crc = crc32(chunk, crc);
      sink(chunk);
    },
    guard,
  );
  const size = guard.bytes - before;
  const trailer = header.dataOffset + dataLength;
  if (trailer + 8 > source.size) throw bad(source, trailer, "cut off before its checksum");
  const fields = viewOf(source.read(trailer, 8));
  const stated = { crc: fields.getUint32(0, true), size: fields.getUint32(4, true) };
  if (stated.crc !== crc) throw bad(source, trailer, "the content does not have the stated CRC-32");
  if (stated.size !== size % 2 ** 32) throw bad(source, trailer + 4, "the content does not have the stated size");
  return { ...header, dataLength, crc, sizeField: stated.size, size, end: trailer + 8 };
}

type GzipHeader = Omit<GzipMember, "dataLength" | "crc" | "sizeField" | "size" | "end">;

/** The header of the member at `offset`. Throws `input`. */
export function gzipHeader(source: ByteSource, offset: number): GzipHeader {
  if (offset + 18 > source.size) throw bad(source, offset, "cut off in the header");
  const fixed = source.read(offset, 10);
  if (!looksLikeGzip(fixed)) throw bad(source, offset, "no gzip header");
  const flags = fixed[3] ?? 0;
  if ((flags & 0xe0) !== 0) throw bad(source, offset + 3, `reserved flags 0x${flags.toString(16)}`);
  const spans = [
    { field: "magic", offset, length: 3 },
    { field: "flags", offset: offset + 3, length: 1 },
    { field: "mtime", offset: offset + 4, length: 4 },
    { field: "xfl", offset: offset + 8, length: 1 },
    { field: "os", offset: offset + 9, length: 1 },
  ];
  let at = offset + 10;
  const part = (field: string, length: number): Uint8Array => {
    if (at + length > source.size) throw bad(source, at, `cut off in ${field}`);
    spans.push({ field, offset: at, length });
    at += length;
    return source.read(at - length, length);
  };
  const extra = (flags & 4) === 0 ? undefined : part("extra", 2 + extraLength(source, at)).slice(2);
  const name = (flags & 8) === 0 ? undefined : showable(part("name", textLength(source, at)).slice(0, -1));
  const comment = (flags & 16) === 0 ? undefined : showable(part("comment", textLength(source, at)).slice(0, -1));
  const headerCrc = (flags & 2) === 0 ? undefined : viewOf(part("header-crc", 2)).getUint16(0, true);
  return {
    offset,
    flags,
    mtime: viewOf(fixed).getUint32(4, true),
    extraFlags: fixed[8] ?? 0,
    os: fixed[9] ?? 0,
    extra,
    name,
    comment,
    headerCrc,
    spans,
    dataOffset: at,
  };
}

function extraLength(source: ByteSource, offset: number): number {
  if (offset + 2 > source.size) throw bad(source, offset, "cut off in extra");
  return viewOf(source.read(offset, 2)).getUint16(0, true);
}

/** Length of a NUL-terminated text, the NUL included. */
function textLength(source: ByteSource, offset: number): number {
  const bytes = source.read(offset, Math.min(MAX_TEXT, source.size - offset));
  const end = bytes.indexOf(0);
  if (end < 0) throw bad(source, offset, "a name or comment that does not end");
  return end + 1;
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: gzip, offset ${offset}: ${what}`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
