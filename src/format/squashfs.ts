import type { ByteSource } from "../bytesource.ts";
import { placed } from "./image-record.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, field, group, type Part } from "./part.ts";
import { COMPRESSORS, decompressedBlock } from "./squashfs-compression.ts";
import { metadataStream } from "./squashfs-metadata.ts";
import {
  badSquashfs,
  HAS_OPTIONS,
  type StoredTable,
  SUPERBLOCK,
  type Superblock,
  superblockOf,
  type Tables,
  tablesOf,
} from "./squashfs-tables.ts";
import { type Tail, tailsHeader } from "./squashfs-tails.ts";
import { type Inode, NONE, type Tree, treeOf } from "./squashfs-tree.ts";

/**
 * Cuts a squashfs 4.0 image: superblock, compressor's options, each file's
 * blocks by its path in the order in which they stand, and two contents that
 * are stored in pieces and looked into once they are decompressed: "fragments"
 * (files, and ends of files, that share blocks) and "metadata" (inodes,
 * directories, ids, extended attributes). See squashfs-tables.ts for the layout.
 */

/** Of a block's stated size: it is stored as it is. */
const PLAIN = 1 << 24;

interface Fragment {
  offset: number;
  /** Stored bytes; with `PLAIN`, when stored as they are. */
  size: number;
}

interface Image {
  source: ByteSource;
  superblock: Superblock;
  tables: Tables;
  tree: Tree;
  fragments: Fragment[];
}

/** Throws `input` for what is not squashfs 4.0, is broken, or is compressed with lzma. */
export async function squashfsParts(source: ByteSource, name: string): Promise<Iterable<Part>> {
  const superblock = superblockOf(source);
  const tables = await tablesOf(source, superblock);
  const tree = treeOf(
    name,
    { inodes: tables.inodes.table, directories: tables.directories.table },
    { block: superblock.rootBlock, offset: superblock.rootOffset },
    superblock.blockSize,
  );
  const image = { source, superblock, tables, tree, fragments: fragmentsOf(tables) };
  const start = group("superblock", 0, SUPERBLOCK, () => superblockParts(superblock));
  const pieces = [...optionParts(image), ...fileParts(image), ...fragmentParts(image), ...tableParts(image)];
  return placed([start, ...pieces, ...padding(image)], source.size);
}

const FLAGS: readonly string[] = [
  "inodes uncompressed",
  "data uncompressed",
  "check",
  "fragments uncompressed",
  "no fragments",
  "always fragments",
  "duplicates removed",
  "exportable",
  "xattrs uncompressed",
  "no xattrs",
  "compressor options",
  "ids uncompressed",
];

function superblockParts(superblock: Superblock): Part[] {
  const flags = FLAGS.filter((_, bit) => (superblock.flags & (1 << bit)) !== 0).join(", ");
  const compressor = COMPRESSORS[superblock.compressor] ?? `number ${superblock.compressor}`;
  return [
    derived("magic", 0, 4),
    derived("inodes", 4, 4),
    field("mkfs-mtime", 8, 4, () => String(superblock.mkfsTime)),
    field("block size", 12, 4, () => String(superblock.blockSize)),
    derived("fragments", 16, 4),
    field("compressor", 20, 2, () => compressor),
    derived("block log", 22, 2),
    field("flags", 24, 2, () => flags),
    derived("ids", 26, 2),
    field("version", 28, 4, () => "4.0"),
    derived("root inode", 32, 8),
    derived("bytes used", 40, 8),
    derived("where tables stand", 48, 48),
  ];
}

/** Names of the 32-bit numbers that each compressor keeps (mksquashfs' `-X…`). */
const OPTIONS: Readonly<Record<number, readonly string[]>> = {
  1: ["level", "window and strategies"],
  3: ["algorithm", "level"],
  4: ["dictionary size", "filters"],
  5: ["version", "flags"],
  6: ["level"],
};

