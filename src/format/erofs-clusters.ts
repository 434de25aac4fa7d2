import { COMPACT_MAP, FULL_MAP, type Inode } from "./erofs-inode.ts";
import { badErofs, type Erofs, MAP_HEADER } from "./erofs-superblock.ts";
import type { Piece } from "./scattered.ts";
import { Words } from "./record.ts";

/**
 * The map of a compressed file in erofs (Linux, fs/erofs/erofs_fs.h and zmap.c):
 *
 *     fragment offset(4), or reserved(2) and inline length(2)
 *     advice(2)  algorithms(1)  cluster bits(1)  [reserved(8)]  one index for each logical cluster
 *
 * A full index has 8 bytes: type(2) offset in the cluster(2) block(4). Compact
 * ones come in packs of 2 in 8 bytes or 16 in 32: type and offset in as many
 * bits as fit, then the block that the first of a pack is counted from.
 *
 * Where a cluster is a head, a piece that was compressed on its own begins at
 * its offset and ends where the next one does; a tail says how far the head is,
 * or, right behind it, how many blocks it has.
 */
const PLAIN = 0;
const TAIL = 2;
const HEAD2 = 3;

const COMPACT_2 = 0x1;
const BIG_CLUSTERS = 0x6;
const INLINE_END = 0x8;
const INTERLACED = 0x10;
const FRAGMENT_END = 0x20;
const IN_PACKED = 0x80;
const COUNT = 1 << 11;

export interface ClusterMap {
  /** Where it begins, the first index stands, and the last one ends. */
  at: number;
  indexes: number;
  end: number;
  advice: number;
  algorithms: number;
  clusterSize: number;
  clusters: number;
  inlineLength: number;
  /** Where the file's end, or all of it, is in the packed inode. */
  fragment: { offset: number; whole: boolean } | undefined;
}

export interface Extent {
  /** Of the file. */
  from: number;
  to: number;
  /** Undefined: it is in the packed inode, `packedAt`. */
  stored: Piece | undefined;
  packedAt: number;
  /** Undefined: it is stored as it is. */
  algorithm: number | undefined;
  /** Stored as it is, but turned in its block so that it keeps its place. */
  interlaced: boolean;
  /** It stands behind the map. */
  inline: boolean;
}

/** Throws `input` for a map that the image has no room for. */
export function mapOf(image: Erofs, inode: Inode): ClusterMap {
  const at = Math.ceil(inode.bodyAt / 8) * 8;
  const words = new Words(at + 8 <= image.source.size ? image.source.read(at, 8) : new Uint8Array(8), true, image.name);
  const full = inode.layout === FULL_MAP;
  // Before clusters had options, full maps had an empty header.
  const known = !full || (image.incompatible & MAP_HEADER) !== 0;
  const [advice, algorithms, bits] = known ? [words.u16(4), words.u8(6), words.u8(7)] : [0, 0, 0];
  const indexes = at + (full ? 16 : 8);
  const map = { at, indexes, end: indexes, advice, algorithms, inlineLength: 0 };
  if ((bits & IN_PACKED) !== 0) {
    const offset = words.u32(0) + (words.u32(4) & 0x7fff_ffff) * 2 ** 32;
    return { ...map, end: at + 8, clusterSize: 0, clusters: 0, fragment: { offset, whole: true } };
  }
  if (full && (advice & 1) !== 0) throw badErofs(image.name, at, "a file with a list of extents, which is not read");
  const clusterSize = image.blockSize * 2 ** (bits & 15);
  const clusters = Math.ceil(inode.size / clusterSize);
  const end = indexes + (full ? clusters * 8 : compactLength(indexes, clusters, advice));
  if (end > image.source.size || clusterSize > 1 << 20) {
    throw badErofs(image.name, inode.at, `a file of ${clusters} clusters of ${clusterSize} bytes`);
  }
  const ends = (advice & FRAGMENT_END) !== 0;
  return {
    ...map,
    end,
    clusterSize,
    clusters,
    inlineLength: (advice & INLINE_END) === 0 ? 0 : words.u16(2),
    fragment: ends ? { offset: words.u32(0), whole: false } : undefined,
  };
}

/** How many compact indexes stand before those of 2 bytes, and how many those are. */
function compactCounts(indexes: number, clusters: number, advice: number): { before: number; small: number } {
  const before = ((32 - (indexes % 32)) % 32) / 4;
  if ((advice & COMPACT_2) === 0 || before >= clusters) return { before: clusters, small: 0 };
  return { before, small: Math.floor((clusters - before) / 16) * 16 };
}

function compactLength(indexes: number, clusters: number, advice: number): number {
  const { before, small } = compactCounts(indexes, clusters, advice);
  return pairs(before) * 8 + small * 2 + pairs(clusters - before - small) * 8;
}

function pairs(count: number): number {
  return Math.ceil(count / 2);
}

