import { compilerCallFlags, makeVariableFlags } from "./compiler-flags.ts";
import type { Remedy } from "./remedy.ts";

export const randomSeedFlags: Remedy = {
  name: "compiler-random-seed",
  causes: ["random", "path"],
  intrusion: "flag",
  says: "the compiler makes the same unique names in every run: -frandom-seed",
  propose(project) {
    const inMakefiles = makeVariableFlags(project, ["-frandom-seed=$@"]);
    return inMakefiles.length > 0 ? inMakefiles : compilerCallFlags(project, ["-frandom-seed=0"]);
  },
};
