import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { digestOfTreeLines, treeLine, walkTree } from "../tree.ts";

/** One file or link of a source, and where its bytes lie on this machine. */
export interface SourceFile {
  path: string;
  mode: "644" | "755" | "link";
  from: string;
  digest: Digest;
}

export function digestOfFiles(files: readonly SourceFile[]): Digest {
  return digestOfTreeLines(files.map(({ path, mode, digest }) => ({ path, line: treeLine(mode, digest, path) })));
}

/** What a folder holds at a path: undefined when nothing, or something that is neither file nor link. */
export interface Examined {
  mode: "644" | "755" | "link";
  digest: Digest;
  /** Whether git would store these bytes as the object asked about. */
  matches: (oid: string) => boolean;
}

const CHUNK = 1 << 20;
const MAX_CONVERTED = 64 << 20;

/**
 * Reads the file or link at `root/path` once, for its SHA-256 and its git
 * object id, of which `idDigits` tells the hash (0: not wanted). Never through a
 * link, in its place or on the way there.
 */
export function examine(
  root: string,
  path: string,
  folders: Map<string, boolean>,
  idDigits: 0 | 40 | 64 = 0,
): Examined | undefined {
  if (!realFolders(root, dirname(path), folders)) return undefined;
  const full = join(root, path);
  let stats;
  try {
    stats = lstatSync(full);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(full);
    return {
      mode: "link",
      digest: digestOf(target),
      matches: (oid) => blobId(Buffer.from(target), oid.length) === oid,
    };
  }
  return stats.isFile() ? examineFile(full, idDigits) : undefined;
}

/** Whether every folder on the way is a real one: a link could lead to any file of the machine. */
export function realFolders(root: string, folder: string, known: Map<string, boolean>): boolean {
  if (folder === ".") return true;
  const seen = known.get(folder);
  if (seen !== undefined) return seen;
  const real =
    realFolders(root, dirname(folder), known) &&
    lstatSync(join(root, folder), { throwIfNoEntry: false })?.isDirectory() === true;
  known.set(folder, real);
  return real;
}

function examineFile(full: string, idDigits: 0 | 40 | 64): Examined {
  const file = openSync(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    const sha256 = createHash("sha256");
    const blob = idDigits === 0 ? undefined : createHash(idDigits === 64 ? "sha256" : "sha1");
    blob?.update(`blob ${stats.size}\0`);
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, stats.size + 1));
    let size = 0;
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      const chunk = buffer.subarray(0, count);
      sha256.update(chunk);
      blob?.update(chunk);
      size += count;
    }
    const digest: Digest = `sha256:${sha256.digest("hex")}`;
    const id = blob?.digest("hex");
    return {
      mode: stats.mode & 0o100 ? "755" : "644",
      digest,
      matches: (oid) => oid === id || isConverted(full, size, digest, oid),
    };
  } finally {
    closeSync(file);
  }
}

/**
 * Whether a file that differs from its object differs only by what a checkout
 * does: CRLF for LF (gitattributes `eol=crlf`), or the content for a Git LFS
 * pointer, which names it by SHA-256.
 */
function isConverted(full: string, size: number, digest: Digest, oid: string): boolean {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid ${digest}\nsize ${size}\n`;
  if (blobId(Buffer.from(pointer), oid.length) === oid) return true;
  if (size > MAX_CONVERTED) return false;
  const file = openSync(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const content = Buffer.alloc(size);
    readSync(file, content, 0, size, 0);
    if (!content.includes("\r\n")) return false;
    return blobId(Buffer.from(content.toString("latin1").replaceAll("\r\n", "\n"), "latin1"), oid.length) === oid;
  } finally {
    closeSync(file);
  }
}

/** git's object id of a blob: SHA-1 where ids have 40 digits, SHA-256 where they have 64. */
function blobId(content: Buffer, digits: number): string {
  return createHash(digits === 64 ? "sha256" : "sha1")
    .update(`blob ${content.length}\0`)
    .update(content)
    .digest("hex");
}

/** Everything in a folder, without what belongs to version control and to bitforbit itself. */
export async function filesOfFolder(root: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  const folders = new Map<string, boolean>();
  for await (const entry of walkTree(root)) {
    if (entry.type === "directory" || /^(?:.*\/)?\.(?:git|hg|svn|bitforbit)(?:\/|$)/.test(entry.path)) continue;
    const examined = examine(root, entry.path, folders);
    if (examined === undefined) {
      throw new BitforbitError("input", `${entry.path} is neither a file nor a link`, {
        hint: "remove it, then run again",
      });
    }
    files.push({ path: entry.path, mode: examined.mode, from: join(root, entry.path), digest: examined.digest });
  }
  return files;
}
