import type { Built, Times } from "../build/build.ts";
import type { Output } from "../build/outputs.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Difference } from "../diff/difference.ts";
import { diff } from "../diff/diff.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import type { Cause } from "../explain/cause.ts";
import { buildsFor, chanceMissed, RARITY } from "../explain/chance.ts";
import { checksumFiles } from "../explain/checksum-files.ts";
import { conclude, type Evidence, NO_EVIDENCE, remedyFrom } from "../explain/conclude.ts";
import { type Explained, explainLeaves, type Side } from "../explain/explain.ts";
import { environmentWords } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import { formatDuration } from "../recipe/quantity.ts";
import { crutchesOf, determinisedPair } from "../vary/determinise.ts";
import { knownByPlace, notVaried } from "../vary/not-varied.ts";
import { mixed, variations, variedBetween, worldPair } from "../vary/worlds.ts";
import type { CauseName, Lack, World } from "../world.ts";
import type { Against } from "./against.ts";
import { type Asked, askedFor, experimentPair, leftOut, pairAsFor, unasked, unheldPair, type Wishes } from "./asked.ts";
import type { Prepared } from "./prepare.ts";
import { type BuildsOptions, buildIn, builtInConfirmed, type Seen } from "./builds.ts";
import { withCommands } from "./commands.ts";
import { experiment, type ExperimentOptions, whatBreaks } from "./experiments.ts";
import type { MaterialsRead } from "./reads.ts";
import { type Agreement, repeat, SPENT } from "./repeats.ts";

/** `fails-in-adversarial`: it builds, but not everywhere; that is not the same as differing. */
export type Outcome =
  | "reproducible"
  | "differs"
  | "failed"
  | "fails-in-adversarial"
  | "built-once"
  | "matches-given"
  | "differs-from-given";

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
  /** Optional variations that nobody asked for, and how to ask. */
  unasked: Lack[];
  /** What can't be pinned or varied yet, in words; part of every verdict. */
  caveats: string[];
  /** What the canonical build was seen to read; undefined when it failed. */
  read: MaterialsRead | undefined;
  /** Why this is no canonical build, in words; [] when it is one. */
  notCanonical: string[];
  /** How many times it was built. */
  builds: number;
  /** How many of these an interrupted run had made. */
  resumed: number;
  /** Of a build that fails in the adversarial world only: the variations that break it, in sets that each do so. */
  breaks: CauseName[][];
  /** What the explanation leaves open, in words. */
  open: string[];
  /** Where builds agree: how many, and what they may have missed. */
  agreement: Agreement | undefined;
  /** What held the build still from outside (`determinise`), in words; [] when it reproduces by itself or not at all. */
  crutches: string[];
  /** What was given to be compared with, where something was. */
  against?: Against;
}

export interface CheckOptions extends BuildsOptions, Wishes {
  /** One build in the canonical world: the verdict then tells nothing about reproducing. */
  once?: boolean;
  /** Two builds and no experiments: what the bytes do not name stays unknown. */
  quick?: boolean;
  /** Milliseconds for experiments, counted from the end of the first two builds. */
  budget?: number;
  /** Builds on where two agree, until an outcome of this `rarity` would have shown with this probability. */
  confidence?: number;
  rarity?: number;
  entropy?: Entropy;
  clock?: Clock;
  /** What goes on from where this ends, as one types it: "bitforbit check". */
  again?: string;
}

/** As long as people wait for an answer that would take them days. */
export const BUDGET: number = 30 * 60_000;

/**
 * The verdict on a project: builds it in the canonical and in the adversarial
 * world side by side, compares the outputs to the last byte and names the
 * causes. The caller removes `options.scratch` when it has read the outputs.
 */
export async function check(prepared: Prepared, options: CheckOptions): Promise<Verdict> {
  const made = await verdictOn(prepared, options);
  const verdict = { ...made, resumed: options.kept?.used ?? 0 };
  const goesOn = verdict.open.some((one) => one.startsWith(SPENT));
  if (!goesOn) await options.kept?.forget();
  return goesOn ? { ...verdict, open: openWords(verdict, options) } : verdict;
}

