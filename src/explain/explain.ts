import { showable, utf8 } from "../bytes.ts";
import { withoutDigests } from "../diff/digest-names.ts";
import { type Difference, type Leaf, leavesOf } from "../diff/difference.ts";
import type { BuildTimes, Match, Variation } from "../vary/variation.ts";
import type { World } from "../world.ts";
import type { Cause } from "./cause.ts";
import type { Place } from "./group-testing.ts";

/** A build's world and its real times: what its watermarks are made of. */
export interface Side {
  world: World;
  times: BuildTimes;
}

const MAX_PER_LEAF = 16;

/** A leaf with the causes that its bytes name; none: they bear nothing of either world. */
export interface Explained {
  leaf: Leaf;
  /** The leaf by its place, which is the same in every comparison of builds of one project. */
  place: Place;
  /** It only follows from other differences: a checksum, a size, the compressor's stream. */
  follows: boolean;
  causes: Cause[];
}

/**
 * Reads the causes of every leaf of a difference between two builds out of its
 * bytes. A cause is `certain` when each side bears its own world's watermark
 * where it differs, `likely` when one side does.
 */
export function explainLeaves(
  difference: Difference,
  sides: readonly [Side, Side],
  variations: readonly Variation[],
): Explained[] {
  const leaves = [...leavesOf(difference)];
  return leaves.map((leaf) => ({
    leaf,
    place: placeOf(leaf),
    follows: leaf.what === "field" && (FOLLOWING.has(leaf.field ?? "") || isDigestName(leaf) || isChosen(leaf, leaves)),
    causes: causesOf(leaf, sides, variations),
  }));
}

/** Whether a leaf that only follows has something in its own artifact to follow from. */
export function mayFollow(one: Explained, all: readonly Explained[]): boolean {
  return one.follows && all.some((other) => !other.follows && other.leaf.path[0] === one.leaf.path[0]);
}

/** What packers choose by whether a content gets shorter: to compress it at all, and the version that this needs. */
const CHOSEN: Readonly<Record<string, readonly string[]>> = {
  method: ["stored", "deflated"],
  "version-needed": ["10", "20"],
};

/** Whether it is such a choice, for a content that differs itself. */
function isChosen({ field, a, b, path }: Leaf, all: readonly Leaf[]): boolean {
  const values = CHOSEN[field ?? ""];
  if (values === undefined || !values.includes(a ?? "") || !values.includes(b ?? "")) return false;
  return all.some((leaf) => leaf.what !== "field" && path.every((part, at) => leaf.path[at] === part));
}

/**
 * Where a leaf is, whatever its bytes: the way to it and, for metadata, the
 * field. A file that is called otherwise for its digest is in its own place, and
 * so is its name: other comparisons may find it on one side only, twice.
 */
export function placeOf(leaf: Leaf): Place {
  const way = leaf.path.map((part) => unpaired(withoutDigests(part)));
  return [...way, ...(leaf.field === undefined || isDigestName(leaf) ? [] : [`.${leaf.field}`])].join("\0");
}

/** Whether a name differs in a digest only. */
function isDigestName({ field, path }: Leaf): boolean {
  const name = withoutDigests(path.at(-1) ?? "");
  return field === "name" && unpaired(name) !== name;
}

/** What stands between the two names of a file that is called otherwise. */
export const RENAMED = " → ";

function unpaired(part: string): string {
  const [one, other, ...more] = part.split(RENAMED);
  return one !== undefined && one === other && more.length === 0 ? one : part;
}

/** Fields that only follow from other differences. */
const FOLLOWING = new Set(["derived", "compressed"]);

function causesOf(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Cause[] {
  const place = artifactAndLeaf(leaf);
  return foundIn(leaf, sides, variations)
    .slice(0, MAX_PER_LEAF)
    .map((cause) => ({ ...place, ...cause }));
}

function foundIn(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Found[] {
  if (leaf.what === "field") return fieldCauses(leaf, sides, variations);
  if (leaf.what === "only-a" || leaf.what === "only-b") return nameCauses(leaf, sides, variations);
  return contentCauses(leaf, sides, variations);
}

type Found = Omit<Cause, "artifact" | "leaf">;

/** The artifact is the first step of the path; what lies within is the leaf. */
export function artifactAndLeaf(leaf: Leaf): { artifact: string; leaf: string[] } {
  const [artifact = "", ...within] = leaf.path;
  return { artifact, leaf: leaf.field === undefined ? within : [...within, leaf.field] };
}

/** What is there on one side only may bear its world in its name. */
function nameCauses(leaf: Leaf, sides: readonly [Side, Side], variations: readonly Variation[]): Found[] {
  const side = leaf.what === "only-a" ? 0 : 1;
  const name = leaf.path.at(-1) ?? "";
  return variations.flatMap((variation): Found[] => {
    const match = strongest(variation, utf8(name), sides[side]);
    if (match === undefined || match.confidence === "weak") return [];
    const evidence = side === 0 ? { a: name, b: "" } : { a: "", b: name };
    return [
      {
        name: variation.name,
        offset: undefined,
        evidence,
        confidence: match.confidence === "certain" ? "likely" : "possible",
        remedy: variation.remedy,
        basis: "watermark",
      },
    ];
  });
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
          basis: "watermark" as const,
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
    return [{ name, offset: leaf.ranges[0]?.a.offset, evidence: { a, b }, confidence, remedy, basis: "field" }];
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
  return [
    { name: "readdir-order", offset: leaf.ranges[0]?.a.offset, evidence, confidence: "likely", remedy, basis: "field" },
  ];
}

/** What stands where the other side bears a watermark. */
function opposite(bytes: Uint8Array, match: Match | undefined): string {
  if (match === undefined) return "";
  return showable(bytes.subarray(match.offset, match.offset + Math.max(match.length, 16)));
}
