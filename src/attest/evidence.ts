/**
 * One file with all the evidence for an artifact: docs/file-formats/evidence.md.
 *
 * Two gzip members. The first is the evidence, one line of JSON, at most 16 KiB
 * compressed. The second, which may be missing, holds the bills: the SBOM and
 * the materials of provenance, a line each. Whoever has `zcat` and `jq` can
 * read it.
 *
 * Nothing here is believed: a statement is put back into the Sigstore bundle
 * that it was taken from, and that bundle is verified as any other. What a
 * verifier works out itself (the log entry, tree size, root, the key's id) is
 * not in the file.
 */
import { crc32, inflateRawSync } from "node:zlib";
import { base64, concat, fromBase64, utf8 } from "../bytes.ts";
import { type Digest, digestOf, isDigest, sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import { bundleBytes } from "./sign.ts";

export const EVIDENCE_V1 = "application/vnd.bitforbit.evidence.v1+json";
/** Of the first member, compressed: everything but the bills. */
export const MAX_EVIDENCE: number = 16 << 10;
const MAX_TEXT = 1 << 20;
const MAX_BILLS = 64 << 20;
const MAX_ITEMS = 64;

/** A list that may be long: it stands in the second member, or is handed in by whoever has it. */
export interface Bill {
  role: "sbom" | "materials";
  digest: Digest;
  /** Bytes of the line, without its end. */
  size: number;
}

/** A document that is signed in itself and that another reader checks: a key-ring, a cosigned checkpoint. */
export interface SignedDocument {
  /** A media type, or a URI. */
  type: string;
  text: string;
}

export interface Evidence {
  artifact: { name: string; digest: Digest };
  /** Sigstore bundles, as they were signed; those whose bill is missing are not among them. */
  bundles: Uint8Array[];
  /** Bills that the file names and does not have, and that were not handed in. */
  missing: Bill[];
  documents: SignedDocument[];
}

/** A statement in the first member: the payload in pieces, between which bills stand. */
export interface PackedStatement extends JsonObject {
  payload: (string | number)[];
  /** Place of the signer's key in `keys`. */
  key: number;
  signature: string;
  /** Place in `checkpoints`. */
  checkpoint: number;
  index: number;
  hashes: string[];
}

/** Reads an evidence file; `bills` are those that it does not hold itself. Throws `input` or `limit`, naming the field. */
export function readEvidence(file: Uint8Array, bills: readonly Uint8Array[] = []): Evidence {
  if (file.length > MAX_EVIDENCE + MAX_BILLS) throw new BitforbitError("limit", "the evidence is larger than 64 MiB");
  const first = member(file, 0, MAX_TEXT, "the evidence");
  if (first.end > MAX_EVIDENCE) {
    throw new BitforbitError("limit", `the evidence has ${first.end} bytes besides its bills, over ${MAX_EVIDENCE}`);
  }
  const second = first.end < file.length ? member(file, first.end, MAX_BILLS, "the bills") : undefined;
  if ((second?.end ?? first.end) !== file.length) throw new BitforbitError("input", "bytes follow the evidence");
  const document = parseJson(line(first.content, "the evidence"), "the evidence");
  const fields = exactly(document, "the evidence", [
    "mediaType",
    "artifact",
    "keys",
    "checkpoints",
    "statements",
    "bundles",
    "bills",
    "documents",
  ]);
  if (fields["mediaType"] !== EVIDENCE_V1) {
    throw new BitforbitError("input", `mediaType is ${shown(fields["mediaType"])}, not ${EVIDENCE_V1}`);
  }
  const artifact = exactly(fields["artifact"], "artifact", ["name", "digest"]);
  const wanted = list(fields, "bills").map(billOf);
  const lines = linesOf(second?.content);
  const held = new Map([...lines, ...bills.map(withoutEnd)].map((bytes) => [digestOf(bytes), bytes]));
  const stray = lines.find((bytes) => !wanted.some(({ digest }) => digest === digestOf(bytes)));
  if (stray !== undefined) throw new BitforbitError("input", `a bill of ${stray.length} bytes that nothing names`);
  const keys = list(fields, "keys").map((key, at) => octets(key, `keys[${at}]`));
  const checkpoints = list(fields, "checkpoints").map(checkpointOf);
  const statements = list(fields, "statements").flatMap((item, at) => {
    const bundle = unpacked(item, `statements[${at}]`, { keys, checkpoints, wanted, held });
    return bundle === undefined ? [] : [bundle];
  });
  return {
    artifact: {
      name: text(artifact["name"], "artifact.name"),
      digest: digestAt(artifact["digest"], "artifact.digest"),
    },
    bundles: [...statements, ...list(fields, "bundles").map((bundle, at) => utf8(text(bundle, `bundles[${at}]`)))],
    missing: wanted.filter(({ digest }) => !held.has(digest)),
    documents: list(fields, "documents").map((item, at) => {
      const one = exactly(item, `documents[${at}]`, ["type", "text"]);
      return { type: text(one["type"], "type"), text: text(one["text"], "text") };
    }),
  };
}

interface Parts {
  keys: Uint8Array[];
  checkpoints: { log: Uint8Array; note: string; size: number; root: Uint8Array }[];
  wanted: Bill[];
  held: ReadonlyMap<Digest, Uint8Array>;
}

/** The bundle that a statement was taken from; undefined where a bill of it is missing. */
function unpacked(item: Json, what: string, { keys, checkpoints, wanted, held }: Parts): Uint8Array | undefined {
  const one = exactly(item, what, ["payload", "key", "signature", "checkpoint", "index", "hashes"]);
  const pieces: Uint8Array[] = [];
  for (const piece of list(one, "payload")) {
    if (typeof piece === "string") {
      pieces.push(utf8(text(piece, `${what}.payload`)));
      continue;
    }
    const bytes = held.get(placed(wanted, piece, `${what}.payload`).digest);
    if (bytes === undefined) return undefined;
    pieces.push(bytes);
  }
  const payload = concat(pieces);
  const spki = placed(keys, one["key"], `${what}.key`);
  const { log, note, size, root } = placed(checkpoints, one["checkpoint"], `${what}.checkpoint`);
  const signature = octets(one["signature"], `${what}.signature`);
  const entry = hashedRekord(sha256(preAuthEncoding(IN_TOTO_PAYLOAD, payload)), signature, spki);
  const hashes = list(one, "hashes").map((hash, at) => octets(hash, `${what}.hashes[${at}]`));
  const index = whole(one["index"], `${what}.index`);
  const signed = { payload, signature, entry, keyId: base64(sha256(spki)) };
  return bundleBytes(signed, { index, treeSize: size, rootHash: root, hashes, checkpoint: note }, log);
}

function checkpointOf(item: Json, at: number): Parts["checkpoints"][number] {
  const what = `checkpoints[${at}]`;
  const one = exactly(item, what, ["log", "note"]);
  const note = text(one["note"], `${what}.note`);
  // The verifier opens the note; here only what the bundle repeats of it is read (C2SP tlog-checkpoint: origin, size, root).
  const [, size = "", root = ""] = note.split("\n", 3);
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size)) throw new BitforbitError("input", `${what}.note has no tree size`);
  return {
    log: octets(one["log"], `${what}.log`),
    note,
    size: whole(Number(size), `${what}.note`),
    root: fromBase64(root),
  };
}

