/**
 * Real packages from the registries, through the command line as a user has it:
 *
 *     npm run corpus                              what has no result yet
 *     npm run corpus -- --ecosystem pip           of one ecosystem
 *     npm run corpus -- --only hello,figlet       these
 *     npm run corpus -- --jobs 4 --budget 90m     four at a time; none is begun after 90 minutes
 *     npm run corpus -- --redo                    what has a result as well
 *     npm run corpus -- --failed                  what could not be locked or built, too
 *     npm run corpus -- --work DIR                project folders there (recipes and logs stay)
 *
 * Each is locked, checked, and where it differs checked with determinise and
 * after fix, as far as this bitforbit can do that. A result is a line of
 * results.jsonl as soon as it is there: a run that is cut short goes on where
 * it was. docs/corpus.md is written from the results.
 */
import { mkdirSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { parseDuration } from "../../src/recipe/quantity.ts";
import { VERSION } from "../../src/version.ts";
import { bitforbitWithin } from "./bitforbit.ts";
import { abilities, clear, measureEntry } from "./entry.ts";
import { ECOSYSTEMS, type Entry, readList } from "./list.ts";
import { folderName } from "./project.ts";
import { appendResult, readResults, type Result, resultOf } from "./results.ts";
import { writePage } from "./table.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** Of one call of bitforbit. No entry's build takes a tenth of it alone. */
const LONGEST_SECONDS = 30 * 60;

const { values } = parseArgs({
  options: {
    ecosystem: { type: "string" },
    only: { type: "string" },
    jobs: { type: "string" },
    budget: { type: "string" },
    work: { type: "string", default: join(tmpdir(), "bitforbit-corpus") },
    redo: { type: "boolean", default: false },
    failed: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

/** A check builds twice at a time. */
const jobs = values.jobs === undefined ? Math.max(1, availableParallelism() >> 1) : Number(values.jobs);
const budget = values.budget === undefined ? Number.POSITIVE_INFINITY : parseDuration(values.budget) * 1000;
if (!Number.isInteger(jobs) || jobs < 1) refuse(`not a number of jobs: ${values.jobs}`);
if (values.ecosystem !== undefined && !ECOSYSTEMS.some((name) => name === values.ecosystem)) {
  refuse(`no such ecosystem: ${values.ecosystem}; there are ${ECOSYSTEMS.join(", ")}`);
}

function refuse(words: string): never {
  console.error(words);
  process.exit(2);
}

const list = readList();
const only = values.only?.split(",");
const strangers = only?.filter((name) => !list.some((entry) => entry.name === name)) ?? [];
if (strangers.length > 0) refuse(`not in the list: ${strangers.join(", ")}`);

const can = abilities(join(ROOT, "bin/bitforbit"), join(ROOT, "schemas/recipe.schema.json"));
const before = readResults();
const waiting = interleaved(
  list.filter((entry) => {
    if (values.ecosystem !== undefined && entry.ecosystem !== values.ecosystem) return false;
    if (only !== undefined && !only.includes(entry.name)) return false;
    const result = resultOf(before, entry, VERSION);
    return values.redo || result === undefined || (values.failed && !wasBuilt(result)) || !isComplete(result);
  }),
);

/** Whether what this bitforbit can do has been done; a result of an earlier state of it may lack that. */
function isComplete({ check, fix, determinise }: Result): boolean {
  if (check?.verdict !== "differs" && check?.verdict !== "fails-in-adversarial") return true;
  return (!can.fix || fix !== undefined) && (!can.determinise || determinise !== undefined);
}

function wasBuilt({ check }: Result): boolean {
  return check !== undefined && check.verdict !== "failed" && check.verdict !== "not checked";
}

/** One of each ecosystem in turn, so that a run that is cut short has tried some of all. */
function interleaved(entries: readonly Entry[]): Entry[] {
  const rows = ECOSYSTEMS.map((ecosystem) => entries.filter((entry) => entry.ecosystem === ecosystem));
  const longest = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: longest }, (_, at) => rows.flatMap((row) => row.slice(at, at + 1))).flat();
}

function lineOf({ ecosystem, name, version, lock, check, fix, determinise }: Result): string {
  const told = (one: typeof check): string =>
    one === undefined
      ? ""
      : `${one.verdict} ${Object.keys(one.causes).join(", ")}${one.reason ? ` (${one.reason})` : ""}`;
  const seconds = lock.seconds + (check?.seconds ?? 0) + (fix?.seconds ?? 0) + (determinise?.seconds ?? 0);
  const words = check === undefined ? `not locked (${lock.reason})` : told(check);
  const more = [fix?.check && `fixed: ${told(fix.check)}`, determinise && `determinise: ${told(determinise)}`];
  return [`${ecosystem} ${name} ${version}: ${words}`, ...more.filter(Boolean), `${seconds.toFixed(0)} s`].join(" · ");
}

const began = performance.now();
const total = waiting.length;
let stopped = false;
process.once("SIGINT", () => {
  stopped = true;
  console.error("no more are begun; what runs is given up");
});

async function work(): Promise<void> {
  for (;;) {
    const entry = stopped || performance.now() - began > budget ? undefined : waiting.shift();
    if (entry === undefined) return;
    const folder = join(values.work, folderName(entry));
    mkdirSync(folder, { recursive: true });
    const result = await measureEntry(entry, folder, bitforbitWithin(LONGEST_SECONDS), can);
    if (!values.keep) clear(folder);
    if (stopped) return;
    appendResult(result);
    console.log(`${total - waiting.length}/${total} ${lineOf(result)}`);
  }
}

console.error(
  `${total} of ${list.length} to do; fix: ${can.fix ? "yes" : "not there yet"}, determinise: ${can.determinise ? "yes" : "not there yet"}`,
);
await Promise.all(Array.from({ length: jobs }, work));
writePage();
if (waiting.length > 0) console.error(`${waiting.length} not begun: run it again`);
