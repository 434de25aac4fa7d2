/** Sigstore `trusted_root.json` v0.1, for verifiers other than ours: `cosign --trusted-root`. */
import { base64 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { parseSpki } from "../format/spki.ts";
import { isObject, type JsonObject, parseJson } from "../json.ts";
import type { LogIdentity } from "../log/reader.ts";
import { readTrustedRoot } from "./read-trusted-root.ts";

/** JSON text that names our logs and no certificate or timestamp authority. `validFrom`: milliseconds since 1970. */
export function trustedRoot(logs: readonly LogIdentity[], validFrom = 0): string {
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: logs.map((log) => logOf(log, validFrom)),
    certificateAuthorities: [],
    ctlogs: [],
    timestampAuthorities: [],
  };
  return `${JSON.stringify(root, null, 2)}\n`;
}

/**
 * Another trusted root with one log more: for bundles that its authorities
 * vouch for and that our log holds. Throws `input` or `limit` where it cannot be read.
 */
export function withLog(bytes: Uint8Array, what: string, log: LogIdentity, validFrom = 0): string {
  readTrustedRoot(bytes, what);
  const root = parseJson(bytes, what);
  const { tlogs } = isObject(root) ? root : {};
  const listed = Array.isArray(tlogs) ? tlogs : [];
  const all = { ...(root as JsonObject), tlogs: [...listed, logOf(log, validFrom)] };
  return `${JSON.stringify(all, null, 2)}\n`;
}

function logOf(log: LogIdentity, validFrom: number): JsonObject {
  return {
    baseUrl: `https://${log.origin}`,
    hashAlgorithm: "SHA2_256",
    publicKey: {
      rawBytes: base64(parseSpki(log.publicKeyPem, `the key of ${log.origin}`).der),
      keyDetails: "PKIX_ED25519",
      validFor: { start: rfc3339(validFrom) },
    },
    logId: { keyId: base64(log.keyHash) },
  };
}
