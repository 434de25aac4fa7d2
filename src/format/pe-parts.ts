import type { ByteSource } from "../bytesource.ts";
import { codeParts, type CodeView, TEXT_BUDGET } from "./code.ts";
import {
  coffMap,
  coffRelocationParts,
  coffRelocations,
  coffStringParts,
  coffSymbolName,
  coffSymbolParts,
} from "./coff-symbols.ts";
import { type Architecture, disassembler } from "./disassembly.ts";
import { debugStringRoles, type DebugSections, dwarfInfoParts } from "./dwarf-info.ts";
import { dwarfLineParts } from "./dwarf-line.ts";
import { goBuildInfoParts } from "./go-parts.ts";
import { objectParts } from "./object-parts.ts";
import { derived, field, group, type Part } from "./part.ts";
import {
  CODE,
  COFF_HEADER,
  directory,
  fileOffset,
  type Pe,
  PE_MACHINES,
  type PeSection,
  readPe,
  SECTION_HEADER,
  stringTable,
  SYMBOL,
} from "./pe.ts";
import { directoryParts, exportPlaces, functionPlaces } from "./pe-directories.ts";
import { asHex, type Cell, flagged, named, recordParts, Words } from "./record.ts";
import { stringAt, stringParts } from "./string-parts.ts";
import type { SymbolMap } from "./symbol-map.ts";

/** The cut of PE images (.exe, .dll, .efi) and COFF objects (.obj): headers, sections with what directories point to, symbols, signatures. */
const ARCHITECTURES: Readonly<Record<number, Architecture>> = { 0x8664: "x86-64", 0x14c: "x86", 0xaa64: "arm64" };

export async function peParts(source: ByteSource): Promise<Part[]> {
  const pe = readPe(source);
  const architecture = ARCHITECTURES[pe.machine];
  const disassemble = architecture === undefined ? undefined : await disassembler(architecture);
  const view = viewOf(pe, architecture, disassemble);
  const parts = headerParts(pe);
  const inside = inOrder(directoryParts(pe));
  for (const section of pe.sections) {
    const { offset, size } = section;
    if (size > 0)
      parts.push(group(`section ${section.name}`, offset, size, () => sectionParts(pe, section, view, inside)));
    const relocations = coffRelocations(pe, section);
    if (relocations.length > 0) {
      const length = relocations.length * 10;
      parts.push(
        group(`relocations of ${section.name}`, section.relocationsAt, length, () => coffRelocationParts(pe, section)),
      );
    }
  }
  if (pe.symbols > 0) parts.push(group("symbols", pe.symbolsAt, pe.symbols * SYMBOL, () => coffSymbolParts(pe)));
  const strings = stringTable(pe);
  if (strings !== undefined) parts.push(group("strings", strings.offset, strings.length, () => coffStringParts(pe)));
  const signatures = directory(pe, 4);
  if (signatures !== undefined) {
    parts.push(group("signatures", signatures.offset, signatures.size, () => signatureParts(pe, signatures)));
  }
  return inOrder(parts);
}

function inOrder(parts: readonly Part[]): Part[] {
  let end = 0;
  const sorted = parts.toSorted((one, two) => one.offset - two.offset || one.length - two.length);
  return sorted.filter((part) => {
    if (part.offset < end) return false;
    end = part.offset + part.length;
    return true;
  });
}

function viewOf(pe: Pe, architecture: Architecture | undefined, disassemble: CodeView["disassemble"]): CodeView {
  let map: SymbolMap | undefined;
  return {
    get map() {
      return (map ??= mapOf(pe));
    },
    architecture,
    disassemble,
    budget: { bytes: TEXT_BUDGET },
    describe: (address) => describe(pe, address),
    ...(pe.image ? {} : { relocated: relocatedIn(pe) }),
  };
}

function mapOf(pe: Pe): SymbolMap {
  const more = pe.image ? exportPlaces(pe) : [];
  for (const place of functionPlaces(pe)) more.push({ place, name: "" });
  return coffMap(pe, more);
}

