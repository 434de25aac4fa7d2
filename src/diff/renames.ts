import { type ByteSource, equalSources } from "../bytesource.ts";
import { withoutDigests } from "./digest-names.ts";

/** Smaller contents say nothing of where they came from. */
const MIN_BYTES = 32;
/** Contents beyond this many on a side are matched when they are equal only. */
const MAX_ALIKE = 1500;
const MAX_EXACT = 200_000;
/** Bytes of a content that are looked at. */
const LOOKED_AT = 128 << 10;
/** Share of pieces that must be the same. */
const ALIKE = 0.5;
/** A piece that so many contents hold tells nothing. */
const COMMON = 24;

/** What has no partner of the same name. */
export interface Nameless {
  name: string;
  open(): ByteSource;
}

/**
 * Contents of two sides that have no partner by name. First those of which
 * only a folder has another name; then equal ones, those that say they are the
 * same compressed in another way or called by another digest, and the most alike
 * of which half the pieces are the same. Gives pairs of places, each at most once.
 */
export function renamed(left: readonly Nameless[], right: readonly Nameless[]): [number, number][] {
  const [a, b] = [left.map(({ open }) => open), right.map(({ open }) => open)];
  if (a.length === 0 || b.length === 0 || a.length > MAX_EXACT || b.length > MAX_EXACT) return [];
  const found = movedFolders(left, right);
  found.push(...equalOnes(a, b, found));
  found.push(...byStem(left, right, found, (name) => name.replace(COMPRESSED, "")));
  found.push(...byStem(left, right, found, withoutDigests));
  const usedA = new Set(found.map(([one]) => one));
  const usedB = new Set(found.map(([, other]) => other));
  const leftA = [...a.keys()].filter((at) => !usedA.has(at));
  const leftB = [...b.keys()].filter((at) => !usedB.has(at));
  if (leftA.length > MAX_ALIKE || leftB.length > MAX_ALIKE) return found;
  return [...found, ...alikeOnes(a, b, leftA, leftB)];
}

/** So many names must agree that a folder has another name. */
const AGREED = 2;
/** A name that ends as more others do tells nothing. */
const MAX_SUFFIXES = 8;

/** "pkg-1.0/src/x" and "pkg-1.1/src/x": what most of the names have in common after the folder that differs. */
function movedFolders(a: readonly Nameless[], b: readonly Nameless[]): [number, number][] {
  const places = new Map(b.map(({ name }, place) => [name, place]));
  const found: [number, number][] = [];
  const used = new Set<number>();
  for (const [from, to] of folderNames(a, b)) {
    for (const [at, { name }] of a.entries()) {
      const place = name.startsWith(from) ? places.get(`${to}${name.slice(from.length)}`) : undefined;
      if (place === undefined || used.has(at) || used.has(-1 - place)) continue;
      used.add(at).add(-1 - place);
      found.push([at, place]);
    }
  }
  return found;
}

/** Names of folders with what they are called on the other side, those that most names agree on first. */
function folderNames(a: readonly Nameless[], b: readonly Nameless[]): [string, string][] {
  const folders = new Map<string, string[]>();
  for (const { name } of b) {
    for (const at of slashes(name)) {
      const known = folders.get(name.slice(at + 1));
      if (known === undefined) folders.set(name.slice(at + 1), [name.slice(0, at + 1)]);
      else if (known.length <= MAX_SUFFIXES) known.push(name.slice(0, at + 1));
    }
  }
  const votes = new Map<string, { from: string; to: string; count: number }>();
  for (const { name } of a) {
    const at = slashes(name).find((slash) => folders.has(name.slice(slash + 1)));
    const known = at === undefined ? [] : (folders.get(name.slice(at + 1)) ?? []);
    if (at === undefined || known.length > MAX_SUFFIXES) continue;
    for (const to of known) {
      const from = name.slice(0, at + 1);
      const vote = votes.get(`${from}\0${to}`) ?? { from, to, count: 0 };
      vote.count++;
      votes.set(`${from}\0${to}`, vote);
    }
  }
  const agreed = [...votes.values()].filter(({ count }) => count >= AGREED);
  return agreed.toSorted((one, other) => other.count - one.count).map(({ from, to }) => [from, to]);
}

const MAX_DEPTH = 32;

/** Where the folders of a name end, the outermost first; not the slash that a folder's own name ends with. */
function slashes(name: string): number[] {
  const found: number[] = [];
  for (let at = name.indexOf("/"); at >= 0 && at < name.length - 1; at = name.indexOf("/", at + 1)) {
    if (found.push(at) >= MAX_DEPTH) break;
  }
  return found;
}

const COMPRESSED = /\.(?:gz|bz2|xz|lzma|zst|lz4|lz|br|Z)$/;

