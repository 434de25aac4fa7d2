/**
 * One digest for a whole root file system: SHA-256 over a line for each entry
 * below it, parents before children, the names of a folder in byte order:
 *
 *     d 0755 - LENGTH PATH LF                a folder
 *     f 0644 SHA256 LENGTH PATH LF           a file: of its content
 *     l 0777 SHA256 LENGTH PATH LF           a symbolic link: of its target
 *
 * Modes are of four octal digits, LENGTH is the path's in bytes. Owners and times do not
 * count, and whether two names are one file does not. Paths are bytes, kept as
 * Latin-1 text.
 */
import { createHash, type Hash } from "node:crypto";
import { lstatSync, readlinkSync } from "node:fs";
import { type Digest, digestOf, digestOfFile, hexOf } from "./digest.ts";
import { BitforbitError } from "./errors.ts";
import { nameBytesIn } from "./tree.ts";

export interface RootEntry {
  /** Below the root, Latin-1 text of its bytes. */
  path: string;
  type: "folder" | "file" | "link";
  /** Permission and set-id bits; 0777 for a link. */
  mode: number;
  /** Of the content or target; undefined for a folder. */
  digest: Digest | undefined;
  /** Whole seconds since the epoch. */
  mtime: number;
}

export function rootLine({ path, type, mode, digest }: RootEntry): string {
  const content = digest === undefined ? "-" : hexOf(digest);
  return `${type[0]} ${mode.toString(8).padStart(4, "0")} ${content} ${path.length} ${path}\n`;
}

/** Takes entries in order and gives the digest. */
export class RootHasher {
  readonly #hasher: Hash = createHash("sha256");

  add(entry: RootEntry): void {
    this.#hasher.update(rootLine(entry), "latin1");
  }

  digest(): Digest {
    return `sha256:${this.#hasher.digest("hex")}`;
  }
}

/** The entries of a root on disk, in order, every file hashed. Throws `input` for what is no file, folder or link. */
export async function* rootEntries(folder: string): AsyncGenerator<RootEntry> {
  const root = Buffer.from(`${folder}/`);
  const pending = [""];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const place = Buffer.concat([root, Buffer.from(path, "latin1")]);
    const entry = path === "" ? undefined : await entryAt(place, path);
    if (entry !== undefined) yield entry;
    if (entry !== undefined && entry.type !== "folder") continue;
    const names = await nameBytesIn(place);
    for (const name of names.reverse()) pending.push((path === "" ? "" : `${path}/`) + name.toString("latin1"));
  }
}

async function entryAt(place: Buffer, path: string): Promise<RootEntry> {
  const stats = lstatSync(place);
  const mtime = Math.floor(stats.mtimeMs / 1000);
  const mode = stats.mode & 0o7777;
  if (stats.isDirectory()) return { path, type: "folder", mode, digest: undefined, mtime };
  if (stats.isSymbolicLink()) {
    return { path, type: "link", mode: 0o777, digest: digestOf(readlinkSync(place, { encoding: "buffer" })), mtime };
  }
  if (stats.isFile()) return { path, type: "file", mode, digest: await digestOfFile(place), mtime };
  throw new BitforbitError("input", `${JSON.stringify(place.toString())} is neither file, folder nor link`);
}