function describe(pe: Pe, address: number): string | undefined {
  // Addresses of code are relative to the image's base here, and so is what it refers to.
  const section = pe.sections.find(
    (one) => address >= one.address && address < one.address + Math.max(one.memorySize, one.size),
  );
  if (section === undefined) return undefined;
  const offset = fileOffset(pe, address);
  const text =
    offset === undefined || (section.flags & CODE) !== 0
      ? undefined
      : stringAt(pe.source, offset, section.offset + section.size);
  return text ?? section.name;
}

/** The names that the linker will fill in between two addresses of an object. */
function relocatedIn(pe: Pe): (from: number, to: number) => string | undefined {
  const known = new Map<number, Map<number, number>>();
  return (from, to) => {
    const section = pe.sections.find((one) => from >= one.address && from < one.address + one.size);
    if (section === undefined) return undefined;
    const symbols =
      known.get(section.index) ?? new Map(coffRelocations(pe, section).map(({ address, symbol }) => [address, symbol]));
    known.set(section.index, symbols);
    for (let at = from - section.address; at < to - section.address; at++) {
      const symbol = symbols.get(at);
      if (symbol !== undefined) return coffSymbolName(pe, symbol);
    }
    return undefined;
  };
}

function headerParts(pe: Pe): Part[] {
  const { source, coffAt, optionalSize } = pe;
  const parts: Part[] = [];
  if (pe.image) {
    parts.push(group("DOS header", 0, 64, () => [derived("PE header's offset", 60, 4)]));
    if (coffAt - 4 > 64) parts.push(group("DOS stub", 64, coffAt - 68, () => stubParts(source, coffAt - 68)));
    parts.push(field("PE signature", coffAt - 4, 4));
  }
  parts.push(group("COFF header", coffAt, COFF_HEADER, () => recordParts(source, coffAt, true, COFF_CELLS)));
  if (optionalSize > 0 && coffAt + COFF_HEADER + optionalSize <= source.size) {
    const at = coffAt + COFF_HEADER;
    parts.push(
      group("optional header", at, optionalSize, () =>
        recordParts(source, at, true, optionalCells(pe), at + optionalSize),
      ),
    );
  }
  const table = pe.sectionTableAt;
  const length = pe.sections.length * SECTION_HEADER;
  if (length > 0) parts.push(group("section headers", table, length, () => sectionHeaders(pe)));
  return parts;
}

/** Microsoft's linker tells there which tools took part: pairs of a tool's build and a count, masked by a checksum. */
function* stubParts(source: ByteSource, length: number): Generator<Part> {
  const words = new Words(source.read(64, Math.min(length, 4096)).slice(), true, source.name);
  const at = Buffer.from(words.bytes).indexOf("Rich");
  if (at < 0 || at % 4 !== 0 || at + 8 > words.size) return;
  const key = words.u32(at + 4);
  let begin = at;
  while (begin >= 4 && (words.u32(begin) ^ key) >>> 0 !== 0x536e6144) begin -= 4;
  if ((words.u32(begin) ^ key) >>> 0 !== 0x536e6144) return;
  yield { key: "program", kind: "bytes", offset: 64, length: begin };
  const tools = (): string => {
    const said: string[] = [];
    for (let pair = begin + 16; pair + 8 <= at; pair += 8) {
      const id = (words.u32(pair) ^ key) >>> 0;
      said.push(`${id >>> 16}.${id & 0xffff} ×${(words.u32(pair + 4) ^ key) >>> 0}`);
    }
    return said.join(", ");
  };
  yield field("Rich header: tools", 64 + begin, at - begin, tools);
  yield derived("Rich header: checksum", 64 + at, 8);
}

