import type { Edit } from "./edit.ts";
import type { Project } from "./project.ts";

/** The edit that sets a variable of the recipe's environment; none where it is so already. */
export function setVariable({ env }: Project, name: string, after: string): Edit[] {
  const before = env[name];
  return before === after ? [] : [{ kind: "environment", name, before, after }];
}

/** The edit that adds words to a variable, those that it does not hold yet. */
export function addToVariable(project: Project, name: string, words: readonly string[]): Edit[] {
  const has = (project.env[name] ?? "").split(" ").filter((word) => word !== "");
  const wanted = words.filter((word) => !has.includes(word));
  return wanted.length === 0 ? [] : setVariable(project, name, [...has, ...wanted].join(" "));
}
