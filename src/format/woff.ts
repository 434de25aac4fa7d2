import { brotliDecompressSync } from "node:zlib";
import { concat, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { inflated } from "./inflated-content.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * WOFF and WOFF2 (W3C), fonts packed for the web:
 *
 *     "wOFF" or "wOF2" flavour(4) length(4) tables(2) reserved(2) size of the font(4)
 *     [WOFF2: compressed size(4)] version(2+2) metadata: offset, length, size (4 each) private: offset, length (4 each)
 *     directory, tables: each by zlib, or all together by Brotli
 *
 * The directory and the tables are one content, whose plain form is the font.
 * WOFF2 keeps `glyf` and `loca` rearranged; they stay so, as bytes.
 */
const MAX_FONT = 256 << 20;
const MAX_TABLES = 4096;
const MAX_DEFLATE_RATIO = 1032;

interface Packed {
  tag: string;
  data: Uint8Array;
}

export function woffParts(source: ByteSource, name: string): Part[] {
  const signature = source.size < 48 ? "" : showable(source.read(0, 4));
  if (signature !== "wOFF" && signature !== "wOF2") throw bad(name, 0, "no WOFF header");
  const two = signature === "wOF2";
  const header = Buffer.from(source.read(0, 48));
  const version = two ? 24 : 20;
  const start = version + 24;
  const blocks = { metadata: header.readUInt32BE(version + 4), private: header.readUInt32BE(version + 16) };
  const stops = Object.values(blocks).filter((offset) => offset >= start && offset <= source.size);
  const end = Math.min(source.size, ...stops);
  const decode: NonNullable<Part["decode"]>["run"] = (sink, limits) => {
    const most = Math.min(MAX_FONT, limits.maxBytes);
    const tables = two ? brotliTables(source, name, header, most) : zlibTables(source, name, header, most);
    for (const piece of fontOf(header.subarray(4, 8), tables)) sink(piece);
    return Promise.resolve();
  };
  const parts: Part[] = [
    field("format", 0, 4, () => signature),
    field("flavour", 4, 4, () => header.toString("hex", 4, 8)),
    derived("sizes", 8, version - 8),
    field("version", version, 4, () => `${header.readUInt16BE(version)}.${header.readUInt16BE(version + 2)}`),
    derived("blocks", version + 4, 20),
    {
      key: "",
      kind: "content",
      offset: start,
      length: end - start,
      name: "font.ttf",
      decode: { name: two ? "WOFF2" : "WOFF", run: decode },
    },
  ];
  for (const [key, at] of [
    ["metadata", version + 4],
    ["private data", version + 16],
  ] as const) {
    const [offset, length] = [header.readUInt32BE(at), header.readUInt32BE(at + 4)];
    if (offset >= end && length > 0) parts.push({ key, kind: "bytes", offset, length });
  }
  return inOrder(parts, 0, source.size);
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: WOFF, offset ${offset}: ${what}`);
}

/** Directory entries: tag(4) offset(4) stored(4) size(4) checksum(4). */
function zlibTables(source: ByteSource, name: string, header: Buffer, most: number): Packed[] {
  const count = header.readUInt16BE(12);
  if (44 + count * 20 > source.size) throw bad(name, 12, `${count} tables`);
  let left = most;
  const tables: Packed[] = [];
  for (let at = 44; at < 44 + count * 20; at += 20) {
    const entry = Buffer.from(source.read(at, 20));
    const [offset, stored, size] = [entry.readUInt32BE(4), entry.readUInt32BE(8), entry.readUInt32BE(12)];
    left -= size;
    if (left < 0 || size > stored * MAX_DEFLATE_RATIO + 64) throw bad(name, at + 12, `a table of ${size} bytes`);
    const bytes = source.read(offset, stored);
    tables.push({
      tag: entry.toString("latin1", 0, 4),
      data: stored < size ? inflated(bytes, size, name) : bytes.slice(),
    });
  }
  return tables;
}

const KNOWN_TAGS =
  "cmap head hhea hmtx maxp name OS/2 post cvt_ fpgm glyf loca prep CFF_ VORG EBDT EBLC gasp hdmx kern LTSH PCLT VDMX vhea vmtx BASE GDEF GPOS GSUB EBSC JSTF MATH CBDT CBLC COLR CPAL SVG_ sbix acnt avar bdat bloc bsln cvar fdsc feat fmtx fvar gvar hsty just lcar mort morx opbd prop trak Zapf Silf Glat Gloc Feat Sill"
    .replaceAll("_", " ")
    .split(/ (?=[A-Za-z])/)
    .map((tag) => tag.padEnd(4));

/** Directory entries: flags(1) [tag(4)] size in UIntBase128 [size as rearranged]; then one Brotli stream. */
function brotliTables(source: ByteSource, name: string, header: Buffer, most: number): Packed[] {
  const count = header.readUInt16BE(12);
  if (count > MAX_TABLES) throw bad(name, 12, `${count} tables`);
  const bytes = Buffer.from(source.read(48, Math.min(source.size - 48, count * 16)));
  let at = 0;
  const base128 = (): number => {
    let value = 0;
    for (let digits = 0; digits < 5; digits++) {
      const byte = bytes[at++] ?? 0;
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) return value;
    }
    throw bad(name, 48 + at, "a number of more than five bytes");
  };
  const entries: { tag: string; size: number }[] = [];
  for (let index = 0; index < count; index++) {
    const flags = bytes[at++] ?? 0;
    const known = KNOWN_TAGS[flags & 63];
    const tag = (flags & 63) === 63 ? bytes.toString("latin1", at, (at += 4)) : (known ?? `?${flags & 63}`.padEnd(4));
    const size = base128();
    const rearranged = tag === "glyf" || tag === "loca" ? flags >> 6 !== 3 : flags >> 6 !== 0;
    entries.push({ tag, size: rearranged ? base128() : size });
  }
  const stored = header.readUInt32BE(20);
  const plain = unbrotli(source.read(48 + at, Math.min(stored, source.size - 48 - at)), most, name);
  let from = 0;
  return entries.map(({ tag, size }) => {
    from += size;
    return { tag, data: plain.subarray(from - size, from) };
  });
}

function unbrotli(bytes: Uint8Array, most: number, name: string): Uint8Array {
  try {
    return brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, most) });
  } catch (error) {
    throw new BitforbitError("input", `${name}: Brotli: ${messageOf(error)}`, { cause: error });
  }
}

/** A font of these tables; numbers that only serve to find tables quickly are zero. */
function* fontOf(flavour: Uint8Array, tables: readonly Packed[]): Generator<Uint8Array> {
  const head = Buffer.alloc(12 + tables.length * 16);
  head.set(flavour, 0);
  head.writeUInt16BE(tables.length, 4);
  let offset = head.length;
  for (const [index, { tag, data }] of tables.entries()) {
    const at = 12 + index * 16;
    head.write(tag, at, "latin1");
    head.writeUInt32BE(offset, at + 8);
    head.writeUInt32BE(data.length, at + 12);
    offset += (data.length + 3) & ~3;
  }
  yield new Uint8Array(head);
  for (const { data } of tables) yield concat([data, new Uint8Array(-data.length & 3)]);
}
