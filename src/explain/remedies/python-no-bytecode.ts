import type { Remedy } from "./remedy.ts";
import { setVariable } from "./variable.ts";

export const pythonNoBytecode: Remedy = {
  name: "python-no-bytecode",
  causes: ["mtime", "clock"],
  intrusion: "environment",
  says: "Python writes no bytecode, which holds the times of its sources: PYTHONDONTWRITEBYTECODE=1",
  propose: (project, causes) =>
    causes.some(({ artifact, leaf }) => [artifact, ...leaf].some((name) => name.endsWith(".pyc")))
      ? setVariable(project, "PYTHONDONTWRITEBYTECODE", "1")
      : [],
};