function* optionParts({ source, superblock }: Image): Generator<Part> {
  if ((superblock.flags & HAS_OPTIONS) === 0 || source.size < SUPERBLOCK + 2) return;
  const header = viewOf(source.read(SUPERBLOCK, 2)).getUint16(0, true);
  const length = header & 0x7fff;
  if (SUPERBLOCK + 2 + length > source.size) return;
  const parts: Part[] = [derived("length", SUPERBLOCK, 2)];
  const names = OPTIONS[superblock.compressor] ?? [];
  for (let at = 0; at + 4 <= Math.min(length, 64); at += 4) {
    const offset = SUPERBLOCK + 2 + at;
    const value = viewOf(source.read(offset, 4)).getUint32(0, true);
    parts.push(field(names[at / 4] ?? "more", offset, 4, () => String(value)));
  }
  const show = (): string =>
    parts
      .slice(1)
      .map((part) => `${part.key} ${part.show?.() ?? ""}`)
      .join(", ");
  yield { ...group("compressor options", SUPERBLOCK, 2 + length, () => parts), show };
}

function fragmentsOf({ fragments }: Tables): Fragment[] {
  const { bytes } = fragments.table;
  const view = viewOf(bytes);
  const found: Fragment[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const start = view.getBigUint64(at, true);
    found.push({ offset: start < 2n ** 53n ? Number(start) : -1, size: view.getUint32(at + 8, true) });
  }
  return found;
}

/** Files that have blocks of their own. */
function* fileParts(image: Image): Generator<Part> {
  for (const inode of image.tree.inodes) {
    if (inode.blocks === 0 || inode.path === undefined) continue;
    const { stored, plain } = storedLength(image, inode);
    if (stored === 0 || inode.start < SUPERBLOCK || inode.start + stored > image.source.size) continue;
    const name = inode.path.slice(inode.path.lastIndexOf("/") + 1);
    const part: Part = {
      key: inode.path,
      kind: "content",
      offset: inode.start,
      length: stored,
      name,
      show: () => fileText(inode),
    };
    if (plain && inode.fragment === NONE) yield part;
    else yield { ...part, decode: { name: "unsquash", run: (sink, limits) => unsquash(image, inode, sink, limits) } };
  }
}

function fileText({ size }: Inode): string {
  return `file, ${size} bytes`;
}

function blockSizeAt(image: Image, inode: Inode, index: number): number {
  return viewOf(image.tables.inodes.table.bytes).getUint32(inode.blocksAt + index * 4, true);
}

function storedLength(image: Image, inode: Inode): { stored: number; plain: boolean } {
  let stored = 0;
  let plain = true;
  for (let index = 0; index < inode.blocks; index++) {
    const size = blockSizeAt(image, inode, index);
    stored += size & (PLAIN - 1);
    if (size < PLAIN) plain = false;
  }
  return { stored, plain: plain && stored === inode.size };
}

/** A file's bytes: its blocks, none where it is sparse, and its end from a fragment. */
async function unsquash(image: Image, inode: Inode, sink: Sink, limits: InflationLimits): Promise<void> {
  const { source, superblock } = image;
  const guard = new InflationGuard(source.name, source.size, limits);
  let at = inode.start;
  let left = inode.size;
  for (let index = 0; index < inode.blocks; index++) {
    const size = blockSizeAt(image, inode, index);
    const expected = Math.min(superblock.blockSize, left);
    const block = size === 0 ? new Uint8Array(expected) : await blockAt(image, at, size);
    if (block.length !== expected) {
      throw badSquashfs(source.name, at, `a block of ${inode.path ?? ""} has ${block.length} bytes, not ${expected}`);
    }
    guard.add(block.length);
    sink(block);
    at += size & (PLAIN - 1);
    left -= expected;
  }
  if (left === 0) return;
  const fragment = image.fragments[inode.fragment];
  if (fragment === undefined) throw badSquashfs(source.name, at, `there is no fragment ${inode.fragment}`);
  const block = await blockAt(image, fragment.offset, fragment.size);
  if (inode.fragmentOffset + left > block.length) {
    throw badSquashfs(source.name, fragment.offset, `the end of ${inode.path ?? ""} is not in its fragment`);
  }
  guard.add(left);
  sink(block.slice(inode.fragmentOffset, inode.fragmentOffset + left));
}

