/** What a keyless signer asks of others besides its certificate: timestamps (RFC 3161), and entries in logs (Rekor v2). */
import { base64 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { KEY_DETAILS } from "../format/hashedrekord.ts";
import { timestampRequest } from "../format/timestamp-request.ts";
import type { JsonObject } from "../json.ts";
import { askForBytes, askService, safeAddress, type ServiceOptions } from "../keys/bounded-request.ts";

/** A TimeStampResp (DER) on a signature; not verified yet. Throws `outside`. */
export async function askForTimestamp(
  address: string,
  signature: Uint8Array,
  options: ServiceOptions,
): Promise<Uint8Array> {
  const what = `the timestamp authority ${address}`;
  const { bytes } = await askForBytes(
    {
      what,
      method: "POST",
      url: safeAddress(address, what).href,
      headers: { "content-type": "application/timestamp-query", accept: "application/timestamp-reply" },
      body: timestampRequest(sha256(signature)),
      secrets: [],
    },
    options,
  );
  return bytes;
}

export interface EntryRequest {
  /** SHA-256 of what was signed. */
  digest: Uint8Array;
  signature: Uint8Array;
  /** DER. */
  certificate: Uint8Array;
  /** The entry's bytes, which the log must have taken as they are. */
  entry: Uint8Array;
}

/** The TransparencyLogEntry of a log that speaks Rekor's API v2; its proof is not verified yet. Throws `outside`. */
export async function askForEntry(
  address: string,
  { digest, signature, certificate, entry }: EntryRequest,
  options: ServiceOptions,
): Promise<JsonObject> {
  const what = `the log ${address}`;
  const base = safeAddress(address, what).href.replace(/\/+$/, "");
  const verifier = { x509Certificate: { rawBytes: base64(certificate) }, keyDetails: KEY_DETAILS };
  const request = {
    hashedRekordRequestV002: { digest: base64(digest), signature: { content: base64(signature), verifier } },
  };
  const answer = await askService(
    {
      what,
      method: "POST",
      url: `${base}/api/v2/log/entries`,
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(request),
      secrets: [],
    },
    options,
  );
  if (answer["canonicalizedBody"] !== base64(entry)) {
    throw new BitforbitError("outside", `${what} answered with an entry about another signature`);
  }
  // Some write out what protobuf's JSON leaves away: no promise, and no time, which Rekor v2 does not have.
  const kept = Object.entries(answer).filter(
    ([name, value]) => value !== null && !(name === "integratedTime" && value === "0"),
  );
  return Object.fromEntries(kept);
}
