import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import { argumentsOf, commandEdits } from "./shell-texts.ts";
import type { ShellCommand } from "./shell.ts";

/** Letters of tar's old style that take the next words: `tar czf FILE`. */
const TAKES = /[fbCTXgKNVLFHI]/g;

/** Flags for every tar that makes an archive, those that it does not have yet. */
export function tarFlags(project: Project, flags: readonly string[]): TextEdit[] {
  return commandEdits(project, ["tar", "gtar", "bsdtar"], (command, text) => {
    if (!creates(command) || command.name === "bsdtar") return [];
    const has = argumentsOf(command);
    const wanted = flags.filter((flag) => !has.some((word) => nameOf(word) === nameOf(flag)));
    if (wanted.length === 0) return [];
    const first = has[0] ?? "";
    const old = !first.startsWith("-");
    // The old style's words come first; flags may follow them.
    const index = command.at + (old ? 1 + (first.match(TAKES)?.length ?? 0) : 0);
    const end = command.words[index]?.end ?? command.end;
    return [text.replace(end, end, ` ${wanted.join(" ")}`)];
  });
}

const nameOf = (flag: string): string => flag.split("=")[0] ?? flag;

function creates(command: ShellCommand): boolean {
  const [first = "", ...rest] = argumentsOf(command);
  if (/^[A-Za-z]*[cru][A-Za-z]*$/.test(first)) return true;
  return [first, ...rest].some((word) => /^-[A-Za-z]*[cru]/.test(word) || /^--(?:create|append|update)$/.test(word));
}
