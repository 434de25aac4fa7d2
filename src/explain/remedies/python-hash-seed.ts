import type { Remedy } from "./remedy.ts";
import { runs } from "./runs.ts";
import { setVariable } from "./variable.ts";

export const pythonHashSeed: Remedy = {
  name: "python-hash-seed",
  causes: ["hash-order"],
  intrusion: "environment",
  says: "Python hashes alike in every run: PYTHONHASHSEED=0",
  propose: (project) => (runs(project, "python") ? setVariable(project, "PYTHONHASHSEED", "0") : []),
};
