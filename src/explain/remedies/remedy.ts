import type { CauseName } from "../../world.ts";
import type { Cause } from "../cause.ts";
import type { Edit } from "./edit.ts";
import type { Project } from "./project.ts";

/** How much of a project a remedy touches; in the order in which they are tried. */
export const INTRUSIONS = ["environment", "recipe", "flag", "patch", "last-resort"] as const;
export type Intrusion = (typeof INTRUSIONS)[number];

/** One way to mend a cause. Adding a way is adding one file with one of these. */
export interface Remedy {
  name: string;
  causes: readonly CauseName[];
  intrusion: Intrusion;
  /** What it does, in one line for people; the edits show the lines of this very project. */
  says: string;
  /**
   * The edits that would mend the causes in this project, all in one, against its
   * texts as they stand; [] where it does not apply. Edits of one document do not overlap.
   */
  propose(project: Project, causes: readonly Cause[]): Edit[];
}
