/** `bitforbit.lock` as text: TOML, sorted, to be reviewed like code. */
import * as v from "valibot";
import type { Digest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { materialList } from "../format/material-list.ts";
import { parseToml, tomlString, type TomlTable } from "../format/toml.ts";
import type { Checksums, Material } from "../material.ts";
import { byteOrder, sortedBy } from "../order.ts";
import type { EnvironmentPackage, LockedEnvironment } from "./environment.ts";
import type { Lock } from "./lock.ts";
import {
  cutError,
  END,
  isCut,
  issueError,
  KEY,
  requireNoConflict,
  requireOrder,
  requireVersion,
} from "./lock-issues.ts";
import {
  VERSION,
  version1,
  version2,
  type Written,
  type WrittenEnvironment,
  type WrittenMaterial,
} from "./lock-schema.ts";

/** Larger than any lock that is reviewed, and small enough to be held in memory. */
export const MAX_LOCK_BYTES: number = 64 << 20;

/** Every lock begins with this line. */
export const LOCK_START = "# What bitforbit builds this project from, by digest. Commit it, and review its";

const HEADER = [LOCK_START, "# changes like code. Made by `bitforbit lock`; not to be edited."];

/** A lock as TOML. The same lock gives the same bytes, whatever the order of its lists. */
export function lockToml(lock: Lock): string {
  const lines = [...HEADER, "", `version = ${VERSION}`, ...pairs({ name: lock.name, recipe: lock.recipe })];
  if (lock.asOf !== undefined) lines.push(`asOf = ${lock.asOf}`);
  lines.push("", ...environmentLines(lock.environment));
  if (lock.source !== undefined) {
    const { purl, url, sha256 } = lock.source;
    lines.push("", "[source]", ...pairs({ purl, url, sha256 }));
  }
  if (lock.deps !== undefined) {
    const { digest, files, bytes } = lock.deps;
    lines.push("", "[deps]", ...pairs({ digest }), `files = ${files}`, `bytes = ${bytes}`);
  }
  for (const { path, sha256 } of lock.patches ?? []) lines.push("", "[[patch]]", ...pairs({ path, sha256 }));
  for (const { path, sha256 } of sortedBy(lock.lockfiles, KEY.lockfile)) {
    lines.push("", "[[lockfile]]", ...pairs({ path, sha256 }));
  }
  for (const { name, path, version, sha256 } of sortedBy(lock.tools, KEY.tool)) {
    lines.push("", "[[tool]]", ...pairs({ name, path, version, sha256 }));
  }
  const materials = materialList(lock.materials, "the lock");
  for (const material of sortedBy(materials, KEY.material)) lines.push("", ...materialLines(material));
  return `${lines.join("\n")}\n\n${END}\n`;
}

/** A package stands on one line, so that an update is one line removed and one added. */
function environmentLines(environment: LockedEnvironment): string[] {
  const lines = ["[environment]", ...pairs({ type: environment.type }), `pinned = ${environment.pinned}`];
  if (environment.type === "host") return lines;
  if (environment.type === "oci") {
    const { image, requested, platform, manifest, root, layers } = environment;
    return [
      ...lines,
      ...pairs({ image }),
      inline("requested", requested),
      ...pairs({ platform, manifest, root }),
      ...list("layers", layers.map(tomlString)),
    ];
  }
  const { suite, components, requested, architecture, root, packages } = environment;
  return [
    ...lines,
    ...pairs({ suite }),
    inline("components", components),
    inline("requested", requested),
    ...pairs({ architecture, root }),
    ...list("packages", sortedBy(packages, KEY.package).map(packageLine)),
  ];
}

function inline(key: string, items: readonly string[]): string {
  return `${key} = [${items.map(tomlString).join(", ")}]`;
}

function packageLine({ name, version, architecture, size, sha256 }: EnvironmentPackage): string {
  const [a, b] = [pairs({ name, version, architecture }), pairs({ sha256 })];
  return `{ ${[...a, `size = ${size}`, ...b].join(", ")} }`;
}

function list(key: string, items: readonly string[]): string[] {
  return items.length === 0 ? [`${key} = []`] : [`${key} = [`, ...items.map((item) => `  ${item},`), "]"];
}

const ALGORITHMS = ["goH1", "sha1", "sha256", "sha384", "sha512"] as const;

function materialLines(material: Material): string[] {
  if (material.kind !== "dependency") {
    throw new BitforbitError("input", `a lock lists dependencies, and ${material.name} is a ${material.kind}`);
  }
  const { purl, uri, name, version, runtime, licence, size, checksums, dependsOn = [] } = material;
  return [
    "[[material]]",
    ...pairs({ purl, uri, name, version }),
    ...(runtime === undefined ? [] : [`runtime = ${runtime}`]),
    ...pairs({ licence }),
    ...(size === undefined ? [] : [`size = ${size}`]),
    ...pairs(Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, checksums[algorithm]]))),
    ...(dependsOn.length === 0 ? [] : list("dependsOn", [...new Set(dependsOn)].sort(byteOrder).map(tomlString))),
  ];
}

