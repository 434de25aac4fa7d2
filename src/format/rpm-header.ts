import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, field, group, type Part } from "./part.ts";
import { rpmNames, rpmValue, stringEnds } from "./rpm-values.ts";
import { rpmTag } from "./rpm-tags.ts";

/**
 * rpm's header structure, all numbers with the highest byte first:
 *
 *     8e ad e8 01, reserved(4), entries(4), size of the store(4)
 *     entries: tag(4) type(4) offset in the store(4) count(4)
 *     store: the values; numbers stand at multiples of their size, strings end with NUL
 */
export interface RpmHeader {
  offset: number;
  signature: boolean;
  /** In the order of the store. */
  entries: RpmEntry[];
  storeOffset: number;
  end: number;
}

export interface RpmEntry {
  name: string;
  type: number;
  count: number;
  /** Where its index entry and its value stand in the file; the value reaches at most to `limit`. */
  indexOffset: number;
  offset: number;
  limit: number;
}

/** Of type 2 to 5, and of 1 and 7: bytes of one value. */
const SIZES: readonly (number | undefined)[] = [0, 1, 1, 2, 4, 8, undefined, 1, undefined, undefined];
const STRING = 6;
const BINARY = 7;
const MAX_ENTRIES = 65_535;
const MAX_STORE = 256 << 20;

/** What only follows from the payload, the files or other tags. */
const DERIVED =
  /^(?:header.*|size|longsize|longarchivesize|sigsize|longsigsize|archivesize|payloadsize|md5|sigmd5|sha1|sha1header|sha256|sha256header|payloaddigest|payloaddigestalt|filesizes|longfilesizes|filedigests|fileinodes|dirindexes|fileclass|filedependsx|filedependsn|dependsdict|sourcepkgid)$/;
const SIGNATURES = /^(?:pgp|gpg|dsa|rsa|pgp5|siggpg|sigpgp|dsaheader|rsaheader)$/;

/** The structure at `offset`, entries checked to lie within the store. Throws `input`, `limit`. */
export function rpmHeader(source: ByteSource, offset: number, signature: boolean): RpmHeader {
  if (offset + 16 > source.size) throw bad(source, offset, "cut off before a header");
  const start = viewOf(source, offset, 16);
  if (start.getUint32(0) >>> 8 !== 0x8eade8) throw bad(source, offset, "no header, which begins with 8eade8");
  const count = start.getUint32(8);
  const size = start.getUint32(12);
  if (count > MAX_ENTRIES || size > MAX_STORE) {
    throw new BitforbitError("limit", `${source.name}: an rpm header of ${count} entries and ${size} bytes`);
  }
  const storeOffset = offset + 16 + count * 16;
  const end = storeOffset + size;
  if (end > source.size) throw bad(source, offset, `a header that ends at ${end}, but the file at ${source.size}`);
  const index = viewOf(source, offset + 16, count * 16);
  const entries: RpmEntry[] = [];
  for (let at = 0; at < count; at++) {
    const value = index.getInt32(at * 16 + 8);
    if (value < 0 || value > size) throw bad(source, offset + 16 + at * 16 + 8, `a value at ${value} of ${size}`);
    entries.push({
      name: rpmTag(index.getUint32(at * 16), signature),
      type: index.getUint32(at * 16 + 4),
      count: index.getUint32(at * 16 + 12),
      indexOffset: offset + 16 + at * 16,
      offset: storeOffset + value,
      limit: end,
    });
  }
  entries.sort((a, b) => a.offset - b.offset || a.indexOffset - b.indexOffset);
  // Each value ends where the next begins, so that reading all of them is reading the store once.
  for (const [at, entry] of entries.entries()) entry.limit = entries[at + 1]?.offset ?? end;
  return { offset, signature, entries, storeOffset, end };
}

