/**
 * Fetched dependencies, kept under `<cache>/deps/<key>/files` with a list of
 * every file's digest in `<cache>/deps/<key>/manifest` (lines as `treeDigest`
 * hashes them). The list is checked before each use.
 */
import { constants } from "node:fs";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { type Digest, sha256Hex } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { canonicalJson } from "../json.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { Recording } from "../record/recording.ts";
import { removeTree } from "../tree.ts";
import { contentOf, type DepsFile, depsFiles } from "./deps-content.ts";
import type { LockedEnvironment } from "./environment.ts";
import type { Lockfile } from "./lockfiles.ts";
import type { WithBody } from "./recorded-bodies.ts";

/**
 * Runs `recipe.fetch` with network. `stagedFolder`: a copy of the source that
 * the script may write to, and which is thrown away; `into`: an empty folder
 * that the script sees as $BITFORBIT_DEPS, at the same path at which the build
 * will see it. Throws when the script fails.
 */
export type FetchDeps = (request: {
  recipe: Recipe;
  stagedFolder: string;
  into: string;
  epoch: number;
  /** Of what is fetched: a recording of it is kept under this name. */
  key: string;
}) => Promise<void>;

export interface DepsContext {
  recipe: Recipe;
  source: { epoch: number; treeDigest: Digest };
  stagedFolder: string;
  cache: string;
  fetchDeps: FetchDeps;
  /** Decides what the fetch's own programs are. */
  environment?: LockedEnvironment;
  /** The recording of what was fetched under a key; undefined where there is none, which makes it be fetched anew. */
  recorded?: (key: string) => Promise<Recorded | undefined>;
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
  /** Where the context asks for it. */
  recorded?: Recorded;
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
  if (recipe.fetch === undefined) return undefined;
  const folder = join(cache, "deps");
  const key = depsKey(context, lockfiles);
  const entry = join(folder, key);
  await mkdir(folder, { recursive: true });
  const wait = recipe.limits.timeoutSeconds * 1000 + 60_000;
  return await exclusively(
    `${entry}.lock`,
    async () => {
      const kept = await checkedEntry(entry, recipe, say);
      const recorded = kept === undefined ? undefined : await context.recorded?.(key);
      if (kept !== undefined && context.recorded === undefined) return kept;
      if (kept !== undefined && recorded !== undefined) return { ...kept, recorded };
      if (kept !== undefined) {
        say("the recording of the fetched dependencies is gone: fetching them anew");
        await removeTree(entry);
      }
      const temporary = join(folder, `.tmp-${uniqueName(systemEntropy)}`);
      try {
        await fetchInto(temporary, context, key, say);
        await rename(temporary, entry);
        await syncFolder(folder);
      } finally {
        await removeTree(temporary);
      }
      const made = await checkedEntry(entry, recipe, say);
      if (made === undefined) throw new BitforbitError("conflict", `${entry} changed while it was made`);
      if (context.recorded === undefined) return made;
      const fresh = await context.recorded(key);
      if (fresh === undefined)
        throw new BitforbitError("conflict", `nothing was recorded while ${recipe.name} was fetched`);
      return { ...made, recorded: fresh };
    },
    wait,
  );
}

/** What decides about the fetched files. Without lockfiles or manifests to go by, the whole source. */
export function depsKey(
  context: Pick<DepsContext, "recipe" | "source" | "environment">,
  lockfiles: readonly Lockfile[],
): string {
  const { recipe, source, environment } = context;
  return sha256Hex(
    canonicalJson({
      version: 1,
      ecosystem: recipe.ecosystem ?? null,
      directory: recipe.directory,
      fetch: recipe.fetch ?? null,
      env: recipe.env,
      lockfiles: lockfiles.map(({ path, digest }) => ({ path, digest })),
      // The clients come from it, and another client may fetch other things.
      ...(environment === undefined || environment.type === "host" ? {} : { environment: environment.root }),
      ...(lockfiles.length === 0 ? { source: source.treeDigest } : {}),
    }),
  );
}

async function fetchInto(
  temporary: string,
  context: DepsContext,
  key: string,
  say: (line: string) => void,
): Promise<void> {
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
  await fetchDeps({ recipe, stagedFolder: work, into, epoch: source.epoch, key });
  await removeTree(work);
  await writeFile(join(temporary, "manifest"), manifestOf(await depsFiles(into, recipe.ecosystem)));
}

function manifestOf(files: readonly DepsFile[]): string {
  return files.map((file) => file.line).join("");
}

/** The entry when all is as the manifest says; otherwise it is removed. */
async function checkedEntry(entry: string, recipe: Recipe, say: (line: string) => void): Promise<Deps | undefined> {
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
  if (files !== undefined && Buffer.compare(utf8(manifestOf(files)), manifest) === 0) {
    return { folder, content: contentOf(files) };
  }
  const known = new Set(Buffer.from(manifest).toString().split("\n"));
  const odd = files?.find((file) => !known.has(file.line.slice(0, -1)))?.path;
  say(`the cache of fetched dependencies was changed (${odd ?? "a file is gone"}): fetching them anew`);
  await removeTree(entry);
  return undefined;
}
