import { hex } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { codeLines } from "./class-code.ts";
import type { ConstantPool } from "./class-pool.ts";
import { annotationLines, frameLines, typeAnnotationLines } from "./class-tables.ts";
import { Cursor } from "./cursor.ts";
import { listing } from "./listing.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Attributes of a Java class, its fields, methods, code and record components
 * (JVMS 25, section 4.7; the last three of `module-info` are the JDK's own):
 * the name's number (2), the length (4), and what the name says.
 */
export interface ClassContext {
  source: ByteSource;
  what: string;
  pool: ConstantPool;
}

/** Code holds attributes, a record's components too; nothing else does. */
const MAX_DEPTH = 4;

const FLAGS: readonly [number, string][] = [
  [0x0001, "public"],
  [0x0002, "private"],
  [0x0004, "protected"],
  [0x0008, "static"],
  [0x0010, "final"],
  [0x0020, "synchronized"],
  [0x0040, "volatile"],
  [0x0080, "transient"],
  [0x0100, "native"],
  [0x0200, "interface"],
  [0x0400, "abstract"],
  [0x0800, "strictfp"],
  [0x1000, "synthetic"],
  [0x2000, "annotation"],
  [0x4000, "enum"],
  [0x8000, "mandated"],
];
const RENAMED: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  class: { 0x0020: "super", 0x8000: "module" },
  method: { 0x0040: "bridge", 0x0080: "varargs" },
  module: { 0x0020: "open or transitive", 0x0040: "static phase" },
};

/** Access flags by name (JVMS tables 4.1-B, 4.5-A, 4.6-A): "public final". */
export function flagNames(flags: number, of: "class" | "field" | "method" | "module"): string {
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([bit, name]) => RENAMED[of]?.[bit] ?? name);
  return names.length === 0 ? "none" : names.join(" ");
}

/** A count, then as many attributes; goes with the cursor behind them. */
export function attributes(context: ClassContext, cursor: Cursor, depth = 0): Part[] {
  if (depth > MAX_DEPTH) cursor.fail("attributes within attributes too deep");
  const parts: Part[] = [derived("attributes count", cursor.at, 2)];
  const count = cursor.u16();
  for (let index = 0; index < count; index++) {
    const at = cursor.at;
    const name = context.pool.name(cursor.u16());
    const length = cursor.u32();
    cursor.skip(length);
    parts.push(group(name, at, length + 6, () => attribute(context, name, at, length, depth)));
  }
  return parts;
}

/** Where a class's attributes stand, by name; of two with a name, the first. */
export function findAttribute(
  context: ClassContext,
  at: number,
  wanted: string,
): { at: number; length: number } | undefined {
  const cursor = new Cursor(context.source, context.what, at);
  const count = cursor.u16();
  for (let index = 0; index < count; index++) {
    const name = context.pool.name(cursor.u16());
    const length = cursor.u32();
    const offset = cursor.skip(length);
    if (name === wanted) return { at: offset, length };
  }
  return undefined;
}

function* attribute(context: ClassContext, name: string, at: number, length: number, depth: number): Iterable<Part> {
  yield derived("name", at, 2);
  yield derived("length", at + 2, 4);
  if (length < (name === "EnclosingMethod" ? 4 : 1)) return;
  yield* body(context, name, at + 6, length, depth);
}

function body(context: ClassContext, name: string, at: number, length: number, depth: number): Iterable<Part> {
  const { pool } = context;
  const cursor = (): Cursor => new Cursor(context.source, context.what, at, at + length);
  switch (name) {
    case "Code":
      return code(context, cursor(), depth);
    case "ConstantValue":
    case "Signature":
    case "SourceFile":
    case "NestHost":
    case "ModuleMainClass":
    case "ModuleTarget":
      return [field("value", at, length, () => pool.value(cursor().u16()))];
    case "EnclosingMethod":
      return [
        field("class", at, 2, () => pool.value(cursor().u16())),
        field("method", at + 2, length - 2, () => pool.value(new Cursor(context.source, context.what, at + 2).u16())),
      ];
    case "SourceDebugExtension":
      return [{ key: "text", kind: "content", offset: at, length, name: "smap.txt" }];
    case "RuntimeVisibleTypeAnnotations":
    case "RuntimeInvisibleTypeAnnotations":
      return [listing("annotations", at, length, "annotations", () => typeAnnotationLines(cursor(), pool))];
    case "RuntimeVisibleAnnotations":
    case "RuntimeInvisibleAnnotations":
    case "RuntimeVisibleParameterAnnotations":
    case "RuntimeInvisibleParameterAnnotations":
    case "AnnotationDefault":
      return [listing("annotations", at, length, "annotations", () => annotationLines(cursor(), pool, name))];
    case "StackMapTable":
      return [listing("frames", at, length, "frames", () => frameLines(cursor(), pool))];
    case "Module":
      return [listing("declaration", at, length, "module", () => moduleLines(cursor(), pool))];
    case "ModuleHashes":
      return [listing("hashes", at, length, "hashes", () => hashLines(cursor(), pool))];
    case "Record":
      return record(context, cursor(), depth);
  }
  const row = ROWS[name];
  if (row === undefined) return [{ key: "bytes", kind: "bytes", offset: at, length }];
  return [listing("table", at, length, name, () => rowLines(cursor(), pool, row))];
}

