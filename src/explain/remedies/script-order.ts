import { codeEdits } from "./code.ts";
import type { Remedy } from "./remedy.ts";

const BY_NAME = ".sort((a, b) => (a.name < b.name ? -1 : 1))";

export const scriptOrder: Remedy = {
  name: "javascript-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "JavaScript sorts what it reads from folders: ….sort()",
  propose: (project) =>
    codeEdits(
      project,
      "javascript",
      /(?<![\w.])(await\s+)?(?:[\w$]+\.)*(?:readdirSync|readdir|globSync)\(/,
      ({ code, start, end, inside, match }) => {
        const waits = match[1] !== undefined;
        const name = /(\w+)\($/.exec(match[0])?.[1] ?? "";
        if ((name === "readdir") !== waits || /^\s*\)?\s*\.(?:sort|toSorted)\(/.test(code.bare.slice(end)))
          return undefined;
        if (/=>|\bfunction\b/.test(inside)) return undefined;
        const was = code.text.slice(start, end);
        return `${waits ? `(${was})` : was}${inside.includes("withFileTypes") ? BY_NAME : ".sort()"}`;
      },
    ),
};