async function verdictOn(prepared: Prepared, options: CheckOptions): Promise<Verdict> {
  const name = uniqueName(options.entropy ?? systemEntropy).slice(0, 8);
  const asked = askedFor(prepared.recipe, options);
  const worlds = worldsFor(prepared, asked, options.once === true);
  const both = await builtInConfirmed(prepared, worlds, options, name);
  const [canonical, adversarial] = both as [Seen, Seen | undefined];
  const lacks = [...distinctLacks(both), ...(options.once === true ? [] : leftOut(asked, prepared.recipe))];
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
        : variedBetween(canonical.world, adversarial.world).filter((cause) => !uncovered.has(cause)),
    lacks,
    unasked: options.once === true ? [] : unasked(asked, options.confidence === undefined ? [] : ["race"]),
    caveats: notPinned,
    read,
    notCanonical: [
      ...(options.once === true ? ["built once, in one world"] : []),
      ...notPinned,
      ...(prepared.recipe.strict ? undeclaredIn(read) : []),
    ],
    builds: both.length,
    resumed: 0,
    breaks: [],
    open: [],
    agreement: undefined,
    crutches: prepared.recipe.determinise ? [...crutchesOf(canonical.world, lacks), ...normalisedIn(both)] : [],
  };
  if (!canonical.result.ok) return { ...verdict, outcome: "failed" };
  if (adversarial === undefined) return { ...verdict, outcome: "built-once" };
  const how = experimentOptions(prepared, options, name, [canonical, adversarial], { asked, uncovered });
  const explaining = { prepared, options, how };
  if (!adversarial.result.ok) {
    const failing: Verdict = { ...verdict, outcome: "fails-in-adversarial" };
    return options.quick === true ? failing : await explainFailure(failing, [canonical, adversarial], explaining);
  }
  const agreeing = 2;
  const difference = await diff(canonical.result.folder, adversarial.result.folder, {});
  if (difference !== undefined)
    return await explainDifference(verdict, [canonical, adversarial], difference, explaining);
  const { rarity = RARITY, confidence } = options;
  const agreed = { ...verdict, agreement: { builds: agreeing, rarity, missed: chanceMissed(agreeing, rarity) } };
  if (confidence === undefined) return agreed;
  const repeated = await repeat(canonical.world, agreeing, canonical.result.outputs, { ...how, confidence, rarity });
  const { agreement, other, open } = repeated;
  const told: Verdict = { ...agreed, agreement, builds: agreement.builds, open };
  if (other === undefined) return told;
  return await explainOther({ ...told, agreement: undefined }, [canonical, other], explaining);
}

/** Builds that a difference takes in the middle of many projects. */
const USUAL_BUILDS = 20;

/** What is left open, with what goes on from there: more time, of which the builds that are there take none. */
function openWords({ open, builds, worlds }: Verdict, { kept, again, budget = BUDGET, host }: CheckOptions): string[] {
  const longest = Math.max(...worlds.map(({ milliseconds }) => milliseconds));
  const needed = (longest * USUAL_BUILDS) / Math.min(2, host.cpus.length);
  const minutes = Math.ceil(Math.max(2 * budget, needed) / 60_000);
  const more = formatDuration((minutes > 60 ? Math.ceil(minutes / 60) * 60 : minutes) * 60);
  const there = kept === undefined || kept.kept === 0 ? "" : ` from the ${kept.kept} builds that are there`;
  return open.map((one) =>
    one.startsWith(SPENT) && again !== undefined
      ? `${one}, after ${builds} builds of up to ${formatDuration(Math.ceil(longest / 1000))}: '${again} --budget ${more}' goes on${there}`
      : one,
  );
}

/** Builds under other schedules where these are varied and nobody says how rare a race may be. */
const SCHEDULES = 4;

/** A verdict's worlds, the canonical one first. */
function worldsFor({ recipe, source }: Prepared, asked: Asked, once: boolean): World[] {
  const pair = recipe.determinise ? determinisedPair(worldPair(recipe.name)[0], source) : worldPair(recipe.name);
  const [canonical, adversarial] = pairAsFor(pair, asked);
  return once ? [{ ...canonical, startDelay: 0 }] : [canonical, adversarial];
}

/** What was normalised of the outputs of determinised builds: of either, since a race may have spared one. */
const normalisedIn = (both: readonly Seen[]): string[] => [
  ...new Set(both.flatMap(({ result }) => (result.ok ? (result.normalised ?? []) : []))),
];

interface Explaining {
  prepared: Prepared;
  options: CheckOptions;
  how: ExperimentOptions;
}

