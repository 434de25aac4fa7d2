import type { Remedy } from "./remedy.ts";
import { setVariable } from "./variable.ts";

export const localeVariable: Remedy = {
  name: "locale-variable",
  causes: ["locale"],
  intrusion: "environment",
  says: "the build runs in one locale: LC_ALL=C.UTF-8 in its environment",
  propose: (project) => setVariable(project, "LC_ALL", "C.UTF-8"),
};
