import { hex } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { ATTRIBUTES, FOLLOWING_ATTRIBUTES, LANGUAGES, TAGS } from "./dwarf-names.ts";
import { DwarfReader } from "./dwarf-words.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Debug entries, .debug_info (DWARF 5, sections 7.5.1 to 7.5.6): units of
 *
 *     length version [v5: unit-type address-size abbreviations; before: abbreviations address-size] entries
 *
 * Each entry is the number of an abbreviation, which tells its tag and in which
 * form each attribute follows, and those attributes.
 */
export interface DebugSections {
  source: ByteSource;
  little: boolean;
  /** Where a section's plain bytes stand; undefined when it is not there or compressed. */
  section(name: string): { offset: number; length: number } | undefined;
}

interface Form {
  attribute: number;
  form: number;
  /** Of an implicit constant, which stands in the abbreviation. */
  value: number;
}

interface Abbreviation {
  tag: number;
  children: boolean;
  forms: Form[];
}

interface Unit {
  words: Words;
  start: number;
  word: number;
  version: number;
  addressSize: number;
  entriesAt: number;
  abbreviationsAt: number;
}

const MAX_UNITS = 1_000_000;
const MAX_ABBREVIATIONS = 1 << 16;
const MAX_FORMS = 1024;
const MAX_UNIT = 512 << 20;

interface Reading {
  debug: DebugSections;
  abbreviations: Map<number, Map<number, Abbreviation>>;
}

export function* dwarfInfoParts(debug: DebugSections, offset: number, length: number): Generator<Part> {
  const reading: Reading = { debug, abbreviations: new Map() };
  for (const unit of unitsOf(reading, offset, length)) {
    const name = rootText(reading, unit, 0x03) ?? "";
    const { start, words } = unit;
    yield group(`unit ${name}`, start, words.size, () => unitParts(reading, unit));
  }
}

/** What strings of `.debug_str` or `.debug_line_str` are for: what each unit's first entry says with them. */
export function debugStringRoles(debug: DebugSections, section: string): Map<number, string> {
  const roles = new Map<number, string>();
  const info = debug.section(".debug_info");
  if (info === undefined) return roles;
  const reading: Reading = { debug, abbreviations: new Map() };
  const wanted = section === ".debug_str" ? 0x0e : 0x1f;
  try {
    for (const unit of unitsOf(reading, info.offset, info.length)) {
      for (const { attribute, form, at } of rootAttributes(reading, unit)) {
        if (form !== wanted) continue;
        const role = ATTRIBUTES[attribute];
        if (role !== undefined)
          roles.set(new DwarfReader(unit.words, at).sized(unit.word), role === "name" ? "unit name" : role);
      }
    }
  } catch (error) {
    // Debug entries that cannot be read leave the strings without their roles.
    if (!(error instanceof BitforbitError)) throw error;
  }
  return roles;
}

function* unitsOf(reading: Reading, offset: number, length: number): Generator<Unit> {
  const { source, little } = reading.debug;
  let at = offset;
  for (let count = 0; at + 12 <= offset + length; count++) {
    if (count > MAX_UNITS) throw new BitforbitError("limit", `${source.name}: over ${MAX_UNITS} debug units`);
    const head = new Words(source.read(at, 12), little, source.name);
    const wide = head.u32(0) === 0xffff_ffff;
    const size = wide ? 12 + head.u64(4) : 4 + head.u32(0);
    if (size < 12 || size > MAX_UNIT || at + size > offset + length) return;
    const words = new Words(source.read(at, size).slice(), little, `${source.name}: debug unit at offset ${at}`);
    yield unitOf(words, at, wide ? 8 : 4);
    at += size;
  }
}

function unitOf(words: Words, start: number, word: number): Unit {
  const reader = new DwarfReader(words, word === 8 ? 12 : 4);
  const version = reader.u16();
  if (version < 2 || version > 5)
    throw new BitforbitError("input", `a debug unit of DWARF ${version}, expected 2 to 5`);
  if (version < 5) {
    const abbreviationsAt = reader.sized(word);
    const addressSize = reader.u8();
    return { words, start, word, version, addressSize, entriesAt: reader.at, abbreviationsAt };
  }
  const type = reader.u8();
  const addressSize = reader.u8();
  const abbreviationsAt = reader.sized(word);
  // Type units have a signature and an offset, skeletons an identity.
  if (type === 2 || type === 6) reader.step(8 + word);
  else if (type === 4 || type === 5) reader.step(8);
  return { words, start, word, version, addressSize, entriesAt: reader.at, abbreviationsAt };
}

