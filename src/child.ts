import { type ChildProcess, spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { BitforbitError, systemCode } from "./errors.ts";

export interface Ran {
  exitCode: number;
  stdout: Uint8Array;
  stderr: string;
}

/**
 * Runs a program of this machine that we trust (git, apt-get, a package
 * manager's own client), never a project's build: that is `sandbox/`. No shell;
 * output is bounded. Throws `lacking` when the program is not installed.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: {
    cwd?: string;
    env?: Readonly<Record<string, string | undefined>>;
    input?: Uint8Array | string;
    maxBytes?: number;
    timeoutMilliseconds?: number;
  } = {},
): Promise<Ran> {
  const maxBytes = options.maxBytes ?? 64 << 20;
  return await new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    // Node's own timer goes on, and keeps us alive, when the program is not there.
    const { timeoutMilliseconds: limit } = options;
    const kill = (): void => {
      child.kill("SIGKILL");
      // What it started may live on and hold these: nobody waits for that.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const timer = limit === undefined ? undefined : setTimeout(kill, limit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    const take = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        kill();
        reject(new BitforbitError("limit", `${program} printed more than ${maxBytes} bytes`));
        return;
      }
      into.push(chunk);
    };
    child.stdout?.on("data", take(out));
    child.stderr?.on("data", take(err));
    child.on("error", (error) => {
      clearTimeout(timer);
      if (systemCode(error) === "ENOENT") {
        reject(
          new BitforbitError("lacking", `${program} is not installed`, {
            cause: error,
            hint: `install ${program}, then run again`,
          }),
        );
      } else {
        reject(error);
      }
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({
        exitCode: code ?? -1,
        stdout: new Uint8Array(Buffer.concat(out)),
        stderr: Buffer.concat(err).toString(),
      });
    });
    if (options.input !== undefined) {
      child.stdin?.on("error", () => child.stdin?.destroy());
      child.stdin?.end(options.input);
    }
  });
}

/** Our end of this descriptor tells the watcher of a kept program whether we live. */
const LIFELINE_FD = 4;

/** A shell outside of the group waits for the word that all is well; when we die instead, however, it ends the group. */
const KEPT = `
setsid sh -c 'read -r said; [ "$said" = ended ] || kill -KILL "-$1"' sh $$ <&${LIFELINE_FD} >/dev/null 2>&1 3<&- ${LIFELINE_FD}<&- &
exec "$@" ${LIFELINE_FD}<&-`;

/** How long a killed group may take to let go of its output. */
const LET_GO_MILLISECONDS = 5000;

export interface Kept {
  /** Output is to be read by the caller; descriptor 3 inside is `shown`. */
  child: ChildProcess;
  /** When the program has ended and nothing holds its output any more. Undefined: a signal ended it. */
  ended: Promise<number | undefined>;
}

/**
 * Starts a program of which nothing outlives it, or `signal`, or
 * `timeoutMilliseconds`, or us: it leads a process group of its own, without a
 * terminal, and the group is killed as a whole. For what starts processes of
 * its own and cannot be trusted to end them in time: bubblewrap's
 * `--die-with-parent` holds only from the moment when it has set that.
 */
export function keep(
  command: readonly string[],
  options: { shown: number; timeoutMilliseconds: number; signal: AbortSignal | undefined },
): Kept {
  const { signal } = options;
  const child = spawn("sh", ["-c", KEPT, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe", options.shown, "pipe"],
    detached: true,
  });
  const streams: readonly unknown[] = child.stdio;
  const lifeline = streams[LIFELINE_FD] as Writable;
  lifeline.on("error", () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    killGroup(child.pid);
    clearTimeout(timer);
    timer = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      lifeline.destroy();
    }, LET_GO_MILLISECONDS);
  };
  timer = setTimeout(end, options.timeoutMilliseconds);
  if (signal?.aborted === true) end();
  else signal?.addEventListener("abort", end);
  const ended = new Promise<number | undefined>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      // It may have been killed before what it started could know of its end.
      if (code !== 0) end();
      lifeline.end("ended\n");
    });
    child.once("close", (code) => resolve(code ?? undefined));
  }).finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  });
  return { child, ended };
}

/** Ends a process group, if there is one left. */
export function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // It ended just now.
  }
}
