import type { Remedy } from "./remedy.ts";
import { tarFlags } from "./tar-flags.ts";

export const tarMode: Remedy = {
  name: "tar-mode",
  causes: ["umask"],
  intrusion: "flag",
  says: "tar records the same modes under every umask: --mode=go=rX,u+rw,a-s",
  propose: (project) => tarFlags(project, ["--mode=go=rX,u+rw,a-s"]),
};
