/**
 * Signing without a key of one's own: a certificate for this job's identity and
 * a key that lives for one signing, timestamps, and a log. Every answer is
 * checked against the trusted root before the next service is asked, and the
 * bundles as any verifier would before they are handed on: a failure leaves nothing.
 */
import { readFile, stat } from "node:fs/promises";
import { certificateBundle, type CertifiedStatement } from "../attest/certificate-bundle.ts";
import { readTrustedRoot, type RootLog, type TrustedRoot } from "../attest/read-trusted-root.ts";
import { readSigningConfig, type SigningServices } from "../attest/signing-config.ts";
import type { AppendingLog } from "../attest/sign.ts";
import type { Statement } from "../attest/statement.ts";
import { utf8 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { hashedRekordOfCertificate } from "../format/hashedrekord.ts";
import { transparencyLogEntry } from "../format/tlog-entry.ts";
import { noteVerifier } from "../format/note.ts";
import type { Certificate } from "../format/x509.ts";
import type { JsonObject } from "../json.ts";
import type { ServiceOptions } from "../keys/bounded-request.ts";
import { certifiedSigner } from "../keys/fulcio.ts";
import { fetchToken, findToken, type TokenPlace, tokenWords, USUAL_AUDIENCE } from "../keys/identity-token.ts";
import type { LogIdentity } from "../log/reader.ts";
import { CertificatePaths, covers } from "../policy/certificate-path.ts";
import type { SignerIdentity } from "../policy/identity.ts";
import { rootLog } from "../policy/identity-judge.ts";
import { verifySigstore } from "../policy/sigstore.ts";
import { timestampedAt } from "../policy/trusted-time.ts";
import { askForEntry, askForTimestamp } from "./keyless-services.ts";

/** What a person named; nothing is taken that was not. */
export interface KeylessRequest {
  /** Files. */
  trustedRoot: string;
  signingConfig?: string | undefined;
  identityToken?: string | undefined;
  /** Addresses, instead of the signing config's. */
  authority?: string | undefined;
  timestampAuthority?: string | undefined;
  log?: string | undefined;
  audience?: string | undefined;
}

/** A keyless signer that is ready: all that can be wrong without asking anybody is not. */
export interface Keyless {
  root: TrustedRoot;
  authority: string;
  timestampAuthorities: readonly string[];
  /** Without any, the home's own log takes the entries. */
  logs: readonly string[];
  token: TokenPlace;
  audience: string;
  options: ServiceOptions & { now: () => number };
}

export interface KeylessEvidence {
  bundles: Uint8Array[];
  keyId: string;
  identity: SignerIdentity;
  log: { origin: string; indexes: number[] };
}

/** What clocks of honest machines may differ by. */
const CLOCKS_DIFFER = 60_000;
const MAX_FILE = 4 << 20;

/** Reads what was named. Throws `usage` where a service is missing, `input` for a file that cannot be used, `lacking` without a token. */
export async function openKeyless(
  request: KeylessRequest,
  options: ServiceOptions & { now: () => number },
): Promise<Keyless> {
  const { signingConfig, trustedRoot } = request;
  const root = readTrustedRoot(await readSmall(trustedRoot), trustedRoot);
  const configured: SigningServices =
    signingConfig === undefined
      ? { authority: undefined, timestampAuthorities: [], logs: [] }
      : readSigningConfig(await readSmall(signingConfig), signingConfig, options.now());
  const authority = request.authority ?? configured.authority;
  if (authority === undefined) throw missing("certificate authority (Fulcio)", "--fulcio URL", signingConfig);
  const { timestampAuthority, log } = request;
  const timestampAuthorities =
    timestampAuthority === undefined ? configured.timestampAuthorities : [timestampAuthority];
  // A certificate is good for minutes: without a trusted time nobody could verify anything later.
  if (timestampAuthorities.length === 0) {
    throw missing("timestamp authority", "--timestamp-authority URL", signingConfig);
  }
  return {
    root,
    authority,
    timestampAuthorities,
    logs: log === undefined ? configured.logs : [log],
    token: findToken(options.environment ?? process.env, request.identityToken),
    audience: request.audience ?? USUAL_AUDIENCE,
    options,
  };
}

function missing(what: string, option: string, config: string | undefined): BitforbitError {
  const message =
    config === undefined ? `keyless signing needs a ${what}` : `${config} has no ${what} that is valid now`;
  return new BitforbitError("usage", message, {
    hint: `give ${option}, or a --signing-config with one: no service is asked that was not named`,
  });
}

/** Who will be asked for what, for people. */
export function keylessWords({ authority, timestampAuthorities, logs, token }: Keyless): string {
  const log = logs.length === 0 ? "the project's own log" : logs.join(", ");
  const identity = `${tokenWords(token)} goes to ${authority}`;
  return `keyless: ${identity}; timestamps by ${timestampAuthorities.join(", ")}; entries in ${log}`;
}

/** Signs statements and has them timestamped and logged. `own`: the home's log, where no other is named. */
export async function attestKeyless(
  statements: readonly Statement[],
  keyless: Keyless,
  own: AppendingLog | undefined,
): Promise<KeylessEvidence> {
  const { root, options } = keyless;
  const paths = new CertificatePaths(root);
  const token = await fetchToken(keyless.token, keyless.audience, options);
  const { signer, certificate } = await certifiedSigner(keyless.authority, token, options);
  const identity = trustedIdentity(certificate, paths, keyless);
  const signed: Signed[] = [];
  for (const statement of statements) {
    const payload = utf8(JSON.stringify(statement));
    const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
    const signature = await signer.sign(encoding);
    const timestamps = await stamped(signature, keyless, paths);
    const digest = sha256(encoding);
    const entry = hashedRekordOfCertificate(digest, signature, certificate.der);
    signed.push({ payload, signature, certificate: certificate.der, timestamps, digest, entry });
  }
  const entries = await logged(signed, keyless, own);
  const bundles = signed.map((one, at) => certificateBundle({ ...one, entries: entries[at] ?? [] }));
  const known =
    own === undefined || keyless.logs.length > 0 ? root : { ...root, logs: [...root.logs, ownLog(own.identity)] };
  const places = bundles.map((bundle, at) => verified(bundle, statements[at], known, paths, identity));
  const origin = places[0]?.origin ?? "";
  return { bundles, keyId: signer.keyId, identity, log: { origin, indexes: places.map(({ index }) => index) } };
}

interface Signed extends Omit<CertifiedStatement, "entries"> {
  digest: Uint8Array;
  entry: Uint8Array;
}

/** Whose certificate it is: of somebody trusted, shown to a log where the root has one, and valid now. */
function trustedIdentity(
  certificate: Certificate,
  paths: CertificatePaths,
  { authority, options }: Keyless,
): SignerIdentity {
  try {
    const { identity, windows } = paths.signer(certificate.der);
    const now = options.now();
    if (windows.some((window) => covers({ ...window, from: window.from - CLOCKS_DIFFER }, now))) return identity;
    const { notBefore, notAfter } = certificate;
    throw new BitforbitError(
      "refused",
      `the certificate is valid from ${rfc3339(notBefore)} to ${rfc3339(notAfter)}, and it is ${rfc3339(now)}`,
    );
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    throw new BitforbitError("outside", `the certificate by ${authority} is no good: ${error.message}`, {
      cause: error,
      hint: "nothing was signed: see whether the trusted root is the one of that authority, and this machine's clock is right",
    });
  }
}

async function stamped(signature: Uint8Array, keyless: Keyless, paths: CertificatePaths): Promise<Uint8Array[]> {
  const timestamps: Uint8Array[] = [];
  for (const address of keyless.timestampAuthorities) {
    const timestamp = await askForTimestamp(address, signature, keyless.options);
    try {
      timestampedAt(timestamp, signature, paths);
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
      throw new BitforbitError("outside", `the timestamp by ${address} is no good: ${error.message}`, {
        cause: error,
        hint: "nothing was signed: see whether the trusted root has that timestamp authority",
      });
    }
    timestamps.push(timestamp);
  }
  return timestamps;
}

/** For each signature its entries, one of each log. */
async function logged(
  signed: readonly Signed[],
  { logs, options }: Keyless,
  own: AppendingLog | undefined,
): Promise<JsonObject[][]> {
  if (logs.length > 0) {
    const all: JsonObject[][] = [];
    for (const one of signed) {
      const entries: JsonObject[] = [];
      for (const address of logs) entries.push(await askForEntry(address, one, options));
      all.push(entries);
    }
    return all;
  }
  if (own === undefined) throw new BitforbitError("usage", "keyless signing needs a log");
  const proofs = await own.appendAll(signed.map(({ entry }) => entry));
  return signed.map(({ entry }, at) => {
    const proof = proofs[at];
    if (proof === undefined) throw new BitforbitError("outside", "the log gave too few proofs");
    return [transparencyLogEntry(entry, proof, own.identity.keyHash)];
  });
}

const ownLog = ({ origin, publicKeyPem }: LogIdentity): RootLog =>
  rootLog({ origin, verifier: noteVerifier(origin, publicKeyPem) });

/** Where it is logged. Throws `outside` for a bundle that no verifier would take. */
function verified(
  bundle: Uint8Array,
  statement: Statement | undefined,
  root: TrustedRoot,
  paths: CertificatePaths,
  { subject, issuer }: SignerIdentity,
): { origin: string; index: number } {
  const digest = `sha256:${statement?.subject[0]?.digest.sha256 ?? ""}`;
  const accept = { kind: "identities" as const, identities: [{ subject, issuer }] };
  const decision = verifySigstore({ artifact: { digest }, bundles: [bundle], root, paths, accept });
  const { log } = decision.facts;
  if (decision.ok && log !== undefined) return log;
  const failed = decision.reasons.find(({ ok }) => !ok);
  throw new BitforbitError("outside", `what was signed does not verify: ${failed?.check}: ${failed?.message}`, {
    hint: "nothing was kept: see whether the trusted root has that log",
  });
}

async function readSmall(path: string): Promise<Uint8Array> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new BitforbitError("input", `${path} is not a regular file`);
    if (stats.size > MAX_FILE) throw new BitforbitError("limit", `${path} is larger than ${MAX_FILE} bytes`);
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new BitforbitError("input", `cannot read ${path}: ${code}`, { cause: error });
  }
}
