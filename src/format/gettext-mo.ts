import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * gettext's compiled catalogues (GNU gettext manual, "The Format of GNU MO
 * Files"), in either byte order:
 *
 *     950412de, revision(4), strings(4), where the originals' table is(4), the translations'(4),
 *     size of the hash table(4), where it is(4)
 *     tables: length(4) and place(4) of each string, which ends with NUL
 *
 * An original is "context EOT msgid NUL msgid_plural"; the plural forms of a
 * translation are parted by NUL; the translation of "" is the header.
 */
const MAGIC = 0x950412de;
const MAX_STRINGS = 2_000_000;
const SHOWN = 400;
const KEY = 200;

interface Catalogue {
  view: (offset: number, length: number) => DataView;
  little: boolean;
  count: number;
  originals: number;
  translations: number;
  hashSize: number;
  hashAt: number;
}

/** The tables derived, each message by its msgid, the header by its fields. Throws `input`, `limit`. */
export function* moParts(source: ByteSource): Generator<Part> {
  const catalogue = readHeader(source);
  const parts = [...tableParts(catalogue), ...stringParts(source, catalogue)];
  parts.sort((a, b) => a.offset - b.offset);
  const { view, little } = catalogue;
  const revision = view(4, 4).getUint32(0, little);
  yield field("byte order", 0, 4, () => (little ? "little endian" : "big endian"));
  yield field("revision", 4, 4, () => `${revision >>> 16}.${revision & 0xffff}`);
  yield derived("strings", 8, 4);
  yield derived("originals at", 12, 4);
  yield derived("translations at", 16, 4);
  yield field("hash table size", 20, 4, () => String(catalogue.hashSize));
  yield derived("hash table at", 24, 4);
  let at = 28;
  for (const part of parts) {
    // A string may be shared, or a table lie: what overlaps is told once.
    if (part.offset < at) continue;
    yield part;
    at = part.offset + part.length;
  }
}

function readHeader(source: ByteSource): Catalogue {
  if (source.size < 28) throw bad(source, 0, "cut off in the header");
  const view = (offset: number, length: number): DataView => {
    const bytes = source.read(offset, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };
  const start = view(0, 28);
  const little = start.getUint32(0, true) === MAGIC;
  if (!little && start.getUint32(0) !== MAGIC) throw bad(source, 0, "no message catalogue");
  const number = (offset: number): number => start.getUint32(offset, little);
  const [count, originals, translations] = [number(8), number(12), number(16)];
  const [hashSize, hashAt] = [number(20), number(24)];
  if (count > MAX_STRINGS) throw new BitforbitError("limit", `${source.name}: over ${MAX_STRINGS} messages`);
  for (const [offset, at, size] of [
    [12, originals, count * 8],
    [16, translations, count * 8],
    [24, hashAt, hashSize * 4],
  ] as const) {
    if (size > 0 && (at < 28 || at + size > source.size)) {
      throw bad(source, offset, `a table at ${at} of ${size} bytes, but the file ends at ${source.size}`);
    }
  }
  return { view, little, count, originals, translations, hashSize, hashAt };
}

function tableParts({ count, originals, translations, hashSize, hashAt }: Catalogue): Part[] {
  return [
    derived("table of originals", originals, count * 8),
    derived("table of translations", translations, count * 8),
    derived("hash table", hashAt, hashSize * 4),
  ].filter(({ length }) => length > 0);
}

function* stringParts(source: ByteSource, catalogue: Catalogue): Generator<Part> {
  const { view, little, count, originals, translations } = catalogue;
  const spans = (table: number): DataView => view(table, count * 8);
  if (count === 0) return;
  const [left, right] = [spans(originals), spans(translations)];
  for (let nth = 0; nth < count; nth++) {
    const original = spanAt(source, left, nth, little, originals);
    const translation = spanAt(source, right, nth, little, translations);
    const msgid = showable(source.read(original.offset, Math.min(original.length, KEY)));
    const key = msgid.replace(/\0[^]*$/, "").replace("\u0004", " | ");
    if (original.length === 0) yield headerPart(source, translation);
    else {
      yield textPart(source, `msgid ${key}`, original);
      yield textPart(source, key === "" ? "(empty)" : key, translation);
    }
  }
}

interface Span {
  offset: number;
  length: number;
}

function spanAt(source: ByteSource, table: DataView, nth: number, little: boolean, at: number): Span {
  const length = table.getUint32(nth * 8, little);
  const offset = table.getUint32(nth * 8 + 4, little);
  if (offset < 28 || offset + length > source.size) {
    throw bad(source, at + nth * 8, `a string at ${offset} of ${length} bytes, but the file ends at ${source.size}`);
  }
  return { offset, length };
}

function textPart(source: ByteSource, key: string, { offset, length }: Span): Part {
  const withEnd = Math.min(length + 1, source.size - offset);
  const show = (): string => showable(source.read(offset, Math.min(length, SHOWN))).replaceAll("\0", " | ");
  return field(key, offset, withEnd, show);
}

/** The header's lines, each a field of its own. */
function headerPart(source: ByteSource, { offset, length }: Span): Part {
  return group("header", offset, length, function* () {
    const bytes = source.read(offset, length);
    for (let at = 0; at < bytes.length;) {
      const feed = bytes.indexOf(0x0a, at);
      const next = feed < 0 ? bytes.length : feed + 1;
      const [, name = "", value = ""] = /^([^:\s]*):? *([^]*?)\n?$/.exec(showable(bytes.subarray(at, next))) ?? [];
      yield field(name === "" ? "(empty)" : name, offset + at, next - at, () => value.slice(0, SHOWN));
      at = next;
    }
  });
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: gettext catalogue, offset ${offset}: ${what}`);
}
