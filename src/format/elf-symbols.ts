import { addressIn, type Elf, type ElfSection, ET_REL, MACHINE, SHT, storedSize } from "./elf.ts";
import { BINDS, RELATIVE, RELOCATIONS, SYMBOL_TYPES, VISIBILITIES } from "./elf-names.ts";
import { group, type Part } from "./part.ts";
import { type Cell, asHex, named, recordParts, Words } from "./record.ts";
import { ANONYMOUS, type Place } from "./symbol-map.ts";

/**
 * Symbols and relocations (gABI, chapter 4, "Symbol Table" and "Relocation"),
 * read in windows. An entry of a symbol table:
 *
 *     64 bits: name(4) info(1) other(1) shndx(2) value(8) size(8)
 *     32 bits: name(4) value(4) size(4) info(1) other(1) shndx(2)
 */
const WINDOW_ENTRIES = 16 << 10;
const SHN_ABS = 0xfff1;
const SHN_COMMON = 0xfff2;
const SHN_XINDEX = 0xffff;

export interface ElfSymbol {
  offset: number;
  name: number;
  info: number;
  other: number;
  section: number;
  /** Counted from the file's base. */
  value: number;
  size: number;
}

export type Named = (symbolTable: ElfSection, offset: number) => string;

export function symbolSize(elf: Elf): number {
  return elf.bits === 64 ? 24 : 16;
}

/** The entries of a table from `first` on, one window in memory at a time. */
export function* symbolsOf(elf: Elf, table: ElfSection, first = 0): Generator<ElfSymbol> {
  const size = symbolSize(elf);
  const count = Math.floor(storedSize(elf, table) / size);
  for (let from = first; from < count; from += WINDOW_ENTRIES) {
    const entries = Math.min(WINDOW_ENTRIES, count - from);
    const start = table.offset + from * size;
    const words = new Words(elf.source.read(start, entries * size).slice(), elf.little, elf.source.name);
    for (let index = 0; index < entries; index++) yield symbolAt(elf, words, index * size, start);
  }
}

function symbolAt(elf: Elf, words: Words, at: number, start: number): ElfSymbol {
  const wide = elf.bits === 64;
  return {
    offset: start + at,
    name: words.u32(at),
    info: words.u8(at + (wide ? 4 : 12)),
    other: words.u8(at + (wide ? 5 : 13)),
    section: words.u16(at + (wide ? 6 : 14)),
    value: addressIn(elf, words, at + (wide ? 8 : 4)),
    size: wide ? words.u64(at + 16) : words.u32(at + 8),
  };
}

/** Where a symbol lies; undefined for what is no place in a section, and for the mapping symbols of ARM. */
export function placeOf(elf: Elf, symbol: ElfSymbol): Place | undefined {
  const type = symbol.info & 15;
  const section = elf.sections[symbol.section];
  if (section === undefined || symbol.section === 0 || ![0, 1, 2, 10].includes(type) || symbol.name === 0)
    return undefined;
  const executable = (section.flags & 4) !== 0;
  const value = elf.machine === MACHINE.ARM && type === 2 ? symbol.value - (symbol.value & 1) : symbol.value;
  const bind = symbol.info >> 4;
  return {
    // In an object file a value is an offset in its section.
    address: elf.type === ET_REL ? section.address + value : value,
    size: symbol.size,
    rank: (type === 0 ? 3 : 0) + (bind === 1 ? 0 : bind === 2 ? 1 : 2),
    code: executable && type !== 1,
  };
}

export const anonymous = (address: number, size: number): Place => ({ address, size, rank: ANONYMOUS, code: true });

/** One group a symbol, by name; where it lies follows from the rest of the file. */
export function* symbolParts(elf: Elf, table: ElfSection, nameOf: Named): Generator<Part> {
  const size = symbolSize(elf);
  for (const symbol of symbolsOf(elf, table)) {
    if (symbol.offset === table.offset) continue;
    const key = symbolKey(elf, table, symbol, nameOf);
    const cells = symbolCells(elf, symbol);
    yield group(key, symbol.offset, size, () => recordParts(elf.source, symbol.offset, elf.little, cells));
  }
}

