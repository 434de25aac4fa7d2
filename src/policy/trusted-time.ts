/** When something was signed, as a timestamp authority of the trusted root says (RFC 3161, section 2.4.2). */
import { hash } from "node:crypto";
import { equalBytes } from "../bytes.ts";
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { parseTimestamp, type Timestamp } from "../format/timestamp.ts";
import { type CertificatePaths, covers, type TimestampSigner } from "./certificate-path.ts";

export interface TrustedTime {
  /** Milliseconds since 1970. */
  at: number;
  /** Who says so. */
  by: string;
}

const MAX_REMEMBERED = 4096;

/** The time of a TimeStampResp (DER) on `signature`; a good one is remembered with `paths`. Throws `input` or `refused`. */
export function timestampedAt(der: Uint8Array, signature: Uint8Array, paths: CertificatePaths): TrustedTime {
  const name = `${sha256Hex(der)} ${sha256Hex(signature)}`;
  const known = paths.times.get(name);
  if (known !== undefined) return known;
  const time = verifiedTime(der, signature, paths);
  const oldest = paths.times.size < MAX_REMEMBERED ? undefined : paths.times.keys().next().value;
  if (oldest !== undefined) paths.times.delete(oldest);
  paths.times.set(name, time);
  return time;
}

function verifiedTime(der: Uint8Array, signature: Uint8Array, paths: CertificatePaths): TrustedTime {
  const timestamp = parseTimestamp(der, "the timestamp");
  if (!equalBytes(digest(timestamp.imprint.hash, signature), timestamp.imprint.digest)) {
    throw refused("the timestamp is on another signature");
  }
  const signer = signerOf(timestamp, paths);
  if (!covers(signer.window, timestamp.at)) {
    throw refused(
      `the timestamp of ${new Date(timestamp.at).toISOString()} is outside the time in which ${signer.name} counts`,
    );
  }
  const { certificateDigest, infoDigest, info, signature: signed } = timestamp;
  if (!equalBytes(digest(certificateDigest.hash, signer.certificate.der), certificateDigest.digest)) {
    throw refused("the timestamp names another certificate of its signer");
  }
  if (!equalBytes(digest(infoDigest.hash, info), infoDigest.digest))
    throw refused("the timestamp's content was changed");
  if (
    signed.family !== signer.key.family ||
    !signer.key.verify(timestamp.signedAttributes, signed.bytes, signed.hash)
  ) {
    throw refused(`the timestamp is not signed by ${signer.name}`);
  }
  return { at: timestamp.at, by: signer.name };
}

function signerOf({ signer }: Timestamp, paths: CertificatePaths): TimestampSigner {
  let failure: BitforbitError | undefined;
  for (const known of paths.timestampSigners()) {
    if (known instanceof BitforbitError) failure = known;
    else if (equalBytes(known.certificate.issuer, signer.issuer) && known.certificate.serial === signer.serial) {
      return known;
    }
  }
  throw failure ?? refused("the timestamp is by an authority that is not trusted");
}

function digest(name: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash(name, bytes, "buffer"));
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}
