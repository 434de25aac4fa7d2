import type { Built, Times } from "../build/build.ts";
import type { Output } from "../build/outputs.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Difference } from "../diff/difference.ts";
import { diff } from "../diff/diff.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import type { Cause } from "../explain/cause.ts";
import { checksumFiles } from "../explain/checksum-files.ts";
import { conclude, type Evidence, NO_EVIDENCE, remedyFrom } from "../explain/conclude.ts";
import { explainLeaves, type Side } from "../explain/explain.ts";
import { environmentWords } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import { canonicalWorld, variations, worldPair } from "../vary/worlds.ts";
import type { CauseName, Lack, World } from "../world.ts";
import type { Prepared } from "./prepare.ts";
import { type BuildsOptions, buildIn, builtInConfirmed, type Seen } from "./builds.ts";
import { experiment, type ExperimentOptions, whatBreaks } from "./experiments.ts";
import type { MaterialsRead } from "./reads.ts";

/** `fails-in-adversarial`: it builds, but not everywhere; that is not the same as differing. */
export type Outcome = "reproducible" | "differs" | "failed" | "fails-in-adversarial" | "built-once";

/** One world's build, as the verdict tells it. */
export interface WorldRun {
  world: World;
  times: Times;
  milliseconds: number;
  peakMemory: number | undefined;
  /** Empty when it failed. */
  outputs: Output[];
  failure: { reason: string; tail: string } | undefined;
}

export interface Verdict {
  outcome: Outcome;
  /** The canonical world first. */
  worlds: WorldRun[];
  /** Of the canonical world. */
  outputs: Output[];
  outputsFolder: string | undefined;
  difference: Difference | undefined;
  causes: Cause[];
  /** Variations in which the two worlds really differed. */
  covered: CauseName[];
  /** What this machine could not do, and what is therefore not covered. */
  lacks: Lack[];
  /** What can't be pinned or varied yet, in words; part of every verdict. */
  caveats: string[];
  /** What the canonical build was seen to read; undefined when it failed. */
  read: MaterialsRead | undefined;
  /** Why this is no canonical build, in words; [] when it is one. */
  notCanonical: string[];
  /** How many times it was built. */
  builds: number;
  /** Of a build that fails in the adversarial world only: the variations that break it, in sets that each do so. */
  breaks: CauseName[][];
  /** What the explanation leaves open, in words. */
  open: string[];
}

export interface CheckOptions extends BuildsOptions {
  /** One build in the canonical world: the verdict then tells nothing about reproducing. */
  once?: boolean;
  /** Two builds and no experiments: what the bytes do not name stays unknown. */
  quick?: boolean;
  /** Milliseconds for experiments, counted from the end of the first two builds. */
  budget?: number;
  entropy?: Entropy;
  clock?: Clock;
}

/** As long as people wait for an answer that would take them days. */
const BUDGET = 30 * 60_000;

/** What the shifted clock cannot reach, said in every verdict that rests on it. */
export const CLOCK_REACH = "clock: programs that do not use the C library (static ones, Go) were under the real clock";

/**
 * The verdict on a project: builds it in the canonical and in the adversarial
 * world side by side, compares the outputs to the last byte and names the
 * causes. The caller removes `options.scratch` when it has read the outputs.
 */
