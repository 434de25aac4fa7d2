import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../child.ts";
import { BitforbitError } from "../errors.ts";

/**
 * Named pipes for output. A child's stdout that Node makes is a socket, and
 * `echo >/dev/stderr` fails on a socket; a pipe is what a build expects.
 */
const freePipes: string[] = [];
let pipeCount = 0;

/** The path of a named pipe that nobody else uses until it is given back; new ones are made in `folder`. */
export async function takePipe(folder: string): Promise<string> {
  const free = freePipes.pop();
  if (free !== undefined && existsSync(free)) return free;
  const path = join(folder, `p${pipeCount++}`);
  const made = await run("mkfifo", ["-m", "0666", path]);
  if (made.exitCode !== 0) throw new BitforbitError("outside", `cannot make a pipe: ${made.stderr.trim()}`);
  return path;
}

export function givePipe(path: string): void {
  freePipes.push(path);
}
