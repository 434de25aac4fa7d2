/** The tiles of a log in a folder, read only: C2SP tlog-tiles, one file a tile. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BitforbitError, systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";
import {
  HASH_BYTES,
  type NodeHash,
  TILE_WIDTH,
  type TileRows,
  parseEntries,
  placeInTile,
  tileOf,
  tilePath,
  tileRows,
  tileWidth,
} from "./tile.ts";

const NO_HASH = new Uint8Array(HASH_BYTES);
/** Tiles kept in memory, about 30 KiB each. */
const MAX_CACHED = 256;

export class LogFolder {
  readonly path: string;
  /** By "level/index"; a partial tile is kept as wide as it was asked for, never wider. */
  readonly #cache = new Map<string, { width: number; rows: TileRows }>();

  constructor(path: string) {
    this.path = path;
  }

  /** The signed checkpoint as it stands in the folder, or undefined when there is none. */
  async checkpointNote(): Promise<string | undefined> {
    return await readIfThere(join(this.path, "checkpoint"));
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
    const wanted = new Map<string, { level: number; index: number }>();
    compute((level, index) => {
      const tile = tileOf({ level, index });
      wanted.set(`${tile.level}/${tile.index}`, tile);
      return NO_HASH;
    });
    const loaded = new Map<string, TileRows>();
    for (const [name, { level, index }] of wanted) {
      loaded.set(name, fresh?.get(name) ?? (await this.#rows(level, index, tileWidth(level, index, size))));
    }
    return compute((level, index) => {
      const tile = tileOf({ level, index });
      const { row, column } = placeInTile({ level, index });
      const hash = loaded.get(`${tile.level}/${tile.index}`)?.[row]?.[column];
      if (hash === undefined) throw new RangeError(`node ${level}/${index} is not in the tree of ${size}`);
      return hash;
    });
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

  /**
   * A tile's file, or a wider one that starts with the same content: the writer
   * removes narrower partial tiles once a wider one is in place.
   */
  async #read(level: number | "entries", index: number, width: number): Promise<Uint8Array> {
    for (let tries = 0; tries < 4; tries++) {
      const exact = await readBytes(join(this.path, tilePath(level, index, width)));
      if (exact !== undefined) return exact;
      for (const wider of await this.#widerThan(level, index, width)) {
        const bytes = await readBytes(join(this.path, tilePath(level, index, wider)));
        if (bytes !== undefined) return bytes;
      }
    }
    throw damaged(tilePath(level, index, width), "is missing");
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

export async function readIfThere(path: string): Promise<string | undefined> {
  const bytes = await readBytes(path);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
}

async function readBytes(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

export function damaged(path: string, what: string): BitforbitError {
  return new BitforbitError("input", `the log is damaged: ${path} ${what}`, {
    hint: "restore the log folder from a copy; nothing is appended to a damaged log",
  });
}
