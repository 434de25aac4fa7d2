/** Which dependency a fetched file is of, by the layouts that the clients of each ecosystem keep. */
import { mavenPurl } from "../format/maven-pom.ts";
import { parsePurl } from "../format/purl.ts";
import { pythonPurl } from "../format/requirements.ts";
import type { Material } from "../material.ts";
import { purl } from "../purl.ts";

/** Gives the purls that a file below the dependency folder belongs to: [] for indexes and bookkeeping. */
export type DependencyIndex = (path: string) => readonly string[];

/** No client makes longer ones; a hostile build's would cost time. */
const MAX_PATH = 1024;

/**
 * An index of locked dependencies. A file that several materials share (wheels
 * told apart by `file_name`, jars by classifier) belongs to the nearest of them.
 */
export function dependencyIndex(materials: readonly Material[]): DependencyIndex {
  const byChecksum = new Map<string, string[]>();
  const byPurl = new Map<string, string[]>();
  const crates = new Map<string, string[]>();
  for (const { purl: text, kind, checksums } of materials) {
    if (kind !== "dependency" || text === undefined) continue;
    for (const [algorithm, hex] of Object.entries(checksums)) add(byChecksum, `${algorithm}/${hex}`, text);
    const parts = parsePurl(text);
    const { type, namespace, name, version } = parts;
    add(byPurl, text, text);
    if (parts.qualifiers?.["file_name"] !== undefined) add(byPurl, purl(type, namespace, name, version), text);
    if (type === "cargo") add(crates, `${name}-${version ?? ""}`, text);
  }
  const readers = [npmCache, wheel, goModule, mavenFile];
  return (path) => {
    if (path.length > MAX_PATH) return [];
    for (const read of readers) {
      for (const key of read(path)) {
        const found = byPurl.get(key) ?? byChecksum.get(key);
        if (found !== undefined) return nearest(found, path);
      }
    }
    // A crate's name and version stand in its file's name, or in that of a folder.
    for (const part of path.split("/")) {
      const found = crates.get(part.replace(/\.crate$/, ""));
      if (found !== undefined) return found;
    }
    return [];
  };
}

function add(index: Map<string, string[]>, key: string, text: string): void {
  index.set(key, [...(index.get(key) ?? []), text]);
}

function nearest(purls: readonly string[], path: string): readonly string[] {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const named = purls.filter((text) => parsePurl(text).qualifiers?.["file_name"] === file);
  return named.length > 0 ? named : purls;
}

/** npm's cacache: `_cacache/content-v2/ALGORITHM/ab/cd/rest`, the digest of the tarball in hexadecimal. */
function npmCache(path: string): string[] {
  const [, algorithm, first, second, rest] =
    /(?:^|\/)content-v2\/(sha\d+)\/([0-9a-f]{2})\/([0-9a-f]{2})\/([0-9a-f]+)$/.exec(path) ?? [];
  return rest === undefined ? [] : [`${algorithm}/${first}${second}${rest}`];
}

/** Wheels and source archives of Python (PyPA, "Binary distribution format" and "Source distribution format"). */
function wheel(path: string): string[] {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const [, name = "", version] =
    /^([A-Za-z0-9][\w.]*)-([A-Za-z0-9][\w.!+]*)(?:-\d\w*)?(?:-[^-]+){3}\.whl$/.exec(file) ??
    /^([A-Za-z0-9][\w.-]*)-(\d[\w.!+]*)\.(?:tar\.(?:gz|bz2|xz)|zip)$/.exec(file) ??
    [];
  return version === undefined ? [] : [pythonPurl(name, version)];
}

/**
 * Go's module cache: `cache/download/MODULE/@v/VERSION.EXT` and what is
 * unpacked below `MODULE@VERSION/`; capitals are written `!` and the small
 * letter (Go Modules Reference, "GOPROXY protocol").
 */
function goModule(path: string): string[] {
  const parts = path.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase()).split("/");
  const at = parts.findIndex((part) => part.lastIndexOf("@v") >= 0);
  const marked = parts[at] ?? "";
  if (marked === "@v") {
    const version = /^(v.+)\.(?:zip|mod|info|ziphash)$/.exec(parts[at + 1] ?? "")?.[1];
    return version === undefined ? [] : goPurls(parts.slice(0, at), version);
  }
  const split = marked.lastIndexOf("@v");
  return split <= 0 ? [] : goPurls([...parts.slice(0, at), marked.slice(0, split)], marked.slice(split + 1));
}

/** What lies before the module's own path is not known: it may begin at each part. */
function goPurls(parts: readonly string[], version: string): string[] {
  return parts.map((_, from) => purl("golang", parts.slice(from, -1).join("/"), parts.at(-1) ?? "", version));
}

/** A Maven repository: `group/artifact/version/artifact-version[-classifier].type`. A pom is read for any of its version's files. */
function mavenFile(path: string): string[] {
  const parts = path.split("/");
  const [file = "", version = "", artifact = ""] = [parts.pop(), parts.pop(), parts.pop()];
  const stem = `${artifact}-${version}`;
  const [, classifier, type] = /^(?:-(.+?))?\.(jar|war|ear|aar|zip|tar\.gz|pom)$/.exec(file.slice(stem.length)) ?? [];
  if (artifact === "" || !file.startsWith(stem) || type === undefined) return [];
  return parts.map((_, from) => mavenPurl(parts.slice(from).join("."), artifact, version, type, classifier));
}
