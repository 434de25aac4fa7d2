/** Who a certificate of Sigstore's authority says that its holder is, and from what source, at which run. */
import { utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { DerReader } from "../format/der-read.ts";
import type { AlternativeName, Certificate } from "../format/x509.ts";

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
  /** Which of the three: one that reads like another is not that other. */
  kind: AlternativeName["kind"];
  /** Who vouched for the subject. */
  issuer: string;
  /** What the issuer claimed besides. */
  claims: Partial<Record<Claim, string>>;
}

/** Whom a verifier accepts. What is not said is not asked for. */
export interface AcceptedIdentity {
  /** For people, and for whoever lists signers. */
  name?: string | undefined;
  /** Who vouched for it, exactly. */
  issuer: string;
  /** The certificate's name: exactly, or its beginning and a final `*`. */
  subject?: string | undefined;
  /** The repository that it was signed in, exactly. */
  repository?: string | undefined;
  /** The workflow that began the run; a final `*` as for `subject`. */
  workflow?: string | undefined;
  /** The git ref, as `refs/tags/v1`; a final `*` behind `refs/heads/` or `refs/tags/`. */
  ref?: string | undefined;
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
  return { subject: name.value, kind: name.kind, issuer: issuerOf(certificate), claims };
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

/** The first of the `accepted` that is this signer. */
export function acceptedAs(
  identity: SignerIdentity,
  accepted: readonly AcceptedIdentity[],
): AcceptedIdentity | undefined {
  return accepted.find((one) => mismatch(identity, one) === undefined);
}

/** Who the signer is, as far as an identity may ask for it, in words. */
export function identityWords({ subject, issuer, claims }: SignerIdentity): string {
  const { sourceUri: repository, workflow, sourceRef: ref } = claims;
  const more = Object.entries({ repository, workflow: workflow === subject ? undefined : workflow, ref });
  const words = more.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return [`${subject}, vouched for by ${issuer}`, ...words].join(", ");
}

/** The first thing in which the signer is not whom `accepted` names, or undefined. */
export function mismatch(identity: SignerIdentity, accepted: AcceptedIdentity): string | undefined {
  const { issuer, subject, repository, workflow, ref } = accepted;
  const { claims } = identity;
  if (issuer !== identity.issuer) return `the issuer is not ${issuer}`;
  if (subject !== undefined && kindOf(subject) !== identity.kind) return `the subject is no ${KINDS[kindOf(subject)]}`;
  if (subject !== undefined && !isLike(identity.subject, subject)) return `the subject is not ${subject}`;
  if (repository !== undefined && repository !== claims.sourceUri) return `the repository is not ${repository}`;
  if (workflow !== undefined && !isLike(claims.workflow, workflow)) return `the workflow is not ${workflow}`;
  if (ref !== undefined && !isLike(claims.sourceRef, ref)) return `the ref is not ${ref}`;
  return undefined;
}

const KINDS = { uri: "URI", email: "e-mail address", other: "user's name" } as const;

function kindOf(subject: string): keyof typeof KINDS {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(subject)) return "uri";
  return /^[^@!]+@[^@]+$/.test(subject) ? "email" : "other";
}

/**
 * Why a pattern would let in more than whoever wrote it means, or undefined. A
 * `*` may stand at the end only, and there not within a name that somebody else
 * could register a longer one of: behind a whole path segment of a URI
 * (`https://host/owner/*`), or within a git ref.
 */
export function looseness(pattern: string): string | undefined {
  const star = pattern.indexOf("*");
  if (star < 0) return undefined;
  if (star !== pattern.length - 1) return "a * may only stand at the end";
  const prefix = pattern.slice(0, -1);
  const inRef = /(?:^|@)refs\/(?:heads|tags)\/[^@]*$/.test(prefix);
  if (inRef || /^[a-z][a-z0-9+.-]*:\/\/[^/@]+\/(?:[^/]+\/)+$/i.test(prefix)) return undefined;
  return "a * may only stand behind a whole segment of a path (https://host/owner/*) or in a ref (…@refs/tags/v*)";
}

/**
 * What a `*` at the end of `pattern` covers must not climb, be escaped or have
 * a query, since a server may read such a name as another.
 */
function isLike(value: string | undefined, pattern: string): boolean {
  if (value === undefined || !pattern.endsWith("*")) return value === pattern;
  const prefix = pattern.slice(0, -1);
  if (prefix === "" || !value.startsWith(prefix)) return false;
  return !/\.\.|[%?#\\\s]/.test(value.slice(prefix.length));
}
