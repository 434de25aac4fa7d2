import type { TracedProcess } from "../sandbox/trace.ts";
import { bears, BUDGET, distinctive, isOpaque, sameContent, type TreeFiles } from "./bearing.ts";
import type { BuildGraph, Read, Version } from "./build-graph.ts";
import { isCarrier, isCopier, isShell, programOf, sameWords } from "./commands.ts";
import { type About, doerOf, feeding } from "./doer.ts";

/** What is asked of a trace: who wrote these bytes of an output. */
export interface Question {
  /** Path of the output, relative to the build path. */
  artifact: string;
  /** The way from there to the leaf: archive members, parts of formats. */
  leaf: readonly string[];
  /** What stands there in the traced build's world. */
  evidence: Uint8Array;
  /** The last step of `leaf` is a field of metadata (a time, an owner): whoever made the container wrote it. */
  field?: boolean;
}

interface Search {
  graph: BuildGraph;
  about: About;
  buildPath: string;
  tree: TreeFiles | undefined;
  bytes: Uint8Array | undefined;
  /** Bytes that may still be read. */
  budget: number;
  borne: Map<string, Bearing>;
  visited: Map<Version, readonly Version[]>;
}

/** `gone`: nobody can tell; `opaque`: it holds its contents compressed. */
type Bearing = "bears" | "bare" | "opaque" | "gone";

/**
 * The content in which the bytes of a question first stood: from the output
 * back through what its writers had read, to the earliest file that bears
 * them. Without bytes that say enough, or without the files, back through
 * members of archives, copies and assemblers, as far as that is sure.
 */
export function originOf(
  graph: BuildGraph,
  question: Question,
  context: { buildPath: string; tree?: TreeFiles | undefined },
  about: About,
): Version | undefined {
  const output = graph.final(`${context.buildPath}/${question.artifact}`);
  if (output === undefined) return undefined;
  const search: Search = {
    graph,
    about,
    buildPath: context.buildPath,
    tree: context.tree,
    bytes: question.field === true ? undefined : distinctive(question.evidence),
    budget: BUDGET,
    borne: new Map(),
    visited: new Map(),
  };
  const steps = question.field === true ? question.leaf.slice(0, -1) : question.leaf;
  const container = withinArchives(search, output, question.field === true ? steps.slice(0, -1) : steps);
  if (question.field === true) return throughCopies(search, container);
  const found = earliest(search, container);
  const one = chosen(search, found, question.leaf) ?? (container === output ? undefined : fallback(search, output));
  // Bytes of another world stand nowhere in this one, and what lacks them was passed over: then names alone decide.
  if (one === undefined && search.bytes !== undefined && ![...search.borne.values()].includes("bears")) {
    return originOf(graph, { ...question, evidence: new Uint8Array() }, context, about);
  }
  return throughCarriers(search, one ?? container);
}

/** When the named member does not lead to the bytes, the output's other ancestors may. */
function fallback(search: Search, output: Version): Version | undefined {
  const found = earliest(search, output);
  return found.length === 1 ? found[0] : undefined;
}

/** Follows names of members to the files that the archiver read: the longest common end of their paths decides. */
function withinArchives(search: Search, output: Version, steps: readonly string[]): Version {
  let container = output;
  for (const step of steps) {
    const member = step.replace(/^\.?\/+|\/+$/g, "");
    let best: { version: Version; score: number } | undefined;
    for (const { path, version } of contentsOf(container).flatMap((one) => readsFor(search, one))) {
      if (version === undefined || version === container) continue;
      const score = commonEnd(path, member);
      if (score > 0 && score >= (best?.score ?? 1)) best = { version, score };
    }
    if (best === undefined || (search.bytes !== undefined && bearing(search, best.version) === "bare")) continue;
    container = best.version;
  }
  return container;
}

/** A content and those that it was written over, the earliest first: touch(1) opens a file, and leaves what it holds. */
function contentsOf(version: Version): Version[] {
  const contents: Version[] = [];
  for (let one: Version | undefined = version; one !== undefined && contents.length < MAX_DEPTH; one = one.previous) {
    contents.unshift(one);
  }
  return contents;
}

/** How many names at the end of two paths are the same. */
function commonEnd(a: string, b: string): number {
  const [left, right] = [a.split("/").reverse(), b.split("/").reverse()];
  let same = 0;
  while (same < Math.min(left.length, right.length) && left[same] === right[same]) same++;
  return same;
}

/**
 * What the writers of a content had read: the process itself and its forks; a
 * shell's command with the others of its pipeline; where those read nothing
 * that the build wrote, all that the process started.
 */
function readsFor({ graph, about }: Search, version: Version): Read[] {
  const opener = graph.processes[version.process];
  const doer = doerOf(graph, version, about);
  if (opener === undefined || doer === undefined) return [];
  const own = new Set([opener.id, doer.id, ...forksOf(graph, doer)]);
  const near = readsOf(graph, own);
  if (near.some((read) => read.version !== undefined && read.version !== version)) return near;
  const wide = new Set(own);
  const pipeline = [opener, doer].flatMap((one) => [...besides(graph, one), ...feeding(graph, one, about.sources)]);
  for (const id of [...own, ...pipeline]) if (id !== opener.id || !isShell(opener)) addDescendants(graph, id, wide);
  return readsOf(graph, wide);
}

const readsOf = (graph: BuildGraph, processes: ReadonlySet<number>): Read[] =>
  [...processes].flatMap((id) => [...graph.reads(id)]).sort((a, b) => a.at - b.at);

