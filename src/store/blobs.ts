/**
 * Content-addressed files: `blobs/sha256/<hex>`. A blob is written to
 * `.incoming/`, fsynced, renamed to its digest, and the folder fsynced; so a
 * name in `blobs/` always had all of its bytes, and a second put of the same
 * bytes heals a blob that the disk has damaged since.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { type Digest, digestOf, digestOfFile, hexOf } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { type Entropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";

const CHUNK = 1 << 20;

/** Node refuses to read a file of 2 GiB or more into one buffer; such blobs are read with `stream`. */
const MAX_WHOLE_BYTES = 1 << 30;

/** Older than this, a leftover belongs to a process that died. */
const LEFTOVER_MILLISECONDS = 60 * 60 * 1000;

export interface Blobs {
  /** Stores bytes, or the content of the regular file at a path (streamed). */
  put(content: Uint8Array | string): Promise<{ digest: Digest; size: number }>;
  /** The bytes, whose digest was checked. Throws `input` when missing or corrupted, `limit` beyond `maxBytes`. */
  get(digest: Digest, maxBytes?: number): Promise<Uint8Array>;
  /** The bytes in pieces; throws `input` after the last piece when they are corrupted. */
  stream(digest: Digest): AsyncGenerator<Uint8Array>;
  /** Bytes on disk, or undefined. */
  size(digest: Digest): Promise<number | undefined>;
  path(digest: Digest): string;
  /** Every digest that there is a file for, in byte order. */
  all(): Promise<Digest[]>;
  /** Removes blobs that nothing mentions any more; those that are gone are gone. */
  remove(digests: readonly Digest[]): Promise<void>;
}

export async function openBlobs(folder: string, entropy: Entropy): Promise<Blobs> {
  const home = join(folder, "blobs", "sha256");
  const incoming = join(folder, ".incoming");
  await mkdir(home, { recursive: true });
  await mkdir(incoming, { recursive: true });
  const path = (digest: Digest): string => join(home, hexOf(digest));

  async function put(content: Uint8Array | string): Promise<{ digest: Digest; size: number }> {
    if (typeof content !== "string") {
      const digest = digestOf(content);
      if (await holds(path(digest), digest)) {
        await syncFolder(home); // whoever linked it may not have got that far
        return { digest, size: content.length };
      }
    }
    const temporary = join(incoming, `.tmp-${uniqueName(entropy)}`);
    try {
      const received = await receive(temporary, typeof content === "string" ? piecesOf(content) : [content]);
      await rename(temporary, path(received.digest));
      await syncFolder(home);
      return received;
    } catch (error) {
      await rm(temporary, { force: true });
      throw explained(error, typeof content === "string" ? content : home);
    }
  }

  async function get(digest: Digest, maxBytes: number = MAX_WHOLE_BYTES): Promise<Uint8Array> {
    const size = await sizeOf(path(digest));
    if (size === undefined) throw missing(digest, path(digest));
    if (size > maxBytes) throw new BitforbitError("limit", `blob ${digest} has ${size} bytes, more than ${maxBytes}`);
    const bytes = new Uint8Array(await readFile(path(digest)));
    const actual = digestOf(bytes);
    if (actual !== digest) throw corrupted(digest, actual, path(digest));
    return bytes;
  }

  async function* stream(digest: Digest): AsyncGenerator<Uint8Array> {
    if ((await sizeOf(path(digest))) === undefined) throw missing(digest, path(digest));
    const hasher = createHash("sha256");
    for await (const piece of piecesOf(path(digest))) {
      hasher.update(piece);
      yield piece;
    }
    const actual: Digest = `sha256:${hasher.digest("hex")}`;
    if (actual !== digest) throw corrupted(digest, actual, path(digest));
  }

  async function all(): Promise<Digest[]> {
    const names = (await namesIn(home)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    return names.map((name): Digest => `sha256:${name}`).sort();
  }

  async function remove(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) await rm(path(digest), { force: true });
    await syncFolder(home);
  }

  return { put, get, stream, path, size: (digest) => sizeOf(path(digest)), all, remove };
}

/** Removes what dead processes left half-written in the folder of a store. */
export async function sweepLeftovers(folder: string, clock: Clock): Promise<void> {
  for (const place of [folder, join(folder, ".incoming")]) {
    for (const name of await namesIn(place)) {
      if (!name.startsWith(".tmp-")) continue;
      const age = await stat(join(place, name)).then(
        (stats) => clock.now() - stats.mtimeMs,
        () => 0, // its owner has just removed or renamed it
      );
      if (age < LEFTOVER_MILLISECONDS) continue;
      // A leftover harms nobody: not being allowed to remove it must not stop a reader.
      await rm(join(place, name), { force: true }).catch(() => undefined);
    }
  }
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

export function missing(digest: Digest, path: string): BitforbitError {
  return new BitforbitError("input", `no blob ${digest} in the store`, {
    hint: `store the artifact again, or restore ${path} from a copy`,
  });
}

export function corrupted(digest: Digest, actual: Digest, path: string): BitforbitError {
  return new BitforbitError("input", `blob ${digest} is corrupted: ${path} holds bytes with digest ${actual}`, {
    hint: "store the same artifact or attestation again, which heals it, or restore that file from a copy",
  });
}

async function holds(path: string, digest: Digest): Promise<boolean> {
  return (await exists(path)) && (await digestOfFile(path)) === digest;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes pieces to a new file and makes it durable; the digest is of the bytes that were written, not read again. */
async function receive(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<{ digest: Digest; size: number }> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o444);
  try {
    const hasher = createHash("sha256");
    let size = 0;
    for await (const piece of pieces) {
      hasher.update(piece);
      size += piece.length;
      await writeAll(file, piece);
    }
    await file.sync();
    return { digest: `sha256:${hasher.digest("hex")}`, size };
  } finally {
    await file.close();
  }
}

/** A write may take less than it was given (a full disk, a signal): goes on until all is written. */
export async function writeAll(file: Pick<FileHandle, "write">, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at);
    if (bytesWritten === 0) throw new BitforbitError("outside", "the disk takes no more bytes and says no reason");
    at += bytesWritten;
  }
}

/** O_NONBLOCK: a named pipe in the place of an artifact must not hang us; it is then refused. */
async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    for (;;) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function explained(error: unknown, what: string): unknown {
  const hints: Readonly<Record<string, string>> = {
    ENOSPC: "free disk space, then run again: nothing that was stored before is lost",
    EDQUOT: "free disk space within your quota, then run again: nothing that was stored before is lost",
    EROFS: "the store is on a read-only file system: remount it, or set BITFORBIT_HOME to a folder you can write",
    EACCES: "give yourself the right to write there, or set BITFORBIT_HOME to a folder you can write",
  };
  const code = systemCode(error) ?? "";
  if (code === "ENOENT") return new BitforbitError("input", `no such file: ${what}`, { cause: error });
  const hint = hints[code];
  if (error instanceof BitforbitError || hint === undefined) return error;
  return new BitforbitError("outside", `cannot store ${what}: ${code}`, { cause: error, hint });
}
