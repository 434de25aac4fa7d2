import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { Words } from "./record.ts";

/**
 * Reads ELF's tables (System V gABI, chapter 4 "Object Files"), 32 and 64 bits
 * in both byte orders:
 *
 *     ELF header   program headers   contents of sections …   section headers
 *
 * The header says where both tables stand; a section header says where the
 * section's contents stand, its name by an offset into the section `shstrndx`.
 * 65280 sections and more are counted in section 0 (gABI, "e_shnum").
 */
export interface ElfSection {
  index: number;
  name: string;
  type: number;
  /** The low 32 bits: what matters stands there. */
  flags: number;
  /** Counted from `Elf.base`. */
  address: number;
  offset: number;
  /** In memory; a section without bits has none in the file. */
  size: number;
  link: number;
  info: number;
  align: number;
  entrySize: number;
}

export interface ElfSegment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
}

export interface ElfTable {
  offset: number;
  count: number;
  entrySize: number;
}

export interface Elf {
  source: ByteSource;
  bits: 32 | 64;
  little: boolean;
  type: number;
  machine: number;
  /**
   * Subtracted from every address, since a kernel's do not fit a number: 2^32
   * times the upper half of the first address that is met.
   */
  baseHigh: number;
  sections: ElfSection[];
  segments: ElfSegment[];
  sectionTable: ElfTable;
  segmentTable: ElfTable;
  /** Bytes of the ELF header. */
  headerSize: number;
}

export const ET_REL = 1;
export const SHT = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3, RELA: 4, NOTE: 7, NOBITS: 8, REL: 9, DYNSYM: 11 } as const;
export const SHF = { WRITE: 1, ALLOC: 2, EXECINSTR: 4, MERGE: 0x10, STRINGS: 0x20, COMPRESSED: 0x800 } as const;
export const MACHINE = { I386: 3, ARM: 40, X86_64: 62, AARCH64: 183 } as const;

const MAX_SECTIONS = 1 << 18;
const MAX_SEGMENTS = 1 << 16;
const MAX_NAMES = 64 << 20;

/** Throws `input` for what is no ELF, or whose tables lie outside of the file; `limit` for too many sections. */
export function readElf(source: ByteSource): Elf {
  const ident = source.read(0, Math.min(source.size, 64));
  if (ident.length < 52 || ident[0] !== 0x7f || ident[1] !== 0x45 || ident[2] !== 0x4c || ident[3] !== 0x46) {
    throw bad(source, 0, "no ELF header");
  }
  const bits = ident[4] === 1 ? 32 : ident[4] === 2 ? 64 : undefined;
  if (bits === undefined) throw bad(source, 4, `class ${ident[4]}, expected 1 or 2`);
  if (ident[5] !== 1 && ident[5] !== 2) throw bad(source, 5, `byte order ${ident[5]}, expected 1 or 2`);
  if (bits === 64 && ident.length < 64) throw bad(source, 0, "cut off in the ELF header");
  const words = new Words(ident, ident[5] === 1, `${source.name}: ELF header`);
  const wide = bits === 64;
  const offsetAt = (at: number): number => (wide ? words.u64(at) : words.u32(at));
  const elf: Elf = {
    source,
    bits,
    little: words.little,
    type: words.u16(16),
    machine: words.u16(18),
    baseHigh: 0,
    sections: [],
    segments: [],
    segmentTable: {
      offset: offsetAt(wide ? 32 : 28),
      entrySize: words.u16(wide ? 54 : 42),
      count: words.u16(wide ? 56 : 44),
    },
    sectionTable: {
      offset: offsetAt(wide ? 40 : 32),
      entrySize: words.u16(wide ? 58 : 46),
      count: words.u16(wide ? 60 : 48),
    },
    headerSize: wide ? 64 : 52,
  };
  readSections(elf, words.u16(wide ? 62 : 50));
  readSegments(elf);
  return elf;
}

function readSections(elf: Elf, stringIndex: number): void {
  const { source, sectionTable: table } = elf;
  const least = elf.bits === 64 ? 64 : 40;
  if (table.offset === 0) return;
  if (table.entrySize < least) throw bad(source, table.offset, `section headers of ${table.entrySize} bytes`);
  let names = stringIndex;
  if (table.count === 0 || names === 0xffff) {
    const zero = tableWords(elf, { ...table, count: 1 }, "section headers");
    if (table.count === 0) table.count = elf.bits === 64 ? zero.u64(32) : zero.u32(20);
    if (names === 0xffff) names = zero.u32(elf.bits === 64 ? 40 : 24);
  }
  if (table.count > MAX_SECTIONS) {
    throw new BitforbitError("limit", `${source.name}: ELF, ${table.count} sections, over ${MAX_SECTIONS}`);
  }
  const words = tableWords(elf, table, "section headers");
  elf.baseHigh = highBase(elf, words);
  for (let index = 0; index < table.count; index++) {
    const section = sectionAt(elf, words, index);
    // An object file's sections all begin at 0: here each has a space of its own.
    if (elf.type === ET_REL) section.address = index * 2 ** 34;
    elf.sections.push(section);
  }
  const strings = sectionWords(elf, elf.sections[names], MAX_NAMES);
  for (const section of elf.sections) {
    section.name = strings?.text(words.u32(section.index * table.entrySize), 1024) ?? "";
  }
}

