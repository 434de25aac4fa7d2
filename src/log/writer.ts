/**
 * The one writer of a tile log (C2SP tlog-tiles) in a folder. What an append
 * does, in order, each step on the disk before the next:
 *
 *   1. the entry tiles
 *   2. the hash tiles
 *   3. the checkpoint, signed over them: the moment at which leaves are in the log
 *
 * and only then are the leaves acknowledged. After it the same checkpoint is
 * written beside the folder, `<folder>.last`: when the folder is restored from
 * an old copy, the log is seen to have shrunk. A crash before step 3 leaves
 * tiles that the checkpoint does not cover; they are removed before the next append.
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
import { checkpointText, openCheckpoint } from "./checkpoint.ts";
import { LogFolder, damaged, namesIfThere, readIfThere } from "./folder.ts";
import { kindsOf, removeOutgrown, removePartials, writeTile } from "./tile-file.ts";
import { type LeafProof, type LogReader, checkAgainstLast, logReader, originOf } from "./reader.ts";
import {
  TILE_WIDTH,
  type Ragged,
  type TileRows,
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

/** Leaves written together at most: 16 full entry tiles, and the bound on what a crash can leave behind. */
const MAX_BATCH = 16 * TILE_WIDTH;
const MAX_ENTRY = 0xffff;

/** Signs checkpoints: `keys.checkpoint`, an Ed25519 key. */
export interface CheckpointSigner {
  publicKeyPem: string;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
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
export async function openLog(
  folder: string,
  signer: CheckpointSigner,
  options: { entropy?: Entropy } = {},
): Promise<Log> {
  const entropy = options.entropy ?? systemEntropy;
  const files = new LogFolder(folder);
  const tree = await exclusively(join(folder, ".lock"), async () => {
    await startLog(folder, signer, entropy);
    const verifier = noteVerifier(originOf((await files.checkpointNote()) ?? "", folder), signer.publicKeyPem);
    return { verifier, state: await loadTree(files, verifier) };
  });
  const writer = new LogWriter(files, signer, tree.verifier, tree.state);
  return {
    ...logReader(files, tree.verifier, signer.publicKeyPem),
    appendAll: (leaves) => writer.appendAll(leaves),
    settled: () => writer.settled(),
  };
}

/** Signs the empty tree, unless there is a log. Throws `refused` when there was one. */
async function startLog(folder: string, signer: CheckpointSigner, entropy: Entropy): Promise<void> {
  if ((await readIfThere(join(folder, "checkpoint"))) !== undefined) return;
  if ((await namesIfThere(join(folder, "tile"))).length > 0 || (await readIfThere(`${folder}.last`)) !== undefined) {
    throw new BitforbitError("refused", `the checkpoint of the log in ${folder} is gone`, {
      hint: `restore the folder from a copy; ${folder}.last has the last checkpoint that was signed`,
    });
  }
  const origin = `log-${hex(entropy.bytes(8))}.bitforbit.local`;
  const { keyHash } = noteVerifier(origin, signer.publicKeyPem);
  const text = checkpointText({ origin, size: 0, root: emptyRoot() });
  const note = await signNote(text, { name: origin, keyHash, sign: (bytes) => signer.sign(bytes) });
  await createDurable(join(folder, "checkpoint"), note);
  await syncFolder(dirname(folder));
  await syncFolder(dirname(dirname(folder)));
}

/**
 * Reads the right edge of the tree and holds the checkpoint against it, and
 * against the last one that was signed; then removes what a crash left behind.
 */
async function loadTree(files: LogFolder, verifier: NoteVerifier): Promise<Tree> {
  files.forget();
  const note = (await files.checkpointNote()) ?? "";
  const { size, root } = openCheckpoint(note, verifier);
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
  await checkAgainstLast(files, verifier, size, root);
  await sweep(files.path, size);
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
  readonly #verifier: NoteVerifier;
  #tree: Tree | undefined;
  #waiting: Request[] = [];
  #draining: Promise<void> | undefined;

  constructor(files: LogFolder, signer: CheckpointSigner, verifier: NoteVerifier, tree: Tree) {
    this.#files = files;
    this.#signer = signer;
    this.#verifier = verifier;
    this.#tree = tree;
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
    await Promise.all(
      growth.entryTiles.map(({ index, entries }) =>
        writeTile(path, tilePath("entries", index, entries.length), writeEntries(entries)),
      ),
    );
    await Promise.all(
      growth.hashTiles.map(({ level, index, rows }) =>
        writeTile(path, tilePath(level, index, rows[0]?.length ?? 0), tileBytes(rows)),
      ),
    );
    const fresh = new Map(growth.hashTiles.map((tile) => [`${tile.level}/${tile.index}`, tile.rows]));
    const { root, paths } = await this.#files.compute(
      growth.size,
      (node) => ({ root: treeRoot(growth.size, node), paths: batchProofs(tree.size, growth.size, node) }),
      fresh,
    );
    const note = await this.#signed(growth.size, root);
    await writeDurable(join(path, "checkpoint"), note);

    this.#files.remember(fresh);
    this.#tree = { size: growth.size, note, edge: growth.edge, entries: growth.entries };
    acknowledge(batch, tree.size, paths, { treeSize: growth.size, rootHash: root, checkpoint: note });
    await writeDurable(`${path}.last`, note);
    await removeOutgrown(path, tree.size, growth.size);
    await rm(join(path, ".writing"), { force: true });
  }

  async #signed(size: number, root: Uint8Array): Promise<string> {
    const { name, keyHash } = this.#verifier;
    const text = checkpointText({ origin: name, size, root });
    return await signNote(text, { name, keyHash, sign: (bytes) => this.#signer.sign(bytes) });
  }

  /** The tree in memory when the disk still has it; another process may have written, or died writing. */
  async #currentTree(): Promise<Tree> {
    const note = await this.#files.checkpointNote();
    if (this.#tree !== undefined && this.#tree.note === note && !(await isThere(join(this.#files.path, ".writing")))) {
      return this.#tree;
    }
    return await loadTree(this.#files, this.#verifier);
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
