import { against, type Variation, withField } from "./variation.ts";

/** The streams of builds whose randomness is held. */
const HELD = 1;

const shown = (seed: number | undefined): string => (seed === undefined ? "the kernel's" : `seed ${seed}`);

/**
 * Random numbers: UUIDs, temporary names, keys, hash seeds of Go and Rust. What
 * the kernel gives is never the same twice, so two worlds differ in it although
 * neither names a seed; an experiment seeds both, each build with its own.
 */
export const random: Variation = {
  name: "random",
  how: "The kernel's randomness differs in every build by itself. Experiments answer getrandom(2), `/dev/urandom`, the kernel's UUIDs and `AT_RANDOM` from a seed, with a stream of its own for each process; mkstemp(3), mktemp(1) and Java's System.nanoTime, at its start, are made of that.",
  shows:
    "High entropy; `xxxxxxxx-xxxx-4xxx-…`; six letters after `/tmp/`; another order of Go's and Rust's maps. No value is known beforehand: experiments find it.",
  beyond:
    "RDRAND and RDSEED, which programs execute without asking anybody; which of its threads Go has draw first, so that its orders may differ under load; mkstemp(3) of static programs; Java once it has worked for three seconds; seeds from the clock, from pids, from addresses: those are causes of their own.",
  describe: (a, b) => {
    if (a.random === undefined && b.random === undefined) return "randomness the kernel's, never the same twice";
    return against("randomness", shown(a.random), shown(b.random));
  },
  take: (world, other) => withField(world, other, "random"),
  hold: (world) => ({ ...world, random: HELD }),
  watermarks: () => [],
  remedy:
    "derive identifiers from content instead of drawing them (a version 5 UUID, a hash of the input, -frandom-seed=FILE), and seed generators with a constant",
};
