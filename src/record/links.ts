/**
 * What a registry's answers say of further URLs: which package a file is. Told
 * by the form of the answer alone, so that mirrors and proxies are understood.
 */
import type { Checksums } from "../material.ts";
import { pythonHash, pythonName, pythonPurl } from "../format/requirements.ts";
import { parseDeb822 } from "../format/deb822.ts";
import { isObject, type JsonObject } from "../json.ts";
import { purl } from "../purl.ts";

/** What a URL is, as another answer says. */
export interface Claim {
  purl: string;
  checksums: Checksums;
}

export type Claims = Map<string, Claim>;

/** npm's packument (npm registry API, "Package Metadata"): `versions.*.dist.tarball`. */
export function npmClaims(document: JsonObject, claims: Claims): void {
  const { versions } = document;
  if (!isObject(versions)) return;
  for (const item of Object.values(versions)) if (isObject(item)) npmVersionClaim(item, claims);
}

/** One version, which is also an answer of its own: `/name/version`. */
export function npmVersionClaim(item: JsonObject, claims: Claims): void {
  const { name, version, dist } = item;
  if (typeof name !== "string" || typeof version !== "string" || !isObject(dist)) return;
  const { tarball, integrity, shasum } = dist;
  const url = typeof tarball === "string" ? absolute(tarball) : undefined;
  if (url === undefined) return;
  const checksums: Checksums = {};
  if (typeof shasum === "string" && /^[0-9a-f]{40}$/.test(shasum)) checksums.sha1 = shasum;
  if (typeof integrity === "string") {
    for (const [, algorithm = "", digest = ""] of integrity.matchAll(
      /(sha1|sha256|sha384|sha512)-([A-Za-z0-9+/=]+)/g,
    )) {
      checksums[algorithm as "sha512"] = Buffer.from(digest, "base64").toString("hex");
    }
  }
  claims.set(url, { purl: npmPurl(name, version), checksums });
}

export function npmPurl(name: string, version: string): string {
  const [scope, base] = name.startsWith("@") ? name.split("/", 2) : [undefined, name];
  return purl("npm", scope, base ?? name, version);
}

/** Simple API in JSON (PyPA "Simple repository API"): `files[]`. */
export function pythonJsonClaims(document: JsonObject, base: string, claims: Claims): void {
  const { files } = document;
  if (!Array.isArray(files)) return;
  for (const file of files) {
    if (!isObject(file) || typeof file["filename"] !== "string" || typeof file["url"] !== "string") continue;
    const hashes = isObject(file["hashes"]) ? file["hashes"] : {};
    const checksums: Checksums = {};
    for (const algorithm of ["sha256", "sha384", "sha512"] as const) {
      const digest = hashes[algorithm];
      if (typeof digest === "string" && pythonHash(`${algorithm}:${digest}`) !== undefined)
        checksums[algorithm] = digest;
    }
    const url = absolute(file["url"], base);
    const found = pythonFilePurl(file["filename"], document["name"]);
    if (url !== undefined && found !== undefined) claims.set(url, { purl: found, checksums });
  }
}

const MAX_ANCHORS = 200_000;

/** Simple API in HTML: anchors whose text is a file name, with a hash as fragment. */
export function pythonHtmlClaims(html: string, base: string, claims: Claims): void {
  let count = 0;
  for (const [, tag = "", text = ""] of html.matchAll(/<a\s([^>]{1,8192})>([^<]{1,512})<\/a>/gi)) {
    if (++count > MAX_ANCHORS) return;
    const href = unescaped(/\bhref\s*=\s*["']([^"']+)["']/i.exec(tag)?.[1] ?? "");
    const found = pythonFilePurl(unescaped(text).trim(), undefined);
    const url = absolute(href, base);
    if (found === undefined || url === undefined) continue;
    const [, algorithm = "", digest = ""] = /#(sha256|sha384|sha512)=([0-9a-f]+)$/i.exec(href) ?? [];
    const checksums: Checksums = digest === "" ? {} : { [algorithm.toLowerCase()]: digest.toLowerCase() };
    claims.set(url, { purl: found, checksums });
  }
}

/**
 * By file name: a wheel says name and version; of a source distribution, where
 * names may hold hyphens, the project's name says where it ends, or else the
 * last hyphen before a digit does.
 */
