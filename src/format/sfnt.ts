import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, group, type Part } from "./part.ts";
import { glyphParts, nameParts, widthParts } from "./sfnt-tables.ts";

/**
 * TrueType and OpenType fonts (ISO/IEC 14496-22, section 4.3), all big-endian:
 *
 *     version(4) tables(2) three numbers that follow from it(2 each)
 *     directory: tag(4) checksum(4) offset(4) length(4), then the tables, each filled up to four bytes
 *
 * and collections: "ttcf" version(4) fonts(4) offsets(4 each). Tables go by
 * their tags, strings of `name` by what they are, glyphs by their names.
 */
const MAX_TABLES = 4096;
const MAX_FONTS = 1024;

export interface Table {
  tag: string;
  offset: number;
  length: number;
}

export interface Font {
  source: ByteSource;
  tables: ReadonlyMap<string, Table>;
}

export function sfntParts(source: ByteSource, name: string): Part[] {
  if (source.size < 12) throw bad(name, 0, "no font header");
  const version = hex(source.read(0, 4));
  const parts: Part[] = [];
  if (version === "74746366") collectionParts(source, name, parts);
  else if (/^(?:00010000|4f54544f|74727565|74797031)$/.test(version)) fontParts(source, name, 0, "", parts);
  else throw bad(name, 0, `${version} is no font's version`);
  return withPadding(source, inOrder(parts, 0, source.size));
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: font, offset ${offset}: ${what}`);
}

export function uint(source: ByteSource, at: number, size: number): number {
  return Buffer.from(source.read(at, size)).readUIntBE(0, size);
}

function collectionParts(source: ByteSource, name: string, parts: Part[]): void {
  const count = uint(source, 8, 4);
  if (count > MAX_FONTS || 12 + count * 4 > source.size) throw bad(name, 8, `${count} fonts`);
  parts.push(field("version", 0, 8), derived("count", 8, 4));
  if (count > 0) parts.push(derived("offsets", 12, count * 4));
  for (let index = 0; index < count; index++) {
    fontParts(source, name, uint(source, 12 + index * 4, 4), `font ${index + 1} `, parts);
  }
}

function fontParts(source: ByteSource, name: string, at: number, called: string, parts: Part[]): void {
  if (at + 12 > source.size) throw bad(name, at, "a font outside the file");
  const count = uint(source, at + 4, 2);
  if (count > MAX_TABLES || at + 12 + count * 16 > source.size) throw bad(name, at + 4, `${count} tables`);
  parts.push(field(`${called}version`, at, 4), derived("count", at + 4, 8));
  const tables = new Map<string, Table>();
  for (let from = at + 12; from < at + 12 + count * 16; from += 16) {
    const tag = showable(source.read(from, 4)).trim();
    parts.push(derived(`${called}entry ${tag}`, from, 16));
    const table = { tag, offset: uint(source, from + 8, 4), length: uint(source, from + 12, 4) };
    if (table.length > 0 && table.offset + table.length <= source.size) tables.set(tag, table);
  }
  const font = { source, tables };
  for (const table of tables.values()) parts.push(tablePart(font, table, called));
}

/** Between tables and after the last stand up to three zeros. */
function withPadding(source: ByteSource, parts: readonly Part[]): Part[] {
  const all: Part[] = [];
  let at = 0;
  let after = "";
  const fill = (to: number): void => {
    if (to <= at || to - at >= 4) return;
    all.push({ key: `padding after ${after}`, label: "padding", kind: "padding", offset: at, length: to - at });
  };
  for (const part of parts) {
    fill(part.offset);
    all.push(part);
    at = part.offset + part.length;
    after = part.key;
  }
  fill(source.size);
  return all;
}

function tablePart(font: Font, table: Table, called: string): Part {
  const { tag, offset, length } = table;
  const key = `${called}table ${tag}`;
  const cut = CUTS[tag];
  if (cut !== undefined) return group(key, offset, length, () => cut(font, table));
  // Where glyphs stand follows from the glyphs, and so does how wide they are from nothing else.
  if (tag === "loca") return derived(key, offset, length);
  return { key, kind: "bytes", offset, length };
}

type Cut = (font: Font, table: Table) => Iterable<Part>;
type Layout = readonly (readonly [string, number, ("time" | "signed" | "derived" | "hex" | "fixed")?])[];

/** Seconds from the beginning of 1904 to that of 1970. */
const MAC_EPOCH = 2_082_844_800;

/** Numbers one after another; what the table has beyond them is bytes. */
function numbers(layout: Layout): Cut {
  return function* ({ source }, { offset, length }) {
    let at = offset;
    const end = offset + length;
    for (const [key, size, as] of layout) {
      if (at + size > end) break;
      const here = at;
      yield as === "derived" ? derived(key, at, size) : field(key, at, size, () => shown(source, here, size, as));
      at += size;
    }
    if (at < end) yield { key: "more", kind: "bytes", offset: at, length: end - at };
  };
}

function shown(source: ByteSource, at: number, size: number, as: Layout[number][2]): string {
  const bytes = Buffer.from(source.read(at, size));
  if (as === "time") return String(Number(bytes.readBigUInt64BE(0)) - MAC_EPOCH);
  if (as === "hex") return `0x${hex(bytes)}`;
  if (as === "fixed") return (bytes.readInt32BE(0) / 65536).toFixed(5).replace(/\.?0+$/, "");
  if (as === "signed") return String(bytes.readIntBE(0, size));
  return size > 6 ? hex(bytes) : String(bytes.readUIntBE(0, size));
}

const CUTS: Readonly<Record<string, Cut>> = {
  head: numbers([
    ["version", 4, "hex"],
    ["fontRevision", 4, "fixed"],
    ["checkSumAdjustment", 4, "derived"],
    ["magicNumber", 4, "hex"],
    ["flags", 2, "hex"],
    ["unitsPerEm", 2],
    ["created mtime", 8, "time"],
    ["modified mtime", 8, "time"],
    ["xMin", 2, "signed"],
    ["yMin", 2, "signed"],
    ["xMax", 2, "signed"],
    ["yMax", 2, "signed"],
    ["macStyle", 2, "hex"],
    ["lowestRecPPEM", 2],
    ["fontDirectionHint", 2, "signed"],
    ["indexToLocFormat", 2],
    ["glyphDataFormat", 2],
  ]),
  hhea: numbers([
    ["version", 4, "hex"],
    ["ascender", 2, "signed"],
    ["descender", 2, "signed"],
    ["lineGap", 2, "signed"],
    ["advanceWidthMax", 2],
    ["minLeftSideBearing", 2, "signed"],
    ["minRightSideBearing", 2, "signed"],
    ["xMaxExtent", 2, "signed"],
  ]),
  maxp: numbers([
    ["version", 4, "hex"],
    ["numGlyphs", 2],
  ]),
  "OS/2": numbers([
    ["version", 2],
    ["xAvgCharWidth", 2, "signed"],
    ["usWeightClass", 2],
    ["usWidthClass", 2],
    ["fsType", 2, "hex"],
  ]),
  post: numbers([
    ["version", 4, "hex"],
    ["italicAngle", 4, "fixed"],
    ["underlinePosition", 2, "signed"],
    ["underlineThickness", 2, "signed"],
    ["isFixedPitch", 4],
  ]),
  name: nameParts,
  glyf: glyphParts,
  hmtx: widthParts,
};
