import type { ByteSource } from "../bytesource.ts";
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { elementsPart, type Elements } from "./elements.ts";
import { derived, type Part } from "./part.ts";

/**
 * Safetensors (https://github.com/huggingface/safetensors, Format):
 *
 *     header length (8, little-endian)
 *     {"name": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, …, "__metadata__": {…}}  spaces
 *     the tensors, offsets counted from here
 */
const MAX_HEADER = 100_000_000;
const MAX_TENSORS = 1_000_000;

const TYPES: Readonly<Record<string, readonly [string, number]>> = {
  BOOL: ["bool", 1],
  U8: ["uint8", 1],
  I8: ["int8", 1],
  U16: ["uint16", 2],
  I16: ["int16", 2],
  U32: ["uint32", 4],
  I32: ["int32", 4],
  U64: ["uint64", 8],
  I64: ["int64", 8],
  F16: ["float16", 2],
  BF16: ["bfloat16", 2],
  F32: ["float32", 4],
  F64: ["float64", 8],
};

interface Tensor {
  name: string;
  from: number;
  to: number;
  elements: Elements;
}

export function safetensorsParts(source: ByteSource, name: string): Iterable<Part> {
  const cursor = new Cursor(source, `${name}: safetensors`, 0, source.size, true);
  const length = cursor.size64();
  if (length > MAX_HEADER) throw new BitforbitError("limit", `${cursor.what}, offset 0: a header of ${length} bytes`);
  const header = parsed(cursor, cursor.bytes(length));
  const base = cursor.at;
  const parts: Part[] = [
    derived("header length", 0, 8),
    { key: "header", kind: "content", offset: 8, length, name: "header.json" },
  ];
  let at = base;
  for (const { name: tensor, from, to, elements } of tensorsOf(cursor, header)) {
    // Tensors that overlap are refused by readers; the bytes belong to the first.
    if (base + from < at || base + to > source.size) cursor.fail(`tensor ${tensor} at ${from} to ${to}`, 8);
    parts.push(elementsPart(`tensor ${tensor}`, base + from, to - from, elements));
    at = base + to;
  }
  return parts;
}

function parsed(cursor: Cursor, bytes: Uint8Array): object {
  let value: unknown;
  try {
    value = JSON.parse(utf8Text(bytes) ?? "");
  } catch {
    value = undefined;
  }
  return typeof value === "object" && value !== null ? value : cursor.fail("a header that is not JSON", 8);
}

function tensorsOf(cursor: Cursor, header: object): Tensor[] {
  const found: Tensor[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const { dtype, shape, data_offsets: offsets }: Record<string, unknown> = Object(value);
    if (!isNumbers(shape) || !isNumbers(offsets) || typeof dtype !== "string")
      cursor.fail(`tensor ${name} is broken`, 8);
    const [from = -1, to = -1] = offsets;
    if (from < 0 || to < from) cursor.fail(`tensor ${name} at ${from} to ${to}`, 8);
    const [type, size] = TYPES[dtype] ?? [dtype, 1];
    found.push({ name, from, to, elements: { type, size, shape } });
    if (found.length > MAX_TENSORS)
      throw new BitforbitError("limit", `${cursor.what}: more than ${MAX_TENSORS} tensors`);
  }
  return found.sort((a, b) => a.from - b.from || a.to - b.to);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}
