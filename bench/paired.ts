/** Times two commands in turn, A B A B …, so that a drifting machine hurts both alike. */
import { spawnSync } from "node:child_process";

export type Command = readonly [program: string, ...args: string[]];

export interface Paired {
  /** Medians of wall time in milliseconds. */
  a: number;
  b: number;
  /** Median of the ratio pair by pair. */
  ratio: number;
}

export interface TimeOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Exit codes that are an answer; any other is a failure of the benchmark. */
  accept?: readonly number[];
  timeoutMilliseconds?: number;
}

export function paired(a: Command, b: Command, runs = 15, options: TimeOptions = {}): Paired {
  const times: { a: number; b: number }[] = [];
  time(a, options);
  time(b, options);
  for (let run = 0; run < runs; run++) times.push({ a: time(a, options), b: time(b, options) });
  return medians(times);
}

export function medians(times: readonly { a: number; b: number }[]): Paired {
  return {
    a: median(times.map((pair) => pair.a)),
    b: median(times.map((pair) => pair.b)),
    ratio: median(times.map((pair) => pair.a / pair.b)),
  };
}

/** Wall time of one run in milliseconds. Throws when it fails. */
export function time(command: Command, options: TimeOptions = {}): number {
  const milliseconds = timeOrEnd(command, options);
  if (milliseconds === undefined) throw new Error(`${command.join(" ")} took too long`);
  return milliseconds;
}

/** Like `time`; undefined when the time was up first. */
export function timeOrEnd([program, ...args]: Command, options: TimeOptions = {}): number | undefined {
  const { accept = [0], timeoutMilliseconds, ...spawnOptions } = options;
  const start = process.hrtime.bigint();
  const ran = spawnSync(program, args, {
    stdio: ["ignore", "ignore", "pipe"],
    ...spawnOptions,
    ...(timeoutMilliseconds === undefined ? {} : { timeout: timeoutMilliseconds, killSignal: "SIGKILL" as const }),
  });
  if ((ran.error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT") return undefined;
  if (ran.error !== undefined) throw ran.error;
  if (ran.status === null || !accept.includes(ran.status)) {
    throw new Error(`${program} ${args.join(" ")} exited with ${ran.status}: ${ran.stderr.toString().slice(-500)}`);
  }
  return Number(process.hrtime.bigint() - start) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
