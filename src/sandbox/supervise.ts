import { closeSync, constants, openSync, readFileSync, write } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { constants as osConstants } from "node:os";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { killGroup } from "../child.ts";
import { systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { type Cgroups, makeCgroups, NO_CGROUPS, type RunCgroups } from "./cgroup.ts";
import type { BoundedLog } from "./log.ts";
import { type DiskWatch, hasFileOfSize, treeUse } from "./monitor.ts";
import { countingFrom } from "./first-pid.ts";
import type { Outcome, SandboxResult, SandboxSpec } from "./sandbox.ts";
import { startChain } from "./starter.ts";

const OUR_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const writeTo = promisify((file: number, text: string, done: (error: Error | null) => void) => write(file, text, done));

/** What a run holds and gives back at its end. */
export interface Resources {
  /** Folder of this process's, which outlives the run. */
  scratch: string;
  /** Private folder, removed afterwards. */
  runFolder: string;
  /** Path of a named pipe for output. */
  pipe: string;
  /** Path of another, before which the build waits. */
  gate: string;
  log: BoundedLog;
}

export interface Started {
  program: string;
  args: string[];
  files: readonly Buffer[];
  /** What starts the program (see starter.ts), and a folder that nobody else can enter. */
  starter: string | undefined;
  starterFolder: string;
  /** Where the run's control groups are made. */
  cgroups: Cgroups;
  disk: DiskWatch;
  /** Kernel user who is given the writable folders. */
  owner: number | undefined;
  writable: readonly string[];
  /** From where the build's processes are numbered, and the program that sees to it. */
  firstPid: { program: string; number: number } | undefined;
}

export interface Supervised extends Omit<SandboxResult, "lacks"> {
  /** What the process that orders directories said at its end: see directory-order.ts. */
  orderAccount: string;
  /** The build's processes were numbered as was asked. */
  numbered: boolean;
}

/**
 * Starts the chain, drains its output, enforces the limits, and says how it
 * ended. When it returns no process of the build is left.
 */
export async function supervise(spec: SandboxSpec, resources: Resources, started: Started): Promise<Supervised> {
  const { log } = resources;
  const began = systemClock.elapsed();
  const reading = openSync(resources.pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const writing = openSync(resources.pipe, constants.O_WRONLY);
  // Whoever reads there writes, too: so it never ends, and opens by our word only.
  const gate = openSync(resources.gate, constants.O_RDWR);
  const child = await startChain(started.starter, started.starterFolder, {
    program: started.program,
    args: started.args,
    environment: { PATH: OUR_PATH, LC_ALL: "C" },
    output: resources.pipe,
    gate: resources.gate,
    files: started.files,
  })
    .catch((error: unknown) => {
      closeSync(reading);
      closeSync(gate);
      throw error;
    })
    .finally(() => closeSync(writing));
  const output = new Socket({ fd: reading, readable: true, writable: false });
  output.on("data", (chunk: Buffer) => log.write(chunk));
  const drained = new Promise<void>((resolve) => output.once("close", resolve));
  let cgroups = NO_CGROUPS;
  let unready: Error | undefined;
  let numbered = true;
  const numbering =
    started.firstPid === undefined ? undefined : countingFrom(started.firstPid.program, started.firstPid.number);
  // All this goes on while bubblewrap sets up its root; the build waits behind the gate.
  const start = async (): Promise<void> => {
    cgroups = makeCgroups(started.cgroups, spec.limits);
    for (const file of cgroups.warmBy) writeFile(file, String(child.pid)).catch(() => undefined);
    const groups = cgroups.joinBy.map((file) => openSync(file, "w"));
    try {
      await started.disk.start(started.owner);
      const inner = await status.started;
      if (inner === undefined) return;
      if (numbering !== undefined) numbered = await numbering.of(inner);
      await Promise.all([...groups.map((group) => writeTo(group, String(inner))), spec.beforeStart?.(inner)]);
      watch.start(cgroups);
      // Who ends the build when we are dead learns of it before the build begins.
      await new Promise<void>((resolve) => void lifeline.write(`${inner}\n`, () => resolve()));
      if (ended === undefined) await writeTo(gate, "!");
    } finally {
      for (const group of groups) closeSync(group);
    }
  };
  const { lifeline } = child;
  lifeline.on("error", () => undefined);
  let orderAccount = "";
  const lifelineClosed = new Promise<void>((resolve) => {
    lifeline.once("close", resolve);
    lifeline.on("data", (chunk: Buffer) => {
      orderAccount = (orderAccount + chunk.toString("latin1")).slice(0, 1000);
      if (orderAccount.includes("\n")) resolve();
    });
  });
  const status = new StatusReader(child.status);
  let ended: Outcome | undefined;
  const end = (why: Outcome): void => {
    ended ??= why;
    kill(status.child, child.pid);
  };
  const watch = new Watch(spec, started.disk, () => status.child ?? child.pid, end);
  const timer = setTimeout(() => end("timeout"), spec.limits.timeoutSeconds * 1000);
  const cancel = (): void => end("cancelled");
  spec.signal?.addEventListener("abort", cancel);
  // Perhaps it was while the run was prepared: nobody tells that again.
  if (spec.signal?.aborted === true) cancel();
  const ready = start().catch((error: unknown) => {
    unready = error as Error;
    kill(status.child, child.pid);
  });
  const failed = await child.ended;
  // What started it is gone, and bubblewrap with it: that does not always end its first process.
  if (failed !== undefined) kill(status.child, undefined);
  const milliseconds = Math.round(systemClock.elapsed() - began);
  clearTimeout(timer);
  spec.signal?.removeEventListener("abort", cancel);
  status.close();
  await ready;
  numbering?.end();
  await watch.stop();
  lifeline.end();
  await within(drained, 5000);
  output.destroy();
  const { truncated } = log.end();
  closeSync(gate);
  const outcome = async (): ReturnType<typeof howItEnded> => {
    if (failed !== undefined) throw new BitforbitError("lacking", `cannot start ${started.program}`, { cause: failed });
    if (unready !== undefined && ended === undefined) throw notReady(unready);
    return await howItEnded(spec, started, status, ended, cgroups, watch);
  };
  const [how] = await Promise.allSettled([outcome()]);
  // What answered the build's calls writes its account meanwhile.
  await Promise.all([cgroups.remove(), within(lifelineClosed, 15_000)]);
  if (how.status === "rejected") throw how.reason as Error;
  return { ...how.value, milliseconds, logTruncated: truncated, orderAccount, numbered };
}

function notReady(error: Error): Error {
  if (error instanceof BitforbitError) return error;
  return new BitforbitError("lacking", `the sandbox could not be made ready: ${error.message}`, { cause: error });
}

async function howItEnded(
  spec: SandboxSpec,
  started: Started,
  status: StatusReader,
  limit: Outcome | undefined,
  cgroups: RunCgroups,
  watch: Watch,
): Promise<Pick<SandboxResult, "outcome" | "exitCode" | "signal" | "peakMemory">> {
  const { exitCode } = status;
  if (limit === undefined && exitCode === undefined) throw notStarted(spec.log);
  const ended = limit ?? (await limitBehind(exitCode ?? 0, cgroups, spec, started.writable));
  const peakMemory = cgroups.peakMemory() ?? watch.peakMemory;
  const signal = ended === undefined ? signalOf(exitCode ?? 0) : undefined;
  return {
    outcome: ended ?? (signal === undefined ? "exited" : "signalled"),
    exitCode,
    ...(signal === undefined ? {} : { signal }),
    ...(peakMemory === undefined || peakMemory === 0 ? {} : { peakMemory }),
  };
}

/** Reads what bubblewrap writes to its `--json-status-fd`: one JSON object a line. */
class StatusReader {
  /** The first process in the sandbox, once there is one; undefined when there never will be. */
  readonly started: Promise<number | undefined>;
  #text = "";
  #settle: (pid: number | undefined) => void = () => undefined;

  constructor(stream: Readable) {
    this.started = new Promise((resolve) => (this.#settle = resolve));
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString();
      if (this.child !== undefined) this.#settle(this.child);
    });
  }

  /** The sandbox has ended: nothing more is coming. */
  close(): void {
    this.#settle(undefined);
  }

  /** Process id, as this machine counts, of the first process in the sandbox. */
  get child(): number | undefined {
    return this.#number("child-pid");
  }

  get exitCode(): number | undefined {
    return this.#number("exit-code");
  }

  #number(name: string): number | undefined {
    const found = new RegExp(`"${name}": (\\d+)[ ,}]`).exec(this.#text)?.[1];
    return found === undefined ? undefined : Number(found);
  }
}

/**
 * Ends the sandbox: the kernel kills everything in a process namespace with
 * its first process, and bubblewrap outside it then ends by itself. Until that
 * process is known it is in the process group that the chain leads.
 */
function kill(inner: number | undefined, outer: number | undefined): void {
  if (inner === undefined) return killGroup(outer);
  try {
    process.kill(inner, "SIGKILL");
  } catch {
    // It ended just now.
  }
}

/** Polls what the kernel does not bound, or bounds without telling. */
class Watch {
  peakMemory: number | undefined;
  #stopped = false;
  #done: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  readonly #spec: SandboxSpec;
  #cgroups = NO_CGROUPS;
  readonly #disk: DiskWatch;
  readonly #pid: () => number | undefined;
  readonly #end: (why: Outcome) => void;

  constructor(spec: SandboxSpec, disk: DiskWatch, pid: () => number | undefined, end: (why: Outcome) => void) {
    this.#spec = spec;
    this.#disk = disk;
    this.#pid = pid;
    this.#end = end;
  }

  start(cgroups: RunCgroups): void {
    this.#cgroups = cgroups;
    this.#done = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#done;
  }

  /** Often at first, since what runs away does so at once; then eight times a second. */
  async #loop(): Promise<void> {
    for (let pause = 25; !this.#stopped; pause = Math.min(pause * 1.5, 125)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, pause).unref();
      });
      if (this.#stopped) return;
      const why = await this.#exceeded();
      if (why !== undefined) {
        this.#end(why);
        return;
      }
    }
  }

  async #exceeded(): Promise<Outcome | undefined> {
    const { limits } = this.#spec;
    if (this.#cgroups.refusedForks() > 0) return "processes";
    if (!this.#cgroups.countsMemory || !this.#cgroups.countsProcesses) {
      const pid = this.#pid();
      const use = pid === undefined ? { processes: 0, residentBytes: 0 } : await treeUse(pid);
      this.peakMemory = Math.max(this.peakMemory ?? 0, use.residentBytes);
      if (!this.#cgroups.countsMemory && use.residentBytes > limits.memoryBytes) return "memory";
      if (!this.#cgroups.countsProcesses && use.processes > limits.processes) return "processes";
    }
    return (await this.#disk.isExceeded(systemClock.elapsed(), systemClock.elapsed)) ? "disk" : undefined;
  }
}

/** The limit that a failed command ran into by itself, without our ending it. */
async function limitBehind(
  exitCode: number,
  cgroups: RunCgroups,
  spec: SandboxSpec,
  writable: readonly string[],
): Promise<Outcome | undefined> {
  if (exitCode === 0) return undefined;
  if (cgroups.memoryKills() > 0) return "memory";
  if (cgroups.refusedForks() > 0) return "processes";
  if (exitCode === 128 + osConstants.signals.SIGXFSZ) return "disk";
  if (await hasFileOfSize(writable, spec.limits.diskBytes)) return "disk";
  return undefined;
}

/** The signal that ended the command; a shell that says so for its child counts as well. */
export function signalOf(exitCode: number): string | undefined {
  return Object.entries(osConstants.signals).find(([, number]) => number === exitCode - 128)?.[0];
}

function notStarted(log: string): BitforbitError {
  const said = readFileSync(log, "utf8").trim().slice(-500);
  return new BitforbitError("lacking", `the sandbox did not start: ${said === "" ? "it said nothing" : said}`);
}

/** Waits for `promise`, but not longer than that. */
async function within(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** Waits, unless `signal` is or becomes aborted. */
export async function delay(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  if (milliseconds <= 0 || signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}
