import type { Remedy } from "./remedy.ts";
import { shellTexts } from "./shell-texts.ts";
import { addToVariable } from "./variable.ts";

export const goFlags: Remedy = {
  name: "go-flags",
  causes: ["path", "vcs"],
  intrusion: "environment",
  says: "Go leaves build path and state of the repository out: GOFLAGS=-trimpath -buildvcs=false",
  propose(project) {
    const builds = shellTexts(project).some(({ commands }) => commands.some(({ name }) => name === "go"));
    return builds || project.ecosystem === "go"
      ? addToVariable(project, "GOFLAGS", ["-trimpath", "-buildvcs=false"])
      : [];
  },
};
