import { textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";

/** Where the source lies: another content and another length. */
export const path: Variation = {
  name: "path",
  describe: (a, b) => against("build path", a.buildPath, b.buildPath),
  take: (world, { buildPath }) => ({ ...world, buildPath }),
  watermarks: (world) => textWatermarks("path", "build path", world.buildPath),
  remedy:
    "map the build path away: C/C++ -ffile-prefix-map=$PWD=. , Go -trimpath, Rust --remap-path-prefix, or write relative paths",
};
