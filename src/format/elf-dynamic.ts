import { type Elf, type ElfSection, sectionWords } from "./elf.ts";
import { DYNAMIC_FLAGS, DYNAMIC_FLAGS_1, DYNAMIC_TAGS, STRING_TAGS } from "./elf-names.ts";
import { derived, field, group, type Part } from "./part.ts";
import { asHex, flagged, Words } from "./record.ts";

/**
 * The dynamic section (gABI, chapter 5, "Dynamic Section"): pairs of a tag and
 * a value; and the version tables (LSB, "Symbol Versioning").
 */
const MAX_SECTION = 16 << 20;

interface Entry {
  at: number;
  tag: number;
  value: bigint;
}

function entriesOf(elf: Elf, section: ElfSection): Entry[] {
  const words = sectionWords(elf, section, MAX_SECTION);
  const word = elf.bits / 8;
  const entries: Entry[] = [];
  if (words === undefined) return entries;
  for (let at = 0; at + 2 * word <= words.size; at += 2 * word) {
    const number = (place: number): bigint => (word === 8 ? words.big(place) : BigInt(words.u32(place)));
    const tag = Number(BigInt.asUintN(32, number(at)));
    entries.push({ at: section.offset + at, tag, value: number(at + word) });
    if (tag === 0) break;
  }
  return entries;
}

const tagName = (tag: number): string => DYNAMIC_TAGS[tag] ?? `tag 0x${tag.toString(16)}`;

export function* dynamicParts(elf: Elf, section: ElfSection, text: (offset: number) => string): Generator<Part> {
  const word = elf.bits / 8;
  for (const { at, tag, value } of entriesOf(elf, section)) {
    const string = STRING_TAGS.has(tag);
    const key = string && tag === 1 ? `NEEDED ${text(Number(value))}` : tagName(tag);
    const show = tag === 30 ? flagged(DYNAMIC_FLAGS) : tag === 0x6ffffffb ? flagged(DYNAMIC_FLAGS_1) : undefined;
    yield group(key, at, 2 * word, () => [
      field("tag", at, word, () => tagName(tag)),
      show === undefined ? derived("value", at + word, word) : field("value", at + word, word, () => show(value)),
    ]);
  }
}

/** What strings of the table that a dynamic section uses are for. */
export function dynamicRoles(elf: Elf, section: ElfSection): Map<number, string> {
  const roles = new Map<number, string>();
  for (const { tag, value } of entriesOf(elf, section)) {
    if (STRING_TAGS.has(tag)) roles.set(Number(value), tagName(tag));
  }
  return roles;
}

/** `VERNEED`: version(2) count(2) file(4) aux(4) next(4); each need: hash(4) flags(2) other(2) name(4) next(4). */
export function* neededVersions(elf: Elf, section: ElfSection): Generator<{ at: number; file: number; needs: Need[] }> {
  const words = sectionWords(elf, section, MAX_SECTION);
  if (words === undefined) return;
  for (let at = 0, left = section.info; left > 0 && at + 16 <= words.size; left--) {
    const needs: Need[] = [];
    let need = at + words.u32(at + 8);
    for (let count = words.u16(at + 2); count > 0 && need + 16 <= words.size; count--) {
      needs.push({
        at: section.offset + need,
        number: words.u16(need + 6),
        name: words.u32(need + 8),
        flags: words.u16(need + 4),
      });
      const step = words.u32(need + 12);
      if (step === 0) break;
      need += step;
    }
    yield { at: section.offset + at, file: words.u32(at + 4), needs };
    const step = words.u32(at + 12);
    if (step === 0) return;
    at += step;
  }
}

interface Need {
  at: number;
  number: number;
  name: number;
  flags: number;
}

export function* needParts(elf: Elf, section: ElfSection, text: (offset: number) => string): Generator<Part> {
  let end = section.offset;
  for (const { at, file, needs } of neededVersions(elf, section)) {
    if (at < end) return;
    yield group(`needs ${text(file)}`, at, 16, () => [
      field("version", at, 2),
      derived("count", at + 2, 2),
      derived("places", at + 4, 12),
    ]);
    end = at + 16;
    for (const need of needs) {
      // Entries in any order would be allowed; no linker writes them so.
      if (need.at < end) return;
      yield group(`needs ${text(file)} ${text(need.name)}`, need.at, 16, () => [
        derived("hash", need.at, 4),
        field("flags", need.at + 4, 2, () => asHex(BigInt(need.flags))),
        derived("number", need.at + 6, 2),
        derived("places", need.at + 8, 8),
      ]);
      end = need.at + 16;
    }
  }
}

/** `VERDEF`: version(2) flags(2) number(2) count(2) hash(4) aux(4) next(4); aux: name(4) next(4). */
export function* definedVersions(
  elf: Elf,
  section: ElfSection,
): Generator<{ at: number; number: number; name: number; flags: number }> {
  const words = sectionWords(elf, section, MAX_SECTION);
  if (words === undefined) return;
  for (let at = 0, left = section.info; left > 0 && at + 20 <= words.size; left--) {
    const aux = at + words.u32(at + 12);
    if (aux + 8 > words.size) return;
    yield { at: section.offset + at, number: words.u16(at + 4), name: words.u32(aux), flags: words.u16(at + 2) };
    const step = words.u32(at + 16);
    if (step === 0) return;
    at += step;
  }
}

export function* definitionParts(elf: Elf, section: ElfSection, text: (offset: number) => string): Generator<Part> {
  let end = section.offset;
  for (const { at, name, flags } of definedVersions(elf, section)) {
    if (at < end) return;
    yield group(`defines ${text(name)}`, at, 20, () => [
      field("version", at, 2),
      field("flags", at + 2, 2, () => asHex(BigInt(flags))),
      derived("number", at + 4, 16),
    ]);
    end = at + 20;
  }
}

/** Which version each dynamic symbol has, by the symbol's name. */
export function* symbolVersionParts(
  elf: Elf,
  section: ElfSection,
  symbolName: (index: number) => string,
  versionName: (number: number) => string,
): Generator<Part> {
  const bytes = sectionWords(elf, section, MAX_SECTION);
  if (bytes === undefined) return;
  const words = new Words(bytes.bytes.slice(), elf.little, elf.source.name);
  for (let index = 0; index * 2 + 2 <= words.size; index++) {
    const number = words.u16(index * 2);
    // What is printed is the name; its number follows from the table of versions.
    const key = `version of ${symbolName(index)}: ${versionName(number & 0x7fff)}${number > 0x7fff ? " (hidden)" : ""}`;
    yield derived(key, section.offset + index * 2, 2);
  }
}