function pairs(values: Record<string, string | undefined>): string[] {
  return Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : `${key} = ${tomlString(value)}`));
}

/**
 * A lock from TOML, of this version's format or the one before; `path` names it
 * in errors, with line and column. Inverse of `lockToml`. Throws `input` for
 * what a newer bitforbit made, what was edited (unknown keys, lists out of
 * order, something twice), cut off or left with marks of a merge conflict, and
 * `limit` beyond 64 MiB.
 */
export function parseLock(source: string, path: string): Lock {
  requireNoConflict(source, path);
  const table = tableOf(source, path);
  const version = requireVersion(table, source, path);
  if (version === VERSION && isCut(source)) throw cutError(source, path);
  const parsed = v.safeParse(version === 1 ? version1 : version2, table);
  if (!parsed.success) throw issueError(source, path, table, parsed.issues);
  const written: Written = parsed.output;
  if (version === VERSION) requireOrder(written, source, path);
  const { name, recipe, environment, source: from, patch = [], lockfile = [], material = [], deps, asOf } = written;
  return {
    version: VERSION,
    name,
    recipe: recipe as Digest,
    environment: environmentOf(environment),
    tools: written.tool ?? [],
    ...(from === undefined ? {} : { source: present(from) }),
    ...(patch.length === 0 ? {} : { patches: patch }),
    lockfiles: sortedBy(lockfile, KEY.lockfile),
    materials: sortedBy(materialList(material.map(materialOf), path), KEY.material),
    ...(deps === undefined ? {} : { deps: { ...deps, digest: deps.digest as Digest } }),
    ...(asOf === undefined ? {} : { asOf }),
  };
}

function tableOf(source: string, path: string): TomlTable {
  try {
    return parseToml(source, path, MAX_LOCK_BYTES);
  } catch (error) {
    // A value that was cut in two is no TOML: the reader should learn the reason, not the symptom.
    const cut =
      error instanceof BitforbitError && error.code === "input" && source.startsWith(LOCK_START) && isCut(source);
    throw cut ? cutError(source, path, error) : error;
  }
}

function environmentOf(written: WrittenEnvironment): LockedEnvironment {
  if (written.type === "host") return written;
  const root = written.root as Digest;
  const requested = written.requested ?? [];
  if (written.type === "debian") return { ...written, requested, root };
  return { ...written, requested, root, manifest: written.manifest as Digest, layers: written.layers as Digest[] };
}

function present(from: NonNullable<Written["source"]>): NonNullable<Lock["source"]> {
  const { purl, url, sha256 } = from;
  return { ...(purl === undefined ? {} : { purl }), ...(url === undefined ? {} : { url }), sha256 };
}

function materialOf(written: WrittenMaterial): Material {
  const { goH1, sha1, sha256, sha384, sha512, name, ...rest } = written;
  const sums = Object.entries({ goH1, sha1, sha256, sha384, sha512 }).filter(([, value]) => value !== undefined);
  const others = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { kind: "dependency", name, checksums: Object.fromEntries(sums) as Checksums, ...others };
}
