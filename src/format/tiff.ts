import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { inOrder } from "./in-order.ts";
import { derived, field, type Part } from "./part.ts";
import { tagName } from "./tiff-tags.ts";

/**
 * TIFF 6.0, and the Exif data of JPEG, PNG and WebP, which is laid out alike:
 *
 *     "II" 42 or "MM" 42 (2+2)  offset of the first directory(4)
 *     directory: count(2), entries of tag(2) type(2) count(4) value or offset(4), offset of the next(4)
 *
 * Values go by their tag's name wherever they stand. BigTIFF is not cut.
 */
const MAX_DIRECTORIES = 1024;
const MAX_ENTRIES = 4096;
const MAX_STRIPS = 1 << 20;
const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
const DIRECTORIES: ReadonlyMap<number, string> = new Map([
  [34665, ""],
  [34853, "GPS"],
  [40965, "interoperability "],
  [330, "sub-image "],
]);
const ASCII = 2;
const CONTENTS: ReadonlyMap<number, string> = new Map([
  [700, "metadata.xmp"],
  [34675, "profile.icc"],
]);

interface Tiff {
  source: ByteSource;
  little: boolean;
  name: string;
}

interface Entry {
  tag: number;
  type: number;
  count: number;
  /** Where the value stands. */
  at: number;
  length: number;
}

export function looksLikeTiff(start: Uint8Array): boolean {
  const magic = hex(start.subarray(0, 4));
  return magic === "49492a00" || magic === "4d4d002a";
}

/** Throws `input` with the offset for what does not begin as TIFF does. */
export function tiffParts(source: ByteSource, name: string): Part[] {
  if (source.size < 8 || !looksLikeTiff(source.read(0, 4))) {
    throw new BitforbitError("input", `${name}: TIFF, offset 0: no header of a byte order and 42`);
  }
  const tiff = { source, name, little: source.read(0, 1)[0] === 0x49 };
  const parts: Part[] = [field("byte order", 0, 4), derived("offset", 4, 4)];
  const seen = new Set<number>();
  const queue: { at: number; called: string }[] = [{ at: number(tiff, 4, 4), called: "" }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { at, called } = next;
    if (at === 0 || at + 2 > source.size || seen.has(at)) continue;
    if (seen.size >= MAX_DIRECTORIES) throw new BitforbitError("limit", `${name}: over ${MAX_DIRECTORIES} directories`);
    seen.add(at);
    directoryParts(tiff, at, called, parts, queue);
  }
  return inOrder(parts, 0, source.size);
}

function number({ source, little }: Tiff, at: number, size: number): number {
  const bytes = Buffer.from(source.read(at, size));
  return little ? bytes.readUIntLE(0, size) : bytes.readUIntBE(0, size);
}

function directoryParts(
  tiff: Tiff,
  at: number,
  called: string,
  parts: Part[],
  queue: { at: number; called: string }[],
): void {
  const { source } = tiff;
  const count = number(tiff, at, 2);
  const end = at + 2 + count * 12;
  if (count > MAX_ENTRIES || end > source.size) return;
  parts.push(derived("count", at, 2));
  const entries: Entry[] = [];
  for (let from = at + 2; from < end; from += 12) {
    const entry = entryAt(tiff, from);
    parts.push(derived("entry", from, 8));
    if (entry === undefined) continue;
    entries.push(entry);
    const inside = DIRECTORIES.get(entry.tag);
    if (inside !== undefined) {
      parts.push(derived("offset", from + 8, 4));
      for (let index = 0; index < Math.min(entry.count, 16) && entry.length === entry.count * 4; index++) {
        queue.push({ at: number(tiff, entry.at + index * 4, 4), called: inside === "GPS" ? inside : called + inside });
      }
    } else valueParts(tiff, entry, from, called, parts);
  }
  scatteredParts(tiff, entries, called, parts);
  if (end + 4 > source.size) return;
  parts.push(derived("offset", end, 4));
  queue.push({ at: number(tiff, end, 4), called: called === "" ? "thumbnail " : `${called}` });
}

