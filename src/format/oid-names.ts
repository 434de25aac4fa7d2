/** Names of the object identifiers that certificates, keys and signatures are made of (RFC 5280, 5652, 5912, 8017, 8410, 3161, …). */
const TABLE = `
1.2.840.10040.4.1 DSA
1.2.840.10045.2.1 EC public key
1.2.840.10045.3.1.7 P-256
1.2.840.10045.4.3.2 ECDSA with SHA-256
1.2.840.10045.4.3.3 ECDSA with SHA-384
1.2.840.10045.4.3.4 ECDSA with SHA-512
1.2.840.113549.1.1.1 RSA
1.2.840.113549.1.1.5 RSA with SHA-1
1.2.840.113549.1.1.10 RSASSA-PSS
1.2.840.113549.1.1.11 RSA with SHA-256
1.2.840.113549.1.1.12 RSA with SHA-384
1.2.840.113549.1.1.13 RSA with SHA-512
1.2.840.113549.1.5.12 PBKDF2
1.2.840.113549.1.5.13 PBES2
1.2.840.113549.1.7.1 data
1.2.840.113549.1.7.2 signed data
1.2.840.113549.1.7.3 enveloped data
1.2.840.113549.1.7.6 encrypted data
1.2.840.113549.1.9.1 email address
1.2.840.113549.1.9.3 content type
1.2.840.113549.1.9.4 message digest
1.2.840.113549.1.9.5 signing time
1.2.840.113549.1.9.14 extension request
1.2.840.113549.1.9.15 S/MIME capabilities
1.2.840.113549.1.9.16.1.4 timestamp token information
1.2.840.113549.1.9.16.2.12 signing certificate
1.2.840.113549.1.9.16.2.14 timestamp token
1.2.840.113549.1.9.16.2.47 signing certificate v2
1.2.840.113549.1.9.20 friendly name
1.2.840.113549.1.9.21 local key id
1.2.840.113549.1.9.22.1 X.509 certificate
1.2.840.113549.1.12.10.1.2 shrouded key bag
1.2.840.113549.1.12.10.1.3 certificate bag
1.3.6.1.4.1.311.2.1.4 indirect data
1.3.6.1.4.1.311.2.1.11 statement type
1.3.6.1.4.1.311.2.1.12 program information
1.3.6.1.4.1.311.2.1.15 PE image data
1.3.6.1.4.1.311.3.3.1 timestamp
1.3.6.1.4.1.11129.2.4.2 certificate transparency
1.3.6.1.4.1.57264.1.1 Sigstore issuer
1.3.6.1.4.1.57264.1.8 Sigstore issuer v2
1.3.6.1.5.5.7.1.1 authorityInfoAccess
1.3.6.1.5.5.7.3.1 server authentication
1.3.6.1.5.5.7.3.2 client authentication
1.3.6.1.5.5.7.3.3 code signing
1.3.6.1.5.5.7.3.4 email protection
1.3.6.1.5.5.7.3.8 timestamping
1.3.6.1.5.5.7.48.1 OCSP
1.3.6.1.5.5.7.48.2 CA issuers
1.3.101.110 X25519
1.3.101.112 Ed25519
1.3.101.113 Ed448
1.3.132.0.34 P-384
1.3.132.0.35 P-521
1.3.132.0.10 secp256k1
2.16.840.1.101.3.4.1.42 AES-256-CBC
2.16.840.1.101.3.4.2.1 SHA-256
2.16.840.1.101.3.4.2.2 SHA-384
2.16.840.1.101.3.4.2.3 SHA-512
1.3.14.3.2.26 SHA-1
2.5.4.3 common name
2.5.4.4 surname
2.5.4.5 serial number
2.5.4.6 country
2.5.4.7 locality
2.5.4.8 state
2.5.4.9 street
2.5.4.10 organization
2.5.4.11 organizational unit
2.5.4.12 title
2.5.4.42 given name
2.5.4.97 organization identifier
0.9.2342.19200300.100.1.25 domain component
0.9.2342.19200300.100.1.1 user id
2.5.29.14 subjectKeyIdentifier
2.5.29.15 keyUsage
2.5.29.17 subjectAltName
2.5.29.18 issuerAltName
2.5.29.19 basicConstraints
2.5.29.20 cRLNumber
2.5.29.21 reasonCode
2.5.29.24 invalidityDate
2.5.29.30 nameConstraints
2.5.29.31 cRLDistributionPoints
2.5.29.32 certificatePolicies
2.5.29.35 authorityKeyIdentifier
2.5.29.37 extKeyUsage`;

const NAMES: ReadonlyMap<string, string> = new Map(
  TABLE.trim()
    .split("\n")
    .map((line) => {
      const space = line.indexOf(" ");
      return [line.slice(0, space), line.slice(space + 1)];
    }),
);

/** The name of an object identifier in dotted form, or the identifier itself. */
export function oidName(dotted: string): string {
  return NAMES.get(dotted) ?? dotted;
}
