import { languageOf } from "./code.ts";
import type { Project } from "./project.ts";
import { isMakefile, shellTexts } from "./shell-texts.ts";

const ECOSYSTEMS: Readonly<Record<string, readonly string[]>> = {
  python: ["pip"],
  make: ["make", "debian"],
};

/** Whether a build runs a program of this kind, as far as its scripts show. */
export function runs(project: Project, program: "python" | "perl" | "make"): boolean {
  const { ecosystem, scripts, files } = project;
  if (ecosystem !== undefined && ECOSYSTEMS[program]?.includes(ecosystem) === true) return true;
  if (program === "make") {
    if (scripts.some(isMakefile)) return true;
  } else if (scripts.some((path) => languageOf(path, files.get(path) ?? "") === program)) return true;
  const named = new RegExp(`^${program}[0-9.]*$`);
  return shellTexts(project).some(({ commands }) => commands.some(({ name }) => named.test(name)));
}
