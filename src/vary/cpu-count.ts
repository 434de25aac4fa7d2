import { against, type Variation } from "./variation.ts";

const count = (cpus: number | undefined): string => (cpus === undefined ? "all" : String(cpus));

/** How many CPUs the build may use. A small number is no watermark: it occurs everywhere. */
export const cpuCount: Variation = {
  name: "cpu-count",
  how: "CPU affinity, and `/proc/cpuinfo` and `/sys/devices/system/cpu` that agree with it.",
  shows: "Small numbers, other chunk borders, another order: no watermark.",
  beyond: "A machine with one CPU, which is said as not covered. Control groups' quotas.",
  describe: (a, b) => against("CPUs", count(a.cpus), count(b.cpus)),
  take: (world, { cpus }) => ({ ...world, cpus }),
  watermarks: () => [],
  remedy:
    "partition work by content and not by the number of CPUs, and collect results in a fixed order; if need be, run that step with -j1",
};
