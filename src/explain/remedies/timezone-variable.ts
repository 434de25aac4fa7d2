import type { Remedy } from "./remedy.ts";
import { setVariable } from "./variable.ts";

export const timezoneVariable: Remedy = {
  name: "timezone-variable",
  causes: ["timezone"],
  intrusion: "environment",
  says: "the build runs in UTC: TZ=UTC in its environment",
  propose: (project) => setVariable(project, "TZ", "UTC"),
};
