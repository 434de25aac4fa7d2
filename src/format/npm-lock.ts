/**
 * npm's package-lock.json and npm-shrinkwrap.json, lockfileVersion 2 and 3
 * (npm documentation, "package-lock.json"): `packages` maps folders, relative
 * to the project, to what is installed there.
 */
import { hex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import type { Checksums, Material } from "../material.ts";
import { byteOrder } from "../order.ts";
import { purl } from "../purl.ts";
import { MAX_MATERIALS, materialList } from "./material-list.ts";

const MAX_FOLDERS = 64;
const MAX_EDGES = 1_000_000;
const SRI_BYTES: Readonly<Record<string, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/**
 * What an npm lockfile installs. Workspaces, links and the project itself are
 * source, not dependencies. `dependsOn` is what Node would resolve from each
 * folder; `runtime` is false for what only development needs. Bundled packages
 * have no checksum of their own: their bundle's holds them. `what` names the
 * file in errors. Throws `input` or `limit`.
 */
export function npmLockMaterials(source: Uint8Array | string, what: string): Material[] {
  const packages = packagesOf(source, what);
  const installed = new Map<string, Material>();
  for (const [folder, entry] of packages) {
    const material = installedAt(folder, entry, what);
    if (material !== undefined) installed.set(folder, material);
  }
  let edges = 0;
  for (const [folder, entry] of packages) {
    const material = installed.get(folder);
    if (material === undefined) continue;
    const wanted = ["dependencies", "optionalDependencies", "peerDependencies"].flatMap((key) =>
      Object.keys(stringsIn(entry, key, `${what}: packages.${JSON.stringify(folder)}`)),
    );
    edges += wanted.length;
    if (edges > MAX_EDGES) throw new BitforbitError("limit", `${what}: more than ${MAX_EDGES} dependency relations`);
    material.dependsOn = wanted.flatMap((name) => resolvedFrom(folder, name, installed)?.purl ?? []);
  }
  return materialList(installed.values(), what);
}

function packagesOf(source: Uint8Array | string, what: string): Map<string, JsonObject> {
  const lock = parseJson(source, what);
  if (!isObject(lock)) throw new BitforbitError("input", `${what}: not an object`);
  const version = lock["lockfileVersion"];
  if (version !== 2 && version !== 3) {
    throw new BitforbitError("input", `${what}: lockfileVersion ${shown(version)} is not read, only 2 and 3`, {
      hint: "npm install --package-lock-only --lockfile-version 3 writes it anew",
    });
  }
  const packages = lock["packages"];
  if (!isObject(packages)) throw new BitforbitError("input", `${what}: "packages" is missing`);
  const entries = Object.entries(packages);
  if (entries.length > MAX_MATERIALS)
    throw new BitforbitError("limit", `${what}: more than ${MAX_MATERIALS} dependencies`);
  return new Map(
    entries.map(([folder, entry]) => {
      if (!isObject(entry)) throw new BitforbitError("input", `${what}: packages.${shown(folder)} is not an object`);
      if (folder.split("/").length > MAX_FOLDERS)
        throw new BitforbitError("limit", `${what}: packages.${shown(folder)} is deeper than ${MAX_FOLDERS} folders`);
      return [folder, entry];
    }),
  );
}

const FOLDER = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/@][^/]*)$/;

function installedAt(folder: string, entry: JsonObject, what: string): Material | undefined {
  if (folder === "" || entry["link"] === true) return undefined;
  const place = `${what}: packages.${shown(folder)}`;
  const found = FOLDER.exec(folder);
  if (found === null) {
    if (/(?:^|\/)node_modules(?:\/|$)/.test(folder)) throw new BitforbitError("input", `${place} is not a package`);
    return undefined;
  }
  // An alias ("npm:other@1") is installed under one name and is another.
  const name = stringIn(entry, "name", place) ?? found[1] ?? "";
  const version = stringIn(entry, "version", place);
  const [scope, base] = name.startsWith("@") && name.includes("/") ? parted(name) : [undefined, name];
  if (base === "" || scope === "@") throw new BitforbitError("input", `${place}: ${shown(name)} is not a package name`);
  const resolved = stringIn(entry, "resolved", place);
  const git = resolved !== undefined && /^git(?:\+[a-z]+)?:/.test(resolved) ? resolved.replace("#", "@") : undefined;
  const licence = entry["license"];
  return {
    kind: "dependency",
    purl: purl("npm", scope, base, version, { vcs_url: git }),
    name,
    ...(version === undefined ? {} : { version }),
    checksums: integrity(stringIn(entry, "integrity", place), place),
    runtime: entry["dev"] !== true,
    ...(typeof licence === "string" && licence !== "" ? { licence } : {}),
  };
}

