import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import { argumentsOf, isMakefile, shellTexts } from "./shell-texts.ts";

const COMPILER =
  /^(?:(?:[\w]+-)*(?:cc|gcc|g\+\+|c\+\+|clang|clang\+\+)(?:-[0-9.]+)?|\$[({](?:CC|CXX)[)}]|\$(?:CC|CXX))$/;

/** Whether a build compiles C or C++. */
export function compiles(project: Project): boolean {
  return (
    compilerCalls(project).length > 0 || [...project.files.keys()].some((path) => /\.(?:c|cc|cpp|cxx|S)$/.test(path))
  );
}

/** Flags for the compiler behind its name, wherever a script calls it itself; `flags` as in a script. */
export function compilerCallFlags(project: Project, flags: readonly string[]): TextEdit[] {
  return compilerCalls(project).flatMap(({ text, command }): TextEdit[] => {
    const has = argumentsOf(command);
    const wanted = flags.filter((flag) => !has.some((word) => nameOf(word) === nameOf(flag)));
    const end = command.words[command.at]?.end ?? command.end;
    return wanted.length === 0 ? [] : [text.replace(end, end, ` ${wanted.join(" ")}`)];
  });
}

const nameOf = (flag: string): string => /^-f[a-z-]+-map|^-D\w+|^-f[a-z-]+/.exec(flag)?.[0] ?? flag;

function compilerCalls(project: Project): {
  text: ReturnType<typeof shellTexts>[number];
  command: ReturnType<typeof shellTexts>[number]["commands"][number];
}[] {
  return shellTexts(project).flatMap((text) =>
    text.commands.filter(({ name }) => COMPILER.test(name)).map((command) => ({ text, command })),
  );
}

/**
 * Flags at the end of CFLAGS and CXXFLAGS where a Makefile sets them; `flags` as
 * make writes them. Without such a line there is nothing to change.
 */
export function makeVariableFlags({ scripts, files }: Project, flags: readonly string[]): TextEdit[] {
  return scripts.filter(isMakefile).flatMap((path) => {
    const text = files.get(path) ?? "";
    return [
      ...text.matchAll(/^(?:override\s+)?(?:CFLAGS|CXXFLAGS)[ \t]*(?:[:?+]?=)(?:[^\n\\#]|\\[^\n]|\\\n)*/gm),
    ].flatMap((match): TextEdit[] => {
      const line = match[0].trimEnd();
      const wanted = flags.filter((flag) => !line.includes(nameOf(flag)));
      const offset = match.index + line.length;
      return wanted.length === 0 ? [] : [{ kind: "text", path, offset, before: "", after: ` ${wanted.join(" ")}` }];
    });
  });
}
