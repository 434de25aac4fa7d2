import { posix } from "node:path";
import type { Ecosystem } from "../../material.ts";

/** What remedies may change, as it stands. */
export interface Texts {
  /** The recipe's extra environment. */
  env: Readonly<Record<string, string>>;
  /** The recipe's command. */
  command: string;
  /** Text files of the source by their paths. */
  files: ReadonlyMap<string, string>;
}

/** A project as remedies see it: read, never run. */
export interface Project extends Texts {
  name: string;
  ecosystem: Ecosystem | undefined;
  /** Of the source: where the command runs; "." is the root. */
  directory: string;
  /** Files that the build runs, as far as their names tell: what a remedy may patch. */
  scripts: readonly string[];
}

/** Files that tools run without being told their names. */
const CONVENTIONAL =
  /(?:^|\/)(?:GNUmakefile|[Mm]akefile(?:\.(?:in|am))?|[^/]+\.mk|package\.json|setup\.py|setup\.cfg|pyproject\.toml|build\.rs|\.cargo\/config(?:\.toml)?|CMakeLists\.txt|configure\.ac|pom\.xml|build\.gradle(?:\.kts)?|Dockerfile|Containerfile|debian\/rules|build\.(?:sh|py|js|mjs|cjs|pl))$/;

/** What can be run, or included in what is run. */
const RUNNABLE = /\.(?:sh|bash|py|js|mjs|cjs|ts|mts|pl|pm|rb|go|rs|java|mk|cmake|gradle|kts)$|(?:^|\/)[^./]+$/;

/** Those of the files that a build runs: found by convention, by the command, and by what those name. */
export function scriptsOf({ command, files }: Pick<Texts, "command" | "files">, directory: string): string[] {
  const candidates = [...files.keys()].filter((path) => RUNNABLE.test(path) || CONVENTIONAL.test(path));
  const reached = new Set<string>();
  const queue: string[] = [command];
  for (const path of candidates) {
    if (!CONVENTIONAL.test(path) || !isNear(path, directory)) continue;
    reached.add(path);
    queue.push(files.get(path) ?? "");
  }
  for (let text = queue.pop(); text !== undefined; text = queue.pop()) {
    for (const path of candidates) {
      if (reached.has(path) || !names(text, path)) continue;
      reached.add(path);
      queue.push(files.get(path) ?? "");
    }
  }
  return [...reached].sort();
}

/** Conventional files far from where the build runs belong to something else: an example, a vendored copy. */
function isNear(path: string, directory: string): boolean {
  const from = directory === "." ? path : posix.relative(directory, path);
  return !/(?:^|\/)(?:vendor|node_modules|third[_-]party|examples?|tests?|testdata)\//.test(from);
}

/** Whether a text names a file: its name stands there as a word of its own, or it is imported by its stem. */
function names(text: string, path: string): boolean {
  const name = posix.basename(path);
  if (standsAlone(text, name)) return true;
  const stem = name.replace(/\.[^.]*$/, "");
  if (stem === name || stem.length < 2) return false;
  if (name.endsWith(".go")) return /\bgo (?:generate|run)\b/.test(text);
  if (name.endsWith(".java")) return /\bjavac?\b/.test(text) && standsAlone(text, stem);
  const escaped = stem.replace(/[^\w]/g, "\\$&");
  return new RegExp(`(?:\\b(?:import|from|require|use|source)\\b|(?:^|\\s)-m)[^\\n]{0,60}\\b${escaped}\\b`, "m").test(
    text,
  );
}

function standsAlone(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const [before = "", after = ""] = [text[at - 1], text[at + word.length]];
    if (!/[\w-]/.test(before) && !/[\w-]/.test(after)) return true;
  }
  return false;
}
