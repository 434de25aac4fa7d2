import { crc32 } from "node:zlib";
import { Deflate } from "pako";
import { BitforbitError } from "../errors.ts";

export interface GzipOptions {
  /** 1 to 9; 9 by default. */
  level?: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
  /** Seconds since the epoch, 0 (none) by default. */
  mtime?: number;
  name?: string;
}

/**
 * gzip of the chunks, as chunks: the same bytes on every machine and version
 * of Node, since the compressor is pako and not the host's zlib. Says Unix as
 * its system, and no name or time unless told.
 */
export function* gzipChunks(chunks: Iterable<Uint8Array>, options: GzipOptions = {}): Generator<Uint8Array> {
  const level = options.level ?? 9;
  yield gzipStart(level, options);
  const deflate = new Deflate({ raw: true, level, legacyHash: true });
  let ready: Uint8Array[] = [];
  deflate.onData = (chunk) => void ready.push(chunk);
  let crc = 0;
  let size = 0;
  for (const chunk of chunks) {
    crc = crc32(chunk, crc);
    size += chunk.length;
    deflate.push(chunk, false);
    yield* ready;
    ready = [];
  }
  deflate.push(new Uint8Array(0), true);
  yield* ready;
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, crc, true);
  trailer.setUint32(4, size % 2 ** 32, true);
  yield new Uint8Array(trailer.buffer);
}

/** gzip of `content` in one piece. See `gzipChunks`. */
export function gzipBytes(content: Uint8Array, options: GzipOptions = {}): Uint8Array {
  return new Uint8Array(Buffer.concat([...gzipChunks([content], options)]));
}

function gzipStart(level: number, options: GzipOptions): Uint8Array {
  const mtime = options.mtime ?? 0;
  if (!Number.isInteger(mtime) || mtime < 0 || mtime > 0xffff_ffff) {
    throw new BitforbitError("usage", `gzip cannot hold the time ${mtime}`);
  }
  if (options.name?.includes("\0") === true) throw new BitforbitError("usage", "a gzip name cannot hold a NUL");
  const name = options.name === undefined ? new Uint8Array(0) : Buffer.from(`${options.name}\0`, "utf8");
  const header = new DataView(new ArrayBuffer(10));
  header.setUint32(0, 0x1f8b0800 | (name.length > 0 ? 8 : 0));
  header.setUint32(4, mtime, true);
  header.setUint8(8, level === 9 ? 2 : level === 1 ? 4 : 0);
  header.setUint8(9, 3);
  return new Uint8Array(Buffer.concat([new Uint8Array(header.buffer), name]));
}
