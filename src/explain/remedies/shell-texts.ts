import { posix } from "node:path";
import type { TextEdit } from "./edit.ts";
import type { Project } from "./project.ts";
import { balanced, commandsIn, type ShellCommand } from "./shell.ts";

/** A piece of shell somewhere in a project. */
export interface ShellText {
  path: string | undefined;
  flavour: "shell" | "make";
  text: string;
  commands: ShellCommand[];
  /** Replaces what stands from `start` to `end` by shell as one would write it in a script of its own. */
  replace(start: number, end: number, after: string): TextEdit;
}

const known = new WeakMap<Project, ShellText[]>();

/** All shell of a project's build: the recipe's command, scripts, Makefiles, package.json's scripts, Dockerfiles. */
export function shellTexts(project: Project): ShellText[] {
  const before = known.get(project);
  if (before !== undefined) return before;
  const texts = [plain(undefined, project.command, 0)];
  for (const path of project.scripts) {
    const text = project.files.get(path) ?? "";
    const name = posix.basename(path);
    if (isMakefile(path)) texts.push(...makeTexts(path, text));
    else if (name === "package.json") texts.push(...packageScripts(path, text));
    else if (/^(?:Dockerfile|Containerfile)/.test(name)) texts.push(...dockerRuns(path, text));
    else if (/\.(?:sh|bash)$/.test(name) || /^#!\s*\S*(?:\/|env )(?:ba|da|k|z)?sh\b/.test(text))
      texts.push(plain(path, text, 0));
  }
  known.set(project, texts);
  return texts;
}

export const isMakefile = (path: string): boolean =>
  /(?:^|\/)(?:GNUmakefile|[Mm]akefile(?:\.(?:in|am))?|[^/]+\.mk|debian\/rules)$/.test(path);

function plain(
  path: string | undefined,
  text: string,
  from: number,
  flavour: ShellText["flavour"] = "shell",
): ShellText {
  return {
    path,
    flavour,
    text,
    commands: commandsIn(text, flavour),
    replace: (start, end, after) => ({
      kind: "text",
      path,
      offset: from + start,
      before: text.slice(start, end),
      after: flavour === "make" ? after.replaceAll("$", "$$$$") : after,
    }),
  };
}

/** Recipes, and what $(shell …) runs. */
function makeTexts(path: string, text: string): ShellText[] {
  const found: ShellText[] = [];
  for (const match of text.matchAll(/^\t[@+-]*((?:[^\n\\]|\\[^\n]|\\\n)*)/gm)) {
    const [whole, line = ""] = match;
    found.push(plain(path, line, match.index + whole.length - line.length, "make"));
  }
  for (const match of text.matchAll(/\$\(shell\s+/g)) {
    const from = match.index + match[0].length;
    const end = balanced(text, match.index + 1, "(", ")") - 1;
    const comment = /^[^\n]*/
      .exec(text.slice(text.lastIndexOf("\n", match.index) + 1))?.[0]
      .trimStart()
      .startsWith("#");
    if (comment !== true) found.push(plain(path, text.slice(from, end), from, "make"));
  }
  for (const match of text.matchAll(/^[A-Za-z_][\w.-]*\s*!=[ \t]*/gm)) {
    const from = match.index + match[0].length;
    found.push(plain(path, text.slice(from).split("\n", 1)[0] ?? "", from, "make"));
  }
  return found;
}

/** The values of `scripts`, read out of their JSON strings and written back into them. */
function packageScripts(path: string, text: string): ShellText[] {
  const start = /"scripts"\s*:\s*\{/.exec(text);
  if (start === null) return [];
  const found: ShellText[] = [];
  const member = /\s*"(?:[^"\\]|\\.)*"\s*:\s*"((?:[^"\\]|\\.)*)"\s*(,|\})/y;
  member.lastIndex = start.index + start[0].length;
  for (let match = member.exec(text); match !== null; match = member.exec(text)) {
    const raw = match[1] ?? "";
    const from = match.index + match[0].lastIndexOf(`"${raw}"`) + 1;
    found.push(inJson(path, raw, from));
    if (match[2] === "}") break;
  }
  return found;
}

function inJson(path: string, raw: string, from: number): ShellText {
  const pieces = [...raw.matchAll(/\\u[0-9a-fA-F]{4}|\\.|[^\\]/g)];
  const text = pieces.map(([piece]) => (piece.startsWith("\\") ? String(JSON.parse(`"${piece}"`)) : piece)).join("");
  const at = (index: number): number => pieces[index]?.index ?? raw.length;
  return {
    path,
    flavour: "shell",
    text,
    commands: commandsIn(text),
    replace: (start, end, after) => ({
      kind: "text",
      path,
      offset: from + at(start),
      before: raw.slice(at(start), at(end)),
      after: JSON.stringify(after).slice(1, -1),
    }),
  };
}

function dockerRuns(path: string, text: string): ShellText[] {
  const runs = text.matchAll(/^[ \t]*RUN[ \t]+(?!\[)((?:[^\n\\]|\\[^\n]|\\\n)*)/gim);
  return [...runs].map((match) => {
    const line = match[1] ?? "";
    return plain(path, line, match.index + match[0].length - line.length);
  });
}

/** Edits of each command of one of these names, as `change` gives them. */
export function commandEdits(
  project: Project,
  names: readonly string[],
  change: (command: ShellCommand, text: ShellText) => TextEdit[],
): TextEdit[] {
  return shellTexts(project).flatMap((text) =>
    text.commands.filter(({ name }) => names.includes(name)).flatMap((command) => change(command, text)),
  );
}

/** Words after a command's name. */
export const argumentsOf = (command: ShellCommand): string[] =>
  command.words.slice(command.at + 1).map(({ text }) => text);

/** Puts flags behind a command's name, those that it does not have yet. */
export function withFlags(command: ShellCommand, text: ShellText, flags: readonly string[], at = 0): TextEdit[] {
  const has = argumentsOf(command);
  const wanted = flags.filter((flag) => !has.some((one) => one === flag || one.startsWith(`${flag.split("=")[0]}=`)));
  const end = command.words[command.at + at]?.end ?? command.end;
  return wanted.length === 0 ? [] : [text.replace(end, end, ` ${wanted.join(" ")}`)];
}
