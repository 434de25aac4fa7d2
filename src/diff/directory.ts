import { type Stats, lstatSync, readlinkSync } from "node:fs";
import { showable } from "../bytes.ts";
import { type ByteSource, equalSources, memorySource, type OpenSource, openSource } from "../bytesource.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { nameBytesIn } from "../tree.ts";
import { type Comparison, counted, isFull, onlyLeaf, shortened, whyFull } from "./comparison.ts";
import type { Difference, Leaf } from "./difference.ts";
import { type FileAnswer, type FilePair, inThreads, threadsFor } from "./pool.ts";
import { betweenFiles } from "./files.ts";
import { type Nameless, renamed } from "./renames.ts";

const MAX_DEPTH = 1000;
const MAX_ENTRIES = 5_000_000;

/** The same place below both roots. Paths are bytes, for names need not be UTF-8. */
interface Place {
  a: Buffer;
  b: Buffer;
  /** Relative to the roots, for showing. */
  shown: string;
}

interface Walk {
  comparison: Comparison;
  path: string[];
  children: (Difference | Leaf)[];
  entries: number;
  /** What stands on one side only; it may have another name on the other. */
  onlyA: Lone[];
  onlyB: Lone[];
  /** Pairs of large files that differ, to be looked into when all are known. */
  large: FilePair[];
}

interface Lone {
  at: Buffer;
  shown: string;
}

/**
 * Compares two folders: names, kinds, permission bits, link targets and
 * contents; not owners and times, which are the file system's and no build's.
 * Links are not followed. What cannot be read becomes a leaf that says so.
 */
export async function diffDirectories(
  comparison: Comparison,
  a: Buffer,
  b: Buffer,
  path: string[],
): Promise<Difference | undefined> {
  const walk: Walk = { comparison, path, children: [], entries: 0, onlyA: [], onlyB: [], large: [] };
  await diffFolder(walk, { a, b, shown: "" }, 0);
  await tellLone(walk);
  await diffLarge(walk);
  walk.children.sort((one, other) => byteOrder(placeOf(walk, one), placeOf(walk, other)));
  return walk.children.length === 0 ? undefined : { kind: "node", path, format: "directory", children: walk.children };
}

function placeOf(walk: Walk, { path }: Difference | Leaf): string {
  return path[walk.path.length] ?? "";
}

async function diffFolder(walk: Walk, place: Place, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) throw new BitforbitError("limit", `${place.shown}: deeper than ${MAX_DEPTH} folders`);
  const names = await Promise.all([listed(walk, place, "a"), listed(walk, place, "b")]);
  const [inA, inB] = names;
  if (inA === undefined || inB === undefined) return;
  const keysA = new Set(inA.map((name) => name.toString("latin1")));
  const keysB = new Set(inB.map((name) => name.toString("latin1")));
  const union = [...inA, ...inB.filter((name) => !keysA.has(name.toString("latin1")))];
  for (const name of union.sort((one, other) => Buffer.compare(one, other))) {
    if (++walk.entries > MAX_ENTRIES) throw new BitforbitError("limit", `more than ${MAX_ENTRIES} files`);
    const key = name.toString("latin1");
    const shown = `${place.shown === "" ? "" : `${place.shown}/`}${showable(name)}`;
    if (walk.comparison.bounds.excluded(shown)) continue;
    const inside = { a: joined(place.a, name), b: joined(place.b, name), shown };
    if (isFull(walk.comparison)) {
      walk.children.push(notLookedInto(walk, shown));
      return;
    }
    if (!keysB.has(key)) walk.onlyA.push({ at: inside.a, shown });
    else if (!keysA.has(key)) walk.onlyB.push({ at: inside.b, shown });
    else await diffPlace(walk, inside, depth);
  }
}

function notLookedInto(walk: Walk, shown: string): Leaf {
  const path = [...walk.path, shown];
  const why = `from here on nothing was looked into: ${whyFull(walk.comparison)}`;
  walk.comparison.incomplete.push({ path, why });
  return { kind: "leaf", path, what: "bytes", ranges: [], note: why };
}