/** What was the same command: tar forks itself to write through a compressor. */
function forksOf(graph: BuildGraph, process: TracedProcess): number[] {
  if (isShell(process)) return [];
  const parent = process.parent === undefined ? undefined : graph.processes[process.parent];
  const above = parent !== undefined && !isShell(parent) && (sameWords(parent, process) || isFilterOf(process, parent));
  return above ? [parent.id, ...forksOf(graph, parent)] : [];
}

/** A compressor that an archiver started stands for it. */
const isFilterOf = (process: TracedProcess, parent: TracedProcess): boolean =>
  /^(?:gzip|pigz|bzip2|xz|zstd|lz4|lzip|compress)$/.test(programOf(process)) && /tar|dpkg-deb/.test(programOf(parent));

/** Siblings whose work overlaps in time, under a shell: commands of one pipeline. */
function besides(graph: BuildGraph, { id, parent }: TracedProcess): number[] {
  const own = graph.span(id);
  const above = parent === undefined ? undefined : graph.processes[parent];
  if (own === undefined || above === undefined || !isShell(above)) return [];
  return graph.children(above.id).filter((sibling) => {
    const span = graph.span(sibling);
    return sibling !== id && span !== undefined && span.first < own.last && own.first < span.last;
  });
}

function addDescendants(graph: BuildGraph, process: number, into: Set<number>): void {
  const pending = [process];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    into.add(id);
    pending.push(...graph.children(id));
  }
}

const MAX_DEPTH = 100;

/** The contents before `version`, itself included, that bear the bytes while nothing before them does. */
function earliest(search: Search, version: Version, depth = 0): readonly Version[] {
  const known = search.visited.get(version);
  if (known !== undefined) return known;
  search.visited.set(version, []);
  if (search.bytes === undefined || depth > MAX_DEPTH) return [];
  const found = new Set<Version>();
  const before = new Set(readsFor(search, version).map((read) => read.version));
  before.add(version.previous);
  for (const one of before) {
    // What is there and bears them not did not hand them on.
    if (one === undefined || bearing(search, one) === "bare") continue;
    for (const origin of earliest(search, one, depth + 1)) found.add(origin);
  }
  const result = found.size > 0 ? [...found] : bearing(search, version) === "bears" ? [version] : [];
  search.visited.set(version, result);
  return result;
}

function bearing(search: Search, version: Version): Bearing {
  const { tree, bytes, graph } = search;
  const path = relativeTo(search.buildPath, graph.place(version));
  if (tree === undefined || bytes === undefined || path === undefined) return "gone";
  let known = search.borne.get(path);
  if (known === undefined) {
    known =
      tree(path, (source): Bearing => {
        if (source.size > search.budget) return "gone";
        search.budget -= source.size;
        return bears(source, bytes) ? "bears" : isOpaque(source) ? "opaque" : "bare";
      }) ?? "gone";
    search.borne.set(path, known);
  }
  return known;
}

/** A path relative to the build path; undefined when it lies elsewhere. */
export function relativeTo(buildPath: string, path: string | undefined): string | undefined {
  return path?.startsWith(`${buildPath}/`) === true ? path.slice(buildPath.length + 1) : undefined;
}

/**
 * One of several files that bear the bytes: the one that the leaf names, or the
 * first of one rule's. Of several rules' none is surer than what joined them.
 */
function chosen(search: Search, found: readonly Version[], leaf: readonly string[]): Version | undefined {
  if (found.length <= 1) return found[0];
  const named = found
    .map((version) => ({ version, score: Math.max(...leaf.map((step) => commonEnd(version.path, step)), 0) }))
    .sort((a, b) => b.score - a.score || a.version.at - b.version.at);
  const [first, second] = named;
  if (first === undefined || first.score > (second?.score ?? 0)) return first?.version;
  const programs = new Set(
    found.map((version) => {
      const doer = doerOf(search.graph, version, search.about);
      return doer === undefined ? "" : programOf(doer);
    }),
  );
  return programs.size === 1 ? first.version : undefined;
}

/** From a copy to what was copied. */
function throughCopies(search: Search, version: Version): Version {
  return through(search, version, isCopier);
}

/** From what an assembler or a copy wrote to the one file that it was made of, as long as that does not lack the bytes. */
function throughCarriers(search: Search, version: Version): Version {
  return through(search, version, isCarrier);
}

function through(search: Search, version: Version, passes: (process: TracedProcess) => boolean): Version {
  let current = version;
  for (let steps = 0; steps < MAX_DEPTH; steps++) {
    const doer = doerOf(search.graph, current, search.about);
    if (doer === undefined || !passes(doer)) return current;
    const made = new Set(readsFor(search, current).map((read) => read.version));
    made.delete(undefined);
    made.delete(current);
    const sources = [...made].filter((one) => one !== undefined);
    const next =
      sources.length === 1 ? sources[0] : sources.find((one) => isCopier(doer) && isCopyOf(search, current, one));
    if (next === undefined || bearing(search, next) === "bare") return current;
    if (search.bytes === undefined && isCopyOf(search, current, next) === false) return current;
    current = next;
  }
  return current;
}

/** Whether both are still there and the same; undefined when one is gone. */
function isCopyOf({ tree, graph, buildPath }: Search, copy: Version, original: Version): boolean | undefined {
  const [a, b] = [copy, original].map((one) => relativeTo(buildPath, graph.place(one)));
  if (tree === undefined || a === undefined || b === undefined) return undefined;
  return sameContent(tree, a, b);
}
