import { commandStart } from "./command-start.ts";
import type { Remedy } from "./remedy.ts";
import { commandEdits, shellTexts } from "./shell-texts.ts";

export const rustRemap: Remedy = {
  name: "rust-remap",
  causes: ["path"],
  intrusion: "recipe",
  says: "rustc leaves the build path out: --remap-path-prefix",
  propose(project) {
    const cargo = shellTexts(project).some(({ commands }) => commands.some(({ name }) => name === "cargo"));
    if (cargo || project.ecosystem === "cargo") {
      const line = 'export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=. --remap-path-prefix=$HOME=/home"';
      return commandStart(project, line);
    }
    return commandEdits(project, ["rustc"], (command, text) => {
      const end = command.words[command.at]?.end ?? command.end;
      const has = command.words.some((word) => word.text.startsWith("--remap-path-prefix"));
      return has ? [] : [text.replace(end, end, ' --remap-path-prefix="$PWD"=.')];
    });
  },
};
