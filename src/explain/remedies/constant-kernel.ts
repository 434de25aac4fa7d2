import { constantEdits } from "./constants.ts";
import type { Remedy } from "./remedy.ts";

export const constantKernel: Remedy = {
  name: "constant-kernel",
  causes: ["kernel"],
  intrusion: "patch",
  says: "the kernel's version is left out: its name stands there instead",
  propose: (project) =>
    constantEdits(project, {
      commands: [[/^uname (?:-[a-z]*[rva][a-z]*|--kernel-release|--kernel-version|--all)$/, "uname -s"]],
      code: {
        python: [
          [/(?<![\w.])platform\.(?:release|version|platform)\(/, "platform.system()"],
          [/(?<![\w.])os\.uname\(\)(?:\.(?:release|version)|\[[23]\])/, '"Linux"'],
        ],
        javascript: [[/(?<![\w.])os\.(?:release|version)\(/, '"Linux"']],
      },
    }),
};
