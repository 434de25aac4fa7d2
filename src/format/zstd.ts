import { createZstdDecompress } from "node:zlib";
import type { ByteSource } from "../bytesource.ts";
import { decompressInto } from "./decompressor.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";

/** Decompresses zstd (RFC 8878) frames. Throws `input`, `limit`. */
export async function unzstd(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<void> {
  const guard = new InflationGuard(source.name, source.size, limits);
  await decompressInto(sink, createZstdDecompress(), source, { guard, what: "zstd" });
}
