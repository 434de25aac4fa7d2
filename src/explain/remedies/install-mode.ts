import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { commandEdits, withFlags } from "./shell-texts.ts";

export const installMode: Remedy = {
  name: "explicit-modes",
  causes: ["umask"],
  intrusion: "patch",
  says: "folders are made with explicit modes: mkdir -m 755",
  propose: (project) =>
    commandEdits(project, ["mkdir"], (command, text): TextEdit[] =>
      command.words.some((word) => /^(?:-[a-z]*m|--mode)/.test(word.text))
        ? []
        : withFlags(command, text, ["-m", "755"]),
    ),
};