/**
 * "data.tar.xz" and "data.tar.zst", "main-3f2a9bc1.js" and "main-77d0e2f4.js": one such name on each side. Compressed
 * bytes themselves are never alike.
 */
function byStem(
  a: readonly Nameless[],
  b: readonly Nameless[],
  found: readonly [number, number][],
  stemOf: (name: string) => string,
): [number, number][] {
  const used = { a: new Set(found.map(([one]) => one)), b: new Set(found.map(([, other]) => other)) };
  const [left, right] = [stems(a, used.a, stemOf), stems(b, used.b, stemOf)];
  return [...left].flatMap(([stem, at]): [number, number][] => {
    const place = right.get(stem);
    return at === undefined || place === undefined ? [] : [[at, place]];
  });
}

/** Places by the stems of their names; undefined for those that several share. */
function stems(
  things: readonly Nameless[],
  used: ReadonlySet<number>,
  stemOf: (name: string) => string,
): Map<string, number | undefined> {
  const known = new Map<string, number | undefined>();
  for (const [at, { name }] of things.entries()) {
    if (used.has(at)) continue;
    const stem = stemOf(name);
    known.set(stem, known.has(stem) ? undefined : at);
  }
  return known;
}

function equalOnes(
  a: readonly (() => ByteSource)[],
  b: readonly (() => ByteSource)[],
  known: readonly [number, number][],
): [number, number][] {
  const used = { a: new Set(known.map(([one]) => one)), b: new Set(known.map(([, other]) => other)) };
  const sizes = new Map<number, number[]>();
  for (const [at, open] of b.entries()) {
    if (used.b.has(at)) continue;
    const { size } = open();
    if (size >= MIN_BYTES) sizes.set(size, [...(sizes.get(size) ?? []).slice(0, 99), at]);
  }
  const found: [number, number][] = [];
  for (const [at, open] of a.entries()) {
    if (used.a.has(at)) continue;
    const source = open();
    const candidates = sizes.get(source.size);
    const hit = candidates?.findIndex((place) => equalSources(source, b[place]?.() ?? source)) ?? -1;
    if (candidates === undefined || hit < 0) continue;
    found.push([at, candidates[hit] ?? 0]);
    candidates.splice(hit, 1);
  }
  return found;
}

function alikeOnes(
  a: readonly (() => ByteSource)[],
  b: readonly (() => ByteSource)[],
  leftA: readonly number[],
  leftB: readonly number[],
): [number, number][] {
  const holders = new Map<number, number[]>();
  const counts = new Map<number, number>();
  for (const at of leftB) {
    const pieces = piecesOf(b[at]);
    counts.set(at, pieces.size);
    for (const piece of pieces) {
      const known = holders.get(piece);
      if (known === undefined) holders.set(piece, [at]);
      else if (known.length <= COMMON) known.push(at);
    }
  }
  const scored: { one: number; other: number; score: number }[] = [];
  for (const at of leftA) {
    const pieces = piecesOf(a[at]);
    const shared = new Map<number, number>();
    for (const piece of pieces) {
      const known = holders.get(piece) ?? [];
      if (known.length <= COMMON) for (const place of known) shared.set(place, (shared.get(place) ?? 0) + 1);
    }
    for (const [place, count] of shared) {
      const score = count / Math.max(pieces.size, counts.get(place) ?? 1);
      if (score >= ALIKE && count >= 2) scored.push({ one: at, other: place, score });
    }
  }
  scored.sort((one, other) => other.score - one.score || one.one - other.one || one.other - other.other);
  const usedA = new Set<number>();
  const usedB = new Set<number>();
  const found: [number, number][] = [];
  for (const { one, other } of scored) {
    if (usedA.has(one) || usedB.has(other)) continue;
    usedA.add(one);
    usedB.add(other);
    found.push([one, other]);
  }
  return found;
}

/** Hashes of the pieces of a content, cut at line ends and NULs, or after 64 bytes: the same text gives the same pieces wherever it stands. */
function piecesOf(open: (() => ByteSource) | undefined): Set<number> {
  const pieces = new Set<number>();
  const source = open?.();
  if (source === undefined || source.size < MIN_BYTES) return pieces;
  const bytes = source.read(0, Math.min(source.size, LOOKED_AT));
  let hash = 0x811c9dc5;
  let length = 0;
  for (const byte of bytes) {
    hash = Math.imul(hash ^ byte, 0x01000193);
    length++;
    if ((byte !== 0x0a && byte !== 0 && length < 64) || length < 6) continue;
    pieces.add(hash);
    hash = 0x811c9dc5;
    length = 0;
  }
  if (length >= 6) pieces.add(hash);
  return pieces;
}
