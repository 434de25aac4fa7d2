/** `bitforbit.lock`: every material that a build reads, by digest. */
import { join } from "node:path";
import { type Digest, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import type { Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { Recording } from "../record/recording.ts";
import { adoptDeps, depsKey, type FetchDeps, fetchedDeps, keptRecording, type Recorded } from "./deps-cache.ts";
import type { LockedEnvironment } from "./environment.ts";
import { materialsOfFolder } from "./fetched.ts";
import { KEY } from "./lock-issues.ts";
import { type Lockfile, lockedMaterials, readLockfiles, recordedMaterials, staleLockfiles } from "./lockfiles.ts";
import { pinsOf } from "./pins.ts";
import { compareRecording, type Findings, requireNoContradiction } from "./recorded.ts";
import { servedWith } from "./recorded-bodies.ts";
import { trustedChecksums } from "./trusted-checksums.ts";

/** A program that builds use: the compiler, the linker, the interpreter. */
export interface LockedTool {
  /** As it is called: "gcc". */
  name: string;
  /** Where it is when all links are followed, absolute. */
  path: string;
  /** As it says itself. */
  version: string;
  /** Of the file: 64 hexadecimal digits. */
  sha256: string;
}

interface LockedPatch {
  /** Relative to the recipe. */
  path: string;
  /** Of the file: 64 hexadecimal digits. */
  sha256: string;
}

export interface Lock {
  /** Of the format that is written; a lock of version 1 reads as one of version 2. */
  version: 2;
  name: string;
  /** Digest of bitforbit.toml as it was. */
  recipe: Digest;
  environment: LockedEnvironment;
  /** In byte order of name, then path; [] where they were not looked for. */
  tools: LockedTool[];
  source?: { purl?: string; url?: string; sha256: string };
  /** The recipe's patches of that source, in its order; absent where it has none. */
  patches?: LockedPatch[];
  /**
   * The project's files that say which dependencies there are, relative to the
   * recipe's `directory`: its lockfiles or, where it has none, its manifests
   * (pom.xml, pyproject.toml, …).
   */
  lockfiles: { path: string; sha256: string }[];
  /** Dependencies, one a purl, in byte order of the purls. Nothing in them tells which mirror served them. */
  materials: Material[];
  /** What was fetched, by content: the same at every fetch (deps-content.ts says what counts). */
  deps?: { digest: Digest; files: number; bytes: number };
  /** The day as of which registries were to answer: seconds since 1970. */
  asOf?: number;
}

export interface LockContext {
  recipe: Recipe;
  recipeDigest: Digest;
  /** `epoch`: seconds. */
  source: { epoch: number; treeDigest: Digest; patches?: readonly LockedPatch[] };
  /** The staged source tree; it is read, never written. */
  stagedFolder: string;
  /** `<home>/cache`. */
  cache: string;
  fetchDeps: FetchDeps;
  /** What programs come from: absent, the host's own, which nothing pins. */
  environment?: LockedEnvironment;
  tools?: readonly LockedTool[];
  /** The day as of which registries answer: seconds since 1970. */
  asOf?: number;
  /** A folder to fetch into instead of the cache: what is served now, whatever was fetched before. */
  afresh?: string;
  /** Told in a line what takes time or was found odd. */
  onProgress?: (line: string) => void;
}

export interface MadeLock {
  lock: Lock;
  /** Folder of what was fetched; undefined when the recipe fetches nothing. */
  deps: string | undefined;
  /** What was asked of the network for it. */
  recording: Recording | undefined;
  /** What had been asked of it when the cache was filled; only where `afresh` was asked for. */
  before: Recording | undefined;
  findings: Findings | undefined;
}

/**
 * Reads the project's lockfiles, fetches its dependencies (or takes them from
 * the cache, checked), and gives the lock and the folder of what was fetched:
 * undefined when the recipe fetches nothing. That folder is the cache's own:
 * copy it before anything may write there. `findings`: where the fetch was
 * recorded, what it says beside the lockfiles. Throws `input` for lockfiles that
 * are missing, broken or out of date, with the command that mends them, and
 * `refused` when something fetched contradicts one.
 */
export async function makeLock(context: LockContext): Promise<MadeLock> {
  const { recipe, stagedFolder } = context;
  const { patches = [] } = context.source;
  const say = context.onProgress ?? (() => undefined);
  const lockfiles = await readLockfiles(recipe, stagedFolder);
  const [stale] = await staleLockfiles(recipe, stagedFolder, lockfiles);
  if (stale !== undefined) throw new BitforbitError("input", stale.reason, { hint: stale.hint });
  for (const { path, reader } of lockfiles) {
    if (reader === undefined) say(`${path} is hashed, but its dependencies are not read: its format is not known`);
  }
  const { environment, asOf } = context;
  const within = withinOf(environment, asOf);
  const cache = context.afresh ?? context.cache;
  const fetched = await fetchedDeps({ ...context, cache, within }, lockfiles, say);
  const before = context.afresh === undefined ? undefined : await keptRecording({ ...context, within }, lockfiles);
  const found = fetched === undefined ? [] : await materialsOfFolder(recipe, fetched.folder);
  // A fetch that asked for nothing tells nothing about the lockfiles.
  const compared =
    fetched === undefined || fetched.recorded.recording.exchanges.length === 0
      ? undefined
      : await comparedWith(fetched.recorded, context, lockfiles);
  if (compared !== undefined) requireNoContradiction(compared.findings);
  const lock: Lock = {
    version: 2,
    name: recipe.name,
    recipe: context.recipeDigest,
    environment: context.environment ?? { type: "host", pinned: false },
    tools: sortedBy(context.tools ?? [], KEY.tool),
    ...(recipe.source === undefined ? {} : { source: { ...recipe.source } }),
    ...(patches.length === 0 ? {} : { patches: [...patches] }),
    lockfiles: lockfiles.map(({ path, digest }) => ({ path, sha256: hexOf(digest) })),
    materials:
      compared === undefined
        ? lockedMaterials(lockfiles, found)
        : recordedMaterials(lockfiles, found, compared.materials, unfetchedOf(compared.findings)),
    ...(fetched === undefined ? {} : { deps: fetched.content }),
    ...(asOf === undefined ? {} : { asOf }),
  };
  return {
    lock,
    deps: recipe.fetch === undefined ? undefined : fetched?.folder,
    recording: fetched?.recorded.recording,
    before,
    findings: compared?.findings,
  };
}

/** What decides about fetched dependencies besides recipe and lockfiles. */
function withinOf(environment: LockedEnvironment | undefined, asOf: number | undefined): JsonObject {
  const root = environment === undefined || environment.type === "host" ? undefined : environment.root;
  return { ...(root === undefined ? {} : { root }), ...(asOf === undefined ? {} : { asOf }) };
}

/**
 * Lets the dependencies that were fetched and locked for one state of a project
 * stand for another, whose lock differs in the digests of recipe and manifests
 * alone: so that it needs no network.
 */
export async function adoptFetched(
  lock: Lock,
  cache: string,
  from: Pick<LockContext, "recipe" | "source" | "stagedFolder">,
  to: Pick<LockContext, "recipe" | "source" | "stagedFolder">,
): Promise<void> {
  if (lock.deps === undefined) return;
  const within = withinOf(lock.environment, lock.asOf);
  const keyOf = async (state: typeof from): Promise<string> =>
    depsKey({ ...state, within }, await readLockfiles(state.recipe, state.stagedFolder));
  await adoptDeps(cache, await keyOf(from), await keyOf(to));
}

async function comparedWith(
  { recording, withBody }: Recorded,
  { recipe, stagedFolder }: LockContext,
  lockfiles: readonly Lockfile[],
): Promise<{ findings: Findings; materials: Material[] }> {
  const trusted = recipe.ecosystem === "maven" ? await trustedChecksums(join(stagedFolder, recipe.directory)) : [];
  return compareRecording(recording, pinsOf(lockfiles, trusted), await servedWith(recording, withBody));
}

const unfetchedOf = ({ unfetched }: Findings): Set<string> => new Set(unfetched.map((item) => item.purl));

/**
 * What of a lock no longer fits the project, in words; [] when it fits. Reads
 * only the recipe and the lockfiles. Throws `input` for lockfiles that are
 * missing or broken.
 */
export async function checkLock(
  lock: Lock,
  context: Pick<LockContext, "recipe" | "recipeDigest" | "stagedFolder"> & { source?: LockContext["source"] },
): Promise<string[]> {
  const { recipe, recipeDigest, stagedFolder } = context;
  const reasons: string[] = [];
  if (lock.name !== recipe.name) reasons.push(`the lock is for ${lock.name}, the recipe is for ${recipe.name}`);
  if (lock.recipe !== recipeDigest) reasons.push(`the recipe has changed: ${recipeDigest}, locked ${lock.recipe}`);
  for (const key of ["purl", "url", "sha256"] as const) {
    const [now, then] = [recipe.source?.[key], lock.source?.[key]];
    if (now !== then) reasons.push(`source.${key} is ${now ?? "not set"}, locked ${then ?? "none"}`);
  }
  reasons.push(...stalePatches(lock.patches ?? [], context.source?.patches ?? []));
  const asks = recipe.fetch !== undefined || recipe.network === "replay";
  if (asks !== (lock.deps !== undefined)) {
    reasons.push(!asks ? "the recipe fetches nothing any more" : "nothing was fetched yet");
  }
  const lockfiles = await readLockfiles(recipe, stagedFolder);
  const locked = new Map(lock.lockfiles.map(({ path, sha256 }) => [path, sha256]));
  for (const { path, digest } of lockfiles) {
    const then = locked.get(path);
    locked.delete(path);
    if (then === undefined) reasons.push(`${path} is not in the lock`);
    else if (then !== hexOf(digest)) reasons.push(`${path} has changed: sha256 ${hexOf(digest)}, locked ${then}`);
  }
  for (const path of locked.keys()) reasons.push(`${path} is in the lock, and the project has it no more`);
  const stale = await staleLockfiles(recipe, stagedFolder, lockfiles);
  return reasons.concat(stale.map(({ reason }) => reason));
}

function stalePatches(locked: readonly LockedPatch[], now: readonly LockedPatch[]): string[] {
  const changed = now.flatMap(({ path, sha256 }) => {
    const then = locked.find((one) => one.path === path);
    if (then === undefined) return [`the patch ${path} is not in the lock`];
    return then.sha256 === sha256 ? [] : [`the patch ${path} has changed: sha256 ${sha256}, locked ${then.sha256}`];
  });
  const gone = locked.filter(({ path }) => !now.some((one) => one.path === path));
  return [...changed, ...gone.map(({ path }) => `the patch ${path} is in the lock, and the recipe has it no more`)];
}
