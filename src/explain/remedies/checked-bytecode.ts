import { codeEdits } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import type { Remedy } from "./remedy.ts";
import { argumentsOf, shellTexts } from "./shell-texts.ts";

export const checkedBytecode: Remedy = {
  name: "checked-bytecode",
  causes: ["mtime", "clock"],
  intrusion: "flag",
  says: "Python's bytecode holds a hash of its source, not its time: --invalidation-mode checked-hash",
  propose: (project) => [
    ...compileall(project),
    ...codeEdits(project, "python", /(?<![\w.])py_compile\.compile\(/, ({ code, start, end, inside }) =>
      inside.includes("invalidation_mode")
        ? undefined
        : `${code.text.slice(start, end - 1)}, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)`,
    ),
  ],
};

function compileall(project: Project): TextEdit[] {
  return shellTexts(project).flatMap((text) =>
    text.commands.flatMap((command): TextEdit[] => {
      const given = argumentsOf(command);
      const module = given.indexOf("compileall");
      if (!command.name.startsWith("python") || module < 1 || given[module - 1] !== "-m") return [];
      if (given.includes("--invalidation-mode")) return [];
      const end = command.words[command.at + 1 + module]?.end ?? command.end;
      return [text.replace(end, end, " --invalidation-mode checked-hash")];
    }),
  );
}
