import { constants } from "node:fs";
import { access, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { askedFor } from "../../flow/asked.ts";
import { check as checkProject, type CheckOptions, type Outcome, type Verdict } from "../../flow/check.ts";
import { parsePercentage } from "../../explain/chance.ts";
import { verdictDocument } from "../../flow/document.ts";
import { prepare, type Prepared } from "../../flow/prepare.ts";
import { withScratch } from "../../flow/scratch.ts";
import { probeHost } from "../../sandbox/host.ts";
import { parseDuration } from "../../recipe/quantity.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import { onInterrupt } from "../interrupt.ts";
import type { Terminal } from "../terminal.ts";
import { showPrepared, showVerdict } from "../verdict.ts";

export const EXIT_OF: Readonly<Record<Outcome, ExitCode>> = {
  reproducible: 0,
  "built-once": 0,
  differs: 1,
  "fails-in-adversarial": 1,
  failed: 3,
};

/** `bitforbit check [DIR]`: worlds only, no attestation; a dirty tree is welcome. */
export async function check(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const report = await reportPlace(options);
  return await withScratch(
    home,
    { keep: options["keep"] === true, say: (line) => terminal.say(line) },
    async (scratch) => {
      const { prepared, verdict } = await buildTwice(folder, home, scratch, terminal, explaining(options));
      showVerdict(terminal, verdict);
      await writeReport(report, prepared, verdict, terminal);
      terminal.document(verdictDocument(prepared, verdict));
      return EXIT_OF[verdict.outcome];
    },
  );
}

/** Where `--html` wants the report. Throws `input` when nothing can be written there: that is better known before an hour of building. */
export async function reportPlace(options: Options): Promise<string | undefined> {
  const file = text(options, "html");
  if (file === undefined) return undefined;
  const folder = dirname(resolve(file));
  try {
    await access(folder, constants.W_OK);
    if ((await stat(file).catch(() => undefined))?.isDirectory() === true) throw new Error("it is a folder");
  } catch (error) {
    throw new BitforbitError("input", `${file}: no report can be written there`, {
      hint: `is ${folder} a folder that you may write to?`,
      cause: error,
    });
  }
  return file;
}

/** Writes the report, where one is wanted. */
export async function writeReport(
  file: string | undefined,
  prepared: Prepared,
  verdict: Verdict,
  terminal: Terminal,
): Promise<void> {
  if (file === undefined) return;
  const { checkReport } = await import("../../flow/check-report.ts");
  await writeFile(file, checkReport(prepared, verdict));
  terminal.say(`report: ${file}`);
}

type HowFar = Pick<CheckOptions, "quick" | "budget" | "confidence" | "rarity" | "vary" | "noVary">;

/** How far the causes of a difference are followed, and how often builds that agree are repeated. */
export function explaining(options: Options): HowFar {
  const { budget, until, rarity, vary, noVary } = options;
  const wishes = {
    ...(typeof vary === "string" ? { vary: namesIn(vary) } : {}),
    ...(typeof noVary === "string" ? { noVary: namesIn(noVary) } : {}),
  };
  askedFor({}, wishes); // a wrong name is better known before anything is fetched
  return {
    ...wishes,
    quick: options["quick"] === true,
    ...(typeof budget === "string" ? { budget: parseDuration(budget) * 1000 } : {}),
    ...(typeof until === "string" ? { confidence: parsePercentage(until, 0.5, 0.999999) } : {}),
    ...(typeof rarity === "string" ? { rarity: parsePercentage(rarity, 0.001, 0.5) } : {}),
  };
}

/** `clock,path` and `clock, path`. */
const namesIn = (list: string): string[] => list.split(/[\s,]+/).filter((name) => name !== "");

/** Prepares the project and builds it in both worlds, with progress. */
export async function buildTwice(
  folder: string,
  home: Prepared["home"],
  scratch: string,
  terminal: Terminal,
  options: HowFar & { once?: boolean; accept?: (prepared: Prepared) => void } = {},
): Promise<{ prepared: Prepared & { lockMade: boolean }; verdict: Verdict }> {
  return await onInterrupt(async (signal) => {
    const host = await probeHost();
    const prepared = await prepare(folder, home, {
      host,
      scratch,
      signal,
      onProgress: (line) => terminal.progress(`fetch · ${line}`),
      onWarning: (line) => terminal.warn(line),
    });
    options.accept?.(prepared);
    showPrepared(terminal, prepared);
    const verdict = await checkProject(prepared, {
      host,
      scratch,
      signal,
      ...options,
      onProgress: (world, line) => terminal.progress(`${world} · ${line}`),
    });
    terminal.progress(undefined);
    return { prepared, verdict };
  });
}
