/** The tree of a log as it lies on the disk: its right edge, held against a checkpoint, and what lies beyond it. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes } from "../bytes.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { LogFolder, damaged } from "./folder.ts";
import type { Edge } from "./growth.ts";
import { TILE_WIDTH, type TileRows, edgeTiles, leafHash, sameRoot, tilePath, tileRows, treeRoot } from "./tile.ts";
import { kindsOf, removePartials } from "./tile-file.ts";

/** Leaves written together at most: 32 full entry tiles, and the bound on what a crash can leave behind. */
export const MAX_BATCH: number = 32 * TILE_WIDTH;

/** The tree as it is on the disk. */
export interface Tree extends Edge {
  root: Uint8Array;
  note: string;
  /** Of the lock that it was read under. */
  epoch?: string;
}

/** Reads the right edge of a tree that was signed, and holds the stored tiles and entries against it. */
export async function edgeOf(
  files: LogFolder,
  { size, root }: Omit<Checkpoint, "origin">,
  note: string,
): Promise<Tree> {
  const edge: TileRows[] = [];
  for (const { level, index, width } of edgeTiles(size)) {
    edge[level] = tileRows(await files.hashes(level, index, width));
  }
  const computed = await files.compute(size, (node) => treeRoot(size, node));
  if (!sameRoot(computed, root)) throw damaged("checkpoint", "is not the root of the stored tiles");
  const width = size % TILE_WIDTH;
  const entries = width === 0 ? [] : await files.entries((size - width) / TILE_WIDTH, width);
  const hashes = edge[0]?.[0] ?? [];
  if (width > 0 && !entries.every((entry, at) => equalBytes(leafHash(entry), hashes[at] ?? new Uint8Array()))) {
    throw damaged(tilePath("entries", (size - width) / TILE_WIDTH, width), "does not match its hash tile");
  }
  for (let level = 0; level < 8; level++) edge[level] ??= [[]];
  return { size, root, note, edge, entries };
}

/** Removes tiles beyond the checkpoint, and partial tiles of which the full one is there. */
export async function sweep(folder: string, size: number): Promise<void> {
  for (let level = 0; level <= 7; level++) {
    const nodes = Math.floor(size / TILE_WIDTH ** level);
    const first = Math.floor(nodes / TILE_WIDTH);
    const beyond = level === 0 ? MAX_BATCH / TILE_WIDTH + 1 : 2;
    for (const kind of kindsOf(level)) {
      if (first > 0) await removePartials(folder, kind, first - 1, 0);
      for (let index = first; index <= first + beyond; index++) {
        await removePartials(folder, kind, index, index === first ? nodes % TILE_WIDTH : 0);
        await rm(join(folder, tilePath(kind, index, TILE_WIDTH)), { force: true });
      }
    }
  }
  await rm(join(folder, ".writing"), { force: true });
}
