import { against, type Variation } from "./variation.ts";

/** Directory order, of every listing that a build makes. It leaves no value: the same members in another order. */
export const readdirOrder: Variation = {
  name: "readdir-order",
  how: "Every `getdents` is answered by us, sorted by the bytes of the names or reversed: static programs, Go, `/tmp` and `/usr` too. Where the kernel or seccomp forbids that, disorderfs over the build path; where neither can be had, the verdict says so.",
  shows: "The same members or lines in another order: no value, so no watermark.",
  beyond:
    "A folder of more than 2,000,000 entries is ordered in parts of so many, which the verdict says. A program whose signal handler lacks `SA_RESTART` can see a listing interrupted (`EINTR`). With disorderfs, folders outside the build path.",
  describe: (a, b) => against("directory order", a.directoryOrder, b.directoryOrder),
  take: (world, { directoryOrder }) => ({ ...world, directoryOrder }),
  watermarks: () => [],
  remedy:
    "sort what is read from a directory: tar --sort=name, sorted(glob(…)), $(sort $(wildcard …)), find | LC_ALL=C sort",
};
