import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { attributeBlockParts } from "./ext4-attributes.ts";
import { directoryParts, entriesOf } from "./ext4-directory.ts";
import { inlineRest, inodeParts, kindOf, octal } from "./ext4-inode-parts.ts";
import {
  FILE,
  FLAG_EA_INODE,
  FLAG_INDEX,
  FLAG_INLINE,
  FOLDER,
  type Inode,
  inodeOf,
  KIND,
  LINK,
  Mapper,
  type Mapping,
  type Run,
} from "./ext4-inode.ts";
import {
  descriptorBlock,
  type Ext4,
  ext4Of,
  groupStart,
  hasSuper,
  INCOMPAT_META_BG,
  SUPERBLOCK_AT,
  SUPERBLOCK_SIZE,
  superblockParts,
} from "./ext4-superblock.ts";
import { number, placed, recordParts, uuid } from "./image-record.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, group, type Part } from "./part.ts";

/**
 * Cuts an image of ext2, ext3 or ext4 (Linux, Documentation/filesystems/ext4):
 *
 *     boot block(1024)  superblock(1024)  group descriptors
 *     in each block group: [copies of both]  block bitmap  inode bitmap  inodes  blocks
 *
 * Inodes, directories and contents are found by following the root directory,
 * and keyed by path; what no file has is told as unallocated.
 */
interface Walked {
  image: Ext4;
  /** The first path that leads to an inode. */
  paths: Map<number, string>;
  mapper: Mapper;
  /** What was mapped while walking: folders. */
  mappings: Map<number, Mapping>;
}

const MAX_INODES = 8_000_000;
const MAX_ENTRIES = 8_000_000;
const MAX_PATH = 16 << 10;
const ROOT = 2;
const RESIZE = 7;
/** Inodes that no directory names. */
const RESERVED: Readonly<Record<number, string>> = {
  1: "bad blocks",
  3: "user quota",
  4: "group quota",
  5: "boot loader",
  6: "undelete",
  7: "resize",
  8: "journal",
  9: "exclude",
  10: "replica",
};

/** Throws `input` for what is not ext2, ext3 or ext4, `limit` for block maps without end. */
export function ext4Parts(source: ByteSource, name: string): Iterable<Part> {
  const image = ext4Of(source, name);
  if (image.inodes > MAX_INODES) throw new BitforbitError("limit", `${name}: ext4: over ${MAX_INODES} inodes`);
  const walked: Walked = { image, paths: new Map(), mapper: new Mapper(image), mappings: new Map() };
  walk(walked);
  const parts: Part[] = [
    { key: "boot block", kind: "bytes", offset: 0, length: SUPERBLOCK_AT },
    group("superblock", SUPERBLOCK_AT, SUPERBLOCK_SIZE, () => superblockParts(image)),
    ...groupParts(image),
    ...inodeTableParts(walked),
  ];
  return withUnallocated(image, placed(parts, source.size));
}

function walk(walked: Walked): void {
  const { image, paths } = walked;
  paths.set(ROOT, "/");
  const queue = [ROOT];
  let entries = 0;
  for (let number = queue.pop(); number !== undefined; number = queue.pop()) {
    const folder = inodeOf(image, number);
    if (folder === undefined || (folder.mode & KIND) !== FOLDER) continue;
    const path = paths.get(number) ?? "";
    const above = path === "/" ? "" : `${path}/`;
    for (const block of listing(walked, folder)) {
      for (const entry of entriesOf(block.bytes, block.from)) {
        if (++entries > MAX_ENTRIES)
          throw new BitforbitError("limit", `${image.name}: ext4: over ${MAX_ENTRIES} entries`);
        if (entry.inode === 0 || entry.name === "." || entry.name === ".." || paths.has(entry.inode)) continue;
        if (entry.inode > image.inodes || above.length + entry.name.length > MAX_PATH) continue;
        paths.set(entry.inode, above + entry.name);
        queue.push(entry.inode);
      }
    }
  }
}

