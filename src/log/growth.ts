/** What leaves add to a tree: the tiles that are new or wider. Pure. */
import {
  TILE_WIDTH,
  type Ragged,
  type TileRows,
  growRows,
  inclusionProof,
  leafHash,
  tileBytes,
  tilePath,
  writeEntries,
} from "./tile.ts";

/** The right edge of a tree: all that growing it needs. */
export interface Edge {
  size: number;
  /** Rows of the edge tile of each level. */
  edge: TileRows[];
  /** Leaves of the partial entry tile. */
  entries: Uint8Array[];
}

interface TileContent {
  path: string;
  bytes: Uint8Array;
}

export function entryFile({ index, entries }: Growth["entryTiles"][number]): TileContent {
  return { path: tilePath("entries", index, entries.length), bytes: writeEntries(entries) };
}

export function hashFile({ level, index, rows }: Growth["hashTiles"][number]): TileContent {
  return { path: tilePath(level, index, rows[0]?.length ?? 0), bytes: tileBytes(rows) };
}

export interface Growth {
  size: number;
  edge: TileRows[];
  entries: Uint8Array[];
  entryTiles: { index: number; entries: Uint8Array[] }[];
  hashTiles: { level: number; index: number; rows: TileRows }[];
}

/** The tree after `leaves`, and the tiles that are new or wider; `tree` itself is left as it is. */
export function grow(tree: Edge, leaves: readonly Uint8Array[]): Growth {
  const edge = tree.edge.map((rows) => rows.map((row) => [...row]));
  const growth: Growth = { size: tree.size, edge, entries: [...tree.entries], entryTiles: [], hashTiles: [] };
  const touched = new Set<number>();
  const push = (level: number, hash: Uint8Array, index: number): void => {
    const rows = (edge[level] ??= [[]]);
    growRows(rows, hash);
    touched.add(level);
    if (rows[0]?.length !== TILE_WIDTH) return;
    const tile = Math.floor(index / TILE_WIDTH);
    growth.hashTiles.push({ level, index: tile, rows });
    touched.delete(level);
    edge[level] = [[]];
    push(level + 1, rows[8]?.[0] ?? new Uint8Array(), tile);
  };
  for (const leaf of leaves) {
    push(0, leafHash(leaf), growth.size);
    growth.entries.push(leaf);
    growth.size++;
    if (growth.entries.length < TILE_WIDTH) continue;
    growth.entryTiles.push({ index: growth.size / TILE_WIDTH - 1, entries: growth.entries });
    growth.entries = [];
  }
  if (growth.entries.length > 0) {
    growth.entryTiles.push({ index: Math.floor(growth.size / TILE_WIDTH), entries: growth.entries });
  }
  for (const level of touched) {
    const index = Math.floor(Math.floor(growth.size / TILE_WIDTH ** level) / TILE_WIDTH);
    growth.hashTiles.push({ level, index, rows: edge[level] ?? [[]] });
  }
  growth.hashTiles.sort((a, b) => a.level - b.level || a.index - b.index);
  return growth;
}

export function batchProofs(
  from: number,
  to: number,
  node: (level: number, index: number) => Uint8Array,
): Uint8Array[][] {
  const proofs: Uint8Array[][] = [];
  const ragged: Ragged = new Map();
  for (let index = from; index < to; index++) proofs.push(inclusionProof(index, to, node, ragged));
  return proofs;
}
