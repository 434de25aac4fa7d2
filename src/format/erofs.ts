import { showable } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { attributeParts, type LongPrefixes, sharedOf, sharedParts } from "./erofs-attributes.ts";
import { type ClusterMap, extentsOf, mapOf } from "./erofs-clusters.ts";
import { contentOf, isCompressed } from "./erofs-contents.ts";
import { directoryParts, entriesOf } from "./erofs-directory.ts";
import { CHUNKS, chunksOf, FULL_MAP, type Inode, inodeFields, inodeOf, inodeText, runsOf } from "./erofs-inode.ts";
import { ALGORITHMS, badErofs, type Erofs, erofsOf, superblockParts } from "./erofs-superblock.ts";
import { FILE, FOLDER, KIND, LINK } from "./ext4-inode.ts";
import { flags, number, placed, recordParts } from "./image-record.ts";
import { InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { derived, field, group, type Part } from "./part.ts";
import { Words } from "./record.ts";
import { joined, type Piece } from "./scattered.ts";
import { type Tail, tailsHeader } from "./squashfs-tails.ts";

/**
 * Cuts an erofs image (Linux, Documentation/filesystems/erofs.rst): superblock,
 * and, found by following the root directory and keyed by path, inodes with
 * their attributes and maps, directories and contents. Ends of files that are
 * kept in one packed inode are a content of their own, looked into by path.
 */
interface Walked {
  image: Erofs;
  /** In the order in which they stand. */
  inodes: Inode[];
  /** The first path that leads to an inode. */
  paths: Map<number, string>;
  prefixes: LongPrefixes;
  /** Blocks that a file has, one bit each: the first one that has them keeps them. */
  taken: Uint8Array;
  tails: Tail[];
}

const MAX_ENTRIES = 8_000_000;
const MAX_FOLDER = 64 << 20;
const MAX_PATH = 16 << 10;
const MAX_CLUSTERS = 1 << 26;
const PACKED = "packed inode";

/** Throws `input` for what is not erofs, or needs a newer reader. */
export async function erofsParts(source: ByteSource, name: string): Promise<Iterable<Part>> {
  const image = erofsOf(source, name);
  const paths = new Map<number, string>();
  const inodes = walk(image, paths);
  const taken = new Uint8Array(Math.ceil(source.size / image.blockSize / 8));
  const walked: Walked = { image, inodes, paths, prefixes: await prefixesOf(image), taken, tails: [] };
  const shared = new Set(inodes.flatMap((inode) => sharedOf(image, inode)));
  const parts = [...superblockParts(image), ...sharedParts(image, walked.prefixes, shared)];
  let clusters = 0;
  for (const inode of inodes) {
    if (isCompressed(inode)) clusters += inode.size / image.blockSize;
    if (clusters > MAX_CLUSTERS) throw new BitforbitError("limit", `${name}: erofs: over ${MAX_CLUSTERS} clusters`);
    for (const part of partsOf(walked, inode)) parts.push(part);
  }
  return placed(parts, source.size);
}

function walk(image: Erofs, paths: Map<number, string>): Inode[] {
  const inodes: Inode[] = [];
  paths.set(image.root, "/");
  const queue = [image.root];
  if (image.packed !== 0 && image.packed !== image.root) {
    paths.set(image.packed, PACKED);
    queue.push(image.packed);
  }
  let entries = 0;
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const inode = inodeOf(image, next);
    if (inode === undefined) continue;
    inodes.push(inode);
    if ((inode.mode & KIND) !== FOLDER) continue;
    const path = paths.get(next) ?? "";
    const above = path === "/" ? "" : `${path}/`;
    for (const { offset, length } of folderBlocks(image, inode)) {
      for (const entry of entriesOf(image.source.read(offset, length).slice())) {
        if (++entries > MAX_ENTRIES) {
          throw new BitforbitError("limit", `${image.name}: erofs: over ${MAX_ENTRIES} entries`);
        }
        if (entry.name === "." || entry.name === ".." || paths.has(entry.inode)) continue;
        if (above.length + entry.name.length > MAX_PATH) continue;
        paths.set(entry.inode, above + entry.name);
        queue.push(entry.inode);
      }
    }
  }
  return inodes.sort((a, b) => a.at - b.at);
}

