/** go.mod and go.sum (Go Modules Reference, "go.mod files" and "go.sum files"). */
import { base64, utf8Text } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import { purl } from "../purl.ts";
import { MAX_MATERIALS, materialList } from "./material-list.ts";

const MAX_BYTES = 32 << 20;

interface Sum {
  path: string;
  version: string;
  /** Of the module's go.mod only, not of its files. */
  modOnly: boolean;
  h1: string;
}

/**
 * The modules whose files go.sum vouches for. A line `…/go.mod` is only for the
 * module graph: the build reads no file of that module. go.sum does not tell
 * who needs whom. Throws `input` naming the line.
 */
export function goSumMaterials(source: Uint8Array | string, what: string): Material[] {
  return materialList(
    sumsOf(source, what)
      .filter((sum) => !sum.modOnly)
      .map((sum) => {
        const slash = sum.path.lastIndexOf("/");
        const [namespace, name] =
          slash < 0 ? [undefined, sum.path] : [sum.path.slice(0, slash), sum.path.slice(slash + 1)];
        return {
          kind: "dependency" as const,
          purl: purl("golang", namespace, name, sum.version),
          name: sum.path,
          version: sum.version,
          checksums: { goH1: sum.h1 },
        };
      }),
    what,
  );
}

/** The hashes of go.mod files, by `path version`: of every module in the graph, whether its files are needed or not. */
export function goModHashes(source: Uint8Array | string, what: string): Map<string, string> {
  const ofMods = sumsOf(source, what).filter((sum) => sum.modOnly);
  return new Map(ofMods.map(({ path, version, h1 }) => [`${path} ${version}`, h1]));
}

/**
 * Go's hash of a list of files (golang.org/x/mod/sumdb/dirhash, Hash1): names
 * with the SHA-256 of each in hexadecimal. A module's zip is its files by their
 * names in it; a go.mod is the one file `go.mod`.
 */
export function goHash1(files: Iterable<readonly [name: string, sha256: string]>): string {
  const lines = sortedBy(files, ([name]) => name).map(([name, digits]) => `${digits}  ${name}\n`);
  return `h1:${base64(sha256(lines.join("")))}`;
}

function sumsOf(source: Uint8Array | string, what: string): Sum[] {
  const sums: Sum[] = [];
  for (const [index, line] of linesOf(source, what).entries()) {
    if (line.trim() === "") continue;
    const place = `${what}:${index + 1}`;
    const [path = "", version = "", h1 = "", ...rest] = line.trim().split(/[ \t]+/);
    if (rest.length > 0 || h1 === "" || !isModulePath(path) || !/^v\d[^/]*(?:\/go\.mod)?$/.test(version)) {
      throw new BitforbitError("input", `${place}: not "module version hash": ${JSON.stringify(line.slice(0, 120))}`);
    }
    // Other algorithms may come one day; Go itself skips what it does not know.
    if (!h1.startsWith("h1:")) continue;
    const encoded = h1.slice(3);
    const bytes = Buffer.from(encoded, "base64");
    if (bytes.length !== 32 || bytes.toString("base64") !== encoded) {
      throw new BitforbitError("input", `${place}: ${JSON.stringify(h1.slice(0, 80))} is not a module hash`);
    }
    sums.push({ path, version: version.replace(/\/go\.mod$/, ""), modOnly: version.endsWith("/go.mod"), h1 });
    if (sums.length > 2 * MAX_MATERIALS)
      throw new BitforbitError("limit", `${what}: more than ${2 * MAX_MATERIALS} lines`);
  }
  return sums;
}

/** Module paths: Go Modules Reference, "Module paths and versions". */
function isModulePath(text: string): boolean {
  return text.length <= 1024 && /^(?!\.|.*\/\.)[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*$/.test(text);
}

function linesOf(source: Uint8Array | string, what: string): string[] {
  if (source.length > MAX_BYTES) throw new BitforbitError("limit", `${what}: larger than ${MAX_BYTES} bytes`);
  const text = typeof source === "string" ? source : utf8Text(source);
  if (text === undefined) throw new BitforbitError("input", `${what}: not UTF-8`);
  return text.split("\n");
}

/**
 * Modules that go.mod requires and go.sum does not know, in words, sorted by
 * their place in go.mod; [] when go.sum is complete. What `replace` sends to a
 * folder needs no hash. Throws `input` naming the line.
 */
export function goSumStale(goMod: Uint8Array | string, goSum: Uint8Array | string, what: string): string[] {
  const known = new Set(sumsOf(goSum, what).map((sum) => `${sum.path} ${sum.version}`));
  const { required, replaced } = goModRequires(goMod);
  const reasons: string[] = [];
  for (const { path, version } of required) {
    const other = replaced.get(`${path} ${version}`) ?? replaced.get(path);
    const wanted = other === undefined ? `${path} ${version}` : other;
    if (wanted === "folder" || known.has(wanted)) continue;
    reasons.push(`${path}: go.mod requires ${version}, ${what} has no hash of ${wanted}`);
  }
  return reasons;
}

interface Requires {
  required: { path: string; version: string }[];
  /** From `path` or `path version` to `path version`, or to "folder". */
  replaced: Map<string, string>;
}

function goModRequires(source: Uint8Array | string): Requires {
  const found: Requires = { required: [], replaced: new Map() };
  let block: string | undefined;
  for (const [index, raw] of linesOf(source, "go.mod").entries()) {
    const words = (raw.replace(/\/\/.*$/, "").match(/"[^"]*"|`[^`]*`|[()]|[^\s()"`]+/g) ?? []).map((word) =>
      word.replace(/^["`](.*)["`]$/, "$1"),
    );
    if (words.length === 0) continue;
    if (block !== undefined && words[0] === ")") {
      block = undefined;
      continue;
    }
    const verb = block ?? words.shift() ?? "";
    if (block === undefined && words[0] === "(") {
      block = verb;
      continue;
    }
    const place = `go.mod:${index + 1}`;
    if (verb === "require") {
      const [path, version] = words;
      if (path === undefined || version === undefined)
        throw new BitforbitError("input", `${place}: require needs a module and a version`);
      found.required.push({ path, version });
    } else if (verb === "replace") {
      const arrow = words.indexOf("=>");
      const [path, version] = words.slice(arrow + 1);
      if (arrow < 1 || path === undefined)
        throw new BitforbitError("input", `${place}: replace needs "module => module version"`);
      found.replaced.set(words.slice(0, arrow).join(" "), version === undefined ? "folder" : `${path} ${version}`);
    }
  }
  return found;
}