function highBase(elf: Elf, words: Words): number {
  if (elf.bits === 32) return 0;
  for (let index = 0; index < elf.sectionTable.count; index++) {
    const at = index * elf.sectionTable.entrySize + 16;
    const high = words.u32(elf.little ? at + 4 : at);
    if (high >= 1 << 20) return high;
  }
  return 0;
}

function sectionAt(elf: Elf, words: Words, index: number): ElfSection {
  const at = index * elf.sectionTable.entrySize;
  const wide = elf.bits === 64;
  return {
    index,
    name: "",
    type: words.u32(at + 4),
    flags: words.u32(wide && !elf.little ? at + 12 : at + 8),
    address: addressIn(elf, words, at + (wide ? 16 : 12)),
    offset: wide ? words.u64(at + 24) : words.u32(at + 16),
    size: wide ? words.u64(at + 32) : words.u32(at + 20),
    link: words.u32(at + (wide ? 40 : 24)),
    info: words.u32(at + (wide ? 44 : 28)),
    align: wide ? words.u64(at + 48) : words.u32(at + 32),
    entrySize: wide ? words.u64(at + 56) : words.u32(at + 36),
  };
}

/** The address at `at` of `words`, counted from the base. */
export function addressIn(elf: Elf, words: Words, at: number): number {
  if (elf.bits === 32) return words.u32(at);
  const high = words.u32(elf.little ? at + 4 : at);
  const low = words.u32(elf.little ? at : at + 4);
  return (high - elf.baseHigh) * 2 ** 32 + low;
}

function readSegments(elf: Elf): void {
  const { segmentTable: table } = elf;
  const wide = elf.bits === 64;
  if (table.offset === 0 || table.count === 0) return;
  // 65535 and more are counted in section 0 (gABI, "PN_XNUM").
  if (table.count === 0xffff) table.count = elf.sections[0]?.info ?? 0;
  if (table.count > MAX_SEGMENTS || table.entrySize < (wide ? 56 : 32)) {
    throw bad(elf.source, table.offset, `${table.count} program headers of ${table.entrySize} bytes`);
  }
  const words = tableWords(elf, table, "program headers");
  for (let index = 0; index < table.count; index++) {
    const at = index * table.entrySize;
    elf.segments.push({
      type: words.u32(at),
      flags: words.u32(at + (wide ? 4 : 24)),
      offset: wide ? words.u64(at + 8) : words.u32(at + 4),
      address: addressIn(elf, words, at + (wide ? 16 : 8)),
      fileSize: wide ? words.u64(at + 32) : words.u32(at + 16),
      memorySize: wide ? words.u64(at + 40) : words.u32(at + 20),
    });
  }
}

function tableWords(elf: Elf, table: ElfTable, what: string): Words {
  const length = table.count * table.entrySize;
  if (table.offset + length > elf.source.size) {
    throw bad(elf.source, table.offset, `${what} of ${length} bytes, but the file ends at ${elf.source.size}`);
  }
  return new Words(elf.source.read(table.offset, length), elf.little, `${elf.source.name}: ELF ${what}`);
}

/** Bytes of a section in the file, 0 when it has none there or reaches beyond the end. */
export function storedSize(elf: Elf, section: ElfSection): number {
  if (section.type === SHT.NOBITS || section.type === 0) return 0;
  return section.offset + section.size > elf.source.size ? 0 : section.size;
}

/** A section's contents when they are there, not compressed, and of `most` bytes at most. */
export function sectionWords(elf: Elf, section: ElfSection | undefined, most: number): Words | undefined {
  if (section === undefined || (section.flags & SHF.COMPRESSED) !== 0) return undefined;
  const size = storedSize(elf, section);
  if (size === 0 || size > most) return undefined;
  return new Words(elf.source.read(section.offset, size), elf.little, `${elf.source.name}: ${section.name}`);
}

export function sectionNamed(elf: Elf, name: string): ElfSection | undefined {
  return elf.sections.find((section) => section.name === name);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: ELF, offset ${offset}: ${what}`);
}
