import type { ByteSource } from "../bytesource.ts";
import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { elementsPart, type Elements } from "./elements.ts";
import { listing, quoted } from "./listing.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * GGUF models (ggml, docs/gguf.md), little-endian; version 2 and 3:
 *
 *     "GGUF"  version(4)  tensors(8)  pairs(8)
 *     pairs: key, type(4), value;  a string is its length(8) and its bytes
 *     tensors: name, dimensions(4), each(8), type(4), offset(8)
 *     padding to the alignment, then the tensors' data, each aligned
 */
const MAX_COUNT = 1_000_000;
const MAX_ITEMS = 20_000_000;

/** Types of values: what it is called, bytes; 8 is a string, 9 an array. */
const VALUES: readonly (readonly [string, number])[] = [
  ["uint8", 1],
  ["int8", 1],
  ["uint16", 2],
  ["int16", 2],
  ["uint32", 4],
  ["int32", 4],
  ["float32", 4],
  ["bool", 1],
  ["string", 0],
  ["array", 0],
  ["uint64", 8],
  ["int64", 8],
  ["float64", 8],
];
const STRING = 8;
const ARRAY = 9;

/** Types of tensors: what it is called, elements of a block, bytes of a block (ggml.c, type_traits). */
const TENSORS: Readonly<Record<number, readonly [string, number, number]>> = {
  0: ["float32", 1, 4],
  1: ["float16", 1, 2],
  2: ["Q4_0", 32, 18],
  3: ["Q4_1", 32, 20],
  6: ["Q5_0", 32, 22],
  7: ["Q5_1", 32, 24],
  8: ["Q8_0", 32, 34],
  9: ["Q8_1", 32, 36],
  10: ["Q2_K", 256, 84],
  11: ["Q3_K", 256, 110],
  12: ["Q4_K", 256, 144],
  13: ["Q5_K", 256, 176],
  14: ["Q6_K", 256, 210],
  15: ["Q8_K", 256, 292],
  16: ["IQ2_XXS", 256, 66],
  17: ["IQ2_XS", 256, 74],
  18: ["IQ3_XXS", 256, 98],
  19: ["IQ1_S", 256, 50],
  20: ["IQ4_NL", 32, 18],
  21: ["IQ3_S", 256, 110],
  22: ["IQ2_S", 256, 82],
  23: ["IQ4_XS", 256, 136],
  24: ["int8", 1, 1],
  25: ["int16", 1, 2],
  26: ["int32", 1, 4],
  27: ["int64", 1, 8],
  28: ["float64", 1, 8],
  29: ["IQ1_M", 256, 56],
  30: ["bfloat16", 1, 2],
  34: ["TQ1_0", 256, 54],
  35: ["TQ2_0", 256, 66],
  39: ["MXFP4", 32, 17],
};

interface Tensor {
  name: string;
  offset: number;
  length: number;
  elements: Elements;
}

export function ggufParts(source: ByteSource, name: string): Iterable<Part> {
  const cursor = new Cursor(source, `${name}: GGUF`, 0, source.size, true);
  if (showable(cursor.bytes(4)) !== "GGUF") cursor.fail("not GGUF", 0);
  const version = cursor.u32();
  if (version !== 2 && version !== 3) cursor.fail(`version ${version}`, 4);
  const [tensors, pairs] = [counted(cursor), counted(cursor)];
  const parts: Part[] = [
    field("magic", 0, 4),
    field("version", 4, 4, () => String(version)),
    derived("tensors count", 8, 8),
    derived("pairs count", 16, 8),
  ];
  let alignment = 32;
  for (let index = 0; index < pairs; index++) {
    const { part, key, number } = pair(cursor);
    if (key === "general.alignment" && number !== undefined && isAlignment(number)) alignment = number;
    parts.push(part);
  }
  const found: Tensor[] = [];
  for (let index = 0; index < tensors; index++) parts.push(tensorInfo(cursor, found));
  const base = Math.ceil(cursor.at / alignment) * alignment;
  const filler = Math.min(base, source.size) - cursor.at;
  if (filler > 0) parts.push({ key: "alignment", kind: "padding", offset: cursor.at, length: filler });
  return [...parts, ...dataParts(cursor, base, found)];
}

function isAlignment(number: number): boolean {
  return Number.isInteger(number) && number > 0 && number <= 1 << 20;
}

function counted(cursor: Cursor): number {
  const at = cursor.at;
  const count = cursor.size64();
  if (count > MAX_COUNT) throw new BitforbitError("limit", `${cursor.what}, offset ${at}: ${count} entries`);
  return count;
}

function text(cursor: Cursor): string {
  const length = cursor.size64();
  const at = cursor.skip(length);
  return showable(cursor.source.read(at, Math.min(length, 2000)));
}

