/**
 * From a certificate to an authority of the trusted root (RFC 5280, section 6,
 * for the short paths of Sigstore): signatures, names, basic constraints, key
 * usage, purposes, no critical extension that is not known. Which times a path
 * is valid for is worked out once, so that a path is verified once however many
 * signatures hang on it: that is the whole of the cache, and a verdict found in
 * it is the one that would be found again.
 */
import type { Authority, TrustedRoot, Window } from "../attest/read-trusted-root.ts";
import { equalBytes } from "../bytes.ts";
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { DerReader, contextTag, OCTET_STRING, SEQUENCE } from "../format/der-read.ts";
import { parseCertificateTimestamps, signedEntry } from "../format/sct.ts";
import { type VerifyingKey, verifyingKey } from "../format/verifying-key.ts";
import {
  type Certificate,
  EXTENSION,
  KEY_USAGE,
  nameText,
  parseCertificate,
  PURPOSE,
  tbsWithout,
} from "../format/x509.ts";
import { type SignerIdentity, signerIdentity } from "./identity.ts";

export interface Signer {
  certificate: Certificate;
  key: VerifyingKey;
  identity: SignerIdentity;
  /** When its path is valid: one window an authority that issued it. */
  windows: readonly Window[];
}

export interface TimestampSigner {
  certificate: Certificate;
  key: VerifyingKey;
  window: Window;
  name: string;
}

/** An authority whose own chain has been verified. */
interface Path {
  issuer: Certificate;
  key: VerifyingKey;
  window: Window;
}

const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  EXTENSION.keyUsage,
  EXTENSION.alternativeNames,
  EXTENSION.basicConstraints,
  EXTENSION.extendedKeyUsage,
]);
const MAX_CACHED = 4096;

/** Certificates judged by one trusted root. Bounded; forgets the oldest. */
export class CertificatePaths {
  readonly #root: TrustedRoot;
  readonly #signers = new Map<string, Signer | BitforbitError>();
  /** Times by digest of timestamp and signature, for `timestampedAt`. */
  readonly times: Map<string, { at: number; by: string }> = new Map();
  #paths: readonly (Path | BitforbitError)[] | undefined;
  #timestampSigners: readonly (TimestampSigner | BitforbitError)[] | undefined;

  constructor(root: TrustedRoot) {
    this.#root = root;
  }

  /** The signer of a code-signing certificate (DER). Throws `input` or `refused`. */
  signer(der: Uint8Array): Signer {
    const name = sha256Hex(der);
    let known = this.#signers.get(name);
    if (known === undefined) {
      known = caught(() => this.#verify(der));
      const oldest = this.#signers.size < MAX_CACHED ? undefined : this.#signers.keys().next().value;
      if (oldest !== undefined) this.#signers.delete(oldest);
      this.#signers.set(name, known);
    }
    return orThrow(known);
  }

  /** The signers of timestamps: those that can be used, and why the others cannot. */
  timestampSigners(): readonly (TimestampSigner | BitforbitError)[] {
    this.#timestampSigners ??= this.#root.timestampAuthorities.map((authority) =>
      caught(() => verifyTimestampAuthority(authority)),
    );
    return this.#timestampSigners;
  }

