import { hex, showable } from "../bytes.ts";
import type { Inode } from "./erofs-inode.ts";
import type { Erofs } from "./erofs-superblock.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Extended attributes of erofs (Linux, fs/erofs/erofs_fs.h): behind an inode
 *
 *     filter(4)  count of shared ones(1)  reserved(7)  place of each shared one(4)…  entries…
 *
 * where an entry, here or in the area of shared ones, is
 *
 *     name length(1)  prefix(1)  value length(2)  name  value, up to a multiple of 4
 */
const HEADER = 12;
const LONG_PREFIX = 0x80;
const PREFIXES: Readonly<Record<number, string>> = {
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  5: "lustre.",
  6: "security.",
};

/** The short prefix and what follows it, of each long one. */
export type LongPrefixes = readonly { base: number; infix: string }[];

interface Attribute {
  name: string;
  length: number;
  value: Uint8Array;
}

function attributeAt(image: Erofs, prefixes: LongPrefixes, at: number, end: number): Attribute | undefined {
  if (at + 4 > end) return undefined;
  const head = new Words(image.source.read(at, 4), true, image.name);
  const [nameLength, index, valueLength] = [head.u8(0), head.u8(1), head.u16(2)];
  const length = Math.ceil((4 + nameLength + valueLength) / 4) * 4;
  if (at + length > end) return undefined;
  const bytes = image.source.read(at + 4, nameLength + valueLength).slice();
  const long = (index & LONG_PREFIX) === 0 ? undefined : prefixes[index & ~LONG_PREFIX];
  const base = long?.base ?? index;
  const prefix = (PREFIXES[base] ?? `${base}.`) + (long?.infix ?? "");
  return { name: prefix + showable(bytes.subarray(0, nameLength)), length, value: bytes.subarray(nameLength) };
}

function valueText(bytes: Uint8Array): string {
  const end = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  const some = bytes.subarray(0, Math.min(end, 200));
  return some.every((byte) => byte >= 0x20 && byte !== 0x7f) ? showable(some) : hex(some);
}

/** Where the shared attributes of an inode stand. */
export function sharedOf(image: Erofs, inode: Inode): number[] {
  const { attributesAt, bodyAt } = inode;
  if (bodyAt - attributesAt < HEADER) return [];
  const count = Math.min(image.source.read(attributesAt + 4, 1)[0] ?? 0, (bodyAt - attributesAt - HEADER) / 4);
  const words = new Words(image.source.read(attributesAt + HEADER, count * 4), true, image.name);
  return Array.from({ length: count }, (_, index) => image.sharedAttributes + words.u32(index * 4) * 4);
}

/** What stands between an inode's fields and its body. */
export function* attributeParts(image: Erofs, prefixes: LongPrefixes, inode: Inode): Generator<Part> {
  const { attributesAt, bodyAt } = inode;
  if (bodyAt - attributesAt < HEADER) return;
  yield derived("filter of xattrs", attributesAt, 4);
  yield derived("count of shared xattrs", attributesAt + 4, 1);
  yield { key: "reserved", kind: "padding", offset: attributesAt + 5, length: 7 };
  let at = attributesAt + HEADER;
  for (const place of sharedOf(image, inode)) {
    const found = attributeAt(image, prefixes, place, image.source.size);
    const offset = at;
    at += 4;
    // The value belongs to the key, so that a place that is another one says nothing where the value is the same.
    const key = found === undefined ? "an xattr that is not there" : `${found.name}=${valueText(found.value)}`;
    yield {
      ...group(key.replaceAll(" ", "\\040"), offset, 4, () => [derived("place of a shared xattr", offset, 4)]),
      show: () => "shared xattr",
    };
  }
  for (;;) {
    const found = attributeAt(image, prefixes, at, bodyAt);
    if (found === undefined) return;
    yield field(`xattr ${found.name}`, at, found.length, () => valueText(found.value));
    at += found.length;
  }
}

/** The shared attributes that stand at `places`, in order. */
export function* sharedParts(image: Erofs, prefixes: LongPrefixes, places: Iterable<number>): Generator<Part> {
  let end = 0;
  for (const at of [...places].toSorted((a, b) => a - b)) {
    const found = at < end ? undefined : attributeAt(image, prefixes, at, image.source.size);
    if (found === undefined) continue;
    end = at + found.length;
    yield field(`shared xattr ${found.name}`, at, found.length, () => valueText(found.value));
  }
}
