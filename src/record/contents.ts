/** What a file says of itself: for artifacts that no other answer spoke of, and for Go's module hash. */
import { createHash } from "node:crypto";
import { parse as parseToml } from "smol-toml";
import { type ByteSource, memorySource, openSource } from "../bytesource.ts";
import { openArchive } from "../format/archive.ts";
import { parseDeb822 } from "../format/deb822.ts";
import { gunzip } from "../format/gzip.ts";
import type { Sink } from "../format/inflation.ts";
import { type TarEntry, tarEntries } from "../format/tar.ts";
import { unzstd } from "../format/zstd.ts";
import { unxz } from "../format/xz.ts";
import { type Compression, compressionOf, looksLikeZip } from "../format/magic.ts";
import { readZip, readZipMember, type Zip } from "../format/zip.ts";
import { isObject } from "../json.ts";
import { byteOrder } from "../order.ts";
import { purl } from "../purl.ts";
import { jsonObject, npmPurl, pythonFilePurl } from "./links.ts";

/** A file's description of itself is small. */
const MAX_MEMBER = 4 << 20;
const LIMITS = { maxBytes: 2 * 2 ** 30, maxRatio: 250, freeBytes: 64 << 20 };
const MAX_CONTROL = 16 << 20;

export type FileKind = Compression | "zip" | "ar" | "bzip2" | undefined;

/** By the first bytes. */
export function kindOfFile(source: ByteSource): FileKind {
  const start = source.read(0, Math.min(8, source.size));
  if (looksLikeZip(start)) return "zip";
  const text = Buffer.from(start).toString("latin1");
  if (text === "!<arch>\n") return "ar";
  return text.startsWith("BZh") ? "bzip2" : compressionOf(start);
}

/**
 * The package in a tarball: `package.json` of npm, the Cargo.toml that
 * `cargo package` writes, PKG-INFO of a Python source distribution. `file` is
 * its name in the URL. Undefined when it is none of them, or broken.
 */
export async function tarballPurl(path: string, url: string, temporary: string): Promise<string | undefined> {
  const file = fileName(url);
  const archive = await openArchive(path, { temporary, limits: LIMITS });
  try {
    if (archive.kind !== "tar") return undefined;
    let [npm, toml, original, python]: (string | undefined)[] = [];
    for (const entry of tarEntries(archive.source)) {
      const [top = "", name = "", ...deeper] = entry.name.split("/");
      if (deeper.length > 0 || entry.type !== "0" || entry.size > MAX_MEMBER) continue;
      if (name === "package.json") npm ??= textOf(archive.source, entry);
      else if (name === "Cargo.toml") toml ??= cratePurl(textOf(archive.source, entry), top);
      else if (name === "Cargo.toml.orig") original = name;
      else if (name === "PKG-INFO") python ??= sdistPurl(textOf(archive.source, entry), file);
    }
    if (toml !== undefined && original !== undefined) return toml;
    return python ?? (npm === undefined ? undefined : npmTarballPurl(npm, url));
  } finally {
    archive.close();
  }
}

function textOf(source: ByteSource, entry: TarEntry): string {
  return Buffer.from(source.read(entry.dataOffset, entry.size)).toString("utf8");
}

/** npm's own form of URL, `/name/-/name-version.tgz`, or one that ends like it: not every archive with a package.json. */
function npmTarballPurl(text: string, url: string): string | undefined {
  const { name, version } = jsonObject(text) ?? {};
  if (typeof name !== "string" || typeof version !== "string") return undefined;
  const wanted = `${name.split("/").at(-1)}-${version}.tgz`;
  return url.includes("/-/") || fileName(url) === wanted ? npmPurl(name, version) : undefined;
}

function cratePurl(text: string, top: string): string | undefined {
  try {
    const { package: item } = parseToml(text);
    const { name, version } = isObject(item) ? item : {};
    if (typeof name !== "string" || typeof version !== "string" || top !== `${name}-${version}`) return undefined;
    return purl("cargo", undefined, name, version);
  } catch {
    return undefined;
  }
}

