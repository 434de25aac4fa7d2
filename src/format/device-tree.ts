import { hex, showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { derived, group, type Part } from "./part.ts";

/**
 * Cuts a flattened device tree (Devicetree Specification 0.4, chapter 5), big
 * endian: nodes by name, properties with their values. U-Boot's FIT images
 * are such trees, whose `data` properties are kernels and RAM disks and whose
 * `timestamp` is a time.
 *
 *     header(40)  memory reservations  structure: tokens  strings: names of properties
 */
interface Tree {
  bytes: Uint8Array;
  view: DataView;
  name: string;
  strings: number;
  stringsEnd: number;
  end: number;
}

const HEADER = 40;
const MAX_SIZE = 1 << 30;
const MAX_DEPTH = 64;
const MAX_NODES = 1_000_000;
/** Values from here on are looked into as files of their own. */
const LARGE = 512;
const BEGIN = 1;
const END = 2;
const PROPERTY = 3;
const NOTHING = 4;
const LAST = 9;

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: device tree, offset ${offset}: ${what}`);
}

/** Throws `input` for what is no device tree of version 16 or 17. */
export function deviceTreeParts(source: ByteSource, name: string): Iterable<Part> {
  if (source.size < HEADER) throw bad(name, source.size, "cut off in the header");
  if (source.size > MAX_SIZE) throw new BitforbitError("limit", `${name}: device tree: over ${MAX_SIZE} bytes`);
  const head = viewOf(source.read(0, HEADER));
  const word = (index: number): number => head.getUint32(index * 4);
  if (word(0) !== 0xd00dfeed) throw bad(name, 0, "no magic number");
  const [total, structure, strings, reserved] = [word(1), word(2), word(3), word(4)];
  const [version, compatible] = [word(5), word(6)];
  if (compatible > 17 || version < 16) throw bad(name, 20, `version ${version}`);
  const size = Math.min(total, source.size);
  const stringsEnd = strings + word(8);
  const structureEnd = version < 17 ? strings : structure + word(9);
  if (structure < HEADER || structureEnd > size || structureEnd < structure || stringsEnd > size) {
    throw bad(name, 8, `structure at ${structure} to ${structureEnd}, strings to ${stringsEnd}, in ${size} bytes`);
  }
  const bytes = source.read(0, size).slice();
  const tree: Tree = { bytes, view: viewOf(bytes), name, strings, stringsEnd, end: structureEnd };
  const parts: Part[] = [
    group("header", 0, HEADER, () => headerParts(head)),
    ...reservations(tree, reserved, Math.min(structure, size)),
    group("", structure, structureEnd - structure, () => nodesFrom(tree, structure)),
    derived("names of properties", strings, stringsEnd - strings),
  ];
  return parts.toSorted((a, b) => a.offset - b.offset).filter(afterTheLast());
}

function afterTheLast(): (part: Part) => boolean {
  let end = 0;
  return ({ offset, length }) => {
    if (offset < end) return false;
    end = offset + length;
    return true;
  };
}

function* headerParts(head: DataView): Generator<Part> {
  yield derived("magic, sizes and places", 0, 20);
  const number = (at: number): string => String(head.getUint32(at));
  yield { key: "version", kind: "field", offset: 20, length: 4, show: () => number(20) };
  yield { key: "compatible version", kind: "field", offset: 24, length: 4, show: () => number(24) };
  yield { key: "boot CPU", kind: "field", offset: 28, length: 4, show: () => number(28) };
  yield derived("sizes", 32, 8);
}

/** Address and size, up to a pair of zeros. */
function* reservations({ view }: Tree, from: number, end: number): Generator<Part> {
  for (let at = from; at >= HEADER && at + 16 <= end; at += 16) {
    const [address, size] = [view.getBigUint64(at), view.getBigUint64(at + 8)];
    const show = (): string => `0x${address.toString(16)}, ${size} bytes`;
    yield { key: "reserved memory", kind: "field", offset: at, length: 16, show };
    if (address === 0n && size === 0n) return;
  }
}

/** Where the node's name, or a property's value, ends: tokens stand at multiples of four. */
function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}

interface Open {
  start: number;
  path: string;
  /** Properties and the tokens between them; nodes inside are parts of their own. */
  parts: Part[];
}

/** Each node becomes a group named by its path, with its own properties in it. */
function nodesFrom(tree: Tree, start: number): Part[] {
  const { view, end, name } = tree;
  const done: Part[] = [];
  const open: Open[] = [];
  let at = start;
  const finish = (node: Open, to: number): void => {
    if (to > node.start) done.push(group(node.path, node.start, to - node.start, () => node.parts));
  };
  for (;;) {
    if (at + 4 > end) throw bad(name, at, "the structure does not end");
    if (done.length > MAX_NODES) throw new BitforbitError("limit", `${name}: device tree: over ${MAX_NODES} nodes`);
    const token = view.getUint32(at);
    const current = open.at(-1);
    if (token === LAST) return done.filter(afterTheLast());
    if (token === NOTHING) at += 4;
    else if (token === BEGIN) {
      if (open.length >= MAX_DEPTH) throw bad(name, at, `nodes over ${MAX_DEPTH} deep`);
      const close = tree.bytes.indexOf(0, at + 4);
      if (close < 0 || close >= end) throw bad(name, at, "a node's name that does not end");
      // What comes before a node inside is its parent's; what comes after it would be, too, but nobody writes that.
      if (current !== undefined) finish(current, at);
      const own = showable(tree.bytes.subarray(at + 4, close));
      const path = current === undefined ? "/" : `${current.path === "/" ? "" : current.path}/${own}`;
      const next = aligned(close + 1);
      open.push({ start: at, path, parts: [derived("name", at, next - at)] });
      at = next;
    } else if (token === END && current !== undefined) {
      open.pop();
      at += 4;
      current.parts.push(derived("end", at - 4, 4));
      finish(current, at);
      const above = open.at(-1);
      if (above !== undefined) open[open.length - 1] = { start: at, path: above.path, parts: [] };
    } else if (token === PROPERTY && current !== undefined) at = property(tree, at, current);
    else throw bad(name, at, `a token ${token}`);
  }
}

function property(tree: Tree, at: number, { parts, path }: Open): number {
  const { bytes, view, end, name, strings, stringsEnd } = tree;
  if (at + 12 > end) throw bad(name, at, "cut off in a property");
  const length = view.getUint32(at + 4);
  const nameAt = strings + view.getUint32(at + 8);
  const close = nameAt < stringsEnd ? bytes.indexOf(0, nameAt) : -1;
  const next = aligned(at + 12 + length);
  if (close < 0 || next > end) throw bad(name, at, `a property of ${length} bytes`);
  const key = showable(bytes.subarray(nameAt, close));
  const value = bytes.subarray(at + 12, at + 12 + length);
  parts.push(derived("header of a property", at, 12));
  const place = { offset: at + 12, length };
  // Of a FIT image's piece; what it is a checksum of stands above it.
  const checksum = key === "value" && /\/(?:hash|checksum)[^/]*$/.test(path);
  if (checksum) parts.push(derived(key, place.offset, length));
  else if (key === "data" || length >= LARGE) parts.push({ key, kind: "content", ...place });
  else
    parts.push({
      key,
      kind: "field",
      label: key === "timestamp" ? "mtime" : key,
      ...place,
      show: () => valueText(key, value),
    });
  if (next > at + 12 + length) {
    const offset = at + 12 + length;
    parts.push({ key: "padding", kind: "padding", offset, length: next - offset });
  }
  return next;
}

/** Strings where it looks like strings, otherwise 32-bit cells, otherwise bytes: a tree does not say. */
function valueText(key: string, value: Uint8Array): string {
  if (value.length === 0) return "present";
  const view = viewOf(value);
  if (key === "timestamp" && value.length === 4) return String(view.getUint32(0));
  const texts = Buffer.from(value).toString("latin1").split("\0");
  if (texts.length > 1 && texts.pop() === "" && texts.every((text) => /^[\x20-\x7e]+$/.test(text))) {
    return texts.map((text) => JSON.stringify(text)).join(", ");
  }
  if (value.length % 4 !== 0) return hex(value.subarray(0, 64));
  const cells: string[] = [];
  for (let at = 0; at < Math.min(value.length, 64); at += 4) cells.push(`0x${view.getUint32(at).toString(16)}`);
  return `<${cells.join(" ")}>`;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
