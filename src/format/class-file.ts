import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import {
  attributes,
  bootstrapMethod,
  findAttribute,
  flagNames,
  member,
  type ClassContext,
} from "./class-attributes.ts";
import { ConstantPool } from "./class-pool.ts";
import { Cursor } from "./cursor.ts";
import { derived, field, group, type Part } from "./part.ts";

/**
 * Java class files (The Java Virtual Machine Specification, SE 25, section
 * 4.1), big-endian:
 *
 *     cafebabe  minor(2) major(2)  count(2) constant pool
 *     flags(2) this(2) super(2)  count(2) interfaces
 *     count(2) fields  count(2) methods  count(2) attributes
 *
 * Everything names things by numbers of the pool. The parts tell what the
 * numbers lead to; a number that moved while its value stayed shows as equal.
 */
const CLASS_MAGIC = 0xcafebabe;

/** No compiler writes larger ones; their counts are 16 bits wide. */
const MAX_SIZE = 256 << 20;

export function classParts(source: ByteSource, name: string): Iterable<Part> {
  const what = `${name}: Java class`;
  if (source.size > MAX_SIZE) throw new BitforbitError("limit", `${what}: ${source.size} bytes`);
  const cursor = new Cursor(source, what);
  if (cursor.u32() !== CLASS_MAGIC) cursor.fail("not cafebabe", 0);
  const minor = cursor.u16();
  const major = cursor.u16();
  const pool = new ConstantPool(cursor);
  const context: ClassContext = { source, what, pool };
  const parts: Part[] = [
    field("magic", 0, 4),
    field("minor version", 4, 2, () => (minor === 0xffff ? "preview features" : String(minor))),
    field("version", 6, 2, () => versionName(major)),
    derived("constants count", 8, 2),
    group("constants", pool.offset, pool.end - pool.offset, () => pool.parts()),
    ...head(cursor, pool),
    ...members(context, cursor, "field"),
    ...members(context, cursor, "method"),
  ];
  const at = cursor.at;
  parts.push(...attributes(context, cursor));
  let offsets: number[] | undefined;
  pool.bootstrap = (index, depth) => {
    offsets ??= bootstrapOffsets(context, at);
    const offset = offsets[index];
    return offset === undefined
      ? `<no bootstrap method ${index}>`
      : bootstrapMethod(new Cursor(source, what, offset), pool, depth);
  };
  return parts;
}

function versionName(major: number): string {
  return major < 49 ? `${major} (Java 1.${Math.max(1, major - 44)})` : `${major} (Java ${major - 44})`;
}

function head(cursor: Cursor, pool: ConstantPool): Part[] {
  const at = cursor.at;
  const [flags, own, above] = [cursor.u16(), cursor.u16(), cursor.u16()];
  const parts = [
    field("access flags", at, 2, () => flagNames(flags, "class")),
    field("this class", at + 2, 2, () => pool.value(own)),
    field("super class", at + 4, 2, () => pool.value(above)),
    derived("interfaces count", at + 6, 2),
  ];
  for (let count = cursor.u16(); count > 0; count--) {
    parts.push(derived(`implements ${pool.value(cursor.u16())}`, cursor.at - 2, 2));
  }
  return parts;
}

function members(context: ClassContext, cursor: Cursor, kind: "field" | "method"): Part[] {
  const parts = [derived(`${kind}s count`, cursor.at, 2)];
  for (let count = cursor.u16(); count > 0; count--) parts.push(member(context, cursor, kind));
  return parts;
}

/** Where each bootstrap method stands. */
function bootstrapOffsets(context: ClassContext, attributesAt: number): number[] {
  const found = findAttribute(context, attributesAt, "BootstrapMethods");
  if (found === undefined) return [];
  const cursor = new Cursor(context.source, context.what, found.at, found.at + found.length);
  const offsets: number[] = [];
  for (let count = cursor.u16(); count > 0; count--) {
    offsets.push(cursor.skip(2));
    cursor.skip(cursor.u16() * 2);
  }
  return offsets;
}
