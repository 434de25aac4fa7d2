/**
 * A verified copy of a log in a folder, which any web server or bucket can
 * serve. What is there and fits is not fetched again, so a copy that was cut
 * short goes on; each tile is on the disk before the checkpoint that needs it.
 */
import { join } from "node:path";
import { utf8 } from "../bytes.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import type { NoteVerifier } from "../format/note.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { evidenceOf, evidenceText } from "./contradiction.ts";
import { LogFolder } from "./folder.ts";
import { notesText, publishedSearch } from "./search.ts";
import type { TileSource } from "./source.ts";
import { TILE_WIDTH, edgeTiles, sameRoot, tileBytes, tilePath, tileWidth, treeRoot, writeEntries } from "./tile.ts";
import { hasContent, removeOutgrown, writeTile } from "./tile-file.ts";
import { VerifiedTree } from "./verified.ts";

/** Requests under way at once. */
const AT_ONCE = 8;

export interface Mirrored {
  origin: string;
  /** Entries that the copy had before, and has now. */
  before: number;
  size: number;
  /** Files that were written; those that were there and fit are not. */
  written: number;
  bytes: number;
}

/**
 * Brings the copy in `folder` up to the newest checkpoint of `source`. Throws
 * `refused` when that one contradicts the copy's own (it is then kept as
 * `<folder>.contradiction.json`), or is older.
 */
export async function mirrorLog(source: TileSource, verifier: NoteVerifier, folder: string): Promise<Mirrored> {
  return await exclusively(join(folder, ".lock"), async () => {
    const note = await source.checkpointNote();
    if (note === undefined) throw new BitforbitError("input", `there is no log at ${source.name}`);
    const newest = openCheckpoint(note, verifier);
    const target = new LogFolder(folder);
    const held = await target.checkpointNote();
    const before = held === undefined ? 0 : openCheckpoint(held, verifier).size;
    const tree = new VerifiedTree([target, source], newest);
    if (held !== undefined) await requireGrowth(held, note, verifier, tree, folder);
    const copy = new Copy(tree, target);
    // From the top, so that each tile is checked by one that is there already when a cut short copy goes on.
    for (let level = edgeTiles(newest.size).at(-1)?.level ?? -1; level >= 0; level--) await copy.level(level);
    await copy.entries();
    if (note !== held) await writeDurable(join(folder, "checkpoint"), note);
    await removeOutgrown(folder, before, newest.size);
    await copySearch(source, verifier, newest.size, folder);
    return { origin: verifier.name, before, size: newest.size, written: copy.written, bytes: copy.bytes };
  });
}

/** What the log published for others to search with, if it is of a tree that the copy has. */
async function copySearch(source: TileSource, verifier: NoteVerifier, size: number, folder: string): Promise<void> {
  const published = await publishedSearch(source, verifier);
  if (published === undefined || published.head.size > size) return;
  const target = join(folder, "search.json");
  const content = utf8(notesText(published.notes));
  if (!(await hasContent(target, content))) await writeDurable(target, content);
}

/** That the newest tree starts with the one that the copy has. */
async function requireGrowth(
  held: string,
  note: string,
  verifier: NoteVerifier,
  tree: VerifiedTree,
  folder: string,
): Promise<void> {
  const first = openCheckpoint(held, verifier);
  if (first.size > tree.size) {
    throw new BitforbitError(
      "refused",
      `the log has ${tree.size} entries, the copy in ${folder} already ${first.size}`,
      {
        hint: "an old checkpoint was served, or the log was restored from an old copy; ask its operator",
      },
    );
  }
  if (await startsWith(tree, first)) return;
  const kept = `${folder}.contradiction.json`;
  await writeDurable(kept, evidenceText(await evidenceOf(held, note, tree, first.size)));
  throw new BitforbitError(
    "refused",
    `the log ${verifier.name} was rewritten: its ${tree.size} entries do not start with the ${first.size} that it had signed`,
    { hint: `'bitforbit log judge ${kept}' shows it to anyone who has the log's key` },
  );
}

/** Whether the tree starts with the smaller one of `first`: the root of its first leaves is computed from the tree itself. */
export async function startsWith(tree: VerifiedTree, first: Checkpoint): Promise<boolean> {
  if (first.size > tree.size) return false;
  return sameRoot(await tree.compute((node) => treeRoot(first.size, node)), first.root);
}

class Copy {
  written = 0;
  bytes = 0;
  readonly #tree: VerifiedTree;
  readonly #target: LogFolder;

  constructor(tree: VerifiedTree, target: LogFolder) {
    this.#tree = tree;
    this.#target = target;
  }

  async level(level: number): Promise<void> {
    const nodes = Math.floor(this.#tree.size / TILE_WIDTH ** level);
    await atOnce(Math.ceil(nodes / TILE_WIDTH), async (index) => {
      const { content } = await this.#tree.rows(level, index);
      await this.#put(level, index, tileBytes(content));
    });
  }

  async entries(): Promise<void> {
    await atOnce(Math.ceil(this.#tree.size / TILE_WIDTH), async (index) => {
      const { content } = await this.#tree.entries(index);
      await this.#put("entries", index, writeEntries(content));
    });
  }

  /** Writes what was checked, unless the very file is there with the same content. */
  async #put(level: number | "entries", index: number, content: Uint8Array): Promise<void> {
    const width = tileWidth(level === "entries" ? 0 : level, index, this.#tree.size);
    const path = tilePath(level, index, width);
    if (await hasContent(join(this.#target.path, path), content)) return;
    await writeTile(this.#target.path, path, content);
    this.written++;
    this.bytes += content.length;
  }
}

/** Runs `work` for 0 … count−1, several at once; the first failure ends it, when those under way have ended. */
async function atOnce(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    try {
      while (next < count) await work(next++);
    } catch (error) {
      next = count;
      throw error;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
}
