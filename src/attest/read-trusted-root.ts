/**
 * Reading Sigstore's `trusted_root.json`: the logs, certificate authorities and
 * timestamp authorities that a verifier believes, each with the time in which
 * it counts. Both ends of a time belong to it. What no entry of a bundle names
 * costs nothing: keys are read when they are used.
 */
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type VerifyingKey, verifyingKey } from "../format/verifying-key.ts";
import { type Certificate, parseCertificate } from "../format/x509.ts";
import { type Json, type JsonObject, isObject, parseJson } from "../json.ts";
import { fields, list, octets, string } from "./protobuf-json.ts";

const MAX_ROOT = 4 << 20;
const MAX_MEMBERS = 256;
const MAX_CHAIN = 10;
const MEDIA_TYPES = new Set([
  "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
  "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
  "application/vnd.dev.sigstore.trustedroot.v0.1+json",
  "application/vnd.dev.sigstore.trustedroot.v0.2+json",
]);

/** Milliseconds since 1970, both included. */
export interface Window {
  from: number;
  until: number;
}

export interface RootLog {
  /** The log's URL. */
  url: URL;
  /** Of its key: SHA-256 of the key, or for Rekor v2 of a signed note's name and key. */
  id: Uint8Array;
  valid: Window;
  /** Throws `input` when it cannot be used. */
  key(): VerifyingKey;
}

export interface Authority {
  /** For people. */
  name: string;
  /** From the one that issues (of a timestamp authority: that signs) to the root; at least one. */
  chain: readonly [Certificate, ...Certificate[]];
  valid: Window;
}

export interface TrustedRoot {
  logs: readonly RootLog[];
  certificateLogs: readonly RootLog[];
  authorities: readonly Authority[];
  timestampAuthorities: readonly Authority[];
  /** Of the file: with an artifact's digest and a policy's, the key of a cached decision. */
  digest: string;
}

/** Parses a trusted root. Throws `input` or `limit`, naming `what` and the field. */
export function readTrustedRoot(bytes: Uint8Array, what = "the trusted root"): TrustedRoot {
  if (bytes.length > MAX_ROOT) throw new BitforbitError("limit", `${what} is larger than ${MAX_ROOT} bytes`);
  try {
    const members = ["tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"];
    const root = fields(withoutNulls(parseJson(bytes, what)), what, ["mediaType"], members);
    const mediaType = string(root, "mediaType");
    if (!MEDIA_TYPES.has(mediaType)) {
      throw new BitforbitError(
        "input",
        `mediaType is ${JSON.stringify(mediaType.slice(0, 80))}, not of a trusted root`,
      );
    }
    const all = <T>(name: string, read: (value: Json, what: string) => T): T[] =>
      list(root[name], name, MAX_MEMBERS).map((value, at) => read(value, `${name}[${at}]`));
    return {
      logs: all("tlogs", readLog),
      certificateLogs: all("ctlogs", readLog),
      authorities: all("certificateAuthorities", readAuthority),
      timestampAuthorities: all("timestampAuthorities", readAuthority),
      digest: digestOf(bytes),
    };
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    const message = error.message.includes(what) ? error.message : `${what}: ${error.message}`;
    throw new BitforbitError(error.code, message, {
      cause: error,
      hint: "the file is Sigstore's trusted_root.json, as 'cosign trusted-root create' or a TUF client writes it",
    });
  }
}

/** Some writers put null where protobuf's JSON leaves a field out; they mean the same. */
function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(kept.map(([name, item]) => [name, withoutNulls(item)]));
}

function readLog(value: Json, what: string): RootLog {
  const log = fields(value, what, ["baseUrl", "hashAlgorithm", "publicKey", "logId"], ["checkpointKeyId", "operator"]);
  if (log["hashAlgorithm"] !== "SHA2_256") {
    throw new BitforbitError("input", `${what} is of the hash ${JSON.stringify(log["hashAlgorithm"])}, not SHA2_256`);
  }
  const publicKey = fields(log["publicKey"], `${what}.publicKey`, ["rawBytes", "keyDetails"], ["validFor"]);
  const raw = octets(publicKey, "rawBytes", `${what}.publicKey.rawBytes`);
  const details = string(publicKey, "keyDetails");
  const named = Object.hasOwn(log, "checkpointKeyId") ? "checkpointKeyId" : "logId";
  let key: VerifyingKey | undefined;
  return {
    url: parseUrl(string(log, "baseUrl"), what),
    id: octets(fields(log[named], `${what}.${named}`, ["keyId"]), "keyId"),
    valid: window(publicKey["validFor"], what),
    key: () => (key ??= readKey(raw, details, what)),
  };
}

function readKey(raw: Uint8Array, details: string, what: string): VerifyingKey {
  const key = verifyingKey(raw, `the key of ${what}`, details === "PKCS1_RSA_PKCS1V5" ? "pkcs1" : "spki");
  const wanted = details.includes("RSA") ? "rsa" : details.includes("ECDSA") ? "ecdsa" : "ed25519";
  if (key.family !== wanted) throw new BitforbitError("input", `the key of ${what} is ${key.family}, not ${details}`);
  return key;
}

function readAuthority(value: Json, what: string): Authority {
  const authority = fields(value, what, ["certChain"], ["subject", "uri", "validFor", "operator"]);
  const chain = fields(authority["certChain"], `${what}.certChain`, ["certificates"]);
  const [first, ...rest] = list(chain["certificates"], "certificates", MAX_CHAIN).map((certificate, at) => {
    const name = `${what}.certificates[${at}]`;
    return parseCertificate(octets(fields(certificate, name, ["rawBytes"]), "rawBytes", name), name);
  });
  if (first === undefined) throw new BitforbitError("input", `${what} has no certificates`);
  const uri = authority["uri"];
  const name = typeof uri === "string" && uri !== "" ? uri : subjectText(authority["subject"]);
  return { name, chain: [first, ...rest], valid: window(authority["validFor"], what) };
}

function subjectText(subject: Json | undefined): string {
  if (!isObject(subject)) return "an authority";
  return [subject["organization"], subject["commonName"]].filter((part) => typeof part === "string").join(", ");
}

function window(value: Json | undefined, what: string): Window {
  if (value === undefined) return { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  const range = fields(value, `${what}.validFor`, [], ["start", "end"]);
  const at = (name: string, otherwise: number): number =>
    Object.hasOwn(range, name) ? instant(range, name, what) : otherwise;
  return { from: at("start", Number.NEGATIVE_INFINITY), until: at("end", Number.POSITIVE_INFINITY) };
}

function instant(range: JsonObject, name: string, what: string): number {
  const text = string(range, name);
  const pattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
  const value = pattern.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(value)) throw new BitforbitError("input", `${what}.validFor.${name} is ${JSON.stringify(text)}`);
  return value;
}

function parseUrl(text: string, what: string): URL {
  try {
    return new URL(text);
  } catch (error) {
    throw new BitforbitError("input", `${what}.baseUrl is ${JSON.stringify(text.slice(0, 80))}`, { cause: error });
  }
}
