import type { Trace, TracedProcess } from "../sandbox/trace.ts";

/** One content of a file: what stood there from one process's opening it to write until another's. */
export interface Version {
  /** The process that opened it. */
  process: number;
  /** Number of that event. */
  at: number;
  /** As it was called when it was written. */
  path: string;
  /** What stood there before, when it was not removed first. */
  previous: Version | undefined;
}

export interface Read {
  at: number;
  path: string;
  /** Undefined: the build did not write it. */
  version: Version | undefined;
}

/** A trace as a graph: which content was written by which process, that had read which contents. */
export interface BuildGraph {
  processes: readonly TracedProcess[];
  children(process: number): readonly number[];
  /** What a process itself read, in order. */
  reads(process: number): readonly Read[];
  /** First and last event of a process and all that it started; undefined when there is none. */
  span(process: number): { first: number; last: number } | undefined;
  /** What stands at an absolute path after the build. */
  final(path: string): Version | undefined;
  /** Where a content lies after the build; undefined when it is gone. */
  place(version: Version): string | undefined;
}

const graphs = new WeakMap<Trace, BuildGraph>();

/** The graph of a trace, made once for all questions about it. */
export function buildGraph(trace: Trace): BuildGraph {
  const known = graphs.get(trace);
  if (known !== undefined) return known;
  const graph = graphOf(trace);
  graphs.set(trace, graph);
  return graph;
}

const NONE: readonly never[] = [];

function graphOf(trace: Trace): BuildGraph {
  const files = new Files();
  const reads = new Map<number, Read[]>();
  const spans = new Map<number, { first: number; last: number }>();
  for (const [at, event] of trace.events.entries()) {
    const span = spans.get(event.process);
    if (span === undefined) spans.set(event.process, { first: at, last: at });
    else span.last = at;
    switch (event.what) {
      case "read":
        listAt(reads, event.process).push({ at, path: event.path, version: files.at(event.path) });
        break;
      case "write":
        files.written(event.path, event.process, at);
        break;
      case "unlink":
        files.removed(event.path);
        break;
      case "rename":
        files.renamed(event.path, event.to);
        break;
      case "link":
        files.linked(event.path, event.to);
        break;
      case "symlink":
        files.pointed(event.path, event.to);
        break;
    }
  }
  const children = new Map<number, number[]>();
  for (const { id, parent } of trace.processes) if (parent !== undefined) listAt(children, parent).push(id);
  widen(trace.processes, spans);
  const places = files.places();
  return {
    processes: trace.processes,
    children: (process) => children.get(process) ?? NONE,
    reads: (process) => reads.get(process) ?? NONE,
    span: (process) => spans.get(process),
    final: (path) => files.at(path),
    place: (version) => places.get(version),
  };
}

/** Spans of processes become those of everything they started; who starts comes before who is started. */
function widen(processes: readonly TracedProcess[], spans: Map<number, { first: number; last: number }>): void {
  for (const { id, parent } of processes.toReversed()) {
    const own = spans.get(id);
    if (own === undefined || parent === undefined) continue;
    const above = spans.get(parent);
    if (above === undefined) spans.set(parent, { ...own });
    else {
      above.first = Math.min(above.first, own.first);
      above.last = Math.max(above.last, own.last);
    }
  }
}

function listAt<T>(lists: Map<number, T[]>, key: number): T[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

const MAX_LINKS = 8;

/** What stands at which path as the trace goes on. */
class Files {
  readonly #current = new Map<string, Version>();
  readonly #pointers = new Map<string, string>();

  at(path: string): Version | undefined {
    return this.#current.get(path) ?? this.#current.get(this.#resolved(path));
  }

  written(named: string, process: number, at: number): void {
    const path = this.#resolved(named);
    const previous = this.#current.get(path);
    // Opened again by who wrote it: the same content, still being made.
    if (previous?.process === process) return;
    this.#current.set(path, { process, at, path, previous });
  }

  removed(path: string): void {
    if (this.#pointers.delete(path)) return;
    this.#current.delete(this.#resolvedFolder(path));
  }

  renamed(path: string, to: string): void {
    const pointer = this.#pointers.get(path);
    if (pointer !== undefined) {
      this.#pointers.delete(path);
      this.#pointers.set(to, pointer);
      return;
    }
    const [from, target] = [this.#resolvedFolder(path), this.#resolvedFolder(to)];
    const version = this.#current.get(from);
    this.#pointers.delete(target);
    if (version !== undefined) {
      this.#current.delete(from);
      this.#current.set(target, version);
      return;
    }
    for (const [below, moved] of [...this.#current].filter(([name]) => name.startsWith(`${from}/`))) {
      this.#current.delete(below);
      this.#current.set(target + below.slice(from.length), moved);
    }
  }

  linked(path: string, to: string): void {
    const version = this.at(path);
    if (version !== undefined) this.#current.set(this.#resolvedFolder(to), version);
  }

  pointed(target: string, to: string): void {
    this.#current.delete(to);
    const folder = to.slice(0, to.lastIndexOf("/"));
    this.#pointers.set(to, target.startsWith("/") ? target : plain(`${folder}/${target}`));
  }

  places(): Map<Version, string> {
    const places = new Map<Version, string>();
    for (const [path, version] of this.#current) if (!places.has(version)) places.set(version, path);
    return places;
  }

  #resolvedFolder(path: string): string {
    const slash = path.lastIndexOf("/");
    return this.#pointers.size === 0 || slash <= 0 ? path : this.#resolved(path.slice(0, slash)) + path.slice(slash);
  }

  /** The path with the symbolic links that the build made followed. */
  #resolved(path: string): string {
    if (this.#pointers.size === 0) return path;
    let resolved = path;
    for (let followed = 0; followed < MAX_LINKS; followed++) {
      const next = this.#once(resolved);
      if (next === undefined) return resolved;
      resolved = next;
    }
    return resolved;
  }

  #once(path: string): string | undefined {
    for (let end = path.indexOf("/", 1); ; end = path.indexOf("/", end + 1)) {
      const head = end === -1 ? path : path.slice(0, end);
      const target = this.#pointers.get(head);
      if (target !== undefined && target !== head) return target + path.slice(head.length);
      if (end === -1) return undefined;
    }
  }
}

/** A path without `.` and `..`. */
function plain(path: string): string {
  const steps: string[] = [];
  for (const step of path.split("/")) {
    if (step === "..") steps.pop();
    else if (step !== "" && step !== ".") steps.push(step);
  }
  return `/${steps.join("/")}`;
}
