/**
 * The check of a whole log: every entry, every tile, the checkpoint. It reads
 * top down, so that what is damaged can be told from what is not: a tile is
 * sound when it gives its hash in the tile above; one that does not, but whose
 * content follows from what is below, is damaged alone.
 */
import { equalBytes } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { NoteVerifier } from "../format/note.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import type { TileSource } from "./source.ts";
import {
  HASH_BYTES,
  TILE_WIDTH,
  type TileRows,
  edgeTiles,
  growRows,
  leafHash,
  parseEntries,
  sameRoot,
  tileBytes,
  tilePath,
  tileRows,
  treeRoot,
} from "./tile.ts";
import { overTiles } from "./verified.ts";

export interface Damage {
  /** Of the file, in the log's folder or below its address. */
  path: string;
  /** What is wrong with it, as the rest of a sentence. */
  what: string;
}

export interface Checkup {
  ok: boolean;
  size: number;
  /** How many were read: entries, and files of tiles and entries. */
  entries: number;
  tiles: number;
  /** The first of them is the one furthest left. At most 20 are told. */
  problems: Damage[];
  /** Files that a copy must give back; the rest is sound. As many as there are problems. */
  restore: string[];
  /** How many files are damaged altogether. */
  damaged: number;
}

const MAX_TOLD = 20;

/** Reads all of a log. Never throws for damage; throws `outside` when a log on the network cannot be reached. */
export async function checkLog(source: TileSource, verifier: NoteVerifier): Promise<Checkup> {
  const walk = new Walk(source);
  let size = 0;
  try {
    const note = await source.checkpointNote();
    if (note === undefined) throw new BitforbitError("input", "is missing");
    const checkpoint = openCheckpoint(note, verifier);
    size = checkpoint.size;
    await walk.all(checkpoint);
  } catch (error) {
    if (error instanceof BitforbitError && error.code === "outside") throw error;
    walk.problem("checkpoint", messageOf(error));
  }
  const { problems, damaged, entries, tiles } = walk;
  problems.sort((a, b) => a.at - b.at);
  const told = problems.slice(0, MAX_TOLD).map(({ path, what }) => ({ path, what }));
  const restore = [...new Set(told.map(({ path }) => path))];
  return { ok: damaged === 0, size, entries, tiles, problems: told, restore, damaged };
}

/** What is known of a tile: its content as stored, and the hash that it must give (of full tiles). */
type Expected = Uint8Array | undefined;

class Walk {
  readonly problems: (Damage & { at: number })[] = [];
  damaged = 0;
  entries = 0;
  tiles = 0;
  readonly #source: TileSource;

  constructor(source: TileSource) {
    this.#source = source;
  }

  problem(path: string, what: string, at = -1): void {
    this.damaged++;
    // Kept beyond what is told, since the walk does not go from left to right; bounded all the same.
    if (this.problems.length < 10_000) this.problems.push({ path, what, at });
  }

  async all({ size, root }: Checkpoint): Promise<void> {
    const stored: (TileRows | undefined)[] = [];
    const edge = edgeTiles(size);
    for (const tile of edge) stored[tile.level] = await this.#hashes(tile.level, tile.index, tile.width);
    const sound = sameRoot(await rootOf(size, stored), root);
    const computed: (TileRows | undefined)[] = [];
    for (const tile of edge.toReversed()) {
      const rows = stored[tile.level];
      computed[tile.level] = await this.#below(tile.level, tile.index, tile.width, sound ? rows : undefined, rows);
    }
    if (sound) return;
    // The entries may still give the root: then the tiles at the edge are what is damaged.
    const follows = sameRoot(await rootOf(size, computed), root);
    for (const { level, index, width } of edge) {
      const path = tilePath(level, index, width);
      const [is, was] = [stored[level], computed[level]];
      const same = is !== undefined && was !== undefined && equalBytes(tileBytes(is), tileBytes(was));
      const at = index * TILE_WIDTH ** (level + 1);
      if (is === undefined) this.problem(path, "is missing or cut off", at);
      else if (!same) this.problem(path, "does not follow from the entries", at);
    }
    if (!follows) this.problem("checkpoint", "is not the root of the stored tiles", -1);
  }

