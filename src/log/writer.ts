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
 * write at a time. Appends that wait are written together. Where several
 * machines write, a `WriterLock` takes its place, and the order is its own:
 * see writer-lock.ts.
 */
import { rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hex } from "../bytes.ts";
import { createDurable, syncFolder, writeDurable } from "../durable.ts";
import { type Entropy, systemEntropy } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { type NoteVerifier, noteVerifier, signNote } from "../format/note.ts";
import { type Checkpoint, checkpointText, openCheckpoint } from "./checkpoint.ts";
import { MAX_BATCH, type Tree, edgeOf, sweep } from "./edge.ts";
import { type Growth, batchProofs, entryFile, grow, hashFile } from "./growth.ts";
import { LogFolder, damaged, namesIfThere, readIfThere } from "./folder.ts";
import { type Step, removeOutgrown, writeTiles } from "./tile-file.ts";
import { type LeafProof, type LogReader, checkAgainstLast, logReader, originOf } from "./reader.ts";
import { type TileRows, consistencyProof, emptyRoot, sameRoot, treeRoot } from "./tile.ts";
import { type Held, type TreeHead, type WriterLock, lockPlaceOf, removeStaged, stage, staged } from "./writer-lock.ts";

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
  /** What keeps writers on several machines apart; a log beside which a lock is named has no other. */
  lock?: WriterLock;
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
  /** Looks at the folder again, and publishes what was to be: after others wrote, or ended while they did. */
  refresh(): Promise<void>;
  /** Resolves when nothing is being written any more, the tidying after an acknowledgement included. */
  settled(): Promise<void>;
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
  const { lock } = options;
  await requireLock(folder, lock);
  const open = async (): Promise<LogWriter> => {
    await startLog(folder, signer, options);
    const origin = originOf((await files.checkpointNote()) ?? "", folder);
    if (options.origin !== undefined && origin !== options.origin) {
      throw new BitforbitError("conflict", `the log in ${folder} is ${origin}, not ${options.origin}`, {
        hint: "a log keeps its name for ever; start another in another folder",
      });
    }
    const opened = new LogWriter(files, signer, noteVerifier(origin, signer.publicKeyPem), options);
    if (lock === undefined) await opened.load();
    return opened;
  };
  // Of the kernel's lock nothing is known on another machine, and one that was stopped would keep it: it is for starting a log only.
  const started = lock !== undefined && (await isThere(join(folder, "checkpoint")));
  const writer = await (started ? open() : exclusively(join(folder, ".lock"), open));
  if (lock?.standsBy === false) await writer.refresh();
  return {
    ...logReader(files, writer.verifier, signer.publicKeyPem),
    appendAll: (leaves) => writer.appendAll(leaves),
    refresh: () => writer.refresh(),
    settled: () => writer.settled(),
  };
}

