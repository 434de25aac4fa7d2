import type { Clock } from "../clock.ts";
import type { Digest } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import type { EventKind } from "../ledger/event.ts";
import type { CauseName } from "../world.ts";

/**
 * What the server is shown: small read-only views of the ledger, the store, the
 * log and the verifier. Nothing here can write, run or sign, so nothing that
 * comes in over HTTP can either. All times are milliseconds since 1970, UTC.
 */
export interface Evidence {
  readonly ledger: LedgerView;
  readonly store: StoreView;
  readonly log: LogView;
  /** M1 to M10, in that order. */
  metrics(): Promise<readonly Metric[]>;
  /** The same and more in Prometheus' text exposition format, version 0.0.4. */
  metricsText(): Promise<string>;
  /** Decides now about an artifact of the store, offline, under the policy in force. */
  verify(digest: Digest): Promise<Decision>;
  readonly clock: Clock;
  /** bitforbit's own version, as the footer and the OpenAPI document show it. */
  readonly version: string;
  /** Takes what went wrong inside: people on the other end are told only that something did. */
  report(error: unknown): void;
}

export interface LedgerView {
  /** The newest builds first, at most `limit`; with `before`, only those older than the build of that id. */
  builds(limit: number, before?: string): Promise<readonly BuildRecord[]>;
  /** One build and all that was recorded about it and its artifacts, oldest first. */
  build(id: string): Promise<Story | undefined>;
  /** The builds that made this artifact, newest first, and what happened to it since, oldest first. */
  artifact(digest: Digest): Promise<ArtifactRecord | undefined>;
  /** Newest first, at most `limit`; refused ones too. */
  promotions(limit: number): Promise<readonly Promotion[]>;
}

export type Verdict = "reproducible" | "differs" | "failed" | "fails-in-adversarial";

export interface BuildRecord {
  /** 1 to 128 of `A-Z a-z 0-9 . _ -`, the first a letter or a digit. */
  id: string;
  /** When it began. */
  at: number;
  milliseconds?: number | undefined;
  project: string;
  source: {
    uri?: string | undefined;
    commit?: string | undefined;
    tag?: string | undefined;
    tree?: string | undefined;
  };
  canonical: boolean;
  /** Absent while it runs, or when it was cut off. */
  verdict?: Verdict | undefined;
  causes: readonly FoundCause[];
  outputs: readonly Output[];
  lacks: readonly { what: string; remedy: string }[];
  /** "host, not pinned" until environments are locked. */
  environment: string;
}

export interface Output {
  path: string;
  digest: Digest;
  /** Bytes. */
  size: number;
}

/** One cause of a difference: DESIGN.md, "The command line", last paragraphs. */
export interface FoundCause {
  name: CauseName;
  /** Path of the output that differs. */
  artifact: string;
  /** The leaf inside it: members and formats joined by " › ", or "" for the output itself. */
  path: string;
  /** The command that wrote the differing file, where a trace knows it. */
  command?: string | undefined;
  evidence: CauseEvidence;
  /** 0 to 1. */
  confidence: number;
  remedy: string;
}

export interface CauseEvidence {
  /** What was found, in one line. */
  text: string;
  /** The differing bytes of each side, with some bytes around them. */
  a?: ByteWindow | undefined;
  b?: ByteWindow | undefined;
}

export interface ByteWindow {
  /** Where the window begins in the content of its side, in bytes. */
  offset: number;
  /** The bytes as lower-case hexadecimal. */
  hex: string;
  /** Which of them differ, offsets as above; without it, all but what both sides begin and end with. */
  marks?: readonly { offset: number; length: number }[] | undefined;
}

export type StoryKind = EventKind;

/**
 * One recorded step. `data` is what the ledger holds; the pages show these keys
 * where they are present, and all else under "as recorded":
 * - lock: materials (number or list), lockfiles [{path, sha256}], environment
 * - world: world (a `World`), outcome, exitCode, peakMemory (bytes)
 * - sbom: format, components, completeness (0 to 1)
 * - attest: predicateType, digest
 * - log: index, treeSize, origin
 * - store: manifest, size, name
 * - verify, promote, deploy: reasons (as `Decision`), policy, environment, by, from
 */
export interface StoryEvent {
  at: number;
  kind: StoryKind;
  ok: boolean;
  milliseconds?: number | undefined;
  artifact?: Digest | undefined;
  environment?: string | undefined;
  data: JsonObject;
}

export interface Story {
  build: BuildRecord;
  events: readonly StoryEvent[];
}

export interface ArtifactRecord {
  builds: readonly BuildRecord[];
  /** verify, promote, deploy and diff-alert events of this artifact. */
  events: readonly StoryEvent[];
}

export interface Promotion {
  at: number;
  artifact: Digest;
  environment: string;
  project?: string | undefined;
  ok: boolean;
  by?: string | undefined;
  /** Why it was refused, when it was. */
  reason?: string | undefined;
}

export interface StoreView {
  artifact(digest: Digest): Promise<StoredArtifact | undefined>;
  /** The attestations that refer to the artifact; [] when there are none. */
  referrers(digest: Digest): Promise<readonly StoredAttestation[]>;
}

export interface StoredArtifact {
  digest: Digest;
  name: string;
  /** Bytes. */
  size: number;
  mediaType: string;
  /** The OCI manifest that holds it. */
  manifest: Digest;
}

export interface StoredAttestation {
  /** Digest of the bundle's bytes. */
  digest: Digest;
  predicateType: string;
  /** The Sigstore bundle, exactly as it was stored. */
  bundle(): Promise<Uint8Array>;
}

/** A tile log as C2SP tlog-tiles serves it. */
export interface LogView {
  /** The signed checkpoint (C2SP tlog-checkpoint), or undefined while the log is empty. */
  checkpoint(): Promise<Uint8Array | undefined>;
  /** `path` is a checked tile path, as "tile/0/x001/067" or "tile/entries/000.p/5". */
  tile(path: string): Promise<Uint8Array | undefined>;
}

export interface Metric {
  /** "M1" to "M10". */
  id: string;
  name: string;
  /** Absent when there is nothing to count yet: `note` says what is missing. */
  value?: number | undefined;
  /** "ratio" (0 to 1), "percent", "milliseconds", "seconds", "minutes" or "count". */
  unit: string;
  /** As people write it: "≥ 95 %". */
  target: string;
  meets?: boolean | undefined;
  note: string;
  samples: number;
}

export interface Reason {
  check: string;
  ok: boolean;
  message: string;
  hint?: string | undefined;
}

export interface Decision {
  ok: boolean;
  reasons: readonly Reason[];
}
