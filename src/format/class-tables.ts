import { hex } from "../bytes.ts";
import type { ConstantPool } from "./class-pool.ts";
import type { Cursor } from "./cursor.ts";
import { quoted } from "./listing.ts";

/** Annotations and stack maps of a Java class as lines (JVMS 25, sections 4.7.4 and 4.7.16 to 4.7.22). */

/** Annotations may hold annotations; each level costs at least five bytes. */
const MAX_DEPTH = 32;

/** Those of one element, of each parameter, or the default of an annotation's method. */
export function* annotationLines(cursor: Cursor, pool: ConstantPool, name: string): Iterable<string> {
  if (name === "AnnotationDefault") {
    yield elementValue(cursor, pool, 0);
    return;
  }
  const lists = name.includes("Parameter") ? cursor.u8() : 1;
  for (let list = 0; list < lists; list++) {
    const prefix = lists > 1 || name.includes("Parameter") ? `parameter ${list}: ` : "";
    for (let count = cursor.u16(); count > 0; count--) yield* annotation(cursor, pool, prefix);
  }
}

function* annotation(cursor: Cursor, pool: ConstantPool, prefix: string): Iterable<string> {
  yield `${prefix}@${pool.value(cursor.u16())}`;
  for (let pairs = cursor.u16(); pairs > 0; pairs--) {
    const name = pool.value(cursor.u16());
    const value = elementValue(cursor, pool, 0, "\n");
    for (const line of `${name} = ${value}`.split("\n")) yield `  ${line}`;
  }
}

/** A value of an annotation's element; `between` parts an array's values, one a line at the outermost. */
function elementValue(cursor: Cursor, pool: ConstantPool, depth: number, between = " "): string {
  if (depth > MAX_DEPTH) cursor.fail("annotations within annotations too deep");
  const at = cursor.at;
  const tag = String.fromCharCode(cursor.u8());
  switch (tag) {
    case "s":
      return quoted(pool.text(cursor.u16()), 4000);
    case "e":
      return `${pool.value(cursor.u16())}.${pool.value(cursor.u16())}`;
    case "c":
      return `class ${pool.value(cursor.u16())}`;
    case "C":
      return `char ${pool.value(cursor.u16())}`;
    case "@": {
      const type = pool.value(cursor.u16());
      const pairs: string[] = [];
      for (let count = cursor.u16(); count > 0; count--) {
        pairs.push(`${pool.value(cursor.u16())} = ${elementValue(cursor, pool, depth + 1)}`);
      }
      return `@${type}(${pairs.join(", ")})`;
    }
    case "[": {
      const values: string[] = [];
      for (let count = cursor.u16(); count > 0; count--) values.push(elementValue(cursor, pool, depth + 1));
      return values.length === 0 ? "{}" : `{${between}${values.join(`,${between}`)}${between}}`;
    }
  }
  if (!"BDFIJSZ".includes(tag)) cursor.fail(`an annotation's value of the kind ${JSON.stringify(tag)}`, at);
  return pool.value(cursor.u16());
}

/** Type annotations: what is annotated by its target's kind and operands, then the annotation. */
export function* typeAnnotationLines(cursor: Cursor, pool: ConstantPool): Iterable<string> {
  for (let count = cursor.u16(); count > 0; count--) {
    const kind = cursor.u8();
    const operands = hex(cursor.bytes(targetLength(cursor, kind)));
    const path = hex(cursor.bytes(cursor.u8() * 2));
    const where = `${operands === "" ? "" : ` ${operands}`}${path === "" ? "" : ` path ${path}`}`;
    yield* annotation(cursor, pool, `target 0x${kind.toString(16).padStart(2, "0")}${where}: `);
  }
}

function targetLength(cursor: Cursor, kind: number): number {
  if (kind <= 0x01 || kind === 0x16) return 1;
  if (kind === 0x11 || kind === 0x12 || kind === 0x10 || kind === 0x17) return 2;
  if (kind >= 0x13 && kind <= 0x15) return 0;
  if (kind === 0x40 || kind === 0x41) {
    const rows = cursor.u16();
    cursor.at -= 2;
    return 2 + rows * 6;
  }
  if (kind >= 0x42 && kind <= 0x46) return 2;
  if (kind >= 0x47 && kind <= 0x4b) return 3;
  return cursor.fail(`a type annotation's target of the kind ${kind}`);
}

const TYPES = ["top", "int", "float", "double", "long", "null", "uninitializedThis"];

/** Stack map frames: how many bytes of code after the one before, and what changes. */
export function* frameLines(cursor: Cursor, pool: ConstantPool): Iterable<string> {
  for (let count = cursor.u16(); count > 0; count--) {
    const kind = cursor.u8();
    if (kind < 64) yield `after ${kind}: same`;
    else if (kind < 128) yield `after ${kind - 64}: same, stack ${types(cursor, pool, 1)}`;
    else if (kind < 247) cursor.fail(`a stack map frame of the kind ${kind}`);
    else {
      const after = cursor.u16();
      yield `after ${after}: ${frame(cursor, pool, kind)}`;
    }
  }
}

function frame(cursor: Cursor, pool: ConstantPool, kind: number): string {
  if (kind === 247) return `same, stack ${types(cursor, pool, 1)}`;
  if (kind < 251) return `chop ${251 - kind}`;
  if (kind === 251) return "same";
  if (kind < 255) return `append ${types(cursor, pool, kind - 251)}`;
  const locals = types(cursor, pool, cursor.u16());
  return `locals ${locals}, stack ${types(cursor, pool, cursor.u16())}`;
}

function types(cursor: Cursor, pool: ConstantPool, count: number): string {
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const tag = cursor.u8();
    if (tag === 7) names.push(pool.value(cursor.u16()));
    else if (tag === 8) names.push(`uninitialized(${cursor.u16()})`);
    else names.push(TYPES[tag] ?? cursor.fail(`a verification type of the kind ${tag}`, cursor.at - 1));
  }
  return `[${names.join(", ")}]`;
}
