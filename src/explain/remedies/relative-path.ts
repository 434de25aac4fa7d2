import { constantEdits } from "./constants.ts";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import type { Remedy } from "./remedy.ts";
import { shellTexts } from "./shell-texts.ts";

/** Commands that write what they are given. */
const WRITES = new Set(["echo", "printf"]);

export const relativePath: Remedy = {
  name: "relative-path",
  causes: ["path"],
  intrusion: "patch",
  says: "paths are written relative to the source: . stands where the build path stood",
  propose: (project) => [
    ...written(project),
    ...constantEdits(project, {
      commands: [[/^pwd(?: -[LP])?$/, "echo ."]],
      code: {
        python: [
          [/(?<![\w.])os\.getcwd\(/, '"."'],
          [
            /(?<![\w.])os\.path\.(?:abspath|realpath)\(/,
            ({ inside }) => (/^[\w.]+$/.test(inside) ? `os.path.relpath(${inside})` : undefined),
          ],
          [/(?<![\w.])(?:pathlib\.)?Path\.cwd\(\)/, 'Path(".")'],
        ],
        javascript: [[/(?<![\w.])process\.cwd\(/, '"."']],
        perl: [[/(?<![\w$@%&>:-])(?:Cwd::)?(?:getcwd|cwd)(?:\(\)|(?=\s*[;,.]))/, '"."']],
      },
    }),
  ],
};

/** `$PWD`, `$(CURDIR)` and the like in what is echoed. */
function written(project: Project): TextEdit[] {
  return shellTexts(project).flatMap((text) => {
    const shell = text.flavour === "make" ? "\\$\\$" : "\\$";
    const make = text.flavour === "make" ? "|\\$\\((?:CURDIR|PWD|abspath \\.)\\)" : "";
    const pattern = new RegExp(`${shell}(?:PWD\\b|\\{PWD\\})${make}`, "g");
    return text.commands
      .filter(({ name }) => WRITES.has(name))
      .flatMap(({ words, at }) =>
        words
          .slice(at + 1)
          .flatMap((word) =>
            word.text.startsWith("'") && text.flavour !== "make"
              ? []
              : [...word.text.matchAll(pattern)].map((match) =>
                  text.replace(word.start + match.index, word.start + match.index + match[0].length, "."),
                ),
          ),
      );
  });
}
