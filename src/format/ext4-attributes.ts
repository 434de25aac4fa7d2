import { hex, showable } from "../bytes.ts";
import { placed } from "./image-record.ts";
import { derived, field, type Part } from "./part.ts";

/**
 * Extended attributes of ext4 (Linux, Documentation/filesystems/ext4/attributes.rst):
 * behind an inode's fields, or in a block of their own. Entries with names
 * grow from the beginning, their values from the end.
 */
const MAGIC = 0xea020000;
const PREFIXES: Readonly<Record<number, string>> = {
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  6: "security.",
  7: "system.",
  8: "system.richacl",
};

export interface Attribute {
  name: string;
  at: number;
  length: number;
  /** Where the value stands; undefined when it is in an inode of its own. */
  value: { at: number; length: number } | undefined;
}

/** The attributes in `area`, whose entries begin at `entries` and whose values are counted from `base`. */
export function attributesIn(area: Uint8Array, entries: number, base: number): Attribute[] {
  const view = new DataView(area.buffer, area.byteOffset, area.byteLength);
  const found: Attribute[] = [];
  for (let at = entries; at + 16 <= area.length && view.getUint32(at, true) !== 0;) {
    const nameLength = view.getUint8(at);
    const length = 16 + Math.ceil(nameLength / 4) * 4;
    if (at + length > area.length) break;
    const prefix = PREFIXES[view.getUint8(at + 1)] ?? `${view.getUint8(at + 1)}.`;
    const size = view.getUint32(at + 8, true);
    const valueAt = base + view.getUint16(at + 2, true);
    const inside = view.getUint32(at + 4, true) === 0 && valueAt + size <= area.length;
    found.push({
      name: prefix + showable(area.subarray(at + 16, at + 16 + nameLength)),
      at,
      length,
      value: inside ? { at: valueAt, length: size } : undefined,
    });
    at += length;
  }
  return found;
}

export function hasAttributes(area: Uint8Array): boolean {
  return area.length >= 4 && new DataView(area.buffer, area.byteOffset).getUint32(0, true) === MAGIC;
}

/** The attributes behind an inode's fields; `area` begins with their magic number. */
export function inodeAttributes(area: Uint8Array): Attribute[] {
  return hasAttributes(area) ? attributesIn(area, 4, 4) : [];
}

/** Parts of attributes whose area begins at `offset`. */
export function attributeParts(area: Uint8Array, attributes: readonly Attribute[], offset: number): Part[] {
  const parts: Part[] = [];
  for (const { name, at, length, value } of attributes) {
    if (value !== undefined && value.length > 0) {
      // The name is the value's key; what is left of the entry follows.
      parts.push(derived(`entry of ${name}`, offset + at, length));
      const bytes = area.subarray(value.at, value.at + value.length);
      parts.push(field(`xattr ${name}`, offset + value.at, value.length, () => valueText(bytes)));
    } else {
      parts.push(field(`xattr ${name}`, offset + at, length, () => (value === undefined ? "in an inode" : "empty")));
    }
  }
  return parts;
}

function valueText(bytes: Uint8Array): string {
  const some = bytes.subarray(0, 200);
  return some.every((byte) => byte >= 0x20 && byte !== 0x7f) ? showable(some) : hex(some);
}

/** A block of attributes that begins at `offset`. */
export function* attributeBlockParts(block: Uint8Array, offset: number): Generator<Part> {
  yield derived("header", offset, Math.min(32, block.length));
  if (!hasAttributes(block)) return;
  const attributes = attributesIn(block, 32, 0);
  yield* placed(attributeParts(block, attributes, offset), offset + block.length, offset + 32);
}
