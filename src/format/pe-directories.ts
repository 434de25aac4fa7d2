import { hex, showable } from "../bytes.ts";
import { derived, field, group, type Part } from "./part.ts";
import { directory, fileOffset, type Pe } from "./pe.ts";
import { named, recordParts, Words } from "./record.ts";
import { resourceParts } from "./pe-resources.ts";
import { stringParts } from "./string-parts.ts";
import type { Place } from "./symbol-map.ts";

/** What an image's data directories point to (PE Format, "Special Sections"), as parts that lie within its sections. */
const MAX_ENTRIES = 1 << 16;

/** In no order, and perhaps overlapping in a hostile file. */
export function directoryParts(pe: Pe): Part[] {
  return [
    ...exportParts(pe),
    ...importParts(pe),
    ...resourceParts(pe),
    ...whole(pe, 3, "function table"),
    ...whole(pe, 5, "base relocations"),
    ...debugParts(pe),
    ...whole(pe, 12, "import addresses"),
    ...whole(pe, 10, "load configuration", "bytes"),
    ...metadataParts(pe),
  ];
}

function whole(pe: Pe, index: number, key: string, kind: "derived" | "bytes" = "derived"): Part[] {
  const found = directory(pe, index);
  return found === undefined ? [] : [{ key, kind, offset: found.offset, length: found.size }];
}

function wordsAt(pe: Pe, offset: number, length: number): Words {
  const there = Math.max(0, Math.min(length, pe.source.size - offset));
  return new Words(pe.source.read(offset, there).slice(), true, `${pe.source.name}: PE, offset ${offset}`);
}

/** Text at an address, and its place in the file. */
function textAt(pe: Pe, address: number): { text: string; offset: number; length: number } | undefined {
  const offset = fileOffset(pe, address);
  if (offset === undefined) return undefined;
  const text = wordsAt(pe, offset, 1024).text(0, 1024);
  const length = Math.min(Buffer.byteLength(text) + 1, pe.source.size - offset);
  return { text, offset, length };
}

interface Exports {
  parts: Part[];
  places: { place: Place; name: string }[];
}

function exportsOf(pe: Pe): Exports {
  const found = directory(pe, 0);
  const none: Exports = { parts: [], places: [] };
  if (found === undefined || found.size < 40) return none;
  const words = wordsAt(pe, found.offset, 40);
  const [functions, names] = [words.u32(20), words.u32(24)];
  const at = (index: number, length: number): number | undefined => fileOffset(pe, words.u32(index), length);
  const [addresses, pointers, ordinals] = [at(28, functions * 4), at(32, names * 4), at(36, names * 2)];
  if (functions > MAX_ENTRIES || names > MAX_ENTRIES) return none;
  const parts: Part[] = [exportHeader(pe, found.offset)];
  if (addresses === undefined || pointers === undefined || ordinals === undefined) return { parts, places: [] };
  parts.push(derived("export addresses", addresses, functions * 4));
  parts.push(derived("export names", pointers, names * 4), derived("export ordinals", ordinals, names * 2));
  const [addressWords, nameWords] = [wordsAt(pe, addresses, functions * 4), wordsAt(pe, pointers, names * 4)];
  const ordinalWords = wordsAt(pe, ordinals, names * 2);
  const places: Exports["places"] = [];
  for (let index = 0; index < names; index++) {
    const text = textAt(pe, nameWords.u32(index * 4));
    if (text === undefined) continue;
    parts.push(field(`export ${text.text}`, text.offset, text.length, () => text.text));
    const ordinal = ordinalWords.u16(index * 2);
    if (ordinal >= functions) continue;
    const place: Place = { address: addressWords.u32(ordinal * 4), size: 0, rank: 3, code: true };
    places.push({ place, name: text.text });
  }
  return { parts, places };
}

