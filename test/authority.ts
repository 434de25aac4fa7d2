/**
 * A Sigstore of the test's own: certificate authority, certificate transparency
 * log, timestamp authority, Rekor v1 and v2, with keys made on the spot. Each
 * step can be made to go wrong in one way, so that every check can be shown to
 * refuse what it must, beside the twin that is intact.
 */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { base64, concat, fromHex, hex, utf8 } from "../src/bytes.ts";
import { type Digest, digestOf, sha256 } from "../src/digest.ts";
import { derInteger, derOctets, derOid, derSequence } from "../src/format/der.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../src/format/dsse.ts";
import { noteKeyHash } from "../src/format/note.ts";
import { canonicalJson, type Json } from "../src/json.ts";
import { leafHash, nodeHash } from "../src/log/tile.ts";

export interface Pair {
  private: KeyObject;
  spki: Uint8Array;
}

type Curve = "P-256" | "P-384";

export function ecPair(namedCurve: Curve = "P-256"): Pair {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
  return { private: privateKey, spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })) };
}

export function edPair(): Pair {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { private: privateKey, spki: new Uint8Array(publicKey.export({ format: "der", type: "spki" })) };
}

// --- DER

export function tlv(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.from(head), content]);
}

const bits = (bytes: Uint8Array): Uint8Array => tlv(0x03, concat([Uint8Array.of(0), bytes]));
export const utf8String = (text: string): Uint8Array => tlv(0x0c, utf8(text));
const time = (at: number): Uint8Array =>
  tlv(0x18, utf8(`${new Date(at).toISOString().replaceAll(/[-:T]|\.\d{3}/g, "")}`));
/** Of certificates: UTCTime up to 2049 (RFC 5280, section 4.1.2.5). */
const validity = (at: number): Uint8Array =>
  new Date(at).getUTCFullYear() < 2050 ? tlv(0x17, time(at).subarray(4)) : time(at);
const TRUE = Uint8Array.of(1, 1, 0xff);
const ECDSA_SHA256 = derSequence(derOid("1.2.840.10045.4.3.2"));
const SHA256 = derSequence(derOid("2.16.840.1.101.3.4.2.1"));

export function name(common: string): Uint8Array {
  return derSequence(tlv(0x31, derSequence(derOid("2.5.4.3"), utf8String(common))));
}

export function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  return derSequence(derOid(oid), ...(critical ? [TRUE] : []), derOctets(value));
}

const keyUsage = (usage: "sign" | "issue"): Uint8Array =>
  extension("2.5.29.15", usage === "sign" ? fromHex("03020780") : fromHex("03020106"), true);
const basic = (pathLength: number | undefined): Uint8Array =>
  extension("2.5.29.19", derSequence(TRUE, ...(pathLength === undefined ? [] : [derInteger(pathLength)])), true);
const purpose = (oid: string, critical: boolean): Uint8Array =>
  extension("2.5.29.37", derSequence(derOid(oid)), critical);
export const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";
export const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";

export interface CertificateRequest {
  serial: number;
  issuer: Uint8Array;
  subject: Uint8Array;
  spki: Uint8Array;
  from: number;
  until: number;
  extensions: readonly Uint8Array[];
  /** Instead of version 3. */
  version?: number;
}

function body({ version = 2, serial, issuer, subject, spki, from, until, extensions }: CertificateRequest): Uint8Array {
  return derSequence(
    tlv(0xa0, derInteger(version)),
    derInteger(serial),
    ECDSA_SHA256,
    issuer,
    derSequence(validity(from), validity(until)),
    subject,
    spki,
    tlv(0xa3, derSequence(...extensions)),
  );
}

export function certificate(request: CertificateRequest, issuer: Pair): Uint8Array {
  const tbs = body(request);
  return derSequence(tbs, ECDSA_SHA256, bits(ecdsa(issuer, tbs)));
}