function symbolKey(elf: Elf, table: ElfSection, symbol: ElfSymbol, nameOf: Named): string {
  const type = symbol.info & 15;
  if (type === 3) return `section symbol ${elf.sections[symbol.section]?.name ?? ""}`;
  return `${type === 4 ? "file" : "symbol"} ${nameOf(table, symbol.name)}`;
}

function symbolCells(elf: Elf, symbol: ElfSymbol): Cell[] {
  const fixed = symbol.section === SHN_ABS || symbol.section === SHN_COMMON;
  const wide = elf.bits === 64;
  const name: Cell = { key: "name offset", size: 4, kind: "derived" };
  const info: Cell = {
    key: "type",
    size: 1,
    show: (value) => `${named(BINDS)(value >> 4n)} ${named(SYMBOL_TYPES)(value & 15n)}`,
  };
  const other: Cell = { key: "visibility", size: 1, show: (value) => named(VISIBILITIES)(value & 3n) };
  const section: Cell = {
    key: "section",
    size: 2,
    kind: symbol.section === 0 || symbol.section >= 0xff00 ? "field" : "derived",
    show: named({ 0: "undefined", [SHN_ABS]: "absolute", [SHN_COMMON]: "common", [SHN_XINDEX]: "in SYMTAB_SHNDX" }),
  };
  const value: Cell = { key: "value", size: wide ? 8 : 4, kind: fixed ? "field" : "derived", show: asHex };
  // Of what is defined here, its bytes tell as much.
  const defined = symbol.section !== 0 && !fixed;
  const length: Cell = { key: "size", size: wide ? 8 : 4, kind: defined ? "derived" : "field" };
  return wide ? [name, info, other, section, value, length] : [name, value, length, info, other, section];
}

export interface Relocation {
  /** Of the entry in the file. */
  entry: number;
  /** What it changes: an address, in an object file an offset in the section. */
  offset: number;
  type: number;
  symbol: number;
}

export function relocationSize(elf: Elf, table: ElfSection): number {
  const withAddend = table.type === SHT.RELA;
  return elf.bits === 64 ? (withAddend ? 24 : 16) : withAddend ? 12 : 8;
}

export function* relocationsOf(elf: Elf, table: ElfSection): Generator<Relocation> {
  const size = relocationSize(elf, table);
  const count = Math.floor(storedSize(elf, table) / size);
  const wide = elf.bits === 64;
  for (let from = 0; from < count; from += WINDOW_ENTRIES) {
    const entries = Math.min(WINDOW_ENTRIES, count - from);
    const start = table.offset + from * size;
    const words = new Words(elf.source.read(start, entries * size).slice(), elf.little, elf.source.name);
    for (let at = 0; at < entries * size; at += size) {
      const info = words.u32(wide ? at + (elf.little ? 8 : 12) : at + 4);
      const symbol = wide ? words.u32(at + (elf.little ? 12 : 8)) : info >>> 8;
      const offset = addressIn(elf, words, at);
      yield { entry: start + at, offset, type: wide ? info : info & 0xff, symbol };
    }
  }
}

/** One group a relocation, by its type and symbol; its place and, where it is relative, its addend follow from others. */
export function* relocationParts(elf: Elf, table: ElfSection, symbolName: (index: number) => string): Generator<Part> {
  const size = relocationSize(elf, table);
  const word = elf.bits / 8;
  const types = RELOCATIONS[elf.machine] ?? {};
  const ofDebugData = /\.(?:debug|eh_frame)/.test(table.name);
  const relative = RELATIVE[elf.machine] ?? [];
  for (const { entry, type, symbol } of relocationsOf(elf, table)) {
    const name = symbol === 0 ? "" : symbolName(symbol);
    const addendFollows = relative.includes(type) || symbol === 0 || name.startsWith(".");
    const cells: Cell[] = [
      { key: "offset", size: word, kind: "derived" },
      { key: "info", size: word, kind: "derived" },
    ];
    if (table.type === SHT.RELA) {
      const show = (value: bigint): string => String(BigInt.asIntN(elf.bits, value));
      cells.push({ key: "addend", size: word, kind: addendFollows ? "derived" : "field", show });
    }
    const key = `${types[type] ?? `type ${type}`} ${name}`.trimEnd();
    if (ofDebugData) yield { key, kind: "derived", offset: entry, length: size };
    else yield group(key, entry, size, () => recordParts(elf.source, entry, elf.little, cells));
  }
}
