import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, resolve } from "node:path";
import { type ByteSource, equalSources, openSource } from "../bytesource.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { compressionOf } from "../format/archive.ts";
import { INFLATION_LIMITS } from "../format/inflation.ts";
import { BLOCK, looksLikeTar } from "../format/tar.ts";
import { looksLikeZip } from "../format/zip.ts";
import { byteLeaves } from "./bytes.ts";
import type { Bounds, Comparison } from "./comparison.ts";
import { diffGzip, diffPlainlyCompressed } from "./compressed.ts";
import type { Difference, Leaf } from "./difference.ts";
import { diffDirectories } from "./directory.ts";
import { diffTar } from "./tar.ts";
import { areTexts, textLeaves } from "./text.ts";
import { diffZip } from "./zip.ts";

export type DiffOptions = Partial<Bounds>;

const BOUNDS: Bounds = {
  maxDepth: 100,
  maxLeaves: 50_000,
  maxText: 16 << 20,
  maxRegions: 500,
  maxInflated: 64 * 2 ** 30,
  maxInMemory: 128 << 20,
  inflation: INFLATION_LIMITS,
  temporary: tmpdir(),
  excluded: () => false,
};

/**
 * Compares two files or two folders down to the last byte, through tar, gzip,
 * xz, zstd and zip, told by their content. Undefined when they are equal: for
 * files bit for bit, for folders in names, kinds, permission bits, link
 * targets and contents. Archives are never extracted to disk; large
 * decompressed content goes to unlinked files in `options.temporary`. Throws
 * `input` when one of the two cannot be read, or is neither file nor folder.
 */
export async function diff(a: string, b: string, options: DiffOptions = {}): Promise<Difference | undefined> {
  const comparison = newComparison(options);
  const folderA = isFolder(a);
  const folderB = isFolder(b);
  if (folderA && folderB) return await diffDirectories(comparison, Buffer.from(a), Buffer.from(b), []);
  const path = [basename(resolve(a))];
  if (folderA !== folderB) {
    const leaf: Leaf = {
      kind: "leaf",
      path,
      what: "type",
      a: folderA ? "folder" : "file",
      b: folderB ? "folder" : "file",
      ranges: [],
    };
    return { kind: "node", path, format: "directory", children: [leaf] };
  }
  const sourceA = openSource(a);
  try {
    const sourceB = openSource(b);
    try {
      return await comparison.descend(sourceA, sourceB, path, 0);
    } finally {
      sourceB.close();
    }
  } finally {
    sourceA.close();
  }
}

/** Compares two contents that are at hand already. See `diff`. */
export async function diffSources(
  a: ByteSource,
  b: ByteSource,
  path: string[],
  options: DiffOptions = {},
): Promise<Difference | undefined> {
  return await newComparison(options).descend(a, b, path, 0);
}

function newComparison(options: DiffOptions): Comparison {
  const comparison: Comparison = {
    bounds: { ...BOUNDS, ...options },
    leaves: 0,
    inMemory: 0,
    inflated: 0,
    descend: (a, b, path, depth) => diffContents(comparison, a, b, path, depth),
  };
  return comparison;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    const code = systemCode(error);
    const why =
      code === "ENOENT" ? "there is no such file or folder" : code === "ELOOP" ? "links go round" : messageOf(error);
    throw new BitforbitError("input", `${path}: ${why}`, { cause: error });
  }
}

async function diffContents(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference | undefined> {
  if (equalSources(a, b)) return undefined;
  const format = containerOf(a);
  if (format === undefined || format !== containerOf(b)) return flat(comparison, a, b, path);
  if (depth >= comparison.bounds.maxDepth) {
    return flat(comparison, a, b, path, `not looked into: over ${comparison.bounds.maxDepth} containers deep`);
  }
  const before = comparison.leaves;
  try {
    const found = await diffContainer(comparison, format, a, b, path, depth);
    if (found.children.length > 0) return found;
    return flat(comparison, a, b, path, `as ${format} they hold the same, yet their bytes differ`);
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    comparison.leaves = before;
    return flat(comparison, a, b, path, `not looked into as ${format}: ${messageOf(error)}`);
  }
}

/** The container format of a content, by its first bytes and never by a name. */
function containerOf(source: ByteSource): "tar" | "gzip" | "xz" | "zstd" | "zip" | undefined {
  const start = source.read(0, Math.min(source.size, BLOCK));
  if (looksLikeZip(start)) return "zip";
  return compressionOf(start) ?? (looksLikeTar(start) ? "tar" : undefined);
}

async function diffContainer(
  comparison: Comparison,
  format: "tar" | "gzip" | "xz" | "zstd" | "zip",
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  switch (format) {
    case "tar":
      return await diffTar(comparison, a, b, path, depth);
    case "zip":
      return await diffZip(comparison, a, b, path, depth);
    case "gzip":
      return await diffGzip(comparison, a, b, path, depth);
    default:
      return await diffPlainlyCompressed(comparison, format, a, b, path, depth);
  }
}

/** Text line by line, everything else byte by byte. */
function flat(comparison: Comparison, a: ByteSource, b: ByteSource, path: string[], note?: string): Difference {
  const format = areTexts(comparison, a, b) ? "text" : "bytes";
  const leaves = format === "text" ? textLeaves(comparison, a, b, path) : byteLeaves(comparison, a, b, path);
  // Two contents that are known to differ must not come out as equal, whatever a comparison of lines says.
  const children = leaves.length > 0 ? leaves : byteLeaves(comparison, a, b, path);
  return { kind: "node", path, format, children, ...(note === undefined ? {} : { note }) };
}
