import { readFile } from "node:fs/promises";

/**
 * What a traced build did: which programs it ran and which files they wrote.
 * Paths are absolute, as inside the sandbox.
 */
export interface Trace {
  /** In the order in which they began. A process that becomes another program is another one here. */
  processes: TracedProcess[];
  /** In order. */
  events: FileEvent[];
  /** Why it may be incomplete, in words; [] when it is complete. */
  doubts: string[];
}

export interface TracedProcess {
  /** Counts from 0. */
  id: number;
  /** Who started it, or what it was before; undefined for the first. */
  parent: number | undefined;
  argv: string[];
  /** Working directory when it began. */
  directory: string;
  /** How many events there were before it began. */
  began: number;
}

/** `write`: opened for writing, or truncated. `read`: opened for reading. */
export type FileEvent =
  | { process: number; what: "read" | "write" | "unlink"; path: string }
  | { process: number; what: "rename" | "link" | "symlink"; path: string; to: string };

/** What each kind of record of `traced-files.ts` means. */
const KINDS = { R: "read", W: "write", U: "unlink", N: "rename", L: "link", S: "symlink" } as const;

/** Reads what a run with `SandboxSpec.trace` left: see `traced-files.ts`. A record that was cut off is a doubt. */
export async function readTrace(file: string): Promise<Trace> {
  const fields = new Fields(await readFile(file));
  const trace: Trace = { processes: [], events: [], doubts: ["the record of the build ends early"] };
  while (fields.left) {
    const kind = fields.next();
    if (kind === "E") {
      trace.doubts = doubts(fields);
      break;
    }
    const read = kind === "P" || kind === "F" ? readProcess(trace, kind, fields) : readEvent(trace, kind, fields);
    if (!read) break;
  }
  return trace;
}

/** Texts that end with a NUL, one after the other; equal ones are one string. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  #whole = true;
  readonly #known = new Map<string, string>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Whether there is another, and all until now were whole. */
  get left(): boolean {
    return this.#whole && this.#at < this.#bytes.length;
  }

  get whole(): boolean {
    return this.#whole;
  }

  next(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    this.#whole &&= end >= 0;
    if (end < 0) return "";
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    const known = this.#known.get(text);
    if (known === undefined) this.#known.set(text, text);
    return known ?? text;
  }
}

function readProcess(trace: Trace, kind: "P" | "F", fields: Fields): boolean {
  const parent = Number(fields.next()) - 1;
  const directory = fields.next();
  const many = kind === "P" ? Number(fields.next()) : 0;
  const argv: string[] = [];
  while (argv.length < many && fields.whole) argv.push(fields.next());
  if (!fields.whole) return false;
  trace.processes.push({
    id: trace.processes.length,
    parent: parent < 0 ? undefined : parent,
    argv: kind === "P" ? argv : (trace.processes[parent]?.argv ?? []),
    directory,
    began: trace.events.length,
  });
  return true;
}

function readEvent(trace: Trace, kind: string, fields: Fields): boolean {
  const what = (KINDS as Readonly<Record<string, FileEvent["what"]>>)[kind];
  if (what === undefined) return false;
  const process = Number(fields.next()) - 1;
  const path = fields.next();
  const event: FileEvent =
    what === "read" || what === "write" || what === "unlink"
      ? { process, what, path }
      : { process, what, path, to: fields.next() };
  if (fields.whole) trace.events.push(event);
  return fields.whole;
}

function doubts(fields: Fields): string[] {
  const [unseen, cut, bypassed] = [Number(fields.next()), Number(fields.next()), Number(fields.next())];
  const full = fields.next() === "full";
  return [
    ...(unseen > 0 ? [`${unseen} calls came from processes that could not be looked into`] : []),
    ...(cut > 0 ? [`${cut} command lines were cut: they have more than 4096 arguments or 64 KiB`] : []),
    ...(bypassed > 0 ? [`${bypassed} programs set up io_uring, through which files are opened unseen`] : []),
    ...(full ? ["the record was full: it ends after 5,000,000 events or 256 MiB"] : []),
  ];
}