interface Row {
  /** Bytes of the count before the rows. */
  count: 1 | 2;
  line(cursor: Cursor, pool: ConstantPool): string;
}

const named: Row = { count: 2, line: (cursor, pool) => pool.value(cursor.u16()) };

/** Attributes that are tables of rows. */
const ROWS: Readonly<Record<string, Row>> = {
  Exceptions: named,
  NestMembers: named,
  PermittedSubclasses: named,
  ModulePackages: named,
  InnerClasses: {
    count: 2,
    line: (cursor, pool) => {
      const [inner, outer, name] = [pool.value(cursor.u16()), pool.value(cursor.u16()), pool.value(cursor.u16())];
      return `${inner}: ${flagNames(cursor.u16(), "field")}, outer ${outer}, name ${name}`;
    },
  },
  LocalVariableTable: { count: 2, line: localVariable },
  LocalVariableTypeTable: { count: 2, line: localVariable },
  MethodParameters: {
    count: 1,
    line: (cursor, pool) => `${pool.value(cursor.u16())}: ${flagNames(cursor.u16(), "field")}`,
  },
  BootstrapMethods: { count: 2, line: (cursor, pool) => bootstrapMethod(cursor, pool, 0) },
};

function localVariable(cursor: Cursor, pool: ConstantPool): string {
  const [start, length] = [cursor.u16(), cursor.u16()];
  const name = `${pool.value(cursor.u16())} ${pool.value(cursor.u16())}`;
  return `${name} in ${cursor.u16()} for ${length} bytes from ${start}`;
}

/** One bootstrap method with its arguments, at the cursor; within another's arguments, fewer of them. */
export function bootstrapMethod(cursor: Cursor, pool: ConstantPool, depth: number): string {
  const most = depth === 0 ? 65_535 : depth === 1 ? 8 : 2;
  const called = pool.valueAt(cursor.u16(), depth);
  // Within an instruction's line the arguments count: the descriptor of the factory is always the same.
  const method = depth === 0 ? called : called.replace(/:.*/s, "");
  const count = cursor.u16();
  const values: string[] = [];
  for (let index = 0; index < Math.min(count, most); index++) values.push(pool.valueAt(cursor.u16(), depth));
  return `${method}(${values.join(", ")}${count > most ? ", …" : ""})`;
}

function* rowLines(cursor: Cursor, pool: ConstantPool, row: Row): Iterable<string> {
  const count = row.count === 1 ? cursor.u8() : cursor.u16();
  for (let index = 0; index < count; index++) yield row.line(cursor, pool);
  yield* rest(cursor);
}

function* rest(cursor: Cursor): Iterable<string> {
  if (cursor.left > 0) yield `${cursor.left} bytes more`;
}

function* code(context: ClassContext, cursor: Cursor, depth: number): Iterable<Part> {
  const { source, what, pool } = context;
  const at = cursor.at;
  yield field("max stack", at, 2, () => String(new Cursor(source, what, at).u16()));
  yield field("max locals", at + 2, 2, () => String(new Cursor(source, what, at + 2).u16()));
  cursor.skip(4);
  yield derived("code length", at + 4, 4);
  const length = cursor.u32();
  const codeAt = cursor.skip(length);
  yield listing("bytecode", codeAt, length, "bytecode", () =>
    codeLines(new Cursor(source, what, codeAt, codeAt + length), pool),
  );
  const tableAt = cursor.at;
  const rows = cursor.u16();
  cursor.skip(rows * 8);
  yield listing("exception table", tableAt, cursor.at - tableAt, "exceptions", () =>
    exceptionLines(new Cursor(source, what, tableAt, tableAt + 2 + rows * 8), pool),
  );
  yield* attributes(context, cursor, depth + 1).map((part) =>
    part.key === "LineNumberTable" ? lineNumbers(context, part, length) : part,
  );
}

