import type { ByteSource } from "../bytesource.ts";
import { hex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { Cursor } from "./cursor.ts";
import { listing } from "./listing.ts";
import {
  codeName,
  headLength,
  literal,
  type Node,
  readMarshal,
  resolved,
  stringBytes,
  textOf,
  TYPE_NAMES,
} from "./marshal.ts";
import { derived, field, group, type Part } from "./part.ts";
import { bytecodeLines } from "./python-code.ts";
import { opcodesOf } from "./python-opcodes.ts";
import { exceptionLines, positionLines } from "./python-tables.ts";

/**
 * Compiled Python (CPython, Lib/importlib/_bootstrap_external.py):
 *
 *     magic(2) 0d 0a                                  which version of the bytecode
 *     flags(4)                                        from 3.7 on (PEP 552)
 *     mtime(4) source size(4)  or  source hash(8)     by the flags; before 3.3 no size
 *     a code object as marshal writes it
 *
 * Code objects are cut by qualified name, nested as the source nests them.
 */
const MAX_SIZE = 64 << 20;

/** First magic number of each version that is read, newest first. */
const VERSIONS: readonly [number, number][] = [
  [3600, 314],
  [3550, 313],
  [3500, 312],
  [3450, 311],
  [3430, 310],
  [3420, 309],
  [3400, 308],
  [3390, 307],
  [3360, 306],
  [3000, 305],
];
const PYTHON_27 = 62_211;

interface Module {
  cursor: Cursor;
  version: number;
}

export function pycParts(source: ByteSource, name: string): Iterable<Part> {
  const what = `${name}: compiled Python`;
  if (source.size > MAX_SIZE) throw new BitforbitError("limit", `${what}: ${source.size} bytes`);
  const cursor = new Cursor(source, what, 0, source.size, true);
  const magic = cursor.u16();
  const version = versionOf(magic);
  if (version === undefined || cursor.u16() !== 0x0a0d) return cursor.fail(`magic number ${magic}`, 0);
  const parts = [
    field("version", 0, 4, () => `${versionName(version)} (magic number ${magic})`),
    ...header(cursor, version),
  ];
  if (version === 305) return [...parts, { key: "code", kind: "bytes", offset: cursor.at, length: cursor.left }];
  const root = readMarshal(cursor, version);
  return [...parts, ...(root.code === undefined ? [] : [codePart({ cursor, version }, root)])];
}

function versionOf(magic: number): number | undefined {
  if (magic === PYTHON_27) return 207;
  // What comes after 3.14 is not known yet.
  return magic >= 3650 ? undefined : VERSIONS.find(([first]) => magic >= first)?.[1];
}

function versionName(version: number): string {
  return version === 305 ? "Python 3, before 3.6" : `Python ${Math.floor(version / 100)}.${version % 100}`;
}

function header(cursor: Cursor, version: number): Part[] {
  const parts: Part[] = [];
  let flags = 0;
  if (version >= 307) {
    flags = cursor.u32();
    const shown = ["checked by mtime", "source hash, unchecked", "?", "source hash, checked"][flags] ?? String(flags);
    parts.push(field("invalidation", 4, 4, () => shown));
  }
  const at = cursor.at;
  if ((flags & 1) !== 0) {
    const hash = hex(cursor.bytes(8));
    return [...parts, field("source hash", at, 8, () => hash)];
  }
  const mtime = cursor.u32();
  parts.push(field("mtime", at, 4, () => String(mtime)));
  if (version >= 300) parts.push(derived("source size", cursor.skip(4), 4));
  return parts;
}

const FLAGS =
  "OPTIMIZED NEWLOCALS VARARGS VARKEYWORDS NESTED GENERATOR NOFREE COROUTINE ITERABLE_COROUTINE ASYNC_GENERATOR".split(
    " ",
  );

function flagNames(flags: number): string {
  const names = FLAGS.filter((_, bit) => (flags & (1 << bit)) !== 0);
  const rest = flags >>> FLAGS.length;
  if (rest !== 0) names.push(`0x${((rest << FLAGS.length) >>> 0).toString(16)}`);
  return names.join(" ") || "none";
}

const MARKS =
  "marks of references and of interned strings follow from reference counts while compiling, not from the source";

/** The type byte; a mark in it says nothing of the code. */
function typePart(node: Node): Part {
  return { ...field("marshal type", node.at, 1, () => typeOf(node)), compare: () => MARKS };
}

function typeOf(node: Node): string {
  return `${TYPE_NAMES[node.type] ?? node.type}${node.marked ? ", FLAG_REF" : ""}`;
}

function codePart(module: Module, node: Node): Part {
  const { cursor } = module;
  return group(`code ${codeName(cursor, node)}`, node.at, node.end - node.at, () => codeParts(module, node));
}

function* codeParts(module: Module, node: Node): Iterable<Part> {
  const { code } = node;
  if (code === undefined) return;
  yield typePart(node);
  const members = [
    ...[...code.numbers].map(([name, { at, value }]) => ({ name, at, value, object: undefined })),
    ...[...code.objects].map(([name, object]) => ({ name, at: object.at, value: 0, object })),
  ].sort((a, b) => a.at - b.at);
  for (const { name, at, value, object } of members) {
    if (object !== undefined) yield* memberParts(module, node, name, object);
    else if (name === "co_nlocals") yield derived(name, at, 4);
    else yield field(name, at, 4, () => (name === "co_flags" ? flagNames(value) : String(value)));
  }
}

function* memberParts(module: Module, code: Node, name: string, object: Node): Iterable<Part> {
  const { cursor, version } = module;
  const lines = linesOf(module, code, name, object);
  const length = object.end - object.at;
  if (lines !== undefined && object.type === "s") {
    yield typePart(object);
    yield derived(`${name} length`, object.at + 1, 4);
    if (length > 5) yield listing(name === "co_code" ? "bytecode" : name, object.at + 5, length - 5, name, lines);
  } else if (name === "co_consts") {
    yield group("", object.at, length, () => objectParts(module, "constant", object));
  } else if (/names$|vars$/.test(name)) {
    yield group(name, object.at, length, () => objectParts(module, "name", object));
  } else {
    yield* valueParts(name, object, () => literal(cursor, object, version, 400));
  }
}

function linesOf(module: Module, node: Node, name: string, object: Node): (() => string[]) | undefined {
  const { cursor, version } = module;
  const bytes = (): Uint8Array => stringBytes(cursor, object);
  if (name === "co_code") {
    const opcodes = opcodesOf(`${Math.floor(version / 100)}.${version % 100}`);
    return opcodes === undefined ? undefined : () => bytecodeLines(cursor, node, version, opcodes);
  }
  if (name === "co_lnotab" || name === "co_linetable") return () => positionLines(bytes(), version);
  return name === "co_exceptiontable" ? () => exceptionLines(bytes()) : undefined;
}

/** A type byte and a value, or a reference to one that was written before. */
function* valueParts(key: string, object: Node, show: () => string): Iterable<Part> {
  yield typePart(object);
  const length = object.end - object.at - 1;
  if (length > 0) yield { ...field(key, object.at + 1, length, show), kind: kindOf(object) };
}

/** A reference's number follows from the marks of what stands before it. */
function kindOf({ target }: Node): "derived" | "field" {
  return target === undefined ? "field" : "derived";
}

const CONTAINERS = "()[<>{:";

/** A tuple's items, or any other object, by value. */
function* objectParts(module: Module, kind: string, node: Node): Iterable<Part> {
  const { cursor, version } = module;
  if (!CONTAINERS.includes(node.type)) return yield* valueParts("all", node, () => literal(cursor, node, version));
  yield typePart(node);
  const head = "{:".includes(node.type) ? 1 : headLength(node.type);
  if (head > 1) yield derived("count", node.at + 1, head - 1);
  for (const child of node.children) {
    if (child.code !== undefined) yield codePart(module, child);
    else yield itemPart(module, kind, child);
  }
}

function itemPart(module: Module, kind: string, child: Node): Part {
  const { cursor, version } = module;
  const length = child.end - child.at;
  const found = resolved(child);
  const text = found.type === "c" ? codeName(cursor, found) : literal(cursor, child, version, 80);
  const key = kind === "name" ? textOf(cursor, child).slice(0, 300) : `${kind} ${text}`;
  if (CONTAINERS.includes(child.type)) {
    const parts = (): Iterable<Part> => objectParts(module, "item", child);
    return { ...group(key, child.at, length, parts), show: () => literal(cursor, child, version, 400) };
  }
  // One part, so that a constant that stands on one side only is told once.
  const show = (): string => `${literal(cursor, child, version, 400)} (${typeOf(child)})`;
  // What stands on one side only is compared with itself.
  const compare = (other: Part): string | undefined => (other.show === show || other.length === 0 ? undefined : MARKS);
  return { key, kind: kindOf(child), offset: child.at, length, show, compare };
}
