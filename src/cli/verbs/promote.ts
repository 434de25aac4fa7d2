import { BitforbitError, type ExitCode } from "../../errors.ts";
import { resolveArtifact } from "../../flow/evidence.ts";
import { promote as promoteArtifact } from "../../flow/promote.ts";
import { rulesFor } from "../../flow/trust.ts";
import type { Options } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";
import { decisionDocument, showDecision } from "./verify.ts";

/** `bitforbit promote DIGEST ENV`: after verification only. */
export async function promote(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [named, environment] = args;
  if (named === undefined || environment === undefined) {
    throw new BitforbitError("usage", "promote takes a digest and an environment");
  }
  const home = await nearestHome(".", options);
  const artifact = await resolveArtifact(named);
  const rules = await rulesFor(home, text(options, "policy"));
  const decision = await promoteArtifact(home, artifact, environment, rules);
  showDecision(terminal, artifact, decision, rules);
  terminal.line(decision.ok ? `  promoted to ${environment}` : `  not promoted to ${environment}`);
  terminal.document({ ...decisionDocument(artifact, decision, rules), environment });
  return decision.ok ? 0 : 1;
}
