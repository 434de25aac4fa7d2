/**
 * What a build really reads: the files that are opened or executed in one
 * sandbox, noted by the kernel while it runs, at hardly any cost.
 *
 * Seen: every open(2) and execve(2) of a regular file by any process of the
 * sandbox, whatever its language and however it is linked; libraries that the
 * loader maps; interpreters of scripts; links by where they lead.
 *
 * Not seen, by nature: questions about a file that do not open it (stat,
 * access, readlink, listing a folder), and files that were looked for and are
 * not there. Not told apart: opening for reading and for writing. A file that
 * the build renames has the name under which it was opened first, as it is when
 * the event is taken, moments later; a file with several names has each by which
 * it was opened. A build that is observed cannot make mount namespaces of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { byteOrder } from "../order.ts";
import { BLOCK_FD } from "./launch.ts";
import { watcherProgram } from "./reads-watcher.ts";

export interface Reads {
  /** Paths inside the sandbox of files that were opened, executed ones among them; in byte order. */
  opened: string[];
  /**
   * Programs, scripts, their interpreters and the loader; in byte order.
   * Undefined for ordinary users, whose kernel does not tell them apart; those
   * of a tree whose folders disorderfs sorts are missing.
   */
  executed: string[] | undefined;
  /** Mounts inside that were watched; in byte order. */
  watched: string[];
  /** Those of `watched` where files may be listed that others of this machine opened meanwhile; in byte order. */
  shared: string[];
  /** Why the list may lack files, one line each; [] when it is complete. */
  doubts: string[];
}

export interface ReadsOptions {
  /** Folder for what is compiled once a machine. */
  cache: string;
  /** Places inside that are not watched, with what is below: what the build makes for itself. */
  except: readonly string[];
  /** The most files that are noted. */
  maxFiles?: number;
}

export interface ReadsObserver {
  /** To be called as `SandboxSpec.beforeStart`: the build begins when it resolves. It does not reject. */
  attach: (pid: number) => Promise<void>;
  /** To be called once the sandbox has ended. */
  finish: () => Promise<Reads>;
}

/** Devices and what the kernel says of itself: no materials. */
const KERNEL_PLACES = ["/dev", "/proc", "/sys"];
const MAX_FILES = 1_000_000;
/** That are named in one line of doubt. */
const NAMED_PLACES = 20;
const MAX_PATH_BYTES = 256 << 20;
const FINISH_MILLISECONDS = 30_000;
/** An ordinary user's watcher looks through a whole root's folders. */
const READY_MILLISECONDS = 60_000;

/**
 * An observer for one run of a sandbox:
 *
 *     const observer = await observeReads({ cache, except: ["/tmp", home] });
 *     await runSandboxed({ ...spec, beforeStart: observer.attach }, host);
 *     const reads = await observer.finish();
 *
 * Where the kernel or the machine cannot do it, the run goes on and
 * `reads.doubts` says so.
 */
export async function observeReads(options: ReadsOptions): Promise<ReadsObserver> {
  const program = await watcherProgram(options.cache);
  const notes = new Notes(options);
  if (program === undefined) {
    notes.doubt("what the build reads cannot be observed without a C compiler: apt-get install gcc libc6-dev");
    return { attach: async () => {}, finish: async () => notes.reads() };
  }
  let watching: { child: ChildProcess; ended: Promise<void> } | undefined;
  const attach = async (pid: number): Promise<void> => {
    const child = spawn(program, [String(pid), String(BLOCK_FD), ...KERNEL_PLACES, ...options.except], {
      stdio: ["pipe", "pipe", "ignore"],
      env: {},
    });
    child.stdin.on("error", () => undefined);
    const ended = new Promise<void>((resolve) => {
      child.once("error", (error) => {
        notes.doubt(`the observer did not start: ${error.message}`);
        resolve();
      });
      child.once("close", () => resolve());
    });
    watching = { child, ended };
    const timer = setTimeout(() => child.kill("SIGKILL"), READY_MILLISECONDS);
    await Promise.race([notes.take(child.stdout), ended]);
    clearTimeout(timer);
  };
  const finish = async (): Promise<Reads> => {
    if (watching === undefined) notes.doubt("nothing was observed: the build did not begin");
    watching?.child.stdin?.end();
    const timer = setTimeout(() => watching?.child.kill("SIGKILL"), FINISH_MILLISECONDS);
    await watching?.ended;
    clearTimeout(timer);
    return notes.reads();
  };
  return { attach, finish };
}

