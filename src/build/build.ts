import { mkdir, readFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { join, posix } from "node:path";
import { showable } from "../bytes.ts";
import { type Clock, systemClock } from "../clock.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { type MachineResult, runOnMachine } from "../sandbox/machine.ts";
import { runSandboxed, type SandboxResult, type SandboxSpec } from "../sandbox/sandbox.ts";
import { makeRepository } from "../source/repository.ts";
import type { Source } from "../source/source.ts";
import { copyTree } from "../tree.ts";
import type { Lack, World } from "../world.ts";
import { normaliseOutputs } from "./normalise.ts";
import { collectOutputs, type Output } from "./outputs.ts";
import { type Place, placeFor } from "./place.ts";
import { type LockedRoot, toolsFor } from "./tools.ts";

export interface BuildRequest {
  recipe: Recipe;
  source: Source;
  /** The staged source, copied for this build. */
  staged: string;
  world: World;
  host: HostAbilities;
  /** A locked environment's root; undefined: this machine's. */
  root: LockedRoot | undefined;
  /** Joins the sandbox to a proxy that replays; undefined: no network. */
  proxied?: Pick<SandboxSpec, "network" | "environment" | "files" | "beforeStart">;
  /** Is told the sandbox's first process before the build begins, and waited for. */
  observer?: { attach: (pid: number) => Promise<void> };
  /** A file that is told which programs ran and what they wrote; undefined: not traced. */
  trace?: string;
  /** The locked dependencies, copied for this build; undefined when there are none. */
  deps: string | undefined;
  /** An empty folder of this build's own. */
  scratch: string;
  clock?: Clock;
  onOutput?: (line: string) => void;
  signal?: AbortSignal;
}

/** Real times of a build, in epoch milliseconds. */
export interface Times {
  start: number;
  end: number;
}

export interface Built {
  world: World;
  times: Times;
  /** The sandbox's wall time. */
  milliseconds: number;
  peakMemory: number | undefined;
  lacks: Lack[];
  log: string;
  result:
    | {
        ok: true;
        outputs: Output[];
        folder: string;
        /** Of a determinised build: what was changed of what it made, in words. */
        normalised?: string[];
      }
    | { ok: false; reason: string; tail: string };
}

/**
 * Builds once in one world: copies the staged source and its dependencies,
 * enters the sandbox, collects the outputs. A build that fails is a value, not
 * an exception: in another world it may succeed.
 */
export async function build(request: BuildRequest): Promise<Built> {
  const place = await placeFor(request.world, request.host, request.scratch, request.recipe.limits);
  try {
    return await buildAt(place, request);
  } finally {
    await place.leave();
  }
}

const NO_REPOSITORY: Lack = {
  what: "no repository can be made at the build path: git is not installed, or the source brings a .git",
  remedy: "apt-get install git, or leave .git out of the source",
  causes: ["vcs"],
};

async function buildAt({ tree, lacks }: Place, request: BuildRequest): Promise<Built> {
  const { recipe, scratch } = request;
  const clock = request.clock ?? systemClock;
  const outputs = join(scratch, "outputs");
  const log = join(scratch, "build.log");
  await mkdir(outputs, { recursive: true });
  copyTree(request.staged, tree);
  const commit = request.world.vcs === undefined ? undefined : await makeRepository(tree);
  if (request.world.vcs !== undefined && commit === undefined) lacks.push(NO_REPOSITORY);
  const world = { ...request.world, ...(commit === undefined ? {} : { commit }) };
  const mounts = [{ from: tree, to: world.buildPath, writable: true }];
  if (request.deps !== undefined) {
    const deps = join(scratch, "deps");
    copyTree(request.deps, deps);
    mounts.push({ from: deps, to: "/deps", writable: true });
  }
  const tools = await toolsFor(recipe, request.root);

  const started = clock.now();
  const ran: MachineResult = await (world.machine === undefined ? runSandboxed : runOnMachine)(
    {
      network: "none",
      ...request.proxied,
      beforeStart: async (pid) => {
        await Promise.all([request.proxied?.beforeStart?.(pid), request.observer?.attach(pid)]);
      },
      world,
      ...(request.root === undefined ? {} : { root: request.root.folder }),
      command: ["/bin/sh", "-eu", "-c", recipe.command],
      directory: posix.join(world.buildPath, recipe.directory),
      mounts,
      hostPaths: tools.hostPaths,
      environment: {
        ...request.root?.env,
        ...request.proxied?.environment,
        ...world.environment,
        // A remedy in the recipe holds in every world.
        ...recipe.env,
        PATH: tools.path,
        SOURCE_DATE_EPOCH: String(request.source.epoch),
        BITFORBIT_DEPS: "/deps",
      },
      limits: recipe.limits,
      log,
      ...(request.trace === undefined ? {} : { trace: request.trace }),
      ...(request.onOutput === undefined ? {} : { onOutput: request.onOutput }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    },
    request.host,
  );
  const built = {
    world: onMachine(world, ran),
    times: { start: started, end: clock.now() },
    milliseconds: ran.milliseconds,
    peakMemory: ran.peakMemory,
    lacks: [...ran.lacks, ...lacks],
    log,
  };
  if (ran.outcome !== "exited" || ran.exitCode !== 0) {
    if (ran.outcome === "cancelled") throw new BitforbitError("build", "cancelled");
    return { ...built, result: { ok: false, reason: failureOf(ran, recipe), tail: await tailOf(log) } };
  }
  try {
    const { outputBytes } = recipe.limits;
    const newest = recipe.determinise ? request.source.epoch : undefined;
    const collected = await collectOutputs(tree, recipe.outputs, outputs, outputBytes, newest);
    if (newest === undefined) return { ...built, result: { ok: true, outputs: collected, folder: outputs } };
    const still = { epoch: newest, user: world.user };
    const { outputs: normalised, told } = await normaliseOutputs(outputs, collected, still);
    return { ...built, result: { ok: true, outputs: normalised, folder: outputs, normalised: told } };
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    const reason = error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
    return { ...built, result: { ok: false, reason, tail: await tailOf(log) } };
  }
}

/** The world as it was: with what its machine told of itself, or without one where there could be none. */
function onMachine({ machine, ...world }: World, { told }: MachineResult): World {
  return machine === undefined || told === undefined ? world : { ...world, machine: { ...machine, told } };
}

function failureOf(ran: SandboxResult, recipe: Recipe): string {
  const { limits } = recipe;
  switch (ran.outcome) {
    case "timeout":
      return `took longer than ${limits.timeoutSeconds} s (limits.timeout)`;
    case "memory":
      return `used more memory than ${limits.memoryBytes} bytes (limits.memory)`;
    case "processes":
      return `started more than ${limits.processes} processes (limits.processes)`;
    case "disk":
      return `wrote more than ${limits.diskBytes} bytes (limits.disk)`;
    case "signalled":
      return `was ended by ${ran.signal ?? "a signal"}`;
    default:
      return `exited with ${ran.exitCode ?? "no code"}`;
  }
}

/** The last lines of a build's log, at most 4 KiB. */
async function tailOf(log: string): Promise<string> {
  try {
    const text = showable(new Uint8Array((await readFile(log)).subarray(-4096)));
    return stripVTControlCharacters(text).split("\n").slice(-20).join("\n").trimEnd();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}