const CHARACTERISTICS = flagged({
  1: "RELOCS_STRIPPED",
  2: "EXECUTABLE_IMAGE",
  4: "LINE_NUMS_STRIPPED",
  8: "LOCAL_SYMS_STRIPPED",
  0x20: "LARGE_ADDRESS_AWARE",
  0x100: "32BIT_MACHINE",
  0x200: "DEBUG_STRIPPED",
  0x1000: "SYSTEM",
  0x2000: "DLL",
});
const DLL_CHARACTERISTICS = flagged({
  0x20: "HIGH_ENTROPY_VA",
  0x40: "DYNAMIC_BASE",
  0x80: "FORCE_INTEGRITY",
  0x100: "NX_COMPAT",
  0x200: "NO_ISOLATION",
  0x400: "NO_SEH",
  0x800: "NO_BIND",
  0x1000: "APPCONTAINER",
  0x4000: "GUARD_CF",
  0x8000: "TERMINAL_SERVER_AWARE",
});
const SUBSYSTEMS = named({
  1: "native",
  2: "Windows GUI",
  3: "Windows console",
  10: "EFI application",
  11: "EFI boot driver",
});
const COFF_CELLS: readonly Cell[] = [
  { key: "machine", size: 2, show: named(PE_MACHINES) },
  { key: "sections", size: 2, kind: "derived" },
  { key: "mtime", size: 4 },
  { key: "symbols' offset", size: 4, kind: "derived" },
  { key: "symbols", size: 4, kind: "derived" },
  { key: "optional header size", size: 2, kind: "derived" },
  { key: "characteristics", size: 2, show: CHARACTERISTICS },
];

const follows = (key: string, size: number): Cell => ({ key, size, kind: "derived" });

function optionalCells(pe: Pe): Cell[] {
  const word = pe.wide ? 8 : 4;
  return [
    { key: "magic", size: 2, show: named({ 0x10b: "PE32", 0x20b: "PE32+" }) },
    { key: "linker version", size: 2, show: (value) => `${value & 0xffn}.${value >> 8n}` },
    follows("sizes", 12),
    follows("entry point", 4),
    follows("base of code", pe.wide ? 4 : 8),
    { key: "image base", size: word, show: asHex },
    { key: "section alignment", size: 4 },
    { key: "file alignment", size: 4 },
    { key: "system version", size: 4, show: version },
    { key: "image version", size: 4, show: version },
    { key: "subsystem version", size: 4, show: version },
    { key: "Win32 version", size: 4 },
    follows("image and header sizes", 8),
    follows("checksum", 4),
    { key: "subsystem", size: 2, show: SUBSYSTEMS },
    { key: "DLL characteristics", size: 2, show: DLL_CHARACTERISTICS },
    { key: "stack reserve", size: word },
    { key: "stack commit", size: word },
    { key: "heap reserve", size: word },
    { key: "heap commit", size: word },
    { key: "loader flags", size: 4 },
    follows("directories", 4),
    ...pe.directories.map((_, index) => follows(`directory ${index}`, 8)),
  ];
}

const version = (value: bigint): string => `${value & 0xffffn}.${value >> 16n}`;

const SECTION_FLAGS = flagged({
  0x20: "CODE",
  0x40: "INITIALIZED_DATA",
  0x80: "UNINITIALIZED_DATA",
  0x200: "INFO",
  0x800: "REMOVE",
  0x1000: "COMDAT",
  0x2000000: "DISCARDABLE",
  0x10000000: "SHARED",
  0x20000000: "EXECUTE",
  0x40000000: "READ",
  0x80000000: "WRITE",
});

function* sectionHeaders(pe: Pe): Generator<Part> {
  for (const { name, headerAt } of pe.sections) {
    const cells: Cell[] = [
      { key: "name", size: 8, kind: "derived" },
      { key: "places", size: 28, kind: "derived" },
      { key: "flags", size: 4, show: SECTION_FLAGS },
    ];
    yield group(name, headerAt, SECTION_HEADER, () => recordParts(pe.source, headerAt, true, cells));
  }
}

