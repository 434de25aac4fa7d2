import { join } from "node:path";
import { type Digest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { extractArchive } from "../format/extract.ts";
import { materialDifferences } from "../lock/changes.ts";
import { readLock } from "../lock/lock-file.ts";
import { checkLock, type Lock, makeLock } from "../lock/lock.ts";
import { type Recipe, readRecipe } from "../recipe/recipe.ts";
import type { EnvironmentRoot } from "../environment/context.ts";
import type { Recording } from "../record/recording.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { readAndStage, type Source } from "../source/source.ts";
import { openEnvironment, resolveEnvironment } from "./environment.ts";
import { fetchInSandbox } from "./fetch.ts";
import type { Home } from "./home.ts";

/** What a build starts from: everything is known, nothing has run. */
export interface Prepared {
  folder: string;
  home: Home;
  recipe: Recipe;
  recipeDigest: Digest;
  source: Source;
  lock: Lock;
  /** The locked environment's root; undefined: this machine's own file system. */
  root: EnvironmentRoot | undefined;
  /** What the fetch phase asked the network for; undefined when there was none. */
  recording: Recording | undefined;
  /** Folder of the locked dependencies; undefined when there are none. */
  deps: string | undefined;
  /** The source as it is built from, in the caller's scratch folder: copy it, write nothing into it. */
  staged: string;
}

export interface PrepareOptions {
  host: HostAbilities;
  /** An empty folder, which the caller removes when nothing of what was prepared is needed any more. */
  scratch: string;
  /** Make the lock anew even when the one there fits. */
  relock?: boolean;
  /** Have registries answer as of this day: seconds since 1970. */
  asOf?: number;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/**
 * Reads recipe and source and makes sure of the lock: one that is there must
 * fit (`refused` says what does not), one that is not there is made.
 */
export async function prepare(
  folder: string,
  home: Home,
  options: PrepareOptions,
): Promise<Prepared & { lockMade: boolean }> {
  const { recipe, digest: recipeDigest } = await requireRecipe(folder);
  const existing = options.relock === true ? undefined : await readLock(folder);
  const staged = join(options.scratch, "source");
  const source = await readAndStage(folder, recipe, staged, { cache: home.cache, extract: extractArchive });
  if (existing !== undefined) {
    const stale = await checkLock(existing, { recipe, recipeDigest, stagedFolder: staged });
    if (stale.length > 0) {
      throw new BitforbitError("input", `bitforbit.lock is out of date: ${stale.join("; ")}`, {
        hint: "run 'bitforbit lock' and review what changed",
      });
    }
  }
  const context = { ...options, cache: home.shared, folder };
  const environment =
    existing === undefined
      ? await resolveEnvironment(recipe.environment, context)
      : await openEnvironment(existing.environment, context);
  const made = await makeLock({
    recipe,
    recipeDigest,
    source,
    stagedFolder: staged,
    cache: home.cache,
    environment: environment.locked,
    ...(options.asOf === undefined ? {} : { asOf: options.asOf }),
    fetchDeps: fetchInSandbox(options.host, options.scratch, {
      ...options,
      cache: home.cache,
      root: environment.root,
    }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
  if (existing !== undefined) requireSameMaterials(existing, made.lock);
  return {
    folder,
    home,
    recipe,
    recipeDigest,
    source,
    lock: made.lock,
    root: environment.root,
    deps: made.deps,
    recording: made.recording,
    staged,
    lockMade: existing === undefined,
  };
}

/** What was fetched now must be what was locked then: an upstream that changed is named, never used. */
function requireSameMaterials(locked: Lock, now: Lock): void {
  const wrong = materialDifferences(locked, now);
  if (wrong.length === 0) return;
  throw new BitforbitError(
    "input",
    `the dependencies are not those of bitforbit.lock: ${wrong.slice(0, 5).join("; ")}`,
    {
      hint: "if the change is wanted, run 'bitforbit lock' and review it; if not, somebody changed what a registry serves",
    },
  );
}

export async function requireRecipe(folder: string): Promise<{ recipe: Recipe; digest: Digest; path: string }> {
  const found = await readRecipe(folder);
  if (found !== undefined) return found;
  throw new BitforbitError("input", `no bitforbit.toml in ${folder}`, {
    hint: "run 'bitforbit init' there to have one written",
  });
}
