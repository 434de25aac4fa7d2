import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { argumentsOf, commandEdits } from "./shell-texts.ts";

export const goBuildFlags: Remedy = {
  name: "go-build-flags",
  causes: ["path", "vcs"],
  intrusion: "flag",
  says: "go build leaves build path and state of the repository out: -trimpath -buildvcs=false",
  propose: (project) =>
    commandEdits(project, ["go"], (command, text): TextEdit[] => {
      const given = argumentsOf(command);
      const verb = command.words[command.at + 1];
      if (verb === undefined || (verb.text !== "build" && verb.text !== "install")) return [];
      const wanted = ["-trimpath", "-buildvcs=false"].filter((flag) => !given.includes(flag));
      return wanted.length === 0 ? [] : [text.replace(verb.end, verb.end, ` ${wanted.join(" ")}`)];
    }),
};
