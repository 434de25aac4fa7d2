/**
 * Timestamps (RFC 3161): a response, in it a CMS SignedData (RFC 5652) with one
 * signer, in it a TSTInfo. Read strictly, and only of the form that timestamp
 * authorities write:
 *
 *     status 0 ‖ signedData ‖ version 3, SHA-2 ‖ TSTInfo ‖ [certificates] ‖ one signer with signed attributes
 *
 * Certificates that lie in it must be ones, and count for nothing: the
 * authority's are known to whoever trusts it.
 */
import { hex } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { BOOLEAN, contextTag, DerReader, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET } from "./der-read.ts";
import { parseCertificate, type SignatureHash, signatureAlgorithm } from "./x509.ts";

const MAX_TIMESTAMP = 64 << 10;
const MAX_ATTRIBUTES = 16;
const MAX_CERTIFICATES = 10;
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const ATTRIBUTE = {
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
} as const;
const HASHES: Readonly<Record<string, HashName>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

export type HashName = "sha256" | "sha384" | "sha512";

export interface Timestamp {
  /** Milliseconds since 1970. */
  at: number;
  /** What the time was stamped on. */
  imprint: { hash: HashName; digest: Uint8Array };
  /** The TSTInfo's bytes, and the digest of them that was signed. */
  info: Uint8Array;
  infoDigest: { hash: HashName; digest: Uint8Array };
  /** Who signed: issuer in DER, serial as hexadecimal digits. */
  signer: { issuer: Uint8Array; serial: string };
  /** The digest of the signer's certificate that was signed. */
  certificateDigest: { hash: HashName | "sha1"; digest: Uint8Array };
  /** What was signed: the attributes as a SET. */
  signedAttributes: Uint8Array;
  signature: { hash: SignatureHash; family: "ecdsa" | "rsa" | "ed25519"; bytes: Uint8Array };
}

/** Parses a TimeStampResp. Throws `input` or `limit`, naming `what`. */
export function parseTimestamp(der: Uint8Array, what: string): Timestamp {
  if (der.length > MAX_TIMESTAMP) throw new BitforbitError("limit", `${what} is larger than ${MAX_TIMESTAMP} bytes`);
  const outer = new DerReader(der, what);
  const response = outer.enter(SEQUENCE);
  outer.finish();
  const status = response.enter(SEQUENCE).small();
  if (status > 1) throw new BitforbitError("input", `${what} says that it was not granted: status ${status}`);
  const contentInfo = response.enter(SEQUENCE);
  response.finish();
  expect(contentInfo.oid(), SIGNED_DATA, what, "content type");
  const tagged = contentInfo.enter(contextTag(0));
  contentInfo.finish();
  const signedData = tagged.enter(SEQUENCE);
  tagged.finish();
  return parseSignedData(signedData, what);
}

function parseSignedData(data: DerReader, what: string): Timestamp {
  const version = data.small();
  if (version !== 3) throw new BitforbitError("input", `${what} is SignedData of version ${version}, not 3`);
  const hashes = data.enter(SET);
  const listed: HashName[] = [];
  while (!hashes.done && listed.length < 4) listed.push(hashName(hashes, what));
  hashes.finish();
  const content = data.enter(SEQUENCE);
  expect(content.oid(), TST_INFO, what, "content");
  const wrapped = content.enter(contextTag(0));
  content.finish();
  const info = wrapped.read(OCTET_STRING);
  wrapped.finish();
  const certificates = data.enterIf(contextTag(0));
  if (certificates !== undefined) checkCertificates(certificates, what);
  data.enterIf(contextTag(1)); // revocation lists
  const signers = data.enter(SET);
  data.finish();
  const signer = parseSigner(signers.enter(SEQUENCE), what);
  signers.finish();
  if (!listed.includes(signer.infoDigest.hash)) {
    throw new BitforbitError("input", `${what} does not list its signer's hash`);
  }
  return { ...parseInfo(info, what), info, ...signer };
}

function checkCertificates(certificates: DerReader, what: string): void {
  for (let count = 0; !certificates.done; count++) {
    if (count === MAX_CERTIFICATES) throw new BitforbitError("limit", `${what} has more than ${count} certificates`);
    parseCertificate(certificates.raw(SEQUENCE), `a certificate in ${what}`);
  }
}

type Signer = Pick<Timestamp, "signer" | "signedAttributes" | "signature" | "infoDigest" | "certificateDigest">;

function parseSigner(reader: DerReader, what: string): Signer {
  const version = reader.small();
  if (version !== 1) throw new BitforbitError("input", `${what} names its signer in the form ${version}, not 1`);
  const sid = reader.enter(SEQUENCE);
  const signer = { issuer: sid.raw(SEQUENCE), serial: hex(sid.integer()) };
  sid.finish();
  const hash = hashName(reader, what);
  const encoded = reader.raw(contextTag(0));
  const attributes = parseAttributes(encoded, what);
  const algorithm = signatureAlgorithmOf(reader.raw(SEQUENCE), hash, what);
  const bytes = reader.read(OCTET_STRING);
  reader.finish(); // no unsigned attributes: nobody vouches for them
  // Signed as a SET, sent as [0] (RFC 5652, section 5.4).
  const signedAttributes = Uint8Array.from(encoded);
  signedAttributes[0] = SET;
  return {
    signer,
    signedAttributes,
    signature: { ...algorithm, bytes },
    infoDigest: { hash, digest: attributes.digest },
    certificateDigest: attributes.certificate,
  };
}