export function ecdsa(key: Pair, bytes: Uint8Array, hash = "sha256"): Uint8Array {
  return new Uint8Array(sign(hash, bytes, { key: key.private, dsaEncoding: "der" }));
}

// --- the parties

export const SIGNED_AT: number = Date.UTC(2026, 5, 1, 12);
export const IDENTITY = "https://github.com/example/tool/.github/workflows/release.yml@refs/tags/v1";
export const ISSUER = "https://token.actions.githubusercontent.com";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const HOUR = 3_600_000;
const YEAR = 8760 * HOUR;
export const FULCIO = "1.3.6.1.4.1.57264.1";
const SCT_LIST = "1.3.6.1.4.1.11129.2.4.2";

/** What may go wrong where; nothing does by default. */
export interface Twist {
  leaf?: Partial<CertificateRequest>;
  /** Extensions of the leaf by name, instead of or besides the usual ones; undefined leaves one out. */
  extensions?: Readonly<Record<string, Uint8Array | undefined>>;
  issuerKey?: Pair;
  /** Of the certificate's timestamp: over another certificate, or by another key. */
  sctOver?: Uint8Array;
  sctKey?: Pair;
  sctAt?: number;
  sctTwice?: boolean;
  noSct?: boolean;
  signer?: Pair;
  /** Instead of a provenance of the test's. */
  statement?: object;
  /** The signer's certificate, made before. */
  certificate?: Uint8Array;
  /** What the timestamp is on, when it was made, by what. */
  stamped?: Uint8Array;
  stampedAt?: number;
  stampKey?: Pair;
  stampHash?: string;
  noStamp?: boolean;
  /** The log's entry, and its tree. */
  entry?: (entry: Json) => Json;
  logKey?: Pair;
  origin?: string;
}

export class Authority {
  readonly root: Pair = ecPair("P-384");
  readonly intermediate: Pair = ecPair("P-384");
  readonly transparency: Pair = ecPair();
  readonly stamps: Pair = ecPair("P-384");
  readonly stampRoot: Pair = ecPair("P-384");
  readonly log: Pair = edPair();
  readonly first: Pair = ecPair();
  readonly origin = "rekor.example";
  intermediatePath: number | undefined = 0;
  /** Besides the usual ones, and instead of them. */
  rootExtensions: readonly Uint8Array[] = [keyUsage("issue"), basic(undefined)];
  intermediateExtensions: readonly Uint8Array[] = [
    keyUsage("issue"),
    purpose(CODE_SIGNING, false),
    extension("2.5.29.14", derOctets(sha256(this.intermediate.spki))),
  ];
  stampExtensions: readonly Uint8Array[] = [keyUsage("sign"), purpose(TIME_STAMPING, true)];
  #serial = 100;
  #stampChain: Uint8Array[] | undefined;

  chain(): Uint8Array[] {
    const [root, middle] = [name("root"), name("intermediate")];
    const span = { from: SIGNED_AT - YEAR, until: SIGNED_AT + 5 * YEAR };
    const pathLength = basic(this.intermediatePath);
    return [
      certificate(
        {
          serial: 2,
          issuer: root,
          subject: middle,
          spki: this.intermediate.spki,
          ...span,
          extensions: [...this.intermediateExtensions, pathLength],
        },
        this.root,
      ),
      certificate(
        { serial: 1, issuer: root, subject: root, spki: this.root.spki, ...span, extensions: this.rootExtensions },
        this.root,
      ),
    ];
  }

  /** Made once, since timestamps name the certificate by its digest. */
  stampChain(): Uint8Array[] {
    this.#stampChain ??= this.#makeStampChain();
    return this.#stampChain;
  }

