/** What a new lock changes, for people who review it and for programs: `lock --json`, `changes`. */
import type { Checksums, Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import { purlWithoutVersion } from "../purl.ts";
import type { EnvironmentPackage, LockedEnvironment } from "./environment.ts";
import type { Lock, LockedTool } from "./lock.ts";
import { KEY } from "./lock-issues.ts";
import { partsChanged } from "./lock-parts.ts";
import { versionOrder } from "./version-order.ts";

/**
 * What a reviewer must not overlook: other bytes under the same version; a
 * checksum that is not there any more; an older version than before.
 */
export type Alarm = "other-bytes" | "checksum-lost" | "downgrade";

export interface LockChange {
  /** A package's or tool's name, a lockfile's path, or the part of the lock: `recipe`, `environment.root`, … */
  what: string;
  /** Version, or checksum where the version is the same; digest of what is not a package. */
  before: string;
  after: string;
  /** What is changed in the lock before and after, where that is one of a list: purl, `name architecture`, `name path`. */
  from?: string;
  to?: string;
  alarm?: Alarm;
}

/** Of one list of a lock. */
export interface ListChanges<T> {
  added: T[];
  removed: T[];
  changed: LockChange[];
}

/** Bytes, of those whose size is known. */
interface Sizes {
  before: number;
  after: number;
}

/** Of the dependencies, in `added` and `removed`; `changed` has theirs and those of the lock's other parts. */
export interface LockChanges extends ListChanges<Material> {
  /** The environment's. */
  packages: ListChanges<EnvironmentPackage>;
  tools: ListChanges<LockedTool>;
  /** All of the above together. */
  counts: { added: number; removed: number; changed: number; alarms: number };
  sizes: { packages: Sizes; materials: Sizes };
  /** Of the materials added, removed or changed, those that no other depends on; absent where relations are not known. */
  direct?: string[];
}

/** Everything is added when there was no lock. The same lock twice gives no change. */
export function lockChanges(before: Lock | undefined, after: Lock): LockChanges {
  const materials = listChanges(before?.materials ?? [], after.materials, MATERIALS);
  const [old, now] = [packagesOf(before?.environment), packagesOf(after.environment)];
  const packages = listChanges(old, now, PACKAGES);
  const tools = listChanges(before?.tools ?? [], after.tools, TOOLS);
  const parts = before === undefined ? [] : partsChanged(before, after);
  const changed = sortedBy([...parts, ...materials.changed], (change) => change.what);
  const all = [...changed, ...packages.changed, ...tools.changed];
  const direct = directOf(before, after, materials);
  return {
    added: materials.added,
    removed: materials.removed,
    changed,
    packages,
    tools,
    counts: {
      added: materials.added.length + packages.added.length + tools.added.length,
      removed: materials.removed.length + packages.removed.length + tools.removed.length,
      changed: all.length,
      alarms: all.filter((change) => change.alarm !== undefined).length,
    },
    sizes: {
      packages: { before: total(old), after: total(now) },
      materials: { before: total(before?.materials ?? []), after: total(after.materials) },
    },
    ...(direct === undefined ? {} : { direct }),
  };
}

/** How many things two locks differ in; 0 means that one stands for the other. */
export function countOf({ counts }: LockChanges): number {
  return counts.added + counts.removed + counts.changed;
}

const packagesOf = (environment: LockedEnvironment | undefined): EnvironmentPackage[] =>
  environment?.type === "debian" ? environment.packages : [];

const total = (items: readonly { size?: number }[]): number => items.reduce((sum, item) => sum + (item.size ?? 0), 0);

/** How a list's items are told apart, and what is compared of them. */
interface Kind<T> {
  /** Purl type, for the order of versions. */
  type: (item: T) => string;
  key: (item: T) => string;
  /** The same where nothing but what is said of it may differ; with the version. */
  id: (item: T) => string;
  /** The same for two versions of one thing. */
  family: (item: T) => string;
  name: (item: T) => string;
  version: (item: T) => string;
  checksums: (item: T) => Checksums;
  /** Whatever else the lock says of it, by field. */
  rest: (item: T) => Record<string, unknown>;
}

const MATERIALS: Kind<Material> = {
  type: ({ purl = "" }) => /^pkg:([^/]*)\//.exec(purl)?.[1] ?? "",
  key: KEY.material,
  id: KEY.material,
  family: ({ purl, name }) => (purl === undefined ? name : purlWithoutVersion(purl)),
  name: ({ name }) => name,
  version: ({ version }) => version ?? "no version",
  checksums: ({ checksums }) => checksums,
  rest: ({ uri, name, version, runtime, licence, size, dependsOn }) => ({
    uri,
    name,
    version,
    runtime,
    licence,
    size,
    dependsOn,
  }),
};

const PACKAGES: Kind<EnvironmentPackage> = {
  type: () => "deb",
  key: ({ name, architecture }) => `${name} ${architecture}`,
  id: (item) => `${KEY.package(item)}\0${item.version}`,
  family: KEY.package,
  name: ({ name }) => name,
  version: ({ version }) => version,
  checksums: ({ sha256 }) => ({ sha256 }),
  rest: ({ size }) => ({ size }),
};

const TOOLS: Kind<LockedTool> = {
  type: () => "",
  key: ({ name, path }) => `${name} ${path}`,
  id: (item) => `${KEY.tool(item)}\0${item.version}`,
  family: KEY.tool,
  name: ({ name }) => name,
  version: ({ version }) => version,
  checksums: ({ sha256 }) => ({ sha256 }),
  rest: () => ({}),
};

function listChanges<T>(before: readonly T[], after: readonly T[], kind: Kind<T>): ListChanges<T> {
  const [old, now] = [Map.groupBy(before, kind.family), Map.groupBy(after, kind.family)];
  const changes: ListChanges<T> = { added: [], removed: [], changed: [] };
  for (const family of new Set([...old.keys(), ...now.keys()])) {
    const come = new Map((now.get(family) ?? []).map((item) => [kind.id(item), item]));
    const gone: T[] = [];
    for (const was of old.get(family) ?? []) {
      const is = come.get(kind.id(was));
      if (is === undefined) gone.push(was);
      else changes.changed.push(...changesOf(was, is, kind));
      come.delete(kind.id(was));
    }
    // One version gone and one come of the same thing: an update.
    const [was, is] = gone.length === 1 && come.size === 1 ? [gone[0], ...come.values()] : [];
    if (was !== undefined && is !== undefined) changes.changed.push(updateOf(was, is, kind));
    else {
      changes.removed.push(...gone);
      changes.added.push(...come.values());
    }
  }
  return {
    added: sortedBy(changes.added, kind.key),
    removed: sortedBy(changes.removed, kind.key),
    changed: sortedBy(changes.changed, (change) => `${change.what}\0${change.to ?? ""}`),
  };
}

function updateOf<T>(was: T, is: T, kind: Kind<T>): LockChange {
  const [before, after] = [kind.version(was), kind.version(is)];
  const older = (versionOrder(kind.type(is), before, after) ?? 0) > 0;
  return {
    what: kind.name(is),
    before,
    after,
    from: kind.key(was),
    to: kind.key(is),
    ...(older ? { alarm: "downgrade" as const } : {}),
  };
}

/** What differs under the same version: its bytes, or what is said of it. */
function changesOf<T>(was: T, is: T, kind: Kind<T>): LockChange[] {
  const places = { from: kind.key(was), to: kind.key(is) };
  const what = `${kind.name(is)} ${kind.version(is)}`.replace(/ no version$/, "");
  const sums = checksumChange(kind.checksums(was), kind.checksums(is));
  if (sums !== undefined) return [{ what, ...sums, ...places }];
  const [old, now] = [kind.rest(was), kind.rest(is)];
  const fields = Object.keys(old).filter((field) => {
    // A size that came to be known changes nothing.
    const learnt = field === "size" && (old[field] === undefined || now[field] === undefined);
    return !learnt && JSON.stringify(old[field]) !== JSON.stringify(now[field]);
  });
  if (fields.length === 0) return [];
  const said = (item: Record<string, unknown>, other: Record<string, unknown>): string =>
    fields.map((field) => `${field} ${shown(item[field], other[field])}`).join(", ");
  return [{ what, before: said(old, now), after: said(now, old), ...places }];
}

/** A value for people; of a list, only what the other list has not. */
function shown(value: unknown, other: unknown): string {
  if (!Array.isArray(value)) return String(value ?? "none");
  const known = new Set<unknown>(Array.isArray(other) ? other : []);
  return value.filter((item) => !known.has(item)).join(" ") || "none";
}

const ALGORITHMS = ["sha512", "sha384", "sha256", "goH1", "sha1"] as const;

type Algorithm = (typeof ALGORITHMS)[number];

const known = (sums: Checksums): Algorithm[] => ALGORITHMS.filter((algorithm) => sums[algorithm] !== undefined);

function text(sums: Checksums, algorithm: Algorithm | undefined): string {
  if (algorithm === undefined) return "no checksum";
  return `${algorithm === "goH1" ? "" : `${algorithm}:`}${sums[algorithm] ?? ""}`;
}

function checksumChange(was: Checksums, is: Checksums): { before: string; after: string; alarm?: Alarm } | undefined {
  const other = known(was).find((algorithm) => is[algorithm] !== undefined && is[algorithm] !== was[algorithm]);
  if (other !== undefined) return { before: text(was, other), after: text(is, other), alarm: "other-bytes" };
  const [old, now] = [known(was), known(is)];
  if (old.join() === now.join()) return undefined;
  // What ties the bytes to the version must not vanish: without a checksum in common nothing does.
  const lost = old.length > 0 && !old.some((algorithm) => now.includes(algorithm));
  const extra = now.find((algorithm) => !old.includes(algorithm)) ?? now[0];
  return { before: text(was, old[0]), after: text(is, extra), ...(lost ? { alarm: "checksum-lost" as const } : {}) };
}

const named = ({ name, version }: Material): string => `${name} ${version ?? ""}`.trimEnd();

/**
 * In which dependencies what was fetched now is not what was locked, in words;
 * [] when the one stands for the other. What only is said of them (a licence,
 * who needs whom) does not count.
 */
export function materialDifferences(locked: Lock, now: Lock): string[] {
  const { added, removed, changed } = listChanges(locked.materials, now.materials, MATERIALS);
  return [
    ...added.map((material) => `${named(material)} is not in the lock`),
    ...removed.map((material) => `${named(material)} is locked and was not fetched`),
    ...changed.flatMap(({ what, before, after, from, to, alarm }) => {
      if (alarm === "other-bytes") return `${what} has other bytes: ${after}, locked ${before}`;
      if (alarm === "checksum-lost") return `${what} has no checksum any more, locked ${before}`;
      return from === to ? [] : `${what} is ${after}, locked ${before}`;
    }),
  ];
}

function directOf(before: Lock | undefined, after: Lock, changes: ListChanges<Material>): string[] | undefined {
  const all = [...(before?.materials ?? []), ...after.materials];
  if (!all.some((material) => material.dependsOn !== undefined)) return undefined;
  const wanted = new Set(all.flatMap((material) => material.dependsOn ?? []));
  const touched = [...changes.added, ...changes.removed].map(KEY.material);
  for (const { from, to } of changes.changed) touched.push(from ?? "", to ?? "");
  return sortedBy(new Set(touched.filter((key) => key !== "" && !wanted.has(key))), (key) => key);
}
