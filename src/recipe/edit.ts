import { isDeepStrictEqual } from "node:util";
import { BitforbitError } from "../errors.ts";
import { tomlKey, tomlString, tomlText } from "../format/toml.ts";
import { byteOrder } from "../order.ts";
import { parseRecipe, type Recipe, RECIPE_FILE } from "./recipe.ts";

/** What of a recipe is to be otherwise. */
export interface RecipeChange {
  command: string;
  env: Readonly<Record<string, string>>;
  /** Absent: as they are. */
  patches?: readonly string[];
}

/**
 * The text of a recipe with another command and further variables, in its own
 * style: comments, order and everything else stay as they are. Throws `input`
 * where it is written in a way that cannot be changed so.
 */
export function editRecipe(text: string, change: RecipeChange): string {
  const before = parseRecipe(text, RECIPE_FILE);
  let edited = text;
  if (change.command !== before.command) edited = withCommand(edited, change.command);
  const { patches = before.patches } = change;
  if (!isDeepStrictEqual(patches, before.patches)) edited = withPatches(edited, patches);
  for (const name of Object.keys(change.env).sort(byteOrder)) {
    const value = change.env[name] ?? "";
    if (before.env[name] !== value) edited = withVariable(edited, name, value, name in before.env);
  }
  const wanted: Recipe = {
    ...before,
    command: change.command,
    patches: [...patches],
    env: { ...before.env, ...change.env },
  };
  if (isDeepStrictEqual(said(edited), wanted)) return edited;
  throw new BitforbitError("input", `${RECIPE_FILE} is written in a way in which it cannot be changed`, {
    hint: `write command as a string of its own and variables under [env]; wanted: command = ${tomlText(change.command)}`,
  });
}

function said(text: string): Recipe | undefined {
  try {
    return parseRecipe(text, RECIPE_FILE);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** Lines of a document that are no part of a string of several lines: where keys and tables can stand. */
function* plainLines(text: string): Generator<{ line: string; at: number }> {
  let at = 0;
  let fence: string | undefined;
  for (const line of text.split("\n")) {
    const start = at;
    at += line.length + 1;
    if (fence !== undefined) {
      if (line.includes(fence)) fence = undefined;
      continue;
    }
    yield { line, at: start };
    const opened = /=\s*('''|""")/.exec(line);
    const rest = opened === null ? "" : line.slice(opened.index + opened[0].length);
    if (opened?.[1] !== undefined && !rest.includes(opened[1])) fence = opened[1];
  }
}

function withCommand(text: string, command: string): string {
  for (const { line, at } of plainLines(text)) {
    if (/^\s*\[/.test(line)) break;
    const key = /^\s*command\s*=\s*/.exec(line);
    if (key === null) continue;
    const start = at + key[0].length;
    const end = stringEnd(text, start);
    return text.slice(0, start) + inStyleOf(text.slice(start, end), command) + text.slice(end);
  }
  return text;
}

/** In the place of the list that is there, otherwise before the first table: behind that it would be a key of the table's. */
function withPatches(text: string, patches: readonly string[]): string {
  const list = `patches = [${patches.map(tomlString).join(", ")}]`;
  let end = text.length;
  for (const { line, at } of plainLines(text)) {
    if (/^\s*\[/.test(line)) {
      end = at;
      break;
    }
    if (!/^\s*patches\s*=/.test(line)) continue;
    const there = /^\s*patches\s*=\s*\[[^\]]*\]/.exec(text.slice(at));
    return there === null ? text : text.slice(0, at) + list + text.slice(at + there[0].length);
  }
  const before = text.slice(0, end).replace(/\n+$/, "");
  const after = end === text.length ? "" : `\n${text.slice(end)}`;
  return `${before}\n${list}\n${after}`;
}

/** Past the TOML string at `start`. */
function stringEnd(text: string, start: number): number {
  const patterns = [/'''[^]*?'''+/y, /"""(?:[^"\\]|\\[^]|"(?!""))*"""+/y, /'[^'\n]*'/y, /"(?:[^"\\\n]|\\.)*"/y];
  for (const pattern of patterns) {
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    if (match !== null) return start + match[0].length;
  }
  return start;
}

function inStyleOf(written: string, command: string): string {
  if (written.startsWith('"') && !written.startsWith('"""'))
    return command.includes("\n") ? tomlText(command) : tomlString(command);
  const literal = !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(command);
  if (written.startsWith("'''") && literal && !command.includes("'''") && !command.endsWith("'")) {
    const broken = /^'''\r?\n/.exec(written)?.[0] ?? (command.startsWith("\n") ? "'''\n" : "'''");
    return `${broken}${command}'''`;
  }
  if (written.startsWith("'") && literal && !/['\n]/.test(command)) return `'${command}'`;
  return literal && !command.includes("'''") && !command.endsWith("'") ? `'''\n${command}'''` : tomlText(command);
}

function withVariable(text: string, name: string, value: string, known: boolean): string {
  const setting = `${tomlKey(name)} = ${tomlString(value)}`;
  let inEnv = false;
  let last: number | undefined;
  for (const { line, at } of plainLines(text)) {
    const table = /^\s*\[([^\]]*)\]/.exec(line)?.[1]?.trim();
    if (table !== undefined) inEnv = table === "env";
    else if (inEnv && known && new RegExp(`^\\s*["']?${name}["']?\\s*=`).test(line)) {
      return `${text.slice(0, at)}${setting}${text.slice(at + line.length)}`;
    }
    if (inEnv && line.trim() !== "" && !line.trim().startsWith("#")) last = at + line.length;
  }
  if (last !== undefined) return `${text.slice(0, last)}\n${setting}${text.slice(last)}`;
  const end = text.endsWith("\n") || text === "" ? "" : "\n";
  return `${text}${end}\n[env]\n${setting}\n`;
}
