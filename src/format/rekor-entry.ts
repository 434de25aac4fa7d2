/**
 * The bodies of Rekor's log entries, compared with what was signed. A body is
 * canonical JSON (RFC 8785), so it has one encoding:
 *
 *     v1  hashedrekord 0.0.1   digest, signature, PEM of key or certificate
 *     v1  dsse 0.0.1           digest of the payload, signature, PEM
 *     v1  intoto 0.0.2         envelope with signature and PEM (in base64 twice), digest of the payload
 *     v2  hashedrekord 0.0.2   digest, signature, key or certificate in DER; for DSSE, digest of the PAE
 *     v2  dsse 0.0.2           digest of the payload, signature, key or certificate in DER
 */
import { base64, equalBytes, fromBase64, hex, utf8Text } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type Json, type JsonObject, canonicalJson, isObject, parseJson } from "../json.ts";

const MAX_BODY = 48 << 20;

/** What the entry must be about. */
export interface SignedContent {
  /** SHA-256 of the bytes that were signed: the artifact's, or the PAE's. */
  digest: Uint8Array;
  signature: Uint8Array;
  /** DER: the signer's certificate, or SubjectPublicKeyInfo. */
  verifier: { kind: "certificate" | "key"; der: Uint8Array };
  /** Of a DSSE envelope. */
  envelope: { payload: Uint8Array; payloadType: string; payloadDigest: Uint8Array } | undefined;
}

/** Throws `refused` when the body is about another signature, `input` when it is not a body of its kind. */
export function checkEntryBody(
  entry: { kind: string; version: string; body: Uint8Array },
  signed: SignedContent,
): void {
  if (entry.body.length > MAX_BODY) throw new BitforbitError("limit", `a log entry of ${entry.body.length} bytes`);
  const name = `${entry.kind} ${entry.version}`;
  const check = KINDS[name];
  if (check === undefined)
    throw new BitforbitError("input", `a log entry of kind ${JSON.stringify(name.slice(0, 80))}`);
  const body = new Fields(parseJson(entry.body, "the log entry"), "the log entry");
  if (!equalBytes(canonicalJson(body.value), entry.body)) {
    throw new BitforbitError("input", "the log entry is not canonical JSON");
  }
  body.exactly("apiVersion", "kind", "spec");
  if (body.text("kind") !== entry.kind || body.text("apiVersion") !== entry.version) {
    throw new BitforbitError(
      "refused",
      `the log entry is a ${body.text("kind")} ${body.text("apiVersion")}, not a ${name}`,
    );
  }
  check(body.object("spec"), signed);
}

const KINDS: Readonly<Record<string, (spec: Fields, signed: SignedContent) => void>> = {
  "hashedrekord 0.0.1": (spec, signed) => {
    spec.exactly("data", "signature");
    hexDigest(spec.object("data").exactly("hash").object("hash"), signed.digest, "signed content");
    const signature = spec.object("signature").exactly("content", "publicKey");
    same(signature.octets("content"), signed.signature, "signature");
    samePem(signature.object("publicKey").exactly("content").octets("content"), signed);
  },
  "dsse 0.0.1": (spec, signed) => {
    const { payloadDigest } = envelopeOf(signed);
    // The envelope's hash is of one serialisation that is not kept; all that it says is compared here.
    spec.exactly("envelopeHash", "payloadHash", "signatures");
    spec.object("envelopeHash").exactly("algorithm", "value");
    hexDigest(spec.object("payloadHash"), payloadDigest, "payload");
    const signature = spec.single("signatures").exactly("signature", "verifier");
    same(signature.octets("signature"), signed.signature, "signature");
    samePem(signature.octets("verifier"), signed);
  },
  "intoto 0.0.2": (spec, signed) => {
    const { payload, payloadDigest, payloadType } = envelopeOf(signed);
    const content = spec.exactly("content").object("content");
    content.exactly("envelope", "hash?", "payloadHash");
    hexDigest(content.object("payloadHash"), payloadDigest, "payload");
    const envelope = content.object("envelope").exactly("payload?", "payloadType", "signatures");
    if (envelope.text("payloadType") !== payloadType) throw mismatch("payload type");
    if (envelope.has("payload")) same(twice(envelope.octets("payload"), "payload"), payload, "payload");
    const signature = envelope.single("signatures").exactly("publicKey", "sig", "keyid?");
    same(twice(signature.octets("sig"), "signature"), signed.signature, "signature");
    samePem(signature.octets("publicKey"), signed);
  },
  "hashedrekord 0.0.2": (spec, signed) => {
    const record = spec.exactly("hashedRekordV002").object("hashedRekordV002").exactly("data", "signature");
    rawDigest(record.object("data"), signed.digest, "signed content");
    secondSignature(record.object("signature"), signed);
  },
  "dsse 0.0.2": (spec, signed) => {
    const { payloadDigest } = envelopeOf(signed);
    const record = spec.exactly("dsseV002").object("dsseV002").exactly("payloadHash", "signatures");
    rawDigest(record.object("payloadHash"), payloadDigest, "payload");
    secondSignature(record.single("signatures"), signed);
  },
};

