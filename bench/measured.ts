/** Wall time and peak memory of whole processes, by GNU time. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "./paired.ts";

export interface Figure {
  seconds: number;
  /** The largest of its processes at its largest. */
  mebibytes: number;
  /** False: it was stopped when its time was up. */
  ended: boolean;
}

export interface MeasureOptions {
  /** Exit codes that are an answer. */
  accept: readonly number[];
  /** Stopped then, with all that it started. */
  seconds: number;
  /** Standard output goes there. */
  into?: string;
}

const STOPPED = 124;

/** One run. Throws when it fails. */
export function measure(command: Command, { accept, seconds, into }: MeasureOptions): Figure {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-measure-"));
  const told = join(folder, "told");
  const output = into === undefined ? "ignore" : openSync(into, "w");
  try {
    const start = process.hrtime.bigint();
    const ran = spawnSync("timeout", ["-k", "5", String(seconds), "time", "-f", "%M", "-o", told, ...command], {
      stdio: ["ignore", output, "pipe"],
      maxBuffer: 1 << 28,
    });
    const took = Number(process.hrtime.bigint() - start) / 1e9;
    if (ran.error !== undefined) throw ran.error;
    if (ran.status === STOPPED) return { seconds: took, mebibytes: Number.NaN, ended: false };
    if (ran.status === null || !accept.includes(ran.status)) {
      throw new Error(`${command.join(" ")} exited with ${ran.status}: ${ran.stderr.toString().slice(-500)}`);
    }
    // a line before it tells of an exit code other than 0
    const kibibytes = Number(readFileSync(told, "utf8").trim().split("\n").at(-1));
    return { seconds: took, mebibytes: kibibytes / 1024, ended: true };
  } finally {
    if (typeof output === "number") closeSync(output);
    rmSync(folder, { recursive: true, force: true });
  }
}
