import { crc32 } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { looksLikeXz } from "./magic.ts";

/**
 * xz (The .xz File Format 1.2.1), for reading. The indexes at the end of each
 * stream say where streams begin and how large they become, so bombs are
 * refused before any work, and again while decompressing, since an index can lie.
 */
/** The check that the decoder does not know. */
const SHA256 = 10;
const MAX_STREAMS = 1000;
const MAX_INDEX = 16 << 20;
const INPUT_CHUNK = 64 << 10;

interface XzStream {
  offset: number;
  length: number;
  size: number;
}

/** Decompresses every stream into `sink`; returns the size. Throws `input` for broken data, `limit` for bombs. */
export async function unxz(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const streams = xzStreams(source);
  const stated = streams.reduce((sum, stream) => sum + stream.size, 0);
  new InflationGuard(source.name, source.size, limits).add(stated);
  const guard = new InflationGuard(source.name, source.size, limits);
  for (const stream of streams) await unxzStream(source, stream, sink, guard);
  if (guard.bytes !== stated) throw bad(source, 0, `${guard.bytes} bytes came out, the index states ${stated}`);
  return stated;
}

async function unxzStream(source: ByteSource, stream: XzStream, sink: Sink, guard: InflationGuard): Promise<void> {
  const { XzReadableStream } = (await import("xz-decompress")).default;
  let at = stream.offset;
  const end = stream.offset + stream.length;
  const input = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= end) return controller.close();
      const length = Math.min(INPUT_CHUNK, end - at);
      controller.enqueue(source.read(at, length));
      at += length;
    },
  });
  try {
    for await (const chunk of new XzReadableStream(input) as unknown as AsyncIterable<Uint8Array>) {
      guard.add(chunk.length);
      if (chunk.length > 0) sink(chunk);
    }
  } catch (error) {
    if (error instanceof BitforbitError) throw error;
    throw new BitforbitError("input", `${source.name}: xz stream at offset ${stream.offset}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The streams in order, found from the end backwards. Throws `input`. */
function xzStreams(source: ByteSource): XzStream[] {
  const streams: XzStream[] = [];
  let end = source.size;
  while (end > 0) {
    // Stream padding: zeros, a multiple of four.
    while (end >= 4 && isZeroWord(source.read(end - 4, 4))) end -= 4;
    if (end === 0) break;
    if (streams.length >= MAX_STREAMS)
      throw new BitforbitError("limit", `${source.name}: over ${MAX_STREAMS} xz streams`);
    const stream = lastStream(source, end);
    streams.push(stream);
    end = stream.offset;
  }
  if (streams.length === 0) throw bad(source, 0, "no xz stream");
  return streams.reverse();
}

function isZeroWord(word: Uint8Array): boolean {
  return word[0] === 0 && word[1] === 0 && word[2] === 0 && word[3] === 0;
}

/** The stream that ends at `end`: sections 2.1.2 (footer) and 4 (index). */
function lastStream(source: ByteSource, end: number): XzStream {
  if (end < 32) throw bad(source, end, "cut off");
  const footer = source.read(end - 12, 12);
  const view = new DataView(footer.buffer, footer.byteOffset, 12);
  if (footer[10] !== 0x59 || footer[11] !== 0x5a)
    throw bad(source, end - 2, "no xz footer: cut off, or followed by something else");
  if (view.getUint32(0, true) !== crc32(footer.subarray(4, 10)))
    throw bad(source, end - 12, "the footer's CRC-32 does not hold");
  const indexSize = (view.getUint32(4, true) + 1) * 4;
  const indexAt = end - 12 - indexSize;
  if (indexSize > MAX_INDEX) throw new BitforbitError("limit", `${source.name}: an xz index of ${indexSize} bytes`);
  if (indexAt < 12) throw bad(source, end - 8, "an index larger than the file");
  const { packed, size } = indexSums(source, indexAt, indexSize);
  const offset = indexAt - packed - 12;
  if (offset >= 0 && (source.read(offset + 7, 1)[0] ?? 0) === SHA256) {
    throw new BitforbitError("input", `${source.name}: xz with SHA-256 checks is not read`, {
      hint: "pack it again with `xz --check=crc64`",
    });
  }
  if (offset < 0 || !looksLikeXz(source.read(offset, 6))) throw bad(source, indexAt, "the index does not fit the file");
  return { offset, length: end - offset, size };
}

function indexSums(source: ByteSource, at: number, length: number): { packed: number; size: number } {
  const index = source.read(at, length);
  let position = 1;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; shift < 9; shift++) {
      const byte = index[position++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80 && Number.isSafeInteger(value)) return value;
    }
    throw bad(source, at + position, "a number in the index that does not end");
  };
  if (index[0] !== 0) throw bad(source, at, "no xz index");
  const count = next();
  if (count * 2 > length) throw bad(source, at, `${count} records in an index of ${length} bytes`);
  let packed = 0;
  let size = 0;
  for (let record = 0; record < count; record++) {
    packed += Math.ceil(next() / 4) * 4;
    size += next();
  }
  return { packed, size };
}

function bad(source: ByteSource, offset: number, what: string): BitforbitError {
  return new BitforbitError("input", `${source.name}: xz, offset ${offset}: ${what}`);
}
