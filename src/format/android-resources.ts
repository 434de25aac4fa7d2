import type { ByteSource } from "../bytesource.ts";
import { AndroidBytes, type Chunk, headerParts, type StringPool, valueText } from "./android-chunks.ts";
import { configurationText } from "./android-configuration.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Android's resources.arsc (ResourceTypes.h): a table (type 2) with a pool of
 * values and packages; a package (200) with the names of types and of
 * resources, and for each type which configurations its entries depend on (202)
 * and, for each configuration, their values (201):
 *
 *     type: id(1) flags(1) 0(2) entries(4) where they begin(4) configuration, offsets(4 each)
 *     entry: size(2) flags(2) name(4), then a value(8), or of a complex one: parent(4) count(4), name(4) and value(8) each
 */
const TABLE = 0x0002;
const POOL = 0x0001;
const PACKAGE = 0x0200;
const TYPE = 0x0201;
const TYPE_SPEC = 0x0202;
const SPARSE = 1;
const SHORT_OFFSETS = 2;
const COMPLEX = 1;
const COMPACT = 8;
const NONE = 0xffff_ffff;

interface Table {
  bytes: AndroidBytes;
  values: StringPool | undefined;
  types: StringPool | undefined;
  keys: StringPool | undefined;
}

/** Pools, packages, each resource by its name under its type and configuration. Throws `input`. */
export function* androidResourceParts(source: ByteSource): Generator<Part> {
  const bytes = new AndroidBytes(source);
  const whole = bytes.chunk(0, source.size);
  if (whole.type !== TABLE || whole.headerSize < 12)
    throw bytes.bad(0, `chunk ${whole.type}, where a table (2) is expected`);
  yield* headerParts(0);
  yield derived("packages", 8, 4);
  const table: Table = { bytes, values: undefined, types: undefined, keys: undefined };
  for (const chunk of bytes.chunks(whole.headerSize, whole.size)) {
    if (chunk.type === POOL) {
      table.values = bytes.pool(chunk);
      yield bytes.poolPart("values", table.values);
    } else if (chunk.type === PACKAGE && chunk.headerSize >= 284) yield packagePart(table, chunk);
    else yield otherChunk(chunk);
  }
}

function otherChunk({ type, offset, size }: Chunk): Part {
  return { key: `chunk 0x${type.toString(16)}`, kind: "bytes", offset, length: size };
}

function packagePart(outer: Table, { offset, headerSize, size }: Chunk): Part {
  const { bytes } = outer;
  const name = Buffer.from(bytes.source.read(offset + 12, 256))
    .toString("utf16le")
    .replace(/\0[^]*$/, "");
  const id = bytes.uint32(offset + 8);
  return group(`package ${name}`, offset, size, function* () {
    yield* headerParts(offset);
    yield field("id", offset + 8, 4, () => `0x${id.toString(16)}`);
    yield field("name", offset + 12, 256, () => name);
    yield derived("pools", offset + 268, headerSize - 268);
    const table: Table = { ...outer, types: undefined, keys: undefined };
    for (const chunk of bytes.chunks(offset + headerSize, offset + size)) {
      if (chunk.type === POOL && table.types === undefined) {
        table.types = bytes.pool(chunk);
        yield bytes.poolPart("type names", table.types);
      } else if (chunk.type === POOL && table.keys === undefined) {
        table.keys = bytes.pool(chunk);
        yield bytes.poolPart("resource names", table.keys);
      } else if (chunk.type === TYPE_SPEC && chunk.headerSize >= 16) yield specPart(table, chunk);
      else if (chunk.type === TYPE && chunk.headerSize >= 24) yield typePart(table, chunk);
      else yield otherChunk(chunk);
    }
  });
}

function typeName({ bytes, types }: Table, { offset }: Chunk): string {
  const id = bytes.uint8(offset + 8);
  const name = types === undefined ? undefined : bytes.string(types, id - 1);
  return name ?? `type ${id}`;
}

/** What each entry depends on: bits of configurations. */
function specPart(table: Table, chunk: Chunk): Part {
  const { offset, headerSize, size } = chunk;
  return group(`configurations of ${typeName(table, chunk)}`, offset, size, () => [
    ...headerParts(offset),
    derived("type", offset + 8, 4),
    derived("entries", offset + 12, 4),
    derived("flags", offset + headerSize, size - headerSize),
  ]);
}

