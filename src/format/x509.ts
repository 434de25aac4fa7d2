/**
 * Certificates (RFC 5280), read strictly: what a path of trust needs, and what
 * Sigstore's authority writes into those of signers. An extension that comes
 * twice, two signature algorithms, a byte after the end: all errors.
 */
import { hex, utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { contextTag, DerReader, INTEGER, NULL, OCTET_STRING, SEQUENCE, SET } from "./der-read.ts";

const MAX_CERTIFICATE = 64 << 10;
const MAX_EXTENSIONS = 64;
const MAX_NAMES = 64;

export interface Extension {
  critical: boolean;
  value: Uint8Array;
}

/** A signature's hash; Ed25519 has its own. */
export type SignatureHash = "sha256" | "sha384" | "sha512" | "none";

export interface AlternativeName {
  kind: "email" | "uri" | "other" | "unread";
  value: string;
}

export interface Certificate {
  der: Uint8Array;
  /** What the issuer signed. */
  tbs: Uint8Array;
  /** As hexadecimal digits of its DER content. */
  serial: string;
  /** Names, in DER: compared byte by byte. */
  issuer: Uint8Array;
  subject: Uint8Array;
  /** Milliseconds since 1970; both ends belong to it. */
  notBefore: number;
  notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  spki: Uint8Array;
  signature: { hash: SignatureHash; family: "ecdsa" | "rsa" | "ed25519"; bytes: Uint8Array };
  extensions: ReadonlyMap<string, Extension>;
  /** Bit 0 is digitalSignature, 5 keyCertSign; undefined without the extension. */
  keyUsage: number | undefined;
  extendedKeyUsage: { critical: boolean; purposes: readonly string[] } | undefined;
  authority: { isAuthority: boolean; pathLength: number | undefined };
  alternativeNames: readonly AlternativeName[];
}

export const EXTENSION = {
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeNames: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  timestamps: "1.3.6.1.4.1.11129.2.4.2",
} as const;

export const PURPOSE = { codeSigning: "1.3.6.1.5.5.7.3.3", timeStamping: "1.3.6.1.5.5.7.3.8" } as const;
/** digitalSignature and keyCertSign. */
export const KEY_USAGE = { digitalSignature: 0x01, certificateSigning: 0x20 } as const;

const ALGORITHMS: Readonly<Record<string, { hash: SignatureHash; family: "ecdsa" | "rsa" | "ed25519" }>> = {
  "1.2.840.10045.4.3.2": { hash: "sha256", family: "ecdsa" },
  "1.2.840.10045.4.3.3": { hash: "sha384", family: "ecdsa" },
  "1.2.840.10045.4.3.4": { hash: "sha512", family: "ecdsa" },
  "1.2.840.113549.1.1.11": { hash: "sha256", family: "rsa" },
  "1.2.840.113549.1.1.12": { hash: "sha384", family: "rsa" },
  "1.2.840.113549.1.1.13": { hash: "sha512", family: "rsa" },
  "1.3.101.112": { hash: "none", family: "ed25519" },
};

/** Parses one certificate. Throws `input` or `limit`, naming `what`. */
export function parseCertificate(der: Uint8Array, what: string): Certificate {
  if (der.length > MAX_CERTIFICATE)
    throw new BitforbitError("limit", `${what} is larger than ${MAX_CERTIFICATE} bytes`);
  const outer = new DerReader(der, what);
  const certificate = outer.enter(SEQUENCE);
  outer.finish();
  const tbs = certificate.raw(SEQUENCE);
  const algorithm = certificate.raw(SEQUENCE);
  const signature = certificate.bits();
  certificate.finish();
  const body = parseBody(tbs, algorithm, what);
  return { der, tbs, ...body, signature: { ...signatureAlgorithm(algorithm, what), bytes: signature } };
}

/** An AlgorithmIdentifier of a signature. RSA's has NULL parameters, the others none (RFC 5758, 8410). */
export function signatureAlgorithm(
  identifier: Uint8Array,
  what: string,
): { hash: SignatureHash; family: "ecdsa" | "rsa" | "ed25519" } {
  const reader = new DerReader(identifier, what).enter(SEQUENCE);
  const oid = reader.oid();
  const known = ALGORITHMS[oid];
  if (known === undefined) throw new BitforbitError("input", `${what} is signed with the algorithm ${oid}`);
  if (known.family === "rsa" && reader.read(NULL).length !== 0) {
    throw new BitforbitError("input", `${what} has parameters of RSA that are not null`);
  }
  reader.finish();
  return known;
}

type Body = Omit<Certificate, "der" | "tbs" | "signature">;

function parseBody(tbs: Uint8Array, algorithm: Uint8Array, what: string): Body {
  const reader = new DerReader(tbs, what).enter(SEQUENCE);
  const version = reader.enterIf(contextTag(0));
  if (version?.small() !== 2) throw new BitforbitError("input", `${what} is not of version 3`);
  version.finish();
  const serial = hex(reader.integer());
  if (Buffer.compare(reader.raw(SEQUENCE), algorithm) !== 0) {
    throw new BitforbitError("input", `${what} names two signature algorithms`);
  }
  const issuer = reader.raw(SEQUENCE);
  const validity = reader.enter(SEQUENCE);
  const [notBefore, notAfter] = [validity.time(), validity.time()];
  validity.finish();
  const subject = reader.raw(SEQUENCE);
  const spki = reader.raw(SEQUENCE);
  const extensions = parseExtensions(reader, what);
  reader.finish();
  return {
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    extensions,
    keyUsage: read(extensions, EXTENSION.keyUsage, what, (value) => value.namedBits()),
    extendedKeyUsage: purposes(extensions, what),
    authority: basicConstraints(extensions, what),
    alternativeNames: alternativeNames(extensions, what),
  };
}

function parseExtensions(reader: DerReader, what: string): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  const tagged = reader.enterIf(contextTag(3));
  if (tagged === undefined) return extensions;
  const list = tagged.enter(SEQUENCE);
  tagged.finish();
  while (!list.done) {
    const extension = list.enter(SEQUENCE);
    const oid = extension.oid();
    const critical = extension.booleanIf();
    const value = extension.read(OCTET_STRING);
    extension.finish();
    if (extensions.has(oid)) throw new BitforbitError("input", `${what} has the extension ${oid} twice`);
    extensions.set(oid, { critical, value });
    if (extensions.size > MAX_EXTENSIONS) {
      throw new BitforbitError("limit", `${what} has more than ${MAX_EXTENSIONS} extensions`);
    }
  }
  return extensions;
}

