import { showable, utf8 } from "../bytes.ts";
import { type Difference, type Leaf, leavesOf } from "../diff/difference.ts";
import { byteOrder } from "../order.ts";
import type { BuildTimes, Match, Variation } from "../vary/variation.ts";
import type { World } from "../world.ts";
import type { Cause } from "./cause.ts";

/** A build's world and its real times: what its watermarks are made of. */
export interface Side {
  world: World;
  times: BuildTimes;
}

const LAST: readonly string[] = ["unknown", "consequence"];
const MAX_PER_LEAF = 16;

/**
 * Names the causes of every leaf of a difference between two builds. A cause is
 * `certain` when each side bears its own world's watermark where it differs,
 * `likely` when one side does. A leaf that bears none is `unknown`: never guessed.
 */
export function explain(
  difference: Difference,
  sides: readonly [Side, Side],
  variations: readonly Variation[],
): Cause[] {
  const found: Explained[] = [];
  for (const leaf of leavesOf(difference)) {
    const follows = leaf.what === "field" && FOLLOWING.has(leaf.field ?? "");
    for (const cause of causesOf(leaf, sides, variations)) found.push({ cause, follows });
  }
  return withConsequences(found).sort(
    (a, b) =>
      LAST.indexOf(a.name) - LAST.indexOf(b.name) ||
      RANK[a.confidence] - RANK[b.confidence] ||
      byteOrder(a.name, b.name) ||
      byteOrder([a.artifact, ...a.leaf].join("\0"), [b.artifact, ...b.leaf].join("\0")),
  );
}

/** Fields that only follow from other differences: checksums, sizes, the compressor's stream. */
const FOLLOWING = new Set(["derived", "compressed"]);

interface Explained {
  cause: Cause;
  follows: boolean;
}

/** What merely follows from another difference of the same artifact is told as that. */
function withConsequences(found: readonly Explained[]): Cause[] {
  const primary = new Set(found.filter(({ follows }) => !follows).map(({ cause }) => cause.artifact));
  return found.map(({ cause, follows }) =>
    follows && primary.has(cause.artifact)
      ? { ...cause, name: "consequence", confidence: "certain", remedy: "" }
      : cause,
  );
}

const RANK = { certain: 0, likely: 1, possible: 2 } as const;