function exportHeader(pe: Pe, offset: number): Part {
  return group("export directory", offset, 40, () =>
    recordParts(pe.source, offset, true, [
      { key: "flags", size: 4 },
      { key: "mtime", size: 4 },
      { key: "version", size: 4 },
      { key: "name address", size: 4, kind: "derived" },
      { key: "ordinal base", size: 4 },
      { key: "functions", size: 4, kind: "derived" },
      { key: "names", size: 4, kind: "derived" },
      { key: "places", size: 12, kind: "derived" },
    ]),
  );
}

const exportParts = (pe: Pe): Part[] => exportsOf(pe).parts;
export const exportPlaces = (pe: Pe): Exports["places"] => exportsOf(pe).places;

/** Entries of 20 bytes: names' table(4) time(4) forwarder(4) library's name(4) addresses(4). */
function importParts(pe: Pe): Part[] {
  const found = directory(pe, 1);
  if (found === undefined) return [];
  const words = wordsAt(pe, found.offset, found.size);
  const parts: Part[] = [];
  for (let at = 0; at + 20 <= words.size && parts.length < MAX_ENTRIES; at += 20) {
    const library = textAt(pe, words.u32(at + 12));
    const place = found.offset + at;
    parts.push(
      group(`imports ${library?.text ?? ""}`.trim(), place, 20, () =>
        recordParts(pe.source, place, true, [
          { key: "names", size: 4, kind: "derived" },
          { key: "mtime", size: 4 },
          { key: "rest", size: 12, kind: "derived" },
        ]),
      ),
    );
    if (words.u32(at + 12) === 0 || library === undefined) break;
    parts.push(field(`library ${library.text}`, library.offset, library.length, () => library.text));
    parts.push(...importedNames(pe, words.u32(at) || words.u32(at + 16), library.text));
  }
  return parts;
}

function importedNames(pe: Pe, address: number, library: string): Part[] {
  const offset = fileOffset(pe, address);
  if (offset === undefined) return [];
  const word = pe.wide ? 8 : 4;
  const words = wordsAt(pe, offset, MAX_ENTRIES * word);
  const parts: Part[] = [];
  let at = 0;
  for (; at + word <= words.size; at += word) {
    const value = words.u32(at);
    const byOrdinal = (words.u32(at + word - 4) & 0x8000_0000) !== 0;
    if (value === 0) break;
    if (byOrdinal) continue;
    const name = textAt(pe, value + 2);
    if (name === undefined) break;
    parts.push(derived("hint", name.offset - 2, 2));
    parts.push(field(`import ${library}!${name.text}`, name.offset, name.length, () => name.text));
  }
  parts.push(derived("import names", offset, Math.min(at + word, words.size)));
  return parts;
}

/** Begin(4) end(4) unwinding(4) of each function of x86-64. */
export function* functionPlaces(pe: Pe): Generator<Place> {
  const found = pe.machine === 0x8664 ? directory(pe, 3) : undefined;
  if (found === undefined) return;
  const words = wordsAt(pe, found.offset, found.size);
  for (let at = 0; at + 12 <= words.size; at += 12) {
    const [begin, end] = [words.u32(at), words.u32(at + 4)];
    if (end > begin) yield { address: begin, size: end - begin, rank: 7, code: true };
  }
}

const DEBUG_TYPES: Readonly<Record<number, string>> = {
  1: "COFF",
  2: "CodeView",
  4: "miscellaneous",
  12: "VC feature",
  13: "POGO",
  14: "ILTCG",
  16: "reproducible",
  17: "embedded PDB",
  19: "PDB checksum",
  20: "extended DLL characteristics",
};

