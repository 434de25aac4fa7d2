import { rfc3339 } from "../clock.ts";
import type { Digest } from "../digest.ts";
import type { CauseName, Lack, World } from "../world.ts";

/**
 * Fixed seeds of what hashes and fills at random: Python's and Perl's hashes,
 * Perl's rand, and glibc's malloc, whose 255 means zeros.
 */
const SEEDS: Readonly<Record<string, string>> = {
  PYTHONHASHSEED: "0",
  PERL_HASH_SEED: "0",
  PERL_PERTURB_KEYS: "0",
  PERL_RAND_SEED: "0",
  MALLOC_PERTURB_: "255",
};

/** What a determinised world takes from the source, so that it is the same whenever and wherever that is built. */
export interface Stillness {
  /** SOURCE_DATE_EPOCH, seconds. */
  epoch: number;
  treeDigest: Digest;
}

/**
 * `world` with everything held still that a build could notice: clock and file
 * times at the source's epoch, one CPU, random numbers that follow from the source.
 * What `canonicalWorld` fixes is fixed already.
 */
export function determinised(world: World, { epoch, treeDigest }: Stillness): World {
  const { fileOffset: _, schedule: __, ...rest } = world;
  return {
    ...rest,
    clockOffset: 0,
    clockHeld: epoch,
    cpus: 1,
    aslr: false,
    directoryOrder: "sorted",
    random: Number.parseInt(treeDigest.slice(-8), 16),
    environment: { ...world.environment, ...SEEDS },
  };
}

/**
 * The two worlds of a determinised build: they differ in what a build ought not
 * to notice, the real time, the processor and the kernel's number for the user.
 */
export function determinisedPair(canonical: World, still: Stillness): [World, World] {
  const world = determinised(canonical, still);
  return [world, { ...world, name: "adversarial", startDelay: 0 }];
}

/**
 * In words, what holds a determinised build up; for the verdict, the provenance and the account of the worlds. What
 * the machine lacks holds nothing, and is told as lacking.
 */
export function crutchesOf(world: World, lacks: readonly Lack[]): string[] {
  const { clockHeld, random, cpus, environment } = world;
  if (clockHeld === undefined) return [];
  const lacking = (cause: CauseName): boolean => lacks.some(({ causes }) => causes.includes(cause));
  const seeds = Object.entries(SEEDS).filter(([name, value]) => environment[name] === value);
  return [
    ...(lacking("clock")
      ? []
      : [`the clock stands still at ${rfc3339(clockHeld * 1000)} (SOURCE_DATE_EPOCH), and file times with it`]),
    ...(random === undefined || lacking("random")
      ? []
      : ["random numbers follow from the source: keys and passwords that the build makes can be predicted"]),
    ...(cpus === undefined ? [] : [`the build is shown ${cpus === 1 ? "one CPU" : `${cpus} CPUs`}`]),
    "time zone, locale, build path, directory order, user, umask, host name and memory addresses are the same in every world",
    ...(seeds.length === 0 ? [] : [`fixed seeds: ${seeds.map(([name, value]) => `${name}=${value}`).join(" ")}`]),
    "outputs that are newer than the source are given its time",
  ];
}
