import { createWriteStream } from "node:fs";
import { copyFile, link, lstat, mkdir, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { digestOfFile, hexOf } from "../digest.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { namesIn } from "../tree.ts";
import { unpackDsc, verifyDsc } from "./dsc.ts";
import { fetchPurl, rootOfPurl } from "./purl.ts";

/** Safe extraction: what `extractArchive` of format/extract.ts does. `newest` in seconds since the epoch. */
export type Extract = (
  path: string,
  into: string,
  options: { temporary: string },
) => Promise<{ newest: number; files: number; bytes: number }>;

const MAX_DOWNLOAD = 4 * 2 ** 30;

/** A source archive, extracted. */
export interface OpenArchive {
  /** Folder of the project's own files: the archive's one top folder, where it has one. */
  root: string;
  /** Seconds since the epoch; 0 when unknown. */
  newest: number;
  uri: string;
  sha256: string;
  close: () => Promise<void>;
}

/** The recipe's archive, fetched where it is not here yet, checked against the recipe's digest, extracted. */
export async function openSourceArchive(
  folder: string,
  recipe: Recipe,
  options: { cache: string; extract: Extract },
): Promise<OpenArchive> {
  const wanted = recipe.source;
  if (wanted === undefined) throw new BitforbitError("input", `${recipe.name}: the recipe names no archive`);
  const path = await fetched(folder, wanted, options.cache);
  const work = await workFolder(options.cache);
  const close = (): Promise<void> => rm(work, { recursive: true, force: true });
  try {
    const into = join(work, "tree");
    const newest = path.endsWith(".dsc")
      ? await unpackDsc(path, into)
      : (await options.extract(path, into, { temporary: work })).newest;
    const root =
      (wanted.purl === undefined ? undefined : await rootOfPurl(wanted.purl, into)) ?? (await onlyFolder(into));
    return { root, newest, uri: wanted.purl ?? uriOf(wanted.url ?? ""), sha256: wanted.sha256, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A remote archive by its URL without query (which may hold a token); a local one by its name, not by its place. */
function uriOf(url: string): string {
  return /^https?:/.test(url) ? url.replace(/[?#].*$/, "").replace(/\/\/[^/]*@/, "//") : `file:${basename(url)}`;
}

/** Archives mostly hold one folder with everything in it: that folder, else the tree itself. */
async function onlyFolder(tree: string): Promise<string> {
  const names = await namesIn(tree);
  const [only] = names;
  if (names.length !== 1 || only === undefined) return tree;
  return (await lstat(join(tree, only))).isDirectory() ? join(tree, only) : tree;
}

export async function workFolder(cache: string): Promise<string> {
  const work = join(cache, "work", uniqueName(systemEntropy));
  await mkdir(work, { recursive: true });
  return work;
}

/** Path of the archive in the cache; its SHA-256 is checked each time. */
async function fetched(folder: string, wanted: NonNullable<Recipe["source"]>, cache: string): Promise<string> {
  const place = join(cache, "sources", "sha256", wanted.sha256);
  const [name] = await namesIn(place).catch(() => []);
  if (name !== undefined) {
    const path = join(place, await mainFile(place));
    await checkArchive(path, wanted.sha256);
    return path;
  }
  const work = await workFolder(cache);
  try {
    await fetchInto(folder, wanted, work);
    const path = join(work, await mainFile(work));
    await checkArchive(path, wanted.sha256);
    await mkdir(join(cache, "sources", "sha256"), { recursive: true });
    await rename(work, place).catch((error: unknown) => {
      if (systemCode(error) !== "ENOTEMPTY" && systemCode(error) !== "EEXIST") throw error;
    });
    return join(place, basename(path));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Fetches what a recipe would name, without a digest to hold it to yet: gives
 * the SHA-256 to write into the recipe. The first use is trusted, and no other.
 */
export async function pinSource(
  folder: string,
  wanted: { purl?: string; url?: string },
  cache: string,
): Promise<{ sha256: string; file: string; bytes: number }> {
  const work = await workFolder(cache);
  try {
    await fetchInto(folder, wanted, work);
    const file = await mainFile(work);
    const sha256 = hexOf(await digestOfFile(join(work, file)));
    const { size } = await lstat(join(work, file));
    const place = join(cache, "sources", "sha256", sha256);
    await mkdir(join(cache, "sources", "sha256"), { recursive: true });
    await rename(work, place).catch(() => undefined);
    return { sha256, file, bytes: size };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The archive, or the .dsc where several files make one source. */
async function mainFile(folder: string): Promise<string> {
  const names = await namesIn(folder);
  const name = names.find((item) => item.endsWith(".dsc")) ?? names[0];
  if (name === undefined) throw new BitforbitError("outside", "the source's client fetched nothing");
  return name;
}

async function checkArchive(path: string, sha256: string): Promise<void> {
  const have = hexOf(await digestOfFile(path));
  if (have !== sha256) {
    throw new BitforbitError("refused", `${basename(path)} has SHA-256 ${have}, the recipe says ${sha256}`, {
      hint: "find out which of the two is right before you change the recipe",
    });
  }
  if (path.endsWith(".dsc")) await verifyDsc(path);
}

async function fetchInto(folder: string, wanted: { purl?: string; url?: string }, into: string): Promise<void> {
  if (wanted.purl !== undefined) return await fetchPurl(wanted.purl, into);
  const url = wanted.url ?? "";
  if (/^https?:\/\//.test(url)) return await download(url, into);
  const path = url.startsWith("file:") ? fileURLToPath(url) : resolve(folder, url);
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isFile() !== true) throw new BitforbitError("input", `no archive at ${url}`);
  const target = join(into, basename(path));
  await link(path, target).catch(() => copyFile(path, target));
}

async function download(url: string, into: string): Promise<void> {
  const name = basename(new URL(url).pathname).replace(/[^\w.+~-]/g, "_") || "archive";
  const shown = uriOf(url);
  let size = 0;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(600_000) });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    const measured = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > MAX_DOWNLOAD) throw new BitforbitError("limit", `${shown}: larger than ${MAX_DOWNLOAD} bytes`);
        yield chunk;
      }
    };
    await pipeline(Readable.fromWeb(response.body), measured, createWriteStream(join(into, name), { flags: "wx" }));
  } catch (error) {
    if (error instanceof BitforbitError) throw error;
    throw new BitforbitError("outside", `cannot download ${shown}: ${messageOf(error)}`, { cause: error });
  }
}
