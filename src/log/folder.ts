/** The tiles of a log in a folder, read only: C2SP tlog-tiles, one file a tile. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BitforbitError, systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";
import { MAX_CHECKPOINT_BYTES, type TileSource, maxTileBytes } from "./source.ts";
import {
  HASH_BYTES,
  type NodeHash,
  TILE_WIDTH,
  type TileRows,
  parseEntries,
  tilePath,
  tileRows,
  tileWidth,
} from "./tile.ts";
import { overTiles } from "./verified.ts";

/** Tiles kept in memory, about 30 KiB each. */
const MAX_CACHED = 256;

export class LogFolder implements TileSource {
  readonly path: string;
  /** By "level/index"; a partial tile is kept as wide as it was asked for, never wider. */
  readonly #cache = new Map<string, { width: number; rows: TileRows }>();

  constructor(path: string) {
    this.path = path;
  }

  get name(): string {
    return this.path;
  }

  /** The signed checkpoint as it stands in the folder, or undefined when there is none. */
  async checkpointNote(): Promise<string | undefined> {
    return await readIfThere(join(this.path, "checkpoint"), MAX_CHECKPOINT_BYTES);
  }

  async searchNotes(): Promise<string | undefined> {
    return await readIfThere(join(this.path, "search.json"), 2 * MAX_CHECKPOINT_BYTES);
  }

  /** The first `width` hashes of a tile. Throws `input` when the tile is missing or of a wrong size. */
  async hashes(level: number, index: number, width: number): Promise<Uint8Array> {
    const bytes = await this.#read(level, index, width);
    if (bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES) {
      throw damaged(tilePath(level, index, width), `has ${bytes.length} bytes, not ${width * HASH_BYTES}`);
    }
    return bytes.subarray(0, width * HASH_BYTES);
  }

  /** The first `width` leaves of an entry tile. */
  async entries(index: number, width: number): Promise<Uint8Array[]> {
    const entries = parseEntries(await this.#read("entries", index, width));
    if (entries.length < width) {
      throw damaged(tilePath("entries", index, width), `has ${entries.length} entries, not ${width}`);
    }
    return entries.slice(0, width);
  }

  /**
   * Runs `compute` over the nodes of the tree of `size` leaves: once to learn
   * which tiles it needs, then with them in memory. `fresh` holds tiles that
   * are not in the folder yet.
   */
  async compute<T>(size: number, compute: (node: NodeHash) => T, fresh?: ReadonlyMap<string, TileRows>): Promise<T> {
    return await overTiles(
      compute,
      async (level, index) =>
        fresh?.get(`${level}/${index}`) ?? (await this.#rows(level, index, tileWidth(level, index, size))),
    );
  }

  /** Keeps tiles that have just been written. */
  remember(tiles: ReadonlyMap<string, TileRows>): void {
    for (const [name, rows] of tiles) this.#keep(name, rows[0]?.length ?? 0, rows);
  }

  forget(): void {
    this.#cache.clear();
  }

  async #rows(level: number, index: number, width: number): Promise<TileRows> {
    const name = `${level}/${index}`;
    const cached = this.#cache.get(name);
    if (cached !== undefined && cached.width >= width) return cached.rows;
    const rows = tileRows(await this.hashes(level, index, width));
    this.#keep(name, width, rows);
    return rows;
  }

  #keep(name: string, width: number, rows: TileRows): void {
    this.#cache.delete(name);
    this.#cache.set(name, { width, rows });
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }

  /** A tile's file, or a wider one that starts with the same content: partial tiles go once the full one is there. */
  async tile(level: number | "entries", index: number, width: number): Promise<Uint8Array | undefined> {
    const most = maxTileBytes(level);
    for (let tries = 0; tries < 4; tries++) {
      const exact = readBytes(join(this.path, tilePath(level, index, width)), most);
      if (exact !== undefined) return exact;
      for (const wider of await this.#widerThan(level, index, width)) {
        const bytes = readBytes(join(this.path, tilePath(level, index, wider)), most);
        if (bytes !== undefined) return bytes;
      }
    }
    return undefined;
  }

  async #read(level: number | "entries", index: number, width: number): Promise<Uint8Array> {
    const bytes = await this.tile(level, index, width);
    if (bytes === undefined) throw damaged(tilePath(level, index, width), "is missing");
    return bytes;
  }

  async #widerThan(level: number | "entries", index: number, width: number): Promise<number[]> {
    if (width === TILE_WIDTH) return [];
    const partials = dirname(join(this.path, tilePath(level, index, 1)));
    const widths = (await namesIfThere(partials)).filter((name) => /^[1-9][0-9]{0,2}$/.test(name)).map(Number);
    return [...widths.filter((found) => found > width).sort((a, b) => a - b), TILE_WIDTH];
  }
}

export async function namesIfThere(folder: string): Promise<string[]> {
  try {
    return await namesIn(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

export async function readIfThere(path: string, most: number = 1 << 20): Promise<string | undefined> {
  const bytes = readBytes(path, most);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
}

/**
 * A file's content, or undefined when there is none. Throws `input` for one
 * that is larger than any tile of its kind. Read at once: a tile has a few
 * kilobytes, and handing its open, stat, read and close to other threads took
 * longer than a proof does. A pipe does not keep us waiting.
 */
function readBytes(path: string, most: number): Uint8Array | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    if (!stats.isFile()) throw damaged(path, "is not a regular file");
    if (stats.size > most) throw damaged(path, `has ${stats.size} bytes, more than ${most}`);
    return readFileSync(file);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

export function damaged(path: string, what: string): BitforbitError {
  return new BitforbitError("input", `the log is damaged: ${path} ${what}`, {
    hint: "'bitforbit log fsck' says what to restore from a copy; nothing is appended to a damaged log",
  });
}