/** What has another name on the other side is compared with it; the rest is told, in the order of the names. */
async function tellLone(walk: Walk): Promise<void> {
  const { onlyA, onlyB } = walk;
  const [left, right] = [oneAtATime(onlyA), oneAtATime(onlyB)];
  const pairs = new Map(renamed(left.sources, right.sources));
  left.close();
  right.close();
  const taken = new Set(pairs.values());
  for (const [place, lone] of onlyA.entries()) {
    const partner = onlyB[pairs.get(place) ?? -1];
    if (partner === undefined) walk.children.push(onlyHere(walk, "a", lone.at, lone.shown));
    else await diffRenamed(walk, lone, partner);
  }
  for (const [place, lone] of onlyB.entries()) {
    if (!taken.has(place)) walk.children.push(onlyHere(walk, "b", lone.at, lone.shown));
  }
}

/** Opens files when asked for, each until the next is: two folders may have a hundred thousand. */
function oneAtATime(lone: readonly Lone[]): { sources: Nameless[]; close(): void } {
  let current: OpenSource | undefined;
  const close = (): void => {
    current?.close();
    current = undefined;
  };
  const sources = lone.map(({ at, shown }) => ({
    name: shown,
    open: (): ByteSource => {
      close();
      current = openedFile(at, shown);
      return current ?? memorySource(new Uint8Array(0), shown);
    },
  }));
  return { sources, close };
}

/** What is no regular file, or cannot be read, is matched with nothing. */
function openedFile(at: Buffer, shown: string): OpenSource | undefined {
  try {
    return lstatSync(at).isFile() ? openSource(at, shown) : undefined;
  } catch (error) {
    if (!(error instanceof BitforbitError) && systemCode(error) === undefined) throw error;
    return undefined;
  }
}

async function diffRenamed(walk: Walk, one: Lone, other: Lone): Promise<void> {
  const shown = `${one.shown} → ${other.shown}`;
  walk.children.push(valueLeaf(walk, [...walk.path, shown], "field", "name", one.shown, other.shown));
  await diffPlace(walk, { a: one.at, b: other.at, shown }, 0);
}

function joined(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from("/"), name]);
}

async function listed(walk: Walk, place: Place, side: "a" | "b"): Promise<Buffer[] | undefined> {
  try {
    return await nameBytesIn(place[side]);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    walk.children.push(unreadable(walk, place.shown, error, side));
    return undefined;
  }
}

/** Equal or not cannot be known: that is said, never guessed. */
function unreadable(walk: Walk, shown: string, error: unknown, side?: "a" | "b"): Leaf {
  const note = `cannot be read${side === undefined ? "" : ` in ${side}`}, so it counts as different: ${messageOf(error)}`;
  const path = shown === "" ? walk.path : [...walk.path, shown];
  return counted(walk.comparison, { kind: "leaf", path, what: "bytes", ranges: [], note });
}

type Kind = "file" | "folder" | "link" | "FIFO" | "socket" | "device";

function kindOf(stats: Stats): Kind {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isSymbolicLink()) return "link";
  if (stats.isFIFO()) return "FIFO";
  return stats.isSocket() ? "socket" : "device";
}

function onlyHere(walk: Walk, side: "a" | "b", at: Buffer, shown: string): Leaf {
  const path = [...walk.path, shown];
  let source: OpenSource | undefined;
  try {
    const stats = lstatSync(at);
    const kind = kindOf(stats);
    if (kind === "file") source = openSource(at, shown);
    const text = kind === "link" ? `link to ${showable(readlinkSync(at, { encoding: "buffer" }))}` : kind;
    const value = kind === "file" ? `file, ${stats.size} bytes` : text;
    return onlyLeaf(walk.comparison, side, path, { shown: value, ...(source === undefined ? {} : { source }) });
  } catch (error) {
    return onlyLeaf(walk.comparison, side, path, { note: `cannot be read: ${messageOf(error)}` });
  } finally {
    source?.close();
  }
}

