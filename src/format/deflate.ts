import { createInflateRaw, inflateRawSync } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { decompressInto } from "./decompressor.ts";
import type { InflationGuard, Sink } from "./inflation.ts";

const OUTPUT_CHUNK = 1 << 20;
/** Streams at most this long are inflated in one call, which is much quicker for the many small ones. */
const SMALL = 256 << 10;
/** What such a stream may come to; one that comes to more is streamed. */
const SMALL_OUTPUT = 4 << 20;

/**
 * Inflates the raw deflate stream (RFC 1951) at `offset`, which may end before
 * the source does. Returns how many compressed bytes it took. Throws `input`
 * for broken or cut off data, `limit` when `guard` does.
 */
export async function inflateAt(
  source: ByteSource,
  offset: number,
  sink: Sink,
  guard: InflationGuard,
): Promise<number> {
  return inflateSmall(source, offset, sink, guard) ?? (await inflateStreamed(source, offset, sink, guard));
}

/** Undefined when the stream is not small, or broken: streaming tells which. */
function inflateSmall(source: ByteSource, offset: number, sink: Sink, guard: InflationGuard): number | undefined {
  const length = source.size - offset;
  if (length > SMALL) return undefined;
  let done: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    done = inflateRawSync(source.read(offset, length), {
      maxOutputLength: SMALL_OUTPUT,
      chunkSize: Math.min(Math.max(length * 4, 1 << 10), OUTPUT_CHUNK),
      info: true,
    }) as unknown as typeof done;
  } catch {
    return undefined;
  }
  // Piece by piece, as when streamed: of the two bounds the one that is met first is told.
  for (let at = 0; at < done.buffer.length; at += OUTPUT_CHUNK) {
    const piece = done.buffer.subarray(at, at + OUTPUT_CHUNK);
    guard.add(piece.length);
    sink(piece);
  }
  return done.engine.bytesWritten;
}

async function inflateStreamed(source: ByteSource, offset: number, sink: Sink, guard: InflationGuard): Promise<number> {
  const engine = createInflateRaw({ chunkSize: OUTPUT_CHUNK });
  await decompressInto(sink, engine, source, { offset, guard, what: `deflate stream at offset ${offset}` });
  return engine.bytesWritten;
}