/** Core metadata specifications: Name and Version. */
function sdistPurl(text: string, file: string): string | undefined {
  const name = /^Name:[ \t]*(\S+)/im.exec(text)?.[1];
  return name === undefined ? undefined : pythonFilePurl(file, name);
}

/** A Debian binary package (deb(5)): its control file. */
export async function debPurl(path: string): Promise<string | undefined> {
  const source = openSource(path);
  try {
    let at = 8;
    for (let count = 0; count < 10 && at + 60 <= source.size; count++) {
      const head = Buffer.from(source.read(at, 60)).toString("latin1");
      const [name, size] = [head.slice(0, 16).trim().replace(/\/$/, ""), Number(head.slice(48, 58))];
      if (!Number.isSafeInteger(size) || size < 0) return undefined;
      if (name.startsWith("control.tar")) {
        if (size > MAX_CONTROL) return undefined;
        return await controlPurl(memorySource(new Uint8Array(source.read(at + 60, size)), path));
      }
      at += 60 + size + (size % 2);
    }
    return undefined;
  } finally {
    source.close();
  }
}

async function controlPurl(control: ByteSource): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  const sink: Sink = (chunk) => void chunks.push(Uint8Array.from(chunk));
  const limits = { maxBytes: 4 * MAX_CONTROL, maxRatio: 250, freeBytes: MAX_CONTROL };
  const kind = compressionOf(control.read(0, Math.min(8, control.size)));
  if (kind === "gzip") await gunzip(control, sink, limits);
  else if (kind === "xz") await unxz(control, sink, limits);
  else if (kind === "zstd") await unzstd(control, sink, limits);
  const tar = kind === undefined ? control : memorySource(new Uint8Array(Buffer.concat(chunks)), control.name);
  for (const entry of tarEntries(tar)) {
    if (!/^(?:\.\/)?control$/.test(entry.name) || entry.size > MAX_MEMBER) continue;
    const [fields] = parseDeb822(textOf(tar, entry), control.name);
    const [name, version, arch] = ["package", "version", "architecture"].map((field) => fields?.get(field));
    return name === undefined || version === undefined ? undefined : purl("deb", "debian", name, version, { arch });
  }
  return undefined;
}

/**
 * A module zip (Go Modules Reference, "Module zip files"): every file lies
 * below `module@version/`. With go.sum's hash of it: "h1:" and base64 of
 * SHA-256 over lines of "hash  name", in order of name (dirhash.Hash1).
 */
export async function goModule(path: string): Promise<{ purl: string; goH1: string } | undefined> {
  const source = openSource(path);
  try {
    const zip: Zip = readZip(source);
    const prefix = /^(.{1,1024}?)@(v\d[^/@]*)\//.exec(zip.entries[0]?.name ?? "");
    if (prefix === null) return undefined;
    const [start, module = "", version = ""] = prefix;
    const sums: [name: string, hex: string][] = [];
    for (const entry of zip.entries) {
      if (!entry.name.startsWith(start) || entry.name.includes("\n")) return undefined;
      if (entry.name.endsWith("/")) continue;
      const hasher = createHash("sha256");
      await readZipMember(source, entry, (chunk) => void hasher.update(chunk), LIMITS);
      sums.push([entry.name, hasher.digest("hex")]);
    }
    const list = createHash("sha256");
    for (const [name, hex] of sums.sort(([a], [b]) => byteOrder(a, b))) list.update(`${hex}  ${name}\n`);
    const slash = module.lastIndexOf("/");
    const [space, name] = slash < 0 ? [undefined, module] : [module.slice(0, slash), module.slice(slash + 1)];
    return { purl: purl("golang", space, name, version), goH1: `h1:${list.digest("base64")}` };
  } finally {
    source.close();
  }
}

/** Last part of a URL's path, decoded. */
export function fileName(url: string): string {
  const last = (URL.parse(url)?.pathname ?? "").split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
