import { inflateSync } from "node:zlib";
import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { FILE, FOLDER, KIND, LINK } from "./ext4-inode.ts";
import { kindOf, octal } from "./ext4-inode-parts.ts";
import { looksLikeCramfs } from "./image-magic.ts";
import { type Cell, flags, linuxDevice, placed, recordParts, text } from "./image-record.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * Cuts a cramfs image of either byte order (Linux, include/uapi/linux/cramfs_fs.h,
 * fs/cramfs/README), which may begin behind 512 bytes of boot code:
 *
 *     magic(4) size(4) flags(4) future(4) signature(16) crc(4) edition(4) blocks(4) files(4) name(16)
 *     inodes: mode(2) uid(2) size(3) gid(1) name length and place(4) name…  data…
 *
 * A file's data are where each block ends(4)…, then blocks of 4 KiB, each of
 * zlib. Files that are the same share theirs. Inodes have no time.
 */
const BLOCK = 4096;
const SUPERBLOCK = 64;
const EXTENDED_POINTERS = 0x800;
const MAX_INODES = 1_000_000;
const MAX_PATH = 16 << 10;

const FLAGS: Readonly<Record<number, string>> = {
  0: "fsid_version_2",
  1: "sorted_dirs",
  8: "holes",
  9: "wrong_signature",
  10: "shifted_root_offset",
  11: "extended_block_pointers",
};

interface Inode {
  path: string;
  at: number;
  nameLength: number;
  mode: number;
  /** Of a device: its number. */
  size: number;
  place: number;
}

interface Cramfs {
  source: ByteSource;
  name: string;
  start: number;
  little: boolean;
  extended: boolean;
}

/** Throws `input` for what is not cramfs. */
export function cramfsParts(source: ByteSource, name: string): Iterable<Part> {
  const image = cramfsOf(source, name);
  const inodes = walk(image);
  const parts: Part[] = [group("superblock", image.start, SUPERBLOCK, () => superblockParts(image))];
  if (image.start > 0) parts.push({ key: "boot code", kind: "bytes", offset: 0, length: image.start });
  const data = new Set<number>();
  for (const inode of inodes) for (const part of partsOf(image, inode, data)) parts.push(part);
  return placed(parts, source.size);
}

