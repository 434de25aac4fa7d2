import type { Remedy } from "./remedy.ts";
import { commandEdits } from "./shell-texts.ts";

export const serialSteps: Remedy = {
  name: "serial-steps",
  causes: ["race", "cpu-count", "load"],
  intrusion: "flag",
  says: "steps whose order shows in the output run one after the other: make -j1, xargs -P1",
  propose: (project) => [
    ...commandEdits(project, ["make", "gmake", "$(MAKE)", "ninja"], (command, text) =>
      jobs(command.words.slice(command.at + 1), /^(?:-j|--jobs=)/, "-j").map(({ start, end }) =>
        text.replace(start, end, "-j1"),
      ),
    ),
    ...commandEdits(project, ["xargs", "parallel"], (command, text) =>
      jobs(command.words.slice(command.at + 1), /^(?:-P|-j|--max-procs=)/, command.name === "xargs" ? "-P" : "-j").map(
        ({ start, end }) => text.replace(start, end, command.name === "xargs" ? "-P1" : "-j1"),
      ),
    ),
  ],
};

/** The words of the option that says how many at once; [] where it says one, or nothing. */
function jobs(
  words: readonly { start: number; end: number; text: string }[],
  option: RegExp,
  bare: string,
): { start: number; end: number }[] {
  const at = words.findIndex(({ text }) => option.test(text));
  const word = words[at];
  if (word === undefined) return [];
  const next = words[at + 1];
  const takes = word.text === bare && next !== undefined && /^(?:[0-9]+|["$`].*)$/.test(next.text);
  const value = takes ? next.text : word.text.replace(option, "");
  return value === "1" ? [] : [{ start: word.start, end: takes ? next.end : word.end }];
}
