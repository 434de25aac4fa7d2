import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { badSquashfs, placeIn, type Table } from "./squashfs-tables.ts";

/**
 * The inodes of a squashfs image and the paths that lead to them. Inodes stand
 * one after another in their table, each as long as its type says; a
 * directory's listing is a row of runs: a header (count - 1, block of the
 * inodes, number of the first), then for each entry an offset, a difference of
 * the number, a type and a name.
 */
export interface Inode {
  /** In the inode table that was handed in. */
  at: number;
  /** In the plain inode table: what references count in. */
  place: number;
  length: number;
  /** 1 to 7: folder, file, link, block and character device, FIFO, socket; 8 to 14: the same, extended. */
  type: number;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  number: number;
  /** The first path that leads to it, without a slash before it; "/" for the root; undefined when none does. */
  path: string | undefined;
  /** Of a file: its bytes, where its blocks begin in the image, and how long each is in the table. */
  size: number;
  start: number;
  blocksAt: number;
  blocks: number;
  /** Of a file: its last bytes stand in this fragment block, or `NONE`. */
  fragment: number;
  fragmentOffset: number;
  /** Of a folder: where its listing stands in the plain directory table. */
  listing: { at: number; length: number } | undefined;
  /** Of a link: where its target stands. Of a folder, its index. */
  restAt: number;
  xattr: number;
}

export const NONE = 0xffff_ffff;
const MAX_INODES = 4_000_000;
const MAX_ENTRIES = 8_000_000;
const MAX_PATH = 16 << 10;

export interface DirectoryRun {
  at: number;
  entries: { at: number; length: number; name: string; inode: Inode | undefined }[];
}

/** One folder's listing, run by run. Throws `input`. */
export interface Tree {
  inodes: Inode[];
  root: Inode | undefined;
  /** Folders in the order of their listings. */
  folders: Inode[];
  runs(folder: Inode): Generator<DirectoryRun>;
}

/** Reads inodes and listings; `before`: bytes that were put before each inode. Throws `input` for broken tables, `limit` for too many. */
export function treeOf(
  name: string,
  tables: { inodes: Table; directories: Table },
  root: { block: number; offset: number },
  blockSize: number,
  before = 0,
): Tree {
  const inodes = inodesOf(name, tables, blockSize, before);
  const byPlace = new Map(inodes.map((inode) => [inode.place, inode]));
  const rootAt = placeIn(tables.inodes, root.block, root.offset);
  const tree: Tree = {
    inodes,
    root: rootAt === undefined ? undefined : byPlace.get(rootAt),
    folders: [],
    runs: (folder) => runsOf(name, tables, byPlace, folder),
  };
  walk(name, tree);
  tree.folders.sort((a, b) => (a.listing?.at ?? 0) - (b.listing?.at ?? 0));
  return tree;
}

function walk(name: string, tree: Tree): void {
  if (tree.root?.listing === undefined) throw badSquashfs(name, 32, "no root directory");
  tree.root.path = "/";
  const queue = [tree.root];
  let entries = 0;
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    tree.folders.push(folder);
    const above = folder.path === "/" ? "" : `${folder.path ?? ""}/`;
    for (const run of tree.runs(folder)) {
      for (const entry of run.entries) {
        if (++entries > MAX_ENTRIES) {
          throw new BitforbitError("limit", `${name}: squashfs: over ${MAX_ENTRIES} directory entries`);
        }
        if (entry.inode === undefined || entry.inode.path !== undefined) continue;
        if (above.length + entry.name.length > MAX_PATH) continue;
        entry.inode.path = above + entry.name;
        if (entry.inode.listing !== undefined) queue.push(entry.inode);
      }
    }
  }
}

function* runsOf(
  name: string,
  tables: { inodes: Table; directories: Table },
  byPlace: ReadonlyMap<number, Inode>,
  folder: Inode,
): Generator<DirectoryRun> {
  if (folder.listing === undefined) return;
  const { bytes } = tables.directories;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = folder.listing.at + folder.listing.length;
  let at = folder.listing.at;
  while (at < end) {
    if (at + 12 > end) throw badSquashfs(name, at, "cut off in a directory's header");
    const count = view.getUint32(at, true) + 1;
    const start = view.getUint32(at + 4, true);
    if (count > 256) throw badSquashfs(name, at, `a run of ${count} directory entries; 256 are possible`);
    const run: DirectoryRun = { at, entries: [] };
    at += 12;
    for (let index = 0; index < count; index++) {
      if (at + 8 > end) throw badSquashfs(name, at, "cut off in a directory entry");
      const length = 8 + view.getUint16(at + 6, true) + 1;
      if (at + length > end) throw badSquashfs(name, at, "cut off in a directory entry's name");
      const place = placeIn(tables.inodes, start, view.getUint16(at, true));
      const inode = place === undefined ? undefined : byPlace.get(place);
      run.entries.push({ at, length, name: showable(bytes.subarray(at + 8, at + length)), inode });
      at += length;
    }
    yield run;
  }
}