function abbreviationsFor(reading: Reading, offset: number): Map<number, Abbreviation> {
  const known = reading.abbreviations.get(offset);
  if (known !== undefined) return known;
  const found = new Map<number, Abbreviation>();
  reading.abbreviations.set(offset, found);
  const { source, little } = reading.debug;
  const section = reading.debug.section(".debug_abbrev");
  if (section === undefined || offset >= section.length) return found;
  const length = Math.min(section.length - offset, 4 << 20);
  const reader = new DwarfReader(
    new Words(source.read(section.offset + offset, length).slice(), little, source.name),
    0,
  );
  for (let count = 0; count < MAX_ABBREVIATIONS && reader.at < length; count++) {
    const code = reader.uleb();
    if (code === 0) break;
    const abbreviation: Abbreviation = { tag: reader.uleb(), children: reader.u8() !== 0, forms: [] };
    while (abbreviation.forms.length < MAX_FORMS) {
      const attribute = reader.uleb();
      const form = reader.uleb();
      const value = form === 0x21 ? reader.sleb() : 0;
      if (attribute === 0 && form === 0) break;
      abbreviation.forms.push({ attribute, form, value });
    }
    found.set(code, abbreviation);
  }
  return found;
}

interface Attribute {
  attribute: number;
  form: number;
  at: number;
  length: number;
}

/** Attributes of the entry whose abbreviation was read; moves the reader behind it. */
function attributesOf(unit: Unit, reader: DwarfReader, abbreviation: Abbreviation): Attribute[] {
  return abbreviation.forms.map(({ attribute, form }) => {
    const at = reader.at;
    const actual = form === 0x16 ? reader.uleb() : form;
    skipForm(unit, reader, actual);
    return { attribute, form: actual, at, length: reader.at - at };
  });
}

function rootAttributes(reading: Reading, unit: Unit): Attribute[] {
  const reader = new DwarfReader(unit.words, unit.entriesAt);
  if (reader.at >= unit.words.size) return [];
  const abbreviation = abbreviationsFor(reading, unit.abbreviationsAt).get(reader.uleb());
  return abbreviation === undefined ? [] : attributesOf(unit, reader, abbreviation);
}

function rootText(reading: Reading, unit: Unit, attribute: number): string | undefined {
  const found = rootAttributes(reading, unit).find((one) => one.attribute === attribute);
  return found === undefined ? undefined : textOf(reading, unit, found);
}

/** The text that an attribute holds or refers to. */
function textOf(reading: Reading, unit: Unit, { form, at }: Attribute): string | undefined {
  if (form === 0x08) return new DwarfReader(unit.words, at).text();
  if (form !== 0x0e && form !== 0x1f) return undefined;
  const section = reading.debug.section(form === 0x0e ? ".debug_str" : ".debug_line_str");
  const place = new DwarfReader(unit.words, at).sized(unit.word);
  if (section === undefined || place >= section.length) return undefined;
  const bytes = reading.debug.source.read(section.offset + place, Math.min(512, section.length - place));
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.subarray(0, end < 0 ? bytes.length : end)).toString("utf8");
}

const FIXED: Readonly<Record<number, number>> = {
  0x05: 2,
  0x06: 4,
  0x07: 8,
  0x0b: 1,
  0x0c: 1,
  0x11: 1,
  0x12: 2,
  0x13: 4,
  0x14: 8,
  0x19: 0,
  0x1c: 4,
  0x1e: 16,
  0x20: 8,
  0x21: 0,
  0x24: 8,
  0x25: 1,
  0x26: 2,
  0x27: 3,
  0x28: 4,
  0x29: 1,
  0x2a: 2,
  0x2b: 3,
  0x2c: 4,
};

/** Section 7.5.6, "Form Encodings". */
function skipForm(unit: Unit, reader: DwarfReader, form: number): void {
  const fixed = FIXED[form];
  if (fixed !== undefined) return void reader.step(fixed);
  switch (form) {
    case 0x01:
      return void reader.step(unit.addressSize);
    case 0x0e:
    case 0x17:
    case 0x1d:
    case 0x1f:
    case 0x1f20:
    case 0x1f21:
      return void reader.step(unit.word);
    case 0x10:
      return void reader.step(unit.version === 2 ? unit.addressSize : unit.word);
    case 0x08:
      return void reader.text();
    case 0x0d:
      return void reader.sleb();
    case 0x0f:
    case 0x15:
    case 0x1a:
    case 0x1b:
    case 0x22:
    case 0x23:
      return void reader.uleb();
    case 0x0a:
      return void reader.step(reader.u8());
    case 0x03:
      return void reader.step(reader.u16());
    case 0x04:
      return void reader.step(reader.u32());
    case 0x09:
    case 0x18:
      return void reader.step(reader.uleb());
    default:
      throw new BitforbitError(
        "input",
        `a debug entry's form 0x${form.toString(16)} at offset ${unit.start + reader.at}`,
      );
  }
}

/** Calls and what they pass, blocks, labels: they follow from the code. */
const OF_CODE = new Set([0x0a, 0x0b, 0x48, 0x49, 0x4109, 0x410a]);

