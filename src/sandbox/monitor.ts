import { lchownSync, lstatSync, readFileSync, type Stats, statfsSync } from "node:fs";
import { systemCode } from "../errors.ts";
import { nameBytesIn, namesIn, walkTree } from "../tree.ts";

/** What a process tree uses, as /proc tells it. */
export interface TreeUse {
  processes: number;
  /** Resident bytes, shared pages counted once a process. */
  residentBytes: number;
}

const PAGE = 4096;

/** Adds up the processes and threads below `root`, itself not counted. proc(5), "/proc/[pid]/stat". */
export async function treeUse(root: number): Promise<TreeUse> {
  const children = new Map<number, { pid: number; threads: number; resident: number }[]>();
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, "utf8");
    } catch {
      continue;
    }
    // The command's name may hold spaces and brackets: fields are counted from the last bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const parent = Number(fields[1]);
    const known = children.get(parent) ?? [];
    known.push({ pid: Number(name), threads: Number(fields[17]), resident: Number(fields[21]) * PAGE });
    children.set(parent, known);
  }
  const use: TreeUse = { processes: 0, residentBytes: 0 };
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of children.get(pid) ?? []) {
      use.processes += child.threads;
      use.residentBytes += child.resident;
      pending.push(child.pid);
    }
  }
  return use;
}

/**
 * Bytes of a tree on disk, where every entry costs at least an inode; links
 * are not followed. Gives the tree to `owner` on the way, when one is named.
 */
async function bytesOnDisk(root: string, owner?: number): Promise<{ bytes: number; hidden: boolean }> {
  const visit = (path: Buffer): Stats => {
    const stats = lstatSync(path);
    if (owner !== undefined) lchownSync(path, owner, owner);
    bytes += stats.blocks * 512 + 256;
    return stats;
  };
  let bytes = 0;
  let hidden = false;
  const separator = Buffer.from("/");
  const pending: Buffer[] = [];
  const look = async (work: () => void | Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      // While the build goes on, entries vanish; before it, nothing may be missed.
      if (owner !== undefined) throw error;
      if (systemCode(error) !== "ENOENT") hidden = true;
    }
  };
  visit(Buffer.from(root));
  pending.push(Buffer.from(root));
  // Names are bytes: a build may choose some that are no text, so as not to be counted.
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const above = folder;
    await look(async () => {
      for (const name of await nameBytesIn(above)) {
        const path = Buffer.concat([above, separator, name]);
        await look(() => {
          if (visit(path).isDirectory()) pending.push(path);
        });
      }
    });
  }
  return { bytes, hidden };
}

/**
 * Watches how much writable folders grow. Asking the file system for its free
 * space costs nothing, so that is done at every poll; the folders themselves
 * are added up only when so much space has gone that the limit might be near,
 * or now and then, never for more than a twentieth of the time.
 */
export class DiskWatch {
  readonly #folders: readonly string[];
  readonly #limit: number;
  #startBytes = 0;
  #startFree = 0;
  #grown = 0;
  #freeAtWalk = 0;
  #nextWalk = 0;

  constructor(folders: readonly string[], limit: number) {
    // A file system is asked once, however many of the folders lie on it.
    this.#folders = folders.filter((folder, index) => folders.indexOf(folder) === index);
    this.#limit = limit;
  }

  /** Measures the folders, and gives them to `owner`, the build's own uid, when one is named. */
  async start(owner: number | undefined): Promise<void> {
    for (const folder of this.#folders) this.#startBytes += (await bytesOnDisk(folder, owner)).bytes;
    this.#startFree = this.#freeAtWalk = this.#free();
  }

  /** Whether the folders have grown by more than the limit. `now` is in milliseconds of any steady clock. */
  async isExceeded(now: number, elapsed: () => number): Promise<boolean> {
    const gone = this.#freeAtWalk - this.#free();
    if (this.#nextWalk === 0) this.#nextWalk = now + 2000;
    if (this.#grown + gone <= this.#limit && now < this.#nextWalk) return false;
    const began = elapsed();
    this.#freeAtWalk = this.#free();
    let [bytes, hidden] = [0, false];
    for (const folder of this.#folders) {
      const found = await bytesOnDisk(folder);
      bytes += found.bytes;
      hidden ||= found.hidden;
    }
    this.#grown = bytes - this.#startBytes;
    // What the build keeps from our eyes (mode 0300, paths beyond PATH_MAX) counts as the file system counts it.
    if (hidden) this.#grown = Math.max(this.#grown, this.#startFree - this.#freeAtWalk);
    const ended = elapsed();
    this.#nextWalk = ended + Math.max(2000, 20 * (ended - began));
    return this.#grown > this.#limit;
  }

  #free(): number {
    const seen = new Set<number>();
    let free = 0;
    for (const folder of this.#folders) {
      try {
        const { dev } = lstatSync(folder);
        if (seen.has(dev)) continue;
        seen.add(dev);
        const stats = statfsSync(folder);
        free += stats.bfree * stats.bsize + stats.ffree * 256;
      } catch {
        // Gone: nothing grows there.
      }
    }
    return free;
  }
}

/** Whether a file at or beyond the largest size that one file may have lies in the folders. */
export async function hasFileOfSize(folders: readonly string[], bytes: number): Promise<boolean> {
  for (const folder of folders) {
    try {
      for await (const entry of walkTree(folder)) if (entry.type === "file" && entry.stats.size >= bytes) return true;
    } catch {
      // As above.
    }
  }
  return false;
}
