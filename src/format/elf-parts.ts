import type { ByteSource } from "../bytesource.ts";
import { type Elf, type ElfSection, type ElfSegment, readElf, storedSize } from "./elf.ts";
import {
  FILE_TYPES,
  MACHINES,
  OS_ABIS,
  SECTION_FLAGS,
  SECTION_TYPES,
  SEGMENT_FLAGS,
  SEGMENT_TYPES,
} from "./elf-names.ts";
import { sectionPart } from "./elf-sections.ts";
import { type ElfView, viewOf } from "./elf-view.ts";
import { group, type Part } from "./part.ts";
import { asHex, type Cell, flagged, named, recordParts } from "./record.ts";

/**
 * The cut of an ELF file: its header, its tables, and its sections by name;
 * without a table of sections, its segments. What a section holds is cut in
 * `elf-sections.ts`. Everything within is asked for only where it differs.
 */
export async function elfParts(source: ByteSource): Promise<Part[]> {
  const elf = readElf(source);
  const view = await viewOf(elf);
  const parts = [headerPart(elf)];
  const { segmentTable, sectionTable } = elf;
  if (elf.segments.length > 0) {
    const length = segmentTable.count * segmentTable.entrySize;
    parts.push(group("program headers", segmentTable.offset, length, () => segmentParts(elf)));
  }
  if (elf.sections.length > 0) {
    const length = sectionTable.count * sectionTable.entrySize;
    parts.push(group("section headers", sectionTable.offset, length, () => sectionHeaderParts(elf)));
  }
  for (const section of elf.sections) if (storedSize(elf, section) > 0) parts.push(sectionPart(view, section));
  if (elf.sections.length === 0) parts.push(...elf.segments.flatMap((segment) => segmentContent(view, segment)));
  return inOrder(parts);
}

/** By place; what overlaps something before it is left to be compared as part of that. */
function inOrder(parts: Part[]): Part[] {
  let end = 0;
  // At one place, what ends first: a section may begin where the headers do in a hostile file only.
  parts.sort((one, two) => one.offset - two.offset || one.length - two.length);
  return parts.filter((part) => {
    if (part.offset < end) return false;
    end = part.offset + part.length;
    return true;
  });
}

function headerPart(elf: Elf): Part {
  const word = elf.bits / 8;
  const cells: Cell[] = [
    { key: "magic", size: 4 },
    { key: "class", size: 1, show: named({ 1: "32 bits", 2: "64 bits" }) },
    { key: "byte order", size: 1, show: named({ 1: "little-endian", 2: "big-endian" }) },
    { key: "version", size: 1 },
    { key: "OS ABI", size: 1, show: named(OS_ABIS) },
    { key: "ABI version", size: 1 },
    { key: "padding", size: 7, kind: "padding" },
    { key: "type", size: 2, show: named(FILE_TYPES) },
    { key: "machine", size: 2, show: named(MACHINES) },
    { key: "object version", size: 4 },
    { key: "entry point", size: word, kind: "derived" },
    { key: "program headers' offset", size: word, kind: "derived" },
    { key: "section headers' offset", size: word, kind: "derived" },
    { key: "flags", size: 4, show: asHex },
    { key: "header size", size: 2, kind: "derived" },
    { key: "program header size", size: 2, kind: "derived" },
    { key: "program headers", size: 2, kind: "derived" },
    { key: "section header size", size: 2, kind: "derived" },
    { key: "sections", size: 2, kind: "derived" },
    { key: "section names' index", size: 2, kind: "derived" },
  ];
  return group("ELF header", 0, elf.headerSize, () => recordParts(elf.source, 0, elf.little, cells));
}

function* segmentParts(elf: Elf): Generator<Part> {
  const { offset, entrySize } = elf.segmentTable;
  for (const [index, segment] of elf.segments.entries()) {
    const at = offset + index * entrySize;
    const cells = segmentCells(elf, segment);
    const key = SEGMENT_TYPES[segment.type] ?? `type 0x${segment.type.toString(16)}`;
    yield group(key, at, entrySize, () => recordParts(elf.source, at, elf.little, cells));
  }
}

function segmentCells(elf: Elf, segment: ElfSegment): Cell[] {
  const word = elf.bits / 8;
  const type: Cell = { key: "type", size: 4, show: named(SEGMENT_TYPES) };
  const flags: Cell = { key: "flags", size: 4, show: flagged(SEGMENT_FLAGS) };
  const place = (key: string): Cell => ({ key, size: word, kind: "derived" });
  // The size that GNU_STACK asks for follows from nothing.
  const memory: Cell = { key: "memory size", size: word, kind: segment.type === 0x6474e551 ? "field" : "derived" };
  const rest = [place("offset"), place("address"), place("physical address"), place("file size"), memory];
  const align: Cell = { key: "alignment", size: word };
  return elf.bits === 64 ? [type, flags, ...rest, align] : [type, ...rest, flags, align];
}

const follows = (key: string, size: number): Cell => ({ key, size, kind: "derived" });

function* sectionHeaderParts(elf: Elf): Generator<Part> {
  const { offset, entrySize } = elf.sectionTable;
  const word = elf.bits / 8;
  for (const section of elf.sections) {
    const at = offset + section.index * entrySize;
    const cells: Cell[] = [
      follows("name offset", 4),
      { key: "type", size: 4, show: named(SECTION_TYPES) },
      { key: "flags", size: word, show: (value) => (value === 0n ? "none" : flagged(SECTION_FLAGS)(value)) },
      follows("address", word),
      follows("offset", word),
      // Of a section without bits it is all that there is.
      { key: "size", size: word, kind: section.type === 8 ? "field" : "derived" },
      follows("link", 4),
      follows("info", 4),
      { key: "alignment", size: word },
      { key: "entry size", size: word },
    ];
    const key = section.index === 0 ? "null" : section.name;
    yield group(key, at, entrySize, () => recordParts(elf.source, at, elf.little, cells));
  }
}

/** Of a file without sections: what is loaded, apart from the headers at its beginning. */
function segmentContent(view: ElfView, segment: ElfSegment): Part[] {
  const { elf } = view;
  const headers = Math.max(
    elf.headerSize,
    elf.segmentTable.offset + elf.segmentTable.count * elf.segmentTable.entrySize,
  );
  const end = segment.offset + segment.fileSize;
  const offset = segment.offset === 0 ? headers : segment.offset;
  if (segment.type !== 1 || end > elf.source.size || end <= offset) return [];
  const key = `segment LOAD ${flagged(SEGMENT_FLAGS)(BigInt(segment.flags))}`;
  const synthetic: ElfSection = {
    index: 0,
    name: key,
    type: 1,
    flags: 2 | ((segment.flags & 1) === 1 ? 4 : 0),
    address: segment.address + offset - segment.offset,
    offset,
    size: end - offset,
    link: 0,
    info: 0,
    align: 0,
    entrySize: 0,
  };
  return [{ ...sectionPart(view, synthetic), key }];
}