  #verify(der: Uint8Array): Signer {
    const certificate = parseCertificate(der, "the certificate");
    checkLeaf(certificate, PURPOSE.codeSigning, "the certificate");
    const key = verifyingKey(certificate.spki, "the certificate's key");
    const identity = signerIdentity(certificate);
    const failures: BitforbitError[] = [];
    const windows: Window[] = [];
    this.#paths ??= this.#root.authorities.map((authority) =>
      caught(() => verifyAuthority(authority, PURPOSE.codeSigning)),
    );
    for (const path of this.#paths) {
      const issued = caught(() => this.#issued(certificate, orThrow(path)));
      if (issued instanceof BitforbitError) failures.push(issued);
      else if (issued !== undefined) windows.push(issued);
    }
    if (windows.length > 0) return { certificate, key, identity, windows };
    const [failure] = failures;
    if (failure !== undefined) throw failure;
    throw refused(
      `no trusted authority is called ${JSON.stringify(nameText(certificate.issuer))}, as the certificate's issuer is`,
    );
  }

  /** The window of the path, or undefined when that authority is not the issuer by name. */
  #issued(certificate: Certificate, path: Path): Window | undefined {
    if (!equalBytes(certificate.issuer, path.issuer.subject)) return undefined;
    checkLink(certificate, path.issuer, path.key, "the certificate");
    checkCertificateTimestamps(certificate, path.issuer, this.#root);
    return overlap([path.window, validity(certificate)]);
  }
}

/** Whether a window covers `at`, both ends included. */
export function covers({ from, until }: Window, at: number): boolean {
  return from <= at && at <= until;
}

function verifyAuthority(authority: Authority, purpose: string): Path {
  const [issuer, ...rest] = authority.chain;
  const window = verifyChain(authority, issuer, rest, purpose, 0);
  return { issuer, key: verifyingKey(issuer.spki, `the key of ${authority.name}`), window };
}

/** A timestamp authority's chain begins with the certificate that signs timestamps. */
function verifyTimestampAuthority(authority: Authority): TimestampSigner {
  const [certificate, issuer, ...rest] = authority.chain;
  const what = `the certificate of ${authority.name}`;
  checkLeaf(certificate, PURPOSE.timeStamping, what);
  const usage = certificate.extendedKeyUsage;
  // RFC 3161, section 2.3: this purpose and no other, marked critical.
  if (usage?.critical !== true || usage.purposes.length !== 1) {
    throw refused(`${what} is not for timestamps alone, marked critical`);
  }
  if (issuer === undefined) throw refused(`${what} comes without its issuer`);
  checkLink(certificate, issuer, verifyingKey(issuer.spki, `the key of ${authority.name}`), what);
  const window = overlap([verifyChain(authority, issuer, rest, PURPOSE.timeStamping, 0), validity(certificate)]);
  return { certificate, key: verifyingKey(certificate.spki, what), window, name: authority.name };
}

/** Every link from `issuer` to the last, which is trusted as it is. `below`: authorities under `issuer`. */
function verifyChain(
  authority: Authority,
  issuer: Certificate,
  rest: readonly Certificate[],
  purpose: string,
  below: number,
): Window {
  const windows = [authority.valid, validity(issuer)];
  const what = `a certificate of ${authority.name}`;
  checkIssuer(issuer, purpose, below, what);
  let child = issuer;
  for (const [at, parent] of rest.entries()) {
    checkIssuer(parent, purpose, below + at + 1, what);
    checkLink(child, parent, verifyingKey(parent.spki, what), what);
    windows.push(validity(parent));
    child = parent;
  }
  return overlap(windows);
}

function checkLeaf(certificate: Certificate, purpose: string, what: string): void {
  checkExtensions(certificate, what);
  if (certificate.authority.isAuthority) throw refused(`${what} is one of an authority`);
  if (((certificate.keyUsage ?? 0) & KEY_USAGE.digitalSignature) === 0) throw refused(`${what} is not for signatures`);
  if (certificate.extendedKeyUsage?.purposes.includes(purpose) !== true) {
    throw refused(`${what} is not for ${purpose === PURPOSE.codeSigning ? "code signing" : "timestamps"}`);
  }
}

function checkIssuer(certificate: Certificate, purpose: string, below: number, what: string): void {
  checkExtensions(certificate, what);
  const { isAuthority, pathLength } = certificate.authority;
  if (!isAuthority) throw refused(`${what} is not one of an authority`);
  if (((certificate.keyUsage ?? 0) & KEY_USAGE.certificateSigning) === 0) throw refused(`${what} may not issue`);
  if (pathLength !== undefined && pathLength < below)
    throw refused(`${what} may not have ${below} authorities below it`);
  const usage = certificate.extendedKeyUsage;
  if (usage !== undefined && !usage.purposes.includes(purpose)) throw refused(`${what} may not issue for this purpose`);
}

