import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

export const sortedSet: Remedy = {
  name: "sorted-set",
  causes: ["hash-order"],
  intrusion: "patch",
  says: "Python goes through sets in order: for x in sorted(set(…))",
  propose: (project) =>
    codeEdits(project, "python", /(?<=\bin\s|\bjoin\(|\blist\(|\btuple\()(?:set|frozenset)\(/, ({ code, start, end }) =>
      /\bsorted\(\s*$/.test(code.bare.slice(0, start)) ? undefined : `sorted(${code.text.slice(start, end)})`,
    ),
};
