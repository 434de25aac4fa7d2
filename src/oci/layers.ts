/**
 * What a stack of layers amounts to, worked out in memory before anything is
 * written: image-spec 1.1, "Image Layer Filesystem Changeset". Because the
 * outcome is a tree without history, a writer of it meets no link on its way
 * and nothing that it has to remove.
 *
 * Paths are resolved as after chroot(2): a link in the middle of a path is
 * followed inside the root and never out of it; the last name is not followed.
 * A whiteout hides what lower layers put there, never what its own layer does,
 * wherever it stands in the archive.
 */
import { showable } from "../bytes.ts";
import { type ByteSource, memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { TAR_LIMITS, type TarEntry, tarEntries } from "../format/tar.ts";
import { type SparseFile, sparseFile } from "./sparse.ts";

export interface LayerLimits {
  /** Members of all layers together. */
  maxEntries: number;
  /** Bytes of all files that a layer brings, holes included. */
  maxBytes: number;
  /** Names in a path. */
  maxDepth: number;
  /** Bytes of a path. */
  maxPath: number;
}

export const LAYER_LIMITS: LayerLimits = {
  maxEntries: 3_000_000,
  maxBytes: 64 * 2 ** 30,
  maxDepth: 256,
  maxPath: 3072,
};

/** Latin-1 text, one character a byte: names in a root need not be UTF-8. */
export type Name = string;

export interface FolderNode {
  type: "folder";
  /** Permission bits as the layer has them. */
  mode: number;
  /** Seconds since the epoch; 0 for a folder that no layer names. */
  mtime: number;
  children: Map<Name, Placed>;
  parent: FolderNode | undefined;
  /** The last layer that named this folder; -1 for none. */
  named: number;
  /** The last layer that put something here or below. */
  touched: number;
}

export interface FileNode {
  type: "file";
  mode: number;
  mtime: number;
  size: number;
  /** Where the content lies: all of it at `at`, or in pieces with holes between. */
  source: ByteSource;
  at: number;
  pieces: SparseFile["pieces"] | undefined;
  /** It has had another name, and may have it still. */
  linked: boolean;
}

export interface LinkNode {
  type: "link";
  /** As it is written, in bytes as Latin-1. */
  target: string;
  mtime: number;
}

export type LayerNode = FolderNode | FileNode | LinkNode;

interface Placed {
  node: LayerNode;
  /** The layer that put it here: files with several names have several. */
  layer: number;
}

/** What was left out or changed, to be said. Lists hold the first few. */
export interface LayerNotes {
  /** Devices, FIFOs, sockets. */
  specialFiles: number;
  specialExamples: string[];
  /** Set-user-id, set-group-id and sticky bits on files. */
  setIds: number;
  setIdExamples: string[];
  /** Members with extended attributes or ACLs. */
  attributes: number;
  /** Names that began with a slash. */
  absolute: number;
}

const MAX_NAME = 255;
const MAX_TARGET = 4095;
const MAX_HOPS = 40;
const EXAMPLES = 20;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** A root in the making. */
export class LayerTree {
  readonly root: FolderNode = newFolder(undefined, -1);
  readonly notes: LayerNotes = {
    specialFiles: 0,
    specialExamples: [],
    setIds: 0,
    setIdExamples: [],
    attributes: 0,
    absolute: 0,
  };
  readonly #limits: LayerLimits;
  #layer = -1;
  #entries = 0;
  #bytes = 0;

  constructor(limits: LayerLimits = LAYER_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Applies the next layer, an uncompressed tar, which must stay open: files
   * keep pointing into it. Lets others have a turn now and then. Throws
   * `input`, `refused` or `limit`, naming the layer and the member.
   */
  async apply(source: ByteSource): Promise<void> {
    this.#layer++;
    let turn = 0;
    for (const entry of tarEntries(source, { ...TAR_LIMITS, maxMembers: this.#limits.maxEntries })) {
      if (++turn % 4096 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (++this.#entries > this.#limits.maxEntries) {
        throw new BitforbitError("limit", `${source.name}: over ${this.#limits.maxEntries} members (maxEntries)`);
      }
      this.#member(source, entry);
    }
  }

  #member(source: ByteSource, entry: TarEntry): void {
    const sparse = entry.sparse ? sparseFile(source, entry) : undefined;
    const nameBytes = sparse?.nameBytes ?? entry.nameBytes;
    const fail: Fail = (code, what) =>
      new BitforbitError(code, `${source.name}: ${JSON.stringify(showable(nameBytes).slice(0, 300))} ${what}`);
    const names = this.#names(nameBytes, fail);
    // aufs kept its own books under such names; they are no content.
    if (names.slice(0, -1).some((name) => name.startsWith(`${WHITEOUT}${WHITEOUT}`))) return;
    if (names.slice(0, -1).some((name) => name.startsWith(WHITEOUT))) throw fail("refused", "stands in a whiteout");
    const last = names.at(-1);
    if (last === undefined) {
      if (entry.type === "5") this.#describe(this.root, entry);
      return;
    }
    if (last.startsWith(WHITEOUT)) {
      this.#whiteout(names.slice(0, -1), last, fail);
      return;
    }
    if (last.length > MAX_NAME) throw fail("limit", `has a name longer than ${MAX_NAME} bytes`);
    this.#place(source, entry, sparse, names, fail);
  }

  #place(source: ByteSource, entry: TarEntry, sparse: SparseFile | undefined, names: Name[], fail: Fail): void {
    const last = names.at(-1) ?? "";
    if ([...entry.pax.keys()].some((key) => /^(?:SCHILY\.(?:xattr|acl)\.|LIBARCHIVE\.xattr\.)/.test(key))) {
      this.notes.attributes++;
    }
    // v7 wrote folders as files whose name ends in a slash.
    const folder = entry.type === "5" || (entry.type === "0" && entry.dialect === "v7" && entry.name.endsWith("/"));
    if (folder) {
      const parent = this.#folderAt(names.slice(0, -1), fail);
      const there = parent.children.get(last)?.node;
      const node = there?.type === "folder" ? there : newFolder(parent, this.#layer);
      this.#put(parent, last, node);
      this.#describe(node, entry);
      return;
    }
    switch (entry.type) {
      case "0":
      case "7":
      case "S": {
        this.#put(this.#folderAt(names.slice(0, -1), fail), last, this.#file(source, entry, sparse, names, fail));
        return;
      }
      case "1": {
        const node = this.#linked(entry.linkBytes, fail);
        if (node.type === "file") node.linked = true;
        this.#put(this.#folderAt(names.slice(0, -1), fail), last, node);
        return;
      }
      case "2": {
        const target = Buffer.from(entry.linkBytes).toString("latin1");
        if (target === "" || target.includes("\0")) throw fail("refused", "links to nothing");
        if (target.length > MAX_TARGET) throw fail("limit", `links to over ${MAX_TARGET} bytes`);
        this.#put(this.#folderAt(names.slice(0, -1), fail), last, { type: "link", target, mtime: timeOf(entry) });
        return;
      }
      case "3":
      case "4":
      case "6":
        this.#special(names, fail);
        return;
      default:
        throw fail("refused", `is a member of type ${JSON.stringify(entry.type)}, which is not known`);
    }
  }

  /** A device or FIFO is not made, but it hides what was there before it. */
  #special(names: Name[], fail: Fail): void {
    this.notes.specialFiles++;
    example(this.notes.specialExamples, names);
    const parent = this.#resolve(names.slice(0, -1), fail);
    if (parent?.type === "folder") parent.children.delete(names.at(-1) ?? "");
  }

  #file(source: ByteSource, entry: TarEntry, sparse: SparseFile | undefined, names: Name[], fail: Fail): FileNode {
    const size = sparse?.size ?? entry.size;
    this.#bytes += size;
    if (this.#bytes > this.#limits.maxBytes) {
      throw fail("limit", `brings the layers to over ${this.#limits.maxBytes} bytes of files (maxBytes)`);
    }
    if ((entry.mode & 0o7000) !== 0) {
      this.notes.setIds++;
      example(this.notes.setIdExamples, names);
    }
    const where = { source, at: entry.dataOffset, pieces: sparse?.pieces, linked: false };
    return { type: "file", mode: entry.mode & 0o777, mtime: timeOf(entry), size, ...where };
  }

  /** What a hard link shares: it must be there already, in this layer or a lower one. */
  #linked(linkBytes: Uint8Array, fail: Fail): FileNode | LinkNode {
    const names = this.#names(linkBytes, fail);
    const shown = JSON.stringify(showable(linkBytes).slice(0, 300));
    const parent = this.#resolve(names.slice(0, -1), fail);
    const node = parent?.type === "folder" ? parent.children.get(names.at(-1) ?? "")?.node : undefined;
    if (node === undefined) throw fail("refused", `is a hard link to ${shown}, which is not there`);
    if (node.type === "folder") throw fail("refused", `is a hard link to ${shown}, a folder`);
    return node;
  }

  #describe(folder: FolderNode, entry: TarEntry): void {
    folder.mode = entry.mode & 0o777;
    folder.mtime = timeOf(entry);
    folder.named = this.#layer;
    folder.touched = this.#layer;
  }

  #put(parent: FolderNode, name: Name, node: LayerNode): void {
    parent.children.set(name, { node, layer: this.#layer });
    this.#touch(parent);
  }

  /** Marks the way to a folder as this layer's, so that a whiteout of this layer spares it. */
  #touch(folder: FolderNode): void {
    for (let at: FolderNode | undefined = folder; at !== undefined && at.touched !== this.#layer; at = at.parent) {
      at.touched = this.#layer;
    }
  }

  #whiteout(folder: Name[], last: Name, fail: Fail): void {
    const hidden = last.slice(WHITEOUT.length);
    if (last.startsWith(`${WHITEOUT}${WHITEOUT}`) && last !== OPAQUE) return;
    if (hidden === "" || hidden === "." || hidden === "..") throw fail("refused", "is a whiteout of nothing");
    const parent = this.#resolve(folder, fail);
    if (parent?.type !== "folder") return;
    if (last === OPAQUE) this.#hideChildren(parent);
    else this.#hide(parent, hidden);
  }

  #hideChildren(folder: FolderNode): void {
    for (const name of folder.children.keys()) this.#hide(folder, name);
  }

  #hide(parent: FolderNode, name: Name): void {
    const placed = parent.children.get(name);
    if (placed === undefined) return;
    const { node } = placed;
    if ((node.type === "folder" ? node.touched : placed.layer) !== this.#layer) {
      parent.children.delete(name);
    } else if (node.type === "folder") {
      // This layer's own content stays; what lower layers said of the folder does not.
      if (node.named !== this.#layer) Object.assign(node, { mode: 0o755, mtime: 0 });
      this.#hideChildren(node);
    }
  }

  /** The names of a member's path. Throws for `..`, NUL and what is too long or deep. */
  #names(nameBytes: Uint8Array, fail: Fail): Name[] {
    const path = Buffer.from(nameBytes).toString("latin1");
    if (path.includes("\0")) throw fail("refused", "has a NUL in its name");
    if (path.length > this.#limits.maxPath) throw fail("limit", `has a path over ${this.#limits.maxPath} bytes`);
    if (path.startsWith("/")) this.notes.absolute++;
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    if (names.includes("..")) throw fail("refused", `leaves the root, or could: ${showable(nameBytes).slice(0, 300)}`);
    if (names.length > this.#limits.maxDepth) throw fail("limit", `is over ${this.#limits.maxDepth} folders deep`);
    return names;
  }

  /** The folder at a path, made where it is missing. Throws `refused` when something else is in the way. */
  #folderAt(names: readonly Name[], fail: Fail): FolderNode {
    const node = this.#resolve(names, fail, true);
    if (node?.type === "folder") return node;
    throw fail("refused", `is to be written below ${node?.type === "file" ? "a file" : "what is no folder"}`);
  }

  /** Walks a path as the kernel would after chroot(2), links included; undefined when it leads nowhere. */
  #resolve(names: readonly Name[], fail: Fail, make = false): FolderNode | FileNode | undefined {
    const pending = [...names].reverse();
    let at = this.root;
    let depth = 0;
    let hops = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        at = at.parent ?? this.root;
        depth = Math.max(0, depth - 1);
        continue;
      }
      if (name.length > MAX_NAME) throw fail("limit", `has a name longer than ${MAX_NAME} bytes`);
      let node = at.children.get(name)?.node;
      if (node === undefined) {
        if (!make) return undefined;
        if (name.startsWith(WHITEOUT)) throw fail("refused", "leads through a link to a whiteout's name");
        node = newFolder(at, -1);
        this.#put(at, name, node);
      }
      if (node.type === "file") {
        if (pending.length === 0) return node;
        if (!make) return undefined;
        throw fail("refused", "is to be written below a file");
      }
      if (node.type === "folder") {
        at = node;
        if (++depth > this.#limits.maxDepth) throw fail("limit", `is over ${this.#limits.maxDepth} folders deep`);
        continue;
      }
      if (++hops > MAX_HOPS || pending.length > 10_000) {
        throw fail("refused", `leads round in links, or through over ${MAX_HOPS}`);
      }
      if (node.target.startsWith("/")) [at, depth] = [this.root, 0];
      pending.push(...node.target.split("/").reverse());
    }
    return at;
  }

  /**
   * Makes sure that a folder (or an empty file) is at a path for something to
   * be mounted on; what no folder can be is left. Returns false when something else is there.
   */
  provide(path: string, type: "folder" | "file"): boolean {
    const fail: Fail = (code, what) => new BitforbitError(code, `${path} ${what}`);
    const names = path.split("/").filter((name) => name !== "");
    const last = names.pop() ?? "";
    const parent = this.#resolve(names, fail, type === "folder");
    if (parent?.type !== "folder") return false;
    const there = parent.children.get(last)?.node;
    if (there !== undefined) return there.type === type;
    this.#put(parent, last, type === "folder" ? newFolder(parent, -1) : emptyFile());
    return true;
  }
}

type Fail = (code: "input" | "limit" | "refused", what: string) => BitforbitError;

function emptyFile(): FileNode {
  const source = memorySource(new Uint8Array(0), "nothing");
  return { type: "file", mode: 0o644, mtime: 0, size: 0, source, at: 0, pieces: undefined, linked: false };
}

function newFolder(parent: FolderNode | undefined, named: number): FolderNode {
  return { type: "folder", mode: 0o755, mtime: 0, children: new Map(), parent, named, touched: -1 };
}

/** Whole seconds that any file system holds: not before 1970, not after 2446. */
function timeOf(entry: TarEntry): number {
  return Math.min(Math.max(Math.floor(entry.mtime), 0), 15_032_385_535);
}

function example(list: string[], names: readonly Name[]): void {
  if (list.length < EXAMPLES) list.push(showable(Buffer.from(names.join("/"), "latin1")));
}
