/**
 * Bytes by digest, `<folder>/sha256/<first two digits>/<all 64 digits>`: each
 * written to a temporary name, fsynced, renamed, and its folder fsynced. What
 * lies there is not believed: it is hashed at each use.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bodyIn } from "../body-path.ts";
import { systemClock } from "../clock.ts";
import { type Digest, digestOfFile } from "../digest.ts";
import { spaceError, syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";
import type { BlobDescriptor } from "./manifest.ts";

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What is known of a body: "poisoned" when other bytes lie in its place. */
export async function bodyState(
  folder: string,
  blob: Pick<BlobDescriptor, "digest" | "size">,
): Promise<"whole" | "missing" | "poisoned"> {
  const path = bodyIn(folder, blob.digest);
  try {
    const stats = await stat(path);
    if (!stats.isFile() || stats.size !== blob.size) return "poisoned";
    return (await digestOfFile(path)) === blob.digest ? "whole" : "poisoned";
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "missing";
    throw error;
  }
}

/**
 * Writes a body; memory does not grow with it. Returns its path. Throws
 * `outside` when the pieces are not what the digest and size say, naming
 * `what`; then nothing is left behind.
 */
export async function writeBody(
  folder: string,
  blob: Pick<BlobDescriptor, "digest" | "size">,
  pieces: Pieces,
  what: string,
): Promise<string> {
  const path = bodyIn(folder, blob.digest);
  const home = dirname(path);
  await mkdir(home, { recursive: true });
  const temporary = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
  try {
    await receive(temporary, blob, pieces, what);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw spaceError(error, `write ${path}`);
  }
  await syncFolder(home);
  return path;
}

async function receive(
  path: string,
  blob: Pick<BlobDescriptor, "digest" | "size">,
  pieces: Pieces,
  what: string,
): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    const hasher = createHash("sha256");
    let size = 0;
    for await (const piece of pieces) {
      size += piece.length;
      if (size > blob.size) break;
      hasher.update(piece);
      for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten;
    }
    if (size !== blob.size) {
      const many = size > blob.size ? "more" : `only ${size}`;
      throw new BitforbitError("outside", `${what} is to have ${blob.size} bytes, and ${many} came`);
    }
    const digest: Digest = `sha256:${hasher.digest("hex")}`;
    if (digest !== blob.digest) {
      throw new BitforbitError("outside", `${what} came with digest ${digest}, and ${blob.digest} was asked for`, {
        hint: "something changed it on the way, or where it lies: it was not kept",
      });
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

const LEFTOVER_MILLISECONDS = 24 * 60 * 60 * 1000;

/** Removes what processes that died left half-written in `folder`, a day old or more. */
export async function sweepTemporaries(folder: string, remove: (path: string) => Promise<void>): Promise<void> {
  const names = await namesIn(folder).catch((): string[] => []);
  for (const name of names.filter((one) => one.startsWith(".tmp-"))) {
    const path = join(folder, name);
    const age = await stat(path).then(
      (stats) => systemClock.now() - stats.mtimeMs,
      () => 0, // its owner has just renamed it
    );
    // A leftover harms nobody: not being allowed to remove it must not stop a build.
    if (age > LEFTOVER_MILLISECONDS) await remove(path).catch(() => undefined);
  }
}
