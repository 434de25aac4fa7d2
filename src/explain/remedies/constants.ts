import { codeEdits, type Found, type Language } from "./code.ts";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import { argumentsOf, shellTexts, type ShellText } from "./shell-texts.ts";
import type { ShellCommand } from "./shell.ts";

/** What asks the surroundings for something, and the constant that stands there instead. */
export interface Constants {
  /** A command whose output it is: its name, then its words; what it becomes. */
  commands?: readonly (readonly [command: RegExp, becomes: string])[];
  /** A variable of the shell's in a word. */
  variables?: readonly (readonly [name: string, becomes: string])[];
  code?: Partial<
    Record<Language, readonly (readonly [pattern: RegExp, becomes: string | ((found: Found) => string | undefined)])[]>
  >;
}

/** The edits that put constants where a project's scripts ask for something of the machine's. */
export function constantEdits(project: Project, constants: Constants): TextEdit[] {
  const inCode = Object.entries(constants.code ?? {}).flatMap(([language, rules]) =>
    (rules ?? []).flatMap(([pattern, becomes]) =>
      codeEdits(project, language as Language, pattern, (found) =>
        typeof becomes === "string" ? becomes.replaceAll('"', found.quote) : becomes(found),
      ),
    ),
  );
  const inShell = shellTexts(project).flatMap((text) => [
    ...text.commands.flatMap((command) => commandConstants(command, text, constants)),
    ...variableConstants(text, constants),
  ]);
  return distinct([...inShell, ...inCode]);
}

function commandConstants(command: ShellCommand, text: ShellText, { commands = [] }: Constants): TextEdit[] {
  const said = [command.name, ...argumentsOf(command)].join(" ");
  const [, becomes] = commands.find(([pattern]) => pattern.test(said)) ?? [];
  const first = command.words[command.at];
  return becomes === undefined || first === undefined ? [] : [text.replace(first.start, command.end, becomes)];
}

/** `$NAME` and `${NAME}` outside single quotes, in what commands are given; never where they are set. */
function variableConstants(text: ShellText, { variables = [] }: Constants): TextEdit[] {
  const dollar = text.flavour === "make" ? "\\$\\$" : "\\$";
  return variables.flatMap(([name, becomes]) =>
    text.commands.flatMap((command) =>
      command.words.slice(command.at + 1).flatMap((word) => {
        if (word.text.startsWith("'")) return [];
        const pattern = new RegExp(`(?<!\\\\)${dollar}(?:${name}\\b|\\{${name}\\})`, "g");
        return [...word.text.matchAll(pattern)].map((match) =>
          text.replace(word.start + match.index, word.start + match.index + match[0].length, becomes),
        );
      }),
    ),
  );
}

/** Of edits that meet, the first one: a word in a substitution is one of the outer command's, too. */
export function distinct(edits: readonly TextEdit[]): TextEdit[] {
  const kept: TextEdit[] = [];
  for (const edit of edits) {
    const meets = kept.some(
      (other) =>
        other.path === edit.path &&
        edit.offset < other.offset + Math.max(other.before.length, 1) &&
        other.offset < edit.offset + Math.max(edit.before.length, 1),
    );
    if (!meets) kept.push(edit);
  }
  return kept;
}
