import { CLOCK_LIBRARY } from "../sandbox/world-files.ts";
import { textWatermarks } from "./encodings.ts";
import { against, type Variation } from "./variation.ts";
import { shownVariables, variablesOf, withVariables } from "./variables.ts";

/** Variables that no tool knows, and some that tools record. PATH: one more folder, after the build's own. */
export const STRANGE_VARIABLES: Readonly<Record<string, string>> = {
  BLORVIK_ZANTHUM: "quempst-fradnil",
  EDITOR: "wexlopid-editor",
  EMAIL: "kworblezif@snarvomil.invalid",
  PATH: "/sprondle/blimport-tools/bin",
  SHELL: "/bin/../bin/./sh",
};

/** Values that stand in every environment somewhere are no watermark. */
const isTelling = (value: string): boolean => value.length >= 8;

/** What a build finds in its environment besides what the other variations put there. */
export const environment: Variation = {
  name: "environment",
  how: "More variables with names and values that occur nowhere, `EDITOR`, `EMAIL`, another spelling of `SHELL`, one more folder at the end of `PATH`. What the recipe sets stays as the recipe sets it.",
  shows:
    "The values, and the names that are ours: raw, UTF-16, hexadecimal, base64. The path of the library that shifts the clock, which `/etc/ld.so.preload` and `/proc/self/maps` tell.",
  beyond:
    "Variables that a build asks for by a name of its own, such as `CFLAGS`: those are the recipe's to set; another `/bin/sh`; standard input, which is empty in both worlds.",
  describe: (a, b) => against("environment", shownVariables(a, "environment"), shownVariables(b, "environment")),
  take: (world, other) => withVariables(world, "environment", variablesOf(other, "environment")),
  watermarks: (world) => [
    ...Object.entries(variablesOf(world, "environment")).flatMap(([name, value]) => [
      ...(isTelling(value) ? textWatermarks("environment", name, value) : []),
      ...(name.includes("_") ? textWatermarks("environment", "variable", name) : []),
    ]),
    // In every program of that world: what records the sandbox that it runs in records this.
    ...(world.clockOffset === 0 ? [] : textWatermarks("environment", "preloaded library", CLOCK_LIBRARY)),
  ],
  remedy:
    "do not record the environment (env, set, os.environ, process.env, configure's own log), and name the variables that a step may see (env -i NAME=…)",
};
