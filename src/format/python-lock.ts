/**
 * Python's lockfiles in TOML: pylock.toml (PyPA "pylock.toml Specification",
 * PEP 751), uv.lock and poetry.lock. All three list packages with a name, a
 * version, files with hashes, and what they depend on.
 */
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { materialList } from "./material-list.ts";
import { pythonHash, pythonName, pythonPurl, soleChecksum } from "./requirements.ts";
import { isTable, parseToml, type Toml, type TomlTable } from "./toml.ts";

const MAX_EDGES = 1_000_000;

/**
 * The packages of a pylock.toml, uv.lock or poetry.lock; the project itself and
 * other folders on disk are left out. As with requirements, a package of
 * several files has no checksum here: which file is taken depends on the
 * machine. Throws `input`.
 */
export function pythonLockMaterials(source: Uint8Array | string, what: string): Material[] {
  const packages = packagesIn(source, what);
  const byName = Map.groupBy(packages, ({ material }) => material?.name ?? "");
  let edges = 0;
  for (const { item, place, material } of packages) {
    if (material === undefined) continue;
    material.dependsOn = wantedBy(item, place).flatMap(({ name, version }) =>
      (byName.get(name) ?? []).flatMap(({ material: other }) => {
        if (++edges > MAX_EDGES)
          throw new BitforbitError("limit", `${what}: more than ${MAX_EDGES} dependency relations`);
        return other?.purl !== undefined && (version === undefined || other.version === version) ? [other.purl] : [];
      }),
    );
  }
  return materialList(
    packages.flatMap(({ material }) => material ?? []),
    what,
  );
}

/** By purl, the hashes (`algorithm:digits`) of which a file must have one. Throws `input`. */
export function pythonLockHashes(source: Uint8Array | string, what: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { item, place, material } of packagesIn(source, what)) {
    if (material?.purl === undefined) continue;
    // One version may stand there twice, for two platforms.
    found.set(material.purl, new Set([...(found.get(material.purl) ?? []), ...hashesOf(item, place)]));
  }
  return found;
}

interface Listed {
  item: TomlTable;
  place: string;
  material: Material | undefined;
}

function packagesIn(source: Uint8Array | string, what: string): Listed[] {
  const table = parseToml(source, what);
  const listed = table["packages"] ?? table["package"] ?? [];
  if (!Array.isArray(listed)) throw new BitforbitError("input", `${what}: the packages are not a list of tables`);
  return listed.map((item, index) => {
    const place = `${what}: package ${index + 1}`;
    if (!isTable(item)) throw new BitforbitError("input", `${place} is not a table`);
    return { item, place, material: materialOf(item, place) };
  });
}

function textIn(item: TomlTable, key: string, place: string): string | undefined {
  const value = item[key];
  if (value === undefined || typeof value === "string") return value;
  throw new BitforbitError("input", `${place}: ${key} should be text`);
}

function materialOf(item: TomlTable, place: string): Material | undefined {
  const name = textIn(item, "name", place);
  if (name === undefined || !/^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(name)) {
    throw new BitforbitError("input", `${place}: ${JSON.stringify(name ?? "nothing").slice(0, 100)} is not a name`);
  }
  const version = textIn(item, "version", place);
  const source = isTable(item["source"]) ? item["source"] : {};
  // uv: the project and folders beside it; pylock: `directory`.
  if (["virtual", "editable", "directory"].some((key) => key in source) || isTable(item["directory"])) return undefined;
  const development = item["category"] === "dev" || isOnlyDevelopment(item["groups"]);
  return {
    kind: "dependency",
    purl: pythonPurl(name, version, origin(item, source)),
    name: pythonName(name),
    ...(version === undefined ? {} : { version }),
    checksums: soleChecksum(hashesOf(item, place)),
    ...(development ? { runtime: false } : {}),
  };
}

/** Poetry 2: `groups`; "main" is what the product needs. */
function isOnlyDevelopment(groups: Toml | undefined): boolean {
  return Array.isArray(groups) && groups.length > 0 && !groups.includes("main");
}

function origin(item: TomlTable, source: TomlTable): Record<string, string> {
  const git = source["git"]; // uv: address, query, "#" and the commit
  if (typeof git === "string") return { vcs_url: `git+${git.replace(/\?[^#]*/, "").replace("#", "@")}` };
  if (source["type"] === "git" && typeof source["url"] === "string") {
    const commit = source["resolved_reference"];
    return { vcs_url: `git+${source["url"]}${typeof commit === "string" ? `@${commit}` : ""}` };
  }
  const vcs = item["vcs"];
  if (isTable(vcs) && typeof vcs["url"] === "string" && typeof vcs["commit-id"] === "string") {
    return { vcs_url: `${String(vcs["type"])}+${vcs["url"]}@${vcs["commit-id"]}` };
  }
  const address = source["type"] === undefined || source["type"] === "url" ? source["url"] : undefined;
  return typeof address === "string" ? { download_url: address } : {};
}

/** Hashes of all files: poetry's `files`, uv's and pylock's `sdist`, `wheels` and `archive`. */
function hashesOf(item: TomlTable, place: string): Set<string> {
  const found = new Set<string>();
  for (const key of ["files", "wheels", "sdist", "archive"]) {
    const value = item[key];
    for (const file of Array.isArray(value) ? value : [value]) {
      if (!isTable(file)) continue;
      const written = file["hash"];
      const hashes = isTable(file["hashes"])
        ? Object.entries(file["hashes"]).map(([algorithm, digits]) => `${algorithm}:${String(digits)}`)
        : written === undefined
          ? []
          : [String(written)];
      // A file may have several hashes: SHA-256 stands for it, or else the first.
      const known = hashes.map((hash) => pythonHash(hash));
      const chosen = known.find((hash) => hash?.startsWith("sha256:")) ?? known.find((hash) => hash !== undefined);
      if (chosen !== undefined) found.add(chosen);
      else if (hashes.length > 0)
        throw new BitforbitError("input", `${place}: ${JSON.stringify(hashes[0]?.slice(0, 100))} is not a hash`);
    }
  }
  return found;
}

/** pylock and uv: a list of tables with a name; poetry: a table by name (its values are ranges, not versions). */
function wantedBy(item: TomlTable, place: string): { name: string; version?: string }[] {
  const wants = item["dependencies"];
  if (wants === undefined) return [];
  if (isTable(wants)) return Object.keys(wants).map((name) => ({ name: pythonName(name) }));
  if (!Array.isArray(wants)) throw new BitforbitError("input", `${place}: dependencies is not a list`);
  return wants.flatMap((want) => {
    if (!isTable(want) || typeof want["name"] !== "string")
      throw new BitforbitError("input", `${place}: a dependency has no name`);
    const version = want["version"];
    return [{ name: pythonName(want["name"]), ...(typeof version === "string" ? { version } : {}) }];
  });
}
