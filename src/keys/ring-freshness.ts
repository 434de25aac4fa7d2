/** Whether a key-ring may still be believed: apart from what reads one, which verifying by listed keys does not load. */
import { rfc3339 } from "../clock.ts";
import { BitforbitError } from "../errors.ts";

/** How far a key-ring may be ahead of the verifier's clock. */
const MAX_SKEW = 86_400_000;

/** A time of a key-ring, which has its form: milliseconds since 1970. */
export const instantOf = (time: string): number => Date.parse(time);

/**
 * Fails closed: throws `refused` for a key-ring, named by `what`, that has
 * expired, or that was issued in the verifier's future. Milliseconds since 1970.
 */
export function requireFresh(ring: { what: string; issued: number; expires: number }, now: number): void {
  if (ring.expires <= now) {
    throw new BitforbitError("refused", `${ring.what} expired at ${rfc3339(ring.expires)}`, {
      hint: "its owner renews it with 'bitforbit keys refresh'; who verifies takes the new one with 'bitforbit keys trust FILE'",
    });
  }
  if (ring.issued > now + MAX_SKEW) {
    throw new BitforbitError(
      "refused",
      `${ring.what} was issued at ${rfc3339(ring.issued)}, which is in this machine's future`,
      { hint: "set this machine's clock" },
    );
  }
}