async function blockAt({ source, superblock }: Image, offset: number, size: number): Promise<Uint8Array> {
  const length = size & (PLAIN - 1);
  if (offset < SUPERBLOCK || offset + length > source.size || length > superblock.blockSize) {
    throw badSquashfs(source.name, offset, `no block of ${length} bytes is here`);
  }
  const stored = source.read(offset, length);
  if (size >= PLAIN) return stored.slice();
  return await decompressedBlock(superblock.compressor, stored, superblock.blockSize, source.name);
}

function isStored({ source }: Image, fragment: Fragment): boolean {
  const length = fragment.size & (PLAIN - 1);
  return length > 0 && fragment.offset >= SUPERBLOCK && fragment.offset + length <= source.size;
}

/** All fragment blocks as one content, since files move between them when one before them grows. */
function* fragmentParts(image: Image): Generator<Part> {
  const blocks = image.fragments.filter((fragment) => isStored(image, fragment));
  blocks.sort((a, b) => a.offset - b.offset);
  for (const [index, block] of blocks.entries()) {
    const part = { key: "fragments", offset: block.offset, length: block.size & (PLAIN - 1) };
    if (index > 0) yield { ...part, kind: "stored" };
    else {
      const run = (sink: Sink, limits: InflationLimits): Promise<void> => defragment(image, blocks, sink, limits);
      yield { ...part, kind: "content", decode: { name: "unsquash", run } };
    }
  }
}

async function defragment(
  image: Image,
  blocks: readonly Fragment[],
  sink: Sink,
  limits: InflationLimits,
): Promise<void> {
  const guard = new InflationGuard(image.source.name, image.source.size, limits);
  // The header, which comes first, says where each block lands; only decompressing tells how long blocks are.
  const places = new Map<Fragment, number>();
  let total = 0;
  for (const block of blocks) {
    places.set(block, total);
    total += block.size >= PLAIN ? block.size & (PLAIN - 1) : (await blockAt(image, block.offset, block.size)).length;
    if (total > limits.maxBytes) guard.add(total);
  }
  sink(tailsHeader(tailsOf(image, places)));
  for (const block of blocks) {
    const bytes = await blockAt(image, block.offset, block.size);
    guard.add(bytes.length);
    sink(bytes);
  }
}

function tailsOf(image: Image, places: ReadonlyMap<Fragment, number>): Tail[] {
  const tails: Tail[] = [];
  for (const inode of image.tree.inodes) {
    const fragment = image.fragments[inode.fragment];
    const place = fragment === undefined ? undefined : places.get(fragment);
    if (place === undefined || inode.path === undefined) continue;
    const length = inode.size - inode.blocks * image.superblock.blockSize;
    if (length <= 0 || length > image.superblock.blockSize) continue;
    tails.push({ path: inode.path, offset: place + inode.fragmentOffset, length, whole: inode.blocks === 0 });
  }
  return tails.sort((a, b) => a.offset - b.offset);
}

function* tableParts(image: Image): Generator<Part> {
  const { inodes, directories, fragments, exports, ids, xattrs, xattrIds } = image.tables;
  const run = async (sink: Sink): Promise<void> => {
    for (const chunk of metadataStream(image.superblock, image.tables, image.tree)) sink(chunk);
  };
  const { offset } = inodes;
  const length = inodes.length + directories.length;
  yield { key: "metadata", kind: "content", offset, length, decode: { name: "unsquash", run } };
  const others: StoredTable[] = [fragments, exports, ids, xattrs, xattrIds];
  for (const table of others.filter((one) => one.length > 0)) {
    yield { key: "metadata", kind: "stored", offset: table.offset, length: table.length };
    if (table.indexLength > 0) yield derived(`index of ${table.table.name}`, table.index, table.indexLength);
  }
}

function* padding({ source, superblock }: Image): Generator<Part> {
  const end = superblock.bytesUsed;
  if (end < SUPERBLOCK || end >= source.size) return;
  yield { key: "padding", kind: "padding", offset: end, length: Math.min(source.size - end, 1 << 20) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
