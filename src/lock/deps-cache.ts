/**
 * Fetched dependencies, kept under `<cache>/deps/<key>/files` with a list of
 * every file's digest in `<cache>/deps/<key>/manifest` (lines as `treeDigest`
 * hashes them). The list is checked before each use.
 */
import { constants } from "node:fs";
import { cp, lstat, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { openSource } from "../bytesource.ts";
import { type Digest, digestOfFile, sha256Hex } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { canonicalJson, type JsonObject } from "../json.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { bodyPath } from "../body-path.ts";
import { readRecording, type Recording, saveRecording } from "../record/recording.ts";
import { copyTree, removeTree } from "../tree.ts";
import { contentOf, type DepsFile, depsFiles } from "./deps-content.ts";
import type { Lockfile } from "./lockfiles.ts";
import type { WithBody } from "./recorded-bodies.ts";

/**
 * Runs `recipe.fetch` with network. `stagedFolder`: a copy of the source that
 * the script may write to, and which is thrown away; `into`: an empty folder
 * that the script sees as $BITFORBIT_DEPS, at the same path at which the build
 * will see it. Gives what the script asked the network for. Throws when it fails.
 */
export type FetchDeps = (request: {
  recipe: Recipe;
  stagedFolder: string;
  into: string;
  epoch: number;
}) => Promise<Recording>;

export interface DepsContext {
  recipe: Recipe;
  source: { epoch: number; treeDigest: Digest };
  stagedFolder: string;
  cache: string;
  /** What decides besides recipe and lockfiles: the environment, and the day that is travelled to. */
  within: JsonObject;
  fetchDeps: FetchDeps;
}

/** A recording and a way to the bodies that it names. */
export interface Recorded {
  recording: Recording;
  withBody: WithBody;
}

export interface Deps {
  /** In the cache; not to be written to. */
  folder: string;
  content: { digest: Digest; files: number; bytes: number };
  /** What was asked for to get it, with a way to the bodies. */
  recorded: Recorded;
}

/**
 * The dependencies, fetched once for the same lockfiles, script and
 * environment. An entry in which a file changed is dropped and fetched anew,
 * which `say` tells. Of two processes at once, one fetches and the other
 * waits. Undefined when the recipe fetches nothing.
 */
export async function fetchedDeps(
  context: DepsContext,
  lockfiles: readonly Lockfile[],
  say: (line: string) => void,
): Promise<Deps | undefined> {
  const { recipe, cache } = context;
  if (recipe.fetch === undefined && recipe.network === "none") return undefined;
  const folder = join(cache, "deps");
  const entry = join(folder, depsKey(context, lockfiles));
  await mkdir(folder, { recursive: true });
  const wait = recipe.limits.timeoutSeconds * 1000 + 60_000;
  return await exclusively(
    `${entry}.lock`,
    async () => {
      const kept = await checkedEntry(entry, context, say);
      if (kept !== undefined) return kept;
      const temporary = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
      try {
        await fetchInto(temporary, context, say);
        await rename(temporary, entry);
        await syncFolder(folder);
      } finally {
        await removeTree(temporary);
      }
      const made = await checkedEntry(entry, context, say);
      if (made === undefined) throw new BitforbitError("conflict", `${entry} changed while it was made`);
      return made;
    },
    wait,
  );
}

/** What was recorded when the cache was filled; undefined where that is gone. */
export async function keptRecording(
  context: Pick<DepsContext, "recipe" | "source" | "within" | "cache">,
  lockfiles: readonly Lockfile[],
): Promise<Recording | undefined> {
  return await readRecording(join(context.cache, "deps", depsKey(context, lockfiles), RECORDING));
}

/** What decides about the fetched files. Without lockfiles or manifests to go by, the whole source. */
export function depsKey(
  context: Pick<DepsContext, "recipe" | "source" | "within">,
  lockfiles: readonly Lockfile[],
): string {
  const { recipe, source, within } = context;
  return sha256Hex(
    canonicalJson({
      version: 2,
      within,
      ...(recipe.network === "none" ? {} : { network: recipe.network, command: recipe.command }),
      ecosystem: recipe.ecosystem ?? null,
      directory: recipe.directory,
      fetch: recipe.fetch ?? null,
      env: recipe.env,
      lockfiles: lockfiles.map(({ path, digest }) => ({ path, digest })),
      ...(lockfiles.length === 0 ? { source: source.treeDigest } : {}),
    }),
  );
}

/**
 * Lets what was fetched for one state of a project stand for another that asks
 * for the same: the other's entry is made of it, unless there is one.
 */
export async function adoptDeps(cache: string, from: string, to: string): Promise<void> {
  const folder = join(cache, "deps");
  const entry = join(folder, from);
  if (from === to || !(await isFolder(entry)) || (await isFolder(join(folder, to)))) return;
  const temporary = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
  try {
    copyTree(entry, temporary);
    await rename(temporary, join(folder, to));
    await syncFolder(folder);
  } catch (error) {
    if (systemCode(error) !== "ENOTEMPTY" && systemCode(error) !== "EEXIST") throw error; // another process made it
  } finally {
    await removeTree(temporary);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

async function fetchInto(temporary: string, context: DepsContext, say: (line: string) => void): Promise<void> {
  const { recipe, source, stagedFolder, fetchDeps } = context;
  const [into, work] = [join(temporary, "files"), join(temporary, "work")];
  await mkdir(into, { recursive: true });
  // npm ci makes node_modules, Maven makes target: never in the tree that is built.
  await cp(stagedFolder, work, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
  say(`fetching the dependencies of ${recipe.name}`);
  const recording = await fetchDeps({ recipe, stagedFolder: work, into, epoch: source.epoch });
  await removeTree(work);
  await saveRecording(join(temporary, RECORDING), recording);
  await writeFile(join(temporary, "manifest"), manifestOf(await depsFiles(into, recipe.ecosystem)));
}

function manifestOf(files: readonly DepsFile[]): string {
  return files.map((file) => file.line).join("");
}

const RECORDING = "recording.jsonl";

/** The entry when all is as the manifest says; otherwise it is removed, and `say` is told why. */
async function checkedEntry(
  entry: string,
  { recipe, cache }: DepsContext,
  say: (line: string) => void,
): Promise<Deps | undefined> {
  const folder = join(entry, "files");
  let manifest: Uint8Array;
  try {
    manifest = new Uint8Array(await readFile(join(entry, "manifest")));
  } catch (error) {
    if (systemCode(error) !== "ENOENT" && systemCode(error) !== "ENOTDIR") throw error;
    await removeTree(entry);
    return undefined;
  }
  const files = await depsFiles(folder, recipe.ecosystem).catch((error: unknown) => {
    if (error instanceof BitforbitError || systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  const odd = oddFile(files, manifest);
  const recording = await readRecording(join(entry, RECORDING));
  const lost = recording === undefined || recipe.network === "none" ? undefined : await lostBody(recording, cache);
  if (files !== undefined && odd === undefined && recording !== undefined && lost === undefined) {
    return { folder, content: contentOf(files), recorded: { recording, withBody: bodiesIn(cache) } };
  }
  const what = odd ?? lost ?? "the recording is gone";
  say(`the cache of fetched dependencies was changed (${what}): fetching them anew`);
  await removeTree(entry);
  return undefined;
}

/** What of the files is not as the manifest says, in words. */
function oddFile(files: readonly DepsFile[] | undefined, manifest: Uint8Array): string | undefined {
  if (files !== undefined && Buffer.compare(utf8(manifestOf(files)), manifest) === 0) return undefined;
  const known = new Set(Buffer.from(manifest).toString().split("\n"));
  return files?.find((file) => !known.has(file.line.slice(0, -1)))?.path ?? "a file is gone";
}

/** The first answer whose body is not there any more as it was, and which could thus not be given again. */
async function lostBody({ exchanges }: Recording, cache: string): Promise<string | undefined> {
  for (const { url, digest } of exchanges) {
    const found = await digestOfFile(bodyPath(cache, digest)).catch(() => undefined);
    if (found !== digest) return `the answer of ${url}`;
  }
  return undefined;
}

function bodiesIn(cache: string): WithBody {
  return async (digest, use) => {
    let body: Awaited<ReturnType<typeof openSource>>;
    try {
      body = await openSource(bodyPath(cache, digest));
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
    try {
      return await use(body);
    } finally {
      body.close();
    }
  };
}
