import { compiles } from "./compiler-flags.ts";
import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";

const FLAG = "-ffile-prefix-map=$PWD=.";

export const prefixMapVariables: Remedy = {
  name: "prefix-map-variables",
  causes: ["path"],
  intrusion: "recipe",
  says: "compilers leave the build path out: CFLAGS and CXXFLAGS with -ffile-prefix-map=$PWD=.",
  propose: (project) =>
    compiles(project)
      ? commandStart(project, `export CFLAGS="\${CFLAGS:-} ${FLAG}" CXXFLAGS="\${CXXFLAGS:-} ${FLAG}"`)
      : [],
};
