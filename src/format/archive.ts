import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createZstdDecompress } from "node:zlib";
import { Readable } from "node:stream";
import { type ByteSource, memorySource, openSource } from "../bytesource.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { gunzip, looksLikeGzip } from "./gzip.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "./inflation.ts";
import { BLOCK, looksLikeTar } from "./tar.ts";
import { looksLikeXz, unxz } from "./xz.ts";
import { looksLikeZip } from "./zip.ts";

export type Compression = "gzip" | "xz" | "zstd";

export interface OpenedArchive {
  kind: "tar" | "zip";
  compression: Compression | undefined;
  /** The tar or zip itself, decompressed. */
  source: ByteSource;
  /** Closes the files; what was decompressed is then gone. */
  close(): void;
}

/** What a file is compressed with, by its first bytes. */
export function compressionOf(start: Uint8Array): Compression | undefined {
  if (looksLikeGzip(start)) return "gzip";
  if (looksLikeXz(start)) return "xz";
  if (start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd) return "zstd";
  return undefined;
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

/** Decompresses zstd (RFC 8878) frames. Throws `input`, `limit`. */
export async function unzstd(
  source: ByteSource,
  sink: Sink,
  limits: InflationLimits = INFLATION_LIMITS,
): Promise<void> {
  const guard = new InflationGuard(source.name, source.size, limits);
  const engine = createZstdDecompress();
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
    throw new BitforbitError("input", `${source.name}: zstd: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
    engine.destroy();
  }
}

function* chunksOf(source: ByteSource): Generator<Uint8Array> {
  const length = 128 << 10;
  for (let at = 0; at < source.size; at += length) yield source.read(at, Math.min(length, source.size - at));
}

export interface Spooled {
  source: ByteSource;
  close(): void;
}

/**
 * Keeps what `produce` gives: in memory up to `inMemory` bytes, beyond that in
 * a file of its own in `folder`, mode 0600, that is gone after `close`.
 */
export async function spool(
  folder: string,
  name: string,
  produce: (sink: Sink) => Promise<unknown>,
  inMemory: number = 16 << 20,
): Promise<Spooled> {
  const parts: Uint8Array[] = [];
  let size = 0;
  let path: string | undefined;
  let descriptor = -1;
  const write = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  };
  const discard = (): void => {
    if (descriptor >= 0) closeSync(descriptor);
    if (path !== undefined) rmSync(path, { force: true });
  };
  try {
    await produce((chunk) => {
      size += chunk.length;
      if (descriptor >= 0) return write(chunk);
      parts.push(chunk);
      if (size <= inMemory) return;
      mkdirSync(folder, { recursive: true });
      path = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
      descriptor = openSync(path, "wx", 0o600);
      for (const part of parts.splice(0)) write(part);
    });
  } catch (error) {
    discard();
    throw error;
  }
  if (path === undefined) return { source: memorySource(new Uint8Array(Buffer.concat(parts)), name), close: () => {} };
  closeSync(descriptor);
  descriptor = -1;
  const file = openSource(path, name);
  // Unlinked while open: nothing is left behind, however the process ends.
  rmSync(path, { force: true });
  return { source: file, close: () => file.close() };
}
