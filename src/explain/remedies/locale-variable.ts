import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";

/** In the command: what a world gives as TZ and LC_ALL goes before the recipe's variables. */
export const localeVariable: Remedy = {
  name: "locale-variable",
  causes: ["locale"],
  intrusion: "environment",
  says: "the build runs in one locale: export LC_ALL=C.UTF-8",
  propose: (project) => commandStart(project, "export LC_ALL=C.UTF-8"),
};
