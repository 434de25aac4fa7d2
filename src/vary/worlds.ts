import type { CauseName, World } from "../world.ts";
import { aslr } from "./aslr.ts";
import { clock, heldAfter } from "./clock.ts";
import { cpuCount } from "./cpu-count.ts";
import { cpuModel, GLIBC_TUNABLES } from "./cpu-model.ts";
import { environment, STRANGE_VARIABLES } from "./environment.ts";
import { filesystem } from "./filesystem.ts";
import { hashOrder, hashSeeds } from "./hash-order.ts";
import { hostname } from "./hostname.ts";
import { kernel } from "./kernel.ts";
import { load } from "./load.ts";
import { locale } from "./locale.ts";
import { machine, STRANGE_MACHINE } from "./machine.ts";
import { memory } from "./memory.ts";
import { mtime } from "./mtime.ts";
import { path } from "./path.ts";
import { pid } from "./pid.ts";
import { race } from "./race.ts";
import { random } from "./random.ts";
import { readdirOrder } from "./readdir-order.ts";
import { STRANGE_TERMINAL, terminal } from "./terminal.ts";
import { timezone } from "./timezone.ts";
import { umask } from "./umask.ts";
import { MALLOC_PERTURB, uninitialised } from "./uninitialised.ts";
import { user } from "./user.ts";
import type { Variation } from "./variation.ts";
import { vcs } from "./vcs.ts";

/** Every way in which worlds can differ. Those marked optional do so when they are asked for. */
export const variations: readonly Variation[] = [
  clock,
  mtime,
  timezone,
  locale,
  path,
  readdirOrder,
  hashOrder,
  random,
  pid,
  aslr,
  uninitialised,
  user,
  umask,
  hostname,
  kernel,
  cpuModel,
  cpuCount,
  race,
  load,
  memory,
  machine,
  filesystem,
  environment,
  terminal,
  vcs,
];

/** A path segment: what is not a letter, digit, dot, dash, plus or underscore becomes a dash. */
function segment(name: string): string {
  const plain = name.replace(/[^\w.+-]/g, "-").replace(/^[.-]+/, "");
  return plain === "" ? "project" : plain.slice(0, 60);
}

/**
 * The world in which artifacts are made that others shall be able to make
 * again: every value is fixed and none is common enough to turn up in an
 * artifact by chance. `project` is the last part of the build path.
 */
export function canonicalWorld(project: string): World {
  return {
    name: "canonical",
    clockOffset: 0,
    startDelay: 0,
    buildPath: `/build/${segment(project)}`,
    hostname: "bitforbit-canon",
    user: {
      name: "bfbuilder",
      uid: 1000,
      gid: 1000,
      group: "bfbuilder",
      fullName: "Bitforbit Builder",
      home: "/home/bfbuilder",
    },
    timezone: "UTC",
    locale: "C.UTF-8",
    umask: 0o022,
    cpus: undefined,
    directoryOrder: "sorted",
    aslr: false,
    environment: {},
  };
}

/**
 * Milliseconds by which one of two worlds begins after the other: nothing
 * shifts the times that the kernel gives to files, and zip rounds to two seconds.
 */
export const MTIME_DELAY = 2100;

/** Where the clock is held, files of the two worlds differ by these seconds: more than zip rounds to, and back in time. */
const FILE_OFFSET = -86_403;

/** 400 days, 7 hours, 37 minutes and 11 seconds: another year, month, weekday, hour, minute and second. */
const CLOCK_OFFSET = 400 * 86_400 + 7 * 3600 + 37 * 60 + 11;

/**
 * A world that differs from the canonical one in every way that we vary, by
 * values that occur nowhere by chance: where one is found in an artifact, its
 * cause is known. `cpus` is how many this build may have; one fewer than the
 * canonical build had is enough, and slows it least.
 */
export function adversarialWorld(project: string, cpus = 1): World {
  return {
    name: "adversarial",
    clockOffset: CLOCK_OFFSET,
    startDelay: 0,
    fileOffset: FILE_OFFSET,
    buildPath: `/qelvarn/other-place.d/wuzmok-longer/${segment(project)}/tree`,
    hostname: "vrompelzak-host",
    user: {
      name: "kworblezif",
      uid: 64_923,
      gid: 64_817,
      group: "zufnadlik",
      fullName: "Kworblezif Thrandolf",
      home: "/ozmiquel/people/kworblezif",
    },
    timezone: "Pacific/Marquesas",
    locale: "et_EE.UTF-8",
    umask: 0o002,
    cpus,
    directoryOrder: "reversed",
    aslr: true,
    environment: {
      ...STRANGE_VARIABLES,
      ...STRANGE_TERMINAL,
      ...hashSeeds(),
      MALLOC_PERTURB_: MALLOC_PERTURB,
      GLIBC_TUNABLES,
    },
    kernel: "2.6",
    firstPid: 23_417,
    memoryShown: 11_718_391 * 1024,
  };
}

/** `adversarial` with the optional variations among `names`, too. */
export function withOptional(adversarial: World, names: readonly CauseName[]): World {
  const every: World = {
    ...adversarial,
    fileSystem: "memory",
    vcs: "repository",
    load: "busy",
    schedule: 1,
    machine: STRANGE_MACHINE,
  };
  const optional = variations.flatMap((one) => (one.optional === true && names.includes(one.name) ? [one.name] : []));
  return mixed(adversarial, every, optional, adversarial.name);
}

/**
 * The world that experiments take values from: `adversarial` with everything
 * fixed that it leaves to the machine, otherwise than `held` fixes it. So what
 * a build draws at random is varied like anything else. Each `round` has other
 * seeds: two orders that agree by chance in one differ in another.
 */
export function experimentWorld(adversarial: World, round = 0): World {
  return {
    ...adversarial,
    environment: { ...adversarial.environment, ...hashSeeds(round) },
    random: 7919 + 101 * round,
    schedule: 6007 + 103 * round,
  };
}

/** The variations in which the two worlds really differ. */
export function variedBetween(a: World, b: World): CauseName[] {
  return variations.filter((variation) => variation.describe(a, b) !== "").map(({ name }) => name);
}

/**
 * The two worlds of a verdict, the canonical one first. The adversarial one has
 * fewer CPUs and takes longer, so it is the canonical one that begins later.
 */
export function worldPair(project: string): [canonical: World, adversarial: World] {
  return [{ ...canonicalWorld(project), startDelay: MTIME_DELAY }, adversarialWorld(project)];
}

/** `world` with the values of `other` in the named ways; `name` is the new world's. */
export function mixed(world: World, other: World, names: readonly CauseName[], name: string): World {
  return variations
    .filter((variation) => names.includes(variation.name))
    .reduce((mix, variation) => variation.take(mix, other), { ...world, name });
}

/** `world` with everything held still that it leaves to the machine: two builds in it differ by noise alone. */
export function held(world: World): World {
  return variations.reduce((still, variation) => variation.hold?.(still) ?? still, world);
}

/**
 * The worlds of experiments: one in which everything is held still, and one that
 * differs from it in every way; `mixed` lets single ways go. What a canonical
 * world leaves to the machine, randomness above all, is then a way like any other.
 * All CPUs are the way that varies here, and one is what holds: what runs side by
 * side would spoil every other answer. `epoch`: the source's SOURCE_DATE_EPOCH,
 * after which the clock is held.
 */
export function experimentWorlds(project: string, epoch: number): [still: World, other: World] {
  const still = held({ ...canonicalWorld(project), name: "held", cpus: 1, clockHeld: heldAfter(epoch) });
  return [still, { ...experimentWorld(adversarialWorld(project)), cpus: undefined }];
}
