/** What a bundle proves by itself: who signed it, and in which log that is. */
import type { Bundle } from "../attest/bundle.ts";
import { equalBytes } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import { verifyInclusion } from "../log/proof.ts";
import { leafHash, sameRoot } from "../log/tile.ts";
import { signedCheckpoint } from "./opened-checkpoints.ts";
import { requireValid, type SigningMoment, type Trust, type TrustedKey, type TrustedLog } from "./trust.ts";
import type { Witnessing } from "./witnessing.ts";

/** A place in a trusted log, under a checkpoint that the log signed. */
export interface Inclusion {
  origin: string;
  index: number;
  treeSize: number;
  log: TrustedLog;
  /** The whole note. */
  checkpoint: string;
}

/** The signature, over exactly the payload's bytes, by a key that is trusted now. */
export function checkSignature(
  bundle: Bundle,
  trust: Trust,
  now: number,
  witnessing: Witnessing,
): { key: TrustedKey; encoding: Uint8Array } {
  const key = trust.keys.find((candidate) => candidate.key.keyId === bundle.hint);
  if (key === undefined)
    throw refused(`signed with the key ${JSON.stringify(bundle.hint.slice(0, 64))}, which is not trusted`);
  const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, bundle.payload);
  if (!key.key.verify(encoding, bundle.signature)) throw refused(`the signature is not one by ${key.name}`);
  requireValid(key, { now, ...provenMoment(bundle, key, encoding, trust, witnessing) });
  return { key, encoding };
}

/** Where a trusted log has this signature, and by when witnesses saw it there; asked only for a key of which it matters. */
function provenMoment(
  bundle: Bundle,
  key: TrustedKey,
  encoding: Uint8Array,
  trust: Trust,
  witnessing: Witnessing,
): Omit<SigningMoment, "now"> {
  const { validFrom, validUntil, retired, revoked } = key;
  if ([validFrom, validUntil, retired, revoked].every((limit) => limit === undefined)) return {};
  try {
    const entry = checkInclusion(bundle, key, encoding, trust);
    const trustedTime = witnessing.time(entry);
    return { entry, ...(trustedTime === undefined ? {} : { trustedTime }) };
  } catch (error) {
    // What proves nothing is no reason of its own: the check of the log will name it.
    if (!(error instanceof BitforbitError)) throw error;
    return {};
  }
}

/**
 * Inclusion of this signature in a trusted log. Root and size are those of the
 * verified checkpoint; the entry is rebuilt from what was verified, never read.
 */
export function checkInclusion(bundle: Bundle, key: TrustedKey, encoding: Uint8Array, trust: Trust): Inclusion {
  const { proof, logKeyHash, logIndex, body } = bundle.entry;
  const log = trust.logs.find(({ verifier }) => equalBytes(verifier.keyHash, logKeyHash));
  if (log === undefined) throw refused("the entry is in a log that is not trusted");
  if (!equalBytes(body, hashedRekord(sha256(encoding), bundle.signature, key.key.spki))) {
    throw refused("the log entry is not about this signature");
  }
  const { origin, size, root } = signedCheckpoint(proof.checkpoint, log.verifier);
  if (origin !== log.origin) throw refused(`the checkpoint is of ${origin}, not of ${log.origin}`);
  if (proof.treeSize !== size || !sameRoot(proof.rootHash, root)) {
    throw refused("the inclusion proof is for another tree than its checkpoint");
  }
  if (proof.logIndex !== logIndex) throw refused("the log entry states two indexes");
  if (!verifyInclusion(logIndex, size, leafHash(body), proof.hashes, root)) {
    throw refused(`the inclusion proof does not lead to the root of ${log.origin}`);
  }
  return { origin: log.origin, index: logIndex, treeSize: size, log, checkpoint: proof.checkpoint };
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}
