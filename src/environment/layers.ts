/** Writes what a stack of layers amounts to (see `oci/layers.ts`) into a new folder. */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { createHash, type Hash } from "node:crypto";
import { showable } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import type { FileNode, FolderNode, LayerNode, LinkNode } from "../oci/layers.ts";
import { type RootEntry, RootHasher } from "../root-digest.ts";

export interface WrittenRoot {
  /** See `root-digest.ts`; the same on every machine and for every user. */
  digest: Digest;
  entries: number;
  /** Of all files, holes included; a file with two names counts once. */
  bytes: number;
}

/**
 * Writes a tree to where nothing is yet. Everything belongs to us; modes are
 * the layers', less what lets others write and the set-id bits, and more what
 * lets everyone read: builds run as other users. Times are the layers' whole
 * seconds, since programs compare them (Python its .pyc files), and the epoch
 * for what no layer names. `onEntry` is told of each entry in order. Throws
 * `outside` for a full disk, `refused` where the file system takes two names
 * for one; what was written then stays.
 */
export async function writeRoot(
  root: FolderNode,
  into: string,
  onEntry: (entry: RootEntry) => void = () => {},
): Promise<WrittenRoot> {
  const hasher = new RootHasher();
  const writer: Writer = { root: Buffer.from(`${into}/`), first: new Map(), bytes: 0 };
  let entries = 0;
  mkdirSync(into, { mode: 0o700 });
  const folders: { path: string; node: FolderNode }[] = [{ path: "", node: root }];
  const pending: { path: string; node: LayerNode }[] = children("", root);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (++entries % 512 === 0) await new Promise((resolve) => setImmediate(resolve));
    const { path, node } = next;
    const entry = attempt(path, () => writeNode(writer, path, node));
    hasher.add(entry);
    onEntry(entry);
    if (node.type !== "folder") continue;
    folders.push({ path, node });
    pending.push(...children(path, node));
  }
  // Innermost first: writing into a folder changes its time.
  for (const { path, node } of folders.reverse()) {
    const place = placeOf(writer, path);
    chmodSync(place, FOLDER_MODE);
    utimesSync(place, node.mtime, node.mtime);
  }
  return { digest: hasher.digest(), entries, bytes: writer.bytes };
}

const FOLDER_MODE = 0o755;

interface Writer {
  root: Buffer;
  /** Where a file with several names was written. */
  first: Map<FileNode, { place: Buffer; digest: Digest }>;
  bytes: number;
}

/** Last name first, as a stack wants them. */
function children(path: string, folder: FolderNode): { path: string; node: LayerNode }[] {
  const names = [...folder.children.keys()].sort().reverse();
  return names.flatMap((name) => {
    const node = folder.children.get(name)?.node;
    return node === undefined ? [] : [{ path: path === "" ? name : `${path}/${name}`, node }];
  });
}

function placeOf(writer: Writer, path: string): Buffer {
  return Buffer.concat([writer.root, Buffer.from(path, "latin1")]);
}

function writeNode(writer: Writer, path: string, node: LayerNode): RootEntry {
  const place = placeOf(writer, path);
  const { type, mtime } = node;
  if (type === "folder") {
    mkdirSync(place, { mode: 0o700 });
    return { path, type, mode: FOLDER_MODE, digest: undefined, mtime };
  }
  if (type === "link") return { path, type, mode: 0o777, digest: writeLink(place, node), mtime };
  const mode = (node.mode & 0o755) | 0o444;
  const first = writer.first.get(node);
  if (first !== undefined) {
    linkSync(first.place, place);
    return { path, type, mode, digest: first.digest, mtime };
  }
  const digest = writeFile(place, node, mode);
  writer.bytes += node.size;
  if (node.linked) writer.first.set(node, { place, digest });
  return { path, type, mode, digest, mtime };
}

function writeLink(place: Buffer, node: LinkNode): Digest {
  const target = Buffer.from(node.target, "latin1");
  symlinkSync(target, place);
  lutimesSync(place, node.mtime, node.mtime);
  return digestOf(target);
}

function writeFile(place: Buffer, node: FileNode, mode: number): Digest {
  // Opens nothing that is there, and no link, whatever else may write here.
  const file = openSync(place, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    const digest = node.pieces === undefined ? writeWhole(file, node) : writePieces(file, node, node.pieces);
    fchmodSync(file, mode);
    futimesSync(file, node.mtime, node.mtime);
    return digest;
  } finally {
    closeSync(file);
  }
}

const CHUNK = 1 << 20;
const scratch = new Uint8Array(CHUNK);
const zeros = new Uint8Array(CHUNK);

function writeWhole(file: number, { source, at, size }: FileNode): Digest {
  if (size <= CHUNK) {
    const bytes = source.read(at, size, scratch);
    writeAll(file, bytes, 0);
    return digestOf(bytes);
  }
  const hasher = createHash("sha256");
  copy(file, source, { offset: 0, at, length: size }, hasher);
  return `sha256:${hasher.digest("hex")}`;
}

function writePieces(file: number, node: FileNode, pieces: NonNullable<FileNode["pieces"]>): Digest {
  const hasher = createHash("sha256");
  let end = 0;
  const hole = (until: number): void => {
    for (let length = until - end; length > 0; length -= CHUNK)
      hasher.update(zeros.subarray(0, Math.min(CHUNK, length)));
  };
  ftruncateSync(file, node.size);
  for (const piece of pieces) {
    hole(piece.offset);
    copy(file, node.source, piece, hasher);
    end = piece.offset + piece.length;
  }
  hole(node.size);
  return `sha256:${hasher.digest("hex")}`;
}

function copy(
  file: number,
  source: FileNode["source"],
  piece: { offset: number; at: number; length: number },
  hasher: Hash,
): void {
  for (let done = 0; done < piece.length; done += CHUNK) {
    const bytes = source.read(piece.at + done, Math.min(CHUNK, piece.length - done), scratch);
    hasher.update(bytes);
    writeAll(file, bytes, piece.offset + done);
  }
}

function writeAll(file: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, offset + at);
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BitforbitError) throw error;
    const code = systemCode(error);
    const name = JSON.stringify(showable(Buffer.from(path, "latin1")).slice(0, 300));
    if (code === "EEXIST") {
      throw new BitforbitError("refused", `${name} exists already: this file system takes two names for one`, {
        cause: error,
        hint: "keep the cache on a file system that tells case and all bytes of names apart",
      });
    }
    const full = code === "ENOSPC" || code === "EDQUOT";
    throw new BitforbitError(
      "outside",
      full ? `no space left to write ${name}` : `cannot write ${name}: ${messageOf(error)}`,
      {
        cause: error,
        ...(full ? { hint: "free disk space, then run again" } : {}),
      },
    );
  }
}
