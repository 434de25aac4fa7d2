import type { Remedy } from "./remedy.ts";
import { tarFlags } from "./tar-flags.ts";

export const tarOwner: Remedy = {
  name: "tar-owner",
  causes: ["user"],
  intrusion: "flag",
  says: "tar records no owner: --owner=0 --group=0 --numeric-owner",
  propose: (project) => tarFlags(project, ["--owner=0", "--group=0", "--numeric-owner"]),
};
