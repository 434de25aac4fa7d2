import type { Remedy } from "./remedy.ts";
import { runs } from "./runs.ts";
import { setVariable } from "./variable.ts";

export const serialMake: Remedy = {
  name: "serial-make",
  causes: ["race", "cpu-count", "load"],
  intrusion: "environment",
  says: "make runs one job at a time: MAKEFLAGS=-j1",
  propose: (project) => (runs(project, "make") ? setVariable(project, "MAKEFLAGS", "-j1") : []),
};
