import { Readable, type Transform } from "node:stream";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { InflationGuard, Sink } from "./inflation.ts";

/** Compressed bytes handed to the decompressor at a time. */
const INPUT_CHUNK = 256 << 10;

/**
 * Runs `source` from `offset` on through one of node:zlib's decompressors, chunk
 * by chunk into `sink`, and ends the engine whatever happens. `what` is being
 * read, for the message. Throws `input` for broken or cut off data, `limit` when
 * `guard` does.
 */
export async function decompressInto(
  sink: Sink,
  engine: Transform,
  source: ByteSource,
  { offset = 0, guard, what }: { offset?: number; guard: InflationGuard; what: string },
): Promise<void> {
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
    throw new BitforbitError("input", `${source.name}: ${what}: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
    engine.destroy();
  }
}

function* chunksOf(source: ByteSource, offset: number): Generator<Uint8Array> {
  for (let at = offset; at < source.size; at += INPUT_CHUNK) {
    yield source.read(at, Math.min(INPUT_CHUNK, source.size - at));
  }
}
