import { derived, field, group, type Part } from "./part.ts";
import { directory, fileOffset, type Pe } from "./pe.ts";
import { recordParts, Words } from "./record.ts";

/**
 * Resources (PE Format, "The .rsrc Section"): a tree of three levels, type,
 * name and language; each directory
 *
 *     flags(4) time(4) version(4) named(2) numbered(2)   entries: name or number(4) place(4; the upper bit: a directory)
 *
 * and each leaf address(4) size(4) code page(4) 0(4).
 */
const MAX_NODES = 1 << 16;
const TYPES: Readonly<Record<number, string>> = {
  1: "cursor",
  2: "bitmap",
  3: "icon",
  4: "menu",
  5: "dialog",
  6: "string table",
  7: "font directory",
  8: "font",
  9: "accelerator",
  10: "data",
  11: "message table",
  12: "cursor group",
  14: "icon group",
  16: "version",
  17: "dialog include",
  24: "manifest",
};

interface Node {
  at: number;
  path: string[];
}

export function resourceParts(pe: Pe): Part[] {
  const found = directory(pe, 2);
  if (found === undefined) return [];
  const words = new Words(pe.source.read(found.offset, found.size), true, `${pe.source.name}: PE resources`);
  const parts: Part[] = [];
  const queue: Node[] = [{ at: 0, path: [] }];
  const seen = new Set<number>();
  for (let node = queue.pop(); node !== undefined && parts.length < MAX_NODES; node = queue.pop()) {
    const { at, path } = node;
    if (seen.has(at) || at + 16 > words.size) continue;
    seen.add(at);
    const entries = words.u16(at + 12) + words.u16(at + 14);
    if (at + 16 + entries * 8 > words.size) continue;
    parts.push(directoryPart(pe, found.offset + at, entries, path));
    for (let index = 0; index < entries; index++) {
      const [id, place] = [words.u32(at + 16 + index * 8), words.u32(at + 20 + index * 8)];
      const step = id >= 0x8000_0000 ? nameAt(words, id % 0x8000_0000, found.offset, parts) : numbered(id, path.length);
      const inner = [...path, step];
      if (place >= 0x8000_0000 && inner.length < 4) queue.push({ at: place % 0x8000_0000, path: inner });
      else if (place < 0x8000_0000) parts.push(...leafParts(pe, words, found.offset, place, inner));
    }
  }
  return parts;
}

function numbered(id: number, level: number): string {
  return level === 0 ? (TYPES[id] ?? `type ${id}`) : String(id);
}

/** A counted text of UTF-16. */
function nameAt(words: Words, at: number, offset: number, parts: Part[]): string {
  if (at + 2 > words.size) return "";
  const length = words.u16(at) * 2;
  if (at + 2 + length > words.size) return "";
  const text = Buffer.from(words.bytes.subarray(at + 2, at + 2 + length)).toString("utf16le");
  parts.push(field(`name ${text}`, offset + at, 2 + length, () => text));
  return text;
}

function directoryPart(pe: Pe, offset: number, entries: number, path: readonly string[]): Part {
  return group(["resource directory", ...path].join(" "), offset, 16 + entries * 8, () =>
    recordParts(pe.source, offset, true, [
      { key: "flags", size: 4 },
      { key: "mtime", size: 4 },
      { key: "version", size: 4 },
      { key: "entries", size: 4 + entries * 8, kind: "derived" },
    ]),
  );
}

function leafParts(pe: Pe, words: Words, offset: number, at: number, path: readonly string[]): Part[] {
  if (at + 16 > words.size) return [];
  const [address, size] = [words.u32(at), words.u32(at + 4)];
  const parts: Part[] = [derived(`resource entry ${path.join(" ")}`, offset + at, 16)];
  const place = fileOffset(pe, address, size);
  if (place === undefined || size === 0) return parts;
  const key = `resource ${path.join(" ")}`;
  if (path[0] === "version") return [...parts, group(key, place, size, () => versionParts(pe, place, size))];
  const name = path[0] === "manifest" ? "manifest.xml" : `${path.join(".")}`;
  return [...parts, { key, kind: "content", offset: place, length: size, name }];
}

/**
 * VS_VERSIONINFO: length(2) value-length(2) text(2) key NUL (UTF-16), padding, value, padding, the same again.
 * Told are the strings, "FileVersion" and the like, by their keys.
 */
function* versionParts(pe: Pe, offset: number, size: number): Generator<Part> {
  const words = new Words(pe.source.read(offset, size).slice(), true, `${pe.source.name}: PE version`);
  let at = 0;
  // All nodes follow one another, outer before inner: no nesting is needed to read them.
  for (let count = 0; at + 6 <= size && count < 4096; count++) {
    const [length, valueLength, isText] = [words.u16(at), words.u16(at + 2), words.u16(at + 4)];
    const key = wideText(words, at + 6);
    const valueAt = align(at + 6 + (key.length + 1) * 2);
    const valueSize = Math.min(valueLength * (isText === 1 ? 2 : 1), size - valueAt);
    if (length === 0 || valueAt > size || valueSize < 0) return;
    yield derived("lengths", offset + at, 6);
    if (valueSize > 0) {
      const text = (): string => (isText === 1 ? wideText(words, valueAt) : hexOf(words, valueAt, valueSize));
      yield field(key, offset + valueAt, valueSize, text);
    }
    at = Math.max(at + 6, align(valueAt + valueSize));
  }
}

const align = (at: number): number => Math.ceil(at / 4) * 4;

function wideText(words: Words, at: number): string {
  let end = at;
  while (end + 2 <= words.size && words.u16(end) !== 0) end += 2;
  return Buffer.from(words.bytes.subarray(at, end)).toString("utf16le");
}

function hexOf(words: Words, at: number, length: number): string {
  return Buffer.from(words.bytes.subarray(at, at + Math.min(length, 64))).toString("hex");
}
