/** Which Debian package a file is of, from a root's own package database: what `dpkg -S` answers, without a process a file. */
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { BitforbitError } from "../errors.ts";
import { parseDeb822 } from "../format/deb822.ts";
import { namesIn } from "../tree.ts";

export interface InstalledPackage {
  name: string;
  /** deb-version(7), as the database has it. */
  version: string;
  architecture: string;
}

/** Packages of the files that were asked for, by path. A file has several when packages share it. */
export type PackageOwners = ReadonlyMap<string, readonly InstalledPackage[]>;

const DATABASE = "var/lib/dpkg";
const MAX_LIST_BYTES = 64 << 20;

/**
 * The packages that own `paths` (absolute inside `root`, links followed).
 * Undefined for a root without dpkg's database. Diversions count; a compiled
 * Python file is its source's. Throws `input` or `limit` for a broken database.
 */
export async function packageOwners(root: string, paths: Iterable<string>): Promise<PackageOwners | undefined> {
  const folder = join(root, DATABASE);
  const status = await textOf(join(folder, "status"));
  if (status === undefined) return undefined;
  const installed = packagesOf(status);
  const diversions = diversionsOf((await textOf(join(folder, "diversions"))) ?? "");
  const wanted = wantedNames(paths, diversions);
  const owners = new Map<string, InstalledPackage[]>();
  for (const name of await namesIn(join(folder, "info"))) {
    if (!name.endsWith(".list")) continue;
    const owner = installed.get(name.slice(0, -".list".length));
    if (owner === undefined) continue;
    for (const line of ((await textOf(join(folder, "info", name))) ?? "").split("\n")) {
      for (const path of wanted.get(line) ?? []) {
        if (!isDiverted(line, path, owner, diversions)) owners.set(path, [...(owners.get(path) ?? []), owner]);
      }
    }
  }
  return owners;
}

async function textOf(path: string): Promise<string | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  if (stats.size > MAX_LIST_BYTES) throw new BitforbitError("limit", `${path}: larger than ${MAX_LIST_BYTES} bytes`);
  return await readFile(path, "utf8");
}

/** By the names that dpkg gives their lists: `name`, or `name:architecture` for `Multi-Arch: same`. */
function packagesOf(status: string): Map<string, InstalledPackage> {
  const packages = new Map<string, InstalledPackage>();
  for (const paragraph of parseDeb822(status, `${DATABASE}/status`)) {
    const [name = "", version = "", architecture = ""] = ["package", "version", "architecture"].map((field) =>
      paragraph.get(field),
    );
    if (paragraph.get("status")?.endsWith(" installed") !== true) continue;
    const one = { name, version, architecture };
    packages.set(`${name}:${architecture}`, one);
    if (paragraph.get("multi-arch") !== "same") packages.set(name, one);
  }
  return packages;
}

interface Diversion {
  /** The name that packages have it by. */
  from: string;
  /** Where it is. */
  to: string;
  /** The package whose own file keeps the name; ":" where the administrator diverted it. */
  by: string;
}

/** dpkg's file of diversions: three lines each. */
function diversionsOf(text: string): Diversion[] {
  const lines = text.split("\n");
  const found: Diversion[] = [];
  for (let at = 0; at + 2 < lines.length; at += 3) {
    found.push({ from: lines[at] ?? "", to: lines[at + 1] ?? "", by: lines[at + 2] ?? "" });
  }
  return found;
}

/** Names by which lists may have a path, to the paths. */
function wantedNames(paths: Iterable<string>, diversions: readonly Diversion[]): Map<string, string[]> {
  const wanted = new Map<string, string[]>();
  const diverted = new Map(diversions.flatMap((one) => namesOf(one.to).map((name) => [name, one.from] as const)));
  for (const path of paths) {
    const names = namesOf(path);
    const origins = names.flatMap((name) => namesOf(diverted.get(name) ?? name));
    for (const name of new Set([...names, ...origins])) wanted.set(name, [...(wanted.get(name) ?? []), path]);
  }
  return wanted;
}

/** A path as lists may write it: with /usr merged, files of /bin, /sbin and /lib are found below /usr. */
function namesOf(path: string): string[] {
  const source = path.replace(/\/__pycache__\/([^/]+)\.[a-z]+-\d+(?:\.opt-\d)?\.pyc$/, "/$1.py");
  const outside = /^\/usr(\/(?:bin|sbin|lib\w*)\/.*)$/.exec(source)?.[1];
  return outside === undefined ? [source] : [source, outside];
}

/** Whether `owner` lists this name, but its file is elsewhere: somebody diverted it. */
function isDiverted(line: string, path: string, owner: InstalledPackage, diversions: readonly Diversion[]): boolean {
  const diversion = diversions.find((one) => namesOf(one.from).includes(line) || one.from === line);
  if (diversion === undefined) return false;
  const isElsewhere = namesOf(diversion.to).includes(path) || namesOf(path).includes(diversion.to);
  return isElsewhere === (owner.name === diversion.by);
}
