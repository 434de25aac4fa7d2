/** Where the tiles of a log are read from: a folder, or a web server. Whatever it gives is checked by who asked. */
import { HASH_BYTES, TILE_WIDTH } from "./tile.ts";

export interface TileSource {
  /** The folder or address, for people. */
  readonly name: string;
  /** The newest checkpoint, or undefined where there is none. */
  checkpointNote(): Promise<string | undefined>;
  /** What the log published for others to search with (`search.json`), where it did. */
  searchNotes?(): Promise<string | undefined>;
  /**
   * The content of a tile, at least `width` wide: a wider one begins with the
   * same content, and a log may remove partial tiles once the full one is
   * there. Undefined when it is not there.
   */
  tile(level: number | "entries", index: number, width: number): Promise<Uint8Array | undefined>;
}

export const MAX_CHECKPOINT_BYTES: number = 64 << 10;

/** The largest that a tile can be: 256 hashes, or 256 entries of 65,535 bytes with their lengths. */
export function maxTileBytes(level: number | "entries"): number {
  return TILE_WIDTH * (level === "entries" ? 2 + 0xffff : HASH_BYTES);
}
