import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

export interface ExtractLimits {
  maxMembers: number;
  /** Bytes of all files together. */
  maxBytes: number;
  /** Names in a path. */
  maxDepth: number;
}

export const EXTRACT_LIMITS: ExtractLimits = { maxMembers: 200_000, maxBytes: 4 * 2 ** 30, maxDepth: 100 };

const MAX_NAME = 255;
const MAX_LINK_HOPS = 40;

/** A name in an archive cannot be trusted: this is one that was checked. Latin-1 text, one character a byte. */
export type PlacedPath = string;

type Kind = "directory" | "file" | "link";

/**
 * What an extraction has placed so far, and the rules for placing more. Paths
 * are kept as Latin-1 text, one character a byte, because file names need not
 * be UTF-8. Since the target folder begins empty and links are made last,
 * nothing is ever written through a link.
 */
export class ExtractionPlan {
  readonly #archive: string;
  readonly #limits: ExtractLimits;
  readonly #strip: boolean;
  readonly #kinds = new Map<PlacedPath, Kind>();
  readonly #targets = new Map<PlacedPath, string>();
  #top: string | undefined;
  #members = 0;
  #bytes = 0;

  constructor(archive: string, limits: ExtractLimits, strip: 0 | 1) {
    this.#archive = archive;
    this.#limits = limits;
    this.#strip = strip === 1;
  }

  /**
   * The names of a member's path below the target folder; empty for the
   * target folder itself. Counts the member. Throws `refused` or `limit`.
   */
  names(nameBytes: Uint8Array): string[] {
    if (++this.#members > this.#limits.maxMembers) {
      throw this.#error("limit", `more than ${this.#limits.maxMembers} members (maxMembers)`);
    }
    return this.#withoutTop(this.#checked(nameBytes), nameBytes);
  }

  /** Like `names`, for what a hard link points to: another member. */
  existingFile(nameBytes: Uint8Array): PlacedPath {
    const path = this.#withoutTop(this.#checked(nameBytes), nameBytes).join("/");
    if (this.#kinds.get(path) === "file") return path;
    throw this.#error("refused", `a hard link to ${quoted(nameBytes)}, which is no file extracted before it`);
  }

  #checked(nameBytes: Uint8Array): string[] {
    const path = Buffer.from(nameBytes).toString("latin1");
    if (path.includes("\0")) throw this.#error("refused", `a name with a NUL: ${quoted(nameBytes)}`);
    if (path.startsWith("/")) throw this.#error("refused", `an absolute path: ${quoted(nameBytes)}`);
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    if (names.includes("..")) throw this.#error("refused", `a path that leaves the folder: ${quoted(nameBytes)}`);
    if (names.length > this.#limits.maxDepth) {
      throw this.#error("limit", `a path of ${names.length} names, over ${this.#limits.maxDepth} (maxDepth)`);
    }
    if (names.some((name) => name.length > MAX_NAME)) {
      throw this.#error("limit", `a name longer than ${MAX_NAME} bytes: ${quoted(nameBytes)}`);
    }
    return names;
  }

  #withoutTop(names: string[], nameBytes: Uint8Array): string[] {
    if (!this.#strip || names.length === 0) return names;
    this.#top ??= names[0];
    if (names[0] !== this.#top) {
      throw this.#error(
        "input",
        `${quoted(nameBytes)} is not in the top folder ${JSON.stringify(this.#top)}`,
        "strip the top folder only where all members are in one",
      );
    }
    return names.slice(1);
  }

  /** Folders to make, outermost first, before something can be placed at `names`. Throws `refused`. */
  missingFolders(names: readonly string[]): PlacedPath[] {
    const missing: PlacedPath[] = [];
    for (let length = 1; length < names.length; length++) {
      const path = names.slice(0, length).join("/");
      const kind = this.#kinds.get(path);
      if (kind === undefined) {
        this.#kinds.set(path, "directory");
        missing.push(path);
      } else if (kind !== "directory") {
        throw this.#error("refused", `${shown(names.join("/"))} is to be written through ${shown(path)}, a ${kind}`);
      }
    }
    return missing;
  }

  /** Takes `path` for good; false for a folder that is there already. Throws `refused` when it is taken. */
  place(path: PlacedPath, kind: Kind): boolean {
    const taken = this.#kinds.get(path);
    if (taken === "directory" && kind === "directory") return false;
    if (taken !== undefined) throw this.#error("refused", `${shown(path)} occurs twice: as ${taken} and as ${kind}`);
    this.#kinds.set(path, kind);
    return true;
  }

  placeLink(path: PlacedPath, targetBytes: Uint8Array): void {
    this.place(path, "link");
    const target = Buffer.from(targetBytes).toString("latin1");
    if (target === "" || target.includes("\0")) throw this.#error("refused", `${shown(path)} links to nothing`);
    this.#targets.set(path, target);
  }

  /** Counts bytes of content. Throws `limit`. */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.maxBytes) {
      throw this.#error("limit", `more than ${this.#limits.maxBytes} bytes of files (maxBytes)`);
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The links, once all members are known: only then can one see where a link
   * leads that goes through another. Throws `refused` for one that could leave
   * the folder, or that goes round in circles.
   */
  links(): ReadonlyMap<PlacedPath, string> {
    for (const [path, target] of this.#targets) this.#follow(path, target);
    return this.#targets;
  }

  /** Walks a link's target name by name as the kernel would, links on the way included. */
  #follow(path: PlacedPath, target: string): void {
    const pending = target.split("/").reverse();
    const at = path.split("/").slice(0, -1);
    let hops = 0;
    if (target.startsWith("/")) {
      throw this.#error("refused", `${shown(path)} links to ${shown(target)}, an absolute path`);
    }
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (at.pop() === undefined) {
          throw this.#error("refused", `${shown(path)} links to ${shown(target)}, which leaves the folder`);
        }
        continue;
      }
      at.push(name);
      const next = this.#targets.get(at.join("/"));
      if (next === undefined) continue;
      if (++hops > MAX_LINK_HOPS || pending.length > 10_000) {
        throw this.#error("refused", `${shown(path)} goes round in links, or through over ${MAX_LINK_HOPS}`);
      }
      if (next.startsWith("/")) throw this.#error("refused", `${shown(path)} leads to ${shown(next)}`);
      at.pop();
      pending.push(...next.split("/").reverse());
    }
  }

  refused(nameBytes: Uint8Array, what: string): BitforbitError {
    return this.#error("refused", `${quoted(nameBytes)} is ${what}`);
  }

  #error(code: "refused" | "limit" | "input", message: string, hint?: string): BitforbitError {
    return new BitforbitError(code, `${this.#archive}: ${message}`, hint === undefined ? {} : { hint });
  }
}

function quoted(nameBytes: Uint8Array): string {
  return JSON.stringify(showable(nameBytes).slice(0, 200));
}

/** Latin-1 text of bytes, as one shows them. */
function shown(path: string): string {
  return quoted(Buffer.from(path, "latin1"));
}
