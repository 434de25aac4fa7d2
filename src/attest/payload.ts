import { BitforbitError } from "../errors.ts";
import { parseSigstoreBundle } from "./sigstore-bundle.ts";

/** What a bundle signs, by a key or with a certificate; `hint` is empty for a certificate. Throws `input` or `limit`. */
export function payloadOf(bytes: Uint8Array): { hint: string; payload: Uint8Array } {
  const { signer, content } = parseSigstoreBundle(bytes);
  if (content.kind !== "envelope") throw new BitforbitError("input", "the bundle holds no statement");
  return { hint: signer.kind === "key" ? signer.hint : "", payload: content.payload };
}