/** Entries of 28 bytes: flags(4) time(4) version(4) type(4) size(4) address(4) offset(4). */
function debugParts(pe: Pe): Part[] {
  const found = directory(pe, 6);
  if (found === undefined) return [];
  const words = wordsAt(pe, found.offset, found.size);
  const parts: Part[] = [];
  for (let at = 0; at + 28 <= words.size && parts.length < 256; at += 28) {
    const place = found.offset + at;
    const [type, size, offset] = [words.u32(at + 12), words.u32(at + 16), words.u32(at + 24)];
    const kind = DEBUG_TYPES[type] ?? `type ${type}`;
    parts.push(
      group(`debug entry ${kind}`, place, 28, () =>
        recordParts(pe.source, place, true, [
          { key: "flags", size: 4 },
          { key: "mtime", size: 4 },
          { key: "version", size: 4 },
          { key: "type", size: 4, show: named(DEBUG_TYPES) },
          { key: "places", size: 12, kind: "derived" },
        ]),
      ),
    );
    if (size > 0 && offset > 0 && offset + size <= pe.source.size) parts.push(debugContent(pe, kind, offset, size));
  }
  return parts;
}

function debugContent(pe: Pe, kind: string, offset: number, size: number): Part {
  const key = `debug data ${kind}`;
  if (kind === "CodeView" && size >= 24) return group(key, offset, size, () => codeView(pe, offset, size));
  return { key, kind: "bytes", offset, length: size };
}

/** "RSDS" GUID(16) age(4) path NUL */
function codeView(pe: Pe, offset: number, size: number): Part[] {
  const words = wordsAt(pe, offset, size);
  return [
    field("format", offset, 4, () => showable(words.bytes.subarray(0, 4))),
    field("GUID", offset + 4, 16, () => guid(words, 4)),
    field("age", offset + 20, 4, () => String(words.u32(20))),
    field("PDB path", offset + 24, size - 24, () => words.text(24)),
  ];
}

const number = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** The first three numbers are little-endian. */
function guid(words: Words, at: number): string {
  const rest = hex(words.bytes.subarray(at + 8, at + 16));
  return `${number(words.u32(at), 8)}-${number(words.u16(at + 4), 4)}-${number(words.u16(at + 6), 4)}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}

/** .NET: the header points to metadata (ECMA-335, II.24.2): "BSJB" … version, streams. */
function metadataParts(pe: Pe): Part[] {
  const header = directory(pe, 14);
  if (header === undefined || header.size < 16) return [];
  const words = wordsAt(pe, header.offset, header.size);
  const size = words.u32(12);
  const offset = fileOffset(pe, words.u32(8), size);
  const parts: Part[] = [derived(".NET header", header.offset, header.size)];
  if (offset === undefined || size < 20) return parts;
  return [...parts, group(".NET metadata", offset, size, () => metadataStreams(pe, offset, size))];
}

function* metadataStreams(pe: Pe, offset: number, size: number): Generator<Part> {
  const words = wordsAt(pe, offset, size);
  const versionLength = words.u32(12);
  if (words.u32(0) !== 0x424a5342 || versionLength > 256) return;
  yield derived("header", offset, 16);
  yield field("version", offset + 16, versionLength, () => words.text(16, versionLength));
  let at = 16 + versionLength + 4;
  const streams: Part[] = [];
  for (let left = words.u16(16 + versionLength + 2); left > 0; left--) {
    const [place, length] = [offset + words.u32(at), words.u32(at + 4)];
    const name = words.text(at + 8, 32);
    at += 8 + Math.ceil((name.length + 1) / 4) * 4;
    if (place + length > offset + size) continue;
    streams.push(metadataStream(pe, name, place, length));
  }
  yield derived("streams", offset + 16 + versionLength, at - 16 - versionLength);
  let end = offset + at;
  for (const stream of streams.toSorted((one, other) => one.offset - other.offset)) {
    if (stream.offset < end) continue;
    yield stream;
    end = stream.offset + stream.length;
  }
}

function metadataStream(pe: Pe, name: string, offset: number, length: number): Part {
  const key = `stream ${name}`;
  if (name === "#Strings") return group(key, offset, length, () => stringParts(pe.source, offset, length));
  if (name !== "#GUID" || length < 16) return { key, kind: "bytes", offset, length };
  // The first is the module's version, made anew by each build that is not deterministic.
  return group(key, offset, length, () => [field("MVID", offset, 16, () => guid(wordsAt(pe, offset, 16), 0))]);
}
