/**
 * The tree of one checkpoint, read from where nothing is trusted. Every hash is
 * checked before it is used: the tiles at the right edge together give the
 * checkpoint's root; the root of a full tile is a hash of the tile above it; a
 * leaf hashes to its hash of level 0. What checks is kept in memory by content,
 * so that a later checkpoint of the same log finds it, too.
 */
import { concat, equalBytes } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import type { TileSource } from "./source.ts";
import {
  HASH_BYTES,
  type NodeHash,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileRows,
  edgeTiles,
  leafHash,
  parseEntries,
  sameRoot,
  tilePath,
  tileRows,
  tileWidth,
  treeRoot,
} from "./tile.ts";

const NO_HASH = new Uint8Array(HASH_BYTES);
/** 16 KiB each: 64 MiB for the tiles of a million entries. */
const MAX_CACHED = 4096;
/** As rows, whose nodes are objects of their own, a tile takes several times that: so many are kept that were used last. */
const MAX_AS_ROWS = 128;

/** Full tiles that were checked, by "level/index"; a rewritten log's do not fit the tile above them and are read anew. */
export class TileCache {
  readonly #rows = new Map<string, TileRows>();
  /** The nodes of each row, from its own hashes up, one after the other. */
  readonly #nodes = new Map<string, Uint8Array>();

  get(name: string): TileRows | undefined {
    const rows = this.#rows.get(name) ?? rowsOf(this.#nodes.get(name));
    if (rows !== undefined) keepLast(this.#rows, name, rows, MAX_AS_ROWS);
    return rows;
  }

  set(name: string, rows: TileRows): void {
    keepLast(this.#rows, name, rows, MAX_AS_ROWS);
    keepLast(this.#nodes, name, concat(rows.flat()), MAX_CACHED);
  }
}

function rowsOf(nodes: Uint8Array | undefined): TileRows | undefined {
  if (nodes === undefined) return undefined;
  const rows: TileRows = [];
  let at = 0;
  for (let width = TILE_WIDTH; width > 0; width >>= 1) {
    rows.push(Array.from({ length: width }, () => nodes.subarray(at, (at += HASH_BYTES))));
  }
  return rows;
}

function keepLast<T>(map: Map<string, T>, name: string, value: T, most: number): void {
  map.delete(name);
  map.set(name, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}

/** A checked tile, and which source had it. */
export interface Checked<T> {
  content: T;
  from: TileSource;
}

export class VerifiedTree {
  readonly size: number;
  readonly root: Uint8Array;
  readonly #sources: readonly TileSource[];
  readonly #cache: TileCache;
  #edge: Promise<Checked<TileRows>[]> | undefined;

  /** `sources` are asked in order, until what one gives fits. `size` and `root`: of a checkpoint whose signature was verified. */
  constructor(
    sources: readonly TileSource[],
    { size, root }: { size: number; root: Uint8Array },
    cache: TileCache = new TileCache(),
  ) {
    this.#sources = sources;
    this.size = size;
    this.root = root;
    this.#cache = cache;
  }

  /** Runs `compute` twice over the tree's nodes: to learn which tiles it needs, then with them checked and in memory. */
  async compute<T>(compute: (node: NodeHash) => T): Promise<T> {
    await this.#edges(); // a root that the edge does not give is refused, whatever is asked
    return await overTiles(compute, async (level, index) => (await this.rows(level, index)).content);
  }

  /** The rows of a tile of the tree, as wide as the tree has it. Throws `input` when no source has what fits. */
  async rows(level: number, index: number): Promise<Checked<TileRows>> {
    const width = tileWidth(level, index, this.size);
    if (width === 0) throw new RangeError(`tile ${level}/${index} is not in the tree of ${this.size}`);
    if (width < TILE_WIDTH) {
      const edge = (await this.#edges())[level];
      if (edge === undefined) throw new RangeError(`tile ${level}/${index} is not at the edge`);
      return edge;
    }
    const above = (await this.rows(level + 1, Math.floor(index / TILE_WIDTH))).content;
    const wanted = above[0]?.[index % TILE_WIDTH] ?? NO_HASH;
    const name = `${level}/${index}`;
    const cached = this.#cache.get(name);
    if (cached !== undefined && sameRoot(cached[8]?.[0] ?? NO_HASH, wanted)) {
      return { content: cached, from: this.#sources[0] as TileSource };
    }
    const found = await this.#firstThatFits(tilePath(level, index, width), async (source) => {
      const rows = tileRows(await hashesFrom(source, level, index, width));
      if (!sameRoot(rows[8]?.[0] ?? NO_HASH, wanted)) throw misfit(source, tilePath(level, index, width));
      return rows;
    });
    this.#cache.set(name, found.content);
    return found;
  }

  /** The leaves of an entry bundle, each held against its hash. */
  async entries(index: number): Promise<Checked<Uint8Array[]>> {
    const width = tileWidth(0, index, this.size);
    const hashes = (await this.rows(0, index)).content[0] ?? [];
    const path = tilePath("entries", index, width);
    return await this.#firstThatFits(path, async (source) => {
      const bytes = await source.tile("entries", index, width);
      if (bytes === undefined) throw missing(source, path);
      const entries = parseEntries(bytes).slice(0, width);
      if (entries.length < width) throw misfit(source, path);
      const wrong = entries.findIndex((entry, at) => !equalBytes(leafHash(entry), hashes[at] ?? NO_HASH));
      if (wrong >= 0) throw misfit(source, path, `entry ${index * TILE_WIDTH + wrong} does not match its hash`);
      return entries;
    });
  }

  async #edges(): Promise<Checked<TileRows>[]> {
    this.#edge ??= this.#firstThatFits("the right edge of the tree", async (source) => {
      const edge: Checked<TileRows>[] = [];
      for (const { level, index, width } of edgeTiles(this.size)) {
        edge[level] = { content: tileRows(await hashesFrom(source, level, index, width)), from: source };
      }
      const root = await overTiles(
        (node) => treeRoot(this.size, node),
        (level) => edge[level]?.content ?? [],
      );
      if (!sameRoot(root, this.root)) {
        throw misfit(source, "the right edge", "the tiles do not give the root of the checkpoint");
      }
      return edge;
    }).then(({ content }) => content);
    try {
      return await this.#edge;
    } catch (error) {
      this.#edge = undefined; // it may be there the next time
      throw error;
    }
  }

  async #firstThatFits<T>(what: string, read: (source: TileSource) => Promise<T>): Promise<Checked<T>> {
    let why: unknown;
    for (const source of this.#sources) {
      try {
        return { content: await read(source), from: source };
      } catch (error) {
        why = error; // of several sources, the last is the one that is meant to have everything
      }
    }
    if (why instanceof BitforbitError) throw why;
    throw new BitforbitError("input", `${what} cannot be read: ${messageOf(why)}`, { cause: why });
  }
}

