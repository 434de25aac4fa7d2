import { inflateRawSync, zstdDecompressSync } from "node:zlib";
import { memorySource } from "../bytesource.ts";
import { messageOf } from "../errors.ts";
import { type Extent, extentsOf, mapOf } from "./erofs-clusters.ts";
import { COMPACT_MAP, FULL_MAP, type Inode, inodeOf, runsOf } from "./erofs-inode.ts";
import { ALGORITHMS, badErofs, type Erofs, ZERO_PADDING } from "./erofs-superblock.ts";
import { lz4Block } from "./lz4-block.ts";
import { unlzmaStream } from "./lzma-decoder.ts";

/** The bytes of files in erofs: put together, decompressed, and completed from the packed inode. */
const CHUNK = 1 << 20;
/** What one piece may decompress to: Linux's Z_EROFS_PCLUSTER_MAX_DSIZE. */
const MAX_EXTENT = 12 << 20;
const MAX_STORED = 2 << 20;

export function isCompressed({ layout }: Inode): boolean {
  return layout === FULL_MAP || layout === COMPACT_MAP;
}

/** Bytes `from` to `to` of a file, in order. Throws `input` for what is broken. */
export async function* contentOf(
  image: Erofs,
  inode: Inode,
  from = 0,
  to: number = inode.size,
): AsyncGenerator<Uint8Array> {
  if (to > inode.size) throw badErofs(image.name, inode.at, `bytes up to ${to} wanted of a file of ${inode.size}`);
  if (!isCompressed(inode)) return yield* flatContent(image, inode, from, to);
  for (const extent of extentsOf(image, inode, mapOf(image, inode))) {
    const [start, end] = [Math.max(from, extent.from), Math.min(to, extent.to)];
    if (start >= end) continue;
    if (extent.stored === undefined) yield* packedContent(image, inode, extent, start, end);
    else {
      const bytes = await extentBytes(image, inode, extent);
      yield bytes.slice(start - extent.from, end - extent.from);
    }
  }
}

function* flatContent(image: Erofs, inode: Inode, from: number, to: number): Generator<Uint8Array> {
  let done = from;
  const zeros = function* (until: number): Generator<Uint8Array> {
    for (; done < until; done += Math.min(CHUNK, until - done)) yield new Uint8Array(Math.min(CHUNK, until - done));
  };
  for (const { logical, offset, length } of runsOf(image, inode)) {
    yield* zeros(Math.min(logical, to));
    const end = Math.min(to, logical + length);
    for (; done < end; done += Math.min(CHUNK, end - done)) {
      yield image.source.read(offset + done - logical, Math.min(CHUNK, end - done)).slice();
    }
  }
  yield* zeros(to);
}

function packedContent(
  image: Erofs,
  inode: Inode,
  extent: Extent,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  const packed = image.packed === 0 || inode.number === image.packed ? undefined : inodeOf(image, image.packed);
  if (packed === undefined) throw badErofs(image.name, inode.at, "bytes of a packed inode that is not there");
  const by = extent.packedAt - extent.from;
  return contentOf(image, packed, start + by, end + by);
}

async function extentBytes(image: Erofs, inode: Inode, extent: Extent): Promise<Uint8Array> {
  const { stored = { offset: 0, length: 0 }, algorithm } = extent;
  const [{ offset, length }, wanted] = [stored, extent.to - extent.from];
  if (offset + length > image.source.size || length > MAX_STORED || wanted > MAX_EXTENT) {
    throw badErofs(image.name, inode.at, `${wanted} bytes in ${length} at ${offset}, which cannot be`);
  }
  const bytes = image.source.read(offset, length).slice();
  if (algorithm === undefined) return plainBytes(image, extent, bytes);
  const found = await decompressed(image, algorithm, unpadded(image, bytes), wanted, offset);
  if (found.length >= wanted) return found.subarray(0, wanted);
  throw badErofs(image.name, offset, `${found.length} bytes come out, ${wanted} expected`);
}

/** As it is; an interlaced piece goes around in its block, beginning where it stands in the file. */
function plainBytes(image: Erofs, { from, to, interlaced, stored }: Extent, bytes: Uint8Array): Uint8Array {
  if (to - from > bytes.length) {
    throw badErofs(image.name, stored?.offset ?? 0, `${to - from} bytes that are not compressed, in ${bytes.length}`);
  }
  if (!interlaced) return bytes.subarray(0, to - from);
  const start = from % image.blockSize;
  return new Uint8Array(Buffer.concat([bytes.subarray(start), bytes.subarray(0, start)]).subarray(0, to - from));
}

/** Compressed bytes end where their blocks do; only the first versions let them begin there. */
function unpadded({ incompatible, blockSize }: Erofs, bytes: Uint8Array): Uint8Array {
  if ((incompatible & ZERO_PADDING) === 0) return bytes;
  let at = 0;
  while (at < Math.min(bytes.length, blockSize) && bytes[at] === 0) at++;
  return bytes.subarray(at);
}

/** At least `wanted` bytes, where they are there: what is shared with another file may be cut. */
async function decompressed(
  image: Erofs,
  algorithm: number,
  bytes: Uint8Array,
  wanted: number,
  offset: number,
): Promise<Uint8Array> {
  const name = ALGORITHMS[algorithm];
  const bad = (what: string): Error => badErofs(image.name, offset, `broken ${name}: ${what}`);
  if (name === "lz4") {
    // Nothing is as long as this says where nothing as long comes out: lz4 gives at most 255 times what it takes.
    if (wanted > bytes.length * 256) throw bad(`${wanted} bytes out of ${bytes.length}`);
    const space = new Uint8Array(wanted);
    return space.subarray(0, lz4Block(bytes, space, 0, wanted, bad, true));
  }
  if (name === "lzma") return await microLzma(bytes, wanted);
  try {
    if (name === "deflate") return inflateRawSync(bytes, { maxOutputLength: MAX_EXTENT });
    if (name === "zstd") return zstdDecompressSync(bytes, { maxOutputLength: MAX_EXTENT });
  } catch (error) {
    throw bad(messageOf(error));
  }
  throw badErofs(image.name, offset, `compressed with algorithm ${algorithm}, which is not read`);
}

/** LZMA without a header: the properties stand, inverted, where the range coder's first byte would, which is 0. */
async function microLzma(bytes: Uint8Array, wanted: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const stream = { offset: 0, properties: ~(bytes[0] ?? 0) & 0xff, dictionarySize: wanted, size: wanted };
  bytes[0] = 0;
  await unlzmaStream(memorySource(bytes, "lzma"), stream, (chunk) => void chunks.push(chunk));
  return new Uint8Array(Buffer.concat(chunks));
}