/** Nothing of a folder whose place cannot be: its inode then says so. */
function folderBlocks(image: Erofs, inode: Inode): Piece[] {
  if (isCompressed(inode) || inode.size > MAX_FOLDER) return [];
  const blocks: Piece[] = [];
  try {
    for (const { offset, length } of runsOf(image, inode)) {
      for (let at = 0; at < length; at += image.directoryBlock) {
        blocks.push({ offset: offset + at, length: Math.min(image.directoryBlock, length - at) });
      }
    }
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
  }
  return blocks;
}

/** length(2) short prefix(1) rest, each at a multiple of 4; in the packed inode where there is one. */
async function prefixesOf(image: Erofs): Promise<LongPrefixes> {
  const { count, at } = image.prefixes;
  const packed = image.packed === 0 ? undefined : inodeOf(image, image.packed);
  const most = count * 260;
  const chunks: Uint8Array[] = [];
  if (packed === undefined) {
    if (at < image.source.size) chunks.push(image.source.read(at, Math.min(most, image.source.size - at)).slice());
  } else if (count > 0 && at < packed.size) {
    for await (const chunk of contentOf(image, packed, at, Math.min(packed.size, at + most))) chunks.push(chunk);
  }
  const words = new Words(new Uint8Array(Buffer.concat(chunks)), true, image.name);
  const found: { base: number; infix: string }[] = [];
  for (let place = 0; found.length < count && place + 3 <= words.size;) {
    const end = place + 2 + words.u16(place);
    found.push({ base: words.u8(place + 2), infix: showable(words.bytes.subarray(place + 3, end)) });
    place = Math.ceil(end / 4) * 4;
  }
  return found;
}

function partsOf(walked: Walked, inode: Inode): Part[] {
  const { image, paths } = walked;
  const path = paths.get(inode.number) ?? "";
  const kind = inode.mode & KIND;
  const whole = (end: number, more: () => Part[]): Part => ({
    ...group(`inode ${path}`, inode.at, end - inode.at, () => [
      // Inodes are alike whatever they belong to: an empty content keeps them from being taken for renamed ones.
      { key: "", kind: "content", offset: inode.at, length: 0 },
      ...inodeFields(image, inode),
      ...attributeParts(image, walked.prefixes, inode),
      ...more(),
    ]),
    show: () => inodeText(inode),
  });
  try {
    if (kind === FOLDER) return [whole(inode.bodyAt, () => []), ...folderParts(walked, inode, path)];
    if (kind !== FILE && kind !== LINK) return [whole(inode.bodyAt, () => [])];
    if (isCompressed(inode)) return compressedParts(walked, inode, path, whole);
    const runs = runsOf(image, inode);
    const [only, ...others] = runs;
    if (kind === LINK && only !== undefined && others.length === 0) return linkParts(image, inode, path, only, whole);
    if (inode.layout !== CHUNKS)
      return [whole(inode.bodyAt, () => []), ...contentParts(walked, inode, path, inode.bodyAt, runs)];
    const { at, unit, count } = chunksOf(image, inode);
    const end = at + unit * count;
    const map = whole(end, () => [derived("where chunks stand", at, end - at)]);
    return [map, ...contentParts(walked, inode, path, end, runs)];
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    return [{ ...whole(inode.bodyAt, () => []), note: `its content is not read: ${error.message}` }];
  }
}

type Whole = (end: number, more: () => Part[]) => Part;

function folderParts({ image, paths }: Walked, inode: Inode, path: string): Part[] {
  return folderBlocks(image, inode).map(({ offset, length }) =>
    group(`directory ${path}`, offset, length, () =>
      directoryParts(image.source.read(offset, length).slice(), offset, path, (other) => paths.get(other)),
    ),
  );
}

function linkParts({ source }: Erofs, inode: Inode, path: string, { offset, length }: Piece, whole: Whole): Part[] {
  const show = (): string => showable(source.read(offset, Math.min(length, 500)).slice());
  if (offset !== inode.bodyAt) return [whole(inode.bodyAt, () => []), field(`link ${path}`, offset, length, show)];
  return [whole(offset + length, () => [field("link", offset, length, show)])];
}

