import { constantEdits } from "./constants.ts";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import type { Remedy } from "./remedy.ts";
import { shellTexts } from "./shell-texts.ts";

export const constantPid: Remedy = {
  name: "constant-pid",
  causes: ["pid"],
  intrusion: "patch",
  says: "numbers of processes are left out: 0 stands there instead",
  propose: (project) => [
    ...constantEdits(project, {
      variables: [
        ["BASHPID", "0"],
        ["PPID", "0"],
      ],
      code: {
        python: [[/(?<![\w.])os\.getp?pid\(/, "0"]],
        javascript: [[/(?<![\w.])process\.p?pid\b/, "0"]],
        perl: [[/(?<!\$)\$\$(?![\w{$])/, "0"]],
        go: [[/(?<![\w.])os\.Getp?pid\(/, "0"]],
        rust: [[/(?<![\w.])(?:std::)?process::id\(/, "0u32"]],
        java: [[/(?<![\w.])ProcessHandle\.current\(\)\.pid\(/, "0L"]],
      },
    }),
    ...ownNumber(project),
  ],
};

/** `$$`, which make writes `$$$$`. */
function ownNumber(project: Project): TextEdit[] {
  return shellTexts(project).flatMap((text) => {
    const pattern = text.flavour === "make" ? /\$\$\$\$(?!\w)/g : /(?<![\\$])\$\$(?![\w$])/g;
    return text.commands.flatMap(({ words, at }) =>
      words
        .slice(at === words.length ? 0 : at + 1)
        .flatMap((word) =>
          word.text.startsWith("'")
            ? []
            : [...word.text.matchAll(pattern)].map((match) =>
                text.replace(word.start + match.index, word.start + match.index + match[0].length, "0"),
              ),
        ),
    );
  });
}
