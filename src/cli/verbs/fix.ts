import { neutralised } from "../../bytes.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { fix as fixProject, type Fixed, type Trial } from "../../flow/fix.ts";
import { fixDocument } from "../../flow/fix-document.ts";
import { writeFixed } from "../../flow/fix-write.ts";
import { prepare, type Prepared } from "../../flow/prepare.ts";
import { withScratch } from "../../flow/scratch.ts";
import { parseDuration } from "../../recipe/quantity.ts";
import { probeHost } from "../../sandbox/host.ts";
import type { CauseName } from "../../world.ts";
import { onInterrupt } from "../interrupt.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import { counted, type Terminal } from "../terminal.ts";
import { showPrepared } from "../verdict.ts";
import { EXIT_OF } from "./check.ts";

/** Causes that a remedy of the project's own can mend. */
const CAUSES: readonly CauseName[] = [
  "clock",
  "mtime",
  "timezone",
  "locale",
  "path",
  "readdir-order",
  "hash-order",
  "random",
  "pid",
  "user",
  "umask",
  "hostname",
  "kernel",
  "cpu-count",
  "race",
  "load",
  "machine",
  "filesystem",
  "vcs",
  "archive-metadata",
  "unknown",
];

/** `bitforbit fix [DIR]`: tries remedies, keeps what helps, writes it into the working tree. */
export async function fix(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const cause = causeOf(text(options, "cause"));
  const budget = text(options, "budget");
  const milliseconds = budget === undefined ? undefined : parseDuration(budget) * 1000;
  const force = options["force"] === true;
  return await withScratch(home, {}, async (scratch) => {
    const { prepared, fixed } = await onInterrupt(async (signal) => {
      const host = await probeHost();
      const ready = await prepare(folder, home, {
        host,
        scratch,
        signal,
        onProgress: (line) => terminal.progress(`fetch · ${line}`),
        onWarning: (line) => terminal.warn(line),
      });
      showPrepared(terminal, ready);
      const done = await fixProject(ready, {
        host,
        scratch,
        signal,
        ...(cause === undefined ? {} : { cause }),
        ...(milliseconds === undefined ? {} : { budget: milliseconds }),
        onProgress: (line) => terminal.progress(line),
        onTrial: (trial) => showTrial(terminal, trial),
      });
      terminal.progress(undefined);
      return { prepared: ready, fixed: done };
    });
    showChanges(terminal, fixed);
    const written = options["dryRun"] === true ? [] : await writeFixed(prepared, fixed, { force });
    showOutcome(terminal, prepared, fixed, written);
    terminal.document(fixDocument(prepared, fixed, written));
    return EXIT_OF[fixed.after.outcome];
  });
}

function causeOf(name: string | undefined): CauseName | undefined {
  if (name === undefined) return undefined;
  const found = CAUSES.find((one) => one === name);
  if (found !== undefined) return found;
  throw new BitforbitError("usage", `not a cause that can be mended: ${JSON.stringify(name)}`, {
    hint: CAUSES.join(", "),
  });
}

const SIGNS: Readonly<Record<Trial["outcome"], string>> = {
  helped: "helps",
  "no-help": "no help",
  broke: "breaks the build",
  "not-needed": "not needed",
};

function showTrial(terminal: Terminal, trial: Trial): void {
  const sign = SIGNS[trial.outcome];
  const shown = trial.outcome === "helped" ? terminal.good(sign) : terminal.dim(sign);
  terminal.step("tried", `${terminal.strong(trial.cause)}: ${trial.says} · ${shown}`);
}

/** The diff as git shows one, and whose work each change is. */
function showChanges(terminal: Terminal, fixed: Fixed): void {
  if (fixed.diff === "") return;
  terminal.line();
  for (const line of fixed.diff.trimEnd().split("\n")) {
    const said = neutralised(line);
    terminal.line(/^[+](?![+])/.test(line) ? terminal.good(said) : /^-(?!-)/.test(line) ? terminal.bad(said) : said);
  }
  terminal.line();
}

function showOutcome(terminal: Terminal, { recipe }: Prepared, fixed: Fixed, written: readonly string[]): void {
  const { before, after, trials, builds, stopped } = fixed;
  const dropped = trials.filter(({ outcome }) => outcome === "not-needed");
  for (const trial of dropped) terminal.step("dropped", `${trial.remedy}: ${trial.because ?? ""}`);
  for (const run of after.worlds) {
    if (run.failure !== undefined)
      terminal.step("failure", `in the ${run.world.name} world: ${neutralised(run.failure.reason)}`);
  }
  const left = [...new Set(after.causes.map(({ name }) => name))].filter((name) => name !== "consequence");
  if (before.outcome === "reproducible")
    terminal.step("verdict", `${recipe.name} ${terminal.good("reproduces")}: nothing to mend`);
  else if (after.outcome === "reproducible")
    terminal.step("verdict", `${terminal.good("reproducible")} with these changes`);
  else
    terminal.step("verdict", `${terminal.bad(after.outcome)}${left.length === 0 ? "" : `: ${left.join(", ")} left`}`);
  if (stopped !== undefined) terminal.step("", terminal.dim(`ended early: ${STOPPED[stopped]}`));
  terminal.step(
    "",
    terminal.dim(`${counted(trials.length, "remedy", "remedies")} tried in ${counted(builds, "build")}`),
  );
  if (written.length > 0)
    terminal.step("written", `${written.join(", ")}; review with git diff, then 'bitforbit build'`);
}

const STOPPED: Readonly<Record<NonNullable<Fixed["stopped"]>, string>> = {
  budget: "the time is used up (--budget)",
  builds: "as many builds as one run makes; run it again to go on from here",
  interrupted: "interrupted; what had helped until then is kept, and not all of it may be needed",
};
