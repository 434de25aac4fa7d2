import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { codeItem, codeLines } from "./dex-code.ts";
import { debugEnd, debugLines } from "./dex-debug.ts";
import { Dex, DexBytes, DexReader, type Table } from "./dex-file.ts";
import { classData, classDef, DexItems, directoryEnd, type Owners } from "./dex-items.ts";
import * as tables from "./dex-tables.ts";
import { encodedAnnotation, encodedArray } from "./dex-values.ts";
import { inOrder } from "./in-order.ts";
import { listing, quoted } from "./listing.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Dalvik executables (Android, "Dalvik executable format", versions 035 to
 * 041), little-endian:
 *
 *     "dex\n" version(3) 00  checksum(4) signature(20)  file size(4) header size(4) byte order(4)
 *     link(8) map(4)  count and offset of each table (8 each)  [041: size of all(4), this header(4)]
 *     tables of strings, types, prototypes, fields, methods, classes, call sites, method handles
 *     data: code, debug information, strings, annotations, values, and the map of all sections
 *
 * Every table is sorted by what it names, so that one string more shifts the
 * numbers of all behind it, everywhere. So nearly everything is told as lines
 * that name what the numbers lead to: where the lines are the same, the numbers
 * only follow. What belongs to one class lies apart in the sections; each item
 * is known by whose it is. From version 041 on a file may hold several headers
 * that share one data; all offsets count from the beginning of the file.
 */
const MAX_SIZE = 128 << 20;
const MAX_HEADERS = 512;
const HEADER = 0x70;
const LITTLE_ENDIAN = 0x12345678;

export function dexParts(source: ByteSource, name: string): Iterable<Part> {
  const what = `${name}: DEX`;
  if (source.size > MAX_SIZE) throw new BitforbitError("limit", `${what}: ${source.size} bytes`);
  const file = new DexBytes(source.read(0, source.size).slice(), what);
  const dexes: Dex[] = [];
  const parts: Part[] = [];
  let next = 0;
  while (next < file.bytes.length && dexes.length < MAX_HEADERS) {
    const at = next;
    const { length, size, version } = headerAt(file, at);
    dexes.push(new Dex(file, at));
    parts.push(group("header", at, length, () => headerParts(at, length, version)));
    if (version < "041") break;
    next += size;
  }
  const context = new Context(dexes);
  return inOrder([...parts, ...context.sections()], 0, file.bytes.length);
}

function headerAt(file: DexBytes, at: number): { length: number; size: number; version: string } {
  file.check(at, HEADER);
  const magic = Buffer.from(file.bytes.subarray(at, at + 8)).toString("latin1");
  const version = /^dex\n(\d\d\d)\0$/.exec(magic)?.[1];
  if (version === undefined) return file.fail(at, `not "dex\\n" and a version`);
  if (file.u32(at + 40) !== LITTLE_ENDIAN) file.fail(at + 40, "not the byte order 12345678");
  const [size, length] = [file.u32(at + 32), file.u32(at + 36)];
  if (length < HEADER || length > size || length > 1024) file.fail(at + 36, `a header of ${length} bytes`);
  file.check(at, length);
  return { length, size, version };
}

/** Sizes and offsets follow from the sections; each has its own place in the data. */
function headerParts(at: number, length: number, version: string): Part[] {
  return [
    field("version", at, 8, () => version),
    derived("checksum", at + 8, 4),
    derived("signature", at + 12, 20),
    derived("sizes and offsets", at + 32, length - 32),
  ];
}

/** Lines whose bytes only follow from what else differs where they say the same. */
function told(key: string, at: number, end: number, lines: () => Iterable<string>): Part {
  return { ...listing(key, at, end - at, "listing", lines), follows: true };
}

type Kind = (section: Section) => Part;

interface Section {
  context: Context;
  dex: Dex;
  at: number;
  end: number;
  count: number;
}

class Context {
  readonly #dexes: readonly Dex[];
  readonly #items = new Map<Dex, DexItems>();

  constructor(dexes: readonly Dex[]) {
    this.#dexes = dexes;
  }

  /** What lies in the data of one of the headers, found once. */
  items(dex: Dex): DexItems {
    const known = this.#items.get(dex) ?? new DexItems(dex);
    this.#items.set(dex, known);
    return known;
  }

