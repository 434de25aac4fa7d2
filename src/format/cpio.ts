import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * cpio, in the forms that GNU cpio and the kernel read: "newc" and "crc"
 * (hexadecimal, filled up to 4), "odc" (POSIX.1-1988, octal, nothing filled up)
 * and the old binary (16-bit words of either byte order, filled up to 2).
 * Each member is a header, its name with a NUL, its data; the last is called
 * TRAILER!!!. Archives follow each other in an initramfs, zeros between them;
 * what is compressed behind is a content of its own.
 */
interface Variant {
  name: string;
  magic: Uint8Array;
  fields: readonly (readonly [key: string, length: number])[];
  align: 1 | 2 | 4;
  number(bytes: Uint8Array): number;
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

const NEWC = [
  "inode",
  "mode",
  "uid",
  "gid",
  "links",
  "mtime",
  "size",
  "device major",
  "device minor",
  "special device major",
  "special device minor",
  "name size",
  "checksum",
].map((key) => [key, 8] as const);

const ODC = [
  ["device", 6],
  ["inode", 6],
  ["mode", 6],
  ["uid", 6],
  ["gid", 6],
  ["links", 6],
  ["special device", 6],
  ["mtime", 11],
  ["name size", 6],
  ["size", 11],
] as const;

const BINARY = ODC.map(([key, length]) => [key, length === 6 ? 2 : 4] as const);

const VARIANTS: readonly Variant[] = [
  { name: "newc", magic: ascii("070701"), fields: NEWC, align: 4, number: inHex },
  { name: "crc", magic: ascii("070702"), fields: NEWC, align: 4, number: inHex },
  { name: "odc", magic: ascii("070707"), fields: ODC, align: 1, number: inOctal },
  {
    name: "binary, little endian",
    magic: Uint8Array.of(0xc7, 0x71),
    fields: BINARY,
    align: 2,
    number: (bytes) => inWords(bytes, true),
  },
  {
    name: "binary, big endian",
    magic: Uint8Array.of(0x71, 0xc7),
    fields: BINARY,
    align: 2,
    number: (bytes) => inWords(bytes, false),
  },
];

const TRAILER = "TRAILER!!!";
const MAX_MEMBERS = 2_000_000;
const MAX_NAME = 64 << 10;
const WINDOW = 64 << 10;
const LINK = 0o120000;
const DERIVED = new Set(["size", "name size", "checksum"]);

interface Member {
  variant: Variant;
  name: string;
  values: ReadonlyMap<string, number>;
  offset: number;
  nameOffset: number;
  nameSize: number;
  dataOffset: number;
  size: number;
  /** Before what fills up. */
  dataEnd: number;
  end: number;
}

/** Members by their paths, and what stands between and behind archives. Throws `input`, `limit`. */
export function* cpioParts(source: ByteSource): Generator<Part> {
  let at = 0;
  for (let count = 0; at < source.size; count++) {
    if (count >= MAX_MEMBERS) throw new BitforbitError("limit", `${source.name}: over ${MAX_MEMBERS} cpio members`);
    const member = memberAt(source, at);
    const show = (): string => `${member.size} bytes`;
    yield { ...group(member.name, at, member.end - at, () => memberParts(source, member)), show };
    at = member.end;
    if (member.name !== TRAILER) continue;
    const next = zerosEnd(source, at);
    if (next > at) yield { key: "padding", kind: "padding", offset: at, length: next - at };
    at = next;
    if (at < source.size && variantAt(source, at) === undefined) {
      yield { key: "what follows", kind: "content", offset: at, length: source.size - at };
      return;
    }
  }
}

function* memberParts(source: ByteSource, member: Member): Generator<Part> {
  const { variant, values, nameOffset, nameSize, dataOffset, size, dataEnd } = member;
  yield field("format", member.offset, variant.magic.length, () => variant.name);
  let at = member.offset + variant.magic.length;
  for (const [key, length] of variant.fields) {
    const value = values.get(key) ?? 0;
    const shown = (): string => (key === "mode" ? value.toString(8) : String(value));
    yield DERIVED.has(key) ? derived(key, at, length) : field(key, at, length, shown);
    at += length;
  }
  yield field("name", nameOffset, nameSize, () => member.name);
  yield* filling("padding of the name", nameOffset + nameSize, dataOffset);
  if (((values.get("mode") ?? 0) & 0o170000) === LINK) {
    yield field("link target", dataOffset, size, () => showable(source.read(dataOffset, Math.min(size, MAX_NAME))));
  } else if (size > 0) yield { key: "", kind: "content", offset: dataOffset, length: size, name: member.name };
  yield* filling("padding of the data", dataEnd, member.end);
}

function* filling(key: string, offset: number, end: number): Generator<Part> {
  if (end > offset) yield { key, kind: "padding", offset, length: end - offset };
}

function variantAt(source: ByteSource, offset: number): Variant | undefined {
  const start = source.read(offset, Math.min(6, source.size - offset));
  return VARIANTS.find(({ magic }) => magic.every((byte, at) => start[at] === byte));
}

function memberAt(source: ByteSource, offset: number): Member {
  const variant = variantAt(source, offset);
  if (variant === undefined) {
    const found = hex(source.read(offset, Math.min(6, source.size - offset)));
    throw bad(source, offset, `${found}, where a member should begin`);
  }
  const values = new Map<string, number>();
  let at = offset + variant.magic.length;
  for (const [key, length] of variant.fields) {
    need(source, at, length, key);
    const value = variant.number(source.read(at, length));
    if (Number.isNaN(value)) throw bad(source, at, `${key} is no number`);
    values.set(key, value);
    at += length;
  }
  const nameSize = values.get("name size") ?? 0;
  const size = values.get("size") ?? 0;
  if (nameSize === 0 || nameSize > MAX_NAME) throw bad(source, offset, `a name of ${nameSize} bytes`);
  need(source, at, nameSize, "name");
  const name = showable(source.read(at, nameSize)).replace(/\0+$/, "");
  const dataOffset = Math.min(aligned(at + nameSize, variant.align), source.size);
  need(source, dataOffset, size, `${JSON.stringify(name.slice(0, 80))}`);
  const dataEnd = dataOffset + size;
  const end = Math.min(aligned(dataEnd, variant.align), source.size);
  return { variant, name, values, offset, nameOffset: at, nameSize, dataOffset, size, dataEnd, end };
}

const aligned = (offset: number, align: number): number => Math.ceil(offset / align) * align;

function zerosEnd(source: ByteSource, from: number): number {
  for (let at = from; at < source.size; at += WINDOW) {
    const found = source.read(at, Math.min(WINDOW, source.size - at)).findIndex((byte) => byte !== 0);
    if (found >= 0) return at + found;
  }
  return source.size;
}

function inHex(bytes: Uint8Array): number {
  const text = showable(bytes);
  return /^[0-9a-fA-F]+$/.test(text) ? Number.parseInt(text, 16) : Number.NaN;
}

function inOctal(bytes: Uint8Array): number {
  const text = showable(bytes);
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/** Of two words, the higher comes first whatever the byte order. */
function inWords(bytes: Uint8Array, little: boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = view.getUint16(0, little);
  return bytes.length === 2 ? first : first * 65_536 + view.getUint16(2, little);
}

function need(source: ByteSource, offset: number, length: number, what: string): void {
  if (offset + length <= source.size) return;
  throw bad(source, offset, `${length} bytes of ${what}, but the archive ends at ${source.size}`);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: cpio, offset ${offset}: ${what}`);
}
