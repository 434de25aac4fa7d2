import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import { systemCode } from "../errors.ts";
import { namesIn, removeTree } from "../tree.ts";
import { type Home, makeHome } from "./home.ts";

const ABANDONED_AFTER = 24 * 60 * 60 * 1000;

/**
 * Gives `work` a scratch folder of its own and removes it afterwards, also when
 * `work` throws. What a killed run left behind a day ago is removed first.
 */
export async function withScratch<T>(
  home: Home,
  options: { keep?: boolean; say?: (line: string) => void; clock?: Clock; entropy?: Entropy },
  work: (folder: string) => Promise<T>,
): Promise<T> {
  await makeHome(home);
  await mkdir(home.scratch, { recursive: true });
  await removeAbandoned(home.scratch, options.clock ?? systemClock);
  const folder = join(home.scratch, uniqueName(options.entropy ?? systemEntropy).slice(0, 12));
  await mkdir(folder);
  try {
    return await work(folder);
  } finally {
    if (options.keep === true) options.say?.(`kept: ${folder}`);
    else await removeTree(folder);
  }
}

async function removeAbandoned(scratch: string, clock: Clock): Promise<void> {
  for (const name of await namesIn(scratch)) {
    try {
      const { mtimeMs } = await lstat(join(scratch, name));
      if (clock.now() - mtimeMs > ABANDONED_AFTER) await removeTree(join(scratch, name));
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error; // another run removed it first
    }
  }
}