function parted(name: string): [string, string] {
  const slash = name.indexOf("/");
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** Subresource Integrity ("Integrity metadata"): `sha512-` and base64, several parted by white space. */
function integrity(text: string | undefined, place: string): Checksums {
  const checksums: Checksums = {};
  for (const part of (text ?? "").split(/\s+/).filter((item) => item !== "")) {
    const [, algorithm = "", encoded = ""] =
      /^(sha1|sha256|sha384|sha512)-([A-Za-z0-9+/]+=*)(?:\?.*)?$/.exec(part) ?? [];
    const bytes = Buffer.from(encoded, "base64");
    if (algorithm === "" || bytes.length !== SRI_BYTES[algorithm] || bytes.toString("base64") !== encoded) {
      throw new BitforbitError("input", `${place}: integrity ${shown(part)} is not a checksum`);
    }
    // The first of several counts; more of one algorithm mean that any of them may be it.
    checksums[algorithm as "sha1"] ??= hex(bytes);
  }
  return checksums;
}

/** As Node resolves: in the folder's own node_modules, then in those of the folders above. */
function resolvedFrom(folder: string, name: string, installed: ReadonlyMap<string, Material>): Material | undefined {
  for (let at = folder; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/")))) {
    const found = at.endsWith("node_modules")
      ? undefined
      : installed.get(`${at === "" ? "" : `${at}/`}node_modules/${name}`);
    if (found !== undefined || at === "") return found;
  }
}

const KINDS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;

/**
 * In which of its direct dependencies a lockfile differs from the package.json
 * beside it, in words, sorted; [] when it is up to date. Throws `input`.
 */
export function npmLockStale(lock: Uint8Array | string, packageJson: Uint8Array | string, what: string): string[] {
  const locked = packagesOf(lock, what).get("") ?? {};
  const manifest = parseJson(packageJson, "package.json");
  if (!isObject(manifest)) throw new BitforbitError("input", "package.json: not an object");
  const reasons: string[] = [];
  for (const kind of KINDS) {
    const asked = askedFor(manifest, kind, "package.json");
    const has = askedFor(locked, kind, what);
    for (const name of [...new Set([...Object.keys(asked), ...Object.keys(has)])].sort(byteOrder)) {
      if (asked[name] === has[name]) continue;
      reasons.push(
        `${name}: package.json has ${asked[name] ?? "none"} in ${kind}, ${what} was made for ${has[name] ?? "none"}`,
      );
    }
  }
  return reasons;
}

/** npm takes what stands in optionalDependencies out of dependencies. */
function askedFor(manifest: JsonObject, kind: (typeof KINDS)[number], place: string): Record<string, string> {
  const asked = stringsIn(manifest, kind, place);
  if (kind !== "dependencies") return asked;
  const optional = stringsIn(manifest, "optionalDependencies", place);
  return Object.fromEntries(Object.entries(asked).filter(([name]) => !Object.hasOwn(optional, name)));
}

function stringsIn(entry: JsonObject, key: string, place: string): Record<string, string> {
  const value = entry[key];
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return Object.create(null) as {};
  const valid = isObject(value) && Object.values(value).every((item) => typeof item === "string");
  if (!valid) throw new BitforbitError("input", `${place}: ${key} is not a table of versions`);
  return value as Record<string, string>;
}

function stringIn(entry: JsonObject, key: string, place: string): string | undefined {
  const value = entry[key];
  if (value === undefined || typeof value === "string") return value;
  throw new BitforbitError("input", `${place}: ${key} should be text: ${shown(value)}`);
}

function shown(value: Json | undefined): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 120);
}
