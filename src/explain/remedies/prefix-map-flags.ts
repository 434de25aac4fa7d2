import { compilerCallFlags, makeVariableFlags } from "./compiler-flags.ts";
import type { Remedy } from "./remedy.ts";

export const prefixMapFlags: Remedy = {
  name: "prefix-map-flags",
  causes: ["path"],
  intrusion: "flag",
  says: "compilers leave the build path out: -ffile-prefix-map (debug information, macros) in their flags",
  propose(project) {
    const inMakefiles = makeVariableFlags(project, ["-ffile-prefix-map=$(CURDIR)=."]);
    return inMakefiles.length > 0 ? inMakefiles : compilerCallFlags(project, ['-ffile-prefix-map="$PWD"=.']);
  },
};
