/**
 * The write API of Rekor v2, without input or output: a request becomes the
 * bytes of an entry, or is refused with a reason.
 *
 *     POST /api/v2/log/entries
 *     {"hashedRekordRequestV002": {"digest": …, "signature": {"content": …, "verifier": {"publicKey": {"rawBytes": …}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}}}
 */
import { X509Certificate } from "node:crypto";
import { fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { verifyDigest } from "../format/ecdsa-digest.ts";
import { KEY_DETAILS, hashedRekord, hashedRekordOfCertificate } from "../format/hashedrekord.ts";
import { parseSpki, spkiPem } from "../format/spki.ts";
import { type Json, type JsonObject, isObject, parseJson } from "../json.ts";

/** An entry has at most 65,535 bytes, and is about as long as the request for it. */
export const MAX_REQUEST_BYTES: number = 64 << 10;

const DIGEST_BYTES = 32;

/**
 * The entry that a request asks for; its signature has been verified. Throws
 * `input` or `limit` with the reason: another kind, curve or hash, a signature
 * that is not the key's, JSON that two parsers may read differently.
 */
export function requestedEntry(body: Uint8Array): Uint8Array {
  if (body.length > MAX_REQUEST_BYTES) {
    throw new BitforbitError("limit", `the request is larger than ${MAX_REQUEST_BYTES} bytes`);
  }
  const request = objectOf(parseJson(body, "the request"), "the request");
  if (Object.hasOwn(request, "dsseRequestV002") || Object.hasOwn(request, "dsseRequestV0_0_2")) {
    throw new BitforbitError(
      "input",
      "dsse entries are not taken: log the digest of the envelope's PAE as hashedrekord",
    );
  }
  const [name = ""] = Object.keys(request);
  if (Object.keys(request).length !== 1 || !/^hashedRekordRequestV(?:002|0_0_2)$/.test(name)) {
    throw new BitforbitError(
      "input",
      `the request is not one hashedRekordRequestV002: ${JSON.stringify(name.slice(0, 80))}`,
    );
  }
  const spec = fieldsOf(request[name], name, ["digest", "signature"]);
  const digest = octets(spec["digest"], "digest");
  if (digest.length !== DIGEST_BYTES)
    throw new BitforbitError("input", `the digest has ${digest.length} bytes, not 32`);
  const signature = fieldsOf(spec["signature"], "signature", ["content", "verifier"]);
  const content = octets(signature["content"], "signature.content");
  const verifier = objectOf(signature["verifier"], "verifier");
  if (verifier["keyDetails"] !== KEY_DETAILS) {
    throw new BitforbitError("input", `keyDetails is ${shown(verifier["keyDetails"])}, not ${KEY_DETAILS}`);
  }
  const { spki, certificate } = keyOf(verifier);
  if (!verifyDigest(digest, content, spki.subarray(-65))) {
    throw new BitforbitError("input", "the signature is not by this key over this digest");
  }
  return certificate === undefined
    ? hashedRekord(digest, content, spki)
    : hashedRekordOfCertificate(digest, content, certificate);
}

function keyOf(verifier: JsonObject): { spki: Uint8Array; certificate?: Uint8Array } {
  const names = Object.keys(verifier).filter((name) => name !== "keyDetails");
  const [name = ""] = names;
  if (names.length !== 1 || (name !== "publicKey" && name !== "x509Certificate")) {
    throw new BitforbitError("input", "the verifier has not one of publicKey and x509Certificate, and nothing else");
  }
  const raw = octets(fieldsOf(verifier[name], name, ["rawBytes"])["rawBytes"], `${name}.rawBytes`);
  if (name === "publicKey") return { spki: p256(raw, "the public key") };
  let der: Uint8Array;
  try {
    const certificate = new X509Certificate(raw);
    if (!certificate.raw.equals(raw)) throw new Error("there is something behind it");
    der = certificate.publicKey.export({ format: "der", type: "spki" });
  } catch (error) {
    throw new BitforbitError("input", "x509Certificate is not one certificate in DER", { cause: error });
  }
  return { spki: p256(der, "the certificate's key"), certificate: raw };
}

function p256(der: Uint8Array, what: string): Uint8Array {
  const { algorithm } = parseSpki(spkiPem(der), what);
  if (algorithm !== "ecdsa-p256") throw new BitforbitError("input", `${what} is ${algorithm}, not on the curve P-256`);
  return der;
}

function objectOf(value: Json | undefined, what: string): JsonObject {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an object`);
  return value;
}

function fieldsOf(value: Json | undefined, what: string, names: readonly string[]): JsonObject {
  const object = objectOf(value, what);
  const unknown = Object.keys(object).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new BitforbitError("input", `${what} has the unknown field ${JSON.stringify(unknown.slice(0, 80))}`);
  }
  return object;
}

function octets(value: Json | undefined, what: string): Uint8Array {
  if (typeof value !== "string") throw new BitforbitError("input", `${what} is not a string of base64`);
  try {
    return fromBase64(value);
  } catch (error) {
    throw new BitforbitError("input", `${what} is not canonical base64`, { cause: error });
  }
}

const shown = (value: Json | undefined): string => JSON.stringify(value ?? null).slice(0, 80);
