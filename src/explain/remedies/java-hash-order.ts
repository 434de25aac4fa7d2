import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

export const javaHashOrder: Remedy = {
  name: "java-hash-order",
  causes: ["hash-order"],
  intrusion: "patch",
  says: "Java keeps maps and sets in the order in which they were filled: LinkedHashMap, LinkedHashSet, also for Set.of(…)",
  propose: (project) => [
    // Each extends what it stands in for.
    ...codeEdits(
      project,
      "java",
      /(?<=\bnew\s+)(?:java\.util\.)?Hash(Map|Set)(?=\s*[<(])/,
      ({ match }) => `java.util.LinkedHash${match[1] ?? ""}`,
    ),
    ...codeEdits(project, "java", /(?<![\w.])(?:java\.util\.)?Set\.(of|copyOf)\(/, ({ inside, match }) => {
      if (inside.trim() === "") return undefined;
      return `new java.util.LinkedHashSet<>(${match[1] === "of" ? `java.util.List.of(${inside})` : inside})`;
    }),
  ],
};
