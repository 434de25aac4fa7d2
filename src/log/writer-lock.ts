/**
 * What keeps the writers of one log apart where its folder lies on storage that
 * several machines write, and no lock of a kernel's holds between them.
 *
 * The lock's own memory says which tree the log has, and takes a new one only
 * from who holds the lock. Files have no such memory: whoever was stopped and
 * woke up later can still write them. So a writer under such a lock puts down
 * first what it is going to add (the stage), then has the new tree committed by
 * the lock, and only then writes tiles, signs and publishes. From there on
 * everything that is written follows from what was committed: one that wakes
 * up late writes the same bytes to the same names as the one that took over.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes, hex } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { createDurable, writeDurable } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { readIfThere, namesIfThere } from "./folder.ts";
import { parseEntries, writeEntries } from "./tile.ts";

export interface TreeHead {
  size: number;
  /** RFC 6962 root hash, 32 bytes. */
  root: Uint8Array;
}

/** That this process is the writer, as far as it knows: only `commit` and `confirm` ask. */
export interface Held {
  /** Grows each time that somebody becomes the writer. */
  epoch: string;
  /** The tree that was committed last; undefined before the first time. */
  committed: TreeHead | undefined;
  /** Puts another tree in its place, for good. Throws `outside`, and nothing was committed, when somebody else may be the writer. */
  commit(next: TreeHead): Promise<void>;
  /** Throws `outside` when this process is the writer no more. */
  confirm(): Promise<void>;
}

export interface WriterLock {
  /** For people: where the lock is. */
  readonly place: string;
  /** Whether somebody else may be the writer for long: nothing is then read or written when the log is opened. */
  readonly standsBy: boolean;
  /** Runs `work` while this process is the writer of the log with this key hash. Throws `outside` or `conflict` where it cannot be. */
  asWriter<T>(log: LogName, work: (held: Held) => Promise<T>): Promise<T>;
}

export interface LogName {
  origin: string;
  keyHash: Uint8Array;
}

/** Where the lock of the log in `folder` is, beside it: a log that has one is written under it only. */
const lockFileOf = (folder: string): string => `${folder}.postgresql`;

export async function lockPlaceOf(folder: string): Promise<string | undefined> {
  return (await readIfThere(lockFileOf(folder), 4096))?.trim();
}

/** Names the lock beside the log, from when on nobody writes it under another. Throws `conflict` where another one is named. */
export async function nameLock(folder: string, place: string): Promise<void> {
  await exclusively(join(folder, ".lock"), async () => {
    await createDurable(lockFileOf(folder), `${place}\n`);
    const named = await lockPlaceOf(folder);
    if (named === place) return;
    throw new BitforbitError(
      "conflict",
      `the log in ${folder} is written under the lock at ${named}, not at ${place}`,
      {
        hint: `two locks would let two write at once: end all writers, then change ${lockFileOf(folder)}`,
      },
    );
  });
}

/** What is to be added to the tree of `from`. */
export interface Stage {
  from: TreeHead;
  leaves: readonly Uint8Array[];
}

const stages = (folder: string): string => join(folder, ".staged");
const nameOf = ({ size, root }: TreeHead): string => `${String(size).padStart(16, "0")}-${hex(root)}`;
const HEAD = 8 + 32 + 32;

/** Puts down what makes the tree `to`, on the disk when this resolves. */
export async function stage(folder: string, { from, leaves }: Stage, to: TreeHead): Promise<void> {
  const content = writeEntries(leaves);
  const head = Buffer.alloc(8);
  head.writeBigUInt64BE(BigInt(from.size));
  await writeDurable(join(stages(folder), nameOf(to)), Buffer.concat([head, from.root, sha256(content), content]));
}

/** What was put down for the tree `to`; undefined where nothing was, or not the whole of it. */
export async function staged(folder: string, to: TreeHead): Promise<Stage | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(stages(folder), nameOf(to)));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const content = bytes.subarray(HEAD);
  if (bytes.length < HEAD || !equalBytes(sha256(content), bytes.subarray(40, HEAD))) return undefined;
  const from = { size: Number(bytes.readBigUInt64BE(0)), root: new Uint8Array(bytes.subarray(8, 40)) };
  return { from, leaves: parseEntries(content) };
}

/**
 * Removes what was put down for trees up to `size`, which are in place. Never
 * what is for a larger one: it may be that of somebody who took over meanwhile.
 */
export async function removeStaged(folder: string, size: number): Promise<void> {
  for (const name of await namesIfThere(stages(folder))) {
    if (/^\d{16}-[0-9a-f]{64}$/.test(name) && Number(name.slice(0, 16)) <= size) {
      await rm(join(stages(folder), name), { force: true });
    }
  }
}
