/** `bitforbit.lock` on disk: read whole or not at all, replaced in one step. */
import { realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { readProjectFile } from "../project-file.ts";
import { namesIn } from "../tree.ts";
import type { Lock } from "./lock.ts";
import { hasConflict } from "./lock-issues.ts";
import { LOCK_START, lockToml, MAX_LOCK_BYTES, parseLock } from "./lock-toml.ts";

export const LOCK_FILE = "bitforbit.lock";

/** The lock beside a recipe; undefined when there is none. Throws as `parseLock` does. */
export async function readLock(folder: string): Promise<Lock | undefined> {
  const text = await readProjectFile(folder, LOCK_FILE, MAX_LOCK_BYTES);
  return text === undefined ? undefined : parseLock(text, LOCK_FILE);
}

/**
 * The lock that a new one is to replace, and what was wrong with it. One that
 * git could not merge counts as none: making it anew is the remedy. Anything
 * else that is broken throws, a newer bitforbit's lock above all.
 */
export async function lockToReplace(folder: string): Promise<{ lock?: Lock; conflict: boolean }> {
  const text = await readProjectFile(folder, LOCK_FILE, MAX_LOCK_BYTES);
  if (text === undefined) return { conflict: false };
  if (hasConflict(text)) return { conflict: true };
  return { lock: parseLock(text, LOCK_FILE), conflict: false };
}

/**
 * Replaces the lock in `folder`, durably: whoever reads it, and whenever this
 * process ends, finds the old lock or the new one. Leaves the file alone when
 * nothing changed. Throws `outside` when the disk is full: the old lock stays.
 */
export async function writeLock(folder: string, lock: Lock): Promise<void> {
  const text = lockToml(lock);
  // What can't be read (a link, too large) is replaced.
  const before = await readProjectFile(folder, LOCK_FILE, MAX_LOCK_BYTES).catch(() => undefined);
  if (before === text) return;
  try {
    await writeDurable(join(folder, LOCK_FILE), text);
  } catch (error) {
    if (systemCode(error) !== "EISDIR" && systemCode(error) !== "ENOTEMPTY") throw error;
    throw new BitforbitError("input", `${LOCK_FILE} is a folder`, { cause: error, hint: "move it away" });
  }
}

/**
 * Runs `work` while no other process makes the lock of `folder`: between
 * reading the old one and writing the new one nobody else writes. What a
 * bitforbit that was killed left half written is removed: it would be part of
 * the source. `cache` is `<home>/cache`. Waits for the other up to `waitMilliseconds`, then throws
 * `conflict`.
 */
export async function lockingAlone<T>(
  folder: string,
  cache: string,
  work: () => Promise<T>,
  waitMilliseconds?: number,
): Promise<T> {
  const name = sha256Hex(await realpath(folder));
  const alone = async (): Promise<T> => {
    await removeRemains(folder);
    return await work();
  };
  return await exclusively(join(cache, "locking", name), alone, waitMilliseconds);
}

/** Temporary files of `writeDurable` that hold the start of a lock. Others with such names are not ours. */
async function removeRemains(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (!/^\.tmp-[0-9a-f]{32}$/.test(name)) continue;
    const text = await readProjectFile(folder, name, MAX_LOCK_BYTES).catch(() => undefined);
    const ours = text !== undefined && (text.startsWith(LOCK_START) || LOCK_START.startsWith(text));
    if (ours) await rm(join(folder, name), { force: true });
  }
}