/** rsaEncryption goes with the digest algorithm; the others name their hash. */
function signatureAlgorithmOf(
  identifier: Uint8Array,
  hash: HashName,
  what: string,
): { hash: SignatureHash; family: "ecdsa" | "rsa" | "ed25519" } {
  const reader = new DerReader(identifier, what).enter(SEQUENCE);
  if (reader.oid() === "1.2.840.113549.1.1.1") {
    if (!reader.done) reader.read(NULL);
    reader.finish();
    return { hash, family: "rsa" };
  }
  return signatureAlgorithm(identifier, what);
}

interface Attributes {
  digest: Uint8Array;
  certificate: Timestamp["certificateDigest"];
}

function parseAttributes(encoded: Uint8Array, what: string): Attributes {
  const list = new DerReader(encoded, what).enter(contextTag(0));
  const found = new Map<string, DerReader>();
  while (!list.done) {
    const attribute = list.enter(SEQUENCE);
    const type = attribute.oid();
    const values = attribute.enter(SET);
    attribute.finish();
    if (found.has(type)) throw new BitforbitError("input", `${what} has the signed attribute ${type} twice`);
    found.set(type, values);
    if (found.size > MAX_ATTRIBUTES) throw new BitforbitError("limit", `${what} has too many signed attributes`);
  }
  const one = (type: string): DerReader => {
    const values = found.get(type);
    if (values === undefined) throw new BitforbitError("input", `${what} lacks the signed attribute ${type}`);
    return values;
  };
  const contentType = one(ATTRIBUTE.contentType);
  expect(contentType.oid(), TST_INFO, what, "signed content type");
  contentType.finish();
  const messageDigest = one(ATTRIBUTE.messageDigest);
  const digest = messageDigest.read(OCTET_STRING);
  messageDigest.finish();
  const second = found.get(ATTRIBUTE.signingCertificateV2);
  const certificate =
    second === undefined
      ? signingCertificate(one(ATTRIBUTE.signingCertificate), false, what)
      : signingCertificate(second, true, what);
  return { digest, certificate };
}

/** ESSCertID and ESSCertIDv2 (RFC 5035): the first is the signer's; policies and issuer are not looked at. */
function signingCertificate(values: DerReader, second: boolean, what: string): Timestamp["certificateDigest"] {
  const certificates = values.enter(SEQUENCE).enter(SEQUENCE);
  values.finish();
  const certificate = certificates.enter(SEQUENCE);
  const hash = !second ? "sha1" : certificate.isNext(SEQUENCE) ? hashName(certificate, what) : "sha256";
  return { hash, digest: certificate.read(OCTET_STRING) };
}

/** TSTInfo, RFC 3161, section 2.4.2. */
function parseInfo(info: Uint8Array, what: string): Pick<Timestamp, "at" | "imprint"> {
  const outer = new DerReader(info, what);
  const reader = outer.enter(SEQUENCE);
  outer.finish();
  const version = reader.small();
  if (version !== 1) throw new BitforbitError("input", `${what} is a TSTInfo of version ${version}, not 1`);
  reader.read(OID); // the authority's policy
  const imprint = reader.enter(SEQUENCE);
  const hash = hashName(imprint, what);
  const digest = imprint.read(OCTET_STRING);
  imprint.finish();
  reader.integer(); // serial number
  const at = reader.preciseTime();
  reader.enterIf(SEQUENCE); // accuracy
  if (reader.isNext(BOOLEAN)) reader.boolean(); // ordering; some write the default out
  if (reader.isNext(INTEGER)) reader.integer(); // nonce
  reader.enterIf(contextTag(0)); // name
  const extensions = reader.enterIf(contextTag(1));
  reader.finish();
  if (extensions !== undefined) checkExtensions(extensions, what);
  return { at, imprint: { hash, digest } };
}

function checkExtensions(extensions: DerReader, what: string): void {
  while (!extensions.done) {
    const extension = extensions.enter(SEQUENCE);
    const oid = extension.oid();
    if (!extension.booleanIf()) continue;
    throw new BitforbitError("input", `${what} has the critical extension ${oid}, which is not known`);
  }
}

function hashName(reader: DerReader, what: string): HashName {
  const algorithm = reader.enter(SEQUENCE);
  const oid = algorithm.oid();
  // Parameters of SHA-2 are left out or NULL (RFC 5754, section 2).
  if (!algorithm.done) algorithm.read(NULL);
  algorithm.finish();
  const name = HASHES[oid];
  if (name === undefined) throw new BitforbitError("input", `${what} is over a digest by ${oid}, not by SHA-2`);
  return name;
}

function expect(found: string, wanted: string, what: string, which: string): void {
  if (found !== wanted) throw new BitforbitError("input", `${what} has the ${which} ${found}, not ${wanted}`);
}
