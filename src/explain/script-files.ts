import { join } from "node:path";
import { namesIn } from "../tree.ts";
import type { TracedProcess } from "../sandbox/trace.ts";
import { lstat } from "node:fs/promises";
import { BitforbitError } from "../errors.ts";
import { readProjectFile } from "../project-file.ts";
import { isInterpreter, programOf } from "./commands.ts";

/** A text file of the source. */
export interface SourceText {
  /** Relative to the source. */
  path: string;
  text: string;
}

const MAX_BYTES = 1 << 20;
const MAX_FILES = 2000;
const MAX_TOTAL = 64 << 20;
/** Looked at before we stop looking. */
const MAX_ENTRIES = 50_000;

const NAMES =
  /^(?:GNUmakefile|[Mm]akefile(?:\.(?:am|in))?|.*\.ma?k|configure(?:\.(?:ac|in))?|CMakeLists\.txt|.*\.cmake|meson\.build|SConstruct|BUILD(?:\.bazel)?|package\.json|pyproject\.toml|setup\.cfg|Cargo\.toml|pom\.xml|build\.xml|build\.gradle(?:\.kts)?|rules|Dockerfile.*|Containerfile.*|bitforbit\.toml|[Jj]ustfile|Rakefile|Taskfile\.ya?ml|go\.mod|.*\.nix|.*\.spec)$/;
const CODE = /\.(?:sh|bash|py|js|mjs|cjs|ts|mts|pl|pm|rb|php|lua|go|rs|R)$/;
const SKIPPED = new Set([".git", ".hg", ".svn", ".bitforbit", "node_modules", "vendor", "target"]);

/** Whether a path is a build script's: where commands are written down. */
export const isBuildScript = (path: string): boolean => {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return (
    NAMES.test(name) ||
    /\.(?:sh|bash)$/.test(name) ||
    /^(?:setup\.py|build\.rs|noxfile\.py|.*[Bb]uild.*\.(?:py|js|mjs|cjs|ts|pl|rb))$/.test(name) ||
    name.endsWith(".go")
  );
};

/** The texts of a source in which commands may be written down, build scripts first; within bounds. */
export async function scriptFiles(source: string): Promise<SourceText[]> {
  const [scripts, code] = await namesOfScripts(source);
  const texts: SourceText[] = [];
  let total = 0;
  for (const path of [...scripts, ...code].slice(0, MAX_FILES)) {
    const text = await textOf(source, path);
    if (text === undefined || total + text.length > MAX_TOTAL) continue;
    total += text.length;
    texts.push({ path, text });
  }
  return texts;
}

async function namesOfScripts(source: string): Promise<[scripts: string[], code: string[]]> {
  const [scripts, code]: [string[], string[]] = [[], []];
  const pending = [""];
  let seen = 0;
  // Shallow folders first: what is deep is seldom what builds.
  for (const folder of pending) {
    for (const name of await namesIn(join(source, folder))) {
      if (++seen > MAX_ENTRIES) return [scripts, code];
      const path = folder === "" ? name : `${folder}/${name}`;
      const stats = await lstat(join(source, path));
      if (stats.isDirectory() && !SKIPPED.has(name)) pending.push(path);
      if (!stats.isFile() || stats.size > MAX_BYTES) continue;
      if (isBuildScript(path)) scripts.push(path);
      else if (CODE.test(name) || ((stats.mode & 0o111) !== 0 && !name.includes("."))) code.push(path);
    }
  }
  return [scripts, code];
}

/** Undefined for what is not text. */
async function textOf(source: string, path: string): Promise<string | undefined> {
  try {
    return await readProjectFile(source, path, MAX_BYTES);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** The source file that an interpreter was told to run, or that was run as a program. */
export function scriptNamedBy(process: TracedProcess, sources: readonly SourceText[]): SourceText | undefined {
  const [program = "", ...words] = process.argv;
  if (/^build-script-\w+$/.test(programOf(process))) return sources.find(({ path }) => /(?:^|\/)build\.rs$/.test(path));
  if (!isInterpreter(process)) return program.includes("/") ? sourceAt(process, program, sources) : undefined;
  for (const word of words) {
    // What follows is text, or the name of a module.
    if (/^-\w*[cem]$/.test(word) || word === "--eval" || word === "--print") return undefined;
    if (word.startsWith("-")) continue;
    return sourceAt(process, word, sources);
  }
  return undefined;
}

/** The source whose path is the end of a word, taken from the process's folder; of several the longest. */
function sourceAt({ directory }: TracedProcess, word: string, sources: readonly SourceText[]): SourceText | undefined {
  const whole = word.startsWith("/") ? word : `${directory}/${word.replace(/^(?:\.\/)+/, "")}`;
  let best: SourceText | undefined;
  for (const source of sources) {
    if (whole.endsWith(`/${source.path}`) && source.path.length > (best?.path.length ?? 0)) best = source;
  }
  return best;
}
