import { showable } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";

const MAX_DEPTH = 100;
const MAX_NAME = 255;
const MAX_HOPS = 40;
const MAX_ENTRIES = 2_000_000;

/** Top folders that a merged-/usr system (bookworm's and later's only kind) has as links into /usr. */
const MERGED = /^(?:bin|sbin|lib|lib32|lib64|libo32|libx32)$/;

export type RootEntry =
  | { kind: "directory"; owner: string | undefined }
  | { kind: "file"; owner: string | undefined }
  | { kind: "link"; owner: string | undefined; target: string };

/** A checked path below the root, without links in its folders: Latin-1 text, one character a byte. */
export type RootPath = string;

/**
 * What stands in a root that several packages are unpacked into. Packages may
 * put files behind each other's links, as dpkg lets them: the plan follows links itself,
 * inside the root ("/" is the root, and ".." stops there), and names the place
 * that has no link on its way. So nothing is ever written through a link.
 */
export class RootPlan {
  readonly #entries = new Map<RootPath, RootEntry>([["", { kind: "directory", owner: undefined }]]);

  get(path: RootPath): RootEntry | undefined {
    return this.#entries.get(path);
  }

  set(path: RootPath, entry: RootEntry): void {
    if (this.#entries.size > MAX_ENTRIES) throw new BitforbitError("limit", `more than ${MAX_ENTRIES} files in a root`);
    this.#entries.set(path, entry);
  }

  delete(path: RootPath): void {
    this.#entries.delete(path);
  }

  /**
   * Where a member named `nameBytes` really goes, its folders' links followed
   * but not itself; folders that are missing on the way are made by `make`,
   * outermost first. "" is the root. Throws `refused` for names that no
   * package has.
   */
  place(nameBytes: Uint8Array, what: string, make: Maker): RootPath {
    return this.placeNames(checkedNames(nameBytes, what), what, make);
  }

  placeNames(names: readonly string[], what: string, make: Maker): RootPath {
    const last = names.at(-1);
    if (last === undefined) return "";
    const folder = this.#folder(names.slice(0, -1), what, make);
    // A merged folder's own name: the link is made by us.
    if (folder === "" && MERGED.test(last)) this.#child("", last, make);
    return folder === "" ? last : `${folder}/${last}`;
  }

  /** Makes the links of a merged-/usr system that every root has; others come with the packages that need them. */
  merge(make: Maker): void {
    for (const name of ["bin", "lib", "sbin"]) this.#child("", name, make);
  }

  /** The folder that a link at `path` leads to, or undefined when it leads to none. */
  folderBehind(path: RootPath): RootPath | undefined {
    try {
      const folder = this.#folder(path.split("/"), path, undefined);
      return this.#entries.get(folder)?.kind === "directory" ? folder : undefined;
    } catch (error) {
      if (error instanceof BitforbitError) return undefined;
      throw error;
    }
  }

  #folder(names: readonly string[], what: string, make: Maker | undefined): RootPath {
    const pending = [...names].reverse();
    let at: RootPath = "";
    let hops = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        at = at.includes("/") ? at.slice(0, at.lastIndexOf("/")) : "";
        continue;
      }
      const next = at === "" ? name : `${at}/${name}`;
      const entry = this.#entries.get(next) ?? (make === undefined ? undefined : this.#child(at, name, make));
      if (entry?.kind === "link") {
        if (++hops > MAX_HOPS || pending.length > 10_000) throw refused(what, "goes round in links");
        if (entry.target.startsWith("/")) at = "";
        pending.push(...entry.target.split("/").reverse());
      } else if (entry?.kind === "directory") at = next;
      else throw refused(what, `goes through ${JSON.stringify(next)}, which is no folder`);
    }
    return at;
  }

  /** Makes a folder that no member named before: a link into /usr where it belongs there. */
  #child(folder: RootPath, name: string, make: Maker): RootEntry {
    const path = folder === "" ? name : `${folder}/${name}`;
    const known = this.#entries.get(path);
    if (known !== undefined) return known;
    const merged = folder === "" && MERGED.test(name);
    if (merged) {
      const usr = this.#entries.get("usr");
      if (usr !== undefined && usr.kind !== "directory") throw refused(path, "goes through /usr, which is no folder");
      this.#folder(["usr", name], path, make);
    }
    const entry: RootEntry = merged
      ? { kind: "link", owner: undefined, target: `usr/${name}` }
      : { kind: "directory", owner: undefined };
    make(path, entry);
    this.set(path, entry);
    return entry;
  }
}

export type Maker = (path: RootPath, entry: RootEntry) => void;

/** The names of a member's path. Throws `refused`. */
export function checkedNames(nameBytes: Uint8Array, what: string): string[] {
  const path = Buffer.from(nameBytes).toString("latin1");
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (path.includes("\0")) throw refused(what, "has a NUL in its name");
  if (path.startsWith("/")) throw refused(what, "is an absolute path");
  if (names.includes("..")) throw refused(what, "leaves the root");
  if (names.length > MAX_DEPTH || names.some((name) => name.length > MAX_NAME)) throw refused(what, "is too long");
  return names;
}

function refused(what: string, why: string): BitforbitError {
  return new BitforbitError("refused", `${showable(Buffer.from(what, "latin1")).slice(0, 300)} ${why}`, {
    hint: "no Debian package has such a file: do not use it",
  });
}
