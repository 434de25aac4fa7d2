/** Who checks what came along in an evidence file: key-rings and checkpoints, by the rules that decide. */
import { BitforbitError } from "../errors.ts";
import { KEY_RING_PAYLOAD, type OpenedRing, openKeyRing } from "../keys/key-ring.ts";
import { openCheckpoint } from "../log/checkpoint.ts";
import type { DocumentChecker } from "../policy/evidence.ts";
import { Witnessing } from "../policy/witnessing.ts";
import type { Rules } from "./trust.ts";

/** A checkpoint as a document of its own: a signed note, with whatever cosignatures it carries. */
export const CHECKPOINT = "application/vnd.bitforbit.checkpoint";

/** `now`: milliseconds since 1970. */
export function documentCheckers(rules: Rules, now: number): ReadonlyMap<string, DocumentChecker> {
  return new Map([
    [KEY_RING_PAYLOAD, keyRingChecker(rules.rings ?? [])],
    [CHECKPOINT, checkpointChecker(rules, now)],
  ]);
}

/**
 * Of a key-ring that the rules know, it must be a version of it: an older one
 * is what was known when the file was made. A newer one that ended a key which
 * counts by the rules is news that must not be passed over.
 */
function keyRingChecker(rings: readonly OpenedRing[]): DocumentChecker {
  return ({ text }) => {
    const what = "the evidence's key-ring";
    const came = openKeyRing(text, what);
    const known = rings.find(({ ring }) => ring.ring === came.ring.ring);
    if (known === undefined) return false;
    if (came.ring.version < known.ring.version) return true;
    const followed = openKeyRing(text, what, known);
    for (const { keyId, status } of known.ring.keys) {
      if (status === "revoked") continue;
      const now = followed.ring.keys.find((key) => key.keyId === keyId);
      if (now !== undefined && now.status !== "revoked") continue;
      throw new BitforbitError(
        "refused",
        `${what} is version ${followed.ring.version}, in which the key ${keyId} is ${now?.status ?? "gone"}; version ${known.ring.version} that is trusted does not know`,
        {
          hint: "fetch the newest key-ring from its owner: 'bitforbit keys trust FILE', or the file that the policy names",
        },
      );
    }
    return true;
  };
}

function checkpointChecker({ policy, trust }: Rules, now: number): DocumentChecker {
  const quorum = policy.quorum?.witnesses ?? 0;
  const witnessing = new Witnessing(trust.witnesses ?? [], quorum, now);
  return ({ text }) => {
    const log = trust.logs.find(({ origin }) => origin === text.slice(0, text.indexOf("\n")));
    if (log === undefined) return false;
    openCheckpoint(text, log.verifier);
    if (quorum > 0) witnessing.of({ log, checkpoint: text });
    return true;
  };
}
