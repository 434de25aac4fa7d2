import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

export const sortedKeys: Remedy = {
  name: "sorted-keys",
  causes: ["hash-order", "readdir-order"],
  intrusion: "patch",
  says: "JSON is written with sorted keys: sort_keys=True",
  propose: (project) =>
    codeEdits(project, "python", /(?<![\w.])json\.dumps?\(/, ({ code, start, end, inside }) => {
      if (inside.includes("sort_keys") || inside.includes("**")) return undefined;
      const was = code.text.slice(start, end - 1).replace(/,?\s*$/, "");
      return `${was}, sort_keys=True)`;
    }),
};
