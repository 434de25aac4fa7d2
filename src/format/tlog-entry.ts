import { base64 } from "../bytes.ts";
import type { JsonObject } from "../json.ts";
import { HASHEDREKORD_KIND, HASHEDREKORD_VERSION } from "./hashedrekord.ts";

/** Where a leaf is, with its way to the root. */
export interface ProvenLeaf {
  index: number;
  treeSize: number;
  rootHash: Uint8Array;
  hashes: readonly Uint8Array[];
  /** A signed note. */
  checkpoint: string;
}

/**
 * Sigstore's TransparencyLogEntry of a `hashedrekord 0.0.2` as protobuf JSON: 64-bit numbers are strings, bytes are
 * base64. `logKeyHash`: SHA-256(origin ‖ 0x0A ‖ 0x01 ‖ key).
 */
export function transparencyLogEntry(entry: Uint8Array, proof: ProvenLeaf, logKeyHash: Uint8Array): JsonObject {
  return {
    logIndex: String(proof.index),
    logId: { keyId: base64(logKeyHash) },
    kindVersion: { kind: HASHEDREKORD_KIND, version: HASHEDREKORD_VERSION },
    inclusionProof: {
      logIndex: String(proof.index),
      rootHash: base64(proof.rootHash),
      treeSize: String(proof.treeSize),
      hashes: proof.hashes.map((hash) => base64(hash)),
      checkpoint: { envelope: proof.checkpoint },
    },
    canonicalizedBody: base64(entry),
  };
}
