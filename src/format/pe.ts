import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { Words } from "./record.ts";

/**
 * Reads the tables of PE images and COFF objects (Microsoft, "PE Format"):
 *
 *     image:  DOS header, stub   "PE\0\0"   COFF header   optional header   section table   sections …
 *     object: COFF header   section table   sections, relocations …   symbols   strings
 *
 * An image's signatures stand behind everything, found by the fifth data directory.
 */
export interface PeSection {
  index: number;
  name: string;
  headerAt: number;
  /** Relative to the image's base; in an object a space of its own. */
  address: number;
  memorySize: number;
  offset: number;
  size: number;
  relocationsAt: number;
  relocations: number;
  flags: number;
}

export interface Pe {
  source: ByteSource;
  /** Where the COFF header stands: 0 in an object. */
  coffAt: number;
  image: boolean;
  machine: number;
  wide: boolean;
  optionalSize: number;
  sections: PeSection[];
  sectionTableAt: number;
  symbolsAt: number;
  symbols: number;
  /** Address and size, by number; of the signatures a place in the file. */
  directories: { address: number; size: number }[];
  directoriesAt: number;
}

export const PE_MACHINES: Readonly<Record<number, string>> = {
  0: "any",
  0x14c: "i386",
  0x1c0: "ARM",
  0x1c4: "ARM Thumb-2",
  0x8664: "x86-64",
  0xaa64: "ARM64",
};
export const CODE = 0x20;
export const COFF_HEADER = 20;
export const SECTION_HEADER = 40;
export const SYMBOL = 18;
const MAX_SYMBOLS = 8_000_000;

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: PE, offset ${offset}: ${what}`);
}

function wordsAt(source: ByteSource, offset: number, length: number): Words {
  return new Words(source.read(offset, length), true, `${source.name}: PE`);
}

/** Throws `input` for what is neither, or whose tables lie outside of the file. */
export function readPe(source: ByteSource): Pe {
  const dos = wordsAt(source, 0, Math.min(64, source.size));
  const image = dos.size === 64 && dos.u16(0) === 0x5a4d;
  const peAt = image ? dos.u32(60) : 0;
  if (image && (peAt < 4 || peAt + 24 > source.size || wordsAt(source, peAt, 4).u32(0) !== 0x4550)) {
    throw bad(source, peAt, "no PE header where the DOS header says");
  }
  const coffAt = image ? peAt + 4 : 0;
  const coff = wordsAt(source, coffAt, Math.min(COFF_HEADER, source.size - coffAt));
  const pe: Pe = {
    source,
    coffAt,
    image,
    machine: coff.u16(0),
    wide: false,
    optionalSize: coff.u16(16),
    sections: [],
    sectionTableAt: coffAt + COFF_HEADER + coff.u16(16),
    symbolsAt: coff.u32(8),
    symbols: coff.u32(12),
    directories: [],
    directoriesAt: 0,
  };
  if (PE_MACHINES[pe.machine] === undefined) throw bad(source, coffAt, `machine 0x${pe.machine.toString(16)}`);
  const symbolsEnd = pe.symbolsAt + pe.symbols * SYMBOL;
  if (pe.symbols > MAX_SYMBOLS || symbolsEnd > source.size || pe.symbolsAt === 0) pe.symbols = 0;
  readOptional(pe);
  readSections(pe, coff.u16(2));
  return pe;
}

function readOptional(pe: Pe): void {
  if (pe.optionalSize < 96) return;
  const at = pe.coffAt + COFF_HEADER;
  const words = wordsAt(pe.source, at, Math.min(pe.optionalSize, pe.source.size - at));
  pe.wide = words.u16(0) === 0x20b;
  const first = pe.wide ? 112 : 96;
  pe.directoriesAt = at + first;
  const count = words.size >= first ? Math.min(16, words.u32(first - 4), Math.floor((words.size - first) / 8)) : 0;
  for (let index = 0; index < count; index++) {
    pe.directories.push({ address: words.u32(first + index * 8), size: words.u32(first + index * 8 + 4) });
  }
}

function readSections(pe: Pe, count: number): void {
  const { source, sectionTableAt: at } = pe;
  if (at + count * SECTION_HEADER > source.size) throw bad(source, at, `${count} sections, but the file ends`);
  const words = wordsAt(source, at, count * SECTION_HEADER);
  for (let index = 0; index < count; index++) {
    const place = index * SECTION_HEADER;
    const [offset, size] = [words.u32(place + 20), words.u32(place + 16)];
    const flags = words.u32(place + 36);
    const stored = (flags & 0x80) === 0 && offset > 0 && offset + size <= source.size;
    pe.sections.push({
      index,
      name: sectionName(pe, words.text(place, 8)),
      headerAt: at + place,
      address: pe.image ? words.u32(place + 12) : (index + 1) * 2 ** 34,
      memorySize: words.u32(place + 8),
      offset: stored ? offset : 0,
      size: stored ? size : 0,
      relocationsAt: words.u32(place + 24),
      relocations: words.u16(place + 32),
      flags,
    });
  }
}

/** A name of over eight bytes stands in the string table: "/123". */
function sectionName(pe: Pe, name: string): string {
  return /^\/[0-9]+$/.test(name) && pe.symbols > 0 ? coffString(pe, Number(name.slice(1))) : name;
}

/** Where the string table stands, which follows the symbols, its own length first. */
export function stringTable(pe: Pe): { offset: number; length: number } | undefined {
  const offset = pe.symbolsAt + pe.symbols * SYMBOL;
  if (pe.symbols === 0 || offset + 4 > pe.source.size) return undefined;
  return { offset, length: Math.min(Math.max(4, wordsAt(pe.source, offset, 4).u32(0)), pe.source.size - offset) };
}

export function coffString(pe: Pe, at: number): string {
  const table = stringTable(pe);
  if (table === undefined || at >= table.length) return "";
  const length = Math.min(1024, table.length - at);
  return wordsAt(pe.source, table.offset + at, length).text(0, length);
}

/** The place in the file of `length` bytes at an address; undefined where a file has none. */
export function fileOffset(pe: Pe, address: number, length = 1): number | undefined {
  for (const section of pe.sections) {
    const into = address - section.address;
    if (into >= 0 && into + length <= section.size) return section.offset + into;
  }
  return undefined;
}

/** What a data directory points to: its place in the file and how much of it is there. */
export function directory(pe: Pe, index: number): { offset: number; size: number; address: number } | undefined {
  const entry = pe.directories[index];
  if (entry === undefined || entry.address === 0 || entry.size === 0) return undefined;
  const offset = index === 4 ? entry.address : fileOffset(pe, entry.address, entry.size);
  if (offset === undefined || offset + entry.size > pe.source.size) return undefined;
  return { offset, size: entry.size, address: entry.address };
}
