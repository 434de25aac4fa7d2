import { codeParts } from "./code.ts";
import { debugStringRoles, type DebugSections, dwarfInfoParts } from "./dwarf-info.ts";
import { dwarfLineParts } from "./dwarf-line.ts";
import { frameParts } from "./eh-frame.ts";
import { compressedParts, isCompressed } from "./elf-compressed.ts";
import { definitionParts, dynamicParts, dynamicRoles, needParts, symbolVersionParts } from "./elf-dynamic.ts";
import { type Elf, type ElfSection, SHF, SHT, sectionNamed, sectionWords, storedSize } from "./elf.ts";
import { relocationParts, symbolParts } from "./elf-symbols.ts";
import { noteParts } from "./elf-notes.ts";
import type { ElfView } from "./elf-view.ts";
import { goBuildInfoParts, goTableParts } from "./go-parts.ts";
import { objectParts } from "./object-parts.ts";
import { derived, field, group, type Part } from "./part.ts";
import { stringParts } from "./string-parts.ts";

/** What an ELF section holds, by its type and its name. */
const MAX_FRAMES = 128 << 20;

/** Sections of which all follows from others: hash tables, indexes, addresses that the linker gave. */
const FOLLOWS = new Set([
  ".eh_frame_hdr",
  ".debug_abbrev",
  ".debug_aranges",
  ".debug_ranges",
  ".debug_rnglists",
  ".debug_loc",
  ".debug_loclists",
  ".debug_addr",
  ".debug_str_offsets",
  ".debug_pubnames",
  ".debug_pubtypes",
  ".debug_gnu_pubnames",
  ".debug_gnu_pubtypes",
  ".debug_names",
  ".gdb_index",
  ".got",
  ".got.plt",
  ".init_array",
  ".fini_array",
  ".ctors",
  ".dtors",
]);
/** HASH, INIT_ARRAY, FINI_ARRAY, PREINIT_ARRAY, SYMTAB_SHNDX, RELR, GNU_HASH, LLVM_ADDRSIG */
const FOLLOWING_TYPES = new Set([5, 14, 15, 16, 18, 19, 0x6ffffff6, 0x6fff4c03]);

export function sectionPart(view: ElfView, section: ElfSection): Part {
  const { elf } = view;
  const key = `section ${section.name}`;
  const { offset } = section;
  const length = storedSize(elf, section);
  if (isCompressed(section)) return group(key, offset, length, () => compressedParts(elf, section));
  if (FOLLOWS.has(section.name) || FOLLOWING_TYPES.has(section.type)) {
    return group(key, offset, length, () => [derived(section.name, offset, length)]);
  }
  if (section.name === ".rustc" || section.name === ".rmeta") {
    return { key, kind: "content", offset, length, name: "lib.rmeta" };
  }
  const inside = insideOf(view, section);
  return inside === undefined ? { key, kind: "bytes", offset, length } : group(key, offset, length, inside);
}

/** A cut of a section; `since`: what ends well before may be left out. */
type Cut = (since?: number) => Iterable<Part>;

function insideOf(view: ElfView, section: ElfSection): Cut | undefined {
  return byType(view, section) ?? byName(view, section) ?? byFlags(view, section);
}

function byType(view: ElfView, section: ElfSection): Cut | undefined {
  const { elf } = view;
  const text = (at: number): string => view.text(section.link, at);
  const { offset } = section;
  const length = storedSize(elf, section);
  switch (section.type) {
    case SHT.SYMTAB:
    case SHT.DYNSYM:
      return () => symbolParts(elf, section, view.symbolName);
    case SHT.STRTAB:
      return (since) => stringParts(elf.source, offset, length, rolesIn(elf, section), since);
    case SHT.RELA:
    case SHT.REL:
      return () => relocationParts(elf, section, (index) => view.nameOfSymbol(section.link, index));
    case SHT.NOTE:
      return () => noteParts(elf.source, offset, length, elf.little, section.align);
    case 6:
      return () => dynamicParts(elf, section, text);
    case 17:
      return () => [field("flags", offset, 4), derived("members", offset + 4, length - 4)];
    case 0x6ffffffd:
      return () => definitionParts(elf, section, text);
    case 0x6ffffffe:
      return () => needParts(elf, section, text);
    case 0x6fffffff:
      return () =>
        symbolVersionParts(elf, section, (index) => view.nameOfSymbol(section.link, index), view.versionName);
    default:
      return undefined;
  }
}

