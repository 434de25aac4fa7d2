import { against, type Variation, withField } from "./variation.ts";

const shown = (load: "busy" | undefined): string => (load === undefined ? "idle" : "busy");

/** How busy the machine is: what is measured, tuned or given up after a time depends on it. */
export const load: Variation = {
  name: "load",
  optional: true,
  how: "A process of ours works on each of the build's CPUs for as long as the build lasts. It doubles the build's time, so it must be asked for.",
  shows: "Counters, profiles, tuning results: no watermark.",
  beyond: "Slow disks and memory; a profile's own noise, which differs without any load.",
  describe: (a, b) => against("machine", shown(a.load), shown(b.load)),
  take: (world, other) => withField(world, other, "load"),
  watermarks: () => [],
  remedy:
    "measure once, keep the result in the source (a recorded profile, fixed tuning parameters), and replay it; no time limits that change the outcome",
};
