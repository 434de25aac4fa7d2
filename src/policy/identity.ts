/** Who a certificate of Sigstore's authority says that its holder is, and from what source, at which run. */
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { DerReader } from "../format/der-read.ts";
import type { Certificate } from "../format/x509.ts";

/** Fulcio's extensions (oid-info, 1.3.6.1.4.1.57264.1): 8 and above are UTF8String, the older ones are plain bytes. */
const FULCIO = "1.3.6.1.4.1.57264.1";
const CLAIMS = {
  9: "builder",
  11: "runner",
  12: "sourceUri",
  13: "sourceDigest",
  14: "sourceRef",
  18: "workflow",
  20: "trigger",
  21: "run",
} as const;

type Claim = (typeof CLAIMS)[keyof typeof CLAIMS];

export interface SignerIdentity {
  /** The certificate's one alternative name: an e-mail address, a URI, or a user's name. */
  subject: string;
  /** Who vouched for the subject. */
  issuer: string;
  /** What the issuer claimed besides. */
  claims: Partial<Record<Claim, string>>;
}

/** Whom a verifier accepts: a subject (or its beginning, with a final `*`) and its issuer, exactly. */
export interface AcceptedIdentity {
  subject: string;
  issuer: string;
}

/** Throws `refused` when the certificate names nobody, or more than one. */
export function signerIdentity(certificate: Certificate): SignerIdentity {
  const names = certificate.alternativeNames;
  const [name] = names;
  if (name === undefined || names.length !== 1 || name.kind === "unread" || name.value === "") {
    throw new BitforbitError("refused", `the certificate has ${names.length} names, not one that can be read`);
  }
  const claims: Partial<Record<Claim, string>> = {};
  for (const [number, claim] of Object.entries(CLAIMS) as [string, Claim][]) {
    const value = claimed(certificate, `${FULCIO}.${number}`);
    if (value !== undefined) claims[claim] = value;
  }
  return { subject: name.value, issuer: issuerOf(certificate), claims };
}

function issuerOf(certificate: Certificate): string {
  const older = certificate.extensions.get(`${FULCIO}.1`);
  const plain = older === undefined ? undefined : utf8Text(older.value);
  const issuer = claimed(certificate, `${FULCIO}.8`);
  if (issuer !== undefined && plain !== undefined && issuer !== plain) {
    throw new BitforbitError("refused", `the certificate names two issuers, ${issuer} and ${plain}`);
  }
  const found = issuer ?? plain ?? "";
  if (found === "") throw new BitforbitError("refused", "the certificate does not say who vouched for its subject");
  return found;
}

function claimed(certificate: Certificate, oid: string): string | undefined {
  const extension = certificate.extensions.get(oid);
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value, `the certificate's extension ${oid}`);
  const value = reader.text();
  reader.finish();
  return value;
}

/** Whether one of the `accepted` is this signer. */
export function isAccepted(identity: SignerIdentity, accepted: readonly AcceptedIdentity[]): boolean {
  return accepted.some(
    ({ subject, issuer }) => issuer === identity.issuer && subjectAllowed(identity.subject, subject),
  );
}

/**
 * A `*` may stand at the end of `allowed`: what it covers must not climb, be
 * escaped or have a query, since a server may read such a name as another.
 */
function subjectAllowed(subject: string, allowed: string): boolean {
  if (!allowed.endsWith("*")) return subject === allowed;
  const prefix = allowed.slice(0, -1);
  return prefix !== "" && subject.startsWith(prefix) && !/\.\.|[%?#\\\s]/.test(subject.slice(prefix.length));
}
