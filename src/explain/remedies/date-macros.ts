import { compilerCallFlags, makeVariableFlags } from "./compiler-flags.ts";
import { SHELL_EPOCH } from "./epoch.ts";
import type { Remedy } from "./remedy.ts";

const defined = (macro: string, format: string): string =>
  `-D${macro}="\\"$(LC_ALL=C date -u -d "@${SHELL_EPOCH}" "+${format}")\\""`;

export const dateMacros: Remedy = {
  name: "date-macros",
  causes: ["clock", "timezone"],
  intrusion: "flag",
  says: "__DATE__ and __TIME__ are those of the source: -Wno-builtin-macro-redefined -D__DATE__=… -D__TIME__=…",
  propose(project) {
    const used = [...project.files].some(
      ([path, text]) => /\.(?:c|h|cc|cpp|cxx|hpp|hh)$/.test(path) && /\b__(?:DATE|TIME)__\b/.test(text),
    );
    if (!used) return [];
    const flags = ["-Wno-builtin-macro-redefined", defined("__DATE__", "%b %e %Y"), defined("__TIME__", "%H:%M:%S")];
    const made = flags.map((flag) =>
      flag.replace(
        /"\\"\$\((.*)\)\\""$/,
        (_, command: string) => `'"$(shell ${command.replaceAll("${", "$${").replaceAll("$(date", "$$(date")})"'`,
      ),
    );
    const inMakefiles = makeVariableFlags(project, made);
    return inMakefiles.length > 0 ? inMakefiles : compilerCallFlags(project, flags);
  },
};
