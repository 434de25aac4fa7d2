import { chainStart, codeFiles } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { balanced } from "./shell.ts";

export const javaOrder: Remedy = {
  name: "java-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "Java sorts what it reads from folders: Files.list(…).sorted(), Arrays.stream(….listFiles()).sorted()",
  propose: (project) =>
    codeFiles(project, "java").flatMap(({ path, code }) =>
      [...code.bare.matchAll(/\b(?:Files\.(?:list|walk|find)|\.listFiles|(?<=\.)listFiles)\(/g)].flatMap(
        (match): TextEdit[] => {
          const end = balanced(code.bare, match.index + match[0].length - 1, "(", ")");
          if (match[0].startsWith("Files")) {
            if (/^\s*\.sorted\(/.test(code.bare.slice(end))) return [];
            return [{ kind: "text", path, offset: end, before: "", after: ".sorted()" }];
          }
          const start = chainStart(code.bare, match.index);
          if (/stream\(\s*$/.test(code.bare.slice(0, start))) return [];
          const before = code.text.slice(start, end);
          const after = `java.util.Arrays.stream(${before}).sorted().toArray(java.io.File[]::new)`;
          return [{ kind: "text", path, offset: start, before, after }];
        },
      ),
    ),
};
