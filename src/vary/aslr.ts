import { patternWatermark } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";

/** Where the kernel puts memory. Without randomisation the stack and libraries of x86-64 lie at fixed places. */
export const aslr: Variation = {
  name: "aslr",
  how: "personality(2) switches randomisation off in the canonical world.",
  shows: "`0x7f…`, `0x55…` as twelve hexadecimal digits; another order of what is sorted by address.",
  beyond: "An order that only rarely changes: two builds may agree by chance.",
  describe: (a, b) => against("address space randomisation", a.aslr ? "on" : "off", b.aslr ? "on" : "off"),
  take: (world, { aslr }) => ({ ...world, aslr }),
  watermarks: () => [
    patternWatermark(
      "aslr",
      "address of memory",
      /(?<![0-9a-f])(?:0x)?(?:7f[ef]?|5[56])[0-9a-f]{10}(?![0-9a-f])/gi,
      "likely",
      ([text]) => text.replace(/^0x/i, "").length === 12,
    ),
  ],
  remedy: "never write, hash or sort by addresses: sort by name or by content, and give objects numbers of their own",
};