  /**
   * Checks all that is below a tile, of which `sound` is the content where that
   * is known to be right. Gives the rows as they follow from below.
   */
  async #below(
    level: number,
    index: number,
    width: number,
    sound: TileRows | undefined,
    stored: TileRows | undefined,
  ): Promise<TileRows | undefined> {
    if (level === 0) return await this.#bundle(index, width, sound, stored);
    const rows: TileRows = [[]];
    let known = true;
    for (let column = 0; column < width; column++) {
      const hash = await this.#full(level - 1, index * TILE_WIDTH + column, sound?.[0]?.[column]);
      if (hash === undefined) known = false;
      else if (known) growRows(rows, hash);
    }
    return known ? rows : undefined;
  }

  /** Checks a full tile and all below it. Gives its hash, undefined when that cannot be known. */
  async #full(level: number, index: number, expected: Expected): Promise<Expected> {
    const at = index * TILE_WIDTH ** (level + 1);
    const path = tilePath(level, index, TILE_WIDTH);
    const stored = await this.#hashes(level, index, TILE_WIDTH);
    const fits =
      stored !== undefined && expected !== undefined && sameRoot(stored[8]?.[0] ?? new Uint8Array(), expected);
    const below = await this.#below(level, index, TILE_WIDTH, fits ? stored : undefined, stored);
    const follows = below?.[8]?.[0];
    if (fits) return expected;
    const confirmed = follows !== undefined && (expected === undefined || sameRoot(follows, expected));
    const same = stored !== undefined && below !== undefined && equalBytes(tileBytes(stored), tileBytes(below));
    if (stored === undefined) this.problem(path, "is missing or cut off", at);
    else if (confirmed && !same) this.problem(path, "does not follow from the entries", at);
    else if (!confirmed) this.problem(path, "does not give its hash in the tile above it", at);
    if (level === 0 && follows !== undefined && !confirmed) {
      this.problem(tilePath("entries", index, TILE_WIDTH), "is changed: its entries do not give the hash above", at);
    }
    return confirmed ? follows : expected;
  }

  /** Checks an entry bundle against its hashes. Gives the rows that its entries hash to, or those known to be right. */
  async #bundle(
    index: number,
    width: number,
    sound: TileRows | undefined,
    stored: TileRows | undefined,
  ): Promise<TileRows | undefined> {
    const path = tilePath("entries", index, width);
    const at = index * TILE_WIDTH;
    let entries: Uint8Array[];
    try {
      const bytes = await this.#source.tile("entries", index, width);
      if (bytes === undefined) throw new BitforbitError("input", "is missing");
      this.tiles++;
      entries = parseEntries(bytes).slice(0, width);
      if (entries.length < width) throw new BitforbitError("input", `has ${entries.length} entries, not ${width}`);
    } catch (error) {
      if (error instanceof BitforbitError && error.code === "outside") throw error;
      this.problem(path, messageOf(error), at);
      return sound;
    }
    this.entries += width;
    const hashes = entries.map((entry) => leafHash(entry));
    const against = (sound ?? stored)?.[0];
    const wrong = against === undefined ? -1 : hashes.findIndex((hash, n) => !equalBytes(hash, against[n] ?? hash));
    // The same hashes give the same rows, which have been computed.
    if (wrong < 0 && against?.length === width) return sound ?? stored;
    const rows: TileRows = [[]];
    for (const hash of hashes) growRows(rows, hash);
    if (wrong < 0) return rows;
    if (sound !== undefined) {
      this.problem(path, `is changed: entry ${at + wrong} does not match its hash`, at + wrong);
      return sound;
    }
    // Neither is known to be right here: the tile is told of by who asked.
    return rows;
  }

  async #hashes(level: number, index: number, width: number): Promise<TileRows | undefined> {
    try {
      const bytes = await this.#source.tile(level, index, width);
      if (bytes === undefined || bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES) return undefined;
      this.tiles++;
      return tileRows(bytes.subarray(0, width * HASH_BYTES));
    } catch (error) {
      if (error instanceof BitforbitError && error.code === "outside") throw error;
      return undefined;
    }
  }
}

/** The root that the tiles at the right edge give; no hash where one of them is missing. */
async function rootOf(size: number, edge: readonly (TileRows | undefined)[]): Promise<Uint8Array> {
  try {
    return await overTiles(
      (node) => treeRoot(size, node),
      (level) => edge[level] ?? [],
    );
  } catch {
    return new Uint8Array();
  }
}
