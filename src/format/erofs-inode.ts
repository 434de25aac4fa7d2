import { badErofs, COMPAT_MTIME, type Erofs, timeText } from "./erofs-superblock.ts";
import { kindOf, octal } from "./ext4-inode-parts.ts";
import { type Cell, linuxDevice, recordParts } from "./image-record.ts";
import type { Part } from "./part.ts";
import { Words } from "./record.ts";
import type { Piece } from "./scattered.ts";

/**
 * Inodes of erofs (Linux, fs/erofs/erofs_fs.h), in slots of 32 bytes:
 *
 *     format(2)  xattr words(2)  mode(2)  …  size  place or device  …  owner  [mtime …]
 *     [xattrs]  [end of a flat file, chunks, or map of clusters]
 *
 * The format tells a compact inode (32 bytes) from an extended one (64), and
 * how the file's bytes are laid out.
 */
export const FLAT = 0;
export const FULL_MAP = 1;
export const COMPACT_MAP = 3;
export const CHUNKS = 4;
const LAYOUTS: readonly string[] = [
  "flat",
  "compressed, full map",
  "flat, end inline",
  "compressed, compact map",
  "chunks",
];

export interface Inode {
  number: number;
  at: number;
  extended: boolean;
  layout: number;
  mode: number;
  size: number;
  /** First block, count of blocks, device, or format of chunks. */
  place: number;
  attributesAt: number;
  /** Where xattrs end. */
  bodyAt: number;
}

export interface Run extends Piece {
  /** Where in the file. */
  logical: number;
}

/** Undefined for what does not stand in the image. */
export function inodeOf(image: Erofs, number: number): Inode | undefined {
  const { source } = image;
  const at = image.inodes + number * 32;
  if (!Number.isSafeInteger(at) || at + 32 > source.size) return undefined;
  const extended = ((source.read(at, 1)[0] ?? 0) & 1) === 1;
  const length = extended ? 64 : 32;
  if (at + length > source.size) return undefined;
  const words = new Words(source.read(at, length), true, image.name);
  const attributes = words.u16(2);
  const attributesAt = at + length;
  const bodyAt = attributesAt + (attributes === 0 ? 0 : 8 + attributes * 4);
  if (bodyAt > source.size) return undefined;
  return {
    number,
    at,
    extended,
    layout: (words.u16(0) >> 1) & 7,
    mode: words.u16(4),
    size: extended ? words.u64(8) : words.u32(8),
    place: words.u32(16),
    attributesAt,
    bodyAt,
  };
}

/** The chunks of a file: where their places stand, and how long they are. */
export function chunksOf(image: Erofs, inode: Inode): { at: number; unit: number; size: number; count: number } {
  const unit = (inode.place & 0x20) !== 0 ? 8 : 4;
  const size = image.blockSize * 2 ** (inode.place & 0x1f);
  const at = Math.ceil(inode.bodyAt / unit) * unit;
  const count = Math.ceil(inode.size / size);
  if (at + count * unit > image.source.size) throw badErofs(image.name, inode.at, `a file of ${count} chunks`);
  return { at, unit, size, count };
}

/** Where the bytes of a file that is not compressed stand. Throws `input` for what is not in the image. */
export function runsOf(image: Erofs, inode: Inode): Run[] {
  const runs = inode.layout === CHUNKS ? chunkRuns(image, inode) : flatRuns(image, inode);
  for (const { offset, length } of runs) {
    if (offset + length <= image.source.size) continue;
    throw badErofs(image.name, inode.at, `${length} bytes of a file at ${offset}, where the image has ended`);
  }
  return runs;
}

function flatRuns({ blockSize }: Erofs, inode: Inode): Run[] {
  const { size, place, layout, bodyAt } = inode;
  const first = place * blockSize;
  if (size === 0) return [];
  if (layout === FLAT) return [{ logical: 0, offset: first, length: size }];
  const whole = (Math.ceil(size / blockSize) - 1) * blockSize;
  const end = { logical: whole, offset: bodyAt, length: size - whole };
  return whole === 0 ? [end] : [{ logical: 0, offset: first, length: whole }, end];
}

const NOWHERE = 0xffff_ffff;

function chunkRuns(image: Erofs, inode: Inode): Run[] {
  const { at, unit, size, count } = chunksOf(image, inode);
  const runs: Run[] = [];
  for (let index = 0; index < count; index++) {
    const words = new Words(image.source.read(at + index * unit, unit), true, image.name);
    const block = words.u32(unit - 4);
    if (block === NOWHERE) continue;
    if (unit === 8 && words.u16(2) !== 0)
      throw badErofs(image.name, inode.at, `a chunk that is on device ${words.u16(2)}`);
    const logical = index * size;
    const length = Math.min(size, inode.size - logical);
    const offset = block * image.blockSize;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset && last.logical + last.length === logical) {
      last.length += length;
    } else runs.push({ logical, offset, length });
  }
  return runs;
}

export function inodeText({ mode, size }: Inode): string {
  return `${kindOf(mode)}, mode ${octal(mode)}, ${size} bytes`;
}

/** The fields of an inode, without what follows them. */
export function inodeFields(image: Erofs, inode: Inode): Part[] {
  const bytes = image.source.read(inode.at, inode.extended ? 64 : 32).slice();
  return recordParts(cellsOf(image, inode, bytes), bytes, inode.at);
}

function reserved(length: number): Cell {
  return ["reserved", length, "padding"];
}

function cellsOf(image: Erofs, inode: Inode, bytes: Uint8Array): readonly Cell[] {
  const { mode, extended, layout, place } = inode;
  const kind = kindOf(mode);
  const format = `${extended ? "extended" : "compact"}, ${LAYOUTS[layout] ?? `layout ${layout}`}`;
  const device = kind.endsWith("device");
  const before: Cell[] = [
    ["layout", 2, "field", () => format],
    ["length of xattrs", 2, "derived"],
    ["mode", 2, "field", () => (kind === "file" ? octal(mode) : `${octal(mode)} ${kind}`)],
  ];
  const placeCell: Cell = device
    ? ["device", 4, "field", () => linuxDevice(place)]
    : layout === CHUNKS && kind === "file"
      ? ["chunk size", 4, "field", () => String(image.blockSize * 2 ** (place & 0x1f))]
      : ["place", 4, "derived"];
  if (!extended) {
    return [
      ...before,
      ["links", 2, "derived"],
      ["size", 4, "derived"],
      reserved(4),
      placeCell,
      ["inode number", 4, "derived"],
      ["uid", 2, "field"],
      ["gid", 2, "field"],
      reserved(4),
    ];
  }
  const time = (): string => timeText(new Words(bytes, true, image.name), 32, 40);
  // Images of the first versions kept when the inode was changed.
  const named = (image.compatible & COMPAT_MTIME) !== 0 ? "mtime" : "ctime";
  return [
    ...before,
    reserved(2),
    ["size", 8, "derived"],
    placeCell,
    ["inode number", 4, "derived"],
    ["uid", 4, "field"],
    ["gid", 4, "field"],
    [named, 8, "field", time],
    [named, 4, "field", time],
    ["links", 4, "derived"],
    reserved(16),
  ];
}