function causesOf(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Cause[] {
  const place = placeOf(leaf);
  const found = leaf.what === "field" ? fieldCauses(leaf, sides, variations) : contentCauses(leaf, sides, variations);
  if (found.length > 0) return found.slice(0, MAX_PER_LEAF).map((cause) => ({ ...place, ...cause }));
  return [
    {
      ...place,
      name: "unknown",
      offset: leaf.ranges[0]?.a.offset,
      evidence: { a: sample(leaf, "a"), b: sample(leaf, "b") },
      confidence: "possible",
      remedy: "",
    },
  ];
}

type Found = Omit<Cause, "artifact" | "leaf">;

/** The artifact is the first step of the path; what lies within is the leaf. */
function placeOf(leaf: Leaf): { artifact: string; leaf: string[] } {
  const [artifact = "", ...within] = leaf.path;
  return { artifact, leaf: leaf.field === undefined ? within : [...within, leaf.field] };
}

function contentCauses(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Found[] {
  if (leaf.what === "order") return orderCauses(leaf, sides, variations);
  const a = leaf.bytesA ?? utf8(leaf.a ?? "");
  const b = leaf.bytesB ?? utf8(leaf.b ?? "");
  const seen = variations.flatMap((variation) => {
    const inA = strongest(variation, a, sides[0]);
    const inB = strongest(variation, b, sides[1]);
    if (inA === undefined && inB === undefined) return [];
    if (inA?.text === inB?.text || standsOnBoth(a, inA, b, inB)) return [];
    return [{ variation, inA, inB }];
  });
  const whole = seen.filter(({ inA, inB }) => inA !== undefined && inB !== undefined);
  return seen
    .filter(
      (one) =>
        whole.includes(one) || !whole.some((other) => overlap(one.inA, other.inA) || overlap(one.inB, other.inB)),
    )
    .flatMap(({ variation, inA, inB }) => {
      const confidence = confidenceOf(inA, inB);
      if (confidence === undefined) return [];
      return [
        {
          name: variation.name,
          offset: inA === undefined ? leaf.ranges[0]?.a.offset : (leaf.atA ?? 0) + inA.offset,
          evidence: { a: inA?.text ?? opposite(a, inB), b: inB?.text ?? opposite(b, inA) },
          confidence,
          remedy: variation.remedy,
        },
      ];
    });
}

/** What one side's world would have written and the other side holds as well, by context or chance, explains nothing. */
function standsOnBoth(a: Uint8Array, inA: Match | undefined, b: Uint8Array, inB: Match | undefined): boolean {
  if ((inA === undefined) === (inB === undefined)) return false;
  const [bytes, match, other] = inA === undefined ? [b, inB, a] : [a, inA, b];
  if (match === undefined) return false;
  const found = Buffer.from(bytes.subarray(match.offset, match.offset + match.length));
  return Buffer.from(other.buffer, other.byteOffset, other.byteLength).includes(found);
}

/** A watermark on one side is explained by one on both sides in the same place: an instant is the clock's or a file's. */
const overlap = (a: Match | undefined, b: Match | undefined): boolean =>
  a !== undefined && b !== undefined && a.offset < b.offset + b.length && b.offset < a.offset + a.length;

const STRENGTH = { weak: 0, likely: 1, certain: 2 } as const;

/** What stands on both sides is sure, what stands on one side may be chance; a weak match on one side says nothing. */
function confidenceOf(inA: Match | undefined, inB: Match | undefined): Cause["confidence"] | undefined {
  const one = inA ?? inB;
  if (one === undefined) return undefined;
  if (inA !== undefined && inB !== undefined) {
    const least = Math.min(STRENGTH[inA.confidence], STRENGTH[inB.confidence]);
    const most = Math.max(STRENGTH[inA.confidence], STRENGTH[inB.confidence]);
    if (least >= STRENGTH.likely) return "certain";
    return most >= STRENGTH.likely ? "likely" : "possible";
  }
  if (one.confidence === "certain") return "likely";
  return one.confidence === "likely" ? "possible" : undefined;
}

function strongest(variation: Variation, bytes: Uint8Array, side: Side): Match | undefined {
  let best: Match | undefined;
  for (const watermark of variation.watermarks(side.world, side.times)) {
    for (const match of watermark.find(bytes)) {
      if (best === undefined || STRENGTH[match.confidence] > STRENGTH[best.confidence]) best = match;
    }
  }
  return best;
}

/** Metadata fields say what they are, so their values are compared with the worlds directly. */
function fieldCauses(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Found[] {
  const [a, b] = [leaf.a ?? "", leaf.b ?? ""];
  const of = (name: Variation["name"], confidence: Cause["confidence"]): Found[] => {
    const remedy = variations.find((variation) => variation.name === name)?.remedy ?? "";
    return [{ name, offset: leaf.ranges[0]?.a.offset, evidence: { a, b }, confidence, remedy }];
  };
  const [{ user: userA }, { user: userB }] = [sides[0].world, sides[1].world];
  switch (leaf.field) {
    case "uid":
    case "gid":
    case "uname":
    case "gname":
      return ownerCauses(namesOf(userA).includes(a), namesOf(userB).includes(b), of);
    case "mode":
      return onlyUmask(a, b, sides) ? of("umask", "likely") : [];
    default:
      break;
  }
  const shifted = contentCauses({ ...leaf, what: "text" }, sides, variations);
  return shifted.map((cause) => ({ ...cause, evidence: { a, b } }));
}

const namesOf = ({ uid, gid, name, group }: World["user"]): string[] => [uid, gid, name, group].map(String);

function ownerCauses(inA: boolean, inB: boolean, of: (name: "user", sure: Cause["confidence"]) => Found[]): Found[] {
  if (inA && inB) return of("user", "certain");
  return inA || inB ? of("user", "likely") : [];
}

/** True when two octal modes differ in no bit but those on which the two umasks differ, each as its own umask leaves it. */
function onlyUmask(a: string, b: string, sides: readonly [Side, Side]): boolean {
  const [left, right] = [Number.parseInt(a, 8), Number.parseInt(b, 8)];
  const masks = sides[0].world.umask ^ sides[1].world.umask;
  if (!Number.isInteger(left) || !Number.isInteger(right) || ((left ^ right) & ~masks) !== 0) return false;
  const changed = left ^ right;
  return (left & changed & sides[0].world.umask) === 0 && (right & changed & sides[1].world.umask) === 0;
}

/** Another order is the folders' only where the worlds list folders differently. */
function orderCauses(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Found[] {
  if (sides[0].world.directoryOrder === sides[1].world.directoryOrder) return [];
  const remedy = variations.find((variation) => variation.name === "readdir-order")?.remedy ?? "";
  const evidence = { a: leaf.a ?? "one order", b: leaf.b ?? "another order" };
  return [{ name: "readdir-order", offset: leaf.ranges[0]?.a.offset, evidence, confidence: "likely", remedy }];
}

/** What stands where the other side bears a watermark. */
function opposite(bytes: Uint8Array, match: Match | undefined): string {
  if (match === undefined) return "";
  return showable(bytes.subarray(match.offset, match.offset + Math.max(match.length, 16)));
}

function sample(leaf: Leaf, side: "a" | "b"): string {
  const value = side === "a" ? leaf.a : leaf.b;
  if (value !== undefined) return value.slice(0, 200);
  const bytes = side === "a" ? leaf.bytesA : leaf.bytesB;
  return bytes === undefined ? "" : showable(bytes.subarray(0, 120));
}
