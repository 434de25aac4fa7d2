import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8Text } from "../bytes.ts";
import { digestOf, sha256Hex } from "../digest.ts";
import { type Project, scriptsOf, type Texts } from "../explain/remedies/project.ts";
import type { Lock } from "../lock/lock.ts";
import { LOCK_FILE } from "../lock/lock-file.ts";
import { lockToml } from "../lock/lock-toml.ts";
import { readProjectFile } from "../project-file.ts";
import { editRecipe } from "../recipe/edit.ts";
import { parseRecipe, RECIPE_FILE } from "../recipe/recipe.ts";
import { copyTree, treeDigest, walkTree } from "../tree.ts";
import type { Prepared } from "./prepare.ts";

/** Larger files are data, not scripts. */
const MAX_FILE = 256 << 10;
const MAX_FILES = 20_000;
const MAX_TOTAL = 64 << 20;

/** What a project's remedies start from. */
export interface Original {
  recipeText: string;
  texts: Texts;
}

/**
 * The texts of a prepared project that remedies may change: its recipe and,
 * where its own folder is the source, the text files in it. Of a source that is
 * fetched by digest only the recipe can be changed.
 */
export async function originalTexts(prepared: Prepared): Promise<Original> {
  const recipeText = (await readProjectFile(prepared.folder, RECIPE_FILE)) ?? "";
  const { env, command } = prepared.recipe;
  const files = prepared.recipe.source === undefined ? await textFiles(prepared) : new Map<string, string>();
  return { recipeText, texts: { env: { ...env }, command, files } };
}

async function textFiles({ staged, source }: Prepared): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const foreign = source.submodules.map(({ path }) => `${path}/`);
  let total = 0;
  for await (const { path, type, stats } of walkTree(staged)) {
    if (type !== "file" || stats.size > MAX_FILE || path === RECIPE_FILE || path === LOCK_FILE) continue;
    if (/(?:^|\/)(?:node_modules|\.git)\//.test(path) || foreign.some((prefix) => path.startsWith(prefix))) continue;
    if (files.size >= MAX_FILES || total + stats.size > MAX_TOTAL) break;
    const text = utf8Text(new Uint8Array(await readFile(join(staged, path))));
    if (text === undefined || text.includes("\0")) continue;
    total += stats.size;
    files.set(path, text);
  }
  return files;
}

/** The project as remedies see it, with these texts. */
export function projectOf({ recipe }: Prepared, texts: Texts): Project {
  const { name, ecosystem, directory } = recipe;
  return { name, ecosystem, directory, ...texts, scripts: scriptsOf(texts, directory) };
}

/** A file that is changed: its path in the project's folder. */
export interface ChangedFile {
  path: string;
  before: string;
  after: string;
}

/** What differs between the original texts and these, the recipe first. Throws `input` for a recipe that cannot be changed. */
export function changedFiles({ recipeText, texts: original }: Original, texts: Texts): ChangedFile[] {
  const recipe = editRecipe(recipeText, { command: texts.command, env: texts.env });
  const files = [...texts.files].flatMap(([path, after]) => {
    const before = original.files.get(path) ?? "";
    return before === after ? [] : [{ path, before, after }];
  });
  return [...(recipe === recipeText ? [] : [{ path: RECIPE_FILE, before: recipeText, after: recipe }]), ...files];
}

/**
 * The project with these changes, staged in the folder `into`, which is absent:
 * same commit, same environment, same dependencies. Nothing is resolved or
 * fetched. The lock is the one that fits.
 */
export async function changedProject(
  prepared: Prepared,
  changes: readonly ChangedFile[],
  into: string,
): Promise<Prepared> {
  copyTree(prepared.staged, into);
  const { source, lock } = prepared;
  const recipeText = changes.find(({ path }) => path === RECIPE_FILE)?.after;
  const recipe = recipeText === undefined ? prepared.recipe : parseRecipe(recipeText, RECIPE_FILE);
  const recipeDigest = recipeText === undefined ? prepared.recipeDigest : digestOf(recipeText);
  const changed = new Map(changes.map(({ path, after }) => [path, sha256Hex(after)]));
  const prefix = recipe.directory === "." ? "" : `${recipe.directory}/`;
  const lockfiles = lock.lockfiles.map((file) => ({ ...file, sha256: changed.get(prefix + file.path) ?? file.sha256 }));
  const relocked: Lock = { ...lock, recipe: recipeDigest, lockfiles };
  await write(into, [...changes, { path: LOCK_FILE, after: lockToml(relocked) }], source.epoch);
  return {
    ...prepared,
    recipe,
    recipeDigest,
    staged: into,
    source: { ...source, treeDigest: (await treeDigest(into)).digest },
    lock: relocked,
  };
}

/** Replaces files of a staged source. What is not there is not tracked, and no part of it: the recipe, maybe, and the lock. */
async function write(
  into: string,
  files: readonly Pick<ChangedFile, "path" | "after">[],
  epoch: number,
): Promise<void> {
  for (const { path, after } of files) {
    const there = await readProjectFile(into, path).catch(() => undefined);
    if (there === undefined) continue;
    await writeFile(join(into, path), after);
    await utimes(join(into, path), epoch, epoch);
  }
}