/** The blocks of a folder's listing; one that is inline begins with its parent's number. */
function* listing(walked: Walked, folder: Inode): Generator<{ bytes: Uint8Array; from: number }> {
  const { source, blockSize } = walked.image;
  if ((folder.flags & FLAG_INLINE) !== 0) {
    yield { bytes: source.read(folder.at + 40, 60).slice(), from: 4 };
    const rest = inlineRest(walked.image, folder);
    if (rest !== undefined) yield { bytes: source.read(rest.at, rest.length).slice(), from: 0 };
    return;
  }
  const mapping = walked.mapper.mappingOf(folder);
  walked.mappings.set(folder.number, mapping);
  for (const { physical, count } of mapping.runs) {
    for (let block = physical; block < physical + count; block++) {
      yield { bytes: source.read(block * blockSize, blockSize).slice(), from: 0 };
    }
  }
}

/** Copies, descriptors and bitmaps: all follow from the rest. */
function* groupParts(image: Ext4): Generator<Part> {
  const { blockSize } = image;
  const perBlock = Math.floor(blockSize / image.descriptorSize);
  const meta = (image.incompat & INCOMPAT_META_BG) !== 0;
  const tables = Math.ceil(image.groups.length / perBlock);
  const blocks = (key: string, block: number, count: number): Part =>
    derived(key, block * blockSize, count * blockSize);
  for (const [index, { blockBitmap, inodeBitmap }] of image.groups.entries()) {
    const start = groupStart(image, index);
    const copied = hasSuper(image, index);
    if (copied && index > 0) yield blocks("copy of the superblock", start, 1);
    if (!meta && copied) {
      yield blocks(index === 0 ? "group descriptors" : "copy of the group descriptors", start + 1, tables);
      if (image.reservedDescriptors > 0) {
        yield blocks("reserved for group descriptors", start + 1 + tables, image.reservedDescriptors);
      }
    }
    if (meta && index % perBlock === 0) yield blocks("group descriptors", descriptorBlock(image, index), 1);
    yield blocks("block bitmap", blockBitmap, 1);
    yield blocks("inode bitmap", inodeBitmap, 1);
  }
}

function* inodeTableParts(walked: Walked): Generator<Part> {
  const { image } = walked;
  let unused: { offset: number; length: number } | undefined;
  for (let number = 1; number <= image.inodes; number++) {
    const inode = inodeOf(image, number);
    if (inode === undefined) continue;
    if (inode.zero) {
      if (unused !== undefined && unused.offset + unused.length === inode.at) unused.length += image.inodeSize;
      else {
        if (unused !== undefined) yield unusedInodes(image, unused);
        unused = { offset: inode.at, length: image.inodeSize };
      }
      continue;
    }
    const path = pathOf(walked, number);
    const part = group(`inode ${path ?? "without a name"}`, inode.at, image.inodeSize, () =>
      inodeParts(image, inode, path ?? "", (other) => pathOf(walked, other)),
    );
    yield { ...part, show: () => `${kindOf(inode.mode)}, mode ${octal(inode.mode)}, ${inode.size} bytes` };
    if (inode.links > 0) yield* blocksOf(walked, inode, path ?? "without a name");
  }
  if (unused !== undefined) yield unusedInodes(image, unused);
}

/** Slots that are not in use; each may have a checksum. */
function unusedInodes(image: Ext4, { offset, length }: { offset: number; length: number }): Part {
  const key = "unused inodes";
  const note = "slots of inodes that are not in use";
  const rest = image.inodeSize - 132;
  return group(key, offset, length, function* () {
    for (let at = offset; at < offset + length; at += image.inodeSize) {
      yield { key, kind: "padding", offset: at, length: 124, note };
      yield derived("checksum", at + 124, 2);
      yield { key, kind: "padding", offset: at + 126, length: rest < 0 ? 2 : 4, note };
      if (rest < 0) continue;
      yield derived("checksum", at + 130, 2);
      yield { key, kind: "padding", offset: at + 132, length: rest, note };
    }
  });
}

