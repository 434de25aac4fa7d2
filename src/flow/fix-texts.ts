import { lstat, readFile, utimes, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
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
import { unifiedDiff } from "./unified.ts";

/** Larger files are data, not scripts. */
const MAX_FILE = 256 << 10;
const MAX_FILES = 20_000;
const MAX_TOTAL = 64 << 20;

/** What a project's remedies start from. */
export interface Original {
  recipeText: string;
  texts: Texts;
  /** Of a source that is fetched: the file beside the recipe that its changes become. */
  patch: string | undefined;
}

/**
 * The texts of a prepared project that remedies may change: its recipe, and the
 * text files of its source. Those of a source that is fetched are changed by a
 * patch that the recipe names.
 */
export async function originalTexts(prepared: Prepared): Promise<Original> {
  const recipeText = (await readProjectFile(prepared.folder, RECIPE_FILE)) ?? "";
  const { env, command } = prepared.recipe;
  const patch = prepared.recipe.source === undefined ? undefined : await freePatch(prepared);
  return { recipeText, texts: { env: { ...env }, command, files: await textFiles(prepared) }, patch };
}

/** A name for a patch that neither the folder nor the recipe has. */
async function freePatch({ folder, recipe }: Prepared): Promise<string> {
  for (let count = 1; ; count++) {
    const name = count === 1 ? "reproducible.patch" : `reproducible-${count}.patch`;
    const taken = await lstat(join(folder, name)).catch(() => undefined);
    if (taken === undefined && !recipe.patches.includes(name)) return name;
  }
}

async function textFiles({ staged, source, recipe }: Prepared): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  // What lies beside the recipe of a source that is fetched is no part of that: no patch finds it there.
  const beside = recipe.source === undefined ? [] : recipe.lockfiles.map((path) => posix.join(recipe.directory, path));
  const foreign = source.submodules.map(({ path }) => `${path}/`);
  let total = 0;
  for await (const { path, type, stats } of walkTree(staged)) {
    if (type !== "file" || stats.size > MAX_FILE || path === RECIPE_FILE || path === LOCK_FILE || beside.includes(path))
      continue;
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
  /** Undefined: there was none. */
  before: string | undefined;
  after: string;
}

/** What a session changes, as it is written and as it is read. */
export interface Changes {
  /** In the project's folder, the recipe first. */
  files: ChangedFile[];
  /** In the source: of one that is fetched not among `files`, but in the patch there. */
  source: ChangedFile[];
  /** Unified, of recipe and source. */
  diff: string;
}

/** What differs between the original texts and these. Throws `input` for a recipe that cannot be changed. */
export function changesOf({ recipeText, texts: original, patch }: Original, texts: Texts): Changes {
  const source = [...texts.files].flatMap(([path, after]) => {
    const before = original.files.get(path) ?? "";
    return before === after ? [] : [{ path, before, after }];
  });
  const diff = source.map(({ path, before, after }) => unifiedDiff(path, before, after)).join("");
  const patched = patch !== undefined && source.length > 0;
  const edit = { command: texts.command, env: texts.env };
  const recipe = editRecipe(
    recipeText,
    patched ? { ...edit, patches: [...parseRecipe(recipeText, RECIPE_FILE).patches, patch] } : edit,
  );
  const files: ChangedFile[] = recipe === recipeText ? [] : [{ path: RECIPE_FILE, before: recipeText, after: recipe }];
  files.push(...(patched ? [{ path: patch, before: undefined, after: diff }] : source));
  return { files, source, diff: unifiedDiff(RECIPE_FILE, recipeText, recipe) + diff };
}

/**
 * The project with these changes, staged in the folder `into`, which is absent:
 * same commit, same environment, same dependencies. Nothing is resolved or
 * fetched. The lock is the one that fits.
 */
export async function changedProject(prepared: Prepared, { files, source }: Changes, into: string): Promise<Prepared> {
  copyTree(prepared.staged, into);
  const { lock } = prepared;
  const recipeText = files.find(({ path }) => path === RECIPE_FILE)?.after;
  const recipe = recipeText === undefined ? prepared.recipe : parseRecipe(recipeText, RECIPE_FILE);
  const recipeDigest = recipeText === undefined ? prepared.recipeDigest : digestOf(recipeText);
  const changed = new Map(source.map(({ path, after }) => [path, sha256Hex(after)]));
  const prefix = recipe.directory === "." ? "" : `${recipe.directory}/`;
  const lockfiles = lock.lockfiles.map((file) => ({ ...file, sha256: changed.get(prefix + file.path) ?? file.sha256 }));
  const before = prepared.source.patches ?? [];
  const added = files.filter(({ path }) => recipe.patches.includes(path) && !prepared.recipe.patches.includes(path));
  const patches = [...before, ...added.map(({ path, after }) => ({ path, sha256: sha256Hex(after) }))];
  const withPatches = patches.length === 0 ? {} : { patches };
  const relocked: Lock = { ...lock, recipe: recipeDigest, ...withPatches, lockfiles };
  const own = prepared.recipe.source === undefined ? files : source;
  await write(into, [...own, { path: LOCK_FILE, after: lockToml(relocked) }], prepared.source.epoch);
  return {
    ...prepared,
    recipe,
    recipeDigest,
    staged: into,
    source: { ...prepared.source, ...withPatches, treeDigest: (await treeDigest(into)).digest },
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
