import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";

/** In the command: what a world gives as TZ and LC_ALL goes before the recipe's variables. */
export const timezoneVariable: Remedy = {
  name: "timezone-variable",
  causes: ["timezone"],
  intrusion: "environment",
  says: "the build runs in UTC: export TZ=UTC",
  propose: (project) => commandStart(project, "export TZ=UTC"),
};
