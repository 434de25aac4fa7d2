import { against, type Variation } from "./variation.ts";

const count = (cpus: number | undefined): string => (cpus === undefined ? "all" : String(cpus));

/** How many CPUs the build may use. A small number is no watermark: it occurs everywhere. */
export const cpuCount: Variation = {
  name: "cpu-count",
  describe: (a, b) => against("CPUs", count(a.cpus), count(b.cpus)),
  take: (world, { cpus }) => ({ ...world, cpus }),
  watermarks: () => [],
  remedy:
    "partition work by content and not by the number of CPUs, and collect results in a fixed order; if need be, run that step with -j1",
};
