import { against, type Variation, withField } from "./variation.ts";

const shown = (seed: number | undefined): string => (seed === undefined ? "as it comes" : `delayed by seed ${seed}`);

/** The order in which things that run side by side happen to meet. */
export const race: Variation = {
  name: "race",
  optional: true,
  how: "Short delays, drawn from a seed, before programs start; only in experiments, since they take time.",
  shows: "Two or more shapes of an output, each as often as its order of events: no watermark.",
  beyond:
    "Threads of one program, which no start of a program parts. An order that is rare: the verdict says how rare.",
  describe: (a, b) => against("schedule", shown(a.schedule), shown(b.schedule)),
  take: (world, other) => withField(world, other, "schedule"),
  watermarks: () => [],
  remedy:
    "state the missing dependency (a prerequisite in the Makefile, .NOTPARALLEL, -j1 for that step), give each job a file of its own, and join the parts in a fixed order",
};
