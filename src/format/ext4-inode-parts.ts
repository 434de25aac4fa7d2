import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { attributeParts, inodeAttributes } from "./ext4-attributes.ts";
import { directoryParts } from "./ext4-directory.ts";
import { FLAG_INLINE, FOLDER, type Inode, isFastLink, KIND } from "./ext4-inode.ts";
import type { Ext4 } from "./ext4-superblock.ts";
import { type Cell, flags, linuxDevice, placed, recordParts } from "./image-record.ts";
import { derived, field, type Part } from "./part.ts";

/** The fields of one inode: Linux, Documentation/filesystems/ext4/inodes.rst. Times and owners stand in two places each. */
const KINDS: Readonly<Record<number, string>> = {
  0x1: "FIFO",
  0x2: "character device",
  0x4: "folder",
  0x6: "block device",
  0x8: "file",
  0xa: "link",
  0xc: "socket",
};

const FLAGS: Readonly<Record<number, string>> = {
  0: "secure-delete",
  1: "undelete",
  2: "compress",
  3: "sync",
  4: "immutable",
  5: "append-only",
  6: "nodump",
  7: "noatime",
  11: "encrypted",
  12: "index",
  14: "journal-data",
  16: "dirsync",
  17: "top-of-tree",
  18: "huge-file",
  19: "extents",
  20: "verity",
  21: "xattr-value",
  25: "dax",
  28: "inline-data",
  29: "project-inherit",
  30: "casefold",
};

export function kindOf(mode: number): string {
  return KINDS[mode >> 12] ?? "nothing";
}

export function octal(mode: number): string {
  return (mode & 0xfff).toString(8).padStart(4, "0");
}

/** Seconds with nanoseconds where there are any: the upper word has two more bits of the seconds below them. */
function timeText(view: DataView, low: number, high: number): string {
  const extra = high + 4 <= view.byteLength ? view.getUint32(high, true) : 0;
  const seconds = view.getInt32(low, true) + (extra & 3) * 2 ** 32;
  const nanoseconds = extra >>> 2;
  return nanoseconds === 0 ? String(seconds) : `${seconds}.${String(nanoseconds).padStart(9, "0")}`;
}

/** Where the rest of what is inline stands, behind the 60 bytes: an attribute's value. */
export function inlineRest(image: Ext4, inode: Inode): { at: number; length: number } | undefined {
  const at = inode.at + 128 + inode.extra;
  const area = image.source.read(at, image.inodeSize - 128 - inode.extra).slice();
  const value = inodeAttributes(area).find(({ name }) => name === "system.data")?.value;
  return value === undefined ? undefined : { at: at + value.at, length: value.length };
}

/** Parts of the inode's slot; `pathOf` as `directoryParts` takes it. */
export function inodeParts(
  image: Ext4,
  inode: Inode,
  path: string,
  pathOf: (inode: number) => string | undefined,
): Iterable<Part> {
  const slot = image.source.read(inode.at, image.inodeSize).slice();
  const fixed = slot.subarray(0, 128 + inode.extra);
  const view = new DataView(fixed.buffer, fixed.byteOffset, fixed.byteLength);
  const parts = recordParts(cellsOf(view), fixed, inode.at).filter((part) => part.key !== "blocks of the file");
  const attributes = inodeAttributes(slot.subarray(fixed.length));
  const area = slot.subarray(fixed.length);
  const inline = (inode.flags & FLAG_INLINE) !== 0;
  const data = inline ? attributes.find(({ name }) => name === "system.data")?.value : undefined;
  const own = attributeParts(area, attributes, inode.at + fixed.length);
  if (attributes.length > 0) parts.push(derived("attribute magic", inode.at + fixed.length, 4));
  if (data === undefined) parts.push(...own);
  else {
    parts.push(...own.filter((part) => part.offset !== inode.at + fixed.length + data.at));
    parts.push(...restOfInline(image.source, inode, path, pathOf, inode.at + fixed.length + data.at, data.length));
  }
  // Inodes are alike whatever they belong to: an empty content keeps them from being taken for renamed ones.
  parts.unshift({ key: "", kind: "content", offset: inode.at, length: 0 });
  parts.push(...blockParts(image.source, inode, slot, path, pathOf, data));
  return placed(parts, inode.at + image.inodeSize, inode.at);
}