function* unitParts(reading: Reading, unit: Unit): Generator<Part> {
  const { start, word } = unit;
  const lengthSize = word === 8 ? 12 : 4;
  yield derived("length", start, lengthSize);
  yield field("version", start + lengthSize, 2, () => String(unit.version));
  yield derived("header", start + lengthSize + 2, unit.entriesAt - lengthSize - 2);
  // The unit's own entry stands among its children: they are what is looked for.
  const [root] = treeOf(reading, unit);
  if (root === undefined) return;
  yield* entryParts(reading, unit, { ...root, children: [] });
  for (const child of root.children) yield entryPart(reading, unit, child);
}

/** An entry, its own bytes up to `ownEnd`, and those within it. */
interface Entry {
  at: number;
  ownEnd: number;
  end: number;
  /** Of the number of its abbreviation; 0 of it: the end of a list. */
  abbreviation: Abbreviation | undefined;
  codeSize: number;
  children: Entry[];
}

const MAX_DEPTH = 256;

function treeOf(reading: Reading, unit: Unit): Entry[] {
  const { words } = unit;
  const abbreviations = abbreviationsFor(reading, unit.abbreviationsAt);
  const reader = new DwarfReader(words, unit.entriesAt);
  const found: Entry[] = [];
  const open: Entry[] = [];
  while (reader.at < words.size) {
    const at = reader.at;
    const code = reader.uleb();
    const codeSize = reader.at - at;
    const abbreviation = abbreviations.get(code);
    if (code !== 0 && abbreviation === undefined) break;
    if (abbreviation !== undefined) attributesOf(unit, reader, abbreviation);
    const entry: Entry = { at, ownEnd: reader.at, end: reader.at, abbreviation, codeSize, children: [] };
    (open.at(-1)?.children ?? found).push(entry);
    for (const outer of code === 0 ? open.splice(-1) : []) outer.end = reader.at;
    if (abbreviation?.children !== true) continue;
    if (open.length >= MAX_DEPTH) throw new BitforbitError("limit", `debug entries nested over ${MAX_DEPTH} deep`);
    open.push(entry);
  }
  for (const outer of open) outer.end = reader.at;
  return found;
}

function entryPart(reading: Reading, unit: Unit, entry: Entry): Part {
  const { at, end, ownEnd, abbreviation, codeSize } = entry;
  const place = unit.start + at;
  if (abbreviation === undefined) return derived("end of children", place, ownEnd - at);
  const reader = new DwarfReader(unit.words, at + codeSize);
  const name = attributesOf(unit, reader, abbreviation).find(({ attribute }) => attribute === 0x03);
  const text = name === undefined ? undefined : textOf(reading, unit, name);
  const tag = TAGS[abbreviation.tag] ?? `tag 0x${abbreviation.tag.toString(16)}`;
  const key = text === undefined ? tag : `${tag} ${text}`;
  if (OF_CODE.has(abbreviation.tag)) return derived(key, place, end - at);
  return group(key, place, end - at, () => entryParts(reading, unit, entry));
}

function* entryParts(reading: Reading, unit: Unit, entry: Entry): Generator<Part> {
  const { at, abbreviation, codeSize, children } = entry;
  if (abbreviation === undefined) return;
  yield derived("abbreviation", unit.start + at, codeSize);
  for (const one of attributesOf(unit, new DwarfReader(unit.words, at + codeSize), abbreviation)) {
    if (one.length === 0) continue;
    const key = ATTRIBUTES[one.attribute] ?? `attribute 0x${one.attribute.toString(16)}`;
    const place = unit.start + one.at;
    if (follows(one)) yield derived(key, place, one.length);
    else yield field(key, place, one.length, () => shown(reading, unit, one));
  }
  for (const child of children) yield entryPart(reading, unit, child);
}

/** location, frame_base, data_member_location, vtable_elem_location */
const EXPRESSIONS = new Set([0x02, 0x40, 0x38, 0x4d]);

/** Addresses, offsets and references, to strings too: those are compared where they stand. */
function follows({ attribute, form }: Attribute): boolean {
  if (FOLLOWING_ATTRIBUTES.has(attribute)) return true;
  // Expressions tell where the code keeps a value: they are the compiler's choice as the code is.
  if (form === 0x18 || (form === 0x0a && EXPRESSIONS.has(attribute))) return true;
  return (
    [0x01, 0x0e, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17, 0x1a, 0x1b, 0x1d, 0x1f, 0x22, 0x23].includes(form) ||
    (form >= 0x25 && form <= 0x2c)
  );
}

function shown(reading: Reading, unit: Unit, one: Attribute): string {
  const { attribute, form, at, length } = one;
  const text = textOf(reading, unit, one);
  if (text !== undefined) return text;
  const reader = new DwarfReader(unit.words, at);
  if (form === 0x0d) return String(reader.sleb());
  if (form === 0x0f) return String(reader.uleb());
  const scalar = [0x05, 0x06, 0x07, 0x0b, 0x0c].includes(form);
  if (!scalar) return hex(unit.words.bytes.subarray(at, at + Math.min(length, 64)));
  const value = reader.sized(length);
  return attribute === 0x13 ? (LANGUAGES[value] ?? `0x${value.toString(16)}`) : String(value);
}
