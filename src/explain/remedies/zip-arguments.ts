import { argumentsOf, shellTexts, type ShellText } from "./shell-texts.ts";
import type { Project } from "./project.ts";
import type { ShellCommand, Word } from "./shell.ts";

/** A zip command that makes an archive, in its parts. */
export interface Zip {
  command: ShellCommand;
  text: ShellText;
  flags: Word[];
  archive: Word;
  inputs: Word[];
}

/** Options that take the next word. */
const TAKES = /^-(?:x|i|b|t|tt|n|sf|s|ws|P|O|UN)$/;

export function zipCommands(project: Project): Zip[] {
  return shellTexts(project).flatMap((text) =>
    text.commands.flatMap((command): Zip[] => {
      if (command.name !== "zip" || argumentsOf(command).some((word) => TAKES.test(word))) return [];
      const words = command.words.slice(command.at + 1);
      const flags = words.filter((word) => word.text.startsWith("-") && word.text !== "-");
      const [archive, ...inputs] = words.filter((word) => !flags.includes(word));
      return archive === undefined ? [] : [{ command, text, flags, archive, inputs }];
    }),
  );
}

/** How the shell would write these words again. */
export const spoken = ({ text }: ShellText, words: readonly Word[]): string =>
  words.map(({ start, end }) => text.slice(start, end)).join(" ");
