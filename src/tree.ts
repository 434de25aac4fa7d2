import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  type Stats,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { chmod, lstat, readdir, readlink, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, digestOfFile } from "./digest.ts";
import { BitforbitError, systemCode } from "./errors.ts";
import { byteOrder } from "./order.ts";

export interface TreeEntry {
  /** Path below the root with `/` between names; the root itself is not listed. */
  path: string;
  type: "file" | "directory" | "link" | "other";
  stats: Stats;
  /** Where a link points, as it is written. */
  target?: string;
}

/** Names in a folder, in byte order: the only place that asks the file system for its own order. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort(byteOrder);
}

/** Like `namesIn`, at once: for the few names beside a file. */
export function namesInNow(folder: string): string[] {
  return readdirSync(folder).sort(byteOrder);
}

/** Like `namesIn`, for names that need not be UTF-8: the bytes, in byte order. */
export async function nameBytesIn(folder: Buffer): Promise<Buffer[]> {
  return (await readdir(folder, { encoding: "buffer" })).sort((a, b) => Buffer.compare(a, b));
}

/**
 * Everything below `root` in byte order of the paths, parents first; links are
 * not followed. Throws `limit` beyond `maxEntries`.
 */
export async function* walkTree(root: string, maxEntries = 2_000_000): AsyncGenerator<TreeEntry> {
  let count = 0;
  const pending: string[] = [""];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const subfolders: string[] = [];
    for (const name of await namesIn(join(root, folder))) {
      if (++count > maxEntries) throw new BitforbitError("limit", `${root}: more than ${maxEntries} entries`);
      const path = folder === "" ? name : `${folder}/${name}`;
      const stats = await statsOf(join(root, path));
      if (stats.isDirectory()) {
        yield { path, type: "directory", stats };
        subfolders.push(path);
      } else if (stats.isSymbolicLink()) {
        yield { path, type: "link", stats, target: await readlink(join(root, path)) };
      } else {
        yield { path, type: stats.isFile() ? "file" : "other", stats };
      }
    }
    pending.push(...subfolders.reverse());
  }
}

async function statsOf(path: string): Promise<Stats> {
  try {
    return await lstat(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENAMETOOLONG" || (code === "ENOENT" && path.includes("\ufffd"))) {
      const what = code === "ENOENT" ? "has a name that is not UTF-8" : "has a path that is too long";
      throw new BitforbitError("input", `${JSON.stringify(path.slice(-200))} ${what}`, { cause: error });
    }
    throw error;
  }
}

/**
 * One digest for a tree: SHA-256 over a line per file and link in byte order,
 * `mode SP sha256 SP length-of-path SP path LF`, where mode is 644, 755 or
 * `link` (then the SHA-256 is of the target). Owners, times and empty folders
 * do not count.
 */
export async function treeDigest(root: string): Promise<{ digest: Digest; files: number; bytes: number }> {
  const lines: { path: string; line: string }[] = [];
  let bytes = 0;
  for await (const entry of walkTree(root)) {
    if (entry.type === "directory") continue;
    if (entry.type === "other") throw new BitforbitError("input", `${entry.path} is neither a file nor a link`);
    const mode = entry.type === "link" ? "link" : entry.stats.mode & 0o100 ? "755" : "644";
    const digest = entry.type === "link" ? digestOf(entry.target ?? "") : await digestOfFile(join(root, entry.path));
    if (entry.type === "file") bytes += entry.stats.size;
    lines.push({ path: entry.path, line: treeLine(mode, digest, entry.path) });
  }
  return { digest: digestOfTreeLines(lines), files: lines.length, bytes };
}

export function treeLine(mode: "644" | "755" | "link", digest: Digest, path: string): string {
  return `${mode} ${digest.slice(7)} ${Buffer.byteLength(path)} ${path}\n`;
}

export function digestOfTreeLines(lines: { path: string; line: string }[]): Digest {
  return digestOf(
    lines
      .sort((a, b) => byteOrder(a.path, b.path))
      .map(({ line }) => line)
      .join(""),
  );
}

/**
 * Copies a tree with its modes and times, to where nothing is; blocks are
 * shared where the file system can. Synchronous: trees consist of small files,
 * for which waiting costs more than copying. Throws `input` for what is neither
 * file, folder nor link.
 */
export function copyTree(from: string, to: string): void {
  const stats = lstatSync(from);
  if (stats.isDirectory()) {
    mkdirSync(to, { mode: 0o700 });
    for (const name of readdirSync(from).sort(byteOrder)) copyTree(join(from, name), join(to, name));
    chmodSync(to, stats.mode & 0o7777);
    utimesSync(to, stats.atimeMs / 1000, stats.mtimeMs / 1000);
  } else if (stats.isSymbolicLink()) {
    symlinkSync(readlinkSync(from), to);
    lutimesSync(to, stats.atimeMs / 1000, stats.mtimeMs / 1000);
  } else if (stats.isFile()) {
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    utimesSync(to, stats.atimeMs / 1000, stats.mtimeMs / 1000);
  } else {
    throw new BitforbitError("input", `${from} is neither a file nor a link`);
  }
}

/** Removes a tree, read-only folders and paths beyond PATH_MAX included; links are removed, not followed. */
export async function removeTree(root: string): Promise<void> {
  try {
    await rm(root, { recursive: true, force: true });
    return;
  } catch (error) {
    if (!["EACCES", "EPERM", "ENAMETOOLONG"].includes(systemCode(error) ?? "")) throw error;
  }
  // What the first attempt began may still be going on: entries vanish while we look.
  for (let attempt = 0; ; attempt++) {
    try {
      await openFolders(root, true);
      break;
    } catch (error) {
      if (systemCode(error) !== "ENOENT" || attempt === 100) throw error;
      if ((await lstat(root).catch(() => undefined)) === undefined) return;
    }
  }
  await rm(root, { recursive: true, force: true });
}

/** A path longer than this may hide others that the kernel refuses to take: PATH_MAX is 4096. */
const LONG_PATH = 2048;

/**
 * Gives every folder of a tree of ours back to its owner (rwx), which a build
 * may have taken away. Folders too deep to be named are passed over; with
 * `flatten` they are moved up to where they can be.
 */
export async function openFolders(root: string, flatten = false): Promise<void> {
  const separator = Buffer.from("/");
  const pending = [Buffer.from(root)];
  let moved = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const { mode } = await lstat(folder);
    if ((mode & 0o700) !== 0o700) await chmod(folder, 0o700 | (mode & 0o777));
    for (const name of await nameBytesIn(folder)) {
      let path = Buffer.concat([folder, separator, name]);
      if (path.length > LONG_PATH && !flatten) continue;
      if (!(await lstat(path)).isDirectory()) continue;
      if (flatten && path.length > LONG_PATH) {
        const shallow = Buffer.from(join(root, `.deep-${moved++}`));
        await rename(path, shallow);
        path = shallow;
      }
      pending.push(path);
    }
  }
}
