import type { ByteSource } from "../bytesource.ts";
import { type CodeView, TEXT_BUDGET } from "./code.ts";
import { type Architecture, disassembler } from "./disassembly.ts";
import { framesOf } from "./eh-frame.ts";
import { type Elf, type ElfSection, ET_REL, MACHINE, SHF, SHT, sectionNamed, sectionWords, storedSize } from "./elf.ts";
import { definedVersions, neededVersions } from "./elf-dynamic.ts";
import { anonymous, type Named, placeOf, relocationsOf, symbolsOf, symbolSize } from "./elf-symbols.ts";
import { goFunctions } from "./go-functions.ts";
import { Words } from "./record.ts";
import { stringAt } from "./string-parts.ts";
import { type Place, PlaceList, SymbolMap } from "./symbol-map.ts";

/**
 * What the parts of one ELF file need from its other parts: names of symbols,
 * strings, functions. Each is read when it is first asked for, and kept.
 */
export interface ElfView {
  elf: Elf;
  /** Text at an offset of the string table with that section index. */
  text(section: number, offset: number): string;
  symbolName: Named;
  /** Of the symbol table with that section index, the name of a symbol. */
  nameOfSymbol(table: number, index: number): string;
  versionName(number: number): string;
  code(section: ElfSection): CodeView;
  map(): SymbolMap;
}

const MAX_STRINGS = 256 << 20;
const MAX_FRAMES = 128 << 20;

const ARCHITECTURES: Readonly<Record<number, Architecture>> = {
  [MACHINE.X86_64]: "x86-64",
  [MACHINE.I386]: "x86",
  [MACHINE.AARCH64]: "arm64",
  243: "riscv64",
  22: "s390x",
};

function architectureOf(elf: Elf): Architecture | undefined {
  if (elf.machine === 21) return elf.little ? "ppc64le" : "ppc64";
  return ARCHITECTURES[elf.machine];
}

/** Loads the disassembler of the file's machine where there is one. */
export async function viewOf(elf: Elf): Promise<ElfView> {
  const architecture = architectureOf(elf);
  const disassemble = architecture === undefined ? undefined : await disassembler(architecture);
  const strings = new Map<number, Words | undefined>();
  const text = (index: number, offset: number): string => {
    if (!strings.has(index)) strings.set(index, sectionWords(elf, elf.sections[index], MAX_STRINGS));
    return strings.get(index)?.text(offset) ?? "";
  };
  const symbolName: Named = (table, offset) => text(table.link, offset);
  let map: SymbolMap | undefined;
  let versions: Map<number, string> | undefined;
  const budget = { bytes: TEXT_BUDGET };
  const view: ElfView = {
    elf,
    text,
    symbolName,
    nameOfSymbol: (table, index) => nameOfSymbol(elf, table, index, text),
    versionName: (number) => (versions ??= versionNames(elf, text)).get(number) ?? String(number),
    map: () => (map ??= mapOf(elf, text)),
    code: (section) => ({
      get map() {
        return view.map();
      },
      architecture,
      disassemble,
      budget,
      describe: (address) => describe(elf, address),
      ...(elf.type === ET_REL ? { relocated: relocatedIn(view, section) } : {}),
    }),
  };
  return view;
}

function nameOfSymbol(elf: Elf, table: number, index: number, text: ElfView["text"]): string {
  const section = elf.sections[table];
  if (section === undefined || index === 0) return "";
  const size = symbolSize(elf);
  if ((index + 1) * size > storedSize(elf, section)) return "";
  const words = new Words(elf.source.read(section.offset + index * size, size), elf.little, elf.source.name);
  const info = words.u8(elf.bits === 64 ? 4 : 12);
  if ((info & 15) === 3) return elf.sections[words.u16(elf.bits === 64 ? 6 : 14)]?.name ?? "";
  return text(section.link, words.u32(0));
}

function versionNames(elf: Elf, text: ElfView["text"]): Map<number, string> {
  const names = new Map([
    [0, "local"],
    [1, "unversioned"],
  ]);
  for (const section of elf.sections) {
    if (section.type === 0x6ffffffe) {
      for (const { needs } of neededVersions(elf, section)) {
        for (const need of needs) names.set(need.number & 0x7fff, text(section.link, need.name));
      }
    } else if (section.type === 0x6ffffffd) {
      for (const one of definedVersions(elf, section))
        if (one.number > 1) names.set(one.number, text(section.link, one.name));
    }
  }
  return names;
}

interface Gathered {
  list: PlaceList;
  /** Names that stand in no string table: -1 is the first. */
  texts: string[];
}