export function pythonFilePurl(file: string, project: unknown): string | undefined {
  const wheel = /^([A-Za-z0-9][A-Za-z0-9._]*)-([A-Za-z0-9][A-Za-z0-9.!+_]*)(?:-\d\w*)?(?:-[^-]+){3}\.whl$/.exec(file);
  if (wheel !== null) return pythonPurl(wheel[1] ?? "", wheel[2], { file_name: file });
  const stem = /^(.{1,200})\.(?:tar\.gz|tar\.bz2|tar\.xz|tgz|zip)$/.exec(file)?.[1];
  if (stem === undefined) return undefined;
  for (let at = stem.lastIndexOf("-"); at > 0; at = stem.lastIndexOf("-", at - 1)) {
    const [name, version] = [stem.slice(0, at), stem.slice(at + 1)];
    const fits = typeof project === "string" ? pythonName(name) === pythonName(project) : /^v?\d/.test(version);
    if (fits && version !== "") return pythonPurl(name, version, { file_name: file });
  }
  return undefined;
}

/** Cargo's registry index (The Cargo Book, "Registry Index"): `dl` of config.json is a template for crates. */
export interface CargoIndex {
  /** URL that config.json lies at, with a final slash. */
  root: string;
  dl: string;
}

export function cargoConfig(document: JsonObject, url: string): CargoIndex | undefined {
  if (!url.endsWith("/config.json") || typeof document["dl"] !== "string") return undefined;
  return { root: url.slice(0, -"config.json".length), dl: document["dl"] };
}

/** An index file: a line of JSON for each version. */
export function cargoClaims(text: string, { dl }: CargoIndex, claims: Claims): void {
  for (const line of text.split("\n")) {
    const item = jsonObject(line);
    const { name, vers, cksum } = item ?? {};
    if (typeof name !== "string" || typeof vers !== "string" || typeof cksum !== "string") continue;
    const url = absolute(crateUrl(dl, name, vers, cksum));
    const checksums = /^[0-9a-f]{64}$/.test(cksum) ? { sha256: cksum } : {};
    if (url !== undefined) claims.set(url, { purl: purl("cargo", undefined, name, vers), checksums });
  }
}

function crateUrl(dl: string, name: string, version: string, checksum: string): string {
  const prefix =
    name.length < 3 ? `${name.length}` : name.length === 3 ? `3/${name[0]}` : `${name.slice(0, 2)}/${name.slice(2, 4)}`;
  const filled = dl
    .replaceAll("{crate}", name)
    .replaceAll("{version}", version)
    .replaceAll("{prefix}", prefix)
    .replaceAll("{lowerprefix}", prefix.toLowerCase())
    .replaceAll("{sha256-checksum}", checksum);
  return filled === dl ? `${dl}/${name}/${version}/download` : filled;
}

/** A Debian source package (dsc(5)): the .dsc names the files beside it. */
export function dscClaims(text: string, url: string, claims: Claims): void {
  const [fields] = parseDeb822(text, url);
  const [source, version] = [fields?.get("source"), fields?.get("version")];
  if (source === undefined || version === undefined) return;
  const add = (file: string, checksums: Checksums): void => {
    const place = absolute(file, url);
    const found = purl("deb", "debian", source, version, { arch: "source", file_name: file });
    if (place !== undefined) claims.set(place, { purl: found, checksums });
  };
  for (const line of (fields?.get("checksums-sha256") ?? "").split("\n")) {
    const [sha256 = "", , file = ""] = line.trim().split(/\s+/);
    if (/^[0-9a-f]{64}$/.test(sha256) && /^[\w.+~-]+$/.test(file)) add(file, { sha256 });
  }
  claims.set(url, { purl: purl("deb", "debian", source, version, { arch: "source" }), checksums: {} });
}

/** An object that is JSON, or undefined. */
export function jsonObject(text: string): JsonObject | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function absolute(link: string, base?: string): string | undefined {
  const url = URL.parse(link, base);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  [url.hash, url.username, url.password] = ["", "", ""];
  return url.href;
}

function unescaped(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&#x27;", "'")
    .replaceAll("&amp;", "&");
}
