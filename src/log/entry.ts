/** What an entry says of itself: whose it is, and what was signed. Everything in it was written by whoever signed it. */
import { X509Certificate } from "node:crypto";
import { base64, fromBase64, hex, utf8Text } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type Json, isObject, parseJson } from "../json.ts";

export interface Entry {
  /** `sha256:…` of the bytes that were signed. */
  digest: string;
  /** base64 of the SHA-256 of the key's SubjectPublicKeyInfo. */
  keyId: string;
  /** In the certificate of the key, if there is one. */
  names: string[];
}

/** What a `hashedrekord` 0.0.2 entry is about; undefined for anything else, which nobody can say whom it concerns. */
export function readEntry(leaf: Uint8Array): Entry | undefined {
  try {
    const body = parseJson(utf8Text(leaf) ?? "", "an entry");
    const spec = at(at(body, "spec"), "hashedRekordV002");
    const verifier = at(at(spec, "signature"), "verifier");
    const digest = octets(at(at(spec, "data"), "digest"));
    const key = at(verifier, "publicKey");
    if (digest.length !== 32) return undefined;
    const about = { digest: `sha256:${hex(digest)}` };
    if (key !== undefined) return { ...about, keyId: base64(sha256(octets(at(key, "rawBytes")))), names: [] };
    const certificate = new X509Certificate(octets(at(at(verifier, "x509Certificate"), "rawBytes")));
    const spki = certificate.publicKey.export({ format: "der", type: "spki" });
    return { ...about, keyId: base64(sha256(spki)), names: namesOf(certificate) };
  } catch {
    return undefined;
  }
}

/** The alternative names of a certificate, without their kinds. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName
    .split(/, (?=(?:email|URI|DNS|IP Address|othername|DirName):)/)
    .map((name) => name.replace(/^[A-Za-z ]+:/, ""))
    .filter((name) => name !== "");
}

const at = (value: Json | undefined, name: string): Json | undefined =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;

function octets(value: Json | undefined): Uint8Array {
  if (typeof value !== "string") throw new BitforbitError("input", "not base64");
  return fromBase64(value);
}
