import { compilerCallFlags, compiles } from "./compiler-flags.ts";
import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";

export const noBuildId: Remedy = {
  name: "no-build-id",
  causes: ["path", "unknown"],
  intrusion: "last-resort",
  says: "the linker writes no build-id: -Wl,--build-id=none",
  propose(project) {
    if (!compiles(project)) return [];
    const flags = compilerCallFlags(project, ["-Wl,--build-id=none"]);
    return flags.length > 0 ? flags : commandStart(project, 'export LDFLAGS="${LDFLAGS:-} -Wl,--build-id=none"');
  },
};
