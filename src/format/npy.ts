import type { ByteSource } from "../bytesource.ts";
import { Cursor } from "./cursor.ts";
import { elementsPart } from "./elements.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * NumPy arrays (NEP 1, numpy.lib.format):
 *
 *     93 "NUMPY" major minor  header length (2; from version 2 on 4)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  spaces, newline
 *     the elements
 *
 * An .npz is a zip of them.
 */
const MAX_HEADER = 1 << 20;

const KINDS: Readonly<Record<string, string>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

export function npyParts(source: ByteSource, name: string): Iterable<Part> {
  const cursor = new Cursor(source, `${name}: NumPy array`, 0, source.size, true);
  if (Buffer.from(cursor.bytes(6)).toString("latin1") !== "\x93NUMPY") cursor.fail("not its first six bytes", 0);
  const major = cursor.u8();
  const minor = cursor.u8();
  const length = major === 1 ? cursor.u16() : cursor.u32();
  if (length > MAX_HEADER) cursor.fail(`a header of ${length} bytes`);
  const at = cursor.at;
  const text = Buffer.from(cursor.bytes(length)).toString("latin1");
  return [
    field("magic", 0, 6),
    field("format version", 6, 2, () => `${major}.${minor}`),
    derived("header length", 8, at - 8),
    ...headerParts(text, at),
    ...data(text, cursor),
  ];
}

const VALUES: readonly (readonly [string, RegExp])[] = [
  ["descr", /'descr':\s*('[^']*'|\[.*?\](?=,\s*'))/],
  ["fortran_order", /'fortran_order':\s*(\w+)/],
  ["shape", /'shape':\s*(\([^)]*\))/],
];

function headerParts(text: string, at: number): Part[] {
  const found: Part[] = [];
  for (const [key, pattern] of VALUES) {
    const match = pattern.exec(text);
    const value = match?.[1];
    if (match === null || value === undefined) continue;
    found.push(field(key, at + match.index + match[0].length - value.length, value.length, () => value.slice(0, 400)));
  }
  found.sort((a, b) => a.offset - b.offset);
  const end = found.reduce((last, part) => Math.max(last, part.offset + part.length), at);
  const rest = /^(?:,\s*)?\}/.exec(text.slice(end - at))?.[0].length ?? 0;
  const parts: Part[] = [];
  let done = at;
  for (const part of found) {
    // One value's text within another's: a header that no NumPy writes.
    if (part.offset < done) continue;
    if (part.offset > done) parts.push(field("header", done, part.offset - done));
    parts.push(part);
    done = part.offset + part.length;
  }
  if (rest > 0) parts.push(field("header", end, rest));
  const spaces = at + text.length - end - rest;
  return spaces > 0
    ? [...parts, { key: "header padding", kind: "padding", offset: end + rest, length: spaces }]
    : parts;
}

function data(text: string, cursor: Cursor): Part[] {
  if (cursor.left === 0) return [];
  const type = /'descr':\s*'([<>|=]?)([a-zA-Z]\d+)'/.exec(text);
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1] ?? "";
  const sizes = shape
    .split(",")
    .map((size) => size.trim())
    .filter((size) => /^\d{1,15}$/.test(size))
    .map(Number);
  const kind = KINDS[type?.[2] ?? ""];
  const size = Number(/\d+$/.exec(type?.[2] ?? "")?.[0] ?? 0);
  if (kind === undefined || size === 0) {
    return [{ key: "elements", kind: "bytes", offset: cursor.at, length: cursor.left }];
  }
  const elements = {
    type: kind,
    size,
    shape: sizes,
    big: type?.[1] === ">",
    fortran: /'fortran_order':\s*True/.test(text),
  };
  return [elementsPart("elements", cursor.at, cursor.left, elements)];
}