function billOf(item: Json, at: number): Bill {
  const what = `bills[${at}]`;
  const { role, digest, size } = exactly(item, what, ["role", "digest", "size"]);
  if (role !== "sbom" && role !== "materials") throw new BitforbitError("input", `${what}.role is ${shown(role)}`);
  return { role, digest: digestAt(digest, `${what}.digest`), size: whole(size, `${what}.size`) };
}

/** One gzip member (RFC 1952) of the plainest kind: no name, no time, no extra field. */
function member(file: Uint8Array, offset: number, most: number, what: string): { content: Uint8Array; end: number } {
  const start = file.subarray(offset, offset + 8);
  if (!Buffer.from(start).equals(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]))) {
    throw new BitforbitError("input", `${what} at byte ${offset} is not plain gzip`);
  }
  const data = file.subarray(offset + 10);
  let inflated: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // Node gives the engine, too, when it is asked for it; its types do not say so.
    inflated = inflateRawSync(data, { maxOutputLength: most, info: true } as object) as unknown as typeof inflated;
  } catch (error) {
    throw new BitforbitError("input", `${what} does not inflate to at most ${most} bytes`, { cause: error });
  }
  const content = new Uint8Array(inflated.buffer);
  const trailer = inflated.engine.bytesWritten;
  const view = Buffer.from(data.buffer, data.byteOffset + trailer, Math.min(8, data.length - trailer));
  if (view.length < 8 || view.readUInt32LE(0) !== crc32(content) || view.readUInt32LE(4) !== content.length) {
    throw new BitforbitError("input", `${what} does not have the stated checksum and size`);
  }
  return { content, end: offset + 10 + trailer + 8 };
}

function line(content: Uint8Array, what: string): Uint8Array {
  if (content.at(-1) !== 0x0a || content.indexOf(0x0a) !== content.length - 1) {
    throw new BitforbitError("input", `${what} is not one line`);
  }
  return content.subarray(0, -1);
}

function linesOf(content: Uint8Array | undefined): Uint8Array[] {
  if (content === undefined) return [];
  if (content.at(-1) !== 0x0a) throw new BitforbitError("input", "the last bill has no end");
  const lines: Uint8Array[] = [];
  for (let at = 0; at < content.length;) {
    const end = content.indexOf(0x0a, at);
    lines.push(content.subarray(at, end));
    if (lines.length > MAX_ITEMS) throw new BitforbitError("limit", `over ${MAX_ITEMS} bills`);
    at = end + 1;
  }
  return lines;
}

const withoutEnd = (bytes: Uint8Array): Uint8Array => (bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes);

function exactly(value: Json | undefined, what: string, names: readonly string[]): JsonObject {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an object`);
  const wrong =
    Object.keys(value).find((name) => !names.includes(name)) ?? names.find((name) => !Object.hasOwn(value, name));
  if (wrong !== undefined)
    throw new BitforbitError("input", `${what}: the field ${shown(wrong)} is missing or unknown`);
  return value;
}

function list(parent: JsonObject, name: string): Json[] {
  const value = parent[name];
  if (Array.isArray(value) && value.length <= MAX_ITEMS) return value;
  throw new BitforbitError("input", `${name} is not a list of at most ${MAX_ITEMS}`);
}

function placed<T>(items: readonly T[], at: Json | undefined, what: string): T {
  const item = items[whole(at, what)];
  if (item === undefined) throw new BitforbitError("input", `${what} is ${shown(at)}, where nothing is`);
  return item;
}

function text(value: Json | undefined, what: string): string {
  if (typeof value === "string" && value.isWellFormed()) return value;
  throw new BitforbitError("input", `${what} is not a text`);
}

function octets(value: Json | undefined, what: string): Uint8Array {
  return fromBase64(text(value, what));
}

function whole(value: Json | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BitforbitError("input", `${what} is ${shown(value)}, not a whole number`);
}

function digestAt(value: Json | undefined, what: string): Digest {
  const digest = text(value, what);
  if (isDigest(digest)) return digest;
  throw new BitforbitError("input", `${what} is ${shown(value)}, not a digest`);
}

function shown(value: Json | undefined): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
