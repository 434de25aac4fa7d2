import type { Trace, TracedProcess } from "../sandbox/trace.ts";
import type { CauseName } from "../world.ts";
import type { TreeFiles } from "./bearing.ts";
import { buildGraph } from "./build-graph.ts";
import type { Writer } from "./cause.ts";
import { asTyped, boundedWords, driverOf, sameWords, saysNothing } from "./commands.ts";
import { doerOf } from "./doer.ts";
import { originOf, type Question, relativeTo } from "./origin.ts";
import type { SourceText } from "./script-files.ts";
import { scriptPlace } from "./script-place.ts";

/** What a trace is read against. */
export interface WriterContext {
  /** Of the traced build, inside its sandbox. */
  buildPath: string;
  sources: readonly SourceText[];
  /** Files of the build tree as the traced build left them; without them only names and the chain of commands decide. */
  tree?: TreeFiles;
}

/** A question with what is known of the cause, which tells a shell's commands apart. */
export interface WriterQuestion extends Question {
  cause?: CauseName;
}

const MAX_PARENTS = 20;

/**
 * The command that first wrote the bytes of a leaf, the commands above it, and
 * where the build script asks for it. Undefined when the trace does not show
 * who wrote the output.
 */
export function writerOf(question: WriterQuestion, trace: Trace, context: WriterContext): Writer | undefined {
  const graph = buildGraph(trace);
  const about = { cause: question.cause, sources: context.sources };
  const origin = originOf(graph, question, context, about);
  const doer = origin === undefined ? undefined : doerOf(graph, origin, about);
  if (origin === undefined || doer === undefined) return undefined;
  const chain = upwards(graph.processes, doer);
  const driver = driverOf(doer, chain.slice(1));
  const told = driver === undefined ? chain : chain.slice(chain.indexOf(driver));
  const [writer = doer, ...above] = told;
  const path = graph.place(origin) ?? origin.path;
  const script = scriptPlace(told, context.sources, { path, cause: question.cause });
  return {
    argv: boundedWords(writer),
    directory: below(context.buildPath, writer.directory),
    file: below(context.buildPath, path),
    parents: parentsOf(writer, above),
    ...(script === undefined ? {} : { script }),
  };
}

function below(buildPath: string, path: string): string {
  return path === buildPath ? "." : (relativeTo(buildPath, path) ?? path);
}

/** A process and those above it, as far as each is another command than the one before. */
function upwards(processes: readonly TracedProcess[], process: TracedProcess): TracedProcess[] {
  const chain = [process];
  let last = process;
  for (let id = process.parent; id !== undefined && chain.length < 200;) {
    const next = processes[id];
    if (next === undefined || next.id >= last.id) break;
    if (sameWords(next, last)) chain[chain.length - 1] = next;
    else chain.push(next);
    last = next;
    id = next.parent;
  }
  return chain;
}

/** The commands above, from the outermost down, without those that say nothing. */
function parentsOf(writer: TracedProcess, above: readonly TracedProcess[]): string[] {
  const told: TracedProcess[] = [];
  let last = writer;
  for (const process of above) {
    if (saysNothing(process, last)) continue;
    told.push(process);
    last = process;
  }
  return told.slice(-MAX_PARENTS).reverse().map(asTyped);
}