function cellsOf(view: DataView): readonly Cell[] {
  const owner = (low: number, high: number) => (): string =>
    String(view.getUint16(low, true) + view.getUint16(high, true) * 65536);
  const [uid, gid] = [owner(2, 120), owner(24, 122)];
  const time = (low: number, high: number) => (): string => timeText(view, low, high);
  const [atime, ctime, mtime, crtime] = [time(8, 140), time(12, 132), time(16, 136), time(144, 148)];
  const mode = view.getUint16(0, true);
  return [
    ["mode", 2, "field", () => (mode >> 12 === 8 ? octal(mode) : `${octal(mode)} ${kindOf(mode)}`)],
    ["uid", 2, "field", uid],
    ["size", 4, "derived"],
    ["atime", 4, "field", atime],
    ["ctime", 4, "field", ctime],
    ["mtime", 4, "field", mtime],
    ["dtime", 4, "field"],
    ["gid", 2, "field", gid],
    ["links", 2, "derived"],
    ["block count", 4, "derived"],
    ["flags", 4, "field", flags(FLAGS)],
    ["version", 4, "field"],
    ["blocks of the file", 60, "derived"],
    ["generation", 4, "field"],
    ["xattr block", 4, "derived"],
    ["size, high", 4, "derived"],
    ["fragment", 4, "derived"],
    ["block count, high", 2, "derived"],
    ["xattr block, high", 2, "derived"],
    ["uid", 2, "field", uid],
    ["gid", 2, "field", gid],
    ["checksum", 2, "derived"],
    ["reserved", 2, "padding"],
    ["extra size", 2, "field"],
    ["checksum, high", 2, "derived"],
    ["ctime", 4, "field", ctime],
    ["mtime", 4, "field", mtime],
    ["atime", 4, "field", atime],
    ["crtime", 4, "field", crtime],
    ["crtime", 4, "field", crtime],
    ["version, high", 4, "field"],
    ["project", 4, "field"],
  ];
}

/** The 60 bytes that say where the blocks are, or hold what is small enough. */
function* blockParts(
  source: ByteSource,
  inode: Inode,
  slot: Uint8Array,
  path: string,
  pathOf: (inode: number) => string | undefined,
  rest: { at: number; length: number } | undefined,
): Generator<Part> {
  const at = inode.at + 40;
  const block = slot.subarray(40, 100);
  const kind = inode.mode >> 12;
  if (isFastLink(inode)) {
    yield field("link", at, inode.size, () => showable(block.subarray(0, inode.size)));
    yield { key: "padding", kind: "padding", offset: at + inode.size, length: 60 - inode.size };
  } else if (kind === 2 || kind === 6) {
    yield field("device", at, 8, () => deviceText(new DataView(block.buffer, block.byteOffset)));
    yield { key: "padding", kind: "padding", offset: at + 8, length: 52 };
  } else if ((inode.flags & FLAG_INLINE) === 0) {
    yield derived("blocks of the file", at, 60);
  } else if ((inode.mode & KIND) === FOLDER) {
    yield derived("..", at, 4);
    yield* directoryParts(block, at, { path, indexed: false }, pathOf, 4);
  } else {
    const length = Math.min(inode.size, 60);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const content: Part = { key: "data", kind: "content", offset: at, length, name };
    if (rest === undefined) yield content;
    else {
      const extra = 128 + inode.extra;
      const more = Math.min(Math.max(0, inode.size - 60), rest.length);
      const run = async (sink: (chunk: Uint8Array) => void): Promise<void> => {
        sink(source.read(at, length).slice());
        sink(source.read(inode.at + extra + rest.at, more).slice());
      };
      yield { ...content, decode: { name: "inline", run } };
    }
    yield { key: "padding", kind: "padding", offset: at + length, length: 60 - length };
  }
}

/** What did not fit into the 60 bytes: the value of an attribute. */
function* restOfInline(
  source: ByteSource,
  inode: Inode,
  path: string,
  pathOf: (inode: number) => string | undefined,
  at: number,
  length: number,
): Generator<Part> {
  if ((inode.mode & KIND) === FOLDER) {
    yield* directoryParts(source.read(at, length).slice(), at, { path, indexed: false }, pathOf);
  } else if (length > 0) yield { key: "data", kind: "stored", offset: at, length };
}

/** The old form has 8 bits each; the new one stands behind it. */
function deviceText(view: DataView): string {
  const old = view.getUint32(0, true);
  if (old !== 0) return `${(old >> 8) & 0xff}:${old & 0xff}`;
  return linuxDevice(view.getUint32(4, true));
}
