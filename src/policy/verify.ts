/**
 * Whether an artifact may be used: named checks in order, over evidence that
 * was handed in. Pure and offline: no clock but `now`, no network, no files.
 *
 * Monotone: evidence is only ever needed, never held against an artifact, so
 * that nothing is gained by hiding a bundle. A bundle that is broken, signed by
 * a stranger or about something else is set aside, as if it were not there; it
 * is named in the decision. There is no weaker evidence to fall back to.
 */
import { type Digest, digestOf } from "../digest.ts";
import { canonicalJson, type Json } from "../json.ts";
import { authenticate, inEnoughLogs } from "./authenticate.ts";
import type { Decision } from "./decision.ts";
import { Hearing, type VerifyRequest } from "./hearing.ts";
import { judge } from "./judge.ts";
import type { Policy } from "./policy.ts";
import type { Trust } from "./trust.ts";

/** The decision, with a reason for every check made. Throws only for a mistake of the caller's, never for evidence. */
export function verify(request: VerifyRequest): Decision {
  const { policy, trust, advisories } = request;
  const hearing = new Hearing(request, rulesDigest(policy, trust, advisories?.digest));
  const statements = authenticate(hearing);
  const enough = statements === undefined ? undefined : inEnoughLogs(hearing, statements);
  const ok = enough !== undefined && judge(hearing, enough);
  return { ok, reasons: hearing.reasons, setAside: hearing.setAside, facts: hearing.facts };
}

/** One policy judges many artifacts. */
const digests = new WeakMap<Policy, Map<string, Digest>>();

/** Digest of all that decides besides evidence and time: the key under which a decision may be cached. */
export function rulesDigest(policy: Policy, trust: Trust, advisories = ""): Digest {
  const known = digests.get(policy) ?? new Map<string, Digest>();
  const name = `${trust.digest} ${advisories}`;
  const found = known.get(name);
  if (found !== undefined) return found;
  const all = { policy: JSON.parse(JSON.stringify(policy)) as Json, trust: trust.digest, advisories };
  const digest = digestOf(canonicalJson(all));
  digests.set(policy, known.set(name, digest));
  return digest;
}
