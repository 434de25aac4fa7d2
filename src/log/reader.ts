/** A log that is only read: entries, proofs, and the audit that recomputes everything. */
import { base64, equalBytes } from "../bytes.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { type NoteVerifier, noteVerifier } from "../format/note.ts";
import { type Checkpoint, openCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { LogFolder, damaged, readIfThere } from "./folder.ts";
import { verifyConsistency } from "./proof.ts";
import {
  TILE_WIDTH,
  type TileRows,
  consistencyProof,
  growRows,
  inclusionProof,
  leafHash,
  sameRoot,
  tileBytes,
  tilePath,
  treeRoot,
} from "./tile.ts";

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

export interface LogReader {
  identity: LogIdentity;
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
  const files = new LogFolder(folder);
  const note = await files.checkpointNote();
  if (note === undefined) {
    if ((await readIfThere(`${folder}.last`)) !== undefined) throw damaged(`${folder}/checkpoint`, "is missing");
    throw new BitforbitError("input", `there is no log in ${folder}`, { hint: "'bitforbit build' starts one" });
  }
  return logReader(files, noteVerifier(origin ?? originOf(note, folder), publicKeyPem), publicKeyPem);
}

/** The origin that a checkpoint claims. Throws `input`, naming the file, for one that was cut off. */
export function originOf(note: string, folder: string): string {
  try {
    return parseCheckpoint(noteText(note)).origin;
  } catch (error) {
    throw damaged(`${folder}/checkpoint`, `cannot be read: ${messageOf(error)}`);
  }
}

export function logReader(files: LogFolder, verifier: NoteVerifier, publicKeyPem: string): LogReader {
  let verified: (Checkpoint & { note: string }) | undefined;
  const newest = async (): Promise<Checkpoint & { note: string }> => {
    const note = await files.checkpointNote();
    if (verified !== undefined && note === verified.note) return verified;
    if (note === undefined) throw new BitforbitError("input", `the checkpoint of the log in ${files.path} is missing`);
    verified = { ...openCheckpoint(note, verifier), note };
    return verified;
  };
  return {
    identity: { origin: verifier.name, publicKeyPem, keyHash: verifier.keyHash },
    checkpoint: newest,
    entry: async (index) => {
      const { size } = await newest();
      checkIndex(index, size);
      const tile = Math.floor(index / TILE_WIDTH);
      const column = index % TILE_WIDTH;
      const entry = (await files.entries(tile, Math.min(TILE_WIDTH, size - tile * TILE_WIDTH)))[column];
      return entry ?? new Uint8Array();
    },
    prove: async (index) => {
      const { size, root, note } = await newest();
      checkIndex(index, size);
      const hashes = await files.compute(size, (node) => inclusionProof(index, size, node));
      return { index, treeSize: size, rootHash: root, hashes, checkpoint: note };
    },
    consistency: async (first, second) => {
      const { size } = await newest();
      const to = second ?? size;
      if (!Number.isSafeInteger(to) || to < 0 || to > size) {
        throw new BitforbitError("input", `the log has ${size} entries, not ${to}`);
      }
      return { first, second: to, hashes: await files.compute(to, (node) => consistencyProof(first, to, node)) };
    },
    audit: async () => {
      const problems: string[] = [];
      let size = 0;
      try {
        const checkpoint = await newest();
        size = checkpoint.size;
        await auditTree(files, checkpoint, problems);
        await checkAgainstLast(files, verifier, size, checkpoint.root);
      } catch (error) {
        problems.push(messageOf(error));
      }
      return { ok: problems.length === 0, origin: verifier.name, size, problems };
    },
  };
}

/**
 * Holds the log against the last checkpoint that was signed, which lies beside
 * it. Throws `refused` for a log that shrank or was rewritten since.
 */
export async function checkAgainstLast(
  files: LogFolder,
  verifier: NoteVerifier,
  size: number,
  root: Uint8Array,
): Promise<void> {
  const note = await readIfThere(`${files.path}.last`);
  if (note === undefined) return;
  const last = openCheckpoint(note, verifier);
  if (last.size > size) {
    throw new BitforbitError("refused", `the log in ${files.path} has ${size} entries, but ${last.size} were signed`, {
      hint: "an older copy was restored: restore a newer one. Signing a smaller tree would contradict the proofs given out",
    });
  }
  if (last.size === 0) return;
  const proof = await files.compute(size, (node) => consistencyProof(last.size, size, node));
  if (!verifyConsistency(last.size, size, last.root, root, proof)) {
    throw new BitforbitError("refused", `the log in ${files.path} contradicts the checkpoint in ${files.path}.last`, {
      hint: "the log was rewritten: restore it from a copy",
    });
  }
}

/** Everything before the signatures of a note, unverified. */
export function noteText(note: string): string {
  return note.slice(0, note.lastIndexOf("\n\n") + 1);
}

const MAX_PROBLEMS = 20;

async function auditTree(files: LogFolder, checkpoint: Checkpoint, problems: string[]): Promise<void> {
  const { size, root } = checkpoint;
  const open: { index: number; rows: TileRows }[] = [];
  const settle = async (level: number, width: number): Promise<void> => {
    const tile = open[level];
    if (tile === undefined || problems.length >= MAX_PROBLEMS) return;
    try {
      if (!equalBytes(await files.hashes(level, tile.index, width), tileBytes(tile.rows))) {
        problems.push(`${tilePath(level, tile.index, width)} does not follow from the entries`);
      }
    } catch (error) {
      problems.push(messageOf(error));
    }
  };
  const push = async (level: number, hash: Uint8Array): Promise<void> => {
    const tile = (open[level] ??= { index: 0, rows: [[]] });
    growRows(tile.rows, hash);
    if (tile.rows[0]?.length !== TILE_WIDTH) return;
    await settle(level, TILE_WIDTH);
    await push(level + 1, tile.rows[8]?.[0] ?? new Uint8Array());
    open[level] = { index: tile.index + 1, rows: [[]] };
  };
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    for (const entry of await files.entries(index, width)) await push(0, leafHash(entry));
  }
  for (const [level, tile] of open.entries()) {
    const width = tile.rows[0]?.length ?? 0;
    if (width > 0) await settle(level, width);
  }
  const recomputed = rootOf(open, size);
  if (!sameRoot(recomputed, root)) {
    problems.push(`the entries give the root ${base64(recomputed)}, the checkpoint says ${base64(root)}`);
  }
}

/** The root of the tree from its open right-edge tiles alone. */
function rootOf(open: { index: number; rows: TileRows }[], size: number): Uint8Array {
  return treeRoot(size, (level, index) => {
    const tile = open[Math.floor(level / 8)];
    const row = tile?.rows[level % 8];
    const column = index - (tile?.index ?? 0) * (TILE_WIDTH / 2 ** (level % 8));
    return row?.[column] ?? new Uint8Array(32);
  });
}

function checkIndex(index: number, size: number): void {
  if (Number.isSafeInteger(index) && index >= 0 && index < size) return;
  throw new BitforbitError("input", `the log has ${size} entries: there is no entry ${index}`);
}
