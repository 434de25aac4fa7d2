import { lstat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurable } from "../durable.ts";
import { BitforbitError } from "../errors.ts";
import { adoptFetched } from "../lock/lock.ts";
import { LOCK_FILE, readLock, writeLock } from "../lock/lock-file.ts";
import { readProjectFile } from "../project-file.ts";
import { realFolders } from "../source/files.ts";
import type { Fixed } from "./fix.ts";
import type { Prepared } from "./prepare.ts";

/**
 * Writes what was kept into the working tree of `prepared`, and the lock that
 * fits it: its dependencies are those that were locked, nothing is resolved.
 * Gives the paths written. Throws `conflict`, with nothing written, for a file
 * that changed meanwhile, or that differs from the commit unless `force`.
 */
export async function writeFixed(prepared: Prepared, fixed: Fixed, options: { force: boolean }): Promise<string[]> {
  const { folder, home, source } = prepared;
  if (fixed.files.length === 0) return [];
  for (const { path, before } of fixed.files) {
    if (source.dirty.includes(path) && !options.force) {
      throw new BitforbitError("conflict", `${path} differs from the commit: nothing is written over work of yours`, {
        hint: "commit or stash it, or give --force; the changes are in the diff above",
      });
    }
    const there = realFolders(folder, dirname(path), new Map()) ? await readProjectFile(folder, path) : null;
    if (there !== before) {
      throw new BitforbitError("conflict", `${path} changed while the builds ran`, {
        hint: "run 'bitforbit fix' again",
      });
    }
  }
  const [from, to] = [prepared, fixed.prepared].map(({ recipe, source: of, staged }) => ({
    recipe,
    source: of,
    stagedFolder: staged,
  }));
  if (from !== undefined && to !== undefined) await adoptFetched(prepared.lock, home.cache, from, to);
  const written: string[] = [];
  for (const { path, before, after } of fixed.files) {
    const file = join(folder, path);
    await writeDurable(file, after, { mode: before === undefined ? 0o644 : (await lstat(file)).mode & 0o777 });
    written.push(path);
  }
  if ((await readLock(folder)) !== undefined) {
    await writeLock(folder, fixed.prepared.lock);
    written.push(LOCK_FILE);
  }
  return written;
}
