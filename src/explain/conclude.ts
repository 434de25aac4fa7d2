import { showable } from "../bytes.ts";
import type { Difference, Leaf } from "../diff/difference.ts";
import { byteOrder } from "../order.ts";
import type { Variation } from "../vary/variation.ts";
import type { CauseName } from "../world.ts";
import type { Cause } from "./cause.ts";
import { artifactAndLeaf, explainLeaves, type Explained, placeOf, type Side } from "./explain.ts";
import { isMadeFromOthers } from "./made-from-others.ts";
import { movedLeaves } from "./regions.ts";

/** What experiments showed, besides what stands in the bytes. */
export interface Evidence {
  /** The sets of variations that each make a leaf differ. */
  attribution: ReadonlyMap<Leaf, CauseName[][]>;
  /** Leaves in which equal builds differ, with why they do where that is known. */
  noise: ReadonlyMap<Leaf, CauseName | undefined>;
  /** What was tried, in words, for leaves that stay unknown; [] where nothing was. */
  tried: readonly string[];
  /** Artifacts that hold digests of another artifact, and nothing else that differs. */
  checksums: ReadonlyMap<string, string>;
}

export const NO_EVIDENCE: Evidence = { attribution: new Map(), noise: new Map(), tried: [], checksums: new Map() };

/** The causes of a difference between two builds: see `conclude`. */
export function explain(
  difference: Difference,
  sides: readonly [Side, Side],
  variations: readonly Variation[],
  evidence: Evidence = NO_EVIDENCE,
): Cause[] {
  return conclude(explainLeaves(difference, sides, variations), evidence, remedyFrom(variations));
}

export function remedyFrom(variations: readonly Pick<Variation, "name" | "remedy">[]): (name: CauseName) => string {
  return (name) => variations.find((one) => one.name === name)?.remedy ?? "";
}

/** What a place is by the names that a format gives it; undefined for what may be anything. */
type KnownAt = (
  path: readonly string[],
  field: string | undefined,
  shown: { a: string; b: string },
) => CauseName | undefined;

const LAST: readonly string[] = ["unknown", "consequence"];
const RANK = { certain: 0, likely: 1, possible: 2 } as const;

/**
 * The causes of every leaf, from what its bytes name and from what experiments
 * showed, the surest first; what merely follows from another difference, and
 * what nothing explains, last.
 */
export function conclude(
  explained: readonly Explained[],
  evidence: Evidence,
  remedyOf: (name: CauseName) => string,
  knownAt: KnownAt = () => undefined,
): Cause[] {
  const moved = movedLeaves(explained.map(({ leaf }) => leaf));
  const movedAt = new Set([...moved].map(placeOf));
  const isMoved = ({ leaf, place }: Explained): boolean =>
    moved.has(leaf) || (isMadeFromOthers(leaf) && movedAt.has(place));
  const told = explained.map((one) => ({ one, causes: causesAt(one, evidence, isMoved(one), remedyOf) }));
  const primary = told.filter(({ one, causes }) => !one.follows && !isMadeFromOthers(one.leaf) && causes.length > 0);
  return told
    .flatMap(({ one, causes }) => {
      const checked = evidence.checksums.get(one.leaf.path[0] ?? "");
      if (checked !== undefined) return [consequence(one.leaf, [checked], "digest")];
      const origin = originOf(one, causes, primary) ?? unexplainedOrigin(one, causes, told);
      if (origin !== undefined) return [consequence(one.leaf, pathOf(origin.leaf))];
      if (causes.length > 0) return causes;
      const half = otherHalf(one, told);
      if (half.length > 0) return half;
      return [byPlace(one.leaf, knownAt, remedyOf) ?? unknown(one.leaf, evidence.tried)];
    })
    .sort(
      (a, b) =>
        LAST.indexOf(a.name) - LAST.indexOf(b.name) ||
        RANK[a.confidence] - RANK[b.confidence] ||
        byteOrder(a.name, b.name) ||
        // The first is the one that is shown.
        Number(showsNothing(a)) - Number(showsNothing(b)) ||
        byteOrder([a.artifact, ...a.leaf].join("\0"), [b.artifact, ...b.leaf].join("\0")),
    );
}

const showsNothing = ({ evidence: { a, b } }: Cause): boolean => a.trim() === "" && b.trim() === "";

interface Told {
  one: Explained;
  causes: Cause[];
}

/** The difference that a leaf merely follows from; undefined: it has causes of its own. */
function originOf(one: Explained, causes: readonly Cause[], primary: readonly Told[]): Explained | undefined {
  const { artifact } = artifactAndLeaf(one.leaf);
  const near = (told: Told): boolean => told.one.leaf.path[0] === artifact;
  if (one.follows) return primary.find(near)?.one;
  if (!isMadeFromOthers(one.leaf)) return undefined;
  const names = causes.map(({ name }) => name);
  if (causes.some(({ basis }) => basis !== "experiment")) return undefined;
  const explains = (told: Told): boolean =>
    told.one !== one && names.every((name) => told.causes.some((cause) => cause.name === name));
  return (
    primary.find((told) => near(told) && explains(told)) ??
    primary.find(explains) ??
    severalOrigins(names, primary)
  )?.one;
}

/** What puts lines in another order. */
const ORDERS: ReadonlySet<CauseName> = new Set(["hash-order", "readdir-order", "locale", "race"]);

/**
 * Lines that moved: on the other side of differences beside it, of which an order made some. They have the causes of
 * those: which parts of another order an experiment shows is chance, since some lines stay where they were.
 */
