/**
 * Split views: two checkpoints of one log, both signed, of which neither tree
 * starts with the other. Of one size, the two are the proof. Of two sizes, it
 * needs the root that the larger tree had at the smaller size, with a
 * consistency proof that it had: the log signed another one. Whoever has the
 * log's key can check it, and nobody else can make it.
 */
import { base64, fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import type { NoteVerifier } from "../format/note.ts";
import { isObject, parseJson, type Json } from "../json.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { verifyConsistency } from "./proof.ts";
import { consistencyProof, sameRoot, treeRoot } from "./tile.ts";
import type { VerifiedTree } from "./verified.ts";

const MAX_HASHES = 64;

export interface Evidence {
  /** Signed notes, the one of the smaller tree first. */
  first: string;
  second: string;
  /** The root that the second tree has at the size of the first, and the consistency proof for it. */
  prefix?: { root: Uint8Array; hashes: Uint8Array[] };
}

export type Judgement =
  | { verdict: "contradiction" | "consistent"; origin: string; first: number; second: number }
  | { verdict: "unproven"; origin: string; first: number; second: number };

/** What shows how `second`, of which `tree` is the tree, relates to the smaller `first`. */
export async function evidenceOf(first: string, second: string, tree: VerifiedTree, size: number): Promise<Evidence> {
  const prefix = await tree.compute((node) => ({
    root: treeRoot(size, node),
    hashes: consistencyProof(size, tree.size, node),
  }));
  return { first, second, prefix };
}

export function evidenceText({ first, second, prefix }: Evidence): string {
  const shown = prefix && { root: base64(prefix.root), hashes: prefix.hashes.map((hash) => base64(hash)) };
  return `${JSON.stringify({ version: 1, first, second, ...(shown === undefined ? {} : { prefix: shown }) }, null, 2)}\n`;
}

/** The inverse of `evidenceText`. Throws `input` or `limit`. */
export function parseEvidence(text: string, what: string): Evidence {
  const value = parseJson(text, what);
  if (!isObject(value) || value["version"] !== 1)
    throw new BitforbitError("input", `${what} is not version 1 of a contradiction`);
  const { first, second, prefix } = value;
  if (typeof first !== "string" || typeof second !== "string") {
    throw new BitforbitError("input", `${what} has not two checkpoints, first and second`);
  }
  if (prefix === undefined) return { first, second };
  const hashes = isObject(prefix) ? prefix["hashes"] : undefined;
  if (!isObject(prefix) || !Array.isArray(hashes) || hashes.length > MAX_HASHES) {
    throw new BitforbitError("input", `${what}: prefix is not a root and a list of at most ${MAX_HASHES} hashes`);
  }
  return {
    first,
    second,
    prefix: { root: hashOf(prefix["root"], what), hashes: hashes.map((hash) => hashOf(hash, what)) },
  };
}

function hashOf(value: Json | undefined, what: string): Uint8Array {
  const bytes = typeof value === "string" ? fromBase64(value) : new Uint8Array();
  if (bytes.length !== 32) throw new BitforbitError("input", `${what}: a hash is not 32 bytes of base64`);
  return bytes;
}

/** What two checkpoints say of each other. Throws `refused` when one of them is not signed by the log, or the proof does not verify. */
export function judge(evidence: Evidence, log: NoteVerifier): Judgement {
  const [one, other] = [openCheckpoint(evidence.first, log), openCheckpoint(evidence.second, log)];
  const [first, second] = one.size <= other.size ? [one, other] : [other, one];
  const about = { origin: log.name, first: first.size, second: second.size };
  if (first.size === second.size) {
    return { verdict: sameRoot(first.root, second.root) ? "consistent" : "contradiction", ...about };
  }
  if (first.size === 0) return { verdict: "consistent", ...about };
  if (evidence.prefix === undefined) return { verdict: "unproven", ...about };
  const { root, hashes } = evidence.prefix;
  if (!verifyConsistency(first.size, second.size, root, second.root, hashes)) {
    throw new BitforbitError("refused", `the proof from ${first.size} to ${second.size} entries does not verify`);
  }
  return { verdict: sameRoot(root, first.root) ? "consistent" : "contradiction", ...about };
}
