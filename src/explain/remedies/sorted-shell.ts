import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { argumentsOf, commandEdits } from "./shell-texts.ts";

/** What find does itself, so that nothing is left to sort. */
const ACTIONS = /^-(?:exec|execdir|ok|okdir|delete|fprint|fls|quit|printf|fprintf)/;

export const sortedShell: Remedy = {
  name: "sorted-find",
  causes: ["readdir-order", "filesystem"],
  intrusion: "patch",
  says: "what find and ls list is sorted by bytes: find … | LC_ALL=C sort",
  propose: (project) => [
    ...commandEdits(project, ["find"], (command, text) => {
      const given = argumentsOf(command);
      if (command.redirected || given.some((word) => ACTIONS.test(word) && word !== "-printf")) return [];
      const next = text.commands.find(({ start, before }) => start > command.end && before === "|");
      if (command.after === "|" && next !== undefined && next.words.some((word) => word.text === "sort")) return [];
      if (!isRead(command.before, command.after)) return [];
      const zero = given.includes("-print0") || given.some((word) => word.includes("\\0")) ? " -z" : "";
      return [text.replace(command.end, command.end, ` | LC_ALL=C sort${zero}`)];
    }),
    ...commandEdits(project, ["ls"], (command, text): TextEdit[] =>
      command.words.slice(command.at + 1).flatMap(({ text: word, start, end }) => {
        if (!/^-[A-Za-z0-9]*[Uf]/.test(word)) return [];
        const kept = word.replace(/[Uf]/g, "");
        return [text.replace(start, end, kept === "-" ? "-1" : kept)];
      }),
    ),
  ],
};

/** Something reads what it lists: a pipe, or a substitution. */
const isRead = (before: string, after: string): boolean => after === "|" || before === "$(" || before === "(";
