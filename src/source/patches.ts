import { lstatSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type FilePatch, parsePatch, patched } from "../format/unified-diff.ts";
import { readProjectFile } from "../project-file.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { realFolders } from "./files.ts";

/** A patch of a recipe, as it was when it was applied. */
export interface Patch {
  /** Relative to the recipe. */
  path: string;
  /** Of the file: 64 hexadecimal digits. */
  sha256: string;
}

const MAX_PATCH = 4 << 20;

/**
 * Applies the recipe's patches, in its order, to the source that lies in
 * `root`, a tree of our own. Nothing outside of it is touched, whatever a patch
 * or the source says. Throws `input` for a patch that is missing or does not fit.
 */
export async function applyPatches(folder: string, recipe: Recipe, root: string): Promise<Patch[]> {
  const applied: Patch[] = [];
  for (const path of recipe.patches) {
    // A folder on the way that is a link could lead to any file of the machine.
    const text = realFolders(folder, dirname(path), new Map())
      ? await readProjectFile(folder, path, MAX_PATCH)
      : undefined;
    if (text === undefined) {
      throw new BitforbitError("input", `the patch ${path} is not there`, {
        hint: "put it beside bitforbit.toml, or take it out of patches",
      });
    }
    for (const file of parsePatch(text, path)) await applyTo(root, file, path);
    applied.push({ path, sha256: sha256Hex(text) });
  }
  return applied;
}

async function applyTo(root: string, patch: FilePatch, name: string): Promise<void> {
  const { path, change } = patch;
  const target = join(root, path);
  const wrong = (what: string): BitforbitError => new BitforbitError("input", `${name}: ${path} ${what}`);
  const stats = lstatSync(target, { throwIfNoEntry: false });
  if (change === "make") {
    if (stats !== undefined) throw wrong("is there already");
    await makeFolders(root, dirname(path), wrong);
    await writeFile(target, patched(patch, "", name), { encoding: "latin1", flag: "wx", mode: 0o644 });
    if (patch.executable) await chmod(target, 0o755);
    return;
  }
  if (!realFolders(root, dirname(path), new Map()) || stats?.isFile() !== true) throw wrong("is no file of the source");
  const after = patched(patch, await readFile(target, "latin1"), name);
  if (change === "remove" && after !== "") throw wrong("would not be empty, and cannot be removed");
  await rm(target);
  if (change === "remove") return;
  await writeFile(target, after, { encoding: "latin1", flag: "wx", mode: 0o644 });
  await chmod(target, stats.mode & 0o777);
}

async function makeFolders(root: string, folder: string, wrong: (what: string) => BitforbitError): Promise<void> {
  if (folder === ".") return;
  await makeFolders(root, dirname(folder), wrong);
  const stats = lstatSync(join(root, folder), { throwIfNoEntry: false });
  if (stats === undefined) await mkdir(join(root, folder), { mode: 0o755 });
  else if (!stats.isDirectory()) throw wrong("is not in a folder");
}
