import { SHELL_EPOCH } from "./epoch.ts";
import type { Remedy } from "./remedy.ts";
import { argumentsOf, commandEdits } from "./shell-texts.ts";

const DATE = `--date="$(date -u -d "@${SHELL_EPOCH}" +%Y-%m-%dT%H:%M:%SZ)"`;

export const jarDate: Remedy = {
  name: "jar-date",
  causes: ["mtime", "clock", "timezone"],
  intrusion: "flag",
  says: "jar gives its entries the time of the source: jar --date (JDK 17 and later)",
  propose: (project) =>
    commandEdits(project, ["jar"], (command, text) => {
      const [first = "", ...rest] = argumentsOf(command);
      if (!/^-?[a-zA-Z]*[cu]/.test(first) && first !== "--create" && first !== "--update") return [];
      if (rest.some((word) => word.startsWith("--date"))) return [];
      // The short style's words come first: `jar cfe FILE MAIN`.
      const taken = first.startsWith("--") ? 0 : (first.match(/[fme]/g)?.length ?? 0);
      const end = command.words[command.at + 1 + taken]?.end ?? command.end;
      return [text.replace(end, end, ` ${DATE}`)];
    }),
};
