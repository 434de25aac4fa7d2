/** Makes an evidence file: the inverse of src/attest/evidence.ts, which says what is in it. */
import { base64, concat, equalBytes, fromBase64, utf8, utf8Text } from "../bytes.ts";
import { type Digest, digestOf, sha256 } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { gzipChunks } from "../format/gzip-write.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import type { LeafProof } from "../log/reader.ts";
import { type Bundle, parseBundle } from "./bundle.ts";
import {
  type Bill,
  EVIDENCE_V1,
  MAX_EVIDENCE,
  type PackedStatement,
  readEvidence,
  type SignedDocument,
} from "./evidence.ts";
import { bundleBytes } from "./sign.ts";
import { CYCLONEDX_BOM, PROVENANCE_V1, SPDX_DOCUMENT } from "./statement.ts";

export interface EvidenceParts {
  artifact: { name: string; digest: Digest };
  /** Sigstore bundles about it. Those that cannot be taken apart and put back to the byte go in whole. */
  bundles: readonly Uint8Array[];
  documents: readonly SignedDocument[];
  /** An SBOM of more bytes stays outside, named by its digest. */
  sbomLimit: number;
  /** A proof of the entry for the log's present tree, where the log is at hand: one checkpoint then does for all. */
  prove?: (logKeyHash: Uint8Array, index: number) => Promise<LeafProof | undefined>;
}

export interface PackedEvidence {
  file: Uint8Array;
  /** Bytes of everything but the bills. */
  besides: number;
  bills: (Bill & { included: boolean })[];
  statements: number;
}

/** A short list is not worth a line of its own. */
const SHORT_BILL = 1024;

/** Throws `limit` where the evidence without its bills would be over 16 KiB. */
export async function packEvidence(parts: EvidenceParts): Promise<PackedEvidence> {
  const packing = new Packing();
  for (const bundle of parts.bundles) await packing.add(bundle, parts.prove);
  const bills = packing.bills.map((bill) => ({
    ...bill,
    included: bill.role !== "sbom" || bill.size <= parts.sbomLimit,
  }));
  const document: JsonObject = {
    mediaType: EVIDENCE_V1,
    artifact: { ...parts.artifact },
    keys: packing.keys,
    checkpoints: packing.checkpoints,
    statements: packing.statements,
    bundles: packing.whole,
    bills: packing.bills.map(({ role, digest, size }) => ({ role, digest, size })),
    documents: parts.documents.map(({ type, text }) => ({ type, text })),
  };
  const first = concat([...gzipChunks([utf8(`${JSON.stringify(document)}\n`)])]);
  if (first.length > MAX_EVIDENCE) {
    throw new BitforbitError(
      "limit",
      `the evidence would have ${first.length} bytes besides its bills, over ${MAX_EVIDENCE}`,
      {
        hint: "leave documents out, or old statements: a new verification summary stands for those that it was made from",
      },
    );
  }
  const lines = bills
    .filter(({ included }) => included)
    .map(({ digest }) => packing.lines.get(digest) ?? new Uint8Array());
  const second = lines.length === 0 ? [] : [...gzipChunks(lines.flatMap((line) => [line, utf8("\n")]))];
  const file = concat([first, ...second]);
  // What is handed out is read back first.
  readEvidence(file);
  return { file, besides: first.length, bills, statements: packing.statements.length + packing.whole.length };
}

class Packing {
  readonly keys: string[] = [];
  readonly checkpoints: JsonObject[] = [];
  readonly statements: PackedStatement[] = [];
  readonly whole: string[] = [];
  readonly bills: Bill[] = [];
  readonly lines = new Map<Digest, Uint8Array>();

  async add(bytes: Uint8Array, prove: EvidenceParts["prove"]): Promise<void> {
    const bundle = reducible(bytes);
    if (bundle === undefined) {
      this.whole.push(utf8Text(bytes) ?? "");
      return;
    }
    const { payload, signature, entry, spki } = bundle;
    const { index, hashes, checkpoint } = (await prove?.(entry.logKeyHash, entry.logIndex)) ?? {
      index: entry.logIndex,
      hashes: entry.proof.hashes,
      checkpoint: entry.proof.checkpoint,
    };
    this.statements.push({
      payload: this.#pieces(utf8Text(payload) ?? ""),
      key: place(this.keys, base64(spki)),
      signature: base64(signature),
      checkpoint: place(this.checkpoints, { log: base64(entry.logKeyHash), note: checkpoint }),
      index,
      hashes: hashes.map((hash) => base64(hash)),
    });
  }

  /** The payload, with a long list taken out of it. */
  #pieces(payload: string): (string | number)[] {
    const found = billIn(payload);
    const at = found === undefined ? -1 : payload.indexOf(found.text);
    if (found === undefined || at < 0) return [payload];
    const bytes = utf8(found.text);
    const digest = digestOf(bytes);
    this.lines.set(digest, bytes);
    const bill = place(this.bills, { role: found.role, digest, size: bytes.length });
    return [payload.slice(0, at), bill, payload.slice(at + found.text.length)];
  }
}

/** Where an equal item stands; it is added when there is none. */
function place<T>(items: T[], item: T): number {
  const key = JSON.stringify(item);
  const at = items.findIndex((one) => JSON.stringify(one) === key);
  return at >= 0 ? at : items.push(item) - 1;
}

function billIn(payload: string): { role: Bill["role"]; text: string } | undefined {
  const statement = parseJson(payload, "the statement");
  const predicate = isObject(statement) ? statement["predicate"] : undefined;
  if (!isObject(statement) || !isObject(predicate)) return undefined;
  const type = statement["predicateType"];
  if (type === CYCLONEDX_BOM || type === SPDX_DOCUMENT) return { role: "sbom", text: JSON.stringify(predicate) };
  if (type !== PROVENANCE_V1) return undefined;
  const definition = predicate["buildDefinition"];
  const materials = isObject(definition) ? JSON.stringify(definition["resolvedDependencies"]) : undefined;
  return materials === undefined || materials.length < SHORT_BILL ? undefined : { role: "materials", text: materials };
}

/** The parts of a bundle that its bytes can be made of again; undefined for one of another kind. */
function reducible(bytes: Uint8Array): (Bundle & { spki: Uint8Array }) | undefined {
  try {
    const bundle = parseBundle(bytes);
    const spki = keyIn(bundle.entry.body);
    if (spki === undefined || utf8Text(bundle.payload) === undefined) return undefined;
    const { proof, body, logKeyHash, logIndex } = bundle.entry;
    const signed = { payload: bundle.payload, signature: bundle.signature, entry: body, keyId: base64(sha256(spki)) };
    const again = bundleBytes(signed, { ...proof, index: logIndex }, logKeyHash);
    return equalBytes(again, bytes) ? { ...bundle, spki } : undefined;
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** The signer's key, which the log entry holds. */
function keyIn(body: Uint8Array): Uint8Array | undefined {
  let at: Json | undefined = parseJson(body, "the log entry");
  for (const name of ["spec", "hashedRekordV002", "signature", "verifier", "publicKey", "rawBytes"]) {
    at = isObject(at) ? at[name] : undefined;
  }
  return typeof at === "string" ? fromBase64(at) : undefined;
}
