import type { Remedy } from "./remedy.ts";
import { tarFlags } from "./tar-flags.ts";

export const tarOrder: Remedy = {
  name: "tar-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "flag",
  says: "tar packs in the order of names: --sort=name",
  propose: (project) => tarFlags(project, ["--sort=name"]),
};
