import type { Remedy } from "./remedy.ts";
import { SHELL_EPOCH } from "./epoch.ts";
import { argumentsOf, commandEdits } from "./shell-texts.ts";

/** Options that ask for another time than now, or set it. */
const OTHER_TIME = /^(?:-d|--date|-r|--reference|-f|--file|-s|--set|-j|-v)/;

export const dateCommand: Remedy = {
  name: "date-command",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "the date command tells the time of the source, in UTC: date -u -d @$SOURCE_DATE_EPOCH",
  propose: (project) =>
    commandEdits(project, ["date"], (command, text) => {
      const given = argumentsOf(command);
      if (given.some((word) => OTHER_TIME.test(word.replace(/^["']/, "")))) return [];
      if (given.includes("+%s") && text.text.includes(SHELL_EPOCH)) return [];
      const utc = given.some((word) => /^(?:-u|--utc|--universal)$/.test(word) || /^-[RI]*u/.test(word)) ? "" : " -u";
      const end = command.words[command.at]?.end ?? command.end;
      return [text.replace(end, end, `${utc} -d "@${SHELL_EPOCH}"`)];
    }),
};
