import { codeEdits } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import { SCRIPT_EPOCH } from "./epoch.ts";
import type { Project } from "./project.ts";
import type { Remedy } from "./remedy.ts";
import { commandEdits } from "./shell-texts.ts";

export const scriptTime: Remedy = {
  name: "javascript-time",
  causes: ["clock", "timezone"],
  intrusion: "patch",
  says: "JavaScript of the build takes the time from SOURCE_DATE_EPOCH where it is set",
  propose: (project) => [
    ...codeEdits(
      project,
      "javascript",
      /(?<![\w.])(?:Date\.now|new\s+Date)\s*\(/,
      ({ code, start, end, inside, match }) => {
        if (inside.trim() !== "" || lineOf(code.text, start, end).includes("SOURCE_DATE_EPOCH")) return undefined;
        return match[0].startsWith("new") ? `new Date(${SCRIPT_EPOCH})` : SCRIPT_EPOCH;
      },
    ),
    ...inCommands(project),
  ],
};

const lineOf = (text: string, start: number, end: number): string =>
  text.slice(text.lastIndexOf("\n", start) + 1, end + 200).split("\n")[0] ?? "";

/** `node -e "…"`: what is put in has neither quotes nor dollars, so that it can stand in either quotes. */
function inCommands(project: Project): TextEdit[] {
  return commandEdits(project, ["node", "nodejs"], (command, text) =>
    command.words.slice(command.at + 1).flatMap((word, index, words) => {
      if (
        !/^(?:-e|-p|-pe|--eval|--print)$/.test(words[index - 1]?.text ?? "") ||
        word.text.includes("SOURCE_DATE_EPOCH")
      )
        return [];
      return [...word.text.matchAll(/(?<![\w.])(Date\.now|new Date)\(\)/g)].map((match) =>
        text.replace(
          word.start + match.index,
          word.start + match.index + match[0].length,
          match[1] === "new Date" ? `new Date(${SCRIPT_EPOCH})` : SCRIPT_EPOCH,
        ),
      );
    }),
  );
}
