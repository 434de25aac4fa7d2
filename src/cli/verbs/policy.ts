import { systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { gatherBundles, resolveArtifact } from "../../flow/evidence.ts";
import { ownPolicyFile, readText, rulesFor } from "../../flow/trust.ts";
import { policyDocument } from "../../policy/policy.ts";
import { verify as decide } from "../../policy/verify.ts";
import type { Options } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import { stdout } from "../streams.ts";
import type { Terminal } from "../terminal.ts";
import { decisionDocument, showDecision } from "./verify.ts";

/** `bitforbit policy show | explain ARTIFACT`. */
export async function policy(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [action, named] = args;
  const home = await nearestHome(".", options);
  const file = text(options, "policy");
  if (action === "show") {
    const written = file === undefined ? await ownPolicyFile(home) : await readText(file);
    const document = policyDocument(written, file ?? "this home's own policy");
    if (terminal.json) terminal.document(document);
    else stdout.write(written);
    return 0;
  }
  if (action !== "explain" || named === undefined) {
    throw new BitforbitError("usage", "policy takes 'show', or 'explain' and an artifact");
  }
  const artifact = await resolveArtifact(named);
  const bundles = await gatherBundles(home, artifact, []);
  const rules = await rulesFor(home, file);
  const decision = decide({ artifact, bundles, policy: rules.policy, trust: rules.trust, now: systemClock.now() });
  showDecision(terminal, artifact, decision, rules);
  const decisive = decision.reasons.find((reason) => !reason.ok);
  if (decisive !== undefined)
    terminal.line(
      `  decided by: ${decisive.check}${decisive.hint === undefined ? "" : `; to change it: ${decisive.hint}`}`,
    );
  terminal.document({
    ...decisionDocument(artifact, decision, rules),
    ...(decisive === undefined ? {} : { decidedBy: decisive.check }),
    demands: rules.policy,
  });
  return decision.ok ? 0 : 1;
}