  /** All sections of all maps, each up to where the next begins. */
  sections(): Part[] {
    const found = new Map<string, { dex: Dex; kind: number; table: Table }>();
    for (const dex of this.#dexes) {
      for (const [kind, table] of dex.sections) {
        if (kind !== 0 && table.count > 0) found.set(`${kind} ${table.offset}`, { dex, kind, table });
      }
    }
    const sorted = [...found.values()].toSorted((a, b) => a.table.offset - b.table.offset);
    return sorted.flatMap(({ dex, kind, table: { offset, count } }, place) => {
      const end = sorted[place + 1]?.table.offset ?? dex.file.bytes.length;
      const size = ROWS[kind];
      // Rows of one size end where they end; what lies behind belongs to nobody.
      const until = size === undefined ? end : Math.min(end, offset + count * size);
      return until > offset ? [KINDS[kind]?.({ context: this, dex, at: offset, end: until, count })].flatMap(some) : [];
    });
  }

  /** Items of a section by whose they are; what cannot be read is left to be compared as bytes. */
  group(key: string, { at, end }: Section, owners: (items: DexItems) => Owners, make: MakeItem): Part {
    return group(key, at, end - at, () => {
      const made = new Map<number, Part>();
      for (const dex of this.#dexes) {
        const items = this.items(dex);
        for (const [offset, owner] of owners(items)) {
          if (offset < at || offset >= end || made.has(offset)) continue;
          const part = read(() => make(items, offset, owner));
          if (part !== undefined) made.set(offset, part);
        }
      }
      return inOrder([...made.values()], at, end);
    });
  }

  /** Lines of small items, one each. */
  *lines({ at, end }: Section, owners: (items: DexItems) => Owners, line: LineOf): Iterable<string> {
    for (const dex of this.#dexes) {
      const items = this.items(dex);
      const here = [...owners(items)].filter(([offset]) => offset >= at && offset < end);
      for (const [offset, owner] of here.toSorted((a, b) => a[0] - b[0])) yield line(items, offset, owner);
    }
  }
}

type MakeItem = (items: DexItems, at: number, owner: string) => Part;
type LineOf = (items: DexItems, at: number, owner: string) => string;

function some(part: Part | undefined): Part[] {
  return part === undefined ? [] : [part];
}

function read(make: () => Part): Part | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof BitforbitError && error.code === "input") return undefined;
    throw error;
  }
}

/** Bytes of a row, where all rows of a section are alike. */
const ROWS: Readonly<Record<number, number>> = { 1: 4, 2: 4, 3: 12, 4: 8, 5: 8, 6: 32, 7: 4, 8: 8 };

