import { crc32 } from "node:zlib";
import { Deflate } from "pako";
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

export interface GzipOptions {
  /** 1 to 9; 9 by default. */
  level?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
  /** Seconds since the epoch, 0 (none) by default. */
  mtime?: number;
  name?: string;
}

/**
 * gzip of the chunks, as chunks: the same bytes on every machine and version
 * of Node, since the compressor is pako and not the host's zlib. Says Unix as
 * its system, and no name or time unless told.
 */
export function* gzipChunks(chunks: Iterable<Uint8Array>, options: GzipOptions = {}): Generator<Uint8Array> {
  const level = options.level ?? 9;
  yield gzipStart(level, options);
  const deflate = new Deflate({ raw: true, level, legacyHash: true });
  let ready: Uint8Array[] = [];
  deflate.onData = (chunk) => void ready.push(chunk);
  let crc = 0;
  let size = 0;
  for (const chunk of chunks) {
    crc = crc32(chunk, crc);
    size += chunk.length;
    deflate.push(chunk, false);
    yield* ready;
    ready = [];
  }
  deflate.push(new Uint8Array(0), true);
  yield* ready;
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, crc, true);
  trailer.setUint32(4, size % 2 ** 32, true);
  yield new Uint8Array(trailer.buffer);
}

/** gzip of `content` in one piece. See `gzipChunks`. */
export function gzipBytes(content: Uint8Array, options: GzipOptions = {}): Uint8Array {
  return new Uint8Array(Buffer.concat([...gzipChunks([content], options)]));
}

function gzipStart(level: number, options: GzipOptions): Uint8Array {
  const mtime = options.mtime ?? 0;
  if (!Number.isInteger(mtime) || mtime < 0 || mtime > 0xffff_ffff) {
    throw new BitforbitError("usage", `gzip cannot hold the time ${mtime}`);
  }
  if (options.name?.includes("\0") === true) throw new BitforbitError("usage", "a gzip name cannot hold a NUL");
  const name = options.name === undefined ? new Uint8Array(0) : Buffer.from(`${options.name}\0`, "utf8");
  const header = new DataView(new ArrayBuffer(10));
  header.setUint32(0, 0x1f8b0800 | (name.length > 0 ? 8 : 0));
  header.setUint32(4, mtime, true);
  header.setUint8(8, level === 9 ? 2 : level === 1 ? 4 : 0);
  header.setUint8(9, 3);
  return new Uint8Array(Buffer.concat([new Uint8Array(header.buffer), name]));
}