async function diffPlace(walk: Walk, place: Place, depth: number): Promise<void> {
  let statsA: Stats;
  let statsB: Stats;
  try {
    statsA = lstatSync(place.a);
    statsB = lstatSync(place.b);
  } catch (error) {
    walk.children.push(unreadable(walk, place.shown, error));
    return;
  }
  if (statsA.ino !== 0 && statsA.dev === statsB.dev && statsA.ino === statsB.ino) return;
  const path = [...walk.path, place.shown];
  const kind = kindOf(statsA);
  if (kind !== kindOf(statsB)) {
    walk.children.push(valueLeaf(walk, path, "type", undefined, kind, kindOf(statsB)));
    return;
  }
  if (kind !== "link" && (statsA.mode & 0o7777) !== (statsB.mode & 0o7777)) {
    walk.children.push(valueLeaf(walk, path, "field", "mode", octal(statsA), octal(statsB)));
  }
  if (kind === "folder") await diffFolder(walk, place, depth + 1);
  else if (kind === "file") await diffFiles(walk, place, path);
  else if (kind === "link") diffLinks(walk, place, path);
  else if (kind === "device" && statsA.rdev !== statsB.rdev) {
    walk.children.push(valueLeaf(walk, path, "field", "device", String(statsA.rdev), String(statsB.rdev)));
  }
}

function octal(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8).padStart(4, "0");
}

function valueLeaf(
  walk: Walk,
  path: string[],
  what: "type" | "field",
  field: string | undefined,
  a: string,
  b: string,
): Leaf {
  const bytes = { bytesA: new Uint8Array(Buffer.from(a)), bytesB: new Uint8Array(Buffer.from(b)) };
  return counted(walk.comparison, {
    kind: "leaf",
    path,
    what,
    ...(field === undefined ? {} : { field }),
    a: shortened(a),
    b: shortened(b),
    ranges: [],
    ...bytes,
  });
}

function diffLinks(walk: Walk, place: Place, path: string[]): void {
  const a = readlinkSync(place.a, { encoding: "buffer" });
  const b = readlinkSync(place.b, { encoding: "buffer" });
  if (!a.equals(b)) walk.children.push(valueLeaf(walk, path, "field", "link", showable(a), showable(b)));
}

async function diffFiles(walk: Walk, place: Place, path: string[]): Promise<void> {
  await reading(walk, place.shown, async () => {
    await betweenFiles(place.a, place.b, place.shown, async (a, b) => {
      if (a.size + b.size < WORTH_A_THREAD) return tell(walk, await walk.comparison.descend(a, b, path, 0));
      // Others may share the work: what is large is left until all is known.
      if (!equalSources(a, b)) walk.large.push({ ...place, path, size: a.size + b.size });
    });
  });
}

function tell(walk: Walk, difference: Difference | undefined): void {
  if (difference !== undefined) walk.children.push(difference);
}

/** What cannot be read is a leaf that says so, and not the end of everything. */
async function reading(walk: Walk, shown: string, work: () => Promise<void>): Promise<void> {
  const before = walk.children.length;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BitforbitError) && systemCode(error) === undefined) throw error;
    walk.children.length = before;
    walk.children.push(unreadable(walk, shown, error));
  }
}

const WORTH_A_THREAD = 64 << 10;

/** Large files: by several threads where that pays, and told in their order in any case. */
async function diffLarge(walk: Walk): Promise<void> {
  const { comparison, large } = walk;
  const threads = threadsFor(large);
  const answers = threads === 0 ? undefined : await inThreads(comparison, large, threads);
  for (const [at, pair] of large.entries()) {
    if (isFull(comparison)) return void walk.children.push(notLookedInto(walk, pair.shown));
    if (answers === undefined) await diffFilePlace(walk, pair);
    else take(walk, pair, answers[at]);
  }
}

async function diffFilePlace(walk: Walk, { a, b, shown, path }: FilePair): Promise<void> {
  await reading(walk, shown, async () => {
    await betweenFiles(a, b, shown, async (left, right) => {
      tell(walk, await walk.comparison.descend(left, right, path, 0));
    });
  });
}

/** What a thread found counts as if it had been found here. */
function take(walk: Walk, { shown }: FilePair, answer: FileAnswer | undefined): void {
  const { comparison } = walk;
  if (answer?.found === undefined) {
    const { code = "input", message = "not compared" } = answer?.error ?? {};
    walk.children.push(unreadable(walk, shown, new BitforbitError(code, message)));
    return;
  }
  const { difference, incomplete, proof, leaves } = answer.found;
  if (difference !== undefined) walk.children.push(difference);
  comparison.leaves += leaves;
  comparison.incomplete.push(...incomplete);
  if (proof === undefined || comparison.proof === undefined) return;
  comparison.proof.spaces += proof.spaces;
  comparison.proof.equal += proof.equal;
  comparison.proof.inLeavesA += proof.inLeavesA;
  comparison.proof.inLeavesB += proof.inLeavesB;
}
