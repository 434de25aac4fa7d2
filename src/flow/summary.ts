/** A verification summary (VSA) of an artifact: what the policy decides now, and who rebuilt the same bytes. */
import type { Statement } from "../attest/statement.ts";
import { type RebuildVote, verificationSummary } from "../attest/statement-kinds.ts";
import { digestOf } from "../digest.ts";
import { operatorsOf } from "../policy/demands.ts";
import type { Decision } from "../policy/decision.ts";
import type { Policy } from "../policy/policy.ts";
import { verify } from "../policy/verify.ts";
import type { Artifact } from "./evidence.ts";
import type { Rules } from "./trust.ts";

const VERIFIER = "https://bitforbit.dev/verifier/v1";

/** What is demanded of an SBOM or an account of two worlds, which a provenance by itself has not. */
const NOT_OF_PROVENANCE = [
  "rebuilders",
  "minimumGrade",
  "minimumCompleteness",
  "forbiddenComponents",
  "denyVulnerable",
] as const;

/**
 * Rebuilds that count: provenance, each by itself signed, logged and allowed
 * by the rules. Its operator is the one that the policy's rebuilders name for
 * its key; where they name none, nobody vouches for who that is, and it does not
 * count. In a policy without rebuilders it is the name under which the key is
 * listed, so that one operator's two keys, named alike, are one.
 */
export function rebuildVotes(
  artifact: Artifact,
  bundles: readonly Uint8Array[],
  { policy, trust }: Rules,
  now: number,
): RebuildVote[] {
  return bundles.flatMap((bundle) => {
    const alone: Policy = { ...policy, requireSbom: false, requireReproduced: false };
    for (const demand of NOT_OF_PROVENANCE) delete alone[demand];
    const { ok, facts } = verify({ artifact, bundles: [bundle], policy: alone, trust, now });
    const [signer] = facts.signedBy;
    if (!ok || signer === undefined || facts.builder === undefined) return [];
    const listed = trust.keys.find(({ key }) => key.keyId === signer.keyId)?.listed ?? signer.name;
    const { builder } = facts;
    const operators = policy.rebuilders === undefined ? [listed] : operatorsOf([listed], policy.rebuilders);
    return operators.map((operator) => ({ builder, operator, digest: artifact.digest }));
  });
}

/** Verifies and says so. The level is 1: this builder's own word; a hosted one that is trusted for more is not known here. */
export function summaryOf(
  artifact: Artifact,
  bundles: readonly Uint8Array[],
  rules: Rules,
  now: number,
): { made: Statement; decision: Decision } {
  const { policy, trust } = rules;
  const decision = verify({ artifact, bundles, policy, trust, now });
  const aside = new Set(decision.setAside.map(({ bundle }) => bundle));
  const made = verificationSummary({
    subject: artifact,
    verifier: VERIFIER,
    timeVerified: now,
    resourceUri: `pkg:generic/${encodeURIComponent(artifact.name)}?checksum=${artifact.digest}`,
    policy: { uri: `urn:bitforbit:policy:${decision.facts.rules}`, digest: decision.facts.rules },
    inputs: bundles.filter((_, at) => !aside.has(at)).map((bundle) => digestOf(bundle)),
    passed: decision.ok,
    buildLevel: 1,
    votes: decision.ok ? rebuildVotes(artifact, bundles, rules, now) : [],
  });
  return { made, decision };
}
