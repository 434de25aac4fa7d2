import type { Remedy } from "./remedy.ts";
import { commandEdits } from "./shell-texts.ts";

export const byteSort: Remedy = {
  name: "byte-sort",
  causes: ["locale"],
  intrusion: "patch",
  says: "sort, ls and date work alike in every locale: LC_ALL=C sort",
  propose: (project) =>
    commandEdits(project, ["sort", "ls", "comm", "join", "uniq", "numfmt", "date"], (command, text) => {
      const word = command.words[command.at];
      if (word === undefined || command.words.slice(0, command.at).some((one) => one.text.startsWith("LC_ALL=")))
        return [];
      return [text.replace(word.start, word.start, "LC_ALL=C ")];
    }),
};
