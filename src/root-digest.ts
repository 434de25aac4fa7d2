/**
 * One digest for a whole root file system: SHA-256 over a line for each entry
 * below it, in byte order of the paths,
 *
 *     d MODE - LENGTH PATH LF                a folder
 *     f MODE SHA256 LENGTH PATH LF           a file: of its content
 *     l - SHA256 LENGTH PATH LF              a symbolic link: of its target
 *
 * MODE is octal, without set-id bits; LENGTH is that of the path in bytes.
 * Owners and times do not count, and whether two names are one file does not.
 * Paths are bytes, kept as Latin-1 text.
 */
import { createHash } from "node:crypto";
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
  const end = `${path.length} ${path}\n`;
  if (type === "folder") return `d ${octal(mode)} - ${end}`;
  const content = digest === undefined ? "-" : hexOf(digest);
  return type === "link" ? `l - ${content} ${end}` : `f ${octal(mode)} ${content} ${end}`;
}

const octal = (mode: number): string => (mode & 0o1777).toString(8);

/** Takes entries in any order and gives the digest. */
export class RootHasher {
  readonly #lines: { path: string; line: string }[] = [];

  add(entry: RootEntry): void {
    this.#lines.push({ path: entry.path, line: rootLine(entry) });
  }

  digest(): Digest {
    const hasher = createHash("sha256");
    // Latin-1 text is in the order of its bytes.
    this.#lines.sort((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path)));
    for (const { line } of this.#lines) hasher.update(line, "latin1");
    return `sha256:${hasher.digest("hex")}`;
  }
}

export interface ListedEntry {
  path: string;
  line: string;
}

/** The digest of a root on disk, with the lines that it is made of, in order. Throws as `rootEntries`. */
export async function rootDigest(folder: string): Promise<{ digest: Digest; entries: ListedEntry[] }> {
  const hasher = new RootHasher();
  const entries: ListedEntry[] = [];
  for await (const entry of rootEntries(folder)) {
    hasher.add(entry);
    entries.push({ path: entry.path, line: rootLine(entry) });
  }
  return { digest: hasher.digest(), entries: entries.sort((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path))) };
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