interface Cluster {
  type: number;
  offset: number;
  /** Of a head. */
  block: number;
  /** Of a tail right behind its head, where heads may have several blocks: how many. */
  count: number;
}

function* fullClusters(image: Erofs, map: ClusterMap): Generator<Cluster> {
  for (let index = 0; index < map.clusters; index++) {
    const words = new Words(image.source.read(map.indexes + index * 8, 8), true, image.name);
    const back = words.u16(4);
    const count = (back & COUNT) === 0 ? 0 : back & ~COUNT;
    yield { type: words.u16(0) & 3, offset: words.u16(2), block: words.u32(4), count };
  }
}

function* compactClusters(image: Erofs, map: ClusterMap): Generator<Cluster> {
  const { before, small } = compactCounts(map.indexes, map.clusters, map.advice);
  let at = map.indexes;
  for (let done = 0; done < map.clusters;) {
    const two = done >= before && done < before + small;
    const length = two ? 32 : 8;
    const until = done < before ? before : two ? before + small : map.clusters;
    const wanted = Math.min(two ? 16 : 2, until - done);
    yield* packClusters(image, map, image.source.read(at, length), wanted);
    done += wanted;
    at += length;
  }
}

function* packClusters(image: Erofs, map: ClusterMap, pack: Uint8Array, wanted: number): Generator<Cluster> {
  const big = (map.advice & BIG_CLUSTERS) !== 0;
  const capacity = pack.length === 32 ? 16 : 2;
  const bits = ((pack.length - 4) * 8) / capacity;
  const offsetBits = Math.max(12, Math.log2(map.clusterSize));
  const words = new Words(pack, true, image.name);
  let block = words.u32(pack.length - 4) + (big ? 0 : 1);
  let head = false;
  for (let index = 0; index < wanted; index++) {
    const place = index * bits;
    // No index reaches over four bytes, and the pack's block stands behind the last one.
    const value = words.u32(place >> 3) >>> (place & 7);
    const type = (value >>> offsetBits) & 3;
    const offset = value & (2 ** offsetBits - 1);
    const count = type === TAIL && big && (offset & COUNT) !== 0 ? offset & ~COUNT : 0;
    yield { type, offset, block, count };
    // A head has one block unless what follows it says otherwise.
    if (type !== TAIL) block++;
    else if (count > 0) block += head ? count - 1 : count;
    head = type !== TAIL;
  }
}

/** What a compressed file is made of, in order. Throws `input` for a map that contradicts itself. */
export function* extentsOf(image: Erofs, inode: Inode, map: ClusterMap): Generator<Extent> {
  if (inode.size === 0) return;
  const { fragment } = map;
  if (fragment?.whole === true) return yield inPacked(0, inode.size, fragment.offset);
  const clusters = inode.layout === COMPACT_MAP ? compactClusters(image, map) : fullClusters(image, map);
  let head: { from: number; type: number; block: number; count: number } | undefined;
  let index = 0;
  let headAt = 0;
  for (const cluster of clusters) {
    if (cluster.type === TAIL) {
      if (head === undefined) throw badErofs(image.name, map.indexes, "a map that begins without a head");
      if (index === headAt + 1) head.count = cluster.count;
    } else {
      const from = index * map.clusterSize + cluster.offset;
      if (from >= inode.size) break;
      if (head === undefined ? from !== 0 : from <= head.from) {
        throw badErofs(image.name, map.indexes, `a head at ${from} of the file, behind ${head?.from ?? "nothing"}`);
      }
      if (head !== undefined) yield extentOf(image, map, head, from);
      head = { from, type: cluster.type, block: cluster.block, count: 0 };
      headAt = index;
    }
    index++;
  }
  if (head === undefined) throw badErofs(image.name, map.indexes, "a map without heads");
  if (fragment !== undefined) {
    // Full maps have room for more bits of the offset.
    const high = inode.layout === COMPACT_MAP ? 0 : head.block * 2 ** 32;
    return yield inPacked(head.from, inode.size, fragment.offset + high);
  }
  const last = extentOf(image, map, head, inode.size);
  if (map.inlineLength === 0) yield last;
  else yield { ...last, stored: { offset: map.end, length: map.inlineLength }, interlaced: false, inline: true };
}

function inPacked(from: number, to: number, packedAt: number): Extent {
  return { from, to, stored: undefined, packedAt, algorithm: undefined, interlaced: false, inline: false };
}

function extentOf(
  image: Erofs,
  map: ClusterMap,
  head: { from: number; type: number; block: number; count: number },
  to: number,
): Extent {
  const { from, type, block, count } = head;
  const length = count > 0 ? count * image.blockSize : map.clusterSize;
  return {
    from,
    to,
    packedAt: 0,
    stored: { offset: block * image.blockSize, length },
    algorithm: type === PLAIN ? undefined : type === HEAD2 ? map.algorithms >> 4 : map.algorithms & 15,
    interlaced: type === PLAIN && (map.advice & INTERLACED) !== 0,
    inline: false,
  };
}
