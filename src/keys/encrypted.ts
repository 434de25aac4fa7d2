/**
 * Private keys as PKCS#8 PEM (RFC 5208), encrypted with PBES2 (RFC 8018) when
 * there is a passphrase: scrypt (RFC 7914) for the key, AES-256-CBC for the
 * content. Node's own writer knows only PBKDF2 with 2,048 rounds, so the
 * envelope is written here; Node and OpenSSL read it.
 */
import { type KeyObject, createCipheriv, createPrivateKey, scryptSync } from "node:crypto";
import { base64 } from "../bytes.ts";
import type { Entropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import { derInteger, derOctets, derOid, derSequence } from "../format/der.ts";

/** OWASP's figures for 16 MiB: OpenSSL refuses to read more than 32 MiB of scrypt. */
const SCRYPT = { N: 1 << 14, r: 8, p: 5 };
const OID = { pbes2: "1.2.840.113549.1.5.13", scrypt: "1.3.6.1.4.1.11591.4.11", aes256cbc: "2.16.840.1.101.3.4.1.42" };

/** PEM text of a private key, encrypted when a passphrase is given. */
export function privateKeyPem(key: KeyObject, passphrase: string | undefined, entropy: Entropy): string {
  if (passphrase === undefined) return key.export({ format: "pem", type: "pkcs8" }).toString();
  const salt = entropy.bytes(16);
  const iv = entropy.bytes(16);
  const secret = scryptSync(passphrase, salt, 32, SCRYPT);
  const cipher = createCipheriv("aes-256-cbc", secret, iv);
  const plain = key.export({ format: "der", type: "pkcs8" });
  const content = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  secret.fill(0);
  const derivation = derSequence(derOctets(salt), derInteger(SCRYPT.N), derInteger(SCRYPT.r), derInteger(SCRYPT.p));
  const scheme = derSequence(
    derSequence(derOid(OID.scrypt), derivation),
    derSequence(derOid(OID.aes256cbc), derOctets(iv)),
  );
  const der = derSequence(derSequence(derOid(OID.pbes2), scheme), derOctets(content));
  return pemBlock("ENCRYPTED PRIVATE KEY", der);
}

/**
 * The private key in `pem`. Errors name `path` and never carry the key, the
 * passphrase, or OpenSSL's own message. Throws `input`.
 */
export function readPrivateKey(pem: string, passphrase: string | undefined, path: string): KeyObject {
  const encrypted = pem.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----");
  if (!encrypted && !pem.startsWith("-----BEGIN PRIVATE KEY-----")) {
    throw new BitforbitError("input", `${path} is not a PKCS#8 private key in PEM`, {
      hint: "restore the file from a copy; a new key would not be trusted by those who trust this one",
    });
  }
  if (encrypted && passphrase === undefined) {
    throw new BitforbitError("input", `the key file ${path} is encrypted and no passphrase was given`, {
      hint: "set BITFORBIT_PASSPHRASE to the passphrase that it was made with",
    });
  }
  if (!encrypted && passphrase !== undefined) {
    throw new BitforbitError("input", `a passphrase was given but the key file ${path} is not encrypted`, {
      hint: "unset BITFORBIT_PASSPHRASE, or start with new keys in another BITFORBIT_HOME",
    });
  }
  try {
    return createPrivateKey({ key: pem, format: "pem", ...(encrypted ? { passphrase: passphrase ?? "" } : {}) });
  } catch {
    // No cause: OpenSSL's error may quote its input.
    throw new BitforbitError(
      "input",
      encrypted
        ? `wrong passphrase for the key file ${path}, or the file is damaged`
        : `cannot parse the key file ${path}`,
      {
        hint: encrypted ? "set BITFORBIT_PASSPHRASE to the passphrase that it was made with" : "restore it from a copy",
      },
    );
  }
}

function pemBlock(label: string, der: Uint8Array): string {
  const lines = base64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
