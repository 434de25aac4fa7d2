import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { isMakefile } from "./shell-texts.ts";
import { balanced } from "./shell.ts";

export const sortedWildcard: Remedy = {
  name: "sorted-wildcard",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "make sorts what it finds in folders: $(sort $(wildcard …))",
  propose: ({ scripts, files }) =>
    scripts.filter(isMakefile).flatMap((path) => {
      const text = files.get(path) ?? "";
      return [...text.matchAll(/\$\(wildcard\s/g)].flatMap((match): TextEdit[] => {
        const end = balanced(text, match.index + 1, "(", ")");
        const line = text.slice(text.lastIndexOf("\n", match.index) + 1, match.index);
        if (/\$\(sort\s[^)]*$/.test(line) || line.includes("#")) return [];
        const before = text.slice(match.index, end);
        return [{ kind: "text", path, offset: match.index, before, after: `$(sort ${before})` }];
      });
    }),
};
