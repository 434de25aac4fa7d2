/**
 * The one writer of a tile log (C2SP tlog-tiles) in a folder. What an append
 * does, in order, each step on the disk before the next:
 *
 *   1. the entry tiles
 *   2. the hash tiles
 *   3. the checkpoint, signed over them, beside the folder: `<folder>.last`.
 *      From here on the log stands by this tree, whatever happens.
 *   4. the checkpoint, with the cosignatures of witnesses where there are any,
 *      in the folder: the moment at which leaves are in the log for others
 *
 * and only then are the leaves acknowledged. A crash before step 3 leaves tiles
 * that no checkpoint covers; they are removed before the next append. One
 * between 3 and 4 is made good by publishing what was signed: a witness may
 * have seen it. A folder without the tree of `<folder>.last` was restored from
 * an old copy, and nothing more is signed.
 * Partial tiles are removed once the full one is in place: until then a checkpoint
 * that somebody read may need them, and a web server has nothing but files.
 *
 * Several processes may append: a lock of the kernel's (`exclusively`) lets one
 * write at a time. Appends that wait are written together.
 */
import { rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { equalBytes, hex } from "../bytes.ts";
import { createDurable, syncFolder, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type NoteVerifier, noteVerifier, signNote } from "../format/note.ts";
import { type Checkpoint, checkpointText, openCheckpoint } from "./checkpoint.ts";
import { LogFolder, damaged, namesIfThere, readIfThere } from "./folder.ts";
import { type Step, kindsOf, removeOutgrown, removePartials, writeTiles } from "./tile-file.ts";
import { type LeafProof, type LogReader, checkAgainstLast, logReader, originOf } from "./reader.ts";
import {
  TILE_WIDTH,
  type Ragged,
  type TileRows,
  consistencyProof,
  edgeTiles,
  emptyRoot,
  growRows,
  inclusionProof,
  leafHash,
  sameRoot,
  tileBytes,
  tilePath,
  tileRows,
  treeRoot,
  writeEntries,
} from "./tile.ts";

/** Leaves written together at most: 32 full entry tiles, and the bound on what a crash can leave behind. */
const MAX_BATCH = 32 * TILE_WIDTH;
const MAX_ENTRY = 0xffff;

/** Signs checkpoints: `keys.checkpoint`, an Ed25519 key. */
export interface CheckpointSigner {
  publicKeyPem: string;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/**
 * Adds the cosignatures of witnesses to a checkpoint before it is published, or
 * throws. `consistency` proves that the tree starts with that of so many leaves.
 */
export type Cosign = (
  checkpoint: Checkpoint & { note: string },
  consistency: (from: number) => Promise<Uint8Array[]>,
) => Promise<string>;

export interface LogOptions {
  /** The name of a log that is started here; `conflict` when the one that is there has another. */
  origin?: string;
  entropy?: Entropy;
  cosign?: Cosign;
  /** See `Step`. */
  step?: Step;
}

export interface Log extends LogReader {
  /**
   * Appends leaves in order and gives a proof for each, when they are durable.
   * Throws `limit` for a leaf over 65,535 bytes (nothing is then appended),
   * `input` for a damaged log, `refused` for one that has shrunk. After any
   * other error the leaves may or may not be in the log.
   */
  appendAll(leaves: readonly Uint8Array[]): Promise<LeafProof[]>;
  /** Resolves when nothing is being written any more, the tidying after an acknowledgement included. */
  settled(): Promise<void>;
}

/** The tree as it is on the disk: its right edge is all that growing it needs. */
interface Tree {
  size: number;
  note: string;
  /** Rows of the edge tile of each level. */
  edge: TileRows[];
  /** Leaves of the partial entry tile. */
  entries: Uint8Array[];
}

interface Request {
  leaves: readonly Uint8Array[];
  resolve(proofs: LeafProof[]): void;
  reject(error: unknown): void;
}

/**
 * Opens the log in `folder` for writing; starts it, with an origin of its own
 * name, when there is none. Verifies the checkpoint against the stored tiles.
 */
export async function openLog(folder: string, signer: CheckpointSigner, options: LogOptions = {}): Promise<Log> {
  const files = new LogFolder(folder);
  const writer = await exclusively(join(folder, ".lock"), async () => {
    await startLog(folder, signer, options);
    const origin = originOf((await files.checkpointNote()) ?? "", folder);
    if (options.origin !== undefined && origin !== options.origin) {
      throw new BitforbitError("conflict", `the log in ${folder} is ${origin}, not ${options.origin}`, {
        hint: "a log keeps its name for ever; start another in another folder",
      });
    }
    const opened = new LogWriter(files, signer, noteVerifier(origin, signer.publicKeyPem), options);
    await opened.load();
    return opened;
  });
  return {
    ...logReader(files, writer.verifier, signer.publicKeyPem),
    appendAll: (leaves) => writer.appendAll(leaves),
    settled: () => writer.settled(),
  };
}

/** Signs the empty tree, unless there is a log. Throws `refused` when there was one. */
async function startLog(folder: string, signer: CheckpointSigner, options: LogOptions): Promise<void> {
  if ((await readIfThere(join(folder, "checkpoint"))) !== undefined) return;
  if ((await namesIfThere(join(folder, "tile"))).length > 0 || (await readIfThere(`${folder}.last`)) !== undefined) {
    throw new BitforbitError("refused", `the checkpoint of the log in ${folder} is gone`, {
      hint: `restore the folder from a copy; ${folder}.last has the last checkpoint that was signed`,
    });
  }
  const origin = options.origin ?? `log-${hex((options.entropy ?? systemEntropy).bytes(8))}.bitforbit.local`;
  const { keyHash } = noteVerifier(origin, signer.publicKeyPem);
  const text = checkpointText({ origin, size: 0, root: emptyRoot() });
  const note = await signNote(text, { name: origin, keyHash, sign: (bytes) => signer.sign(bytes) });
  await createDurable(join(folder, "checkpoint"), note);
  await syncFolder(dirname(folder));
  await syncFolder(dirname(dirname(folder)));
}

/** Reads the right edge of a tree that was signed, and holds the stored tiles and entries against it. */
async function edgeOf(files: LogFolder, { size, root }: Checkpoint, note: string): Promise<Tree> {
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
  return { size, note, edge, entries };
}

/** Removes tiles beyond the checkpoint, and partial tiles of which the full one is there. */
async function sweep(folder: string, size: number): Promise<void> {
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

class LogWriter {
  readonly #files: LogFolder;
  readonly #signer: CheckpointSigner;
  readonly verifier: NoteVerifier;
  readonly #options: LogOptions;
  readonly #step: Step;
  #tree: Tree | undefined;
  #waiting: Request[] = [];
  #draining: Promise<void> | undefined;

  constructor(files: LogFolder, signer: CheckpointSigner, verifier: NoteVerifier, options: LogOptions) {
    this.#files = files;
    this.#signer = signer;
    this.verifier = verifier;
    this.#options = options;
    this.#step = options.step ?? (() => undefined);
  }

  /**
   * Reads the tree from the disk and checks it; publishes what was signed and
   * not published; removes what a crash left behind. Under the lock.
   */
  async load(): Promise<Tree> {
    this.#files.forget();
    const note = (await this.#files.checkpointNote()) ?? "";
    const published = openCheckpoint(note, this.verifier);
    // First: a tree that is not sound must not be told from one that shrank by what is removed.
    let tree = await edgeOf(this.#files, published, note);
    const pending = await checkAgainstLast(this.#files, this.verifier, published);
    if (pending !== undefined) {
      tree = await edgeOf(this.#files, pending.checkpoint, pending.note);
      tree.note = await this.#publish(pending.checkpoint, pending.note);
    }
    await sweep(this.#files.path, tree.size);
    this.#tree = tree;
    return tree;
  }

  async appendAll(leaves: readonly Uint8Array[]): Promise<LeafProof[]> {
    const large = leaves.find((leaf) => leaf.length > MAX_ENTRY);
    if (large !== undefined) {
      throw new BitforbitError("limit", `a log entry of ${large.length} bytes is over ${MAX_ENTRY}`);
    }
    const parts: Promise<LeafProof[]>[] = [];
    for (let at = 0; at < leaves.length; at += MAX_BATCH) {
      const part = leaves.slice(at, at + MAX_BATCH);
      parts.push(new Promise((resolve, reject) => this.#waiting.push({ leaves: part, resolve, reject })));
    }
    this.#draining ??= this.#drain().finally(() => (this.#draining = undefined));
    return (await Promise.all(parts)).flat();
  }

  async settled(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      let batch: Request[] = [];
      try {
        await exclusively(join(this.#files.path, ".lock"), async () => {
          // Taken only now: what came while another process was writing goes along.
          batch = this.#takeBatch();
          await this.#write(batch);
        });
      } catch (error) {
        this.#tree = undefined; // what reached the disk is not known: read it again
        const failed = batch.length > 0 ? batch : this.#waiting.splice(0);
        for (const request of failed) request.reject(error);
      }
    }
  }

  #takeBatch(): Request[] {
    let count = 0;
    let taken = 0;
    for (const { leaves } of this.#waiting) {
      if (taken > 0 && count + leaves.length > MAX_BATCH) break;
      count += leaves.length;
      taken++;
    }
    return this.#waiting.splice(0, taken);
  }

  async #write(batch: Request[]): Promise<void> {
    const tree = await this.#currentTree();
    const growth = grow(
      tree,
      batch.flatMap(({ leaves }) => leaves),
    );
    const { path } = this.#files;
    await writeFile(join(path, ".writing"), "");
    await writeTiles(path, growth.entryTiles.map(entryFile), this.#step);
    await writeTiles(path, growth.hashTiles.map(hashFile), this.#step);
    const fresh = new Map(growth.hashTiles.map((tile) => [`${tile.level}/${tile.index}`, tile.rows]));
    const { root, paths } = await this.#files.compute(
      growth.size,
      (node) => ({ root: treeRoot(growth.size, node), paths: batchProofs(tree.size, growth.size, node) }),
      fresh,
    );
    const signed = await this.#signed(growth.size, root);
    await writeDurable(`${path}.last`, signed);
    this.#step("last");
    const note = await this.#publish({ origin: this.verifier.name, size: growth.size, root }, signed);

    this.#files.remember(fresh);
    this.#tree = { size: growth.size, note, edge: growth.edge, entries: growth.entries };
    acknowledge(batch, tree.size, paths, { treeSize: growth.size, rootHash: root, checkpoint: note });
    await removeOutgrown(path, tree.size, growth.size);
    this.#step("tidied");
    await rm(join(path, ".writing"), { force: true });
  }

  /** Has a checkpoint that was signed, and is on the disk, cosigned and writes it where others read it. */
  async #publish(checkpoint: Checkpoint, signed: string): Promise<string> {
    const consistency = async (from: number): Promise<Uint8Array[]> =>
      await this.#files.compute(checkpoint.size, (node) => consistencyProof(from, checkpoint.size, node));
    const note = (await this.#options.cosign?.({ ...checkpoint, note: signed }, consistency)) ?? signed;
    this.#step("cosigned");
    await writeDurable(join(this.#files.path, "checkpoint"), note);
    this.#step("checkpoint");
    return note;
  }

  async #signed(size: number, root: Uint8Array): Promise<string> {
    const { name, keyHash } = this.verifier;
    const text = checkpointText({ origin: name, size, root });
    return await signNote(text, { name, keyHash, sign: (bytes) => this.#signer.sign(bytes) });
  }

  /** The tree in memory when the disk still has it; another process may have written, or died writing. */
  async #currentTree(): Promise<Tree> {
    const note = await this.#files.checkpointNote();
    if (this.#tree !== undefined && this.#tree.note === note && !(await isThere(join(this.#files.path, ".writing")))) {
      return this.#tree;
    }
    return await this.load();
  }
}

/** Hands every request the proofs of its own leaves. */
function acknowledge(
  batch: readonly Request[],
  from: number,
  paths: readonly Uint8Array[][],
  tree: { treeSize: number; rootHash: Uint8Array; checkpoint: string },
): void {
  let at = 0;
  for (const { leaves, resolve } of batch) {
    const own = paths.slice(at, at + leaves.length);
    const first = from + at;
    resolve(own.map((hashes, offset) => ({ index: first + offset, hashes, ...tree })));
    at += leaves.length;
  }
}

interface TileContent {
  path: string;
  bytes: Uint8Array;
}

function entryFile({ index, entries }: Growth["entryTiles"][number]): TileContent {
  return { path: tilePath("entries", index, entries.length), bytes: writeEntries(entries) };
}

function hashFile({ level, index, rows }: Growth["hashTiles"][number]): TileContent {
  return { path: tilePath(level, index, rows[0]?.length ?? 0), bytes: tileBytes(rows) };
}

interface Growth {
  size: number;
  edge: TileRows[];
  entries: Uint8Array[];
  entryTiles: { index: number; entries: Uint8Array[] }[];
  hashTiles: { level: number; index: number; rows: TileRows }[];
}

/** The tree after `leaves`, and the tiles that are new or wider; `tree` itself is left as it is. */
function grow(tree: Tree, leaves: readonly Uint8Array[]): Growth {
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

function batchProofs(from: number, to: number, node: (level: number, index: number) => Uint8Array): Uint8Array[][] {
  const proofs: Uint8Array[][] = [];
  const ragged: Ragged = new Map();
  for (let index = from; index < to; index++) proofs.push(inclusionProof(index, to, node, ragged));
  return proofs;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
