import type { Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import { purlWithoutVersion } from "../purl.ts";
import type { Lock } from "./lock.ts";

export interface LockChange {
  /** A package's name, a lockfile's path, or the part of the lock: `recipe`, `source`, `deps`. */
  what: string;
  /** Version, or checksum where the version is the same; digest of what is not a package. */
  before: string;
  after: string;
}

export interface LockChanges {
  added: Material[];
  removed: Material[];
  changed: LockChange[];
}

/** What a new lock changes, for people who review it. Everything is added when there was none. */
export function lockChanges(before: Lock | undefined, after: Lock): LockChanges {
  const [old, now] = [byPurl(before?.materials ?? []), byPurl(after.materials)];
  const changed: LockChange[] = before === undefined ? [] : partsChanged(before, after);
  for (const [key, material] of now) {
    const was = old.get(key);
    if (was === undefined) continue;
    const [a, b] = [checksumText(was), checksumText(material)];
    if (a !== b) changed.push({ what: `${material.name} ${material.version ?? ""}`.trim(), before: a, after: b });
  }
  const removed = new Map([...old].filter(([key]) => !now.has(key)));
  const added = new Map([...now].filter(([key]) => !old.has(key)));
  // One version gone and one come of the same package: an update.
  const gone = Map.groupBy(removed.values(), packageOf);
  for (const [name, come] of Map.groupBy(added.values(), packageOf)) {
    const [was, ...others] = gone.get(name) ?? [];
    const [is] = come;
    if (was === undefined || is === undefined || others.length > 0 || come.length > 1) continue;
    changed.push({ what: is.name, before: was.version ?? "no version", after: is.version ?? "no version" });
    removed.delete(keyOf(was));
    added.delete(keyOf(is));
  }
  return {
    added: sortedBy(added.values(), keyOf),
    removed: sortedBy(removed.values(), keyOf),
    changed: sortedBy(changed, (change) => change.what),
  };
}

const keyOf = (material: Material): string => material.purl ?? `${material.name}@${material.version ?? ""}`;
const packageOf = (material: Material): string =>
  material.purl === undefined ? material.name : purlWithoutVersion(material.purl);

function byPurl(materials: readonly Material[]): Map<string, Material> {
  return new Map(materials.map((material) => [keyOf(material), material]));
}

function checksumText({ checksums }: Material): string {
  const { sha512, sha384, sha256, goH1, sha1 } = checksums;
  const known = Object.entries({ sha512, sha384, sha256, sha1 }).find(([, digits]) => digits !== undefined);
  return known === undefined ? (goH1 ?? "no checksum") : known.join(":");
}

function partsOf(lock: Lock): Map<string, string> {
  return new Map([
    ["recipe", lock.recipe],
    ["source", lock.source?.sha256 ?? "none"],
    ["deps", lock.deps?.digest ?? "none"],
    ...lock.lockfiles.map(({ path, sha256 }): [string, string] => [path, `sha256:${sha256}`]),
  ]);
}

function partsChanged(before: Lock, after: Lock): LockChange[] {
  const [old, now] = [partsOf(before), partsOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((what) => {
    const [was, is] = [old.get(what) ?? "none", now.get(what) ?? "none"];
    return was === is ? [] : [{ what, before: was, after: is }];
  });
}