function pair(cursor: Cursor): { part: Part; key: string; number: number | undefined } {
  const at = cursor.at;
  const key = text(cursor);
  const typeAt = cursor.at;
  const type = cursor.u32();
  const valueAt = cursor.at;
  const inside: Part[] = [
    derived("key", at, typeAt - at),
    field("type", typeAt, 4, () => VALUES[type]?.[0] ?? String(type)),
  ];
  let number: number | undefined;
  if (type === STRING) {
    const shown = text(cursor);
    inside.push(field("value", valueAt, cursor.at - valueAt, () => quoted(shown)));
  } else if (type === ARRAY) inside.push(...array(cursor));
  else {
    const shown = scalar(cursor, type);
    number = Number(shown);
    inside.push(field("value", valueAt, cursor.at - valueAt, () => shown));
  }
  return { part: group(key, at, cursor.at - at, () => inside), key, number };
}

function scalar(cursor: Cursor, type: number): string {
  const [name, size] = VALUES[type] ?? cursor.fail(`a value of the type ${type}`, cursor.at - 4);
  const view = cursor.view(size);
  if (name === "float32") return String(Number(view.getFloat32(0, true).toPrecision(8)));
  if (name === "float64") return String(view.getFloat64(0, true));
  if (name === "bool") return view.getUint8(0) === 0 ? "false" : "true";
  const signed = name.startsWith("i");
  let value = 0n;
  for (let index = size - 1; index >= 0; index--) value = (value << 8n) | BigInt(view.getUint8(index));
  return String(signed ? BigInt.asIntN(size * 8, value) : value);
}

function array(cursor: Cursor): Part[] {
  const at = cursor.at;
  const type = cursor.u32();
  const count = cursor.size64();
  const itemsAt = cursor.at;
  const parts = [
    field("type of items", at, 4, () => VALUES[type]?.[0] ?? String(type)),
    derived("items count", at + 4, 8),
  ];
  if (count > MAX_ITEMS) throw new BitforbitError("limit", `${cursor.what}, offset ${at}: ${count} items`);
  if (type === STRING) {
    for (let index = 0; index < count; index++) cursor.skip(cursor.size64());
    const length = cursor.at - itemsAt;
    if (length === 0) return parts;
    const lines = function* (): Iterable<string> {
      const inside = new Cursor(cursor.source, cursor.what, itemsAt, itemsAt + length, true);
      while (inside.left > 0) yield JSON.stringify(text(inside));
    };
    return [...parts, listing("items", itemsAt, length, "strings", lines)];
  }
  const [name, size] = VALUES[type] ?? cursor.fail(`items of the type ${type}`, at);
  if (type === ARRAY) cursor.fail("arrays within arrays", at);
  cursor.skip(count * size);
  if (count === 0) return parts;
  return [...parts, elementsPart("items", itemsAt, count * size, { type: name, size, shape: [count] })];
}

const MAX_DIMENSIONS = 8;

function tensorInfo(cursor: Cursor, found: Tensor[]): Part {
  const at = cursor.at;
  const name = text(cursor);
  const shapeAt = cursor.at;
  const dimensions = cursor.u32();
  if (dimensions > MAX_DIMENSIONS) cursor.fail(`a tensor of ${dimensions} dimensions`, shapeAt);
  const shape: number[] = [];
  for (let index = 0; index < dimensions; index++) shape.unshift(cursor.size64());
  const typeAt = cursor.at;
  const type = cursor.u32();
  const offset = cursor.size64();
  const [called, items, size] = TENSORS[type] ?? [`type ${type}`, 1, 0];
  const total = shape.reduce((product, each) => product * each, 1);
  const length = (total / items) * size;
  if (!Number.isSafeInteger(length)) cursor.fail(`tensor ${name} of ${total} elements`, shapeAt);
  found.push({ name, offset, length, elements: { type: called, size, shape } });
  return group(`tensor ${name} described`, at, cursor.at - at, () => [
    derived("name", at, shapeAt - at),
    field("shape", shapeAt, typeAt - shapeAt, () => `[${shape.join(", ")}]`),
    field("type", typeAt, 4, () => called),
    derived("offset", typeAt + 4, 8),
  ]);
}

function* dataParts(cursor: Cursor, base: number, tensors: readonly Tensor[]): Iterable<Part> {
  let at = Math.min(base, cursor.end);
  for (const { name, offset, length, elements } of tensors.toSorted((a, b) => a.offset - b.offset)) {
    if (length === 0) continue;
    const from = base + offset;
    if (from < at || from + length > cursor.end) cursor.fail(`tensor ${name} at ${from}, ${length} bytes`, from);
    if (from > at) yield { key: "alignment", kind: "padding", offset: at, length: from - at };
    yield elementsPart(`tensor ${name}`, from, length, elements);
    at = from + length;
  }
}
