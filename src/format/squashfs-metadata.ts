import { showable, utf8 } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { looksLikeTables } from "./image-magic.ts";
import { linuxDevice } from "./image-record.ts";
import { derived, field, group, type Part } from "./part.ts";
import { badSquashfs, placeIn, type Superblock, type Table, type Tables } from "./squashfs-tables.ts";
import { type DirectoryRun, type Inode, NONE, type Tree, treeOf } from "./squashfs-tree.ts";

/**
 * The tables of a squashfs image as `squashfs.ts` hands them on when they are
 * decompressed, and their cut: inodes by the paths that lead to them.
 *
 *     "squashfs tables\0"  header length  block size  root block  root offset
 *     (length  count of starts) of each table  starts…  tables…
 *
 * All numbers have 32 bits, little endian. The starts are where each table's
 * stored blocks began, which is how inodes and directories refer to each other.
 * Before each inode stand its uid and gid, which it only has as their numbers
 * in the table of ids.
 */
const MAGIC = "squashfs tables\0";
const ORDER = ["inodes", "directories", "fragments", "exports", "ids", "xattrs", "xattrIds"] as const;
const FIXED = 32 + ORDER.length * 8;

const OWNERS = 8;

/** The tables, plain, in one piece. */
export function metadataStream(superblock: Superblock, tables: Tables, tree: Tree): Uint8Array[] {
  const inodes = withOwners(tables, tree);
  const bytesOf = (name: (typeof ORDER)[number]): Uint8Array => {
    return name === "inodes" ? inodes : tables[name].table.bytes;
  };
  const starts = ORDER.flatMap((name) => tables[name].table.starts);
  const header = new DataView(new ArrayBuffer(FIXED + starts.length * 4));
  new Uint8Array(header.buffer).set(utf8(MAGIC));
  [header.byteLength, superblock.blockSize, superblock.rootBlock, superblock.rootOffset].forEach((value, at) => {
    header.setUint32(16 + at * 4, value, true);
  });
  ORDER.forEach((name, at) => {
    header.setUint32(32 + at * 8, bytesOf(name).length, true);
    header.setUint32(36 + at * 8, tables[name].table.starts.length, true);
  });
  starts.forEach((start, at) => header.setUint32(FIXED + at * 4, start, true));
  return [new Uint8Array(header.buffer), ...ORDER.map(bytesOf)];
}

/** A number that is not in the table of ids. */
const NOBODY = 0xffff_ffff;

function withOwners(tables: Tables, tree: Tree): Uint8Array {
  const plain = tables.inodes.table.bytes;
  const bytes = new Uint8Array(plain.length + tree.inodes.length * OWNERS);
  const ids = viewOf(tables.ids.table.bytes);
  const view = viewOf(bytes);
  const id = (index: number): number => (index * 4 + 4 <= ids.byteLength ? ids.getUint32(index * 4, true) : NOBODY);
  let at = 0;
  for (const inode of tree.inodes) {
    view.setUint32(at, id(inode.uid), true);
    view.setUint32(at + 4, id(inode.gid), true);
    bytes.set(plain.subarray(inode.at, inode.at + inode.length), at + OWNERS);
    at += OWNERS + inode.length;
  }
  return bytes;
}

interface Plain {
  name: string;
  at: Record<(typeof ORDER)[number], number>;
  tables: Record<(typeof ORDER)[number], Table>;
  tree: Tree;
}

/** The cut of what `metadataStream` gives. Throws `input`. */
export function squashfsMetadataParts(source: ByteSource, name: string): Iterable<Part> {
  const plain = plainOf(source, name);
  return [
    derived("where the tables' blocks began", 0, plain.at.inodes),
    ...plain.tree.inodes.map((inode) => inodePart(plain, inode)),
    ...folderParts(plain),
    derived("fragments", plain.at.fragments, plain.tables.fragments.bytes.length),
    derived("export", plain.at.exports, plain.tables.exports.bytes.length),
    derived("ids", plain.at.ids, plain.tables.ids.bytes.length),
    ...xattrParts(plain),
    derived("xattr-ids", plain.at.xattrIds, plain.tables.xattrIds.bytes.length),
  ];
}