/** Why two builds differ: from their bytes, and where these do not say, by experiments. `flaky`: their worlds are equal. */
async function explainDifference(
  verdict: Verdict,
  pair: readonly [Seen, Seen],
  difference: Difference,
  { prepared, options, how }: Explaining,
  flaky = false,
): Promise<Verdict> {
  const sides = pair.map(({ world, times }) => ({ world, times })) as [Side, Side];
  const explained = explainLeaves(difference, sides, variations);
  const artifacts = [...new Set(explained.map(({ leaf }) => leaf.path[0] ?? ""))];
  const [a, b] = pair.map(({ result }) => (result.ok ? result.folder : ""));
  const checksums = await checksumFiles([a ?? "", b ?? ""], artifacts);
  const causesOf = (evidence: Evidence, further: readonly Explained[] = []): Cause[] =>
    conclude([...explained, ...further], evidence, remedyFrom([...variations, ...notVaried]), knownByPlace);
  const outcome = verdict.outcome === "fails-in-adversarial" ? verdict.outcome : "differs";
  const differing: Verdict = { ...verdict, outcome, difference };
  if (options.quick === true) return { ...differing, causes: causesOf({ ...NO_EVIDENCE, checksums }) };
  const own = explained.filter(({ leaf }) => !checksums.has(leaf.path[0] ?? ""));
  const still = flaky || prepared.recipe.determinise;
  const { evidence, further, builds, open } = await withRealClock(how, (one) =>
    experiment(own, one, { flaky: still, folder: a ?? "", checksums: new Set(checksums.keys()) }),
  );
  const named = await withCommands(
    causesOf({ ...evidence, checksums }, further),
    [...explained, ...further],
    pair[1].world,
    {
      build: async (world, trace) => await buildIn(prepared, world, { ...options, trace }, "traced"),
      staged: prepared.staged,
      scratch: options.scratch,
    },
  );
  return {
    ...differing,
    causes: named.causes,
    builds: verdict.builds + builds + 1,
    open: [...verdict.open, ...open, ...named.doubts],
  };
}

/**
 * Experiments where the clock is held still, after the source's time; and where that spoils the answer (it fails there,
 * or no longer fails where it did), again with the clock as it goes.
 */
async function withRealClock<T extends { builds: number; spoilt: boolean }>(
  how: ExperimentOptions,
  attempt: (how: ExperimentOptions) => Promise<T>,
): Promise<T> {
  const first = await attempt(how);
  if (!first.spoilt || how.worlds?.[0].clockHeld === undefined) return first;
  const second = await attempt({ ...how, worlds: unheldPair(how.worlds) });
  return { ...second, builds: first.builds + second.builds };
}

/** What breaks a build in the adversarial world; and whether it differs in what does not. */
async function explainFailure(
  verdict: Verdict,
  [canonical, adversarial]: readonly [Seen, Seen],
  explaining: Explaining,
): Promise<Verdict> {
  const { how } = explaining;
  const { breaks, builds, open } = await withRealClock(how, (one) => whatBreaks(one));
  const told: Verdict = { ...verdict, breaks, builds: verdict.builds + builds, open };
  if (breaks.length === 0 || !canonical.result.ok) return told;
  const spared = mixed(adversarial.world, canonical.world, breaks.flat(), `without ${breaks.flat().join(", ")}`);
  const built = await how.build(spared);
  const three: Verdict = { ...told, builds: told.builds + 1, worlds: [...told.worlds, worldRun(built)] };
  if (!built.result.ok) return three;
  const difference = await diff(canonical.result.folder, built.result.folder, {});
  return difference === undefined
    ? three
    : await explainDifference(three, [canonical, built], difference, {
        ...explaining,
        how: { ...how, without: how.without.union(new Set(breaks.flat())) },
      });
}

/** A build in an equal world that came out otherwise. */
async function explainOther(
  verdict: Verdict,
  [canonical, other]: readonly [Seen, Seen],
  explaining: Explaining,
): Promise<Verdict> {
  const told: Verdict = { ...verdict, worlds: [...verdict.worlds, worldRun(other)] };
  if (!other.result.ok || !canonical.result.ok) return { ...told, outcome: "fails-in-adversarial" };
  const difference = await diff(canonical.result.folder, other.result.folder, {});
  if (difference === undefined) return told;
  return await explainDifference(told, [canonical, other], difference, explaining, true);
}

function experimentOptions(
  prepared: Prepared,
  options: CheckOptions,
  name: string,
  first: readonly Seen[],
  { asked, uncovered }: { asked: Asked; uncovered: ReadonlySet<CauseName> },
): ExperimentOptions {
  const clock = options.clock ?? systemClock;
  let built = 0;
  return {
    build: async (world) => await buildIn(prepared, world, options, `${name}-${built++}`),
    worlds: experimentPair(prepared.recipe.name, prepared.source.epoch, asked),
    without: uncovered,
    atOnce: Math.max(1, Math.min(2, options.host.cpus.length)),
    deadline: clock.elapsed() + (options.budget ?? BUDGET),
    expected: Math.max(...first.map(({ milliseconds }) => milliseconds)),
    schedules: options.confidence === undefined ? SCHEDULES : buildsFor(options.confidence, options.rarity ?? RARITY),
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
