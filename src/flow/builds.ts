import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Built, build } from "../build/build.ts";
import type { Unanswered } from "../record/replayer.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import type { Reads } from "../sandbox/reads.ts";
import type { World } from "../world.ts";
import type { Prepared } from "./prepare.ts";
import { replayed } from "./proxied.ts";
import type { KeptBuilds } from "./kept-builds.ts";
import { type MaterialsRead, materialsRead, observer } from "./reads.ts";

export interface BuildsOptions {
  host: HostAbilities;
  /** Each build gets a folder of its own in it. */
  scratch: string;
  onProgress?: (world: string, line: string) => void;
  /** A file for the trace of what the build does; undefined: it is not traced. */
  trace?: string;
  signal?: AbortSignal;
  /** What an earlier run of the same built, and where this one keeps what it builds. */
  kept?: KeptBuilds;
  /** Is told of each build when it begins, and when it is over; `reused`: it was there. */
  onBuild?: (event: BuildEvent) => void;
}

export interface BuildEvent {
  world: World;
  what: "begins" | "reused" | "ends";
}

/**
 * Builds in every world, then has the environment confirmed: one that turns
 * out to have been changed is made anew, and everything is built again in it.
 */
export async function builtInConfirmed(
  prepared: Prepared,
  worlds: readonly World[],
  options: BuildsOptions,
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
  if (anew !== undefined) {
    await options.kept?.forget();
    return await inAll(anew, `${name}-again`);
  }
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

/** A build, and what it was seen to read where that was watched. */
export type Seen = Built & { read?: MaterialsRead };

/** Builds once, in a folder called after `name` and the world; a build that is there is not made again. */
export async function buildIn(prepared: Prepared, world: World, options: BuildsOptions, name: string): Promise<Seen> {
  const scratch = join(options.scratch, `${name}-${world.name.replace(/[^\w-]+/g, "-").slice(0, 40)}`);
  await mkdir(scratch, { recursive: true });
  // What a trace tells of lies in the build's tree, which is not kept.
  const kept = options.trace === undefined ? options.kept : undefined;
  const place = kept?.place(world) ?? "";
  const there = await kept?.take(place, scratch);
  if (there !== undefined) {
    options.onBuild?.({ world, what: "reused" });
    return there;
  }
  await kept?.settle();
  options.onBuild?.({ world, what: "begins" });
  try {
    const seen = await buildOnce(prepared, world, options, scratch);
    if (options.signal?.aborted !== true) await kept?.put(place, seen);
    return seen;
  } finally {
    options.onBuild?.({ world, what: "ends" });
  }
}

async function buildOnce(prepared: Prepared, world: World, options: BuildsOptions, scratch: string): Promise<Seen> {
  const { recipe, source, staged, root, deps, recording, home } = prepared;
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
    ...(options.trace === undefined ? {} : { trace: options.trace }),
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
