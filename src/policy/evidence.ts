/**
 * Verifying an evidence file: this file and what it imports is all that is
 * needed, without network, processes, servers and databases. Its import closure
 * is held by a test (src/policy/evidence.test.ts).
 */
import { type Bill, readEvidence, type SignedDocument } from "../attest/evidence.ts";
import type { Decision } from "./decision.ts";
import type { Policy } from "./policy.ts";
import type { Trust } from "./trust.ts";
import { verify } from "./verify.ts";

/** Checks one signed document that came along: true where it holds, false where nobody here can tell. Throws where it does not hold. */
export type DocumentChecker = (document: SignedDocument) => boolean;

export interface EvidenceRequest {
  /** The evidence file, as it was received. */
  evidence: Uint8Array;
  /** `digest`: of the artifact's bytes, computed by the caller. */
  artifact: { digest: string; name?: string };
  /** Bills that the file names and does not hold: the SBOM's bytes. */
  bills?: readonly Uint8Array[];
  policy: Policy;
  trust: Trust;
  /** Milliseconds since 1970. */
  now: number;
  /** Who checks which type of document: key-rings, cosigned checkpoints. */
  checkers?: ReadonlyMap<string, DocumentChecker>;
}

export interface EvidenceDecision {
  decision: Decision;
  /** Bills that were not there; the statements that they belong to did not count. */
  missing: Bill[];
  /** Types of documents that were checked and hold. */
  checked: string[];
  /** Types of documents that came along and that nobody here can check: nothing was decided by them. */
  unchecked: string[];
}

/** The decision over a file. Throws `input` or `limit` for a file that cannot be read, and what a checker throws. */
export function verifyEvidence(request: EvidenceRequest): EvidenceDecision {
  const { artifact, policy, trust, now, checkers = new Map<string, DocumentChecker>() } = request;
  const { bundles, missing, documents } = readEvidence(request.evidence, request.bills);
  const types = [...new Set(documents.map(({ type }) => type))];
  const held = documents.map((document) => ({ ...document, holds: checkers.get(document.type)?.(document) === true }));
  const checked = types.filter((type) => held.every((document) => document.type !== type || document.holds));
  return {
    decision: verify({ artifact, bundles, policy, trust, now }),
    missing,
    checked,
    unchecked: types.filter((type) => !checked.includes(type)),
  };
}
