/** Times two commands in turn, A B A B …, so that a drifting machine hurts both alike. */
import { spawnSync } from "node:child_process";

export type Command = readonly [program: string, ...args: string[]];

/** Medians of wall time in milliseconds, and of the ratio pair by pair. */
export function paired(
  a: Command,
  b: Command,
  runs = 15,
  options: { cwd?: string } = {},
): { a: number; b: number; ratio: number } {
  const times: { a: number; b: number }[] = [];
  time(a, options);
  time(b, options);
  for (let run = 0; run < runs; run++) times.push({ a: time(a, options), b: time(b, options) });
  return {
    a: median(times.map((pair) => pair.a)),
    b: median(times.map((pair) => pair.b)),
    ratio: median(times.map((pair) => pair.a / pair.b)),
  };
}

function time([program, ...args]: Command, options: { cwd?: string }): number {
  const start = process.hrtime.bigint();
  const ran = spawnSync(program, args, { stdio: "ignore", ...options });
  if (ran.error !== undefined) throw ran.error;
  return Number(process.hrtime.bigint() - start) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
