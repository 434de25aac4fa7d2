import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";

/** The edit that puts a line before the recipe's command; none where it stands there. */
export function commandStart({ command }: Project, line: string): TextEdit[] {
  if (command.split("\n").some((one) => one.trim() === line)) return [];
  const blank = /^\s*/.exec(command)?.[0].length ?? 0;
  return [{ kind: "text", path: undefined, offset: blank, before: "", after: `${line}\n` }];
}