/** What of `pieces` no file before had: files share chunks and clusters. */
function untaken({ image, taken }: Walked, pieces: Iterable<Piece>): Piece[] {
  const { blockSize } = image;
  const own: Piece[] = [];
  for (const { offset, length } of pieces) {
    if (offset % blockSize !== 0) own.push({ offset, length });
    else {
      for (let at = 0; at < length; at += blockSize) {
        const block = (offset + at) / blockSize;
        const [byte, bit] = [block >>> 3, 1 << (block & 7)];
        if (((taken[byte] ?? 0xff) & bit) !== 0) continue;
        taken[byte] = (taken[byte] ?? 0) | bit;
        own.push({ offset: offset + at, length: Math.min(blockSize, length - at) });
      }
    }
  }
  return joined(own);
}

/**
 * A file's own pieces: its content as it is where they are all of it, otherwise
 * one that is put together. Where other files have them all it stands, empty,
 * behind the inode, at `end`.
 */
function contentParts(
  walked: Walked,
  inode: Inode,
  path: string,
  end: number,
  pieces: Iterable<Piece>,
  decoding?: string,
): Part[] {
  if (inode.size === 0) return [];
  const own = untaken(walked, pieces).toSorted((a, b) => a.offset - b.offset);
  const { offset, length } = own[0] ?? { offset: end, length: 0 };
  const name = path.slice(path.lastIndexOf("/") + 1);
  const content: Part = { key: path, kind: "content", offset, length, name, show: () => `file, ${inode.size} bytes` };
  const rest = own.slice(1).map((piece): Part => ({ key: path, kind: "stored", ...piece }));
  if (decoding === undefined && rest.length === 0 && length === inode.size) return [content];
  const run = (sink: Sink, limits: InflationLimits): Promise<void> => gather(walked, inode, sink, limits);
  return [{ ...content, decode: { name: decoding ?? "gather", run } }, ...rest];
}

async function gather({ image, tails }: Walked, inode: Inode, sink: Sink, limits: InflationLimits): Promise<void> {
  const guard = new InflationGuard(image.name, image.source.size, limits);
  if (inode.number === image.packed) sink(tailsHeader(tails.toSorted((a, b) => a.offset - b.offset)));
  for await (const chunk of contentOf(image, inode)) {
    guard.add(chunk.length);
    sink(chunk);
  }
}

function compressedParts(walked: Walked, inode: Inode, path: string, whole: Whole): Part[] {
  const { image } = walked;
  const map = mapOf(image, inode);
  const pieces: Piece[] = [];
  for (const { from, to, stored, packedAt } of extentsOf(image, inode, map)) {
    if (stored === undefined) {
      walked.tails.push({ path, offset: packedAt, length: to - from, whole: from === 0 && to === inode.size });
    } else if (stored.offset + stored.length <= image.source.size) pieces.push(stored);
    else throw badErofs(image.name, inode.at, `a cluster of a file at ${stored.offset}, where the image has ended`);
  }
  const own = whole(map.end, () => mapParts(image, inode, map));
  // What is in the packed inode as a whole is told there.
  if (map.fragment?.whole === true) return [own];
  return [own, ...contentParts(walked, inode, path, map.end, pieces, ALGORITHMS[map.algorithms & 15] ?? "decompress")];
}

const ADVICE: Readonly<Record<number, string>> = {
  0: "compact_2",
  1: "big_pcluster_1",
  2: "big_pcluster_2",
  3: "inline_pcluster",
  4: "interlaced",
  5: "fragment",
};

function algorithmText([byte = 0]: Uint8Array): string {
  return [byte & 15, byte >> 4].map((index) => ALGORITHMS[index] ?? String(index)).join(", ");
}

function mapParts({ source }: Erofs, inode: Inode, map: ClusterMap): Part[] {
  const parts =
    map.fragment?.whole === true
      ? [derived("place in the packed inode", map.at, 8)]
      : recordParts(
          [
            [inode.layout === FULL_MAP ? "map" : "place of the end", 4, "derived"],
            ["compression advice", 2, "field", flags(ADVICE)],
            ["compression", 1, "field", algorithmText],
            ["cluster bits", 1, "field", number],
          ],
          source.read(map.at, 8).slice(),
          map.at,
        );
  if (map.end > map.at + 8) parts.push(derived("map of clusters", map.at + 8, map.end - map.at - 8));
  return parts;
}