function mapOf(elf: Elf, text: ElfView["text"]): SymbolMap {
  const gathered: Gathered = { list: new PlaceList(), texts: [] };
  const table =
    elf.sections.find(({ type }) => type === SHT.SYMTAB) ?? elf.sections.find(({ type }) => type === SHT.DYNSYM);
  if (table !== undefined) {
    for (const symbol of symbolsOf(elf, table)) {
      const place = placeOf(elf, symbol);
      if (place !== undefined && !gathered.list.add(place, symbol.name)) break;
    }
  }
  if (elf.type !== ET_REL) {
    gatherPlt(elf, text, gathered);
    if (table?.type !== SHT.SYMTAB) gatherStripped(elf, gathered);
  }
  const link = table?.link ?? 0;
  return new SymbolMap(gathered.list, (reference) =>
    reference < 0 ? (gathered.texts[-reference - 1] ?? "") : text(link, reference),
  );
}

function add({ list, texts }: Gathered, place: Place, name: string): void {
  if (list.add(place, -1 - texts.length)) texts.push(name);
}

/** Entries of the procedure linkage table have no symbols: they stand in the order of their relocations. */
function gatherPlt(elf: Elf, text: ElfView["text"], gathered: Gathered): void {
  const relocations = elf.sections.find(({ name }) => name === ".rela.plt" || name === ".rel.plt");
  const second = sectionNamed(elf, ".plt.sec");
  const plt = second ?? sectionNamed(elf, ".plt");
  if (relocations === undefined || plt === undefined) return;
  const first = second !== undefined ? 0 : elf.machine === MACHINE.AARCH64 ? 32 : 16;
  let at = plt.address + first;
  for (const { symbol } of relocationsOf(elf, relocations)) {
    if (at + 16 > plt.address + plt.size) return;
    const name = nameOfSymbol(elf, relocations.link, symbol, text);
    add(gathered, { address: at, size: 16, rank: 4, code: true }, name === "" ? "resolver@plt" : `${name}@plt`);
    at += 16;
  }
}

/** A stripped program still tells where its functions lie: in its unwind table, Go's in the runtime's own. */
function gatherStripped(elf: Elf, gathered: Gathered): void {
  const table = sectionNamed(elf, ".gopclntab") ?? sectionNamed(elf, ".data.rel.ro.gopclntab");
  if (table !== undefined && storedSize(elf, table) > 0) {
    const start = sectionNamed(elf, ".text")?.address ?? 0;
    for (const one of goFunctions(elf.source, table.offset, table.size, start)) {
      add(gathered, { address: one.address, size: one.size, rank: 2, code: true }, one.name);
    }
  }
  const section = sectionNamed(elf, ".eh_frame");
  const words = sectionWords(elf, section, MAX_FRAMES);
  if (section === undefined || words === undefined) return;
  for (const frame of framesOf(words, section.address, elf.bits === 64)) {
    if (frame.kind === "FDE" && frame.size > 0) gathered.list.add(anonymous(frame.begin, frame.size), 0);
  }
}

function describe(elf: Elf, address: number): string | undefined {
  const section = elf.sections.find(
    (one) => (one.flags & SHF.ALLOC) !== 0 && address >= one.address && address < one.address + one.size,
  );
  if (section === undefined) return undefined;
  return (storedSize(elf, section) === 0 ? undefined : textAt(elf.source, section, address)) ?? section.name;
}

function textAt(source: ByteSource, section: ElfSection, address: number): string | undefined {
  if ((section.flags & (SHF.EXECINSTR | SHF.WRITE)) !== 0) return undefined;
  return stringAt(source, section.offset + address - section.address, section.offset + section.size);
}

/** Names that the linker will fill in between two addresses of an object file's section. */
function relocatedIn(view: ElfView, section: ElfSection): (from: number, to: number) => string | undefined {
  let known: { offsets: Float64Array; symbols: Uint32Array; table: number } | undefined;
  return (from, to) => {
    known ??= relocationsFor(view.elf, section);
    const start = from - section.address;
    let low = 0;
    let high = known.offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((known.offsets[middle] ?? 0) < start) low = middle + 1;
      else high = middle;
    }
    const at = known.offsets[low];
    if (at === undefined || at >= to - section.address) return undefined;
    return view.nameOfSymbol(known.table, known.symbols[low] ?? 0);
  };
}

function relocationsFor(elf: Elf, section: ElfSection): { offsets: Float64Array; symbols: Uint32Array; table: number } {
  const table = elf.sections.find(
    ({ type, info }) => (type === SHT.RELA || type === SHT.REL) && info === section.index,
  );
  const found = table === undefined ? [] : [...relocationsOf(elf, table)];
  found.sort((one, two) => one.offset - two.offset);
  return {
    offsets: Float64Array.from(found, ({ offset }) => offset),
    symbols: Uint32Array.from(found, ({ symbol }) => symbol),
    table: table?.link ?? 0,
  };
}
