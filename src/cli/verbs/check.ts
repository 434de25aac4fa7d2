import type { ExitCode } from "../../errors.ts";
import { check as checkProject, type CheckOptions, type Outcome, type Verdict } from "../../flow/check.ts";
import { parsePercentage } from "../../explain/chance.ts";
import { verdictDocument } from "../../flow/document.ts";
import { prepare, type Prepared } from "../../flow/prepare.ts";
import { withScratch } from "../../flow/scratch.ts";
import { probeHost } from "../../sandbox/host.ts";
import { parseDuration } from "../../recipe/quantity.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder } from "../project.ts";
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
  return await withScratch(
    home,
    { keep: options["keep"] === true, say: (line) => terminal.say(line) },
    async (scratch) => {
      const { prepared, verdict } = await buildTwice(folder, home, scratch, terminal, explaining(options));
      showVerdict(terminal, verdict);
      terminal.document(verdictDocument(prepared, verdict));
      return EXIT_OF[verdict.outcome];
    },
  );
}

type HowFar = Pick<CheckOptions, "quick" | "budget" | "confidence" | "rarity">;

/** How far the causes of a difference are followed, and how often builds that agree are repeated. */
export function explaining(options: Options): HowFar {
  const { budget, until, rarity } = options;
  return {
    quick: options["quick"] === true,
    ...(typeof budget === "string" ? { budget: parseDuration(budget) * 1000 } : {}),
    ...(typeof until === "string" ? { confidence: parsePercentage(until, 0.5, 0.999999) } : {}),
    ...(typeof rarity === "string" ? { rarity: parsePercentage(rarity, 0.001, 0.5) } : {}),
  };
}

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
