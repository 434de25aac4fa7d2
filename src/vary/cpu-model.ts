import { textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** Extensions of x86-64 that choose other variants of string and mathematical functions; what a C library does not know it ignores. */
export const GLIBC_TUNABLES =
  "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4,-BMI2,-ERMS,-FSRM,-SSE4_2,-SSE4_1,-SSSE3";

/** What the processor can do, as far as the C library is asked. */
export const cpuModel: Variation = {
  name: "cpu-model",
  how: "`GLIBC_TUNABLES` hides AVX, FMA, SSE4 and others from the C library of x86-64, which then takes other variants of its functions.",
  shows: "Last digits of floating point results. No watermark.",
  beyond:
    "CPUID itself: `-march=native`, `/proc/cpuinfo`, BLAS, Go, Java and Node ask the processor, and only a virtual machine answers for it (`machine`). Other architectures than x86-64; other C libraries.",
  describe: (a, b) => against("processor features", shownVariables(a, "cpu-model"), shownVariables(b, "cpu-model")),
  take: (world, other) => withVariables(world, "cpu-model", variablesOf(other, "cpu-model")),
  watermarks: ({ machine }) =>
    machine?.told === undefined || machine.told.processor === ""
      ? []
      : textWatermarks("cpu-model", "processor", machine.told.processor),
  remedy:
    "name the processor to build for (-march=x86-64-v2, never -march=native), and round results before they are written",
};
