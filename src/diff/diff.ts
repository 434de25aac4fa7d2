import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, resolve } from "node:path";
import { type ByteSource, equalSources } from "../bytesource.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { looksLikeGzip } from "../format/magic.ts";
import { INFLATION_LIMITS, type InflationLimits, type Sink } from "../format/inflation.ts";
import { byteLeaves } from "./bytes.ts";
import type { DiffSide } from "./compare.ts";
import type { Bounds, Comparison, Incomplete, Proof } from "./comparison.ts";
import type { Wrapped } from "./compressed.ts";
import type { Difference, Leaf } from "./difference.ts";
import { betweenFiles } from "./files.ts";
import { imageInput } from "./image-named.ts";

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
  expired: () => false,
  images: {},
  prove: false,
};

/** What a comparison found. */
export interface Compared {
  /** Undefined when the two are equal. */
  difference: Difference | undefined;
  /** What was not compared, and why. */
  incomplete: readonly Incomplete[];
  /** Where `prove` was asked for: what was shown to be complete. */
  proof: Proof | undefined;
}

/**
 * Compares two files or two folders down to the last byte, through every
 * format that is known, told by content. Equal are files bit for bit, folders
 * in names, kinds, permission bits, link targets and contents. Nothing is
 * extracted to disk; large decoded content goes to unlinked files in
 * `options.temporary`. Throws `input` when one of the two cannot be read, or
 * is neither file nor folder.
 */
export async function compare(a: string, b: string, options: DiffOptions = {}): Promise<Compared> {
  const comparison = await newComparison(options);
  const difference = await compared(comparison, a, b);
  return { difference, incomplete: comparison.incomplete, proof: comparison.proof };
}

/** The difference alone: see `compare`. */
export async function diff(a: string, b: string, options: DiffOptions = {}): Promise<Difference | undefined> {
  return (await compare(a, b, options)).difference;
}

async function compared(comparison: Comparison, a: string, b: string): Promise<Difference | undefined> {
  const [imageA, imageB] = [await imageInput(a), await imageInput(b)];
  if (imageA !== undefined || imageB !== undefined) {
    const { diffImageInputs } = await import("./image-inputs.ts");
    const done = await diffImageInputs(comparison, [a, imageA], [b, imageB]);
    if (done !== undefined) return done.difference;
  }
  const folderA = isFolder(a);
  const folderB = isFolder(b);
  if (folderA && folderB) {
    const { diffDirectories } = await import("./directory.ts");
    return await diffDirectories(comparison, Buffer.from(a), Buffer.from(b), []);
  }
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
  return await betweenFiles(a, b, undefined, async (left, right) => await comparison.descend(left, right, path, 0));
}

/** Compares two files of a folder as a part of a larger comparison; `leaves`: how many were found. */
export async function diffFilePair(
  a: Buffer,
  b: Buffer,
  shown: string,
  path: string[],
  options: DiffOptions,
): Promise<Compared & { leaves: number }> {
  const comparison = await newComparison(options);
  return await betweenFiles(a, b, shown, async (left, right) => {
    const difference = await comparison.descend(left, right, path, 0);
    const { incomplete, proof, leaves } = comparison;
    return { difference, incomplete, proof, leaves };
  });
}

/** Compares two contents that are at hand already. See `diff`. */
export async function diffSources(
  a: ByteSource,
  b: ByteSource,
  path: string[],
  options: DiffOptions = {},
): Promise<Difference | undefined> {
  return await (await newComparison(options)).descend(a, b, path, 0);
}

