/** Cargo.lock, versions 1 to 4 (The Cargo Book, "Cargo.toml vs Cargo.lock"; version 1 holds checksums in `[metadata]`). */
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { purl } from "../purl.ts";
import { materialList } from "./material-list.ts";
import { isTable, parseToml, type Toml, type TomlTable } from "./toml.ts";

const MAX_EDGES = 1_000_000;

interface Crate {
  name: string;
  version: string;
  source: string | undefined;
  material: Material | undefined;
  wants: string[];
}

/**
 * The crates that a Cargo.lock names. Those without `source` are the project's
 * own (workspace members, path dependencies) and left out. The file does not
 * tell what only builds or tests need, so `runtime` is not set. Throws `input`.
 */
export function cargoLockMaterials(source: Uint8Array | string, what: string): Material[] {
  const table = parseToml(source, what);
  const version = table["version"];
  if (version !== undefined && version !== 1 && version !== 2 && version !== 3 && version !== 4) {
    throw new BitforbitError("input", `${what}: version ${String(version)} is not read, only 1 to 4`);
  }
  const metadata = isTable(table["metadata"]) ? table["metadata"] : {};
  const listed = table["package"] ?? [];
  if (!Array.isArray(listed)) throw new BitforbitError("input", `${what}: "package" is not a list of tables`);
  const crates = listed.map((item, index) => crateOf(item, metadata, `${what}: package ${index + 1}`));
  const byName = Map.groupBy(crates, (crate) => crate.name);
  let edges = 0;
  for (const crate of crates) {
    edges += crate.wants.length;
    if (edges > MAX_EDGES) throw new BitforbitError("limit", `${what}: more than ${MAX_EDGES} dependency relations`);
    if (crate.material === undefined) continue;
    crate.material.dependsOn = crate.wants.flatMap((wanted) => {
      const found = wantedCrate(wanted, byName);
      if (found === undefined)
        throw new BitforbitError(
          "input",
          `${what}: ${crate.name} depends on ${JSON.stringify(wanted)}, which is not there`,
        );
      return found.material?.purl ?? [];
    });
  }
  return materialList(
    crates.flatMap((crate) => crate.material ?? []),
    what,
  );
}

function crateOf(item: Toml, metadata: TomlTable, place: string): Crate {
  if (!isTable(item)) throw new BitforbitError("input", `${place} is not a table`);
  const text = (key: string): string | undefined => {
    const value = item[key];
    if (value === undefined || typeof value === "string") return value;
    throw new BitforbitError("input", `${place}: ${key} should be text`);
  };
  const [name, version, from] = [text("name"), text("version"), text("source")];
  if (name === undefined || name === "" || version === undefined || version === "") {
    throw new BitforbitError("input", `${place}: name or version is missing`);
  }
  const wants = item["dependencies"] ?? [];
  if (!Array.isArray(wants) || !wants.every((want) => typeof want === "string")) {
    throw new BitforbitError("input", `${place} (${name}): dependencies is not a list of names`);
  }
  const written = text("checksum") ?? metadata[`checksum ${name} ${version} (${from ?? ""})`];
  const sha256 = written === "<none>" ? undefined : written;
  if (sha256 !== undefined && (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256))) {
    throw new BitforbitError("input", `${place} (${name}): ${String(sha256).slice(0, 80)} is not a SHA-256`);
  }
  if (from === undefined) return { name, version, source: from, material: undefined, wants };
  const material: Material = {
    kind: "dependency",
    purl: purl("cargo", undefined, name, version, origin(from)),
    name,
    version,
    checksums: sha256 === undefined ? {} : { sha256 },
  };
  return { name, version, source: from, material, wants };
}

/** purl qualifiers for what does not come from the public index, which is the type's default. */
function origin(source: string): Record<string, string> {
  if (source.startsWith("git+")) {
    const [address = "", commit] = source.split("#");
    return { vcs_url: commit === undefined ? address : `${address.replace(/\?.*/, "")}@${commit}` };
  }
  const publicIndex = /^(?:registry\+https:\/\/github\.com\/rust-lang\/|sparse\+https:\/\/index\.)crates\.io-?\w*\/?$/;
  return publicIndex.test(source) ? {} : { repository_url: source.replace(/^(?:registry|sparse)\+/, "") };
}

/** `name`, `name version` or `name version (source)`: as much as tells it from others. */
function wantedCrate(wanted: string, byName: ReadonlyMap<string, Crate[]>): Crate | undefined {
  const [, name = "", version, source] = /^(\S+)(?: (\S+))?(?: \((.*)\))?$/.exec(wanted) ?? [];
  return byName
    .get(name)
    ?.find(
      (crate) =>
        (version === undefined || crate.version === version) &&
        (source === undefined || source === crate.source || crate.source?.startsWith(`${source}#`) === true),
    );
}