function plainOf(source: ByteSource, name: string): Plain {
  const head = source.read(0, Math.min(FIXED, source.size));
  if (head.length < FIXED || !looksLikeTables(head)) throw badSquashfs(name, 0, "no tables");
  const fixed = viewOf(head);
  const headerLength = fixed.getUint32(16, true);
  if (headerLength < FIXED || headerLength > source.size)
    throw badSquashfs(name, 16, `a header of ${headerLength} bytes`);
  const view = viewOf(source.read(0, headerLength));
  const plain: Partial<Plain["tables"]> = {};
  const places: Partial<Plain["at"]> = {};
  let at = headerLength;
  let startsAt = FIXED;
  ORDER.forEach((table, index) => {
    const length = view.getUint32(32 + index * 8, true);
    const count = view.getUint32(36 + index * 8, true);
    if (startsAt + count * 4 > headerLength) throw badSquashfs(name, 36 + index * 8, `${count} blocks of ${table}`);
    const starts: number[] = [];
    for (let block = 0; block < count; block++) starts.push(view.getUint32(startsAt + block * 4, true));
    plain[table] = { name: table, bytes: source.read(at, length).slice(), starts };
    places[table] = at;
    at += length;
    startsAt += count * 4;
  });
  const tables = plain as Plain["tables"];
  const root = { block: view.getUint32(24, true), offset: view.getUint32(28, true) };
  const tree = treeOf(name, tables, root, Math.max(1, view.getUint32(20, true)), OWNERS);
  return { name, at: places as Plain["at"], tables, tree };
}

const KINDS: readonly string[] = ["", "folder", "file", "link", "block device", "character device", "FIFO", "socket"];

export function kindOf(type: number): string {
  return type > 7 ? `${KINDS[type - 7] ?? "?"} (extended inode)` : (KINDS[type] ?? "?");
}