function bad(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: cramfs, offset ${offset}: ${what}`);
}

function cramfsOf(source: ByteSource, name: string): Cramfs {
  const head = source.read(0, Math.min(source.size, 1024)).slice();
  if (!looksLikeCramfs(head)) throw bad(name, 0, "no magic number 28cd3d45");
  const start = looksLikeCramfs(head.subarray(0, 512)) ? 0 : 512;
  const little = head[start] === 0x45;
  if (start + SUPERBLOCK + 12 > source.size) throw bad(name, source.size, "ends before its root does");
  const featureBits = new Words(head, little, name).u32(start + 8);
  return { source, name, start, little, extended: (featureBits & EXTENDED_POINTERS) !== 0 };
}

function superblockParts({ source, start, little }: Cramfs): Part[] {
  const bytes = source.read(start, SUPERBLOCK).slice();
  const order = (cell: Uint8Array): Uint8Array => (little ? cell : cell.toReversed());
  return recordParts(
    [
      ["magic", 4, "derived"],
      ["size", 4, "derived"],
      ["flags", 4, "field", (cell) => flags(FLAGS)(order(cell))],
      ["future", 4, "field"],
      ["signature", 16, "field", text],
      ["crc", 4, "derived"],
      ["edition", 4, "field", (cell) => String(new Words(cell, little, "edition").u32(0))],
      ["blocks", 4, "derived"],
      ["files", 4, "derived"],
      ["volume name", 16, "field", text],
    ],
    bytes,
    start,
  );
}

function inodeAt({ source, little, name }: Cramfs, at: number, above: string): Inode {
  const words = new Words(source.read(at, 12).slice(), little, name);
  const [sizes, place] = [words.u32(4), words.u32(8)];
  const nameLength = (little ? place & 0x3f : place >>> 26) * 4;
  const bytes = source.read(at + 12, nameLength);
  const end = bytes.indexOf(0);
  return {
    path: above + showable(end < 0 ? bytes : bytes.subarray(0, end)),
    at,
    nameLength,
    mode: words.u16(0),
    size: little ? sizes & 0xff_ffff : sizes >>> 8,
    place: (little ? place >>> 6 : place & 0x3ff_ffff) * 4,
  };
}

function walk(image: Cramfs): Inode[] {
  const root = { ...inodeAt(image, image.start + SUPERBLOCK, ""), path: "/" };
  const found: Inode[] = [root];
  const seen = new Set<number>();
  for (const folder of found) {
    if ((folder.mode & KIND) !== FOLDER || folder.size === 0 || seen.has(folder.place)) continue;
    seen.add(folder.place);
    const above = folder.path === "/" ? "" : `${folder.path}/`;
    if (above.length > MAX_PATH) continue;
    const end = Math.min(folder.place + folder.size, image.source.size);
    for (let at = folder.place; at + 12 <= end;) {
      const inode = inodeAt(image, at, above);
      if (inode.nameLength === 0 || at + 12 + inode.nameLength > end) break;
      if (found.push(inode) > MAX_INODES) {
        throw new BitforbitError("limit", `${image.name}: cramfs: over ${MAX_INODES} inodes`);
      }
      at += 12 + inode.nameLength;
    }
  }
  return found;
}

function* partsOf(image: Cramfs, inode: Inode, data: Set<number>): Generator<Part> {
  const { path, at, mode, size, place, nameLength } = inode;
  const end = at + 12 + nameLength;
  const kind = mode & KIND;
  yield {
    ...group(`inode ${path}`, at, end - at, () => [
      // Inodes are alike whatever they belong to: an empty content keeps them from being taken for renamed ones.
      { key: "", kind: "content", offset: at, length: 0 },
      ...recordParts(cellsOf(image, inode), image.source.read(at, 12).slice(), at),
      derived("name", at + 12, nameLength),
    ]),
    show: () => `${kindOf(mode)}, mode ${octal(mode)}`,
  };
  if ((kind !== FILE && kind !== LINK) || size === 0) return;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const key = kind === LINK ? `link ${path}` : path;
  const content = { key, kind: "content", name, show: () => `${kindOf(mode)}, ${size} bytes` } as const;
  const run = (sink: Sink, limits: InflationLimits): Promise<void> => inflate(image, inode, sink, limits);
  const decode = { name: "inflate", run };
  // What another file has as well stands, empty, behind the inode.
  const length = data.has(place) ? undefined : lengthOf(image, inode);
  data.add(place);
  if (length === undefined) yield { ...content, offset: end, length: 0, decode };
  else if (image.extended) {
    const note = "with extended block pointers, which are not read: the stored bytes";
    yield { key, kind: "bytes", offset: place, length, note };
  } else {
    const pointers = Math.ceil(size / BLOCK) * 4;
    yield derived(`where blocks of ${path} end`, place, pointers);
    yield { ...content, offset: place + pointers, length: length - pointers, decode };
  }
}

function cellsOf({ little }: Cramfs, { mode, size }: Inode): readonly Cell[] {
  const kind = kindOf(mode);
  const u16 = (cell: Uint8Array): string => String(new Words(cell, little, "owner").u16(0));
  return [
    ["mode", 2, "field", () => (kind === "file" ? octal(mode) : `${octal(mode)} ${kind}`)],
    ["uid", 2, "field", u16],
    kind.endsWith("device") ? ["device", 3, "field", () => linuxDevice(size)] : ["size", 3, "derived"],
    ["gid", 1, "field"],
    ["length of the name, place of the data", 4, "derived"],
  ];
}

/** With the pointers; undefined for what is not in the image. */
function lengthOf({ source, little, name }: Cramfs, { size, place }: Inode): number | undefined {
  const blocks = Math.ceil(size / BLOCK);
  if (place + blocks * 4 > source.size) return undefined;
  const end = new Words(source.read(place + blocks * 4 - 4, 4), little, name).u32(0) & 0x3fff_ffff;
  return end < place + blocks * 4 || end > source.size ? undefined : end - place;
}

async function inflate(
  { source, little, name }: Cramfs,
  { size, place, path }: Inode,
  sink: Sink,
  limits: InflationLimits,
): Promise<void> {
  const guard = new InflationGuard(name, source.size, limits);
  const blocks = Math.ceil(size / BLOCK);
  const pointers = new Words(source.read(place, blocks * 4).slice(), little, name);
  let at = place + blocks * 4;
  for (let block = 0; block < blocks; block++) {
    const end = pointers.u32(block * 4);
    const wanted = Math.min(BLOCK, size - block * BLOCK);
    if (end < at || end > source.size) throw bad(name, place + block * 4, `a block of ${path} that ends at ${end}`);
    const bytes = end === at ? new Uint8Array(wanted) : inflated(name, at, source.read(at, end - at));
    if (bytes.length !== wanted) throw bad(name, at, `a block of ${path} has ${bytes.length} bytes, not ${wanted}`);
    guard.add(wanted);
    sink(bytes);
    at = end;
  }
}

function inflated(name: string, at: number, bytes: Uint8Array): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: BLOCK });
  } catch (error) {
    throw new BitforbitError("input", `${name}: cramfs, offset ${at}: a broken block: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