  #makeStampChain(): Uint8Array[] {
    const [root, stamps] = [name("stamp root"), name("stamps")];
    const span = { from: SIGNED_AT - YEAR, until: SIGNED_AT + 5 * YEAR };
    return [
      certificate(
        {
          serial: 12,
          issuer: root,
          subject: stamps,
          spki: this.stamps.spki,
          ...span,
          extensions: this.stampExtensions,
        },
        this.stampRoot,
      ),
      certificate(
        {
          serial: 11,
          issuer: root,
          subject: root,
          spki: this.stampRoot.spki,
          ...span,
          extensions: [keyUsage("issue"), basic(0)],
        },
        this.stampRoot,
      ),
    ];
  }

  /** trusted_root.json. */
  trustedRoot(edit: (root: TrustedRootJson) => void = () => {}): Uint8Array {
    const validFor = { start: "2025-01-01T00:00:00Z" };
    const logKey = (url: string, { spki }: Pair, id: Uint8Array, keyDetails: string) => ({
      baseUrl: url,
      hashAlgorithm: "SHA2_256",
      publicKey: { rawBytes: base64(spki), keyDetails, validFor: { ...validFor } as Range },
      logId: { keyId: base64(id) },
    });
    const authority = (uri: string, chain: Uint8Array[]) => ({
      subject: { organization: "example", commonName: uri },
      uri,
      certChain: { certificates: chain.map((der) => ({ rawBytes: base64(der) })) },
      validFor: { ...validFor } as Range,
    });
    const ecdsaKey = "PKIX_ECDSA_P256_SHA_256";
    const root: TrustedRootJson = {
      mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
      tlogs: [
        logKey(
          `https://${this.origin}`,
          this.log,
          noteKeyHash(this.origin, this.log.spki.subarray(-32)),
          "PKIX_ED25519",
        ),
        logKey("https://first.example", this.first, sha256(this.first.spki), ecdsaKey),
      ],
      certificateAuthorities: [authority("https://authority.example", this.chain())],
      ctlogs: [logKey("https://ct.example", this.transparency, sha256(this.transparency.spki), ecdsaKey)],
      timestampAuthorities: [authority("https://stamps.example", this.stampChain())],
    };
    edit(root);
    return utf8(JSON.stringify(root));
  }

  /** A signer's certificate. */
  leaf(spki: Uint8Array, twist: Twist = {}): Uint8Array {
    const usual: Record<string, Uint8Array | undefined> = {
      keyUsage: keyUsage("sign"),
      purpose: purpose(CODE_SIGNING, false),
      names: extension("2.5.29.17", derSequence(tlv(0x86, utf8(IDENTITY))), true),
      issuer: extension(`${FULCIO}.8`, utf8String(ISSUER)),
      source: extension(`${FULCIO}.12`, utf8String("https://github.com/example/tool")),
      commit: extension(`${FULCIO}.13`, utf8String(COMMIT)),
      ref: extension(`${FULCIO}.14`, utf8String("refs/tags/v1")),
      ...twist.extensions,
    };
    const listed = Object.values(usual).filter((item) => item !== undefined);
    const request = (extensions: readonly Uint8Array[]): CertificateRequest => ({
      serial: this.#serial++,
      issuer: name("intermediate"),
      subject: derSequence(),
      spki,
      from: SIGNED_AT - 60_000,
      until: SIGNED_AT + 9 * 60_000,
      extensions,
      ...twist.leaf,
    });
    const key = twist.issuerKey ?? this.intermediate;
    if (twist.noSct === true) return certificate(request(listed), key);
    const plain = request(listed);
    const timestamp = this.#certificateTimestamp(twist.sctOver ?? body(plain), twist);
    const list = concat(twist.sctTwice === true ? [timestamp, timestamp] : [timestamp]);
    const sct = extension(SCT_LIST, derOctets(concat([size(list.length), list])));
    return certificate({ ...plain, extensions: [...listed, sct] }, key);
  }

  #certificateTimestamp(
    tbs: Uint8Array,
    { sctKey = this.transparency, sctAt = SIGNED_AT - 60_000 }: Twist,
  ): Uint8Array {
    const at = Buffer.alloc(8);
    at.writeBigUInt64BE(BigInt(sctAt));
    const length = Buffer.from([tbs.length >> 16, (tbs.length >> 8) & 0xff, tbs.length & 0xff]);
    const signed = concat([Uint8Array.of(0, 0), at, size(1), sha256(this.intermediate.spki), length, tbs, size(0)]);
    const signature = ecdsa(sctKey, signed);
    const id = sha256(this.transparency.spki);
    const item = concat([Uint8Array.of(0), id, at, size(0), Uint8Array.of(4, 3), size(signature.length), signature]);
    return concat([size(item.length), item]);
  }

  /** A TimeStampResp on `signature`. */
  stamp(signature: Uint8Array, twist: Twist = {}): Uint8Array {
    return this.stampDigest(sha256(twist.stamped ?? signature), twist);
  }

  /** The same, of a SHA-256 digest. */
  stampDigest(digest: Uint8Array, twist: Twist = {}): Uint8Array {
    const [signer] = this.stampChain();
    const imprint = derSequence(SHA256, derOctets(digest));
    const at = time(twist.stampedAt ?? SIGNED_AT);
    const info = derSequence(derInteger(1), derOid("1.3.6.1.4.1.57264.2"), imprint, derInteger(this.#serial++), at);
    const attribute = (oid: string, value: Uint8Array): Uint8Array => derSequence(derOid(oid), tlv(0x31, value));
    const attributes = concat([
      attribute("1.2.840.113549.1.9.3", derOid("1.2.840.113549.1.9.16.1.4")),
      attribute("1.2.840.113549.1.9.4", derOctets(sha256(info))),
      attribute("1.2.840.113549.1.9.16.2.47", derSequence(derSequence(derSequence(derOctets(sha256(signer ?? info)))))),
    ]);
    const signed = ecdsa(twist.stampKey ?? this.stamps, tlv(0x31, attributes), twist.stampHash ?? "sha256");
    const signerInfo = derSequence(
      derInteger(1),
      derSequence(name("stamp root"), derInteger(12)),
      SHA256,
      tlv(0xa0, attributes),
      ECDSA_SHA256,
      derOctets(signed),
    );
    const content = derSequence(derOid("1.2.840.113549.1.9.16.1.4"), tlv(0xa0, derOctets(info)));
    const data = derSequence(derInteger(3), tlv(0x31, SHA256), content, tlv(0x31, signerInfo));
    return derSequence(derSequence(derInteger(0)), derSequence(derOid("1.2.840.113549.1.7.2"), tlv(0xa0, data)));
  }

  /** A v0.3 bundle of an in-toto statement about `digest`, in Rekor v2, with a timestamp. */
  bundle(digest: Digest, twist: Twist = {}): BundleJson {
    const signer = twist.signer ?? ecPair();
    const payload = utf8(
      JSON.stringify(
        twist.statement ?? {
          _type: "https://in-toto.io/Statement/v1",
          subject: [{ name: "tool", digest: { sha256: digest.slice(7) } }],
          predicateType: "https://slsa.dev/provenance/v1",
          predicate: { of: "a test" },
        },
      ),
    );
    const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, payload);
    const signature = ecdsa(signer, encoding);
    const leaf = twist.certificate ?? this.leaf(signer.spki, twist);
    return {
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
      verificationMaterial: {
        certificate: { rawBytes: base64(leaf) },
        tlogEntries: [this.entry(sha256(encoding), signature, { x509Certificate: { rawBytes: base64(leaf) } }, twist)],
        timestampVerificationData: {
          rfc3161Timestamps: twist.noStamp === true ? [] : [{ signedTimestamp: base64(this.stamp(signature, twist)) }],
        },
      },
      dsseEnvelope: {
        payload: base64(payload),
        payloadType: IN_TOTO_PAYLOAD,
        signatures: [{ sig: base64(signature) }],
      },
    };
  }

  /** An entry of Rekor v2 among four, with its proof. */
  entry(digest: Uint8Array, signature: Uint8Array, verifier: Record<string, Json>, twist: Twist = {}): EntryJson {
    const entry: Json = {
      apiVersion: "0.0.2",
      kind: "hashedrekord",
      spec: {
        hashedRekordV002: {
          data: { algorithm: "SHA2_256", digest: base64(digest) },
          signature: {
            content: base64(signature),
            verifier: { keyDetails: "PKIX_ECDSA_P256_SHA_256", ...verifier },
          },
        },
      },
    };
    const bytes = canonicalJson(twist.entry?.(entry) ?? entry);
    return this.logged(bytes, "hashedrekord", "0.0.2", twist);
  }

  logged(bytes: Uint8Array, kind: string, version: string, twist: Twist = {}): EntryJson {
    const others = [0, 1, 2].map((at) => leafHash(utf8(`other ${at}`)));
    const [a = new Uint8Array(), b = a, c = a] = others;
    const left = nodeHash(a, b);
    const root = nodeHash(left, nodeHash(c, leafHash(bytes)));
    const origin = twist.origin ?? this.origin;
    const text = `${origin}\n4\n${base64(root)}\n`;
    const key = twist.logKey ?? this.log;
    const id = noteKeyHash(this.origin, this.log.spki.subarray(-32));
    const signed = new Uint8Array(sign(null, utf8(text), key.private));
    return {
      logIndex: "3",
      logId: { keyId: base64(id) },
      kindVersion: { kind, version },
      inclusionProof: {
        logIndex: "3",
        rootHash: base64(root),
        treeSize: "4",
        hashes: [base64(c), base64(left)],
        checkpoint: { envelope: `${text}\n— ${origin} ${base64(concat([id.subarray(0, 4), signed]))}\n` },
      },
      canonicalizedBody: base64(bytes),
    };
  }

  /** The promise of Rekor v1 for an entry. */
  promise(entry: EntryJson, integratedTime: number, key: Pair = this.first): EntryJson {
    const id = sha256(this.first.spki);
    const logIndex = Number(entry.logIndex);
    const payload = { body: entry.canonicalizedBody, integratedTime, logID: hex(id), logIndex };
    const { inclusionProof: _proof, ...rest } = entry;
    return {
      ...rest,
      logId: { keyId: base64(id) },
      integratedTime: String(integratedTime),
      inclusionPromise: { signedEntryTimestamp: base64(ecdsa(key, canonicalJson(payload))) },
    };
  }
}

