import { Readable } from "node:stream";
import { createBrotliDecompress } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { compressedPart } from "./compressed-part.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import type { Part } from "./part.ts";

/** Brotli (RFC 7932) has neither magic number nor checksum: it is only known by the name, `.br`. */
const INPUT = 128 << 10;

/** Decompresses into `sink`; returns the size. Throws `input`, `limit`. */
export async function unbrotli(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const engine = createBrotliDecompress();
  const input = Readable.from(chunksOf(source), { objectMode: false });
  input.on("error", (error) => engine.destroy(error));
  input.pipe(engine);
  try {
    for await (const chunk of engine as AsyncIterable<Uint8Array>) {
      guard.add(chunk.length);
      sink(chunk);
    }
  } catch (error) {
    if (error instanceof BitforbitError) throw error;
    throw new BitforbitError("input", `${source.name}: brotli: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
    engine.destroy();
  }
  return guard.bytes;
}

function* chunksOf(source: ByteSource): Generator<Uint8Array> {
  for (let at = 0; at < source.size; at += INPUT) yield source.read(at, Math.min(INPUT, source.size - at));
}

/** One content. What is no brotli shows only when it is decompressed. */
export function brotliParts(source: ByteSource): Part[] {
  return [
    compressedPart(source.name, 0, source.size, {
      name: "unbrotli",
      run: (sink, limits) => unbrotli(source, sink, limits),
    }),
  ];
}
