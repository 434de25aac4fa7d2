/** Races as a trace shows them: processes that ran side by side and wrote one file. */
import type { Trace } from "../sandbox/trace.ts";
import { type BuildGraph, buildGraph, type Version } from "./build-graph.ts";
import { originOf } from "./origin.ts";
import type { WriterContext, WriterQuestion } from "./writer.ts";

/** Writers of one file that are held against one another. */
const MOST_WRITERS = 64;

/**
 * Whether the bytes of a leaf were first written into a file that several
 * processes wrote which ran side by side. One that began when the other had
 * ended is not meant, nor one that the other started: their order is given.
 */
export function wroteSideBySide(question: WriterQuestion, trace: Trace, context: WriterContext): boolean {
  const graph = buildGraph(trace);
  const origin = originOf(graph, question, context, { cause: question.cause, sources: context.sources });
  return origin !== undefined && anySideBySide(graph, writersOf(origin));
}

/**
 * Whether nothing ran beside what wrote the bytes of a leaf, nor beside what
 * wrote the files that it had read: no other program can have come first or
 * last, so that it is the program itself that gives another outcome.
 */
export function wroteAlone(question: WriterQuestion, trace: Trace, context: WriterContext): boolean {
  const graph = buildGraph(trace);
  const origin = originOf(graph, question, context, { cause: question.cause, sources: context.sources });
  if (origin === undefined) return false;
  const [seen, pending] = [new Set<Version>(), [origin]];
  for (let one = pending.pop(); one !== undefined; one = pending.pop()) {
    if (seen.has(one)) continue;
    seen.add(one);
    if (seen.size > MOST_BEFORE) return false;
    for (const writer of writersOf(one)) {
      if (!isAlone(graph, writer)) return false;
      pending.push(
        ...withStarted(graph, writer).flatMap((id) => graph.reads(id).flatMap(({ version }) => version ?? [])),
      );
    }
  }
  return true;
}

/** Files that one is made of, as far as they are followed. */
const MOST_BEFORE = 500;

/** A process and all that it started: the shell that opened a file need not be who read for it. */
function withStarted(graph: BuildGraph, process: number): number[] {
  const all = [process];
  // It grows as it is walked.
  for (const id of all) all.push(...graph.children(id));
  return all;
}

/** Neither beside it or those above it did anything run, nor did things that it started beside one another. */
function isAlone(graph: BuildGraph, process: number): boolean {
  if (anySideBySide(graph, graph.children(process))) return false;
  let [below, above] = [process, graph.processes[process]?.parent];
  for (; above !== undefined; [below, above] = [above, graph.processes[above]?.parent]) {
    const own = below;
    if (graph.children(above).some((other) => other !== own && sideBySide(graph, own, other))) return false;
  }
  return true;
}

const anySideBySide = (graph: BuildGraph, processes: readonly number[]): boolean =>
  processes.some((one, at) => processes.slice(at + 1).some((other) => sideBySide(graph, one, other)));

/** Who wrote a content and what stood there before, the last first. */
function writersOf(version: Version): number[] {
  const writers = new Set<number>();
  for (let one: Version | undefined = version; one !== undefined && writers.size < MOST_WRITERS; one = one.previous) {
    writers.add(one.process);
  }
  return [...writers];
}

function sideBySide(graph: BuildGraph, one: number, other: number): boolean {
  const [a, b] = [graph.span(one), graph.span(other)];
  if (a === undefined || b === undefined || descends(graph, one, other) || descends(graph, other, one)) return false;
  const [first, second] = [graph.processes[one]?.began ?? a.first, graph.processes[other]?.began ?? b.first];
  return Math.min(first, a.first) <= b.last && Math.min(second, b.first) <= a.last;
}

/** Who is started comes after who starts, so that this ends. */
function descends(graph: BuildGraph, process: number, from: number): boolean {
  for (let id: number | undefined = process; id !== undefined && id >= from; id = graph.processes[id]?.parent) {
    if (id === from) return true;
  }
  return false;
}
