import { crc32 } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { compressedPart, moreCompressed } from "./compressed-part.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { unlzmaStream } from "./lzma-decoder.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * The two plain wraps of LZMA. `.lzma` (the LZMA SDK's lzma-file-format):
 *
 *     properties(1) dictionary size(4) content size(8, all ones: unknown) stream
 *
 * lzip (its manual, "File format"), members behind each other:
 *
 *     "LZIP" version(1) dictionary size(1, coded)
 *     stream with lc 3, lp 0, pb 2
 *     CRC-32(4) content size(8) member size(8)
 */
const LZIP_HEADER = 6;
const LZIP_TRAILER = 20;
const LZIP_PROPERTIES = 93;
const MAX_MEMBERS = 1_000_000;

/** Decompresses `.lzma` into `sink`; returns the size. Throws `input`, `limit`. */
export async function unlzma(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const { properties, dictionarySize, size } = lzmaHeader(source);
  if (size !== undefined) new InflationGuard(source.name, source.size, limits).add(size);
  await unlzmaStream(source, { offset: 13, properties, dictionarySize, size }, (chunk) => {
    guard.add(chunk.length);
    sink(chunk);
  });
  return guard.bytes;
}

function lzmaHeader(source: ByteSource): { properties: number; dictionarySize: number; size: number | undefined } {
  if (source.size < 18) throw bad(source, "LZMA", 0, "cut off in the header");
  const view = viewOf(source, 0, 13);
  const size = view.getBigUint64(5, true);
  const properties = view.getUint8(0);
  if (properties >= 225) throw bad(source, "LZMA", 0, `properties ${properties}, at most 224 expected`);
  if (size !== 0xffff_ffff_ffff_ffffn && size > 1n << 48n) throw bad(source, "LZMA", 5, `a content of ${size} bytes`);
  return {
    properties,
    dictionarySize: view.getUint32(1, true),
    size: size === 0xffff_ffff_ffff_ffffn ? undefined : Number(size),
  };
}

/** `.lzma`: its header's fields and the content. Throws `input`. */
export function lzmaParts(source: ByteSource): Part[] {
  const { properties, dictionarySize, size } = lzmaHeader(source);
  const lc = properties % 9;
  const lp = Math.floor(properties / 9) % 5;
  return [
    field("properties", 0, 1, () => `lc ${lc}, lp ${lp}, pb ${Math.floor(properties / 45)}`),
    field("dictionary size", 1, 4, () => String(dictionarySize)),
    size === undefined ? field("content size", 5, 8, () => "unknown") : derived("content size", 5, 8),
    compressedPart(source.name, 13, source.size, {
      name: "unlzma",
      run: (sink, limits) => unlzma(source, sink, limits),
    }),
  ];
}

interface LzipMember {
  offset: number;
  end: number;
  size: number;
}

/** Decompresses every member of lzip into `sink`, checking CRC and size; returns the size. Throws `input`, `limit`. */
export async function unlzip(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const members = lzipMembers(source);
  const stated = members.reduce((sum, member) => sum + member.size, 0);
  new InflationGuard(source.name, source.size, limits).add(stated);
  const guard = new InflationGuard(source.name, source.size, limits);
  for (const { offset, end, size } of members) {
    let crc = 0;
    const code = source.read(offset + 5, 1)[0] ?? 0;
    const stream = {
      offset: offset + LZIP_HEADER,
      properties: LZIP_PROPERTIES,
      dictionarySize: Math.min(lzipDictionary(code), size),
      size: undefined,
    };
    const before = guard.bytes;
    await unlzmaStream(source, stream, (chunk) => {
      guard.add(chunk.length);
      crc = crc32(chunk, crc);
      sink(chunk);
    });
    const trailer = end - LZIP_TRAILER;
    if (viewOf(source, trailer, 4).getUint32(0, true) !== crc) {
      throw bad(source, "lzip", trailer, "the content does not have the stated CRC-32");
    }
    if (guard.bytes - before !== size)
      throw bad(source, "lzip", trailer + 4, "the content does not have the stated size");
  }
  return guard.bytes;
}

/** lzip's members, the content running through all. Throws `input`, `limit`. */
export function* lzipParts(source: ByteSource): Generator<Part> {
  for (const { offset, end } of lzipMembers(source)) {
    const [version = 0, code = 0] = source.read(offset + 4, 2);
    const from = offset + LZIP_HEADER;
    const trailer = end - LZIP_TRAILER;
    yield derived("magic", offset, 4);
    yield field("version", offset + 4, 1, () => String(version));
    yield field("dictionary size", offset + 5, 1, () => String(lzipDictionary(code)));
    yield offset > 0
      ? moreCompressed("unlzip", from, trailer)
      : compressedPart(
          source.name,
          from,
          trailer,
          { name: "unlzip", run: (sink, limits) => unlzip(source, sink, limits) },
          { unit: "member", count: (side) => lzipMembers(side).length },
        );
    yield derived("checksum", trailer, 4);
    yield derived("content size", trailer + 4, 8);
    yield derived("member size", trailer + 12, 8);
  }
}

/** A power of two, less up to seven sixteenths of it. */
function lzipDictionary(code: number): number {
  const base = 2 ** (code & 31);
  return base - (base / 16) * (code >> 5);
}

/** Found from the end backwards, by the size that stands at each one's end. */
function lzipMembers(source: ByteSource): LzipMember[] {
  const members: LzipMember[] = [];
  for (let end = source.size; end > 0;) {
    if (members.length >= MAX_MEMBERS)
      throw new BitforbitError("limit", `${source.name}: over ${MAX_MEMBERS} lzip members`);
    if (end < LZIP_HEADER + LZIP_TRAILER) throw bad(source, "lzip", 0, "cut off");
    const view = viewOf(source, end - LZIP_TRAILER, LZIP_TRAILER);
    const length = Number(view.getBigUint64(12, true));
    const offset = end - length;
    if (length < LZIP_HEADER + LZIP_TRAILER || offset < 0) {
      throw bad(source, "lzip", end - 8, `a member of ${length} bytes: cut off, or followed by something else`);
    }
    if (viewOf(source, offset, 4).getUint32(0) !== 0x4c5a4950) throw bad(source, "lzip", offset, "no lzip member");
    const size = view.getBigUint64(4, true);
    if (size > 1n << 48n) throw bad(source, "lzip", end - 16, `a content of ${size} bytes`);
    members.push({ offset, end, size: Number(size) });
    end = offset;
  }
  return members.reverse();
}

function viewOf(source: ByteSource, offset: number, length: number): DataView {
  const bytes = source.read(offset, length);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

function bad(source: ByteSource, format: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: ${format}, offset ${offset}: ${what}`);
}
