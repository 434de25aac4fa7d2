import { existsSync } from "node:fs";
import { systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { type Artifact, claimedOrigin, gatherBundles, resolveArtifact } from "../../flow/evidence.ts";
import type { Home } from "../../flow/home.ts";
import { type Rules, rulesFor, rulesForKeys } from "../../flow/trust.ts";
import { spool } from "../../ledger/spool.ts";
import type { Decision } from "../../policy/decision.ts";
import { verify as decide } from "../../policy/verify.ts";
import { type Options, texts } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit verify ARTIFACT`: the decision with its reasons; offline. */
export async function verify(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [named] = args;
  if (named === undefined) throw new BitforbitError("usage", "verify takes a file or a digest");
  const started = systemClock.elapsed();
  const artifact = await resolveArtifact(named);
  const home = await nearestHome(".", options);
  const bundles = await gatherBundles(home, artifact, texts(options, "bundle"));
  const rules = await chosenRules(home, options, bundles);
  const decision = decide({ artifact, bundles, policy: rules.policy, trust: rules.trust, now: systemClock.now() });
  await recordVerification(home, artifact, decision, systemClock.elapsed() - started, terminal);
  showDecision(terminal, artifact, decision, rules);
  terminal.document(decisionDocument(artifact, decision, rules));
  return decision.ok ? 0 : 1;
}

async function chosenRules(home: Home, options: Options, bundles: readonly Uint8Array[]): Promise<Rules> {
  const [policy, key, logKey] = [text(options, "policy"), text(options, "key"), text(options, "logKey")];
  if (key === undefined && logKey === undefined) return await rulesFor(home, policy);
  if (policy !== undefined) throw new BitforbitError("usage", "--policy and --key exclude each other");
  if (key === undefined || logKey === undefined) {
    throw new BitforbitError(
      "usage",
      "--key and --log-key go together: evidence counts only when it is in a trusted log",
      {
        hint: "the builder's 'bitforbit policy show' gives both in one file for --policy",
      },
    );
  }
  return await rulesForKeys(key, logKey, firstOrigin(bundles));
}

function firstOrigin(bundles: readonly Uint8Array[]): string {
  const [bundle] = bundles;
  return (bundle === undefined ? undefined : claimedOrigin(bundle)) ?? "unknown.invalid";
}

/** Leaves the decision where the ledger finds it; a folder that we may not write is no reason to fail. */
async function recordVerification(
  home: Home,
  artifact: Artifact,
  decision: Decision,
  milliseconds: number,
  terminal: Terminal,
): Promise<void> {
  if (!existsSync(home.root)) return; // a stranger's verification leaves nothing behind
  try {
    await spool(home.ledger, {
      kind: "verify",
      at: systemClock.now(),
      artifact: artifact.digest,
      ok: decision.ok,
      milliseconds,
      data: { name: artifact.name, reasons: decision.reasons.map((reason) => ({ ...reason })) },
    });
  } catch (error) {
    terminal.warn(`the decision could not be recorded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A decision as `verify`, `promote` and `policy explain` print it with `--json`. */
export function decisionDocument(artifact: Artifact, decision: Decision, rules: Rules): object {
  const { rules: digest, digest: _digest, name: _name, ...facts } = decision.facts;
  return {
    artifact: { digest: artifact.digest, name: artifact.name },
    allowed: decision.ok,
    rules: { from: rules.from, digest },
    reasons: decision.reasons,
    setAside: decision.setAside,
    facts,
  };
}

/** Shows each check in order, then what the evidence says, then the decision. */
export function showDecision(terminal: Terminal, artifact: Artifact, decision: Decision, rules: Rules): void {
  terminal.line(terminal.strong(`verify · ${artifact.name}`));
  terminal.line();
  for (const reason of decision.reasons) {
    const sign = reason.ok ? terminal.good("✓") : terminal.bad("✗");
    terminal.line(`  ${sign} ${reason.check.padEnd(11)} ${reason.message}`);
    if (reason.hint !== undefined) terminal.line(`    ${" ".repeat(11)} ${terminal.dim(`hint: ${reason.hint}`)}`);
  }
  for (const aside of decision.setAside) {
    terminal.line(terminal.dim(`    bundle ${aside.bundle + 1} does not count (${aside.check}): ${aside.message}`));
  }
  terminal.line();
  terminal.line(`  ${decision.ok ? terminal.good("allowed") : terminal.bad("DENIED")} under ${rules.from}`);
}
