/** Tiles as files of a log's folder: written durably, and removed when they have been outgrown. */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { equalBytes } from "../bytes.ts";
import { syncFolder, writeSynced } from "../durable.ts";
import { systemCode } from "../errors.ts";
import { namesIfThere } from "./folder.ts";
import { TILE_WIDTH, edgeTiles, tilePath } from "./tile.ts";

/** Called after each step that has reached the disk: tests end the process there. */
export type Step = (what: string) => void;

/** Writes a file, and makes the folders that it needed first survive a power cut. */
export async function writeTile(log: string, path: string, bytes: Uint8Array): Promise<void> {
  await writeTiles(log, [{ path, bytes }]);
}

/**
 * Writes files side by side: each under another name, on the disk, then named;
 * then the folders, once each. Nothing is certain of any before this returns.
 */
export async function writeTiles(
  log: string,
  tiles: readonly { path: string; bytes: Uint8Array }[],
  step: Step = () => undefined,
): Promise<void> {
  const folders = new Set<string>();
  for (const folder of new Set(tiles.map(({ path }) => dirname(join(log, path))))) {
    const created = await mkdir(folder, { recursive: true });
    folders.add(folder);
    if (created === undefined) continue;
    for (let at = folder; at.length >= created.length; at = dirname(at)) folders.add(dirname(at));
  }
  await Promise.all(
    tiles.map(async ({ path, bytes }) => {
      await writeSynced(join(log, path), bytes);
      step(path);
    }),
  );
  // From the inside out: a folder's name is worth nothing before what is in it.
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) {
    await syncFolder(folder);
    step(folder);
  }
}

/** Whether the file at `path` has this very content. */
export async function hasContent(path: string, content: Uint8Array): Promise<boolean> {
  try {
    return (await stat(path)).size === content.length && equalBytes(await readFile(path), content);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

/**
 * Removes the partial tiles at the edge of the tree of `before` leaves whose
 * full tile the tree of `after` has. The others stay: a checkpoint needs them
 * that somebody may have read (C2SP tlog-tiles, "Partial Tiles").
 */
export async function removeOutgrown(folder: string, before: number, after: number): Promise<void> {
  for (const { level, index } of edgeTiles(before)) {
    if (Math.floor(after / TILE_WIDTH ** level) < (index + 1) * TILE_WIDTH) continue;
    for (const kind of kindsOf(level)) await removePartials(folder, kind, index, 0);
  }
}

/** Removes the partial tiles of one tile that are wider than `widest`. */
export async function removePartials(
  folder: string,
  level: number | "entries",
  index: number,
  widest: number,
): Promise<void> {
  const partials = join(folder, tilePath(level, index, 1).slice(0, -2));
  if (widest === 0) return await rm(partials, { recursive: true, force: true });
  for (const name of await namesIfThere(partials)) {
    if (!/^[1-9][0-9]{0,2}$/.test(name) || Number(name) > widest) await rm(join(partials, name), { force: true });
  }
}

/** Entry bundles lie beside the hashes of level 0. */
export function kindsOf(level: number): readonly (number | "entries")[] {
  return level === 0 ? ["entries", 0] : [level];
}
