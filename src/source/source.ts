import { mkdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Digest, hexOf } from "../digest.ts";
import { sortedBy } from "../order.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { type Extract, openSourceArchive } from "./archive.ts";
import { readCheckout, type Submodule } from "./checkout.ts";
import { digestOfFiles, filesOfFolder, type SourceFile } from "./files.ts";
import { findRepository, git, gitMaybe, type Repository, withoutCredentials } from "./git.ts";
import { applyPatches, type Patch } from "./patches.ts";
import { overlayLockfiles, stageFiles } from "./stage.ts";
import { type Tag, tagOf } from "./tag.ts";

export interface Source {
  kind: "git" | "archive" | "folder";
  name: string;
  /** The git remote without credentials, the package URL or URL of an archive, or `file:` and the folder's name. */
  uri: string;
  commit?: string;
  /** Full name of the branch that is checked out, "refs/heads/main". */
  ref?: string;
  tag?: Tag;
  /** Sub-folder of the repository that is the source, where it is not the whole. */
  subfolder?: string;
  submodules: Submodule[];
  /** The recipe's patches, applied to an archive: `treeDigest` is of what they leave. */
  patches?: Patch[];
  /** Tracked paths that differ from the commit, sorted; [] when clean. */
  dirty: string[];
  /** How many files are neither tracked nor ignored; they are no part of the source. */
  untracked: number;
  shallow: boolean;
  /** Over path, kind, executable bit and content of every file: `src/tree.ts`. */
  treeDigest: Digest;
  /** For in-toto: `gitCommit` of a clean checkout, `sha256` of an archive or of a tree. */
  digest: Record<string, string>;
  /** SOURCE_DATE_EPOCH, seconds: the commit's time, or of an archive its newest member's. */
  epoch: number;
}

export interface SourceOptions {
  /** Folder for downloaded sources and for work in progress, `<home>/cache`. */
  cache: string;
  extract: Extract;
}

/** 1980-01-02T00:00:00Z: the time of what has none. A zip cannot say earlier, in any time zone. */
export const NO_TIME_EPOCH = 315_619_200;

/** A source, and where its files lie for now. */
interface Opened {
  source: Source;
  files: SourceFile[];
  close: () => Promise<void>;
}

/**
 * What would be built from `folder`: the archive that the recipe names, the git
 * checkout, or the folder as it is. Runs nothing of the project's. Throws
 * `input`, `refused`, `limit`, `lacking`, or `outside` when a download fails.
 */
export async function readSource(folder: string, recipe: Recipe, options: SourceOptions): Promise<Source> {
  const opened = await open(folder, recipe, options);
  await opened.close();
  return opened.source;
}

/**
 * Writes the source's files into `into`, which is empty or absent: times are
 * the source's epoch, modes 0644 and 0755, nothing outside. A lockfile that
 * the recipe names and an archive does not hold is taken from beside the
 * recipe. Throws `conflict` when the source is not what `source` says any more.
 */
export async function stage(
  source: Source,
  folder: string,
  recipe: Recipe,
  into: string,
  options: SourceOptions,
): Promise<void> {
  const opened = await open(folder, recipe, options);
  try {
    await stageOpened(opened, source, folder, recipe, into);
  } finally {
    await opened.close();
  }
}

/** `readSource` and `stage` in one, for which an archive is extracted only once. */
export async function readAndStage(
  folder: string,
  recipe: Recipe,
  into: string,
  options: SourceOptions,
): Promise<Source> {
  const opened = await open(folder, recipe, options);
  try {
    await stageOpened(opened, opened.source, folder, recipe, into);
    return opened.source;
  } finally {
    await opened.close();
  }
}

async function stageOpened(
  { files }: Opened,
  source: Source,
  folder: string,
  recipe: Recipe,
  into: string,
): Promise<void> {
  await mkdir(into, { recursive: true });
  await stageFiles(files, into, source);
  if (source.kind === "archive") await overlayLockfiles(folder, recipe, into, source.epoch);
}

