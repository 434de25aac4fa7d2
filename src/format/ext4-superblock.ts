import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type Cell, flags, number, recordParts, text, uuid } from "./image-record.ts";
import type { Part } from "./part.ts";

/**
 * The superblock of ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4/super.rst):
 * 1024 bytes at 1024, little endian, and the group descriptors behind it.
 */
export interface Ext4 {
  source: ByteSource;
  name: string;
  blockSize: number;
  blocks: number;
  firstDataBlock: number;
  blocksPerGroup: number;
  /** Blocks that a bit of the block bitmap stands for: more than one with bigalloc. */
  clusterBlocks: number;
  inodesPerGroup: number;
  inodes: number;
  inodeSize: number;
  descriptorSize: number;
  reservedDescriptors: number;
  compat: number;
  incompat: number;
  roCompat: number;
  journalInode: number;
  groups: Group[];
}

export interface Group {
  blockBitmap: number;
  inodeBitmap: number;
  inodeTable: number;
  /** 1: inodes not initialised, 2: block bitmap not initialised. */
  flags: number;
}

export const SUPERBLOCK_AT = 1024;
export const SUPERBLOCK_SIZE = 1024;
export const INCOMPAT_META_BG = 0x10;
const INCOMPAT_64BIT = 0x80;
const RO_COMPAT_BIGALLOC = 0x200;
const MAX_GROUPS = 1 << 20;