/** The structure's parts: what it states of itself, the index, each value by its tag. */
export function* rpmHeaderParts(source: ByteSource, header: RpmHeader): Generator<Part> {
  const { offset, storeOffset, entries } = header;
  yield field("magic", offset, 4);
  yield field("reserved", offset + 4, 4);
  yield derived("entries", offset + 8, 4);
  yield derived("store size", offset + 12, 4);
  for (const entry of entries.toSorted((a, b) => a.indexOffset - b.indexOffset)) {
    yield derived(`index of ${entry.name}`, entry.indexOffset, 16);
  }
  const names = rpmNames(source, entries);
  let at = storeOffset;
  for (const entry of entries) {
    const length = valueLength(source, entry);
    if (length === undefined || length === 0) continue;
    if (entry.offset > at)
      yield { key: `padding before ${entry.name}`, kind: "padding", offset: at, length: entry.offset - at };
    yield valuePart(source, entry, length, names);
    at = entry.offset + length;
  }
}

/** Bytes of the value; undefined where they do not fit before the next one begins. */
function valueLength(source: ByteSource, entry: RpmEntry): number | undefined {
  const size = SIZES[entry.type];
  const most = entry.limit - entry.offset;
  if (size !== undefined) return entry.count * size <= most ? entry.count * size : undefined;
  if (entry.type > 9) return undefined;
  const strings = entry.type === STRING ? 1 : entry.count;
  const end = stringEnds(source, entry, strings).at(-1);
  return end === undefined ? undefined : end - entry.offset;
}

function valuePart(source: ByteSource, entry: RpmEntry, length: number, names: ReturnType<typeof rpmNames>): Part {
  const { name, type, offset, count } = entry;
  if (name === "reservedspace") return { key: name, kind: "padding", offset, length };
  if (SIGNATURES.test(name)) return { key: name, kind: "content", offset, length, name: `${name}.sig` };
  const isDerived = DERIVED.test(name);
  if (type === BINARY)
    return isDerived ? derived(name, offset, length) : field(name, offset, length, shownBinary(source, offset, length));
  const keys = names(name);
  const size = SIZES[type];
  if (count === 1 && keys === undefined) {
    if (isDerived) return derived(name, offset, length);
    return field(name, offset, length, () => rpmValue(source, name, type, offset, length));
  }
  return group(name, offset, length, function* () {
    const ends = size === undefined ? stringEnds(source, entry, count) : undefined;
    let at = offset;
    for (let nth = 0; nth < count; nth++) {
      const end = ends === undefined ? at + (size ?? 0) : ends[nth];
      if (end === undefined) return;
      const from = at;
      const shown = (): string => rpmValue(source, name, type, from, end - from);
      const key = named(keys?.[nth] ?? (ends === undefined ? String(nth + 1) : shown().slice(0, 200)));
      if (isDerived) yield derived(key, from, end - from);
      // A time is a field of the file: so are those of other archives.
      else if (name === "filemtimes") yield timeOf(key, from, end - from, shown);
      else yield field(key, from, end - from, shown);
      at = end;
    }
  });
}

/** A field without a name could not be told. */
const named = (key: string): string => (key === "" ? "(empty)" : key);

function timeOf(file: string, offset: number, length: number, show: () => string): Part {
  return { ...group(file, offset, length, () => [field("mtime", offset, length, show)]), show };
}

function shownBinary(source: ByteSource, offset: number, length: number): () => string {
  return () => Buffer.from(source.read(offset, Math.min(64, length))).toString("hex");
}

/** A string of the header, for those that the file's other parts depend on. */
export function rpmString(source: ByteSource, header: RpmHeader, name: string): string | undefined {
  const entry = header.entries.find((one) => one.name === name && one.type === STRING);
  if (entry === undefined) return undefined;
  const bytes = source.read(entry.offset, Math.min(256, entry.limit - entry.offset));
  const end = bytes.indexOf(0);
  return end < 0 ? undefined : showable(bytes.subarray(0, end));
}

function viewOf(source: ByteSource, offset: number, length: number): DataView {
  const bytes = source.read(offset, length);
  return new DataView(bytes.buffer, bytes.byteOffset, length);
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: rpm, offset ${offset}: ${what}`);
}