function entryAt(tiff: Tiff, from: number): Entry | undefined {
  const type = number(tiff, from + 2, 2);
  const count = number(tiff, from + 4, 4);
  const length = count * (SIZES[type] ?? 0);
  if (length === 0) return undefined;
  const at = length <= 4 ? from + 8 : number(tiff, from + 8, 4);
  if (at + length > tiff.source.size) return undefined;
  return { tag: number(tiff, from, 2), type, count, at, length };
}

function valueParts(tiff: Tiff, entry: Entry, from: number, called: string, parts: Part[]): void {
  const { tag, at, length } = entry;
  const key = called === "GPS" ? tagName(tag, true) : `${called}${tagName(tag, false)}`;
  if (length > 4) parts.push(derived("offset", from + 8, 4));
  // Where strips stand and how long they are follows from the strips.
  if ([273, 279, 324, 325, 513, 514].includes(tag)) parts.push(derived(key, at, length));
  else if (CONTENTS.has(tag) && length > 4) {
    parts.push({ key, kind: "content", offset: at, length, name: CONTENTS.get(tag) ?? "" });
  } else parts.push(field(key, at, length, () => shown(tiff, entry)));
}

/** Strips, tiles and the thumbnail that a directory's entries lead to. */
function scatteredParts(tiff: Tiff, entries: readonly Entry[], called: string, parts: Part[]): void {
  for (const [offsets, lengths, what] of [
    [273, 279, "strip"],
    [324, 325, "tile"],
    [513, 514, "thumbnail"],
  ] as const) {
    const where = entries.find(({ tag }) => tag === offsets);
    const sizes = entries.find(({ tag }) => tag === lengths);
    if (where === undefined || sizes === undefined) continue;
    for (let index = 0; index < Math.min(where.count, sizes.count, MAX_STRIPS); index++) {
      const offset = item(tiff, where, index);
      const length = item(tiff, sizes, index);
      if (offset + length > tiff.source.size || length === 0) continue;
      const kind = what === "thumbnail" ? "content" : "bytes";
      parts.push({ key: what === "thumbnail" ? what : `${called}${what} ${index}`, kind, offset, length });
    }
  }
}

function item(tiff: Tiff, { at, type }: Entry, index: number): number {
  const size = SIZES[type] ?? 1;
  return size > 4 ? 0 : number(tiff, at + index * size, size);
}

const SHOWN = 16;

function shown(tiff: Tiff, { type, count, at, length }: Entry): string {
  if (type === ASCII) return showable(tiff.source.read(at, Math.min(length, 300))).replace(/\0+$/, "");
  if (type === 7) return shownUndefined(tiff.source.read(at, Math.min(length, 64)));
  const size = SIZES[type] ?? 1;
  const values: string[] = [];
  for (let index = 0; index < Math.min(count, SHOWN); index++) values.push(value(tiff, type, at + index * size, size));
  return `${values.join(" ")}${count > SHOWN ? " …" : ""}`;
}

function shownUndefined(bytes: Uint8Array): string {
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? showable(bytes) : hex(bytes);
}

function value(tiff: Tiff, type: number, at: number, size: number): string {
  const bytes = Buffer.from(tiff.source.read(at, size));
  if (type === 5) return `${number(tiff, at, 4)}/${number(tiff, at + 4, 4)}`;
  if (type === 10) return `${number(tiff, at, 4) | 0}/${number(tiff, at + 4, 4) | 0}`;
  if (type === 11) return String(tiff.little ? bytes.readFloatLE(0) : bytes.readFloatBE(0));
  if (type === 12) return String(tiff.little ? bytes.readDoubleLE(0) : bytes.readDoubleBE(0));
  if (type === 6 || type === 8 || type === 9)
    return String(tiff.little ? bytes.readIntLE(0, size) : bytes.readIntBE(0, size));
  return String(number(tiff, at, size));
}
