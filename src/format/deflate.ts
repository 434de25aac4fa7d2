import { Readable } from "node:stream";
import { createInflateRaw, inflateRawSync } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { InflationGuard, Sink } from "./inflation.ts";

/** Compressed bytes handed to the decompressor at a time. */
const INPUT_CHUNK = 256 << 10;
const OUTPUT_CHUNK = 1 << 20;
/** Streams at most this long are inflated in one call, which is much quicker for the many small ones. */
const SMALL = 32 << 10;

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
      maxOutputLength: 1 << 20,
      info: true,
    }) as unknown as typeof done;
  } catch {
    return undefined;
  }
  guard.add(done.buffer.length);
  if (done.buffer.length > 0) sink(done.buffer);
  return done.engine.bytesWritten;
}

async function inflateStreamed(source: ByteSource, offset: number, sink: Sink, guard: InflationGuard): Promise<number> {
  const engine = createInflateRaw({ chunkSize: OUTPUT_CHUNK });
  const input = Readable.from(chunksOf(source, offset), { objectMode: false, highWaterMark: INPUT_CHUNK });
  input.on("error", (error) => engine.destroy(error));
  input.pipe(engine);
  try {
    for await (const chunk of engine as AsyncIterable<Uint8Array>) {
      guard.add(chunk.length);
      sink(chunk);
    }
  } catch (error) {
    if (error instanceof BitforbitError) throw error;
    throw new BitforbitError("input", `${source.name}: deflate stream at offset ${offset}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    input.destroy();
    engine.destroy();
  }
  return engine.bytesWritten;
}

function* chunksOf(source: ByteSource, offset: number): Generator<Uint8Array> {
  for (let at = offset; at < source.size; at += INPUT_CHUNK) {
    yield source.read(at, Math.min(INPUT_CHUNK, source.size - at));
  }
}
