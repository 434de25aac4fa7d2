import { constants } from "node:fs";
import { chmod, copyFile, lstat, lutimes, mkdir, readlink, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { BitforbitError, systemCode } from "../errors.ts";
import { readProjectFile } from "../project-file.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { namesIn, treeDigest } from "../tree.ts";
import type { SourceFile } from "./files.ts";
import type { Source } from "./source.ts";

/**
 * Writes files into the empty folder `into` and checks that the tree there is
 * the one that `source` was read as. Folders are made one by one and files are
 * only ever created, so that no name can be written through a link.
 */
export async function stageFiles(files: readonly SourceFile[], into: string, source: Source): Promise<void> {
  if ((await namesIn(into)).length > 0) throw new BitforbitError("conflict", `${into} is not empty`);
  const folders = new Set<string>();
  for (const file of files) {
    await makeFolder(into, dirname(file.path), folders);
    await write(file, join(into, file.path), source.epoch);
  }
  const staged = await treeDigest(into);
  if (staged.digest !== source.treeDigest) {
    throw new BitforbitError("conflict", `the source of ${source.name} changed while it was being copied`, {
      hint: "let nothing write to it, then run again",
    });
  }
  for (const folder of [...folders].reverse()) await utimes(join(into, folder), source.epoch, source.epoch);
  await utimes(into, source.epoch, source.epoch);
}

async function makeFolder(into: string, folder: string, made: Set<string>): Promise<void> {
  if (folder === "." || made.has(folder)) return;
  await makeFolder(into, dirname(folder), made);
  await creating(folder, () => mkdir(join(into, folder), { mode: 0o755 }));
  await chmod(join(into, folder), 0o755);
  made.add(folder);
}

async function write(file: SourceFile, target: string, epoch: number): Promise<void> {
  if (file.mode === "link") {
    await creating(file.path, async () => await symlink(await readlink(file.from), target));
    await lutimes(target, epoch, epoch);
    return;
  }
  const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
  await creating(file.path, () => copyFile(file.from, target, flags));
  await chmod(target, file.mode === "755" ? 0o755 : 0o644);
  await utimes(target, epoch, epoch);
}

/** Two entries of one name, as a tree object can be made to hold, would meet here. */
async function creating(path: string, create: () => Promise<void>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    throw new BitforbitError("refused", `two entries of the source are named ${JSON.stringify(path)}`, {
      cause: error,
    });
  }
}

/** Lockfiles that an archive lacks, from beside the recipe. */
export async function overlayLockfiles(folder: string, recipe: Recipe, into: string, epoch: number): Promise<void> {
  for (const lockfile of recipe.lockfiles) {
    const target = join(into, recipe.directory, lockfile);
    if ((await lstat(target).catch(() => undefined)) !== undefined) continue;
    const text = await readProjectFile(folder, lockfile, 64 << 20);
    if (text === undefined) continue;
    const parent = dirname(target);
    const real = await lstat(parent).catch(() => undefined);
    if (real?.isDirectory() !== true || relative(into, parent).startsWith("..")) {
      throw new BitforbitError("input", `no folder for ${lockfile} in the source`, {
        hint: "check directory in the recipe",
      });
    }
    await writeFile(target, text, { flag: "wx", mode: 0o644 });
    await utimes(target, epoch, epoch);
    await utimes(parent, epoch, epoch);
  }
}
