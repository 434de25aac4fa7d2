import { constants } from "node:fs";
import { chmod, copyFile, link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BitforbitError, systemCode } from "./errors.ts";
import { type Entropy, systemEntropy, uniqueName } from "./entropy.ts";

/**
 * Durable writes. In order: write a temporary file in the same folder, fsync
 * it, give it its name, fsync the folder. A reader sees the old content, the
 * new content, or no file; never a part. A crash leaves at most a `.tmp-` file.
 */
export async function writeDurable(
  path: string,
  content: Uint8Array | string,
  options: { mode?: number; entropy?: Entropy } = {},
): Promise<void> {
  await viaTemporary(path, content, options, (temporary) => rename(temporary, path));
}

/** As `writeDurable`, but leaves the folder, which must be there, to the caller: for many files in one. */
export async function writeSynced(path: string, content: Uint8Array | string): Promise<void> {
  await synced(path, content, {}, (temporary) => rename(temporary, path));
}

/** Like `writeDurable`, but never replaces: returns false when `path` exists. */
export async function createDurable(
  path: string,
  content: Uint8Array | string,
  options: { mode?: number; entropy?: Entropy } = {},
): Promise<boolean> {
  let created = true;
  await viaTemporary(path, content, options, async (temporary) => {
    try {
      await link(temporary, path);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
      created = false;
    }
    await rm(temporary);
  });
  return created;
}

async function viaTemporary(
  path: string,
  content: Uint8Array | string,
  options: { mode?: number; entropy?: Entropy },
  give: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await synced(path, content, options, give);
  await syncFolder(folder);
}

async function synced(
  path: string,
  content: Uint8Array | string,
  options: { mode?: number; entropy?: Entropy },
  give: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.tmp-${uniqueName(options.entropy ?? systemEntropy)}`);
  try {
    const file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
      options.mode ?? 0o644,
    );
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await give(temporary);
  } catch (error) {
    await rm(temporary, { force: true });
    throw spaceError(error, `write ${path}`);
  }
}

/** Makes names that were created or renamed in `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Like `writeDurable`, with the content of another file, which is not held in memory. */
export async function copyDurable(from: string, path: string, mode = 0o644): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
  try {
    await copyFile(from, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(temporary, mode);
    const file = await open(temporary, constants.O_RDONLY);
    try {
      // A copy keeps its owner when root makes it; a build's own user shall not own what is published.
      await file.chown(process.geteuid?.() ?? -1, process.getegid?.() ?? -1);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw spaceError(error, `write ${path}`);
  }
  await syncFolder(folder);
}

/** What a write to `what` failed with: a full disk or quota as `outside` with its remedy, anything else as it is. */
export function spaceError(error: unknown, what: string, hint: string = "free disk space, then run again"): unknown {
  if (systemCode(error) !== "ENOSPC" && systemCode(error) !== "EDQUOT") return error;
  return new BitforbitError("outside", `no space left to ${what}`, { cause: error, hint });
}
