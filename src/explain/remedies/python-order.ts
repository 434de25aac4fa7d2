import { chainStart, codeEdits, codeFiles } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import type { Remedy } from "./remedy.ts";

export const pythonOrder: Remedy = {
  name: "python-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "Python sorts what it reads from folders: sorted(os.listdir(…)), sorted(glob(…)), dirs.sort() under os.walk",
  propose: (project) => [
    ...codeEdits(
      project,
      "python",
      /(?<![\w.])(?:os\.listdir|os\.scandir|listdir|scandir|glob\.i?glob|iglob|glob)\(/,
      ({ code, start, end, match }) => {
        if (isSorted(code.bare, start, end) || /\bdef\s+$/.test(code.bare.slice(0, start))) return undefined;
        const key = match[0].includes("scandir") ? ", key=lambda entry: entry.name" : "";
        return `sorted(${code.text.slice(start, end)}${key})`;
      },
    ),
    ...methods(project),
    ...walks(project),
  ],
};

function isSorted(bare: string, start: number, end: number): boolean {
  return (
    /\b(?:sorted|len|any|all|sum|max|min|set)\(\s*$/.test(bare.slice(0, start)) || /^\s*\.sort\(/.test(bare.slice(end))
  );
}

/** `path.iterdir()` and the like: the whole chain before it has to go into sorted(…). */
function methods(project: Project): TextEdit[] {
  return codeFiles(project, "python").flatMap(({ path, code }) =>
    [...code.bare.matchAll(/\.(?:iterdir|glob|rglob)\(/g)].flatMap((match): TextEdit[] => {
      const start = chainStart(code.bare, match.index);
      let depth = 0;
      let end = match.index + match[0].length - 1;
      for (; end < code.bare.length; end++) {
        if (code.bare[end] === "(") depth++;
        else if (code.bare[end] === ")" && --depth === 0) break;
      }
      const before = code.text.slice(start, end + 1);
      if (before.startsWith("glob.") || isSorted(code.bare, start, end + 1)) return [];
      return [{ kind: "text", path, offset: start, before, after: `sorted(${before})` }];
    }),
  );
}

/** Folders are gone into in the order of the list that os.walk gives, so that the list itself is sorted. */
function walks(project: Project): TextEdit[] {
  return codeFiles(project, "python").flatMap(({ path, code }) =>
    [...code.bare.matchAll(/^([ \t]*)for\s+\w+\s*,\s*(\w+)\s*,\s*(\w+)\s+in\s+os\.walk\([^\n]*:[ \t]*\n/gm)].flatMap(
      (match): TextEdit[] => {
        const [whole, , folders = "", files = ""] = match;
        const offset = match.index + whole.length;
        const indent = /^(?:[ \t]*\n)*([ \t]+)/.exec(code.text.slice(offset))?.[1];
        if (indent === undefined || /^\s*\w+\.sort\(/.test(code.text.slice(offset))) return [];
        const lines = [folders, files].filter((name) => name !== "_").map((name) => `${indent}${name}.sort()\n`);
        const lost = folders === "_" ? [] : lines;
        return lost.length === 0 ? [] : [{ kind: "text", path, offset, before: "", after: lost.join("") }];
      },
    ),
  );
}
