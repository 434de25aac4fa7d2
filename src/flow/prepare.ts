import { join } from "node:path";
import { type Digest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { extractArchive } from "../format/extract.ts";
import { materialDifferences } from "../lock/changes.ts";
import { readLock } from "../lock/lock-file.ts";
import { checkLock, type Lock, makeLock } from "../lock/lock.ts";
import type { Findings } from "../lock/recorded.ts";
import { type Recipe, readRecipe } from "../recipe/recipe.ts";
import type { EnvironmentRoot } from "../environment/context.ts";
import type { Recording } from "../record/recording.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { readAndStage, type Source } from "../source/source.ts";
import { environmentFits, openEnvironment, resolveEnvironment } from "./environment.ts";
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
  onProgress?: (line: string) => void;
  /** What was found amiss and mended: a cache that was changed. */
  onWarning?: (line: string) => void;
  signal?: AbortSignal;
}

/** How a lock is made when there is one already. */
export interface LockingOptions extends PrepareOptions {
  /** The lock that was there. */
  before: Lock | undefined;
  /** Resolve the environment anew, even where the old one is still what the recipe asks for. */
  update?: boolean;
  /** Fetch what is served now, whatever the cache holds. */
  afresh?: boolean;
  /** Have registries answer as of this day: seconds since 1970. */
  asOf?: number;
}

/**
 * Reads recipe and source and makes sure of the lock: one that is there must
 * fit (`input` says what does not), one that is not there is made.
 */
export async function prepare(
  folder: string,
  home: Home,
  options: PrepareOptions,
): Promise<Prepared & { lockMade: boolean }> {
  const existing = await readLock(folder);
  const staged = await stage(folder, home, options);
  if (existing === undefined)
    return { ...(await locked(staged, home, { ...options, before: undefined })), lockMade: true };
  const { recipe, recipeDigest, source } = staged;
  const stale = await checkLock(existing, { recipe, recipeDigest, source, stagedFolder: staged.staged });
  if (stale.length > 0) {
    throw new BitforbitError("input", `bitforbit.lock is out of date: ${stale.join("; ")}`, {
      hint: "run 'bitforbit lock' and review what changed",
    });
  }
  const prepared = await locked(staged, home, { ...options, before: existing });
  requireSameMaterials(existing, prepared.lock);
  return { ...prepared, lockMade: false };
}

/**
 * Makes the lock anew. The environment stays as it was locked while it is what
 * the recipe asks for. `recordedBefore`: with `afresh`, what the cache was
 * filled from.
 */
export async function makeLocked(
  folder: string,
  home: Home,
  options: LockingOptions,
): Promise<Prepared & { findings: Findings | undefined; recordedBefore: Recording | undefined }> {
  return await locked(await stage(folder, home, options), home, options);
}

interface Staged extends Pick<Prepared, "folder" | "recipe" | "recipeDigest" | "source" | "staged"> {}

async function stage(folder: string, home: Home, { scratch }: PrepareOptions): Promise<Staged> {
  const { recipe, digest: recipeDigest } = await requireRecipe(folder);
  const staged = join(scratch, "source");
  const source = await readAndStage(folder, recipe, staged, { cache: home.cache, extract: extractArchive });
  // A recipe may say another time than the source's own.
  const epoch = Number(recipe.env["SOURCE_DATE_EPOCH"] ?? source.epoch);
  return { folder, recipe, recipeDigest, source: { ...source, epoch }, staged };
}

async function locked(
  { folder, recipe, recipeDigest, source, staged }: Staged,
  home: Home,
  options: LockingOptions,
): Promise<Prepared & { findings: Findings | undefined; recordedBefore: Recording | undefined }> {
  const { host, scratch, before } = options;
  const context = { ...options, cache: home.shared, folder };
  const environment =
    before !== undefined && options.update !== true && environmentFits(recipe.environment, before.environment)
      ? await openEnvironment(before.environment, { ...context, check: "later" })
      : await resolveEnvironment(recipe.environment, context);
  const asOf = options.asOf ?? before?.asOf;
  const afresh = options.afresh === true ? join(scratch, "afresh") : undefined;
  const made = await makeLock({
    recipe,
    recipeDigest,
    source,
    stagedFolder: staged,
    cache: home.cache,
    environment: environment.locked,
    ...(asOf === undefined ? {} : { asOf }),
    ...(afresh === undefined ? {} : { afresh }),
    fetchDeps: fetchInSandbox(host, scratch, {
      ...options,
      cache: afresh ?? home.cache,
      root: environment.root,
      ...(asOf === undefined ? {} : { asOf }),
    }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
  const { lock, deps, recording, findings, before: recordedBefore } = made;
  const { root } = environment;
  return { folder, home, recipe, recipeDigest, source, lock, root, deps, recording, staged, findings, recordedBefore };
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
