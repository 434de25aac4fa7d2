/**
 * Real pairs of files to compare, of all kinds, most with a difference that was planted:
 *
 *     npm run pairs                  makes all that are not there yet
 *     npm run pairs -- deb-hello oci these, or those whose name begins so
 *     npm run pairs -- --again NAME  made again
 *
 * They are kept in `$BITFORBIT_CACHE`/pairs, else below the temporary folder: NAME/a/FILE and NAME/b/FILE. All that is
 * made here has fixed times, seeds and names; packages are fetched by the client of their registry, Debian's in the
 * version that its archive has today. What cannot be made on this machine is told, and the exit code is then 1.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { PAIRS } from "./pairs/all.ts";
import { type Pair, pairsFolder } from "./pairs/workshop.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { again: { type: "boolean" } } });
const asked = PAIRS.filter(({ name }) => positionals.length === 0 || positionals.some((word) => name.startsWith(word)));
if (asked.length === 0) {
  console.error(`no pair is called so; there are ${PAIRS.map(({ name }) => name).join(" ")}`);
  process.exit(2);
}
// as a build would have it
process.umask(0o022);
let failed = 0;
for (const pair of asked) failed += await made(pair);
console.log(`${asked.length - failed} pairs in ${pairsFolder()}`);
process.exitCode = failed === 0 ? 0 : 1;

/** 1 when it could not be made. Half a pair is never left. */
async function made({ name, what, file, make }: Pair): Promise<number> {
  const place = join(pairsFolder(), name);
  if (existsSync(place) && values.again !== true) return 0;
  const began = performance.now();
  const half = `${place}.half`;
  rmSync(half, { recursive: true, force: true });
  for (const side of ["a", "b"]) mkdirSync(join(half, side), { recursive: true });
  try {
    await make(join(half, "a", file), join(half, "b", file));
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    rmSync(half, { recursive: true, force: true });
    return 1;
  }
  rmSync(place, { recursive: true, force: true });
  renameSync(half, place);
  console.log(`${name}: ${what} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  return 0;
}
