import { createBrotliDecompress } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { compressedPart } from "./compressed-part.ts";
import { decompressInto } from "./decompressor.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import type { Part } from "./part.ts";

/** Decompresses into `sink`; returns the size. Throws `input`, `limit`. */
export async function unbrotli(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<number> {
  const guard = new InflationGuard(source.name, source.size, limits);
  await decompressInto(sink, createBrotliDecompress(), source, { guard, what: "brotli" });
  return guard.bytes;
}

/**
 * One content. Brotli (RFC 7932) has neither magic number nor checksum: it is
 * only known by the name, `.br`, and what is none shows only when it is decompressed.
 */
export function brotliParts(source: ByteSource): Part[] {
  return [
    compressedPart(source.name, 0, source.size, {
      name: "unbrotli",
      run: (sink, limits) => unbrotli(source, sink, limits),
    }),
  ];
}
