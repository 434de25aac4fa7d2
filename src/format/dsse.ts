/** Dead Simple Signing Envelope, protocol and envelope version 1.0.2 (secure-systems-lab/dsse). */
import { concat, utf8 } from "../bytes.ts";

export const IN_TOTO_PAYLOAD = "application/vnd.in-toto+json";

/**
 * Pre-authentication encoding: `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP
 * body`, where lengths count bytes, in ASCII decimal. This is what is signed.
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concat([utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload]);
}