async function open(folder: string, recipe: Recipe, options: SourceOptions): Promise<Opened> {
  if (recipe.source !== undefined) return await openArchive(folder, recipe, options);
  const repository = await findRepository(folder);
  const head =
    repository === undefined
      ? undefined
      : await gitMaybe(repository.top, "rev-parse", "--verify", "-q", "HEAD^{commit}");
  if (repository !== undefined && head !== undefined) {
    const opened = await openGit(repository, head, recipe);
    if (opened.files.length + opened.source.dirty.length + opened.source.submodules.length > 0) return opened;
  }
  const files = await filesOfFolder(folder);
  const treeDigest = digestOfFiles(files);
  const source: Source = {
    kind: "folder",
    name: recipe.name,
    uri: `file:${encodeURIComponent(basename(resolve(folder)))}`,
    ...PLAIN,
    treeDigest,
    digest: { sha256: hexOf(treeDigest) },
    epoch: NO_TIME_EPOCH,
  };
  return { source, files, close: async () => {} };
}

const PLAIN = { submodules: [], dirty: [], untracked: 0, shallow: false };

async function openGit({ top, prefix }: Repository, commit: string, recipe: Recipe): Promise<Opened> {
  const { files, dirty, submodules, untracked } = await readCheckout(top, prefix, commit);
  const ref = await gitMaybe(top, "symbolic-ref", "-q", "HEAD");
  const tag = await tagOf(top, commit);
  const treeDigest = digestOfFiles(files);
  const source: Source = {
    kind: "git",
    name: recipe.name,
    uri: (await remoteOf(top)) ?? `file:${encodeURIComponent(basename(top))}`,
    commit,
    ...(ref === undefined ? {} : { ref }),
    ...(tag === undefined ? {} : { tag }),
    ...(prefix === "" ? {} : { subfolder: prefix }),
    submodules: sortedBy(submodules, ({ path }) => path),
    dirty,
    untracked,
    shallow: (await git(top, "rev-parse", "--is-shallow-repository")).trim() === "true",
    treeDigest,
    digest: dirty.length === 0 ? { gitCommit: commit } : { sha256: hexOf(treeDigest) },
    epoch: await commitTime(top, commit),
  };
  return { source, files, close: async () => {} };
}

/** "origin", or the first remote there is. */
async function remoteOf(top: string): Promise<string | undefined> {
  const origin = await gitMaybe(top, "config", "--get", "remote.origin.url");
  if (origin !== undefined) return withoutCredentials(origin);
  const other = await gitMaybe(top, "config", "--get-regexp", String.raw`^remote\..*\.url$`);
  const url = other?.split("\n")[0]?.replace(/^\S+ /, "");
  return url === undefined ? undefined : withoutCredentials(url);
}

async function commitTime(top: string, commit: string): Promise<number> {
  const text = await git(top, "cat-file", "commit", commit);
  const seconds = /^committer .*> (-?\d{1,12}) [+-]\d{4}$/m.exec(text)?.[1];
  return Math.max(0, Number(seconds ?? NO_TIME_EPOCH));
}

async function openArchive(folder: string, recipe: Recipe, options: SourceOptions): Promise<Opened> {
  const { root, newest, uri, sha256, close } = await openSourceArchive(folder, recipe, options);
  try {
    const patches = await applyPatches(folder, recipe, root);
    const files = await filesOfFolder(root);
    const source: Source = {
      kind: "archive",
      name: recipe.name,
      uri,
      ...PLAIN,
      ...(patches.length === 0 ? {} : { patches }),
      treeDigest: digestOfFiles(files),
      digest: { sha256 },
      epoch: newest > 0 ? newest : NO_TIME_EPOCH,
    };
    return { source, files, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where the working copy of `path` in a repository is not what a canonical build may start from, and what to do. */
export function canonicalObstacles(source: Source): { what: string; remedy: string }[] {
  const found: { what: string; remedy: string }[] = [];
  if (source.kind === "folder") {
    const what = "the source is a plain folder: no commit and no archive's digest names it";
    found.push({ what, remedy: "commit it to git, or build with --once" });
  }
  if (source.dirty.length > 0) {
    const [first = ""] = source.dirty;
    const rest = source.dirty.length > 1 ? ` and ${source.dirty.length - 1} more` : "";
    found.push({ what: `${first}${rest} differs from the commit`, remedy: "commit the change, or build with --once" });
  }
  if (source.shallow) {
    found.push({ what: "the clone is shallow: its history cannot be checked", remedy: "git fetch --unshallow" });
  }
  const absent = source.submodules.filter(({ present }) => !present);
  if (absent.length > 0) {
    const what = `submodule ${absent.map(({ path }) => join(path)).join(", ")} is not checked out`;
    found.push({ what, remedy: "git submodule update --init --recursive" });
  }
  return found;
}
