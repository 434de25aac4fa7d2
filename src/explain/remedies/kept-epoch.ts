import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { commandEdits, shellTexts } from "./shell-texts.ts";

export const keptEpoch: Remedy = {
  name: "kept-epoch",
  causes: ["clock", "timezone", "mtime"],
  intrusion: "flag",
  says: "what clears the environment hands SOURCE_DATE_EPOCH on: env -i SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH",
  propose: (project) => [
    ...commandEdits(project, ["env"], (command, text): TextEdit[] => {
      const given = command.words.slice(command.at + 1);
      const clears = given.find((word) => /^(?:-|-i|--ignore-environment)$/.test(word.text));
      if (clears === undefined || given.some((word) => word.text.startsWith("SOURCE_DATE_EPOCH="))) return [];
      return [text.replace(clears.end, clears.end, ' SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"')];
    }),
    ...unset(project),
  ],
};

/** `unset SOURCE_DATE_EPOCH`, alone on its line or between others. */
function unset(project: Parameters<typeof shellTexts>[0]): TextEdit[] {
  return commandEdits(project, ["unset"], (command, text): TextEdit[] => {
    const rest = command.words.slice(command.at + 1);
    const lost = rest.find((word) => word.text === "SOURCE_DATE_EPOCH");
    if (lost === undefined) return [];
    return [
      rest.length === 1 ? text.replace(command.start, command.end, ":") : text.replace(lost.start - 1, lost.end, ""),
    ];
  });
}
