/**
 * A policy's identities: bundles that are signed with a certificate, judged by
 * a trusted root and the identities that the policy names. Loaded for policies
 * that name some; `verify` is handed it.
 */
import type { RootLog, TrustedRoot } from "../attest/read-trusted-root.ts";
import { parseSigstoreBundle } from "../attest/sigstore-bundle.ts";
import { canonicalJson, type Json } from "../json.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { CertificatePaths } from "./certificate-path.ts";
import { type AcceptedIdentity, acceptedAs } from "./identity.ts";
import { noteVerifierOf } from "./log-entry.ts";
import { type Attested, examineBundle } from "./sigstore.ts";
import type { CertifiedStatement, IdentityJudge, Trust, TrustedLog } from "./trust.ts";

/** `trust` that believes these identities, too: by the logs of the root, and by its own. */
export function withIdentities(trust: Trust, root: TrustedRoot, identities: readonly AcceptedIdentity[]): Trust {
  const judge = identityJudge(root, identities, trust.logs);
  const digest = digestOf(canonicalJson({ trust: trust.digest, identities: judge.digest }));
  return { ...trust, identities: judge, digest };
}

function identityJudge(
  root: TrustedRoot,
  identities: readonly AcceptedIdentity[],
  logs: readonly TrustedLog[],
): IdentityJudge {
  const known: TrustedRoot = { ...root, logs: [...root.logs, ...logs.filter(isHost).map(rootLog)] };
  const paths = new CertificatePaths(known);
  const accept = { kind: "identities" as const, identities };
  const listed = identities.map((identity) => JSON.parse(JSON.stringify(identity)) as Json);
  return {
    digest: digestOf(canonicalJson({ root: root.digest, identities: listed })),
    judge: (bundle, digest) => {
      if (!isCertified(bundle)) return undefined;
      const { attested, reasons } = examineBundle({ artifact: { digest }, root: known, paths, accept }, digest, bundle);
      return { reasons, statement: attested === undefined ? undefined : certified(attested, identities) };
    },
  };
}

/** What cannot be read is left to those who read bundles that are signed with a key: they say what is wrong with it. */
function isCertified(bundle: Uint8Array): boolean {
  try {
    return parseSigstoreBundle(bundle).signer.kind === "certificate";
  } catch (error) {
    if (error instanceof BitforbitError) return false;
    throw error;
  }
}

function certified(
  { signer, identity, times, entry, statement }: Attested,
  identities: readonly AcceptedIdentity[],
): CertifiedStatement | undefined {
  if (identity === undefined || statement === undefined) return undefined;
  const name = acceptedAs(identity, identities)?.name ?? identity.subject;
  const verifier = noteVerifierOf(entry.log);
  return {
    statement,
    key: { name, listed: name, key: { keyId: signer.keyId } },
    identity: { subject: identity.subject, issuer: identity.issuer },
    signedAt: Math.min(...times.map(({ at }) => at)),
    logged: {
      origin: entry.origin,
      index: entry.index,
      // Of Rekor v1 there may be a promise only: a quorum of witnesses will not find its checkpoint.
      treeSize: entry.treeSize ?? 0,
      log: { origin: entry.origin, verifier },
      checkpoint: entry.checkpoint ?? "",
    },
  };
}

/** Sigstore's logs are called by their host. */
const isHost = ({ origin }: TrustedLog): boolean =>
  URL.canParse(`https://${origin}`) && new URL(`https://${origin}`).hostname === origin;

/** A log that the policy lists, as a trusted root would name it. */
export function rootLog({ origin, verifier }: TrustedLog): RootLog {
  return {
    url: new URL(`https://${origin}`),
    id: verifier.keyHash,
    valid: { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY },
    key: () => ({
      family: "ed25519",
      curve: undefined,
      spki: new Uint8Array(),
      verify: (text, signature) => verifier.verify(text, signature),
    }),
  };
}
