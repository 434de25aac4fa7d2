import type { TracedProcess } from "../sandbox/trace.ts";
import type { CauseName } from "../world.ts";
import type { BuildGraph, Version } from "./build-graph.ts";
import { answers, isShell, literalOf, programOf, sameWords } from "./commands.ts";
import { type SourceText, scriptNamedBy } from "./script-files.ts";

export interface About {
  cause: CauseName | undefined;
  sources: readonly SourceText[];
}

/**
 * The deepest process that surely wrote a content. A shell opens the file of
 * `>` for the command it starts, so the one that opened need not be the one
 * that wrote: which it was is told by a fork that did nothing else, by the
 * shell's text, or by a program whose answer is what the cause is about.
 */
export function doerOf(graph: BuildGraph, version: Version, about: About): TracedProcess | undefined {
  let process = graph.processes[version.process];
  // Each step goes to a later process, so that it ends.
  for (let next = process; next !== undefined; next = stepDown(graph, next, version, about)) process = next;
  return process;
}

function stepDown(graph: BuildGraph, shell: TracedProcess, version: Version, about: About): TracedProcess | undefined {
  if (!isShell(shell)) return undefined;
  const later = graph
    .children(shell.id)
    .filter((id) => (graph.span(id)?.first ?? Infinity) > version.at)
    .map((id) => graph.processes[id])
    .filter((child) => child !== undefined)
    .map((child) => pastForks(graph, child));
  const [first] = later;
  if (first === undefined) return undefined;
  const parent = shell.parent === undefined ? undefined : graph.processes[shell.parent];
  const forked = parent !== undefined && isShell(parent) && sameWords(parent, shell);
  if (forked && later.length === 1) return first;
  const told = redirected(shell, version.path, later, about.sources);
  if (told !== undefined) return told;
  const fitting = later.filter((child) => answers(child, about.cause));
  const programs = new Set(fitting.map(programOf));
  // In a shell that does more than this, an answer may have gone elsewhere.
  return (forked || literalOf(shell) !== undefined) && programs.size === 1 ? fitting[0] : undefined;
}

/** What a shell's fork became, when it became one thing. */
function pastForks(graph: BuildGraph, child: TracedProcess): TracedProcess {
  const parent = child.parent === undefined ? undefined : graph.processes[child.parent];
  if (parent === undefined || !isShell(parent) || !sameWords(parent, child)) return child;
  const [only, ...more] = graph.children(child.id);
  const next = only === undefined || more.length > 0 ? undefined : graph.processes[only];
  return next === undefined ? child : pastForks(graph, next);
}

/** The child that the shell's text redirects into the file. */
function redirected(
  shell: TracedProcess,
  path: string,
  later: readonly TracedProcess[],
  sources: readonly SourceText[],
): TracedProcess | undefined {
  const text = textOf(shell, sources);
  if (text === undefined) return undefined;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const [first] = later;
  for (const segment of pipelinesOf(text).flat()) {
    const at = segment.indexOf(">");
    if (at === -1) continue;
    const program = leadingProgram(segment);
    if (segment.slice(at).includes(name)) {
      const child = later.find((one) => programOf(one) === program);
      if (child !== undefined) return child;
    } else if (segment.slice(at).includes("$") && first !== undefined && programOf(first) === program) return first;
  }
  return undefined;
}

const MAX_TEXT = 1 << 20;

/** Pipelines of a shell's text, roughly, each as its simple commands. */
const pipelinesOf = (text: string): string[][] =>
  text.length > MAX_TEXT
    ? []
    : text
        .replaceAll("\\\n", " ")
        .split(/;|&&|\|\||(?<!>)&(?![\d>])|\n|(?<![\w$])[({]/)
        .map((pipeline) => pipeline.split("|"));

/**
 * What feeds a command in its pipeline, as the shell's text says. The commands
 * of one pipeline start side by side, in any order.
 */
export function feeding(graph: BuildGraph, process: TracedProcess, sources: readonly SourceText[]): number[] {
  const shell = process.parent === undefined ? undefined : graph.processes[process.parent];
  const text = shell === undefined || !isShell(shell) ? undefined : textOf(shell, sources);
  if (shell === undefined || text === undefined) return [];
  const siblings = graph.children(shell.id);
  const at = siblings.indexOf(process.id);
  const nameOf = (id: number): string => {
    const sibling = graph.processes[id];
    return sibling === undefined ? "" : programOf(pastForks(graph, sibling));
  };
  for (const pipeline of pipelinesOf(text)) {
    const programs = pipeline.map(leadingProgram);
    const place = programs.indexOf(nameOf(process.id), 1);
    if (place < 1) continue;
    const around = siblings.slice(Math.max(0, at - programs.length + 1), at + programs.length);
    const before = programs.slice(0, place).map((program) => around.findLast((id) => nameOf(id) === program));
    if (before.every((id) => id !== undefined)) return before;
  }
  return [];
}

const textOf = (shell: TracedProcess, sources: readonly SourceText[]): string | undefined =>
  literalOf(shell) ?? scriptNamedBy(shell, sources)?.text;

function leadingProgram(segment: string): string {
  const words = segment.trim().split(/\s+/);
  const first = words.find(
    (word) =>
      !/^\w+=/.test(word) && !["exec", "env", "nice", "then", "else", "do", "!", "time", "command"].includes(word),
  );
  return (first ?? "").replaceAll(/["']/g, "").replace(/^.*\//, "");
}