function envelopeOf({ envelope }: SignedContent): NonNullable<SignedContent["envelope"]> {
  if (envelope === undefined) throw mismatch("kind of content");
  return envelope;
}

/** `{algorithm: "sha256", value: hex}` of Rekor v1. */
function hexDigest(hash: Fields, digest: Uint8Array, what: string): void {
  hash.exactly("algorithm", "value");
  if (hash.text("algorithm") !== "sha256") {
    throw new BitforbitError("refused", `the log entry has a digest by ${hash.text("algorithm")}, not by sha256`);
  }
  if (hash.text("value") !== hex(digest)) throw mismatch(what);
}

/** `{algorithm: "SHA2_256", digest: base64}` of Rekor v2. */
function rawDigest(hash: Fields, digest: Uint8Array, what: string): void {
  hash.exactly("algorithm", "digest");
  if (hash.text("algorithm") !== "SHA2_256") {
    throw new BitforbitError("refused", `the log entry has a digest by ${hash.text("algorithm")}, not by SHA2_256`);
  }
  same(hash.octets("digest"), digest, what);
}

function secondSignature(signature: Fields, signed: SignedContent): void {
  signature.exactly("content", "verifier");
  same(signature.octets("content"), signed.signature, "signature");
  const name = signed.verifier.kind === "certificate" ? "x509Certificate" : "publicKey";
  const verifier = signature.object("verifier").exactly("keyDetails", name);
  verifier.text("keyDetails");
  same(verifier.object(name).exactly("rawBytes").octets("rawBytes"), signed.verifier.der, "signer");
}

function samePem(pem: Uint8Array, { verifier }: SignedContent): void {
  const label = verifier.kind === "certificate" ? "CERTIFICATE" : "PUBLIC KEY";
  const text = (utf8Text(pem) ?? "").replaceAll("\r\n", "\n");
  const block = new RegExp(`^-----BEGIN ${label}-----\n([A-Za-z0-9+/=\n]{1,100000})-----END ${label}-----\n?$`).exec(
    text,
  );
  const encoded = (block?.[1] ?? "").replaceAll("\n", "");
  if (block === null || encoded !== base64(verifier.der)) throw mismatch("signer");
}

/** Text that is base64 again. */
function twice(bytes: Uint8Array, what: string): Uint8Array {
  const text = utf8Text(bytes);
  if (text === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw mismatch(what);
  return fromBase64(text);
}

function same(found: Uint8Array, wanted: Uint8Array, what: string): void {
  if (!equalBytes(found, wanted)) throw mismatch(what);
}

function mismatch(what: string): BitforbitError {
  return new BitforbitError("refused", `the log entry is about another ${what}`);
}

/** An object whose fields are each of their type, and none besides. */
class Fields {
  readonly value: JsonObject;
  readonly #what: string;

  constructor(value: Json | undefined, what: string) {
    if (!isObject(value)) throw new BitforbitError("input", `${what} is not an object`);
    this.value = value;
    this.#what = what;
  }

  /** A name that ends in `?` may be missing. */
  exactly(...names: string[]): this {
    const known = new Set(names.map((name) => name.replace("?", "")));
    const unknown = Object.keys(this.value).find((name) => !known.has(name));
    const missing = names.find((name) => !name.endsWith("?") && !this.has(name));
    if (unknown !== undefined)
      throw new BitforbitError("input", `${this.#what} has the unknown field ${unknown.slice(0, 80)}`);
    if (missing !== undefined) throw new BitforbitError("input", `${this.#what} has no ${missing}`);
    return this;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.value, name);
  }

  object(name: string): Fields {
    return new Fields(this.has(name) ? this.value[name] : undefined, `${this.#what}'s ${name}`);
  }

  single(name: string): Fields {
    const items = this.value[name];
    if (!Array.isArray(items) || items.length !== 1) {
      throw new BitforbitError("input", `${this.#what} has not one of ${name}`);
    }
    return new Fields(items[0], `${this.#what}'s ${name}`);
  }

  text(name: string): string {
    const value = this.has(name) ? this.value[name] : undefined;
    if (typeof value !== "string") throw new BitforbitError("input", `${this.#what}'s ${name} is not text`);
    return value.slice(0, 1 << 26);
  }

  octets(name: string): Uint8Array {
    return fromBase64(this.text(name));
  }
}