/** What strings are for, of a table that the dynamic section refers to. */
function rolesIn(elf: Elf, section: ElfSection): ReadonlyMap<number, string> | undefined {
  const dynamic = elf.sections.find(({ type, link }) => type === 6 && link === section.index);
  return dynamic === undefined ? undefined : dynamicRoles(elf, dynamic);
}

function byName(view: ElfView, section: ElfSection): Cut | undefined {
  const { elf } = view;
  const { source, little } = elf;
  const { offset, name } = section;
  const length = storedSize(elf, section);
  switch (name) {
    case ".interp":
      return () => [...stringParts(source, offset, length, new Map([[0, "interpreter"]]))];
    case ".comment":
      return () => asComments(stringParts(source, offset, length));
    case ".gnu_debuglink":
      return () => debugLink(view, section);
    case ".eh_frame":
      return () => unwindParts(view, section);
    case ".debug_info":
    case ".debug_types":
      return () => dwarfInfoParts(debugSections(elf), offset, length);
    case ".debug_line":
      return () => dwarfLineParts(source, offset, length, little, (form, at) => lineText(elf, form, at));
    case ".go.buildinfo":
      return () => goBuildInfoParts(source, offset, length);
    case ".gopclntab":
    case ".data.rel.ro.gopclntab":
      return () => goTableParts(source, offset, length);
    default:
      return undefined;
  }
}

function byFlags(view: ElfView, section: ElfSection): Cut | undefined {
  const { source } = view.elf;
  const { offset, flags, address } = section;
  const length = storedSize(view.elf, section);
  if ((flags & SHF.EXECINSTR) !== 0) return () => codeParts(source, offset, length, address, view.code(section));
  if ((flags & SHF.STRINGS) !== 0 && section.entrySize <= 1)
    return (since) => stringParts(source, offset, length, debugRoles(view.elf, section), since);
  if ((flags & SHF.ALLOC) !== 0 && section.type === SHT.PROGBITS) {
    return (since) => objectParts(source, offset, length, address, view.map(), since === undefined ? {} : { since });
  }
  return undefined;
}

function* unwindParts(view: ElfView, section: ElfSection): Generator<Part> {
  const { elf } = view;
  const words = sectionWords(elf, section, MAX_FRAMES);
  const nameAt = (address: number): string | undefined => view.map().at(address)?.name;
  if (words !== undefined) yield* frameParts(words, section.offset, section.address, elf.bits === 64, nameAt);
}

/** Which tool made the file: all under one key, since a new version of the tool is what differs. */
function* asComments(strings: Iterable<Part>): Generator<Part> {
  for (const string of strings) yield { ...string, key: "comment" };
}

function* debugLink({ elf }: ElfView, section: ElfSection): Generator<Part> {
  const words = sectionWords(elf, section, 1 << 20);
  if (words === undefined || words.size < 8) return;
  const name = words.text(0);
  yield field("file", section.offset, Math.min(words.size - 4, Buffer.byteLength(name) + 1), () => name);
  // The CRC of that file, which is not at hand.
  yield derived("crc32", section.offset + words.size - 4, 4);
}

/** Strings of .debug_line come from two other sections: `strp`, `line_strp`. */
function lineText(elf: Elf, form: "strp" | "line_strp", at: number): string | undefined {
  const section = sectionNamed(elf, form === "strp" ? ".debug_str" : ".debug_line_str");
  if (section === undefined || (section.flags & SHF.COMPRESSED) !== 0 || at >= storedSize(elf, section))
    return undefined;
  const bytes = elf.source.read(section.offset + at, Math.min(1024, storedSize(elf, section) - at));
  const end = bytes.indexOf(0);
  return end < 0 ? undefined : Buffer.from(bytes.subarray(0, end)).toString("utf8");
}

function debugRoles(elf: Elf, { name }: ElfSection): ReadonlyMap<number, string> | undefined {
  if (name !== ".debug_str" && name !== ".debug_line_str") return undefined;
  return debugStringRoles(debugSections(elf), name);
}

function debugSections(elf: Elf): DebugSections {
  return {
    source: elf.source,
    little: elf.little,
    section(name) {
      const found = sectionNamed(elf, name);
      if (found === undefined || (found.flags & SHF.COMPRESSED) !== 0) return undefined;
      return { offset: found.offset, length: storedSize(elf, found) };
    },
  };
}