function read<T>(
  extensions: ReadonlyMap<string, Extension>,
  oid: string,
  what: string,
  parse: (value: DerReader) => T,
): T | undefined {
  const extension = extensions.get(oid);
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value, `${what}, extension ${oid}`);
  const value = parse(reader);
  reader.finish();
  return value;
}

function purposes(extensions: ReadonlyMap<string, Extension>, what: string): Certificate["extendedKeyUsage"] {
  const listed = read(extensions, EXTENSION.extendedKeyUsage, what, (value) => {
    const list = value.enter(SEQUENCE);
    const found: string[] = [];
    while (!list.done && found.length < MAX_NAMES) found.push(list.oid());
    list.finish();
    return found;
  });
  if (listed === undefined) return undefined;
  return { critical: extensions.get(EXTENSION.extendedKeyUsage)?.critical ?? false, purposes: listed };
}

function basicConstraints(extensions: ReadonlyMap<string, Extension>, what: string): Certificate["authority"] {
  const found = read(extensions, EXTENSION.basicConstraints, what, (value) => {
    const list = value.enter(SEQUENCE);
    const isAuthority = list.booleanIf();
    const pathLength = list.isNext(INTEGER) ? list.small() : undefined;
    list.finish();
    if (pathLength !== undefined && !isAuthority) {
      throw new BitforbitError("input", `${what} limits the path of what is no authority`);
    }
    return { isAuthority, pathLength };
  });
  return found ?? { isAuthority: false, pathLength: undefined };
}

/** otherName as Fulcio writes user names: a UTF8String of this type. */
const FULCIO_NAME = "1.3.6.1.4.1.57264.1.7";

function alternativeNames(extensions: ReadonlyMap<string, Extension>, what: string): AlternativeName[] {
  const names = read(extensions, EXTENSION.alternativeNames, what, (value) => {
    const list = value.enter(SEQUENCE);
    const found: AlternativeName[] = [];
    while (!list.done) {
      found.push(alternativeName(list, what));
      if (found.length > MAX_NAMES) throw new BitforbitError("limit", `${what} has more than ${MAX_NAMES} names`);
    }
    return found;
  });
  return names ?? [];
}

function alternativeName(list: DerReader, what: string): AlternativeName {
  for (const [number, kind] of [
    [1, "email"],
    [6, "uri"],
  ] as const) {
    if (!list.isNext(contextTag(number, false))) continue;
    const value = utf8Text(list.read(contextTag(number, false)));
    // IA5String; a control character could make a name look like another.
    if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) {
      throw new BitforbitError("input", `${what} has a name that is not printable ASCII`);
    }
    return { kind, value };
  }
  const other = list.enterIf(contextTag(0));
  if (other === undefined) {
    list.raw();
    return { kind: "unread", value: "" };
  }
  const type = other.oid();
  if (type !== FULCIO_NAME) return { kind: "unread", value: "" };
  const tagged = other.enter(contextTag(0));
  const value = tagged.text();
  tagged.finish();
  other.finish();
  return { kind: "other", value };
}

/** Re-encoded without one extension: what a certificate transparency log signed (RFC 6962, section 3.2). */
export function tbsWithout(tbs: Uint8Array, oid: string, what: string): Uint8Array {
  const outer = new DerReader(tbs, what).enter(SEQUENCE);
  const start = outer.offset;
  let extensionsAt = start;
  while (!outer.done && !outer.isNext(contextTag(3))) {
    outer.raw();
    extensionsAt = outer.offset;
  }
  const head = tbs.subarray(start, extensionsAt);
  const list = outer.enter(contextTag(3)).enter(SEQUENCE);
  const kept: Uint8Array[] = [];
  while (!list.done) {
    const whole = list.raw(SEQUENCE);
    if (new DerReader(whole, what).enter(SEQUENCE).oid() !== oid) kept.push(whole);
  }
  // RFC 5280 wants one extension at least; without any the field is left out.
  const extensions = kept.length === 0 ? [] : [wrapped(contextTag(3), [wrapped(SEQUENCE, kept)])];
  return wrapped(SEQUENCE, [head, ...extensions]);
}

function wrapped(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | size.length, ...size];
  return new Uint8Array(Buffer.concat([Uint8Array.from(header), ...parts]));
}

/** A name for people: the common name, or the first attribute that is text. */
export function nameText(name: Uint8Array): string {
  try {
    const list = new DerReader(name, "a name").enter(SEQUENCE);
    let found = "";
    while (!list.done) {
      const set = list.enter(SET);
      const attribute = set.enter(SEQUENCE);
      const common = attribute.oid() === "2.5.4.3";
      const raw = attribute.raw();
      const text = utf8Text(new DerReader(raw, "a name").read(raw[0] ?? 0)) ?? "";
      if (common || found === "") found = text;
    }
    return found.slice(0, 100);
  } catch (error) {
    if (error instanceof BitforbitError) return "";
    throw error;
  }
}
