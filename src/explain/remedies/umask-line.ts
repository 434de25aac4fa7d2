import type { Remedy } from "./remedy.ts";
import { commandStart } from "./command-start.ts";

export const umaskLine: Remedy = {
  name: "umask",
  causes: ["umask"],
  intrusion: "recipe",
  says: "the build begins with umask 022, so that modes are the same everywhere",
  propose: (project) => commandStart(project, "umask 022"),
};
