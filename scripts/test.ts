/** Runs every test file under src/ and test/, or those whose path contains an argument. */
import { globSync } from "node:fs";
import { spawnSync } from "node:child_process";

const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const files = globSync("{src,test}/**/*.test.ts")
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(2);
}
const run = spawnSync(
  process.execPath,
  ["--test", "--test-concurrency=2", "--test-timeout=600000", ...flags, ...files],
  {
    stdio: "inherit",
  },
);
process.exit(run.status ?? 1);
