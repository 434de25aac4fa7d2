/** Until when a decision that allows cannot change by the passing of time alone. */
import type { Decision } from "./decision.ts";
import { durationOf } from "./demands.ts";
import type { Policy } from "./policy.ts";
import type { Trust } from "./trust.ts";

/**
 * Milliseconds since 1970, exclusive; `now` itself where it must not be kept:
 * denied, or decided by what may speak against an artifact (vulnerabilities) or
 * reckons with the time in its own way (rules). Ends of all that is trusted
 * count, used or not: earlier than need be is no fault.
 */
export function lastsUntil(decision: Decision, policy: Policy, trust: Trust, now: number): number {
  if (!decision.ok || policy.denyVulnerable === true || (policy.rules ?? []).length > 0) return now;
  const ends = [trust.expires, ...trust.keys.flatMap(endsOf)];
  if (policy.maximumAge !== undefined) {
    const finished = Date.parse(decision.facts.finishedOn ?? "");
    ends.push(Number.isNaN(finished) ? now : finished + durationOf(policy.maximumAge));
  }
  return Math.min(...ends.filter((end) => end !== undefined && end >= now).map(Number), Number.POSITIVE_INFINITY);
}

function endsOf({ validUntil, retired, revoked, ring }: Trust["keys"][number]): (number | undefined)[] {
  return [validUntil, retired?.at, revoked?.since, ring?.expires];
}