export function badExt4(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: ext4, offset ${offset}: ${what}`);
}

/** Throws `input` for what is no ext2, ext3 or ext4. */
export function ext4Of(source: ByteSource, name: string): Ext4 {
  if (source.size < SUPERBLOCK_AT + SUPERBLOCK_SIZE) throw badExt4(name, source.size, "cut off in the superblock");
  const bytes = source.read(SUPERBLOCK_AT, SUPERBLOCK_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => view.getUint32(at, true);
  const u16 = (at: number): number => view.getUint16(at, true);
  if (u16(56) !== 0xef53) throw badExt4(name, SUPERBLOCK_AT + 56, "no magic number");
  const is64 = (u32(96) & INCOMPAT_64BIT) !== 0;
  const dynamic = u32(76) >= 1;
  const image: Ext4 = {
    source,
    name,
    blockSize: u32(24) > 6 ? 0 : 1024 << u32(24),
    blocks: u32(4) + (is64 ? u32(336) * 2 ** 32 : 0),
    firstDataBlock: u32(20),
    blocksPerGroup: u32(32),
    clusterBlocks: (u32(100) & RO_COMPAT_BIGALLOC) === 0 ? 1 : 2 ** Math.min(16, Math.max(0, u32(28) - u32(24))),
    inodesPerGroup: u32(40),
    inodes: u32(0),
    inodeSize: dynamic ? u16(88) : 128,
    descriptorSize: is64 ? u16(254) : 32,
    reservedDescriptors: u16(206),
    compat: u32(92),
    incompat: u32(96),
    roCompat: u32(100),
    journalInode: u32(224),
    groups: [],
  };
  check(image);
  addGroups(image);
  return image;
}

function check(image: Ext4): void {
  const { name, blockSize, inodeSize, descriptorSize } = image;
  const bad = (at: number, what: string): BitforbitError => badExt4(name, SUPERBLOCK_AT + at, what);
  if (blockSize === 0) throw bad(24, "blocks of over 64 KiB");
  if (inodeSize < 128 || inodeSize > blockSize || (inodeSize & (inodeSize - 1)) !== 0) {
    throw bad(88, `inodes of ${inodeSize} bytes`);
  }
  if (descriptorSize < 32 || descriptorSize > blockSize) throw bad(254, `group descriptors of ${descriptorSize} bytes`);
  if (image.firstDataBlock > 1) throw bad(20, `the first block is ${image.firstDataBlock}; 0 or 1 is possible`);
  const { blocksPerGroup, inodesPerGroup } = image;
  if (blocksPerGroup < 8 || blocksPerGroup > blockSize * 8 * image.clusterBlocks)
    throw bad(32, `${blocksPerGroup} blocks in a group`);
  if (inodesPerGroup < 1 || inodesPerGroup > blockSize * 8) throw bad(40, `${inodesPerGroup} inodes in a group`);
}

/** The block that holds the descriptors of group `group`. */
export function descriptorBlock(image: Ext4, group: number): number {
  const perBlock = Math.floor(image.blockSize / image.descriptorSize);
  const index = Math.floor(group / perBlock);
  if ((image.incompat & INCOMPAT_META_BG) === 0) return groupStart(image, 0) + 1 + index;
  const first = index * perBlock;
  return groupStart(image, first) + (hasSuper(image, first) ? 1 : 0);
}

/** The first block of a group; with bigalloc and blocks of 1 KiB the first group's superblock is not in its first block. */
export function groupStart(image: Ext4, group: number): number {
  const start = image.firstDataBlock + group * image.blocksPerGroup;
  return start === 0 && image.blockSize === 1024 ? 1 : start;
}

function addGroups(image: Ext4): void {
  const count = Math.ceil((image.blocks - image.firstDataBlock) / image.blocksPerGroup);
  if (count > MAX_GROUPS) throw new BitforbitError("limit", `${image.name}: ext4: over ${MAX_GROUPS} block groups`);
  const perBlock = Math.floor(image.blockSize / image.descriptorSize);
  for (let group = 0; group < count; group++) {
    const at = descriptorBlock(image, group) * image.blockSize + (group % perBlock) * image.descriptorSize;
    // An image may be cut off: what is there is still worth showing.
    if (at + image.descriptorSize > image.source.size) break;
    const bytes = image.source.read(at, image.descriptorSize);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const wide = image.descriptorSize >= 64;
    const place = (low: number): number =>
      view.getUint32(low, true) + (wide ? view.getUint32(low + 32, true) * 2 ** 32 : 0);
    image.groups.push({
      blockBitmap: place(0),
      inodeBitmap: place(4),
      inodeTable: place(8),
      flags: view.getUint16(18, true),
    });
  }
}

/** Whether a group begins with a copy of the superblock. */
export function hasSuper(image: Ext4, group: number): boolean {
  if (group === 0) return true;
  const SPARSE = 1;
  const SPARSE_2 = 0x200;
  if ((image.compat & SPARSE_2) !== 0) return group === 1 || group === image.groups.length - 1;
  if ((image.roCompat & SPARSE) === 0 || group === 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

const COMPAT: Readonly<Record<number, string>> = {
  0: "dir_prealloc",
  1: "imagic_inodes",
  2: "has_journal",
  3: "ext_attr",
  4: "resize_inode",
  5: "dir_index",
  9: "sparse_super2",
  10: "fast_commit",
  11: "stable_inodes",
  12: "orphan_file",
};
const INCOMPAT: Readonly<Record<number, string>> = {
  0: "compression",
  1: "filetype",
  2: "needs_recovery",
  3: "journal_dev",
  4: "meta_bg",
  6: "extent",
  7: "64bit",
  8: "mmp",
  9: "flex_bg",
  10: "ea_inode",
  12: "dirdata",
  13: "metadata_csum_seed",
  14: "large_dir",
  15: "inline_data",
  16: "encrypt",
  17: "casefold",
};
const RO_COMPAT: Readonly<Record<number, string>> = {
  0: "sparse_super",
  1: "large_file",
  3: "huge_file",
  4: "uninit_bg",
  5: "dir_nlink",
  6: "extra_isize",
  8: "quota",
  9: "bigalloc",
  10: "metadata_csum",
  12: "read-only",
  13: "project",
  15: "verity",
  16: "orphan_present",
};

const MOUNT_OPTIONS: Readonly<Record<number, string>> = {
  0: "debug",
  1: "bsdgroups",
  2: "user_xattr",
  3: "acl",
  4: "uid16",
  5: "journal_data",
  6: "journal_data_ordered",
  8: "nobarrier",
  9: "block_validity",
  10: "discard",
  11: "nodelalloc",
};

const HASHES: readonly string[] = ["legacy", "half_md4", "tea", "legacy unsigned", "half_md4 unsigned", "tea unsigned"];
const hash = (bytes: Uint8Array): string => HASHES[bytes[0] ?? 0] ?? number(bytes);

const CELLS: readonly Cell[] = [
  ["inodes", 4, "field"],
  ["blocks", 4, "field"],
  ["reserved blocks", 4, "field"],
  ["free blocks", 4, "derived"],
  ["free inodes", 4, "derived"],
  ["first block", 4, "derived"],
  ["block size", 4, "field", (bytes) => String(1024 * 2 ** (bytes[0] ?? 0))],
  ["cluster size", 4, "field", (bytes) => String(1024 * 2 ** (bytes[0] ?? 0))],
  ["blocks in a group", 4, "field"],
  ["clusters in a group", 4, "derived"],
  ["inodes in a group", 4, "derived"],
  ["mount-mtime", 4, "field"],
  ["write-mtime", 4, "field"],
  ["mount count", 2, "field"],
  ["most mounts before a check", 2, "field"],
  ["magic", 2, "derived"],
  ["state", 2, "field", flags({ 0: "clean", 1: "errors", 2: "orphans" })],
  ["on errors", 2, "field", (bytes) => ["", "continue", "remount read-only", "panic"][bytes[0] ?? 0] ?? number(bytes)],
  ["minor revision", 2, "field"],
  ["check-mtime", 4, "field"],
  ["check interval", 4, "field"],
  ["creator", 4, "field", (bytes) => ["Linux", "Hurd", "Masix", "FreeBSD", "Lites"][bytes[0] ?? 0] ?? number(bytes)],
  ["revision", 4, "field"],
  ["reserved for uid", 2, "field"],
  ["reserved for gid", 2, "field"],
  ["first inode", 4, "field"],
  ["inode size", 2, "field"],
  ["group of this superblock", 2, "derived"],
  ["compatible features", 4, "field", flags(COMPAT)],
  ["incompatible features", 4, "field", flags(INCOMPAT)],
  ["read-only compatible features", 4, "field", flags(RO_COMPAT)],
  ["UUID", 16, "field", uuid],
  ["volume name", 16, "field", text],
  ["last mounted on", 64, "field", text],
  ["compression algorithms", 4, "field"],
  ["preallocated blocks", 1, "field"],
  ["preallocated blocks of folders", 1, "field"],
  ["reserved group descriptor blocks", 2, "derived"],
  ["journal UUID", 16, "field", uuid],
  ["journal inode", 4, "field"],
  ["journal device", 4, "field"],
  ["orphan list", 4, "field"],
  ["hash seed", 16, "field", uuid],
  ["hash version", 1, "field", hash],
  ["journal backup", 1, "field"],
  ["descriptor size", 2, "field"],
  ["default mount options", 4, "field", flags(MOUNT_OPTIONS)],
  ["first meta block group", 4, "field"],
  ["mkfs-mtime", 4, "field"],
  ["copy of the journal's blocks", 68, "derived"],
  ["blocks, high", 4, "derived"],
  ["reserved blocks, high", 4, "derived"],
  ["free blocks, high", 4, "derived"],
  ["least extra inode size", 2, "field"],
  ["wanted extra inode size", 2, "field"],
  ["flags", 4, "field", flags({ 0: "signed directory hash", 1: "unsigned directory hash", 2: "test" })],
  ["RAID stride", 2, "field"],
  ["MMP interval", 2, "field"],
  ["MMP block", 8, "field"],
  ["RAID stripe width", 4, "field"],
  ["groups in a flex group", 1, "field", (bytes) => String(2 ** (bytes[0] ?? 0))],
  ["checksum type", 1, "field"],
  ["encryption level", 1, "field"],
  ["reserved", 1, "padding"],
  ["KiB written", 8, "field"],
  ["snapshot", 20, "field"],
  ["errors seen", 4, "field"],
  ["first-error-mtime", 4, "field"],
  ["first error at", 12, "field"],
  ["first error in function", 32, "field", text],
  ["first error in line", 4, "field"],
  ["last-error-mtime", 4, "field"],
  ["last error at", 16, "field"],
  ["last error in function", 32, "field", text],
  ["mount options", 64, "field", text],
  ["user quota inode", 4, "field"],
  ["group quota inode", 4, "field"],
  ["overhead", 4, "derived"],
  ["backup groups", 8, "derived"],
  ["encryption algorithms", 4, "field"],
  ["encryption salt", 16, "field", uuid],
  ["inode of lost+found", 4, "field"],
  ["project quota inode", 4, "field"],
  ["checksum seed", 4, "derived"],
  ["times, high", 6, "field"],
  ["error codes", 2, "field"],
  ["encoding", 2, "field"],
  ["encoding flags", 2, "field"],
  ["orphan file inode", 4, "field"],
  ["reserved", 376, "padding"],
  ["checksum", 4, "derived"],
];

export function superblockParts(image: Ext4): Part[] {
  return recordParts(CELLS, image.source.read(SUPERBLOCK_AT, SUPERBLOCK_SIZE).slice(), SUPERBLOCK_AT);
}