function* exceptionLines(cursor: Cursor, pool: ConstantPool): Iterable<string> {
  const count = cursor.u16();
  for (let index = 0; index < count; index++) {
    const [from, to, handler] = [cursor.u16(), cursor.u16(), cursor.u16()];
    const type = cursor.u16();
    yield `${from} to ${to}, handled at ${handler}: ${type === 0 ? "any" : pool.value(type)}`;
  }
}

/** Told by steps from line to line and how many bytes of code each takes, so that what is moved changes one line at most. */
function lineNumbers(context: ClassContext, part: Part, codeLength: number): Part {
  const { offset, length } = part;
  if (length < 8) return part;
  const lines = function* (): Iterable<string> {
    const cursor = new Cursor(context.source, context.what, offset + 6, offset + length);
    const rows: [number, number][] = [];
    for (let count = cursor.u16(); count > 0; count--) rows.push([cursor.u16(), cursor.u16()]);
    for (const [index, [start, line]] of rows.entries()) {
      const before = rows[index - 1]?.[1];
      const step = before === undefined ? `line ${line}` : `line ${line < before ? "" : "+"}${line - before}`;
      yield `${step}: ${(rows[index + 1]?.[0] ?? codeLength) - start} bytes`;
    }
    yield* rest(cursor);
  };
  return group(part.key, offset, length, () => [
    derived("name", offset, 2),
    derived("length", offset + 2, 4),
    listing("table", offset + 6, length - 6, "lines", lines),
  ]);
}

function* record(context: ClassContext, cursor: Cursor, depth: number): Iterable<Part> {
  yield derived("components count", cursor.at, 2);
  const count = cursor.u16();
  for (let index = 0; index < count; index++) yield member(context, cursor, "component", depth + 1);
}

/** A field, a method or a record's component, which has no flags; goes with the cursor behind it. */
export function member(context: ClassContext, cursor: Cursor, kind: "field" | "method" | "component", depth = 0): Part {
  const { pool } = context;
  const at = cursor.at;
  const flags = kind === "component" ? 0 : cursor.u16();
  const namesAt = cursor.at;
  const name = pool.name(cursor.u16());
  const descriptor = pool.name(cursor.u16());
  const found = attributes(context, cursor, depth);
  const key = kind === "method" ? `method ${name}${descriptor}` : `${kind} ${name}:${descriptor}`;
  return group(key, at, cursor.at - at, () => [
    ...(kind === "component" ? [] : [field("access flags", at, 2, () => flagNames(flags, kind))]),
    derived("name", namesAt, 2),
    derived("descriptor", namesAt + 2, 2),
    ...found,
  ]);
}

/** The JDK's own: which builds of other modules this one was linked for. */
function* hashLines(cursor: Cursor, pool: ConstantPool): Iterable<string> {
  const algorithm = pool.value(cursor.u16());
  for (let count = cursor.u16(); count > 0; count--) {
    yield `${pool.value(cursor.u16())}: ${algorithm} ${hex(cursor.bytes(cursor.u16()))}`;
  }
}

/** JVMS section 4.7.25. */
function* moduleLines(cursor: Cursor, pool: ConstantPool): Iterable<string> {
  const name = pool.value(cursor.u16());
  yield `${name}: ${flagNames(cursor.u16(), "module")}, version ${pool.value(cursor.u16())}`;
  const many = function* (line: () => string): Iterable<string> {
    for (let count = cursor.u16(); count > 0; count--) yield line();
  };
  const list = (): string => {
    const values: string[] = [];
    for (let count = cursor.u16(); count > 0; count--) values.push(pool.value(cursor.u16()));
    return values.join(", ");
  };
  const flagged = (): string => `${pool.value(cursor.u16())}: ${flagNames(cursor.u16(), "module")}`;
  yield* many(() => `requires ${flagged()}, version ${pool.value(cursor.u16())}`);
  yield* many(() => `exports ${flagged()}, to ${list() || "all"}`);
  yield* many(() => `opens ${flagged()}, to ${list() || "all"}`);
  yield* many(() => `uses ${pool.value(cursor.u16())}`);
  yield* many(() => `provides ${pool.value(cursor.u16())} with ${list()}`);
  yield* rest(cursor);
}
