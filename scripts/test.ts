/**
 * Runs every test file under src/ and test/, or those whose path contains an argument. Each is a process of its own, one
 * more at a time than there are CPUs, because builds wait as well (the second world starts two seconds later). One that
 * does not end in time is ended and named, and so is one that leaves behind a process that holds its output; the others
 * go on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { killGroup } from "../src/child.ts";

const AT_ONCE = availableParallelism() + 1;
const LIMIT_MINUTES = 16;
/** After the file's own process has ended. */
const LET_GO_SECONDS = 30;
const COUNTED = ["tests", "pass", "fail", "cancelled", "skipped", "todo"];

const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
// What crosses rooms takes longest, and goes first: so no CPU idles while the last one ends.
const files = ["test", "src"]
  .flatMap((folder) => globSync(`${folder}/**/*.test.ts`).sort())
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(2);
}

const failed: string[] = [];
const counts = new Map<string, number>(COUNTED.map((name) => [name, 0]));
const running = new Set<ChildProcess>();

/** Tests start bitforbit some thousand times: compiled once, it starts in a third of the processor time. */
const compiled = mkdtempSync(join(tmpdir(), "bitforbit-compiled-"));
process.once("exit", () => rmSync(compiled, { recursive: true, force: true }));
const env = { NODE_COMPILE_CACHE: compiled, ...process.env };

/** Prints what a file said, without its summary, which is added up. */
function report(output: string): void {
  for (const line of output.split("\n")) {
    const [, name = "", number = ""] = /^ℹ (\w+) ([\d.]+)$/.exec(line) ?? [];
    if (counts.has(name)) counts.set(name, (counts.get(name) ?? 0) + Number(number));
    else if (line !== "" && name !== "suites" && name !== "duration_ms") console.log(line);
  }
}

/** What is wrong with how the file ended; undefined when nothing is. */
async function runFile(file: string): Promise<string | undefined> {
  const child = spawn(process.execPath, ["--test-reporter=spec", ...flags, file], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that it ends with all that it started.
    detached: true,
  });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => (output += text));
  }
  const closed = new Promise<true>((resolve) => child.once("close", () => resolve(true)));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, LIMIT_MINUTES * 60_000);
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  clearTimeout(timer);
  const patience = new Promise<false>((resolve) => setTimeout(() => resolve(false), LET_GO_SECONDS * 1000).unref());
  const clean = await Promise.race([closed, patience]);
  killGroup(child.pid);
  child.stdout.destroy();
  child.stderr.destroy();
  running.delete(child);
  report(output);
  if (late) return `did not end within ${LIMIT_MINUTES} minutes`;
  if (code !== 0) return code === null ? "was killed" : `failed (exit ${code})`;
  return clean ? undefined : `left a process behind that still holds its output after ${LET_GO_SECONDS} seconds`;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const child of running) killGroup(child.pid);
    process.exit(1);
  });
}

const began = performance.now();
const waiting = files.values();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const file of waiting) {
      const wrong = await runFile(file);
      if (wrong === undefined) continue;
      failed.push(`${file} ${wrong}`);
      console.log(`✖ ${file} ${wrong}`);
    }
  }),
);
for (const name of COUNTED) console.log(`ℹ ${name} ${counts.get(name)}`);
console.log(`ℹ duration_ms ${Math.round(performance.now() - began)}`);
if (failed.length > 0) console.log(`\n✖ failing files:\n${failed.sort().join("\n")}`);
process.exit(failed.length > 0 ? 1 : 0);
