import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { Cursor } from "./cursor.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * What Android's runtimes make of DEX files on the device or for an image.
 *
 * Dalvik's optimised DEX (libdex, DexOptHeader): "dey\n036\0", offsets and
 * lengths of the DEX file, the list of what it depends on, and the optimised
 * tables; flags, a checksum.
 *
 * ART's vdex (vdex_file.h): "vdex", a version; from 027 on a table of sections:
 * checksums, DEX files behind one another, the verifier's findings, lookup
 * tables. Of older ones the versions are told.
 *
 * ART's oat (oat.h): "oat\n", a version, a checksum; it stands in an ELF
 * file's read-only data.
 */
const DEX_HEADER = 0x70;
const MAX_DEPENDENCIES = 4096;
const MAX_DEXES = 4096;
const MAX_SECTIONS = 64;

export function odexParts(source: ByteSource, name: string): Part[] {
  const cursor = new Cursor(source, `${name}: optimised DEX`, 0, source.size, true);
  const magic = version(cursor, /^dey\n(\d\d\d)\0$/);
  const piece = (): { offset: number; length: number } => {
    const at = cursor.at;
    const [offset, length] = [cursor.u32(), cursor.u32()];
    if (offset + length > source.size) cursor.fail(`${length} bytes at ${offset}`, at);
    return { offset, length };
  };
  const [dex, dependencies, tables] = [piece(), piece(), piece()];
  const flags = cursor.u32();
  cursor.skip(4);
  return inOrder(
    [
      field("version", 0, 8, () => magic),
      derived("sizes and offsets", 8, 24),
      field("flags", 32, 4, () => `0x${flags.toString(16)}`),
      derived("checksum", 36, 4),
      { key: "classes.dex", kind: "content", ...dex, name: "classes.dex" },
      group("dependencies", dependencies.offset, dependencies.length, () =>
        dependencyParts(new Cursor(source, cursor.what, dependencies.offset, end(dependencies), true)),
      ),
      { key: "optimised tables", kind: "bytes", ...tables },
    ],
    0,
    source.size,
  );
}

function end({ offset, length }: { offset: number; length: number }): number {
  return offset + length;
}

/** When the DEX file was changed last, its checksum, which virtual machine, then names with their SHA-1. */
function dependencyParts(cursor: Cursor): Part[] {
  const at = cursor.at;
  const [mtime, checksum, build, count] = [cursor.u32(), cursor.u32(), cursor.u32(), cursor.u32()];
  if (count > MAX_DEPENDENCIES) cursor.fail(`${count} dependencies`, at + 12);
  const parts: Part[] = [
    // MS-DOS form, as the zip has it that the DEX file came in.
    field("changed", at, 4, () => dosTime(mtime)),
    field("source checksum", at + 4, 4, () => checksum.toString(16).padStart(8, "0")),
    field("machine's build", at + 8, 4, () => String(build)),
    derived("count", at + 12, 4),
  ];
  for (let index = 0; index < count; index++) {
    const start = cursor.at;
    const length = cursor.u32();
    const path = showable(cursor.bytes(length)).replace(/\0$/, "");
    const hash = Buffer.from(cursor.bytes(20)).toString("hex");
    parts.push(field(`dependency ${path}`, start, length + 24, () => hash));
  }
  return parts;
}

const two = (number: number): string => String(number).padStart(2, "0");

function dosTime(value: number): string {
  const [date, time] = [value >>> 16, value & 0xffff];
  const day = `${1980 + (date >> 9)}-${two((date >> 5) & 15)}-${two(date & 31)}`;
  return `${day} ${two(time >> 11)}:${two((time >> 5) & 63)}:${two((time & 31) * 2)}`;
}

const SECTIONS = ["checksums", "DEX files", "verifier", "lookup tables"];

export function vdexParts(source: ByteSource, name: string): Part[] {
  const cursor = new Cursor(source, `${name}: vdex`, 0, source.size, true);
  const magic = version(cursor, /^vdex(\d\d\d)\0$/);
  const parts: Part[] = [field("version", 0, 8, () => magic)];
  if (magic < "027") {
    const second = /^(\d\d\d)\0$/.exec(showable(cursor.bytes(4)))?.[1];
    return second === undefined ? parts : [...parts, field("version of DEX section", 8, 4, () => second)];
  }
  const count = cursor.u32();
  if (count > MAX_SECTIONS) cursor.fail(`${count} sections`, 8);
  parts.push(derived("sections", 8, 4 + count * 12));
  for (let index = 0; index < count; index++) {
    const at = cursor.at;
    const [kind, offset, length] = [cursor.u32(), cursor.u32(), cursor.u32()];
    if (offset + length > source.size) cursor.fail(`a section of ${length} bytes at ${offset}`, at);
    if (length > 0) parts.push(section(source, cursor.what, kind, offset, length));
  }
  return inOrder(parts, 0, source.size);
}

function section(source: ByteSource, what: string, kind: number, offset: number, length: number): Part {
  const key = SECTIONS[kind] ?? `section ${kind}`;
  // Checksums are the DEX files' own; lookup tables are hashed from their types.
  if (kind === 0 || kind === 3) return derived(key, offset, length);
  if (kind === 1) return group("", offset, length, () => dexFiles(source, what, offset, offset + length));
  return { key, kind: "bytes", offset, length };
}

/** DEX files one behind another, each at a multiple of four; each says how long it is. */
function dexFiles(source: ByteSource, what: string, from: number, to: number): Part[] {
  const parts: Part[] = [];
  for (let at = from; at + DEX_HEADER <= to && parts.length < MAX_DEXES;) {
    const cursor = new Cursor(source, what, at, to, true);
    cursor.skip(32);
    const length = cursor.u32();
    if (length < DEX_HEADER || length > to - at) cursor.fail(`a DEX file of ${length} bytes`, at + 32);
    const key = parts.length === 0 ? "classes.dex" : `classes${parts.length + 1}.dex`;
    parts.push({ key, kind: "content", offset: at, length, name: key });
    at += Math.ceil(length / 4) * 4;
  }
  return parts;
}

export function oatParts(source: ByteSource, name: string): Part[] {
  const cursor = new Cursor(source, `${name}: oat`, 0, source.size, true);
  const magic = version(cursor, /^oat\n(\d\d\d)\0$/);
  const at = cursor.skip(4);
  return [
    field("version", 0, 8, () => magic),
    derived("checksum", at, 4),
    { key: "code", kind: "bytes", offset: at + 4, length: cursor.left },
  ];
}

function version(cursor: Cursor, form: RegExp): string {
  const found = form.exec(Buffer.from(cursor.bytes(8)).toString("latin1"))?.[1];
  return found ?? cursor.fail("another magic number", 0);
}
