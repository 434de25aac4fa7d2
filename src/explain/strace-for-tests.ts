/** Traces of real builds for tests, made with strace(1). */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { isAbsolute, normalize } from "node:path";
import type { FileEvent, Trace, TracedProcess } from "../sandbox/trace.ts";

const STRACE = "/usr/bin/strace";
const CALLS =
  "execve,execveat,open,openat,openat2,creat,truncate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,chdir,fchdir,fork,vfork,clone,clone3";

/** Why builds cannot be traced here; undefined when they can. */
export const noStrace: string | undefined = existsSync(STRACE) ? undefined : "strace is not installed";

/** Runs a command in a folder and gives what it did, the file `log` being written on the way. */
export function traced(argv: readonly string[], folder: string, log: string, env: Record<string, string> = {}): Trace {
  const run = spawnSync(
    STRACE,
    ["-f", "--seccomp-bpf", "-y", "-q", "-s", "8000", "-o", log, "-e", `trace=${CALLS}`, ...argv],
    {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, LC_ALL: "C", ...env },
      encoding: "utf8",
      timeout: 100_000,
    },
  );
  if (run.status !== 0) throw new Error(`${argv.join(" ")}: ${run.status}\n${run.stdout}${run.stderr}`);
  return new Reader(folder).read(readFileSync(log, "latin1"));
}

class Reader {
  readonly #trace: Trace = { processes: [], events: [], doubts: [] };
  /** By the kernel's number: what it is now, and its working directory. */
  readonly #running = new Map<string, { id: number; directory: string }>();
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(log: string): Trace {
    const begun = new Map<string, string>();
    for (const line of log.split("\n")) {
      const [, pid = "", text = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
      const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(text);
      if (text.endsWith("<unfinished ...>")) {
        begun.set(pid, text.replace(/\s*<unfinished \.\.\.>$/, ""));
        // Who is started may act before the call that started it returns.
        continue;
      }
      const whole = resumed === null ? text : `${begun.get(pid) ?? ""}${resumed[2] ?? ""}`;
      const [, call = "", rest = "", result = ""] = /^(\w+)\((.*)\)\s+= (-?\d+)/.exec(whole) ?? [];
      if (call !== "" && !result.startsWith("-")) this.#happened(pid, call, rest, result, begun);
    }
    return this.#trace;
  }

  #process(pid: string, begun: ReadonlyMap<string, string>): { id: number; directory: string } {
    const known = this.#running.get(pid);
    if (known !== undefined) return known;
    // Its parent's call has not returned yet: it is the one that is starting something.
    const [parent] = [...begun].findLast(([, text]) => /^(?:v?fork|clone3?)\(/.test(text)) ?? [];
    return this.#started(pid, parent === undefined ? undefined : this.#running.get(parent));
  }

  #started(
    pid: string,
    parent: { id: number; directory: string } | undefined,
    argv?: string[],
  ): { id: number; directory: string } {
    const id = this.#trace.processes.length;
    const directory = parent?.directory ?? this.#folder;
    const above = parent === undefined ? undefined : this.#trace.processes[parent.id];
    const process: TracedProcess = {
      id,
      parent: parent?.id,
      argv: argv ?? above?.argv ?? [],
      directory,
      began: this.#trace.events.length,
    };
    this.#trace.processes.push(process);
    const running = { id, directory };
    this.#running.set(pid, running);
    return running;
  }

  #happened(pid: string, call: string, rest: string, result: string, begun: Map<string, string>): void {
    if (/^(?:v?fork|clone3?)$/.test(call)) {
      if (rest.includes("CLONE_THREAD")) this.#running.set(result, this.#process(pid, begun));
      else if (!this.#running.has(result)) this.#started(result, this.#process(pid, begun));
      begun.delete(pid);
      return;
    }
    const strings = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => unescaped(text));
    if (call === "execve") {
      const list = /^"(?:[^"\\]|\\.)*", \[(.*)\], /.exec(rest)?.[1] ?? "";
      const argv = [...list.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => unescaped(text));
      const before = this.#trace.processes.length === 0 ? undefined : this.#process(pid, begun);
      begun.delete(pid);
      this.#started(pid, before, argv);
      return;
    }
    const me = this.#process(pid, begun);
    begun.delete(pid);
    if (call === "chdir") me.directory = this.#path(me, rest, strings[0] ?? "");
    else if (call === "fchdir") me.directory = /<(.*)>/.exec(rest)?.[1] ?? me.directory;
    else this.#file(me, call, rest, strings);
  }

  #file(me: { id: number; directory: string }, call: string, rest: string, [first = "", second = ""]: string[]): void {
    const path = this.#path(me, rest, first);
    const add = (event: FileEvent): unknown => this.#trace.events.push(event);
    const base = { process: me.id, path };
    if (/^open|^creat|^truncate/.test(call)) {
      if (/O_DIRECTORY|O_PATH/.test(rest) || /^\/(?:proc|dev|sys)\//.test(path)) return;
      add({ ...base, what: /O_WRONLY|O_RDWR|O_TRUNC/.test(rest) || !call.startsWith("open") ? "write" : "read" });
    } else if (call.startsWith("unlink")) add({ ...base, what: "unlink" });
    else {
      const to = this.#path(me, rest.slice(rest.indexOf(`"${first}"`) + first.length + 2), second);
      if (call.startsWith("rename")) add({ ...base, what: "rename", to });
      if (call.startsWith("link")) add({ ...base, what: "link", to });
      if (call.startsWith("symlink")) add({ process: me.id, what: "symlink", path: first, to });
    }
  }

  /** Relative to the folder that stands before it in the call, or to the process's own. */
  #path(me: { directory: string }, rest: string, text: string): string {
    if (isAbsolute(text)) return normalize(text);
    const at = /^[, ]*(?:AT_FDCWD|\d+)<([^>]*)>, "/.exec(rest)?.[1];
    return normalize(`${at ?? me.directory}/${text}`).replace(/(?<=.)\/$/, "");
  }
}

const unescaped = (text: string): string =>
  Buffer.from(
    text.replaceAll(/\\(?:([0-7]{1,3})|x([0-9a-f]{2})|(.))/g, (_, octal, hexadecimal, other) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(String(octal), 8));
      if (hexadecimal !== undefined) return String.fromCharCode(Number.parseInt(String(hexadecimal), 16));
      return (
        ({ n: "\n", t: "\t", r: "\r", f: "\f", v: "\v" } as Record<string, string>)[String(other)] ?? String(other)
      );
    }),
    "latin1",
  ).toString("utf8");

/** The same trace by a tracer that sees programs start but no forks: what a fork did, who forked did. */
export function withoutForks({ processes, events, doubts }: Trace): Trace {
  const kept: TracedProcess[] = [];
  const now = new Map<number, number>();
  for (const { id, parent, argv, directory, began } of processes) {
    const above = parent === undefined ? undefined : now.get(parent);
    // A fork has its parent's very list of words.
    if (parent !== undefined && above !== undefined && processes[parent]?.argv === argv) {
      now.set(id, above);
      continue;
    }
    now.set(id, kept.length);
    kept.push({ id: kept.length, parent: above, argv, directory, began });
  }
  return {
    processes: kept,
    events: events.map((event) => ({ ...event, process: now.get(event.process) ?? 0 })),
    doubts,
  };
}