/** What the directories point to in this section, and between that what its flags say. */
function* sectionParts(pe: Pe, section: PeSection, view: CodeView, inside: readonly Part[]): Generator<Part> {
  const end = section.offset + section.size;
  let at = section.offset;
  let after: string | undefined;
  for (const part of inside) {
    if (part.offset < at || part.offset + part.length > end) continue;
    if (part.offset > at) yield* plainParts(pe, section, at, part.offset, view, after);
    yield part;
    at = part.offset + part.length;
    after = part.key;
  }
  if (at < end) yield* plainParts(pe, section, at, end, view, after);
}

function plainParts(
  pe: Pe,
  section: PeSection,
  from: number,
  to: number,
  view: CodeView,
  after?: string,
): Iterable<Part> {
  const { source } = pe;
  const address = section.address + from - section.offset;
  const length = to - from;
  const debug = debugParts(pe, section, from, length);
  if (debug !== undefined) return debug;
  if ((section.flags & CODE) !== 0) return codeParts(source, from, length, address, view);
  if (length > 32 && source.read(from, 16).every((byte, at) => at > 13 || byte === GO_MAGIC.charCodeAt(at))) {
    return goThenObjects(pe, from, length, address, view);
  }
  return objectParts(source, from, length, address, view.map, {
    toNext: true,
    ...(after === undefined ? {} : { after }),
  });
}

const GO_MAGIC = "\xff Go buildinf:";

/** Go's build info stands at the beginning of the data, and says itself where it ends. */
function* goThenObjects(pe: Pe, from: number, length: number, address: number, view: CodeView): Generator<Part> {
  let end = from;
  for (const part of goBuildInfoParts(pe.source, from, length)) {
    yield part;
    end = part.offset + part.length;
  }
  if (end < from + length)
    yield* objectParts(pe.source, end, from + length - end, address + end - from, view.map, { toNext: true });
}

function debugParts(pe: Pe, section: PeSection, from: number, length: number): Iterable<Part> | undefined {
  const { source } = pe;
  // What the section fills up to is no debug data.
  const size = pe.image ? Math.min(length, section.memorySize) : length;
  const sections: DebugSections = {
    source,
    little: true,
    section(name) {
      const found = pe.sections.find((one) => one.name === name);
      return found === undefined
        ? undefined
        : { offset: found.offset, length: Math.min(found.size, found.memorySize || found.size) };
    },
  };
  switch (section.name) {
    case ".debug_info":
      return dwarfInfoParts(sections, from, size);
    case ".debug_line":
      return dwarfLineParts(source, from, size, true, (form, at) => textIn(sections, form, at));
    case ".debug_str":
    case ".debug_line_str":
      return stringParts(source, from, size, debugStringRoles(sections, section.name));
    default:
      return /^\.debug_(?:abbrev|aranges|loc|loclists|ranges|rnglists|addr|str_offsets|frame)$/.test(section.name)
        ? [derived(section.name, from, length)]
        : undefined;
  }
}

function textIn(sections: DebugSections, form: "strp" | "line_strp", at: number): string | undefined {
  const found = sections.section(form === "strp" ? ".debug_str" : ".debug_line_str");
  if (found === undefined || at >= found.length) return undefined;
  const length = Math.min(1024, found.length - at);
  return new Words(sections.source.read(found.offset + at, length), true, sections.source.name).text(0, length);
}

/** length(4) revision(2) type(2), a PKCS #7 SignedData in DER, padding to 8. */
function* signatureParts(pe: Pe, { offset, size }: { offset: number; size: number }): Generator<Part> {
  for (let at = offset; at + 8 <= offset + size;) {
    const words = new Words(pe.source.read(at, 8), true, pe.source.name);
    const length = words.u32(0);
    if (length < 8 || at + length > offset + size) return;
    yield derived("length", at, 4);
    yield field("kind", at + 4, 4);
    yield { key: "signature", kind: "content", offset: at + 8, length: length - 8, name: "signature.p7b" };
    at += Math.ceil(length / 8) * 8;
  }
}
