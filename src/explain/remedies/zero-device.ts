import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { shellTexts } from "./shell-texts.ts";

export const zeroDevice: Remedy = {
  name: "zero-device",
  causes: ["random"],
  intrusion: "patch",
  says: "bytes are taken from /dev/zero instead of /dev/urandom",
  propose: (project) =>
    shellTexts(project).flatMap((text) =>
      [...text.text.matchAll(/\/dev\/u?random\b/g)]
        .filter(({ index }) => !text.text.slice(text.text.lastIndexOf("\n", index) + 1, index).includes("#"))
        .map((match): TextEdit => text.replace(match.index, match.index + match[0].length, "/dev/zero")),
    ),
};
