import { SHELL_EPOCH } from "./epoch.ts";
import type { Remedy } from "./remedy.ts";
import { tarFlags } from "./tar-flags.ts";

export const tarTimes: Remedy = {
  name: "tar-times",
  causes: ["mtime", "clock"],
  intrusion: "flag",
  says: "tar records no time after that of the source: --mtime=@$SOURCE_DATE_EPOCH --clamp-mtime",
  propose: (project) => tarFlags(project, [`--mtime="@${SHELL_EPOCH}"`, "--clamp-mtime"]),
};