/** By the number in the map (type codes): each kind of section as a part. */
const KINDS: Readonly<Record<number, Kind>> = {
  0x0001: ({ at, end }) => derived("string offsets", at, end - at),
  0x0002: ({ dex, at, end }) => told("types", at, end, () => tables.typeLines(dex)),
  0x0003: ({ dex, at, end }) => told("prototypes", at, end, () => tables.prototypeLines(dex)),
  0x0004: ({ dex, at, end }) => told("fields", at, end, () => tables.fieldLines(dex)),
  0x0005: ({ dex, at, end }) => told("methods", at, end, () => tables.methodLines(dex)),
  0x0006: classes,
  0x0007: ({ context, dex, at, end }) => told("call sites", at, end, () => tables.callSiteLines(context.items(dex))),
  0x0008: ({ dex, at, end }) => told("method handles", at, end, () => tables.handleLines(dex)),
  0x1000: ({ dex, at, end, count }) =>
    derived("map", at, Math.min(end - at, Math.max(count, dex.sections.size) * 12 + 4)),
  0x1001: (section) => told("lists of types", section.at, section.end, () => typeListLines(section)),
  0x1002: (section) =>
    told("lists of annotated parameters", section.at, section.end, () =>
      section.context.lines(section, ({ setLists }) => setLists, tables.setListLine),
    ),
  0x1003: (section) =>
    told("annotation sets", section.at, section.end, () =>
      section.context.lines(section, ({ sets }) => sets, tables.setLine),
    ),
  0x2000: (section) =>
    section.context.group(
      "members",
      section,
      ({ data }) => data,
      (items, at, owner) => told(owner, at, classData(items.dex, at).end, () => tables.memberLines(items, at)),
    ),
  0x2001: (section) => section.context.group("code", section, ({ code }) => code, method),
  0x2002: (section) => group("", section.at, section.end - section.at, () => strings(section)),
  0x2003: (section) =>
    section.context.group(
      "debug information",
      section,
      ({ debug }) => debug,
      ({ dex }, at, owner) => told(owner, at, debugEnd(dex, at), () => debugLines(dex, at)),
    ),
  0x2004: (section) => section.context.group("annotations", section, ({ annotations }) => annotations, annotation),
  0x2005: (section) =>
    section.context.group(
      "values",
      section,
      ({ values }) => values,
      (items, at, owner) => {
        const reader = new DexReader(items.dex.file, at);
        encodedArray(items.dex, reader);
        return told(owner.replace(/^values of /, ""), at, reader.at, () => tables.valueLines(items, at));
      },
    ),
  0x2006: (section) =>
    section.context.group(
      "annotated members",
      section,
      ({ directories }) => directories,
      (items, at, owner) => told(owner, at, directoryEnd(items.dex, at), () => tables.directoryLines(items, at, owner)),
    ),
  0xf000: ({ context, dex, at, end }) =>
    told("hidden members", at, end, () => tables.hiddenLines(context.items(dex), at)),
};

function classes({ context, dex, at, end, count }: Section): Part {
  return group("classes", at, end - at, function* () {
    for (let index = 0; index < Math.min(count, dex.tables.classes.count); index++) {
      const def = classDef(dex, index);
      if (def.at + 32 > end || def.at < at) return;
      yield told(def.name, def.at, def.at + 32, () => tables.classLines(context.items(dex), def));
    }
  });
}

function* typeListLines({ dex, at, end, count }: Section): Iterable<string> {
  const reader = new DexReader(dex.file, at);
  for (let index = 0; index < count && reader.at + 4 <= end; index++) {
    // Each begins at a multiple of four.
    reader.at += (4 - (reader.at % 4)) % 4;
    const list = reader.at;
    reader.skip(reader.u32() * 2);
    yield dex.typeList(list).join(" ") || "none";
  }
}

function method(items: DexItems, at: number, owner: string): Part {
  const { dex, debug } = items;
  const item = codeItem(dex, at);
  return group(owner, at, item.end - at, () => [
    field("registers", at, 2, () => String(item.registers)),
    field("registers for parameters", at + 2, 2, () => String(item.ins)),
    field("registers for calls", at + 4, 2, () => String(item.outs)),
    derived("tries", at + 6, 2),
    ...debugPart(debug, item.debugAt, owner, at + 8),
    derived("length", at + 12, 4),
    told("instructions", at + 16, item.end, () => codeLines(dex, item)),
  ]);
}

/** An offset of its own debug information only follows; none, or that of another method, is worth a word. */
function debugPart(debug: Owners, at: number, owner: string, place: number): Part[] {
  const found = debug.get(at);
  const shared = at === 0 ? "none" : found === owner ? "own" : `as of ${found ?? "nobody"}`;
  return [told("debug information", place, place + 4, () => [shared])];
}

/** Strings by what they say; their order in the table follows from that. */
function strings({ dex, at, end }: Section): Part[] {
  const { count, offset } = dex.tables.strings;
  const parts: Part[] = [];
  for (let index = 0; index < count; index++) {
    const from = dex.file.u32(offset + index * 4);
    if (from < at || from >= end) continue;
    const part = read(() => {
      const { text, end: until } = dex.stringAt(from);
      return field(`string ${quoted(text, 160)}`, from, until - from, () => quoted(text));
    });
    if (part !== undefined) parts.push(part);
  }
  return inOrder(parts, at, end);
}

function annotation({ dex }: DexItems, at: number, owner: string): Part {
  const reader = new DexReader(dex.file, at + 1);
  encodedAnnotation(dex, reader);
  return told(owner, at, reader.at, () => tables.annotationLines(dex, at));
}
