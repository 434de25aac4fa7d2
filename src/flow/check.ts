import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Built, build, type Times } from "../build/build.ts";
import type { Output } from "../build/outputs.ts";
import { type Difference } from "../diff/difference.ts";
import { diff } from "../diff/diff.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import type { Cause } from "../explain/cause.ts";
import { explain, type Side } from "../explain/explain.ts";
import { environmentWords } from "../lock/environment.ts";
import { byteOrder } from "../order.ts";
import type { Unanswered } from "../record/replayer.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import type { Reads } from "../sandbox/reads.ts";
import { crutchesOf, determinised, determinisedPair } from "../vary/determinise.ts";
import { canonicalWorld, variations, worldPair } from "../vary/worlds.ts";
import type { CauseName, Lack, World } from "../world.ts";
import type { Prepared } from "./prepare.ts";
import { replayed } from "./proxied.ts";
import { type MaterialsRead, materialsRead, observer } from "./reads.ts";

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
  /** What held the build still from outside (`determinise`), in words; [] when it reproduces by itself or not at all. */
  crutches: string[];
}

export interface CheckOptions {
  host: HostAbilities;
  scratch: string;
  /** One build in the canonical world: the verdict then tells nothing about reproducing. */
  once?: boolean;
  entropy?: Entropy;
  onProgress?: (world: string, line: string) => void;
  signal?: AbortSignal;
}

/** What the shifted clock cannot reach, said in every verdict that rests on it. */
export const CLOCK_REACH = "clock: programs that do not use the C library (static ones, Go) were under the real clock";

/**
 * The verdict on a project: builds it in the canonical and in the adversarial
 * world side by side, compares the outputs to the last byte and names the
 * causes. The caller removes `options.scratch` when it has read the outputs.
 */
export async function check(prepared: Prepared, options: CheckOptions): Promise<Verdict> {
  const name = uniqueName(options.entropy ?? systemEntropy).slice(0, 8);
  const worlds = worldsFor(prepared, options.once === true);
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
        : variations
            .filter((one) => !uncovered.has(one.name) && one.describe(canonical.world, adversarial.world) !== "")
            .map(({ name: cause }) => cause),
    lacks,
    caveats: [...notPinned, ...(options.once === true ? [] : [CLOCK_REACH])],
    read,
    notCanonical: [
      ...(options.once === true ? ["built once, in one world"] : []),
      ...notPinned,
      ...(prepared.recipe.strict ? undeclaredIn(read) : []),
    ],
    crutches: prepared.recipe.determinise ? crutchesOf(canonical.world, lacks) : [],
  };
  if (!canonical.result.ok) return { ...verdict, outcome: "failed" };
  if (adversarial === undefined) return { ...verdict, outcome: "built-once" };
  if (!adversarial.result.ok) return { ...verdict, outcome: "fails-in-adversarial" };
  const difference = await diff(canonical.result.folder, adversarial.result.folder, {});
  if (difference === undefined) return verdict;
  const sides = [canonical, adversarial].map(({ world, times }) => ({ world, times })) as [Side, Side];
  const causes = explain(difference, sides, variations);
  return { ...verdict, outcome: "differs", difference, causes };
}

/** A verdict's worlds, the canonical one first. */
function worldsFor({ recipe, source }: Prepared, once: boolean): World[] {
  if (!recipe.determinise) return once ? [canonicalWorld(recipe.name)] : worldPair(recipe.name);
  if (once) return [determinised(canonicalWorld(recipe.name), source)];
  return determinisedPair(worldPair(recipe.name)[0], source);
}

/**
 * Builds in every world, then has the environment confirmed: one that turns
 * out to have been changed is made anew, and everything is built again in it.
 */
async function builtInConfirmed(
  prepared: Prepared,
  worlds: readonly World[],
  options: CheckOptions,
  name: string,
): Promise<Seen[]> {
  const inAll = async (root: Prepared["root"], called: string): Promise<Seen[]> =>
    await allOrFirstError(options.signal, (signal) =>
      worlds.map((world) => buildIn({ ...prepared, root }, world, { ...options, signal }, called)),
    );
  const { root } = prepared;
  const first = await inAll(root, name).then(
    (both) => ({ both }),
    (error: unknown) => ({ error }),
  );
  const anew = options.signal?.aborted === true ? undefined : await root?.confirm?.();
  if (anew !== undefined) return await inAll(anew, `${name}-again`);
  if ("error" in first) throw first.error;
  return first.both;
}

/**
 * The values of all, or the first error: then the others are told to stop, and
 * waited for, so that nothing still runs in folders that are about to go.
 */
async function allOrFirstError<T>(
  outer: AbortSignal | undefined,
  start: (signal: AbortSignal) => Promise<T>[],
): Promise<T[]> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const works = start(signal);
  try {
    return await Promise.all(works);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(works);
    throw error;
  }
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

type Seen = Built & { read?: MaterialsRead };

async function buildIn(prepared: Prepared, world: World, options: CheckOptions, name: string): Promise<Seen> {
  const { recipe, source, staged, root, deps, recording, home } = prepared;
  const scratch = join(options.scratch, `${name}-${world.name}`);
  await mkdir(scratch, { recursive: true });
  const unanswered: Unanswered[] = [];
  const replay =
    recipe.network === "replay" && recording !== undefined
      ? replayed({
          cache: home.cache,
          home: world.user.home,
          recording,
          epoch: source.epoch,
          onUnanswered: (request) => unanswered.push(request),
        })
      : undefined;
  const watching = world.name === "canonical" ? await observer(prepared, world) : undefined;
  const building = build({
    recipe,
    source,
    staged,
    world,
    host: options.host,
    root,
    ...(replay === undefined ? {} : { proxied: replay.parts }),
    ...(watching === undefined ? {} : { observer: watching }),
    deps,
    scratch,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onOutput: (line) => options.onProgress?.(world.name, line),
  });
  let reads: Reads | undefined;
  let answered: ReadonlySet<string> = new Set();
  try {
    await building;
  } finally {
    if (replay !== undefined) answered = await replay.close();
    reads = await watching?.finish();
  }
  const built = withUnanswered(await building, unanswered);
  const seen =
    reads === undefined || !built.result.ok
      ? undefined
      : await materialsRead(prepared, world, reads, answered, options.host);
  return { ...built, ...(seen === undefined ? {} : { read: seen }) };
}

/** A build that failed after it asked for what is not recorded failed for that. */
function withUnanswered(built: Built, unanswered: readonly Unanswered[]): Built {
  const [first] = unanswered;
  if (first === undefined || built.result.ok) return built;
  const asker = first.process === undefined ? "" : `, asked by ${first.process}`;
  const more = unanswered.length === 1 ? "" : ` (and ${unanswered.length - 1} more)`;
  const reason = `${built.result.reason}; ${first.message}${asker}${more}: 'bitforbit lock' records anew`;
  return { ...built, result: { ...built.result, reason } };
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