function pathOf({ image, paths }: Walked, number: number): string | undefined {
  const path = paths.get(number) ?? RESERVED[number];
  return path ?? (number === image.journalInode ? "journal" : undefined);
}

/** What an inode's blocks hold. */
function* blocksOf(walked: Walked, inode: Inode, path: string): Generator<Part> {
  const { image } = walked;
  const { source, blockSize } = image;
  if (inode.attributes > 0 && (inode.attributes + 1) * blockSize <= source.size) {
    const offset = inode.attributes * blockSize;
    yield group(`xattrs of ${path}`, offset, blockSize, () =>
      attributeBlockParts(source.read(offset, blockSize).slice(), offset),
    );
  }
  const mapping = walked.mappings.get(inode.number) ?? walked.mapper.mappingOf(inode);
  for (const block of mapping.tree) yield derived(`block map of ${path}`, block * blockSize, blockSize);
  const kind = inode.mode & KIND;
  if (kind === FOLDER) yield* folderParts(walked, inode, path, mapping.runs);
  else if (inode.number === image.journalInode) yield* journalParts(image, mapping.runs);
  else if (inode.number === RESIZE || inode.number === 1) {
    for (const run of mapping.runs) yield derived(path, run.physical * blockSize, run.count * blockSize);
  } else if (kind === FILE || kind === LINK) {
    const title = (inode.flags & FLAG_EA_INODE) === 0 ? path : "value of an extended attribute";
    yield* contentParts(image, inode, title, mapping.runs);
  }
}

function* folderParts(walked: Walked, inode: Inode, path: string, runs: readonly Run[]): Generator<Part> {
  const { source, blockSize } = walked.image;
  const indexed = (inode.flags & FLAG_INDEX) !== 0;
  for (const { physical, count } of runs) {
    for (let block = physical; block < physical + count; block++) {
      const offset = block * blockSize;
      yield group(`directory ${path}`, offset, blockSize, () => {
        const bytes = source.read(offset, blockSize).slice();
        return directoryParts(bytes, offset, { path, indexed }, (other) => pathOf(walked, other));
      });
    }
  }
}

/** jbd2's superblock is big endian; what follows are blocks as they were to be written. */
function* journalParts(image: Ext4, runs: readonly Run[]): Generator<Part> {
  const { source, blockSize } = image;
  const note = "the journal: blocks as they were to be written, old ones among them";
  for (const [index, { physical, count }] of runs.entries()) {
    let offset = physical * blockSize;
    let length = count * blockSize;
    if (index === 0) {
      const at = offset;
      yield group("journal superblock", at, 1024, () =>
        recordParts(
          [
            ["header", 12, "derived"],
            ["block size", 4, "field", bigEndian],
            ["blocks", 4, "field", bigEndian],
            ["first block", 4, "field", bigEndian],
            ["sequence", 4, "field", bigEndian],
            ["start", 4, "field", bigEndian],
            ["error", 4, "field", bigEndian],
            ["features", 12, "field"],
            ["UUID", 16, "field", uuid],
            ["users", 4, "field", bigEndian],
            ["limits", 12, "field"],
            ["checksum type", 4, "field"],
            ["reserved", 168, "padding"],
            ["checksum", 4, "derived"],
            ["users' UUIDs", 768, "field", uuid],
          ],
          source.read(at, 1024).slice(),
          at,
        ),
      );
      offset += 1024;
      length -= 1024;
    }
    yield { key: "journal", kind: "bytes", offset, length, note };
  }
}

function bigEndian(bytes: Uint8Array): string {
  return number(bytes.toReversed());
}