function checkExtensions(certificate: Certificate, what: string): void {
  for (const [oid, { critical }] of certificate.extensions) {
    if (critical && !KNOWN_EXTENSIONS.has(oid))
      throw refused(`${what} has the critical extension ${oid}, which is not known`);
  }
  if (certificate.notAfter < certificate.notBefore) throw refused(`${what} ends before it begins`);
}

function checkLink(child: Certificate, parent: Certificate, key: VerifyingKey, what: string): void {
  if (!equalBytes(child.issuer, parent.subject)) throw refused(`${what} names another issuer`);
  const [wanted, has] = [authorityKeyId(child), subjectKeyId(parent)];
  if (wanted !== undefined && has !== undefined && !equalBytes(wanted, has)) {
    throw refused(`${what} names another key of its issuer`);
  }
  const { hash, family, bytes } = child.signature;
  if (family !== key.family || !key.verify(child.tbs, bytes, hash)) {
    throw refused(`${what} is not signed by ${JSON.stringify(nameText(parent.subject))}`);
  }
}

function subjectKeyId(certificate: Certificate): Uint8Array | undefined {
  const value = certificate.extensions.get(EXTENSION.subjectKeyId)?.value;
  return value === undefined ? undefined : new DerReader(value, "a key identifier").read(OCTET_STRING);
}

function authorityKeyId(certificate: Certificate): Uint8Array | undefined {
  const value = certificate.extensions.get(EXTENSION.authorityKeyId)?.value;
  if (value === undefined) return undefined;
  const list = new DerReader(value, "a key identifier").enter(SEQUENCE);
  return list.isNext(contextTag(0, false)) ? list.read(contextTag(0, false)) : undefined;
}

/** Every timestamp in the certificate must be by a log of the root, and there must be one where the root has logs (RFC 6962). */
function checkCertificateTimestamps(certificate: Certificate, issuer: Certificate, root: TrustedRoot): void {
  const extension = certificate.extensions.get(EXTENSION.timestamps);
  const timestamps = extension === undefined ? [] : parseCertificateTimestamps(extension.value, "the certificate");
  // An authority of one's own may have no such log; its trusted root then names none.
  if (timestamps.length === 0 && root.certificateLogs.length === 0) return;
  if (timestamps.length === 0) throw refused("the certificate was not shown to a certificate transparency log");
  const tbs = tbsWithout(certificate.tbs, EXTENSION.timestamps, "the certificate");
  for (const timestamp of timestamps) {
    const log = root.certificateLogs.find(
      ({ id, valid }) => equalBytes(id, timestamp.logId) && covers(valid, timestamp.at),
    );
    if (log === undefined)
      throw refused("the certificate was shown to a certificate transparency log that is not trusted");
    const key = log.key();
    const signed = signedEntry(timestamp, issuer.spki, tbs);
    if (key.family !== timestamp.family || !key.verify(signed, timestamp.signature, "sha256")) {
      throw refused(`the certificate's timestamp is not one by the log ${log.url.href} for it`);
    }
  }
}

function validity({ notBefore, notAfter }: Certificate): Window {
  return { from: notBefore, until: notAfter };
}

function overlap(windows: readonly Window[]): Window {
  return {
    from: Math.max(...windows.map(({ from }) => from)),
    until: Math.min(...windows.map(({ until }) => until)),
  };
}

function caught<T>(work: () => T): T | BitforbitError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BitforbitError) return error;
    throw error;
  }
}

function orThrow<T>(outcome: T | BitforbitError): T {
  if (outcome instanceof BitforbitError) throw outcome;
  return outcome;
}

function refused(message: string): BitforbitError {
  return new BitforbitError("refused", message);
}
