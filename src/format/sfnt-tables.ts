import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, type Part } from "./part.ts";
import type { Font, Table } from "./sfnt.ts";

/** The tables of a font whose inside has names: `name` and, by `post`, `glyf` (with `loca`) and `hmtx` (with `hhea`). */
const NAMES =
  "copyright,family,subfamily,unique identifier,full name,version,PostScript name,trademark,manufacturer,designer,description,vendor URL,designer URL,license,license URL,,typographic family,typographic subfamily".split(
    ",",
  );
const PLATFORMS = ["Unicode", "Macintosh", "ISO", "Windows"];
const MAX_STRING = 300;

function word(source: ByteSource, at: number): number {
  return Buffer.from(source.read(at, 2)).readUInt16BE(0);
}

/** format(2) count(2) offset of the strings(2), records of platform, encoding, language, name, length, offset (2 each). */
export function nameParts({ source }: Font, { offset, length }: Table): Part[] {
  const end = offset + length;
  if (length < 6) return [];
  const count = word(source, offset + 2);
  const strings = offset + word(source, offset + 4);
  const parts: Part[] = [field("format", offset, 2), derived("count", offset + 2, 4)];
  for (let index = 0, at = offset + 6; index < count && at + 12 <= end; index++, at += 12) {
    const [platform = 0, , language = 0, name = 0, size = 0, from = 0] = [0, 2, 4, 6, 8, 10].map((by) =>
      word(source, at + by),
    );
    const where = `${PLATFORMS[platform] ?? `platform ${platform}`}${language === 0 || language === 0x409 ? "" : ` ${language}`}`;
    const key = `${NAMES[name] || `name ${name}`} (${where})`;
    parts.push(derived(`record of ${key}`, at, 12));
    const start = strings + from;
    if (size === 0 || start + size > end) continue;
    // Records may share a string: it goes by the first of them.
    parts.push(field(key, start, size, () => shownString(source, start, size, platform)));
  }
  return inOrder(parts, offset, end);
}

function shownString(source: ByteSource, at: number, size: number, platform: number): string {
  const bytes = Buffer.from(source.read(at, Math.min(size, MAX_STRING)));
  if (platform === 1) return showable(bytes);
  return bytes
    .subarray(0, bytes.length & ~1)
    .swap16()
    .toString("utf16le");
}

/** A glyph from each offset in `loca` to the next. */
export function* glyphParts(font: Font, { offset, length }: Table): Generator<Part> {
  const { source, tables } = font;
  const loca = tables.get("loca");
  const head = tables.get("head");
  if (loca === undefined || head === undefined || head.length < 52) {
    yield { key: "glyphs", kind: "bytes", offset, length };
    return;
  }
  const long = word(source, head.offset + 50) !== 0;
  const places = Buffer.from(source.read(loca.offset, loca.length));
  const count = Math.floor(loca.length / (long ? 4 : 2)) - 1;
  const placeOf = (index: number): number =>
    long ? places.readUInt32BE(index * 4) : places.readUInt16BE(index * 2) * 2;
  const names = glyphNames(font);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const from = placeOf(index);
    const to = placeOf(index + 1);
    if (from < at || to <= from || to > length) continue;
    yield { key: `glyph ${names[index] ?? index}`, kind: "bytes", offset: offset + from, length: to - from };
    at = to;
  }
}

/** How wide each glyph is, and how far its shape stands from the left; as many as `hhea` says, then only the latter. */
export function* widthParts(font: Font, { offset, length }: Table): Generator<Part> {
  const { source, tables } = font;
  const hhea = tables.get("hhea");
  const wide = hhea === undefined || hhea.length < 36 ? 0 : word(source, hhea.offset + 34);
  const names = glyphNames(font);
  for (let index = 0, at = offset; at < offset + length; index++) {
    const size = index < wide ? 4 : 2;
    if (at + size > offset + length) return;
    const place = at;
    yield field(`glyph ${names[index] ?? index}`, at, size, () => shownWidth(source, place, size));
    at += size;
  }
}

function shownWidth(source: ByteSource, at: number, size: number): string {
  const bytes = Buffer.from(source.read(at, size));
  const bearing = `left side bearing ${bytes.readInt16BE(size - 2)}`;
  return size === 2 ? bearing : `width ${bytes.readUInt16BE(0)}, ${bearing}`;
}

/** Version 2 of `post`: for each glyph a number, 258 and above of the strings that follow. */
function glyphNames({ source, tables }: Font): (string | undefined)[] {
  const post = tables.get("post");
  if (post === undefined || post.length < 34 || word(source, post.offset) !== 2) return [];
  const bytes = Buffer.from(source.read(post.offset, post.length));
  const count = bytes.readUInt16BE(32);
  const strings: string[] = [];
  for (let at = 34 + count * 2; at < bytes.length;) {
    const size = bytes[at] ?? 0;
    strings.push(bytes.toString("latin1", at + 1, at + 1 + size));
    at += 1 + size;
  }
  const names: (string | undefined)[] = [];
  for (let index = 0; index < count && 36 + index * 2 <= bytes.length; index++) {
    const number = bytes.readUInt16BE(34 + index * 2);
    // The first 258 are those of the Macintosh, whose glyphs are told by number.
    names.push(number >= 258 ? strings[number - 258] : number === 0 ? ".notdef" : undefined);
  }
  return names;
}
