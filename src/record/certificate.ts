/** Writing X.509 certificates (RFC 5280): an authority's own, and a server's below it. P-256 with SHA-256 only. */
import { type KeyObject, createHash, sign } from "node:crypto";
import { isIP } from "node:net";
import { concat, utf8 } from "../bytes.ts";
import { derInteger, derOctets, derOid, derSequence } from "../format/der.ts";

export interface CertificateFields {
  /** Random; made positive. */
  serial: Uint8Array;
  issuer: string;
  /** Common name, cut to the 64 characters that it may have. */
  subject: string;
  /** Milliseconds since 1970. */
  notBefore: number;
  notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  /** Of the issuer. */
  issuerKey: { private: KeyObject; publicKey: Uint8Array };
  /** Undefined for an authority: host names or addresses that the certificate is for. */
  hosts?: readonly string[];
}

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** A certificate in DER. */
export function certificate(fields: CertificateFields): Uint8Array {
  const algorithm = derSequence(derOid(ECDSA_WITH_SHA256));
  const body = derSequence(
    tagged(0xa0, derInteger(2)),
    tagged(0x02, positive(fields.serial)),
    algorithm,
    name(fields.issuer),
    derSequence(time(fields.notBefore), time(fields.notAfter)),
    name(fields.subject),
    fields.publicKey,
    tagged(0xa3, derSequence(...extensions(fields))),
  );
  const signature = sign("sha256", body, fields.issuerKey.private);
  return derSequence(body, algorithm, bits(new Uint8Array(signature)));
}

/** PEM text (RFC 7468). */
export function certificatePem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Method 1 of section 4.2.1.2: over the bits of the key, which are the last 65 bytes for P-256. */
function keyId(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(publicKey.subarray(-65)).digest());
}

/** RFC 5280, section 4.2. */
function extensions(fields: CertificateFields): Uint8Array[] {
  const { hosts } = fields;
  const TRUE = tagged(0x01, Uint8Array.of(0xff));
  const extension = (oid: string, value: Uint8Array, critical = false): Uint8Array =>
    derSequence(derOid(oid), ...(critical ? [TRUE] : []), derOctets(value));
  const shared = [
    extension(OID.subjectKeyIdentifier, derOctets(keyId(fields.publicKey))),
    extension(OID.authorityKeyIdentifier, derSequence(tagged(0x80, keyId(fields.issuerKey.publicKey)))),
  ];
  if (hosts === undefined) {
    return [
      extension(OID.basicConstraints, derSequence(TRUE, derInteger(0)), true),
      // keyCertSign and cRLSign: bits 5 and 6.
      extension(OID.keyUsage, tagged(0x03, Uint8Array.of(1, 0x06)), true),
      ...shared,
    ];
  }
  return [
    extension(OID.basicConstraints, derSequence(), true),
    extension(OID.keyUsage, tagged(0x03, Uint8Array.of(7, 0x80)), true),
    extension(OID.extendedKeyUsage, derSequence(derOid(OID.serverAuth))),
    extension(OID.subjectAltName, derSequence(...hosts.map(alternativeName))),
    ...shared,
  ];
}

/** dNSName is [2], iPAddress is [7]: RFC 5280, section 4.2.1.6. */
function alternativeName(host: string): Uint8Array {
  const kind = isIP(host);
  if (kind === 0) return tagged(0x82, utf8(host));
  return tagged(0x87, kind === 4 ? Uint8Array.from(host.split("."), Number) : addressBytes(host));
}

function groups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

/** The 16 bytes of an IPv6 address. */
function addressBytes(host: string): Uint8Array {
  // WHATWG URL writes it without an embedded IPv4 address and in lower case.
  const [head = "", tail] = new URL(`http://[${host}]/`).hostname.slice(1, -1).split("::");
  const [first, last] = [groups(head), tail === undefined ? [] : groups(tail)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function name(commonName: string): Uint8Array {
  const value = tagged(0x0c, utf8(commonName.slice(0, 64)));
  return derSequence(tagged(0x31, derSequence(derOid(OID.commonName), value)));
}

/** UTCTime up to 2049, GeneralizedTime from then on: RFC 5280, section 4.1.2.5. */
function time(milliseconds: number): Uint8Array {
  const digits = `${new Date(milliseconds).toISOString().replace(/\D/g, "").slice(0, 14)}Z`;
  return digits < "2050" ? tagged(0x17, utf8(digits.slice(2))) : tagged(0x18, utf8(digits));
}

function bits(bytes: Uint8Array): Uint8Array {
  return tagged(0x03, concat([Uint8Array.of(0), bytes]));
}

/** At most 20 bytes, above zero, in the fewest: RFC 5280, section 4.1.2.2. */
function positive(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes.subarray(0, 20));
  copy[0] = ((copy[0] ?? 0) & 0x7f) | 0x40;
  return copy;
}

/** One element with the tag's first byte given. */
function tagged(tag: number, content: Uint8Array): Uint8Array {
  const octets = derOctets(content);
  octets[0] = tag;
  return octets;
}
