import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { namesIn } from "./tree.ts";

/** Command lines of this machine's processes that bear the mark, ourselves not counted. */
async function living(mark: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      if (line.includes(mark)) found.push(`${name} ${line}`);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

/** Fails unless all processes that bear the mark in their command lines end: what is killed needs a moment to be gone. */
export async function nothingIsLeft(mark: string): Promise<void> {
  let left = await living(mark);
  for (let tries = 0; left.length > 0 && tries < 600; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    left = await living(mark);
  }
  assert.deepEqual(left, []);
}
