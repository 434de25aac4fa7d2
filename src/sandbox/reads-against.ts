/** What a build really read, set against what is locked. Pure. */
import type { LockedEnvironment } from "../lock/environment.ts";
import type { Material } from "../material.ts";
import { byteOrder, sortedBy } from "../order.ts";
import { dependencyIndex } from "./reads-dependencies.ts";
import type { InstalledPackage, PackageOwners } from "./reads-packages.ts";
import type { Reads } from "./reads.ts";

/** What lies at a place inside a sandbox, with what is below. The longest that fits counts. */
export interface Place {
  /** Absolute path inside; "/" for the root. */
  at: string;
  /** `own`: what the sandbox itself or the build makes; `machine`: shown from this machine, locked by nobody. */
  holds: "environment" | "dependencies" | "source" | "own" | "machine";
}

export interface LockedSide {
  environment: LockedEnvironment;
  materials: readonly Material[];
  places: readonly Place[];
  /** Packages of files that were read, by path; undefined for a root without a package database. */
  owners: PackageOwners | undefined;
  /** Paths of the source's files below its place; undefined: every file there counts as source. */
  sourceFiles?: ReadonlySet<string>;
}

/** Files that were read and that nothing locked covers, by the package that they are of. */
export interface Undeclared {
  package?: InstalledPackage;
  /** In byte order. */
  paths: string[];
}

export interface ReadsAgainstLock {
  environment: {
    /** Locked packages of which a file was read; in byte order. */
    read: InstalledPackage[];
    /** Declared but unread; in byte order. */
    unread: InstalledPackage[];
    /** Files of a locked root that are of no package, or of an image without packages; in byte order. */
    files: string[];
  };
  /** purls, in byte order. */
  dependencies: { read: string[]; unread: string[] };
  /** Paths below the source's place, in byte order; `unread` where the source's files are known. */
  source: { read: string[]; unread: string[] };
  /** Read but undeclared: packages first, in byte order of their names. */
  undeclared: Undeclared[];
  /** Why `read` may lack something and `unread` name too much; [] when the list of reads was complete. */
  doubts: string[];
}

export function readsAgainst(locked: LockedSide, reads: Reads): ReadsAgainstLock {
  const places = [...locked.places].sort((a, b) => b.at.length - a.at.length);
  const read = Map.groupBy(reads.opened, (path) => placeOf(path, places)?.holds ?? "machine");
  const { environment, undeclared } = environmentSide(locked, read.get("environment") ?? []);
  const machine = (read.get("machine") ?? []).map((path) => ({ path, owner: locked.owners?.get(path)?.[0] }));
  return {
    environment,
    dependencies: dependencySide(locked, places, read.get("dependencies") ?? []),
    source: sourceSide(locked, places, read.get("source") ?? []),
    undeclared: byPackage([...undeclared, ...machine]),
    doubts: reads.doubts,
  };
}

function placeOf(path: string, places: readonly Place[]): Place | undefined {
  return places.find(({ at }) => at === "/" || path === at || path.startsWith(`${at}/`));
}

function below(path: string, places: readonly Place[]): string {
  return path.slice((placeOf(path, places)?.at.length ?? 0) + 1);
}

interface Owned {
  path: string;
  owner: InstalledPackage | undefined;
}

/** Without the version: what is installed is what was locked, or the root's digest would not fit. */
const keyOf = ({ name, architecture }: { name: string; architecture: string }): string => `${name} ${architecture}`;

function environmentSide(
  { environment, owners }: LockedSide,
  paths: readonly string[],
): { environment: ReadsAgainstLock["environment"]; undeclared: Owned[] } {
  if (!environment.pinned) {
    // Nothing of it is locked: all that was read is a finding, with its package.
    const undeclared = paths.map((path) => ({ path, owner: owners?.get(path)?.[0] }));
    return { environment: { read: [], unread: [], files: [] }, undeclared };
  }
  const declared = environment.type === "debian" ? environment.packages : [];
  const names = new Set(declared.map(keyOf));
  const seen = new Set<string>();
  const files: string[] = [];
  const undeclared: Owned[] = [];
  for (const path of paths) {
    const of = owners?.get(path) ?? [];
    const known = of.filter((owner) => names.has(keyOf(owner)));
    for (const owner of known) seen.add(keyOf(owner));
    if (of.length === 0 || environment.type === "oci") files.push(path);
    else if (known.length === 0) undeclared.push({ path, owner: of[0] });
  }
  const [read, unread] = [true, false].map((was) => declared.filter((one) => seen.has(keyOf(one)) === was));
  return {
    environment: { read: plain(read ?? []), unread: plain(unread ?? []), files: files.sort(byteOrder) },
    undeclared,
  };
}

function plain(packages: readonly InstalledPackage[]): InstalledPackage[] {
  const parts = packages.map(({ name, version, architecture }) => ({ name, version, architecture }));
  return sortedBy(parts, keyOf);
}

function dependencySide(
  { materials }: LockedSide,
  places: readonly Place[],
  paths: readonly string[],
): ReadsAgainstLock["dependencies"] {
  const index = dependencyIndex(materials);
  const declared = materials.flatMap(({ kind, purl }) => (kind === "dependency" && purl !== undefined ? [purl] : []));
  const read = new Set(paths.flatMap((path) => index(below(path, places))));
  return {
    read: [...read].sort(byteOrder),
    unread: [...new Set(declared)].filter((purl) => !read.has(purl)).sort(byteOrder),
  };
}

/** What the build made below the source's place is not source. */
function sourceSide(
  { sourceFiles }: LockedSide,
  places: readonly Place[],
  paths: readonly string[],
): ReadsAgainstLock["source"] {
  const read = paths.map((path) => below(path, places)).filter((path) => sourceFiles?.has(path) ?? true);
  const seen = new Set(read);
  const unread = [...(sourceFiles ?? [])].filter((path) => !seen.has(path));
  return { read: read.sort(byteOrder), unread: unread.sort(byteOrder) };
}

function byPackage(files: readonly Owned[]): Undeclared[] {
  const groups = Map.groupBy(files, ({ owner }) => (owner === undefined ? "\uffff" : keyOf(owner)));
  return sortedBy(groups, ([key]) => key).map(([, group]) => {
    const owner = group[0]?.owner;
    const paths = group.map(({ path }) => path).sort(byteOrder);
    return owner === undefined ? { paths } : { package: owner, paths };
  });
}
