import type { Machine, World } from "../world.ts";
import { against, type Variation, withField } from "./variation.ts";

/** An old processor, and a total of memory that no machine is sold with. */
export const STRANGE_MACHINE: Machine = { processor: "old", memoryBytes: 3413 * 2 ** 20 };

const shown = ({ machine }: World): string =>
  machine === undefined
    ? "this one"
    : `a virtual one with ${machine.processor === "old" ? "an old" : "a full"} processor and ${machine.memoryBytes / 2 ** 20} MiB`;

/** What no process of this machine's can be shown otherwise: the kernel, the processor, the memory, every program's clock. */
export const machine: Variation = {
  name: "machine",
  optional: true,
  slow: true,
  how: "A virtual machine (QEMU) with Debian's kernel, a processor without AVX, 3413 MiB of memory at most, and a clock that static programs see as well. It runs inside the sandbox and takes many times as long where KVM cannot be used, so it must be asked for.",
  shows:
    "What the kernel, the memory and the processor say of themselves: told as `kernel`, `memory` and `cpu-model`. Code for another processor, other last digits: no watermark.",
  beyond:
    "Builds with `network`; what is larger than the machine's memory; other architectures than x86-64; traces. Without KVM the processor is QEMU's own, and its timing another in every run.",
  describe: (a, b) => against("machine", shown(a), shown(b)),
  take: (world, other) => withField(world, other, "machine"),
  // Each is the cause that it stands for: kernel.ts, memory.ts, cpu-model.ts.
  watermarks: () => [],
  remedy:
    "name the processor to build for (-march=x86-64-v2, never -march=native), and take neither the kernel's release nor the machine's size into what is built",
};