function inodePart(plain: Plain, inode: Inode): Part {
  const key = inode.path ?? "an inode without a name";
  const part = group(key, plain.at.inodes + inode.at - OWNERS, inode.length + OWNERS, () => inodeFields(plain, inode));
  return { ...part, show: () => `${kindOf(inode.type)}, mode ${octal(inode.mode)}` };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function inodeFields(plain: Plain, inode: Inode): Part[] {
  const base = plain.at.inodes + inode.at;
  const owners = viewOf(plain.tables.inodes.bytes.subarray(inode.at - OWNERS, inode.at));
  const id = (at: number): string => {
    const value = owners.getUint32(at, true);
    return value === NOBODY ? "not in the table of ids" : String(value);
  };
  return [
    field("uid", base - 8, 4, () => id(0)),
    field("gid", base - 4, 4, () => id(4)),
    // Inodes are alike whatever they belong to: an empty content keeps them from being taken for renamed ones.
    { key: "", kind: "content", offset: base, length: 0 },
    field("kind", base, 2, () => kindOf(inode.type)),
    field("mode", base + 2, 2, () => octal(inode.mode)),
    derived("numbers of uid and gid", base + 4, 4),
    field("mtime", base + 8, 4, () => String(inode.mtime)),
    derived("inode number", base + 12, 4),
    ...bodyParts(plain, inode, base),
  ];
}

/** What follows the base of an inode: offset, length and name of each, by type. */
function bodyParts(plain: Plain, inode: Inode, base: number): Part[] {
  const { bytes } = plain.tables.inodes;
  const u32 = (offset: number): number => viewOf(bytes).getUint32(inode.at + offset, true);
  const xattrs = (offset: number): Part => field("xattrs", base + offset, 4, () => xattrText(plain, inode.xattr));
  const rest = inode.length - (inode.restAt - inode.at);
  const restAt = plain.at.inodes + inode.restAt;
  const device = (): Part => field("device", base + 20, 4, () => linuxDevice(u32(20)));
  const links = (offset: number): Part => derived("links", base + offset, 4);
  switch (inode.type) {
    case 1:
      return [
        derived("listing", base + 16, 4),
        links(20),
        derived("listing", base + 24, 4),
        derived("parent", base + 28, 4),
      ];
    case 8:
      return [links(16), derived("listing", base + 20, 20 - 4), xattrs(36), derived("index", restAt, rest)];
    case 2:
      return [derived("place", base + 16, 12), derived("size", base + 28, 4), derived("block sizes", restAt, rest)];
    case 9:
      return [
        derived("place", base + 16, 8),
        derived("size", base + 24, 8),
        derived("sparse", base + 32, 8),
        links(40),
        derived("place", base + 44, 8),
        xattrs(52),
        derived("block sizes", restAt, rest),
      ];
    case 3:
      return [links(16), derived("size", base + 20, 4), target(bytes, inode, restAt, rest)];
    case 10:
      return [
        links(16),
        derived("size", base + 20, 4),
        target(bytes, inode, restAt, rest - 4),
        xattrs(inode.length - 4),
      ];
    case 4:
    case 5:
      return [links(16), device()];
    case 11:
    case 12:
      return [links(16), device(), xattrs(24)];
    case 13:
    case 14:
      return [links(16), xattrs(20)];
    default:
      return [links(16)];
  }
}

function target(bytes: Uint8Array, inode: Inode, at: number, length: number): Part {
  return field("link", at, length, () => showable(bytes.subarray(inode.restAt, inode.restAt + Math.min(length, 500))));
}

function* folderParts(plain: Plain): Generator<Part> {
  let end = 0;
  for (const folder of plain.tree.folders) {
    const { listing } = folder;
    if (listing === undefined || listing.length === 0 || listing.at < end) continue;
    end = listing.at + listing.length;
    yield group(`listing of ${folder.path ?? ""}`, plain.at.directories + listing.at, listing.length, () =>
      runParts(plain, plain.tree.runs(folder), folder.path ?? ""),
    );
  }
}

function* runParts(plain: Plain, runs: Iterable<DirectoryRun>, path: string): Generator<Part> {
  const above = path === "/" ? "" : `${path}/`;
  for (const run of runs) {
    yield derived("inodes", plain.at.directories + run.at, 12);
    for (const entry of run.entries) {
      const at = plain.at.directories + entry.at;
      const first = entry.inode?.path;
      // The name itself is the key under which the inode is found above.
      if (first === above + entry.name) yield derived(entry.name, at, entry.length);
      else {
        const shown = first === undefined ? "an inode that is not there" : `hard link to ${first}`;
        yield group(entry.name, at, entry.length, () => [
          derived("inode", at, 4),
          derived("type", at + 4, 4),
          field("name", at + 8, entry.length - 8, () => `${entry.name}, ${shown}`),
        ]);
      }
    }
  }
}

const PREFIXES: readonly string[] = ["user.", "trusted.", "security."];
/** The value stands elsewhere, and only a reference to it here. */
const ELSEWHERE = 0x100;
/** Attributes looked at; lists may share theirs. */
const MAX_XATTRS = 4_000_000;

interface Xattr {
  at: number;
  length: number;
  name: string;
  value: Uint8Array;
  elsewhere: boolean;
}

/** The attributes in the order in which they stand, each list keyed by the first path that has it. */
function* xattrParts(plain: Plain): Generator<Part> {
  const owners = new Map<number, string>();
  for (const inode of plain.tree.inodes) {
    if (inode.xattr !== NONE && !owners.has(inode.xattr)) owners.set(inode.xattr, inode.path ?? "");
  }
  const ids = plain.tables.xattrIds;
  const lists = [];
  let count = 0;
  for (let id = 0; id * 16 + 16 <= ids.bytes.length && count < MAX_XATTRS; id++) {
    const list = xattrList(plain, id);
    count += list.length;
    if (list.length > 0) lists.push({ id, list, at: list[0]?.at ?? 0 });
  }
  lists.sort((a, b) => a.at - b.at);
  let end = 0;
  for (const { id, list, at } of lists) {
    if (at < end) continue;
    end = list.reduce((last, xattr) => Math.max(last, xattr.at + xattr.length), at);
    yield group(`xattrs of ${owners.get(id) ?? "nothing"}`, plain.at.xattrs + at, end - at, () =>
      list.map((xattr) =>
        field(xattr.name, plain.at.xattrs + xattr.at, xattr.length, () =>
          xattr.elsewhere ? "stored with another's" : showable(xattr.value.subarray(0, 300)),
        ),
      ),
    );
  }
}

/** The attributes with number `id`; as many as are whole. */
function xattrList(plain: Plain, id: number): Xattr[] {
  const ids = viewOf(plain.tables.xattrIds.bytes);
  const { bytes } = plain.tables.xattrs;
  const view = viewOf(bytes);
  const count = ids.getUint32(id * 16 + 8, true);
  const found: Xattr[] = [];
  let at = placeIn(plain.tables.xattrs, ids.getUint32(id * 16 + 2, true), ids.getUint16(id * 16, true));
  if (at === undefined) return found;
  while (found.length < count && at + 4 <= bytes.length) {
    const type = view.getUint16(at, true);
    const nameEnd = at + 4 + view.getUint16(at + 2, true);
    if (nameEnd + 4 > bytes.length) break;
    const length = nameEnd + 4 + view.getUint32(nameEnd, true) - at;
    if (at + length > bytes.length) break;
    const name = (PREFIXES[type & 0xff] ?? `prefix ${type & 0xff}.`) + showable(bytes.subarray(at + 4, nameEnd));
    const value = bytes.subarray(nameEnd + 4, at + length);
    found.push({ at, length, name, value, elsewhere: (type & ELSEWHERE) !== 0 });
    at += length;
  }
  return found;
}

function xattrText(plain: Plain, id: number): string {
  if (id === NONE) return "none";
  if (id * 16 + 16 > plain.tables.xattrIds.bytes.length) return `number ${id}, which is not there`;
  return xattrList(plain, id)
    .map((xattr) => xattr.name)
    .join(", ");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
