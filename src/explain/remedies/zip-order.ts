import type { TextEdit } from "./edit.ts";
import type { Remedy } from "./remedy.ts";
import { spoken, zipCommands } from "./zip-arguments.ts";

export const zipOrder: Remedy = {
  name: "zip-order",
  causes: ["readdir-order", "filesystem"],
  intrusion: "flag",
  says: "zip gets its files in the order of their names: find … | LC_ALL=C sort | zip … -@",
  propose: (project) =>
    zipCommands(project).flatMap(({ command, text, flags, archive, inputs }): TextEdit[] => {
      const name = command.words[command.at];
      const recursive = flags.some((word) => /^-[A-Za-z0-9]*r/.test(word.text));
      const [from, to] = [inputs[0]?.start, inputs.at(-1)?.end];
      if (!recursive || name === undefined || from === undefined || to === undefined || command.before === "|")
        return [];
      if (from < archive.end || flags.some((flag) => flag.start > from)) return [];
      return [
        text.replace(name.start, name.start, `find ${spoken(text, inputs)} | LC_ALL=C sort | `),
        text.replace(from, to, "-@"),
      ];
    }),
};
