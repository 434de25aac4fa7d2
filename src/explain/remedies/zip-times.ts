import type { TextEdit } from "./edit.ts";
import { SHELL_EPOCH } from "./epoch.ts";
import type { Remedy } from "./remedy.ts";
import { spoken, zipCommands } from "./zip-arguments.ts";

export const zipTimes: Remedy = {
  name: "zip-times",
  causes: ["mtime", "clock", "timezone", "user", "archive-metadata"],
  intrusion: "flag",
  says: "zip gets files with the time of the source, in UTC, and stores nothing besides: touch -d @$SOURCE_DATE_EPOCH, TZ=UTC zip -X",
  propose: (project) =>
    zipCommands(project).flatMap(({ command, text, flags, inputs }): TextEdit[] => {
      const word = command.words[command.at];
      if (word === undefined || text.flavour === "make" || inputs.length === 0) return [];
      if (command.words.slice(0, command.at).some((one) => one.text.startsWith("TZ="))) return [];
      const touched = `find ${spoken(text, inputs)} -exec touch -h -d "@${SHELL_EPOCH}" {} +`;
      const begin = text.replace(command.start, command.start, `${touched} && TZ=UTC `);
      return flags.some(({ text: flag }) => /^-[A-Za-z0-9]*X/.test(flag))
        ? [begin]
        : [begin, text.replace(word.end, word.end, " -X")];
    }),
};
