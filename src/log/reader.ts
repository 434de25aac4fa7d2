/** A log that is only read: entries, proofs, and the audit that recomputes everything. */
import { BitforbitError, messageOf } from "../errors.ts";
import { type NoteVerifier, noteVerifier } from "../format/note.ts";
import { type Checkpoint, noteText, openCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { LogFolder, damaged, readIfThere } from "./folder.ts";
import { checkLog } from "./fsck.ts";
import type { TileSource } from "./source.ts";
import { TILE_WIDTH, consistencyProof, inclusionProof, sameRoot, treeRoot } from "./tile.ts";
import { TileCache, VerifiedTree } from "./verified.ts";

/** What others need to trust a log. */
export interface LogIdentity {
  /** Name of the log: origin of its checkpoints, name of their signer, host name for Sigstore verifiers. */
  origin: string;
  /** Ed25519, PEM, SubjectPublicKeyInfo. */
  publicKeyPem: string;
  /** SHA-256(origin ‖ 0x0A ‖ 0x01 ‖ public key): Sigstore's `logId.keyId`. */
  keyHash: Uint8Array;
}

/** That a leaf stands in the log, for whoever trusts the log's key. */
export interface LeafProof {
  /** Position of the leaf, from 0. */
  index: number;
  treeSize: number;
  rootHash: Uint8Array;
  /** RFC 6962 inclusion path, lowest sibling first. */
  hashes: Uint8Array[];
  /** The signed note of the tree that the proof is for. */
  checkpoint: string;
}

export interface Audit {
  ok: boolean;
  origin: string;
  size: number;
  /** Each a sentence; empty when everything agrees. */
  problems: string[];
}

/** A checkpoint whose signature was verified, and the tree that it is of. */
export interface SignedTree {
  checkpoint: Checkpoint;
  note: string;
  tree: VerifiedTree;
}

export interface LogReader {
  identity: LogIdentity;
  verifier: NoteVerifier;
  source: TileSource;
  /** The newest checkpoint with its tree, to read more than one thing from the same tree. */
  newest(): Promise<SignedTree>;
  /** The newest checkpoint, its signature verified. */
  checkpoint(): Promise<Checkpoint & { note: string }>;
  /** The bytes of one leaf. Throws `input` when the log has no such index. */
  entry(index: number): Promise<Uint8Array>;
  /** Proof that leaf `index` is in the newest tree. */
  prove(index: number): Promise<LeafProof>;
  /** Proof that the tree of `second` leaves (default: the newest) starts with the tree of `first`. */
  consistency(first: number, second?: number): Promise<{ first: number; second: number; hashes: Uint8Array[] }>;
  /** Recomputes every hash from the entries and compares every tile and the checkpoint. Never throws for damage. */
  audit(): Promise<Audit>;
}

/**
 * Opens the log in `folder` for reading. `publicKeyPem` is the key that must
 * have signed its checkpoint; the origin is the checkpoint's own unless given.
 * Throws `input` when there is no log, `refused` for a checkpoint of another key.
 */
export async function openLogReader(folder: string, publicKeyPem: string, origin?: string): Promise<LogReader> {
  return await readLog(new LogFolder(folder), publicKeyPem, origin);
}

/** As `openLogReader`, wherever the log is. Everything that is read is checked against the checkpoint. */
export async function readLog(source: TileSource, publicKeyPem: string, origin?: string): Promise<LogReader> {
  const note = await source.checkpointNote();
  if (note === undefined) {
    if (source instanceof LogFolder && (await readIfThere(`${source.path}.last`)) !== undefined) {
      throw damaged(`${source.path}/checkpoint`, "is missing");
    }
    throw new BitforbitError("input", `there is no log in ${source.name}`, { hint: "'bitforbit build' starts one" });
  }
  return logReader(source, noteVerifier(origin ?? originOf(note, source.name), publicKeyPem), publicKeyPem);
}

/** The origin that a checkpoint claims. Throws `input`, naming the file, for one that was cut off. */
export function originOf(note: string, place: string): string {
  try {
    return parseCheckpoint(noteText(note)).origin;
  } catch (error) {
    throw damaged(`${place}/checkpoint`, `cannot be read: ${messageOf(error)}`);
  }
}

export function logReader(source: TileSource, verifier: NoteVerifier, publicKeyPem: string): LogReader {
  const cache = new TileCache();
  let newest: SignedTree | undefined;
  const tree = async (): Promise<SignedTree> => {
    const note = await source.checkpointNote();
    if (newest !== undefined && note === newest.note) return newest;
    if (note === undefined) throw new BitforbitError("input", `the checkpoint of the log in ${source.name} is missing`);
    const checkpoint = openCheckpoint(note, verifier);
    newest = { checkpoint, note, tree: new VerifiedTree([source], checkpoint, cache) };
    return newest;
  };
  return {
    identity: { origin: verifier.name, publicKeyPem, keyHash: verifier.keyHash },
    verifier,
    source,
    newest: tree,
    checkpoint: async () => {
      const { checkpoint, note } = await tree();
      return { ...checkpoint, note };
    },
    entry: async (index) => {
      const { tree: verified } = await tree();
      checkIndex(index, verified.size);
      const { content } = await verified.entries(Math.floor(index / TILE_WIDTH));
      return content[index % TILE_WIDTH] ?? new Uint8Array();
    },
    prove: async (index) => {
      const { tree: verified, note } = await tree();
      const { size, root } = verified;
      checkIndex(index, size);
      const hashes = await verified.compute((node) => inclusionProof(index, size, node));
      return { index, treeSize: size, rootHash: root, hashes, checkpoint: note };
    },
    consistency: async (first, second) => {
      const { tree: verified } = await tree();
      const to = second ?? verified.size;
      if (!Number.isSafeInteger(to) || to < 0 || to > verified.size) {
        throw new BitforbitError("input", `the log has ${verified.size} entries, not ${to}`);
      }
      return { first, second: to, hashes: await verified.compute((node) => consistencyProof(first, to, node)) };
    },
    audit: async () => {
      const checked = await checkLog(source, verifier);
      const problems = checked.problems.map(({ path, what }) => `${path} ${what}`);
      try {
        const { checkpoint } = await tree();
        if (problems.length === 0 && source instanceof LogFolder) {
          await checkAgainstLast(source, verifier, checkpoint);
        }
      } catch (error) {
        problems.push(messageOf(error));
      }
      return { ok: problems.length === 0, origin: verifier.name, size: checked.size, problems };
    },
  };
}

/**
 * Holds the log against the last checkpoint that was signed, which lies beside
 * it. Gives that one when it is ahead of what is published and the folder has
 * its tree: the log was ended between the two. Throws `refused` for a log that
 * shrank or was rewritten since.
 */
export async function checkAgainstLast(
  files: LogFolder,
  verifier: NoteVerifier,
  published: Checkpoint,
): Promise<SignedTree | undefined> {
  const note = await readIfThere(`${files.path}.last`);
  if (note === undefined) return undefined;
  const last = openCheckpoint(note, verifier);
  const [smaller, larger] = last.size > published.size ? [published, last] : [last, published];
  const tree = new VerifiedTree([files], larger);
  let starts: boolean;
  try {
    starts = sameRoot(await tree.compute((node) => treeRoot(smaller.size, node)), smaller.root);
    if (larger === last) await requireEntries(tree, published.size);
  } catch (error) {
    if (larger !== last || !(error instanceof BitforbitError) || error.code !== "input") throw error;
    throw new BitforbitError(
      "refused",
      `the log in ${files.path} has ${published.size} entries, but ${last.size} were signed`,
      {
        cause: error,
        hint: "an older copy was restored: restore a newer one. Signing a smaller tree would contradict the proofs given out",
      },
    );
  }
  if (!starts) {
    throw new BitforbitError("refused", `the log in ${files.path} contradicts the checkpoint in ${files.path}.last`, {
      hint: "the log was rewritten: restore it from a copy",
    });
  }
  return larger === last && last.size > published.size ? { checkpoint: last, note, tree } : undefined;
}

/** That all entries from `from` on are there, and hash to the tree. */
async function requireEntries(tree: VerifiedTree, from: number): Promise<void> {
  for (let tile = Math.floor(from / TILE_WIDTH); tile * TILE_WIDTH < tree.size; tile++) await tree.entries(tile);
}

function checkIndex(index: number, size: number): void {
  if (Number.isSafeInteger(index) && index >= 0 && index < size) return;
  throw new BitforbitError("input", `the log has ${size} entries: there is no entry ${index}`);
}
