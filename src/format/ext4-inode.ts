import { BitforbitError } from "../errors.ts";
import { badExt4, type Ext4 } from "./ext4-superblock.ts";

/**
 * Inodes of ext2, ext3 and ext4, and where their blocks are (Linux,
 * Documentation/filesystems/ext4/inodes.rst, ifork.rst): a tree of extents, or
 * twelve blocks and three trees of block numbers.
 */
export interface Inode {
  number: number;
  /** In the image. */
  at: number;
  mode: number;
  size: number;
  links: number;
  flags: number;
  /** The block with extended attributes, 0 when there is none. */
  attributes: number;
  /** Bytes beyond the first 128 that are fields. */
  extra: number;
  /** Never used, or freed: nothing leads to it. */
  zero: boolean;
}

/** Blocks that follow each other both in the file and in the image. */
export interface Run {
  /** In the file, in blocks. */
  logical: number;
  /** In the image, in blocks. */
  physical: number;
  count: number;
  /** Allocated, but reads as zeros. */
  unwritten: boolean;
}

export interface Mapping {
  runs: Run[];
  /** Blocks of the tree itself. */
  tree: number[];
}

export const FLAG_INDEX = 0x1000;
const FLAG_EXTENTS = 0x80000;
export const FLAG_EA_INODE = 0x200000;
export const FLAG_INLINE = 0x10000000;
export const KIND = 0xf000;
export const FOLDER = 0x4000;
export const FILE = 0x8000;
export const LINK = 0xa000;
const MAX_DEPTH = 5;
const MAX_MAPPED = 64_000_000;

/** Where the slot of inode `number` (from 1) begins; undefined when the image has no such place. */
export function inodePlace(image: Ext4, number: number): number | undefined {
  if (number < 1 || number > image.inodes) return undefined;
  const group = image.groups[Math.floor((number - 1) / image.inodesPerGroup)];
  if (group === undefined) return undefined;
  const at = group.inodeTable * image.blockSize + ((number - 1) % image.inodesPerGroup) * image.inodeSize;
  return at + image.inodeSize <= image.source.size ? at : undefined;
}

export function inodeOf(image: Ext4, number: number): Inode | undefined {
  const at = inodePlace(image, number);
  if (at === undefined) return undefined;
  const bytes = image.source.read(at, image.inodeSize);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const mode = view.getUint16(0, true);
  // Only files may be larger than 4 GiB: what is there for others once was an ACL.
  const high = (mode & KIND) === FILE ? view.getUint32(108, true) : 0;
  const extra = image.inodeSize > 128 ? view.getUint16(128, true) : 0;
  return {
    number,
    at,
    mode,
    size: view.getUint32(4, true) + high * 2 ** 32,
    links: view.getUint16(26, true),
    flags: view.getUint32(32, true),
    attributes: view.getUint32(104, true) + view.getUint16(118, true) * 2 ** 32,
    extra: extra <= image.inodeSize - 128 ? extra : 0,
    zero: mode === 0 && view.getUint16(26, true) === 0,
  };
}

/** Whether the target stands in the inode itself. */
export function isFastLink(inode: Inode): boolean {
  return (inode.mode & KIND) === LINK && inode.size < 60 && (inode.flags & FLAG_INLINE) === 0;
}

/** Counts what is read of trees, which a hostile image may let refer to each other. */
export class Mapper {
  readonly #image: Ext4;
  #budget: number;

  constructor(image: Ext4) {
    this.#image = image;
    this.#budget = Math.min(MAX_MAPPED, 16 * image.blocks + (1 << 20));
  }

  /** Where an inode's blocks are, in the order of the file. Throws `input`, `limit`. */
  mappingOf(inode: Inode): Mapping {
    const mapping: Mapping = { runs: [], tree: [] };
    const kind = inode.mode & KIND;
    const hasBlocks = kind === FILE || kind === FOLDER || (kind === LINK && !isFastLink(inode)) || inode.mode === 0;
    if (!hasBlocks || (inode.flags & FLAG_INLINE) !== 0) return mapping;
    const root = this.#image.source.read(inode.at + 40, 60).slice();
    if ((inode.flags & FLAG_EXTENTS) !== 0) this.#extents(inode, root, MAX_DEPTH, mapping);
    else this.#blockMap(inode, root, mapping);
    mapping.runs.sort((a, b) => a.logical - b.logical);
    return mapping;
  }

  #spend(count: number): void {
    this.#budget -= count;
    if (this.#budget < 0) throw new BitforbitError("limit", `${this.#image.name}: ext4: block maps without end`);
  }

  #isBlock(block: number): boolean {
    return block > 0 && (block + 1) * this.#image.blockSize <= this.#image.source.size;
  }

  #block(block: number): Uint8Array {
    const { source, blockSize } = this.#image;
    return source.read(block * blockSize, blockSize).slice();
  }

  #extents(inode: Inode, node: Uint8Array, deepest: number, mapping: Mapping): void {
    const view = new DataView(node.buffer, node.byteOffset, node.byteLength);
    const entries = view.getUint16(2, true);
    const depth = view.getUint16(6, true);
    if (view.getUint16(0, true) !== 0xf30a || 12 + entries * 12 > node.length || depth > deepest) {
      throw badExt4(this.#image.name, inode.at + 40, `a broken node of extents of inode ${inode.number}`);
    }
    this.#spend(entries + 1);
    for (let at = 12; at < 12 + entries * 12; at += 12) {
      const logical = view.getUint32(at, true);
      if (depth > 0) {
        const child = view.getUint32(at + 4, true) + view.getUint16(at + 8, true) * 2 ** 32;
        if (!this.#isBlock(child)) continue;
        mapping.tree.push(child);
        this.#extents(inode, this.#block(child), depth - 1, mapping);
        continue;
      }
      const stated = view.getUint16(at + 4, true);
      const unwritten = stated > 32768;
      const count = unwritten ? stated - 32768 : stated;
      const physical = view.getUint32(at + 8, true) + view.getUint16(at + 6, true) * 2 ** 32;
      if (count > 0 && this.#isBlock(physical + count - 1)) add(mapping, { logical, physical, count, unwritten });
    }
  }

  #blockMap(inode: Inode, root: Uint8Array, mapping: Mapping): void {
    const per = this.#image.blockSize / 4;
    const view = new DataView(root.buffer, root.byteOffset, root.byteLength);
    const needed = Math.ceil(inode.size / this.#image.blockSize);
    for (let index = 0; index < 12; index++) this.#pointer(view.getUint32(index * 4, true), index, 0, mapping);
    let logical = 12;
    for (let level = 1; level <= 3 && logical < needed; level++) {
      this.#pointer(view.getUint32(44 + level * 4, true), logical, level, mapping);
      logical += per ** level;
    }
  }

  #pointer(block: number, logical: number, level: number, mapping: Mapping): void {
    if (!this.#isBlock(block)) return;
    if (level === 0) return add(mapping, { logical, physical: block, count: 1, unwritten: false });
    mapping.tree.push(block);
    const per = this.#image.blockSize / 4;
    this.#spend(per);
    const bytes = this.#block(block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let index = 0; index < per; index++) {
      const child = view.getUint32(index * 4, true);
      if (child !== 0) this.#pointer(child, logical + index * per ** (level - 1), level - 1, mapping);
    }
  }
}

function add(mapping: Mapping, run: Run): void {
  const last = mapping.runs.at(-1);
  const follows =
    last !== undefined &&
    last.unwritten === run.unwritten &&
    last.logical + last.count === run.logical &&
    last.physical + last.count === run.physical;
  if (follows) last.count += run.count;
  else mapping.runs.push(run);
}
