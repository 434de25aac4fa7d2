import { constants } from "node:fs";
import { access, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { checkAgainst } from "../../flow/against.ts";
import { askedFor } from "../../flow/asked.ts";
import { BUDGET, check as checkProject, type CheckOptions, type Outcome, type Verdict } from "../../flow/check.ts";
import { buildsFor, parsePercentage, RARITY } from "../../explain/chance.ts";
import { type Given, readGiven } from "../../flow/given.ts";
import { verdictDocument } from "../../flow/document.ts";
import { prepare, type Prepared } from "../../flow/prepare.ts";
import { withScratch } from "../../flow/scratch.ts";
import { type KeptBuilds, openKept } from "../../flow/kept-builds.ts";
import { type HostAbilities, probeHost } from "../../sandbox/host.ts";
import { parseDuration } from "../../recipe/quantity.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import { onInterrupt } from "../interrupt.ts";
import { BuildProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import { showPrepared, showVerdict } from "../verdict.ts";

export const EXIT_OF: Readonly<Record<Outcome, ExitCode>> = {
  reproducible: 0,
  "built-once": 0,
  "matches-given": 0,
  "differs-from-given": 1,
  differs: 1,
  "fails-in-adversarial": 1,
  failed: 3,
};

/** `bitforbit check [DIR]`: worlds only, no attestation; a dirty tree is welcome. */
export async function check(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const report = await reportPlace(options);
  const against = text(options, "against");
  return await withScratch(
    home,
    { keep: options["keep"] === true, say: (line) => terminal.say(line) },
    async (scratch) => {
      const { prepared, verdict } = await buildTwice(folder, home, scratch, terminal, {
        ...explaining(options),
        // Whoever wants to look at the build trees wants them made.
        ...(options["keep"] === true ? {} : { resume: options["fresh"] === true ? "afresh" : "on" }),
        again: againWords(args, options),
        ...(against === undefined ? {} : { given: await readGiven(against, home) }),
      });
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

/** The same check as one types it, for what goes on from where this one ends. */
function againWords(args: readonly string[], options: Options): string {
  const words = ["against", "vary", "noVary", "until", "rarity"].flatMap((name) => {
    const value = text(options, name);
    return value === undefined ? [] : [`--${name.replace("V", "-v")} ${value}`];
  });
  const home = text(options, "home");
  return ["bitforbit check", ...args, ...words, ...(home === undefined ? [] : [`--home ${home}`])].join(" ");
}

interface BuildingOptions extends HowFar {
  once?: boolean;
  accept?: (prepared: Prepared) => void;
  /** Builds that an interrupted run left are used, or forgotten first; undefined: none is kept. */
  resume?: "on" | "afresh";
  again?: string;
  /** Somebody's artifact, to compare with. */
  given?: Given;
}

/** Prepares the project and builds it in both worlds, with progress. */
export async function buildTwice(
  folder: string,
  home: Prepared["home"],
  scratch: string,
  terminal: Terminal,
  options: BuildingOptions = {},
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
    const kept = await keptFor(prepared, host, terminal, options.resume);
    const progress = new BuildProgress(terminal, { ...totalOf(options), budget: options.budget ?? BUDGET });
    try {
      const how: CheckOptions = {
        host,
        scratch,
        signal,
        ...options,
        ...(kept === undefined ? {} : { kept }),
        onBuild: (event) => progress.build(event),
        onProgress: (world, line) => progress.output(world, line),
      };
      const { given } = options;
      return {
        prepared,
        verdict: given === undefined ? await checkProject(prepared, how) : await checkAgainst(prepared, given, how),
      };
    } catch (error) {
      throw signal.aborted ? interrupted(error, kept, options.again) : error;
    } finally {
      progress.end();
    }
  });
}

async function keptFor(
  prepared: Prepared,
  host: HostAbilities,
  terminal: Terminal,
  resume: BuildingOptions["resume"],
): Promise<KeptBuilds | undefined> {
  if (resume === undefined) return undefined;
  const kept = await openKept(prepared, { host, fresh: resume === "afresh", onWarning: (line) => terminal.warn(line) });
  if (kept.there > 0) {
    const builds = kept.there === 1 ? "1 build was" : `${kept.there} builds were`;
    terminal.step("resumed", `${builds} there ${terminal.dim("('--fresh' forgets them)")}`);
  }
  return kept;
}

/** How many builds it will be, where that is known. */
function totalOf({ quick, once, confidence, rarity = RARITY }: BuildingOptions): { total?: number } {
  if (once === true) return { total: 1 };
  if (confidence !== undefined) return { total: buildsFor(confidence, rarity) };
  return quick === true ? { total: 2 } : {};
}

/** Ended from outside: nothing is decided, and nothing that was built is lost. */
function interrupted(error: unknown, kept: KeptBuilds | undefined, again = "the same command"): unknown {
  if (!(error instanceof BitforbitError) || error.code !== "build") return error;
  if (kept === undefined) return new BitforbitError("build", "interrupted: nothing is decided", { cause: error });
  const there = kept.there > kept.kept ? kept.there : kept.kept;
  return new BitforbitError("build", "interrupted: nothing is decided", {
    cause: error,
    hint:
      there === 0
        ? `no build was over: '${again}' begins again`
        : `'${again}' goes on: ${there === 1 ? "1 build is" : `${there} builds are`} kept`,
  });
}
