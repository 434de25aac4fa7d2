/** Sigstore `trusted_root.json` v0.1, for verifiers other than ours: `cosign --trusted-root`. */
import { base64 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { parseSpki } from "../format/spki.ts";
import type { LogIdentity } from "../log/reader.ts";

/** JSON text that names our logs and no certificate or timestamp authority. `validFrom`: milliseconds since 1970. */
export function trustedRoot(logs: readonly LogIdentity[], validFrom = 0): string {
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: logs.map((log) => ({
      baseUrl: `https://${log.origin}`,
      hashAlgorithm: "SHA2_256",
      publicKey: {
        rawBytes: base64(parseSpki(log.publicKeyPem, `the key of ${log.origin}`).der),
        keyDetails: "PKIX_ED25519",
        validFor: { start: rfc3339(validFrom) },
      },
      logId: { keyId: base64(log.keyHash) },
    })),
    certificateAuthorities: [],
    ctlogs: [],
    timestampAuthorities: [],
  };
  return `${JSON.stringify(root, null, 2)}\n`;
}