/**
 * Runs `compute` once to learn which tiles it needs, then with their rows in
 * memory. A batch of appends asks for a hundred thousand nodes here: of each
 * level the tile that was asked for last is at hand without a look-up.
 */
export async function overTiles<T>(
  compute: (node: NodeHash) => T,
  load: (level: number, index: number) => Promise<TileRows> | TileRows,
): Promise<T> {
  const wanted: Map<number, TileRows>[] = [];
  const last: number[] = [];
  compute((level, index) => {
    const at = Math.floor(level / TILE_HEIGHT);
    const tile = Math.floor(index / 2 ** (TILE_HEIGHT - (level % TILE_HEIGHT)));
    if (last[at] !== tile) (wanted[at] ??= new Map()).set(tile, []);
    last[at] = tile;
    return NO_HASH;
  });
  for (const [level, tiles] of wanted.entries()) {
    for (const index of tiles?.keys() ?? []) tiles.set(index, await load(level, index));
  }
  const rows: TileRows[] = [];
  last.length = 0;
  return compute((level, index) => {
    const at = Math.floor(level / TILE_HEIGHT);
    const width = 2 ** (TILE_HEIGHT - (level % TILE_HEIGHT));
    const tile = Math.floor(index / width);
    if (last[at] !== tile) {
      rows[at] = wanted[at]?.get(tile) ?? [];
      last[at] = tile;
    }
    const hash = rows[at]?.[level % TILE_HEIGHT]?.[index % width];
    if (hash === undefined) throw new RangeError(`node ${level}/${index} is not in the tree`);
    return hash;
  });
}

async function hashesFrom(source: TileSource, level: number, index: number, width: number): Promise<Uint8Array> {
  const path = tilePath(level, index, width);
  const bytes = await source.tile(level, index, width);
  if (bytes === undefined) throw missing(source, path);
  if (bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES) {
    throw misfit(source, path, `it has ${bytes.length} bytes, not ${width * HASH_BYTES}`);
  }
  return bytes.subarray(0, width * HASH_BYTES);
}

function missing(source: TileSource, path: string): BitforbitError {
  return new BitforbitError("input", `the log is damaged: ${path} is missing in ${source.name}`, { hint: RESTORE });
}

function misfit(
  source: TileSource,
  path: string,
  why = "it is not what the checkpoint was signed over",
): BitforbitError {
  return new BitforbitError("input", `the log is damaged: ${path} of ${source.name}: ${why}`, { hint: RESTORE });
}

const RESTORE = "'bitforbit log fsck' says what is damaged, and what to restore from a copy";
