import { type ByteSource, openSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { gunzip } from "./gzip.ts";
import { INFLATION_LIMITS, type InflationLimits, type Sink } from "./inflation.ts";
import { type Compression, compressionOf, looksLikeZip } from "./magic.ts";
import { spool, type Spooled } from "./spool.ts";
import { BLOCK, looksLikeTar } from "./tar-header.ts";
import { unxz } from "./xz.ts";
import { unzstd } from "./zstd.ts";

export interface OpenedArchive {
  kind: "tar" | "zip";
  compression: Compression | undefined;
  /** The tar or zip itself, decompressed. */
  source: ByteSource;
  /** Closes the files; what was decompressed is then gone. */
  close(): void;
}

/**
 * Opens a tar (plain, or compressed with gzip, xz or zstd) or a zip, told by
 * content and never by name. What is decompressed goes to a file in
 * `temporary` that is gone after `close`. Throws `input` for what is none of these
 * or is broken, `limit` for bombs.
 */
export async function openArchive(
  path: string,
  options: { temporary: string; limits?: InflationLimits },
): Promise<OpenedArchive> {
  const file = openSource(path);
  let inner: Spooled | undefined;
  try {
    const compression = compressionOf(startOf(file));
    if (compression !== undefined) {
      inner = await spool(options.temporary, path, (sink) => decompress(file, compression, sink, options.limits));
    }
    const source = inner?.source ?? file;
    const kind = kindOf(source);
    if (kind === undefined) {
      throw new BitforbitError("input", `${path}: neither a tar nor a zip`, {
        hint: "tar, tar.gz, tar.xz, tar.zst and zip are read",
      });
    }
    const close = (): void => {
      inner?.close();
      file.close();
    };
    return { kind, compression, source, close };
  } catch (error) {
    inner?.close();
    file.close();
    throw error;
  }
}

function startOf(source: ByteSource): Uint8Array {
  return source.read(0, Math.min(source.size, BLOCK));
}

function kindOf(source: ByteSource): "tar" | "zip" | undefined {
  const start = startOf(source);
  if (looksLikeZip(start)) return "zip";
  return looksLikeTar(start) ? "tar" : undefined;
}

async function decompress(
  source: ByteSource,
  compression: Compression,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<void> {
  if (compression === "gzip") await gunzip(source, sink, limits);
  else if (compression === "xz") await unxz(source, sink, limits);
  else await unzstd(source, sink, limits);
}