async function newComparison(options: DiffOptions): Promise<Comparison> {
  const bounds = { ...BOUNDS, ...options };
  const proof: Proof | undefined = bounds.prove ? { spaces: 0, equal: 0, inLeavesA: 0, inLeavesB: 0 } : undefined;
  const prover = bounds.prove ? await import("./prove.ts") : undefined;
  const comparison: Comparison = {
    bounds,
    leaves: 0,
    inMemory: 0,
    inflated: 0,
    incomplete: [],
    proof,
    finished: (node, a, b) => {
      if (proof !== undefined) prover?.proveNode(node, a, b, proof);
    },
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
  const found = await inFormat(comparison, a, b, path, depth);
  comparison.finished(found, a, b);
  return found;
}

/** In the first format that both sides hold and that shows where they differ, otherwise as text or bytes. */
async function inFormat(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference> {
  if (depth >= comparison.bounds.maxDepth) {
    return await flat(comparison, a, b, path, `not looked into: over ${comparison.bounds.maxDepth} containers deep`);
  }
  let note: string | undefined;
  const across = await acrossFormats(comparison, a, b, path, depth);
  if (across !== undefined) return across;
  for await (const format of formatsOf(a, b)) {
    const before = { leaves: comparison.leaves, incomplete: comparison.incomplete.length };
    try {
      const found = await format.compare(comparison, a, b, path, depth);
      if (found.children.length > 0) return found;
      note ??= `as ${format.name} they hold the same, yet their bytes differ`;
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
      comparison.leaves = before.leaves;
      comparison.incomplete.length = before.incomplete;
      if (!format.guess) note ??= `not looked into as ${format.name}: ${messageOf(error)}`;
    }
  }
  return await flat(comparison, a, b, path, note);
}

async function acrossFormats(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  depth: number,
): Promise<Difference | undefined> {
  try {
    const left = await wrappedIn(a);
    const right = left === undefined ? undefined : await wrappedIn(b);
    if (left === undefined || right === undefined || left.format === right.format) return undefined;
    const { diffAcross } = await import("./compressed.ts");
    return await diffAcross(comparison, left, right, path, depth);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

interface Comparer {
  name: string;
  guess: boolean;
  compare(comparison: Comparison, a: ByteSource, b: ByteSource, path: string[], depth: number): Promise<Difference>;
}

const START = 4096;

function startOf(source: ByteSource): Uint8Array {
  return source.read(0, Math.min(source.size, START));
}

async function gzipCompare(...args: Parameters<Comparer["compare"]>): Promise<Difference> {
  const { diffGzip } = await import("./compressed.ts");
  return await diffGzip(...args);
}

async function* formatsOf(a: ByteSource, b: ByteSource): AsyncGenerator<Comparer> {
  const [startA, startB] = [startOf(a), startOf(b)];
  if (looksLikeGzip(startA) && looksLikeGzip(startB)) yield { name: "gzip", guess: false, compare: gzipCompare };
  const { FORMATS } = await import("./formats.ts");
  for (const { name, looksLike, load, guess = false } of FORMATS) {
    if (!looksLike(startA, a.name, a) || !looksLike(startB, b.name, b)) continue;
    yield {
      name,
      guess,
      compare: async (comparison, left, right, path, depth) => {
        const [parse, { diffParts }] = await Promise.all([load(), import("./compare.ts")]);
        const sideOf = async (source: ByteSource): Promise<DiffSide> => ({
          source,
          parts: await parse(source, source.name),
        });
        return await diffParts(comparison, name, await sideOf(left), await sideOf(right), path, depth);
      },
    };
  }
}

async function gunzipped(source: ByteSource, sink: Sink, limits: InflationLimits): Promise<unknown> {
  const { gunzip } = await import("../format/gzip.ts");
  return await gunzip(source, sink, limits);
}

/** Two compressed files of different formats; undefined when one of them is none. */
async function wrappedIn(source: ByteSource): Promise<Wrapped | undefined> {
  const start = startOf(source);
  if (looksLikeGzip(start)) return { format: "gzip", source, run: (sink, limits) => gunzipped(source, sink, limits) };
  const { FORMATS } = await import("./formats.ts");
  const format = FORMATS.find(({ wraps, looksLike }) => wraps === true && looksLike(start, source.name, source));
  if (format === undefined) return undefined;
  const parse = await format.load();
  for (const { decode } of await parse(source, source.name)) {
    if (decode !== undefined) return { format: format.name, source, run: decode.run };
  }
  return undefined;
}

/** Text line by line, everything else byte by byte. */
async function flat(
  comparison: Comparison,
  a: ByteSource,
  b: ByteSource,
  path: string[],
  note?: string,
): Promise<Difference> {
  const { areTexts, textLeaves } = await import("./text.ts");
  const format = areTexts(comparison, a, b) ? "text" : "bytes";
  const leaves = format === "text" ? textLeaves(comparison, a, b, path) : byteLeaves(comparison, a, b, path);
  // Two contents that are known to differ must not come out as equal, whatever a comparison of lines says.
  const children = leaves.length > 0 ? leaves : byteLeaves(comparison, a, b, path);
  const sizes = { a: a.size, b: b.size };
  return { kind: "node", path, format, children, sizes, ...(note === undefined ? {} : { note }) };
}
