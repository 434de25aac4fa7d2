import { type ByteSource, partOf } from "../bytesource.ts";
import type { Part } from "../format/part.ts";
import { BitforbitError } from "../errors.ts";
import { type Nameless, renamed } from "./renames.ts";
import { rising } from "./sequence.ts";
import type { Space } from "./space.ts";

export interface Pairing {
  /** For each part of A its partner's place in B; negative: it has none. */
  partners: Int32Array;
  /** For each part of A: 1 where the pair stands in another order than most. */
  moved: Uint8Array;
  /** Names of all pairs in the order of each side, when an order differs that says something. */
  order: { a: string[]; b: string[] } | undefined;
}

/** Pairs parts by name, the nth of a name with the nth, then what is left by content: a rename. */
export function pairedRest(space: Space, a: readonly Part[], b: readonly Part[]): Pairing {
  const partners = byName(a, b);
  byContent(space, a, b, partners);
  const kept = rising(partners);
  inPlace(a, b, partners, kept);
  const moved = new Uint8Array(a.length);
  let says = false;
  for (const [at, part] of a.entries()) {
    if ((partners[at] ?? -1) < 0 || kept[at] === 1) continue;
    moved[at] = 1;
    says ||= saysOrder(part);
  }
  return { partners, moved, order: says ? orders(a, partners) : undefined };
}

function byName(a: readonly Part[], b: readonly Part[]): Int32Array {
  const places = new Map<string, number[]>();
  for (const [at, { key }] of b.entries()) {
    const known = places.get(key);
    if (known === undefined) places.set(key, [at]);
    else known.push(at);
  }
  const used = new Map<string, number>();
  const partners = new Int32Array(a.length).fill(-1);
  for (const [at, { key }] of a.entries()) {
    const occurrence = used.get(key) ?? 0;
    const place = places.get(key)?.[occurrence];
    if (place === undefined) continue;
    used.set(key, occurrence + 1);
    partners[at] = place;
  }
  return partners;
}

function byContent(space: Space, a: readonly Part[], b: readonly Part[], partners: Int32Array): void {
  const taken = new Set(partners);
  const left = [...a.keys()].filter((at) => (partners[at] ?? -1) < 0 && isThing(a[at]));
  const right = [...b.keys()].filter((at) => !taken.has(at) && isThing(b[at]));
  const byKey = new Map(right.map((place) => [b[place]?.key, place]));
  for (const at of left) {
    const place = byKey.get(space.renamed.get(a[at]?.key ?? ""));
    if (place !== undefined) partners[at] = place;
  }
  if (left.some((at) => (partners[at] ?? -1) >= 0)) return;
  for (const [one, other] of renamed(contentsAt(space.a, a, left), contentsAt(space.b, b, right))) {
    const [at, place] = [left[one] ?? 0, right[other] ?? -1];
    partners[at] = place;
    space.renamed.set(a[at]?.key ?? "", b[place]?.key ?? "");
  }
}

function contentsAt(source: ByteSource, parts: readonly Part[], places: readonly number[]): Nameless[] {
  return places.map((at) => ({ name: parts[at]?.key ?? "", open: () => contentIn(source, parts[at]) }));
}

/** Small things between the same neighbours, as many on each side, are the same things changed. */
function inPlace(a: readonly Part[], b: readonly Part[], partners: Int32Array, kept: Uint8Array): void {
  const taken = new Set(partners);
  let from = 0;
  let fromB = 0;
  for (let at = 0; at <= a.length; at++) {
    if (at < a.length && kept[at] !== 1) continue;
    const toB = at < a.length ? (partners[at] ?? 0) : b.length;
    const left = places(from, at).filter((place) => (partners[place] ?? -1) < 0);
    const right = places(fromB, toB).filter((place) => !taken.has(place));
    const alike = left.every((place, index) => {
      const [one, other] = [a[place], b[right[index] ?? -1]];
      return one !== undefined && other !== undefined && akin(one, other, left.length === 1);
    });
    if (left.length > 0 && left.length === right.length && alike) {
      for (const [index, place] of left.entries()) {
        partners[place] = right[index] ?? -1;
        kept[place] = 1;
      }
    }
    from = at + 1;
    fromB = toB + 1;
  }
}

/** Both are known by what stands there, or their names begin with the same word: "constant 1", "constant 2". */
function akin(one: Part, other: Part, alone: boolean): boolean {
  if (one.kind !== other.kind || one.kind === "content" || one.kind === "stored") return false;
  // Groups are matched by what they hold; one alone between the same neighbours hardly is another thing.
  if (one.kind === "group" && !alone) return false;
  if (one.kind === "padding" || one.kind === "derived") return true;
  const [word = "", ...more] = one.key.split(" ");
  if (more.length > 0 && other.key.startsWith(`${word} `)) return true;
  return one.key === one.show?.() && other.key === other.show?.();
}

const MOST_IN_PLACE = 64;

function places(from: number, to: number): number[] {
  return to - from > MOST_IN_PLACE * 4 ? [] : Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}

function isThing(part: Part | undefined): boolean {
  return part?.kind === "group" || part?.kind === "content";
}

/** The largest content in a group, as it is stored; of what has none, all its bytes. */
function contentIn(source: ByteSource, part: Part | undefined): ByteSource {
  let best: Part | undefined;
  try {
    let looked = 0;
    for (const inner of part?.parts?.() ?? []) {
      if (inner.kind === "content" && inner.length >= (best?.length ?? 0)) best = inner;
      if (++looked >= 64) break;
    }
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
  }
  const { offset, length } = best ?? part ?? { offset: 0, length: 0 };
  return partOf(source, offset, length);
}

/** What was moved says that an order differs; fillers and checksums between do not. */
export function saysOrder(part: Part): boolean {
  return part.kind !== "padding" && part.kind !== "derived" && part.kind !== "stored";
}

/** Names of the pairs as they stand on either side; those of the same name are told apart. */
function orders(a: readonly Part[], partners: Int32Array): { a: string[]; b: string[] } {
  const seen = new Map<string, number>();
  const found: { name: string; place: number }[] = [];
  for (const [at, part] of a.entries()) {
    const place = partners[at] ?? -1;
    if (place < 0 || part.key === "" || !saysOrder(part)) continue;
    const times = (seen.get(part.key) ?? 0) + 1;
    seen.set(part.key, times);
    found.push({ name: times > 1 ? `${part.key} (${times})` : part.key, place });
  }
  const placed = found.toSorted((one, other) => one.place - other.place);
  return { a: found.map(({ name }) => name), b: placed.map(({ name }) => name) };
}