type Range = { start?: string; end?: string };

export interface TrustedRootJson {
  mediaType: string;
  tlogs: LogJson[];
  certificateAuthorities: AuthorityJson[];
  ctlogs: LogJson[];
  timestampAuthorities: AuthorityJson[];
}

interface LogJson {
  baseUrl: string;
  hashAlgorithm: string;
  publicKey: { rawBytes: string; keyDetails: string; validFor: Range };
  logId: { keyId: string };
}

interface AuthorityJson {
  subject: object;
  uri: string;
  certChain: { certificates: { rawBytes: string }[] };
  validFor: Range;
}

export interface EntryJson {
  logIndex: string;
  logId: { keyId: string };
  kindVersion: { kind: string; version: string };
  integratedTime?: string;
  inclusionPromise?: { signedEntryTimestamp: string };
  inclusionProof?: {
    logIndex: string;
    rootHash: string;
    treeSize: string;
    hashes: string[];
    checkpoint: { envelope: string };
  };
  canonicalizedBody: string;
}

export interface BundleJson {
  mediaType: string;
  verificationMaterial: {
    certificate: { rawBytes: string };
    tlogEntries: EntryJson[];
    timestampVerificationData: { rfc3161Timestamps: { signedTimestamp: string }[] };
  };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid?: string }[] };
}

function size(length: number): Uint8Array {
  return Uint8Array.of(length >> 8, length & 0xff);
}

export const ARTIFACT: Uint8Array = utf8("a tool\n");
export const DIGEST: Digest = digestOf(ARTIFACT);
export const bytesOf = (bundle: BundleJson): Uint8Array => utf8(JSON.stringify(bundle));
