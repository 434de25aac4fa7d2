/** What a verification answers: a value, never an exception. */
import type { Digest } from "../digest.ts";

/** The checks, in the order in which they are made; a decision has those that its rules demand. */
const CHECKS = [
  "digest",
  "bundle",
  "certificate",
  "signature",
  "subject",
  "log",
  "time",
  "identity",
  "quorum",
  "builder",
  "source",
  "tag",
  "canonical",
  "level",
  "environment",
  "age",
  "sbom",
  "components",
  "vulnerable",
  "reproduced",
  "rebuilders",
  "rule",
] as const;

export type Check = (typeof CHECKS)[number];

/** The outcome of one check, as a sentence; the hint says what a person can do. */
export interface Reason {
  check: Check;
  ok: boolean;
  message: string;
  hint?: string;
}

/** A bundle that was not counted as evidence, and why. */
export interface SetAside {
  /** Position in the list of bundles that was handed in, from 0. */
  bundle: number;
  check: Check;
  message: string;
}

/** What the evidence that was accepted says. */
export interface Facts {
  digest: string;
  name?: string;
  /** Key ids and names of those who signed the accepted evidence. */
  signedBy: { keyId: string; name: string }[];
  /** `treeSize` is missing where the log (Rekor v1) only promised. */
  log?: { origin: string; index: number; treeSize?: number };
  /** The witnesses that a policy demands, and by when the log's tree was there (RFC 3339) as long as fewer than the quorum lie. */
  witnessed?: { by: string[]; at: string };
  /** Of a certificate's holder, and who vouched for it. */
  identity?: { subject: string; issuer: string };
  /** When it was signed, as someone trusted says: RFC 3339. */
  signedAt?: string;
  predicateType?: string;
  builder?: string;
  invocationId?: string;
  source?: { uri: string; digest: Record<string, string>; ref?: string };
  startedOn?: string;
  finishedOn?: string;
  canonical?: boolean;
  sbom?: { specVersion: string; components: number };
  reproduced?: { verdict: string; grade: string; worlds: string[]; lacks: string[] };
  /** Digest of policy and trust together: with the artifact's digest, the key under which a decision may be cached. */
  rules: Digest;
}

export interface Decision {
  ok: boolean;
  /** One for each check that was made; after the first that fails, none. */
  reasons: Reason[];
  setAside: SetAside[];
  facts: Facts;
}
