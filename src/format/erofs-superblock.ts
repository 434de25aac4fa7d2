import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { type Cell, flags, number, recordParts, text, uuid } from "./image-record.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";

/**
 * The beginning of an erofs image (Linux, fs/erofs/erofs_fs.h):
 *
 *     boot block(1024)  superblock(128)  extension slots(16 each)  options of compressors
 *
 * All numbers are little endian.
 */
export const SUPERBLOCK_AT = 1024;
const SUPERBLOCK = 128;
const MAGIC = 0xe0f5e1e2;

export const COMPAT_MTIME = 0x2;
export const ZERO_PADDING = 0x1;
const COMPRESSOR_OPTIONS = 0x2;
const DEVICES = 0x8;
/** What gives an inode's map of clusters a header that means something. */
export const MAP_HEADER = 0x32;
const PACKED = 0x20;
const PREFIXES = 0x40;
const READ = 0x7f;

const COMPATIBLE: Readonly<Record<number, string>> = {
  0: "sb_chksum",
  1: "mtime",
  2: "xattr_filter",
  3: "shared_ea_in_metabox",
  4: "plain_xattr_prefixes",
};

const INCOMPATIBLE: Readonly<Record<number, string>> = {
  0: "zero_padding",
  1: "compressor_options",
  2: "chunked_file",
  3: "devices_or_head2",
  4: "ztailpacking",
  5: "fragments_or_dedupe",
  6: "xattr_prefixes",
  7: "48bit",
  8: "metabox",
};

export const ALGORITHMS: readonly string[] = ["lz4", "lzma", "deflate", "zstd"];

export interface Erofs {
  source: ByteSource;
  name: string;
  blockSize: number;
  directoryBlock: number;
  compatible: number;
  incompatible: number;
  root: number;
  /** Where the inode with number 0 would stand. */
  inodes: number;
  sharedAttributes: number;
  /** The inode that holds the ends of other files; 0: there is none. */
  packed: number;
  prefixes: { count: number; at: number };
  devices: { count: number; at: number };
  end: number;
}