function typePart(table: Table, chunk: Chunk): Part {
  const { bytes } = table;
  const { offset, headerSize, size } = chunk;
  const configuration = bytes.source.read(offset + 20, headerSize - 20);
  const text = configurationText(configuration);
  const key = `${typeName(table, chunk)}${text === "" ? "" : ` (${text})`}`;
  return group(key, offset, size, function* () {
    yield* headerParts(offset);
    yield derived("type", offset + 8, 1);
    yield field("flags", offset + 9, 3, () => String(bytes.uint8(offset + 9)));
    yield derived("entries", offset + 12, 8);
    yield field("configuration", offset + 20, headerSize - 20, () => (text === "" ? "any" : text));
    const start = offset + bytes.uint32(offset + 16);
    const tableEnd = Math.min(Math.max(start, offset + headerSize), offset + size);
    yield derived("offsets", offset + headerSize, tableEnd - offset - headerSize);
    let at = tableEnd;
    for (const place of entryPlaces(bytes, chunk, start)) {
      if (place < at || place + 8 > offset + size) continue;
      const part = entryPart(table, place, offset + size);
      if (part === undefined) continue;
      yield part;
      at = part.offset + part.length;
    }
  });
}

/** Where entries stand, in order. */
function entryPlaces(bytes: AndroidBytes, { offset, headerSize, size }: Chunk, start: number): number[] {
  const flags = bytes.uint8(offset + 9);
  const width = (flags & SPARSE) === 0 && (flags & SHORT_OFFSETS) !== 0 ? 2 : 4;
  const count = bytes.uint32(offset + 12);
  if (headerSize + count * width > size) throw bytes.bad(offset + 12, `${count} entries in ${size} bytes`);
  const places: number[] = [];
  for (let nth = 0; nth < count; nth++) {
    const at = offset + headerSize + nth * width;
    if ((flags & SPARSE) !== 0) places.push(start + bytes.uint16(at + 2) * 4);
    else if (width === 2) {
      const short = bytes.uint16(at);
      if (short !== 0xffff) places.push(start + short * 4);
    } else {
      const place = bytes.uint32(at);
      if (place !== NONE) places.push(start + place);
    }
  }
  return places.sort((a, b) => a - b);
}

function entryPart(table: Table, offset: number, end: number): Part | undefined {
  const { bytes, keys } = table;
  const flags = bytes.uint16(offset + 2);
  const name = (nth: number): string => (keys === undefined ? undefined : bytes.string(keys, nth)) ?? `resource ${nth}`;
  if ((flags & COMPACT) !== 0) {
    const data = bytes.uint32(offset + 4);
    const text = valueText(flags >> 8, data, (nth) => stringOf(table, nth));
    return field(name(bytes.uint16(offset)), offset, 8, () => text);
  }
  const key = name(bytes.uint32(offset + 4));
  const size = bytes.uint16(offset);
  if ((flags & COMPLEX) === 0) {
    if (size < 8 || offset + size + 8 > end) return undefined;
    return valuePart(table, key, offset, size, [field("flags", offset + 2, 2, () => String(flags))]);
  }
  if (size < 16 || offset + size > end) return undefined;
  const count = bytes.uint32(offset + 12);
  const length = size + count * 12;
  if (offset + length > end) return undefined;
  return group(key, offset, length, function* () {
    yield derived("size", offset, 2);
    yield field("flags", offset + 2, 2, () => String(flags));
    yield derived("name", offset + 4, 4);
    yield field(
      "parent",
      offset + 8,
      4,
      () =>
        `@0x${bytes
          .uint32(offset + 8)
          .toString(16)
          .padStart(8, "0")}`,
    );
    yield derived("count", offset + 12, size - 12);
    for (let at = offset + size; at < offset + length; at += 12) {
      const id = bytes.uint32(at);
      yield valuePart(table, `0x${id.toString(16).padStart(8, "0")}`, at, 4, []);
    }
  });
}

function stringOf({ bytes, values }: Table, nth: number): string | undefined {
  return values === undefined ? undefined : bytes.string(values, nth);
}

/** What stands before a value, `before` bytes, and the value; as in binary XML, a string belongs to the key. */
function valuePart(table: Table, name: string, offset: number, before: number, inside: readonly Part[]): Part {
  const { bytes } = table;
  const at = offset + before;
  const type = bytes.uint8(at + 3);
  const text = valueText(type, bytes.uint32(at + 4), (nth) => stringOf(table, nth)).slice(0, 400);
  const isString = type === 3;
  const key = isString ? `${name}=${JSON.stringify(text.slice(0, 200))}` : name;
  const parts = (): Part[] => {
    const rest =
      inside.length === 0 ? [] : [derived("size", offset, 2), ...inside, derived("name", offset + 4, before - 4)];
    return [
      ...(inside.length === 0 ? [field("name", offset, 4, () => name)] : rest),
      field("value type", at, 4, () => `0x${type.toString(16)}`),
      isString ? derived("value", at + 4, 4) : field("value", at + 4, 4, () => text),
    ];
  };
  return { ...group(key, offset, before + 8, parts), show: () => text };
}
