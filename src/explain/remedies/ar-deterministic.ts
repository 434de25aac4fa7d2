import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { commandEdits, isMakefile } from "./shell-texts.ts";

export const arDeterministic: Remedy = {
  name: "ar-d",
  causes: ["mtime", "clock", "user", "umask"],
  intrusion: "flag",
  says: "ar stores neither times nor owners nor modes: ar with D, ranlib -D",
  propose: (project) => [
    ...commandEdits(project, ["ar", "$(AR)", "${AR}", "gcc-ar"], (command, text): TextEdit[] => {
      const word = command.words[command.at + 1];
      if (word === undefined || !/^-?[a-zA-Z]*[rq][a-zA-Z]*$/.test(word.text) || word.text.includes("D")) return [];
      return [text.replace(word.start, word.end, `${word.text.replace("U", "")}D`)];
    }),
    ...commandEdits(project, ["ranlib", "$(RANLIB)"], (command, text): TextEdit[] => {
      const [word, next] = command.words.slice(command.at);
      return word === undefined || next?.text === "-D" ? [] : [text.replace(word.end, word.end, " -D")];
    }),
    ...project.scripts.filter(isMakefile).flatMap((path) => {
      const text = project.files.get(path) ?? "";
      return [...text.matchAll(/^ARFLAGS\s*[:?]?=[ \t]*(-?[a-zA-Z]+)[ \t]*$/gm)].flatMap((match): TextEdit[] => {
        const [whole, flags = ""] = match;
        if (flags.includes("D")) return [];
        const offset = match.index + whole.indexOf(flags, whole.indexOf("="));
        return [{ kind: "text", path, offset, before: flags, after: `${flags.replace("U", "")}D` }];
      });
    }),
  ],
};
