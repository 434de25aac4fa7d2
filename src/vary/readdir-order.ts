import { against, type Variation } from "./variation.ts";

/** Directory order, of every listing that a build makes. It leaves no value: the same members in another order. */
export const readdirOrder: Variation = {
  name: "readdir-order",
  describe: (a, b) => against("directory order", a.directoryOrder, b.directoryOrder),
  take: (world, { directoryOrder }) => ({ ...world, directoryOrder }),
  watermarks: () => [],
  remedy:
    "sort what is read from a directory: tar --sort=name, sorted(glob(…)), $(sort $(wildcard …)), find | LC_ALL=C sort",
};