/** The watcher's records, put together. */
class Notes {
  readonly #opened = new Set<string>();
  readonly #executed = new Set<string>();
  readonly #watched = new Set<string>();
  readonly #shared = new Set<string>();
  readonly #doubts = new Set<string>();
  /** Places that cannot be watched, by the reason. */
  readonly #unwatched = new Map<string, string[]>();
  readonly #options: ReadsOptions;
  #bytes = 0;
  #started = false;
  #complete = false;
  #toldApart = true;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  doubt(reason: string): void {
    if (this.#doubts.size < 100) this.#doubts.add(reason);
  }

  /** Reads records until the stream ends; resolves when the watcher is ready. */
  take(stream: Readable): Promise<void> {
    this.#started = true;
    return new Promise((resolve) => {
      let rest: Buffer = Buffer.alloc(0);
      stream.on("error", () => resolve());
      stream.on("data", (chunk: Buffer) => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let from = 0;
        for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
          if (bytes[from] === 0x72 /* r */) resolve();
          this.#record(bytes.toString("latin1", from, from + 1), bytes.toString("utf8", from + 1, end));
          from = end + 1;
        }
        rest = bytes.subarray(from);
      });
    });
  }

  #record(kind: string, text: string): void {
    if (kind === "s") this.#shared.add(text);
    if (kind === "o" || kind === "x") this.#file(kind, text);
    else if (kind === "m" || kind === "s") this.#watched.add(text);
    else if (kind === "i") this.#toldApart = false;
    else if (kind === "f") this.#notWatched(text);
    else if (kind === "!") this.doubt(`nothing was observed: ${text}`);
    else if (kind === "?") this.doubt(text);
    else if (kind === "e") this.#complete = true;
  }

  #file(kind: "o" | "x", path: string): void {
    const isNew = !this.#opened.has(path);
    if (isNew) {
      const { maxFiles = MAX_FILES } = this.#options;
      this.#bytes += path.length;
      if (this.#opened.size >= maxFiles || this.#bytes > MAX_PATH_BYTES) {
        this.doubt(`more than ${this.#opened.size} files were opened: no more were noted`);
        return;
      }
      this.#opened.add(path);
    }
    if (kind === "x") this.#executed.add(path);
  }

  #notWatched(text: string): void {
    const [place = "", reason = ""] = text.split("\t");
    const places = this.#unwatched.get(reason) ?? [];
    if (places.length <= NAMED_PLACES) places.push(place);
    this.#unwatched.set(reason, places);
  }

  reads(): Reads {
    for (const [reason, places] of this.#unwatched) {
      const named =
        places.length > NAMED_PLACES ? [...places.slice(0, NAMED_PLACES), "others"] : places.sort(byteOrder);
      this.doubt(`what is opened in ${named.join(", ")} cannot be observed: ${reason}${remedyOf(reason)}`);
    }
    if (this.#started && !this.#complete && this.#doubts.size === 0)
      this.doubt("the observer was ended before its time");
    return {
      opened: sorted(this.#opened),
      executed: this.#toldApart ? sorted(this.#executed) : undefined,
      watched: sorted(this.#watched),
      shared: sorted(this.#shared),
      doubts: sorted(this.#doubts),
    };
  }
}

function sorted(texts: Iterable<string>): string[] {
  return [...texts].sort(byteOrder);
}

/** ENOSPC is inotify's word for its limit. */
function remedyOf(reason: string): string {
  return reason.startsWith("No space left") ? ": raise fs.inotify.max_user_watches" : "";
}