/** A log whose folder several machines write must never be written under a lock of this machine alone. */
async function requireLock(folder: string, lock: WriterLock | undefined): Promise<void> {
  const place = await lockPlaceOf(folder);
  if (place === undefined || lock !== undefined) return;
  throw new BitforbitError("refused", `the log in ${folder} is written under a lock in PostgreSQL only`, {
    hint: `${folder}.postgresql says which; remove it when nobody writes the log under that lock any more`,
  });
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
  async load(held?: Held): Promise<Tree> {
    this.#files.forget();
    const note = (await this.#files.checkpointNote()) ?? "";
    const published = openCheckpoint(note, this.verifier);
    // First: a tree that is not sound must not be told from one that shrank by what is removed.
    let tree = await edgeOf(this.#files, published, note);
    const pending = await checkAgainstLast(this.#files, this.verifier, published);
    if (held !== undefined) {
      tree = await this.#committedTree(held, pending?.checkpoint ?? published, tree);
    } else {
      if (pending !== undefined) {
        tree = await edgeOf(this.#files, pending.checkpoint, pending.note);
        tree.note = await this.#publish(pending.checkpoint, pending.note);
      }
      await sweep(this.#files.path, tree.size);
    }
    this.#tree = tree;
    return tree;
  }

  /**
   * The tree that the lock has committed, put in place and published where
   * whoever committed it did not come to that. `signed` is the largest that the
   * folder shows. Nothing is removed that a larger tree may have: we may have
   * been stopped since we looked.
   */
  async #committedTree(held: Held, signed: Checkpoint, published: Tree): Promise<Tree> {
    const { committed } = held;
    const { path } = this.#files;
    if (committed === undefined || committed.size < signed.size) {
      // The first time; or the database was restored from an older copy, or lost its last commits when another server took over.
      if (committed !== undefined) await this.#requireStart(signed, committed);
      await held.commit({ size: signed.size, root: signed.root });
    } else if (committed.size > signed.size) {
      await this.#installStaged(committed);
    }
    const head = held.committed ?? signed;
    let tree: Tree;
    try {
      tree = await edgeOf(this.#files, head, published.note);
      await this.#requireStart(head, signed);
    } catch (error) {
      if (!(error instanceof BitforbitError) || error.code !== "input") throw error;
      throw new BitforbitError(
        "refused",
        `the log in ${path} lacks what makes the ${head.size} entries that were committed`,
        {
          cause: error,
          hint: "an older copy of the folder was restored, or the storage lags behind: restore a newer one, with .staged",
        },
      );
    }
    if (head.size > published.size) tree.note = await this.#signAndPublish(head, held);
    await removeStaged(path, head.size);
    return { ...tree, epoch: held.epoch };
  }

  /** Writes the tiles of a tree that was committed from what was put down for it; again, where that was done already. */
  async #installStaged(head: TreeHead): Promise<void> {
    const found = await staged(this.#files.path, head);
    if (found === undefined) return;
    const growth = grow(await edgeOf(this.#files, found.from, ""), found.leaves);
    const fresh = freshRows(growth);
    const root = await this.#files.compute(growth.size, (node) => treeRoot(growth.size, node), fresh);
    if (growth.size !== head.size || !sameRoot(root, head.root)) throw damaged(".staged", "is not what was committed");
    await this.#install(growth);
    this.#files.forget();
  }

  async #requireStart(larger: TreeHead, smaller: TreeHead): Promise<void> {
    const root = await this.#files.compute(larger.size, (node) => treeRoot(smaller.size, node));
    if (sameRoot(root, smaller.root)) return;
    throw new BitforbitError(
      "refused",
      `the ${larger.size} entries of the log in ${this.#files.path} do not start with the ${smaller.size} that were committed or signed`,
      {
        hint: "two histories were written: nothing more is signed; 'bitforbit log judge' shows it, and a copy must say which is right",
      },
    );
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

  async refresh(): Promise<void> {
    const done = new Promise((resolve, reject) => this.#waiting.push({ leaves: [], resolve, reject }));
    this.#draining ??= this.#drain().finally(() => (this.#draining = undefined));
    await done;
  }

  async settled(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      let batch: Request[] = [];
      try {
        await this.#alone(async (held) => {
          // Taken only now: what came while another process was writing goes along.
          batch = this.#takeBatch();
          await this.#write(batch, held);
        });
      } catch (error) {
        this.#tree = undefined; // what reached the disk is not known: read it again
        const failed = batch.length > 0 ? batch : this.#waiting.splice(0);
        for (const request of failed) request.reject(error);
      }
    }
  }

  async #alone(work: (held?: Held) => Promise<void>): Promise<void> {
    const { path } = this.#files;
    const { lock } = this.#options;
    if (lock !== undefined) {
      const { name: origin, keyHash } = this.verifier;
      return await lock.asWriter({ origin, keyHash }, work);
    }
    await exclusively(join(path, ".lock"), async () => {
      await requireLock(path, lock);
      await work();
    });
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

  async #write(batch: Request[], held: Held | undefined): Promise<void> {
    const tree = await this.#currentTree(held);
    const leaves = batch.flatMap((request) => request.leaves);
    if (leaves.length === 0) return acknowledge(batch, tree.size, [], proofTree(tree));
    const growth = grow(tree, leaves);
    const { path } = this.#files;
    const fresh = freshRows(growth);
    const { root, paths } = await this.#files.compute(
      growth.size,
      (node) => ({ root: treeRoot(growth.size, node), paths: batchProofs(tree.size, growth.size, node) }),
      fresh,
    );
    const head = { size: growth.size, root };
    if (held === undefined) {
      await writeFile(join(path, ".writing"), "");
    } else {
      await stage(path, { from: tree, leaves }, head);
      this.#step("staged");
      await held.commit(head);
      this.#step("committed");
    }
    await this.#install(growth);
    const note = await this.#signAndPublish(head, held);

    this.#files.remember(fresh);
    const epoch = held === undefined ? {} : { epoch: held.epoch };
    this.#tree = { ...head, note, edge: growth.edge, entries: growth.entries, ...epoch };
    acknowledge(batch, tree.size, paths, proofTree(this.#tree));
    await removeOutgrown(path, tree.size, growth.size);
    this.#step("tidied");
    if (held === undefined) await rm(join(path, ".writing"), { force: true });
    else await removeStaged(path, growth.size);
  }

  async #install(growth: Growth): Promise<void> {
    await writeTiles(this.#files.path, growth.entryTiles.map(entryFile), this.#step);
    await writeTiles(this.#files.path, growth.hashTiles.map(hashFile), this.#step);
  }

  async #signAndPublish(head: TreeHead, held: Held | undefined): Promise<string> {
    const signed = await this.#signed(head.size, head.root);
    await writeDurable(`${this.#files.path}.last`, signed);
    this.#step("last");
    return await this.#publish({ origin: this.verifier.name, ...head }, signed, held);
  }

  /** Has a checkpoint that was signed, and is on the disk, cosigned and writes it where others read it. */
  async #publish(checkpoint: Checkpoint, signed: string, held?: Held): Promise<string> {
    const consistency = async (from: number): Promise<Uint8Array[]> =>
      await this.#files.compute(checkpoint.size, (node) => consistencyProof(from, checkpoint.size, node));
    const note = (await this.#options.cosign?.({ ...checkpoint, note: signed }, consistency)) ?? signed;
    this.#step("cosigned");
    // One that was stopped meanwhile would put an older checkpoint in place of a newer one.
    if (held !== undefined) {
      await held.confirm();
      this.#step("confirmed");
    }
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
  async #currentTree(held: Held | undefined): Promise<Tree> {
    const tree = this.#tree;
    if (tree !== undefined && tree.note === (await this.#files.checkpointNote())) {
      if (held === undefined ? !(await isThere(join(this.#files.path, ".writing"))) : tree.epoch === held.epoch) {
        return tree;
      }
    }
    return await this.load(held);
  }
}

function freshRows(growth: Growth): Map<string, TileRows> {
  return new Map(growth.hashTiles.map((tile) => [`${tile.level}/${tile.index}`, tile.rows]));
}

function proofTree({ size, root, note }: Tree): { treeSize: number; rootHash: Uint8Array; checkpoint: string } {
  return { treeSize: size, rootHash: root, checkpoint: note };
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

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
