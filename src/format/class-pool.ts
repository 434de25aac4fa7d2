import type { Cursor } from "./cursor.ts";
import { quoted } from "./listing.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * The constant pool of a Java class (JVMS 25, section 4.4): a count, then
 * entries of a tag byte and operands, numbered from 1; a long or double takes
 * two numbers. Entries name each other by number; here they are told by what
 * they lead to, so that a shifted number is no difference of its own.
 */
export const TAGS: Readonly<Record<number, string>> = {
  1: "Utf8",
  3: "Integer",
  4: "Float",
  5: "Long",
  6: "Double",
  7: "Class",
  8: "String",
  9: "Fieldref",
  10: "Methodref",
  11: "InterfaceMethodref",
  12: "NameAndType",
  15: "MethodHandle",
  16: "MethodType",
  17: "Dynamic",
  18: "InvokeDynamic",
  19: "Module",
  20: "Package",
};

/** Bytes behind the tag; Utf8 carries its own length. */
const LENGTHS: Readonly<Record<number, number>> = {
  3: 4,
  4: 4,
  5: 8,
  6: 8,
  7: 2,
  8: 2,
  9: 4,
  10: 4,
  11: 4,
  12: 4,
  15: 3,
  16: 2,
  17: 4,
  18: 4,
  19: 2,
  20: 2,
};

const REFERENCE_KINDS = [
  "?",
  "getField",
  "getStatic",
  "putField",
  "putStatic",
  "invokeVirtual",
  "invokeStatic",
  "invokeSpecial",
  "newInvokeSpecial",
  "invokeInterface",
];

/** A bootstrap method's arguments may be dynamic themselves, in a circle if hostile. */
const MAX_DEPTH = 5;
const MAX_VALUE = 600;

interface Entry {
  tag: number;
  offset: number;
  length: number;
}

export class ConstantPool {
  readonly #cursor: Cursor;
  readonly #entries: (Entry | undefined)[] = [undefined];
  /** Values as they are shown at the outermost: hostile pools make each costly. */
  readonly #values = new Map<number, string>();
  readonly offset: number;
  readonly end: number;
  /** Says what the nth bootstrap method is; set once the class's attributes are found. */
  bootstrap: (index: number, depth: number) => string = (index) => `bootstrap method ${index}`;

  /** Reads the pool at the cursor, and leaves the cursor behind it. */
  constructor(cursor: Cursor) {
    this.#cursor = cursor;
    const count = cursor.u16();
    this.offset = cursor.at;
    for (let index = 1; index < count; index++) {
      const offset = cursor.at;
      const tag = cursor.u8();
      const length = tag === 1 ? cursor.u16() : LENGTHS[tag];
      if (length === undefined) cursor.fail(`a constant of tag ${tag}`, offset);
      cursor.skip(length);
      this.#entries.push({ tag, offset, length: cursor.at - offset });
      if (tag === 5 || tag === 6) {
        this.#entries.push(undefined);
        index++;
      }
    }
    this.end = cursor.at;
  }

  tagOf(index: number): string | undefined {
    const entry = this.#entries[index];
    return entry === undefined ? undefined : TAGS[entry.tag];
  }

  /** The text of a Utf8 entry, or what stands in for a broken reference. */
  text(index: number): string {
    const entry = this.#entries[index];
    if (entry === undefined || entry.tag !== 1) return `<no text at #${index}>`;
    return modifiedUtf8(this.#cursor.source.read(entry.offset + 3, entry.length - 3));
  }

  /** Names and descriptors, which are parts of keys and lines. */
  name(index: number): string {
    const text = this.text(index);
    return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
  }

  /** What an entry leads to, as `javap` writes it: "java/lang/Object.toString:()Ljava/lang/String;". */
  value(index: number): string {
    const known = this.#values.get(index);
    if (known !== undefined) return known;
    const value = this.valueAt(index, 0);
    this.#values.set(index, value);
    return value;
  }

  valueAt(index: number, depth: number): string {
    const entry = this.#entries[index];
    if (entry === undefined) return index === 0 ? "none" : `<nothing at #${index}>`;
    if (entry.tag === 1) return this.name(index);
    if (depth > MAX_DEPTH) return "…";
    const bytes = this.#cursor.source.read(entry.offset, entry.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const at = (offset: number): string => this.valueAt(view.getUint16(offset), depth + 1);
    switch (entry.tag) {
      case 3:
        return String(view.getInt32(1));
      case 4:
        return `${decimal(view.getFloat32(1))}f`;
      case 5:
        return `${view.getBigInt64(1)}l`;
      case 6:
        return `${decimal(view.getFloat64(1))}d`;
      case 8:
        return quoted(this.text(view.getUint16(1)));
      case 9:
      case 10:
      case 11:
        return `${at(1)}.${at(3)}`;
      case 12:
        return `${at(1)}:${at(3)}`;
      case 15:
        return `REF_${REFERENCE_KINDS[view.getUint8(1)] ?? view.getUint8(1)} ${at(2)}`;
      case 17:
      case 18:
        return `${at(3)} by ${this.bootstrap(view.getUint16(1), depth + 1)}`.slice(0, MAX_VALUE);
      default:
        return at(1);
    }
  }

  /** The entries by kind and value. What an entry points to stands in its key, so that its numbers follow. */
  *parts(): Iterable<Part> {
    for (const [index, entry] of this.#entries.entries()) {
      if (entry === undefined) continue;
      const key = `${TAGS[entry.tag]} ${entry.tag === 1 ? this.#utf8Key(index) : this.value(index)}`;
      if (entry.tag === 1) yield field(key, entry.offset, entry.length, () => quoted(this.text(index)));
      else if (entry.tag <= 6) yield field(key, entry.offset, entry.length, () => this.value(index));
      else yield derived(key, entry.offset, entry.length);
    }
  }

  #utf8Key(index: number): string {
    const text = this.text(index);
    return text.length > 160 ? `${text.slice(0, 160)}…` : text;
  }
}

function decimal(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** JVMS section 4.4.7: UTF-8 of UTF-16 code units, NUL in two bytes. A byte that fits nowhere is U+FFFD. */
export function modifiedUtf8(bytes: Uint8Array): string {
  const units: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] ?? 0;
    const second = (bytes[at + 1] ?? 0) & 0x3f;
    if (first < 0x80) {
      units.push(String.fromCharCode(first));
      at += 1;
    } else if ((first & 0xe0) === 0xc0 && at + 1 < bytes.length) {
      units.push(String.fromCharCode(((first & 0x1f) << 6) | second));
      at += 2;
    } else if ((first & 0xf0) === 0xe0 && at + 2 < bytes.length) {
      units.push(String.fromCharCode(((first & 0x0f) << 12) | (second << 6) | ((bytes[at + 2] ?? 0) & 0x3f)));
      at += 3;
    } else {
      units.push("\ufffd");
      at += 1;
    }
  }
  return units.join("");
}
