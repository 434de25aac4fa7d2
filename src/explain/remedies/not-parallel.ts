import { posix } from "node:path";
import type { Remedy } from "./remedy.ts";
import { isMakefile } from "./shell-texts.ts";

export const notParallel: Remedy = {
  name: "not-parallel",
  causes: ["race", "load"],
  intrusion: "patch",
  says: "a Makefile whose targets lack dependencies runs them one by one: .NOTPARALLEL",
  propose: ({ scripts, files }) =>
    scripts
      .filter((path) => isMakefile(path) && !posix.basename(path).endsWith(".mk"))
      .flatMap((path) => {
        const text = files.get(path) ?? "";
        if (/^\.NOTPARALLEL\s*:/m.test(text)) return [];
        const after = `${text.endsWith("\n") || text === "" ? "" : "\n"}\n.NOTPARALLEL:\n`;
        return [{ kind: "text", path, offset: text.length, before: "", after } as const];
      }),
};
