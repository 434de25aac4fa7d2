/** What would have to change for an artifact to be allowed: every demand that is not met, and no other. */
import type { Check, Decision } from "./decision.ts";
import type { Policy } from "./policy.ts";

export interface Change {
  check: Check;
  /** Why it is not met. */
  message: string;
  /** What evidence would meet it. */
  evidence: string;
  /** The policy's keys that demand it; missing where a policy cannot leave it out. */
  policy?: string[];
}

/** A policy without one demand, and the keys that make it. */
const LEFT_OUT: Readonly<Partial<Record<Check, { keys: (keyof Policy)[]; without: Partial<Policy> }>>> = {
  quorum: { keys: ["quorum"], without: {} },
  tag: { keys: ["requireSignedTag"], without: {} },
  canonical: { keys: ["requireCanonical"], without: { requireCanonical: false } },
  level: { keys: ["minimumLevel"], without: {} },
  environment: { keys: ["environments"], without: {} },
  age: { keys: ["maximumAge"], without: {} },
  sbom: {
    keys: ["requireSbom", "minimumCompleteness", "forbiddenComponents"],
    without: { requireSbom: false },
  },
  components: { keys: ["forbiddenComponents"], without: {} },
  vulnerable: { keys: ["denyVulnerable"], without: {} },
  reproduced: {
    keys: ["requireReproduced", "minimumGrade", "rebuilders"],
    without: { requireReproduced: false },
  },
  rebuilders: { keys: ["rebuilders"], without: {} },
  rule: { keys: ["rules"], without: {} },
};

/**
 * Leaves out the demand that decided, and decides again, until it is allowed or
 * what decides is no demand of the policy's: each demand that is left out was
 * needed, since it decided when all before it were met.
 */
export async function leastChange(
  policy: Policy,
  decide: (policy: Policy) => Promise<Decision>,
): Promise<{ changes: Change[]; complete: boolean }> {
  const changes: Change[] = [];
  let left = policy;
  for (;;) {
    const { ok, reasons } = await decide(left);
    const failed = reasons.at(-1);
    if (ok || failed === undefined) return { changes, complete: true };
    const known = LEFT_OUT[failed.check];
    const keys = known?.keys.filter((key) => left[key] !== undefined && left[key] !== false) ?? [];
    changes.push({
      check: failed.check,
      message: failed.message,
      evidence: failed.hint ?? "",
      ...(keys.length === 0 ? {} : { policy: keys }),
    });
    if (known === undefined || keys.length === 0) return { changes, complete: false };
    const kept = Object.entries(left).filter(([key]) => !keys.includes(key as keyof Policy));
    left = { ...(Object.fromEntries(kept) as unknown as Policy), ...known.without };
  }
}
