/** Writing a Sigstore bundle v0.3 that is signed with a certificate's key. */
import { base64, utf8 } from "../bytes.ts";
import { IN_TOTO_PAYLOAD } from "../format/dsse.ts";
import type { JsonObject } from "../json.ts";
import { BUNDLE_V03 } from "./bundle.ts";

export interface CertifiedStatement {
  payload: Uint8Array;
  /** ECDSA in DER. */
  signature: Uint8Array;
  /** DER of the signer's own; the others are in the verifier's trusted root. */
  certificate: Uint8Array;
  /** TransparencyLogEntry, protobuf JSON. */
  entries: readonly JsonObject[];
  /** TimeStampResp, DER. */
  timestamps: readonly Uint8Array[];
}

export function certificateBundle(signed: CertifiedStatement): Uint8Array {
  const bundle = {
    mediaType: BUNDLE_V03,
    verificationMaterial: {
      certificate: { rawBytes: base64(signed.certificate) },
      tlogEntries: [...signed.entries],
      timestampVerificationData: {
        rfc3161Timestamps: signed.timestamps.map((timestamp) => ({ signedTimestamp: base64(timestamp) })),
      },
    },
    // No keyid: cosign rejects any that is not empty.
    dsseEnvelope: {
      payload: base64(signed.payload),
      payloadType: IN_TOTO_PAYLOAD,
      signatures: [{ sig: base64(signed.signature) }],
    },
  };
  return utf8(`${JSON.stringify(bundle)}\n`);
}
