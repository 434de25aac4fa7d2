import { integerWatermarks, numberWatermarks } from "./encodings.ts";
import { against, type Variation, withField } from "./variation.ts";

const shown = (bytes: number | undefined): string => (bytes === undefined ? "the machine's" : `${bytes / 1024} KiB`);

/** How much memory the machine seems to have. */
export const memory: Variation = {
  name: "memory",
  how: "A file of ours lies over `/proc/meminfo`, with an odd total.",
  shows: "The total in KiB or in bytes: decimal, hexadecimal, octal, integers of either byte order.",
  beyond: "sysinfo(2), which sysconf(3) and `getconf _PHYS_PAGES` ask; control groups; how much there really is.",
  describe: (a, b) => against("memory shown", shown(a.memoryShown), shown(b.memoryShown)),
  take: (world, other) => withField(world, other, "memoryShown"),
  watermarks: ({ memoryShown, machine }) => {
    // A machine of its own has its own total, and files of ours are not laid over it.
    const total = machine?.told === undefined ? memoryShown : machine.told.totalKiB * 1024;
    if (total === undefined) return [];
    return [
      ...numberWatermarks("memory", "memory in KiB", total / 1024, "certain"),
      ...numberWatermarks("memory", "memory", total, "certain"),
      ...integerWatermarks("memory", "memory in KiB", total / 1024, "likely"),
      ...(machine?.told === undefined ? [] : numberWatermarks("memory", "memory in pages", total / 4096, "certain")),
    ];
  },
  remedy: "give sizes of buffers, heaps and chunks explicitly instead of taking them from the memory at hand",
};
