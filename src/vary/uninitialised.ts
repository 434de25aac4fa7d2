import { runWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** Freed memory is filled with 0xea, fresh memory with its complement 0x15: neither is text, padding or a common opcode. */
export const MALLOC_PERTURB = "234";

/** Memory that a program writes out without having written to it: padding of structures, ends of buffers. */
export const uninitialised: Variation = {
  name: "uninitialised",
  how: "`MALLOC_PERTURB_` has the C library fill what it allocates and what is freed with a byte of ours (mallopt(3), M_PERTURB).",
  shows: "Runs of four or more bytes 0x15 (fresh) or 0xea (freed), raw, in hexadecimal and in base64.",
  beyond: "The stack, memory that mmap gives (zeros), programs with another allocator (musl, jemalloc, Go, Java, V8).",
  describe: (a, b) => against("fresh memory", shownVariables(a, "uninitialised"), shownVariables(b, "uninitialised")),
  take: (world, other) => withVariables(world, "uninitialised", variablesOf(other, "uninitialised")),
  watermarks: (world) => {
    const byte = Number(variablesOf(world, "uninitialised")["MALLOC_PERTURB_"] ?? 0) & 0xff;
    if (byte === 0) return [];
    return [
      ...runWatermarks("uninitialised", "fresh memory", byte ^ 0xff),
      ...runWatermarks("uninitialised", "freed memory", byte),
    ];
  },
  remedy:
    "clear what is written out: memset or calloc for structures with padding, write the used length and not the buffer's (valgrind --track-origins=yes and -fsanitize=memory say where it comes from)",
};