function otherHalf(one: Explained, told: readonly Told[]): Cause[] {
  const beside = told.filter((other) => other.one !== one && other.one.place === one.place);
  const moved = (["a", "b"] as const).map((side) => {
    const there = new Set(beside.flatMap(({ one: { leaf } }) => linesOf(leaf, side === "a" ? "b" : "a")));
    const lines = linesOf(one.leaf, side);
    return { any: lines.length > 0, all: lines.every((line) => there.has(line)) };
  });
  if (!moved.some(({ any }) => any) || !moved.every(({ all }) => all)) return [];
  const orders = beside.flatMap(({ causes }) =>
    causes.filter(({ name, with: others }) => ORDERS.has(name) && others === undefined),
  );
  return distinct(orders.map((cause) => ({ ...cause, ...atLeaf(one.leaf) })));
}

function linesOf(leaf: Leaf, side: "a" | "b"): string[] {
  const bytes = side === "a" ? leaf.bytesA : leaf.bytesB;
  if (leaf.what !== "text" || bytes === undefined) return [];
  return showable(bytes)
    .split("\n")
    .filter((line) => line !== "");
}

/** What only follows, where nothing in its artifact has a cause that is known: from the first that differs by itself. */
function unexplainedOrigin(one: Explained, causes: readonly Cause[], told: readonly Told[]): Explained | undefined {
  if (causes.length > 0 || !one.follows) return undefined;
  return told.find(
    ({ one: { follows, leaf } }) => !follows && !isMadeFromOthers(leaf) && leaf.path[0] === one.leaf.path[0],
  )?.one;
}

/** A digest of several files has all their causes, and none of them has them all. */
function severalOrigins(names: readonly CauseName[], primary: readonly Told[]): Told | undefined {
  const all = new Set(primary.flatMap(({ causes }) => causes.map(({ name }) => name)));
  return names.every((name) => all.has(name))
    ? primary.find(({ causes }) => causes.some(({ name }) => names.includes(name)))
    : undefined;
}

function causesAt(one: Explained, evidence: Evidence, moved: boolean, remedyOf: (name: CauseName) => string): Cause[] {
  const certain = one.causes.filter(({ confidence }) => confidence === "certain");
  const named = new Set(certain.map(({ name }) => name));
  const shown = (evidence.attribution.get(one.leaf) ?? [])
    .map((set) => set.map((name): CauseName => (moved && name === "random" ? "hash-order" : name)))
    .filter(([name]) => name !== undefined && !named.has(name))
    .map(([name = "unknown", ...others]): Cause => ({
      ...(one.causes.find((cause) => cause.name === name) ?? atLeaf(one.leaf)),
      name,
      confidence: "certain",
      remedy: remedyOf(name),
      basis: "experiment",
      ...(others.length === 0 ? {} : { with: others }),
    }));
  // What is held cannot be why equal builds differ, whatever the bytes look like.
  const noise = evidence.noise.get(one.leaf);
  const flaky: Cause[] =
    noise === undefined || named.has(noise)
      ? []
      : [{ ...atLeaf(one.leaf), name: noise, confidence: "likely", remedy: remedyOf(noise), basis: "experiment" }];
  const known = [...certain, ...distinct(shown), ...flaky];
  if (known.length > 0 || evidence.noise.has(one.leaf)) return known;
  return one.causes.map((cause) => (evidence.tried.length > 0 && one.leaf.what === "order" ? unproven(cause) : cause));
}

/** The look of an order says little once builds have been asked. */
const unproven = (cause: Cause): Cause => ({ ...cause, confidence: "possible" });

const distinct = (causes: readonly Cause[]): Cause[] => [
  ...new Map(causes.map((cause) => [[cause.name, ...(cause.with ?? [])].join(" "), cause])).values(),
];

function atLeaf(leaf: Leaf): Omit<Cause, "name" | "confidence" | "remedy"> {
  return {
    ...artifactAndLeaf(leaf),
    offset: leaf.ranges[0]?.a.offset,
    evidence: { a: sample(leaf, "a"), b: sample(leaf, "b") },
  };
}

const pathOf = (leaf: Leaf): string[] => {
  const { artifact, leaf: within } = artifactAndLeaf(leaf);
  return [artifact, ...within];
};

function consequence(leaf: Leaf, from: string[], basis?: "digest"): Cause {
  const found: Cause = { ...atLeaf(leaf), name: "consequence", confidence: "certain", remedy: "", from };
  return basis === undefined ? found : { ...found, basis };
}

/** Fields of time, as formats call them. */
const TIME = /(?:^|[ -])(?:m|a|c|cr)time$/;

/** What a format says of a place, where neither its bytes nor builds say anything. */
function byPlace(leaf: Leaf, knownAt: KnownAt, remedyOf: (name: CauseName) => string): Cause | undefined {
  const told = (name: CauseName, confidence: Cause["confidence"]): Cause => {
    return { ...atLeaf(leaf), name, confidence, remedy: remedyOf(name), basis: "field" };
  };
  const known = knownAt(leaf.path, leaf.field, { a: sample(leaf, "a"), b: sample(leaf, "b") });
  if (known !== undefined) return told(known, "likely");
  return leaf.field !== undefined && TIME.test(leaf.field) ? told("mtime", "possible") : undefined;
}

function unknown(leaf: Leaf, tried: readonly string[]): Cause {
  const found: Cause = { ...atLeaf(leaf), name: "unknown", confidence: "possible", remedy: "" };
  return tried.length === 0 ? found : { ...found, tried: [...tried] };
}

function sample(leaf: Leaf, side: "a" | "b"): string {
  const value = side === "a" ? leaf.a : leaf.b;
  if (value !== undefined) return value.slice(0, 200);
  const bytes = side === "a" ? leaf.bytesA : leaf.bytesB;
  return bytes === undefined ? "" : showable(bytes.subarray(0, 120));
}
