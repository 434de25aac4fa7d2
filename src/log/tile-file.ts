/** Tiles as files of a log's folder: written durably, and removed when they have been outgrown. */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { equalBytes } from "../bytes.ts";
import { syncFolder, writeDurable } from "../durable.ts";
import { systemCode } from "../errors.ts";
import { namesIfThere } from "./folder.ts";
import { TILE_WIDTH, edgeTiles, tilePath } from "./tile.ts";

/** Writes a tile, and makes the folders that it needed first survive a power cut. */
export async function writeTile(log: string, path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(join(log, path));
  const created = await mkdir(folder, { recursive: true });
  await writeDurable(join(log, path), bytes);
  if (created === undefined) return;
  for (let at = folder; at.length >= created.length; at = dirname(at)) await syncFolder(dirname(at));
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