/** A file's blocks: as they are when they follow each other, otherwise put together. */
function* contentParts(image: Ext4, inode: Inode, path: string, runs: readonly Run[]): Generator<Part> {
  const { blockSize } = image;
  const written = runs.filter((run) => !run.unwritten && run.logical * blockSize < inode.size);
  const first = written.toSorted((a, b) => a.physical - b.physical)[0];
  const whole = written.length === 1 && first?.logical === 0 && first.count * blockSize >= inode.size;
  const name = path.slice(path.lastIndexOf("/") + 1);
  for (const run of runs) {
    const offset = run.physical * blockSize;
    const length = run.count * blockSize;
    const inside = Math.max(0, Math.min(length, inode.size - run.logical * blockSize));
    const part: Part = { key: path, kind: "stored", offset, length: inside };
    if (run.unwritten) yield { ...part, key: `unwritten blocks of ${path}`, kind: "padding", length };
    else if (run === first) {
      const decode = (sink: Sink, limits: InflationLimits): Promise<void> =>
        gather(image, inode, written, sink, limits);
      const content: Part = { ...part, kind: "content", name, show: () => `file, ${inode.size} bytes` };
      yield whole ? content : { ...content, decode: { name: "gather", run: decode } };
    } else if (inside > 0) yield part;
    if (!run.unwritten && inside < length) {
      const slack = { kind: "padding", label: "slack", offset: offset + inside, length: length - inside } as const;
      yield { ...slack, key: `slack of ${path}`, note: "the rest of a file's last block" };
    }
  }
}

const CHUNK = 1 << 20;

async function gather(
  { source, blockSize }: Ext4,
  inode: Inode,
  runs: readonly Run[],
  sink: Sink,
  limits: InflationLimits,
): Promise<void> {
  const stored = runs.reduce((sum, run) => sum + run.count, 0) * blockSize;
  const guard = new InflationGuard(source.name, stored, limits);
  let done = 0;
  const zeros = (until: number): void => {
    for (; done < until; done += Math.min(CHUNK, until - done)) {
      const length = Math.min(CHUNK, until - done);
      guard.add(length);
      sink(new Uint8Array(length));
    }
  };
  for (const run of runs) {
    const start = run.logical * blockSize;
    zeros(start);
    const end = Math.min(inode.size, start + run.count * blockSize);
    for (let at = done; at < end; at += CHUNK) {
      const length = Math.min(CHUNK, end - at);
      guard.add(length);
      sink(source.read(run.physical * blockSize + at - start, length).slice());
    }
    done = Math.max(done, end);
  }
  zeros(inode.size);
}

/** Fills in blocks that the bitmaps say are free. */
function* withUnallocated(image: Ext4, parts: Iterable<Part>): Generator<Part> {
  let end = 0;
  let before = "";
  for (const part of parts) {
    yield* freeBetween(image, end, part.offset, before);
    yield part;
    end = part.offset + part.length;
    before = part.key;
  }
  yield* freeBetween(image, end, image.source.size, before);
}

function* freeBetween(image: Ext4, from: number, to: number, before: string): Generator<Part> {
  const { blockSize } = image;
  const last = Math.min(Math.floor(to / blockSize), image.blocks);
  let start = -1;
  for (let block = Math.ceil(from / blockSize); block <= last; block++) {
    const free = block < last && isFree(image, block);
    if (free && start < 0) start = block;
    if (free || start < 0) continue;
    yield unallocated(before, start * blockSize, (block - start) * blockSize);
    start = -1;
  }
}

/** Named for what stands before it, so that it is found again where files moved. */
function unallocated(before: string, offset: number, length: number): Part {
  const note = "free blocks, with what was there before";
  return { key: `unallocated after ${before}`, kind: "padding", label: "unallocated", offset, length, note };
}

function isFree(image: Ext4, block: number): boolean {
  const place = block - image.firstDataBlock;
  const found = image.groups[Math.floor(place / image.blocksPerGroup)];
  if (place < 0 || found === undefined) return false;
  const NOT_INITIALISED = 2;
  if ((found.flags & NOT_INITIALISED) !== 0) return true;
  const bit = Math.floor((place % image.blocksPerGroup) / image.clusterBlocks);
  const at = found.blockBitmap * image.blockSize + (bit >> 3);
  if (at >= image.source.size) return false;
  return ((image.source.read(at, 1)[0] ?? 0) & (1 << (bit & 7))) === 0;
}