function inodesOf(
  name: string,
  tables: { inodes: Table; directories: Table },
  blockSize: number,
  before: number,
): Inode[] {
  const { bytes } = tables.inodes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Inode[] = [];
  for (let at = before; at < bytes.length;) {
    if (found.length >= MAX_INODES) throw new BitforbitError("limit", `${name}: squashfs: over ${MAX_INODES} inodes`);
    const inode = inodeAt(name, view, at, blockSize, tables.directories);
    inode.place = at - before * (found.length + 1);
    found.push(inode);
    at += inode.length + before;
  }
  return found;
}

/** Bytes before what is of variable length. */
const FIXED: readonly number[] = [0, 32, 32, 24, 24, 24, 20, 20, 40, 56, 24, 28, 28, 24, 24];

function inodeAt(name: string, view: DataView, at: number, blockSize: number, directories: Table): Inode {
  const left = view.byteLength - at;
  const type = left < 2 ? 0 : view.getUint16(at, true);
  const fixed = FIXED[type] ?? 0;
  if (fixed === 0 || fixed > left) throw badSquashfs(name, at, `no inode of type ${type} fits in the inode table`);
  const inode: Inode = {
    at,
    place: at,
    length: fixed,
    type,
    mode: view.getUint16(at + 2, true),
    uid: view.getUint16(at + 4, true),
    gid: view.getUint16(at + 6, true),
    mtime: view.getUint32(at + 8, true),
    number: view.getUint32(at + 12, true),
    path: undefined,
    size: 0,
    start: 0,
    blocksAt: at + fixed,
    blocks: 0,
    fragment: NONE,
    fragmentOffset: 0,
    listing: undefined,
    restAt: at + fixed,
    xattr: NONE,
  };
  addBody(inode, view, blockSize, directories);
  if (inode.length > left) throw badSquashfs(name, at, `an inode of ${inode.length} bytes; ${left} are left`);
  if (type === 8) inode.length += indexLength(name, view, inode);
  return inode;
}

function addBody(inode: Inode, view: DataView, blockSize: number, directories: Table): void {
  const u16 = (offset: number): number => view.getUint16(inode.at + offset, true);
  const u32 = (offset: number): number => view.getUint32(inode.at + offset, true);
  const u64 = (offset: number): number => u32(offset) + u32(offset + 4) * 2 ** 32;
  switch (inode.type) {
    case 1:
      inode.listing = listing(directories, u32(16), u16(26), u16(24));
      break;
    case 8:
      inode.listing = listing(directories, u32(24), u16(34), u32(20));
      inode.xattr = u32(36);
      break;
    case 2:
      Object.assign(inode, { start: u32(16), fragment: u32(20), fragmentOffset: u32(24), size: u32(28) });
      addBlocks(inode, blockSize);
      break;
    case 9:
      Object.assign(inode, {
        start: u64(16),
        size: u64(24),
        fragment: u32(44),
        fragmentOffset: u32(48),
        xattr: u32(52),
      });
      addBlocks(inode, blockSize);
      break;
    case 3:
      inode.length += u32(20);
      break;
    case 10:
      inode.length += u32(20) + 4;
      if (inode.at + inode.length <= view.byteLength) inode.xattr = u32(inode.length - 4);
      break;
    case 11:
    case 12:
      inode.xattr = u32(24);
      break;
    case 13:
    case 14:
      inode.xattr = u32(20);
  }
}

/** A listing's stated size counts "." and "..", which are not stored: three bytes. */
function listing(directories: Table, block: number, offset: number, size: number): Inode["listing"] {
  const length = Math.max(0, size - 3);
  const at = length === 0 ? 0 : placeIn(directories, block, offset);
  return at === undefined || at + length > directories.bytes.length ? { at: 0, length: 0 } : { at, length };
}

function addBlocks(inode: Inode, blockSize: number): void {
  const whole = inode.size / blockSize;
  inode.blocks = inode.fragment === NONE ? Math.ceil(whole) : Math.floor(whole);
  inode.length += inode.blocks * 4;
}

/** The index of an extended directory: for each entry a position and a name. */
function indexLength(name: string, view: DataView, inode: Inode): number {
  const count = view.getUint16(inode.at + 32, true);
  let at = inode.restAt;
  for (let index = 0; index < count; index++) {
    if (at + 12 > view.byteLength) throw badSquashfs(name, inode.at, "cut off in a directory's index");
    at += 12 + view.getUint32(at + 8, true) + 1;
  }
  if (at > view.byteLength) throw badSquashfs(name, inode.at, "cut off in a directory's index");
  return at - inode.restAt;
}