export function badErofs(name: string, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${name}: erofs, offset ${offset}: ${what}`);
}

/** Throws `input` for what is not erofs, and for features that change where everything stands. */
export function erofsOf(source: ByteSource, name: string): Erofs {
  if (source.size < SUPERBLOCK_AT + SUPERBLOCK) throw badErofs(name, source.size, "ends before its superblock does");
  const words = new Words(source.read(SUPERBLOCK_AT, SUPERBLOCK).slice(), true, `${name}: erofs superblock`);
  if (words.u32(0) !== MAGIC) throw badErofs(name, SUPERBLOCK_AT, "no magic number e2e1f5e0");
  const [blockBits, incompatible] = [words.u8(12), words.u32(80)];
  if (blockBits < 9 || blockBits > 16)
    throw badErofs(name, 1036, `blocks of 2^${blockBits} bytes, 2^9 to 2^16 expected`);
  if ((incompatible & ~READ) !== 0) {
    const said = flags(INCOMPATIBLE)(words.bytes.subarray(80, 84));
    throw badErofs(name, 1104, `features ${said}, of which 48bit, metabox and later ones are not read`);
  }
  const directoryBits = blockBits + words.u8(90);
  if (directoryBits > 20) throw badErofs(name, 1114, `directory blocks of 2^${directoryBits} bytes`);
  const blockSize = 2 ** blockBits;
  const has = (feature: number): boolean => (incompatible & feature) !== 0;
  return {
    source,
    name,
    blockSize,
    directoryBlock: 2 ** directoryBits,
    compatible: words.u32(8),
    incompatible,
    root: words.u16(14),
    inodes: words.u32(40) * blockSize,
    sharedAttributes: words.u32(44) * blockSize,
    packed: has(PACKED) ? words.u64(96) : 0,
    prefixes: { count: has(PREFIXES) ? words.u8(91) : 0, at: words.u32(92) * 4 },
    devices: { count: has(DEVICES) ? words.u16(86) : 0, at: words.u16(88) * 128 },
    end: SUPERBLOCK_AT + SUPERBLOCK + words.u8(13) * 16,
  };
}

/** Seconds, with nanoseconds where there are any. */
export function timeText(words: Words, seconds: number, nanoseconds: number): string {
  const rest = words.u32(nanoseconds);
  const whole = BigInt.asIntN(64, words.big(seconds));
  return rest === 0 ? String(whole) : `${whole}.${String(rest).padStart(9, "0")}`;
}

/** What stands before inodes and blocks. */
export function* superblockParts(image: Erofs): Generator<Part> {
  const { source, end, devices } = image;
  yield { key: "boot block", kind: "bytes", offset: 0, length: SUPERBLOCK_AT };
  const length = Math.min(end, source.size) - SUPERBLOCK_AT;
  yield group("superblock", SUPERBLOCK_AT, length, () => {
    const bytes = source.read(SUPERBLOCK_AT, length).slice();
    return recordParts(cellsOf(image, bytes), bytes, SUPERBLOCK_AT);
  });
  if ((image.incompatible & COMPRESSOR_OPTIONS) !== 0) yield* optionParts(image);
  for (let index = 0; index < devices.count; index++) {
    const offset = devices.at + index * 128;
    if (offset + 128 > source.size) return;
    yield group(`device ${index + 1}`, offset, 128, () => [
      field("tag", offset, 64, () => text(source.read(offset, 64))),
      derived("blocks", offset + 64, 4),
      derived("first block", offset + 68, 4),
      { key: "reserved", kind: "padding", offset: offset + 72, length: 56 },
    ]);
  }
}

function cellsOf(image: Erofs, bytes: Uint8Array): readonly Cell[] {
  const words = new Words(bytes, true, `${image.name}: erofs superblock`);
  const time = (): string => timeText(words, 24, 32);
  const options = (image.incompatible & COMPRESSOR_OPTIONS) !== 0;
  return [
    ["magic", 4, "derived"],
    ["checksum", 4, "derived"],
    ["compatible features", 4, "field", flags(COMPATIBLE)],
    ["block size", 1, "field", ([bits = 0]) => String(2 ** bits)],
    ["extension slots", 1, "derived"],
    ["root inode", 2, "derived"],
    ["inodes", 8, "derived"],
    ["build-mtime", 8, "field", time],
    ["build-mtime", 4, "field", time],
    ["blocks", 4, "derived"],
    ["where inodes stand", 4, "derived"],
    ["where shared xattrs stand", 4, "derived"],
    ["UUID", 16, "field", uuid],
    ["volume name", 16, "field", text],
    ["incompatible features", 4, "field", flags(INCOMPATIBLE)],
    options ? ["compressors", 2, "field", flags({ ...ALGORITHMS })] : ["lz4 distance", 2, "field", number],
    ["devices", 2, "derived"],
    ["where devices stand", 2, "derived"],
    ["directory block size", 1, "field", () => String(image.directoryBlock)],
    ["xattr prefixes", 1, "derived"],
    ["where xattr prefixes stand", 4, "derived"],
    ["packed inode", 8, "derived"],
    ["xattr filter", 1, "field"],
    ["reserved", 3, "padding"],
    ["reserved", 20, "padding"],
  ];
}

const OPTIONS: readonly (readonly Cell[])[] = [
  [
    ["distance", 2, "field"],
    ["most blocks of a cluster", 2, "field"],
  ],
  [
    ["dictionary size", 4, "field"],
    ["format", 2, "field"],
  ],
  [["window bits", 1, "field"]],
  [
    ["format", 1, "field"],
    ["window log - 10", 1, "field"],
  ],
];

/** length(2) and options of each compressor that is used, by its number. */
function* optionParts({ source, end }: Erofs): Generator<Part> {
  const used = Number(source.read(SUPERBLOCK_AT + 84, 1)[0]);
  let at = end;
  for (const [index, name] of ALGORITHMS.entries()) {
    if ((used & (1 << index)) === 0 || at + 2 > source.size) continue;
    const offset = at;
    const length = new Words(source.read(at, 2).slice(), true, name).u16(0);
    if (offset + 2 + length > source.size) return;
    yield group(`options of ${name}`, offset, 2 + length, () => [
      derived("length", offset, 2),
      ...recordParts(OPTIONS[index] ?? [], source.read(offset + 2, length).slice(), offset + 2),
    ]);
    at += 2 + length;
  }
}
