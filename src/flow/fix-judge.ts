import { leavesOf } from "../diff/difference.ts";
import type { Cause } from "../explain/cause.ts";
import type { CauseName } from "../world.ts";
import type { Verdict } from "./check.ts";

/** What of a verdict decides whether a remedy helped. */
export interface State {
  outcome: Verdict["outcome"];
  /** Without consequences; of a build that breaks in another world, what breaks it. */
  causes: Cause[];
  /** Differing bytes by place: an artifact and the way into it. */
  places: ReadonlyMap<string, number>;
}

const placeOf = ({ artifact, leaf }: Pick<Cause, "artifact" | "leaf">): string => [artifact, ...leaf].join("\0");

/** The cause that stands for a build that fails in another world. */
function breaking(name: CauseName): Cause {
  return {
    name,
    artifact: "",
    leaf: [],
    offset: undefined,
    evidence: { a: "builds", b: "fails" },
    confidence: "certain",
    remedy: "",
  };
}

/**
 * The state that a verdict tells of. A quick one does not know what experiments
 * found `before`: what stays unknown in a place has the causes that it had there.
 */
export function stateOf(verdict: Verdict, before?: State): State {
  const places = new Map<string, number>();
  for (const leaf of verdict.difference === undefined ? [] : leavesOf(verdict.difference)) {
    const place = [...leaf.path, ...(leaf.field === undefined ? [] : [leaf.field])].join("\0");
    const bytes = leaf.ranges.reduce((sum, { a, b }) => sum + a.length + b.length, 0);
    places.set(place, (places.get(place) ?? 0) + Math.max(bytes, 1));
  }
  if (verdict.outcome === "fails-in-adversarial") {
    const names = [...new Set(verdict.breaks.flat())];
    const causes = names.length > 0 ? names.map(breaking) : (before?.causes ?? [breaking("unknown")]);
    return { outcome: verdict.outcome, causes, places };
  }
  const causes = verdict.causes
    .filter(({ name }) => name !== "consequence")
    .flatMap((cause) => (cause.name === "unknown" ? inherited(cause, before) : [cause]));
  return { outcome: verdict.outcome, causes, places };
}

function inherited(cause: Cause, before: State | undefined): Cause[] {
  const known = before?.causes.filter((one) => placeOf(one) === placeOf(cause) && one.basis === "experiment") ?? [];
  return known.length > 0 ? known : [cause];
}

export type Judgement = { helped: true } | { helped: false; broke: boolean; because: string };

const no = (because: string, broke = false): Judgement => ({ helped: false, broke, because });

/** Whether `after` is better than `before` as to one cause, and in nothing worse. */
export function judge(before: State, after: State, cause: CauseName): Judgement {
  const worse = worsened(before, after);
  if (worse !== undefined) return worse;
  if (after.outcome === "reproducible") return { helped: true };
  if (before.outcome !== after.outcome) return { helped: true };
  const [was, is] = [before, after].map(({ causes }) => causes.filter(({ name }) => name === cause));
  if ((is?.length ?? 0) < (was?.length ?? 0)) return { helped: true };
  const there = new Set((was ?? []).map(placeOf));
  const [bytesWere, bytesAre] = [before, after].map(({ places }) =>
    [...places].filter(([place]) => there.has(place)).reduce((sum, [, bytes]) => sum + bytes, 0),
  );
  if ((bytesAre ?? 0) < (bytesWere ?? 0) && lessThere(before, after, there)) return { helped: true };
  return no("the same differs as before");
}

/** Fewer of the places differ, or one of text differs in fewer lines: a shorter value that differs is no progress. */
function lessThere(before: State, after: State, there: ReadonlySet<string>): boolean {
  const count = ({ places }: State): number => [...places.keys()].filter((place) => there.has(place)).length;
  if (count(after) < count(before)) return true;
  const shown = ({ causes }: State): number => causes.filter((cause) => there.has(placeOf(cause))).length;
  return shown(after) < shown(before);
}

/** Whether `after` is in nothing worse than `before`; what is worse, otherwise. */
export function worsened(before: State, after: State): Judgement | undefined {
  if (after.outcome === "failed") return no("the build fails with it", true);
  if (after.outcome === "fails-in-adversarial" && before.outcome !== after.outcome) {
    return no("the build fails with it in the adversarial world", true);
  }
  if (before.outcome === "fails-in-adversarial") return undefined;
  const [fresh] = [...after.places.keys()].filter((place) => !before.places.has(place));
  return fresh === undefined ? undefined : no(`${fresh.split("\0").join(" → ")} differs with it`);
}

/** Whether something is lost when an edit is taken out: `kept` is the state with it. */
export function isNeeded(kept: State, without: State): boolean {
  if (worsened(kept, without) !== undefined || (kept.outcome === "reproducible" && without.outcome !== kept.outcome)) {
    return true;
  }
  if (kept.outcome !== without.outcome) return true;
  const count = ({ causes }: State, name: CauseName): number => causes.filter((cause) => cause.name === name).length;
  return [...new Set(without.causes.map(({ name }) => name))].some((name) => count(without, name) > count(kept, name));
}