export async function check(prepared: Prepared, options: CheckOptions): Promise<Verdict> {
  const name = uniqueName(options.entropy ?? systemEntropy).slice(0, 8);
  const { name: project } = prepared.recipe;
  const worlds = options.once === true ? [canonicalWorld(project)] : worldPair(project);
  const both = await builtInConfirmed(prepared, worlds, options, name);
  const [canonical, adversarial] = both as [Seen, Seen | undefined];
  const lacks = distinctLacks(both);
  const { read } = canonical;
  const { environment } = prepared.lock;
  const notPinned = environment.type === "host" ? [`environment: ${environmentWords(environment)}`] : [];
  const uncovered = new Set(lacks.flatMap((lack) => lack.causes));
  const verdict: Verdict = {
    outcome: "reproducible",
    worlds: both.map(worldRun),
    outputs: canonical.result.ok ? canonical.result.outputs : [],
    outputsFolder: canonical.result.ok ? canonical.result.folder : undefined,
    difference: undefined,
    causes: [],
    covered:
      adversarial === undefined
        ? []
        : variations.map(({ name: cause }) => cause).filter((cause) => !uncovered.has(cause)),
    lacks,
    caveats: [...notPinned, ...(options.once === true ? [] : [CLOCK_REACH])],
    read,
    notCanonical: [
      ...(options.once === true ? ["built once, in one world"] : []),
      ...notPinned,
      ...(prepared.recipe.strict ? undeclaredIn(read) : []),
    ],
    builds: both.length,
    breaks: [],
    open: [],
  };
  if (!canonical.result.ok) return { ...verdict, outcome: "failed" };
  if (adversarial === undefined) return { ...verdict, outcome: "built-once" };
  const how = experimentOptions(prepared, options, name, [canonical, adversarial], uncovered);
  if (!adversarial.result.ok) {
    const failing: Verdict = { ...verdict, outcome: "fails-in-adversarial" };
    if (options.quick === true) return failing;
    const { breaks, builds, open } = await whatBreaks(project, how);
    return { ...failing, breaks, builds: verdict.builds + builds, open };
  }
  const difference = await diff(canonical.result.folder, adversarial.result.folder, {});
  if (difference === undefined) return verdict;
  const sides = [canonical, adversarial].map(({ world, times }) => ({ world, times })) as [Side, Side];
  const explained = explainLeaves(difference, sides, variations);
  const artifacts = [...new Set(explained.map(({ leaf }) => leaf.path[0] ?? ""))];
  const checksums = await checksumFiles([canonical.result.folder, adversarial.result.folder], artifacts);
  const causesOf = (evidence: Evidence): Cause[] => conclude(explained, evidence, remedyFrom(variations));
  const differing: Verdict = { ...verdict, outcome: "differs", difference };
  if (options.quick === true) return { ...differing, causes: causesOf({ ...NO_EVIDENCE, checksums }) };
  const own = explained.filter(({ leaf }) => !checksums.has(leaf.path[0] ?? ""));
  const { evidence, builds, open } = await experiment(project, own, how);
  return { ...differing, causes: causesOf({ ...evidence, checksums }), builds: verdict.builds + builds, open };
}

function experimentOptions(
  prepared: Prepared,
  options: CheckOptions,
  name: string,
  first: readonly Seen[],
  without: ReadonlySet<CauseName>,
): ExperimentOptions {
  const clock = options.clock ?? systemClock;
  let built = 0;
  return {
    build: async (world) => await buildIn(prepared, world, options, `${name}-${built++}`),
    without,
    atOnce: Math.max(1, Math.min(2, options.host.cpus.length)),
    deadline: clock.elapsed() + (options.budget ?? BUDGET),
    expected: Math.max(...first.map(({ milliseconds }) => milliseconds)),
    clock,
    onProgress: (line) => options.onProgress?.("explain", line),
  };
}

/** Why a strict recipe's build is not canonical: it read what is not locked, or nobody knows what it read. */
function undeclaredIn(read: MaterialsRead | undefined): string[] {
  if (read === undefined) return ["strict: what it read was not observed"];
  const files = read.undeclared.reduce((sum, { paths }) => sum + paths.length, 0);
  const [first] = read.undeclared[0]?.paths ?? [];
  return [
    ...(files === 0 ? [] : [`strict: it read ${files} files that are not locked (${first ?? ""})`]),
    ...read.doubts.map((doubt) => `strict: ${doubt}`),
  ];
}

function worldRun(built: Built): WorldRun {
  const { world, times, milliseconds, peakMemory, result } = built;
  const failure = result.ok ? undefined : { reason: result.reason, tail: result.tail };
  return { world, times, milliseconds, peakMemory, outputs: result.ok ? result.outputs : [], failure };
}

function distinctLacks(runs: readonly Built[]): Lack[] {
  const byWhat = new Map(runs.flatMap((run) => run.lacks).map((lack) => [lack.what, lack]));
  return [...byWhat.values()].sort((a, b) => byteOrder(a.what, b.what));
}
