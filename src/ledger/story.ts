/** What the events tell, put together: a build's story, an artifact's, what was promoted where. */
import { type Digest, isDigest } from "../digest.ts";
import { canonicalJson, isObject, type Json } from "../json.ts";
import { utf8Text } from "../bytes.ts";
import { type RecordedEvent, subjectsOf } from "./event.ts";
import type { Ledger } from "./ledger.ts";

export interface BuildSummary {
  build: string;
  project: string | undefined;
  /** Milliseconds since 1970: its first and its latest event. */
  startedAt: number;
  endedAt: number;
  /** Undefined until a verdict or build event says so. */
  canonical: boolean | undefined;
  /** "reproducible", "differs", "failed", "fails-in-adversarial"; undefined until there is one. */
  verdict: string | undefined;
  /** Commit or tree, as the verdict names it; an object as canonical JSON. */
  source: string | undefined;
  recipe: string | undefined;
  /** What the build's programs came from, in words. */
  environment: string | undefined;
  outputs: { path: string; digest: Digest; size: number | undefined }[];
  causes: Json[];
  lacks: Json[];
}

export interface BuildStory extends BuildSummary {
  lock: RecordedEvent | undefined;
  worlds: RecordedEvent[];
  sboms: RecordedEvent[];
  attestations: RecordedEvent[];
  /** Where it stands in the log. */
  logged: RecordedEvent[];
  stored: RecordedEvent[];
  verifications: RecordedEvent[];
  promotions: Promotion[];
  deployments: RecordedEvent[];
  /** All of these and the others, in the order of recording. */
  events: RecordedEvent[];
}

export interface Promotion {
  id: number;
  at: number;
  artifact: Digest | undefined;
  environment: string | undefined;
  project: string | undefined;
  build: string | undefined;
  /** The artifact's name where the event gives one (`data.name`). */
  name: string | undefined;
  ok: boolean;
  reasons: Json[];
}

export interface ArtifactStory {
  digest: Digest;
  /** Ids of the builds that made it, the first one first. */
  builds: string[];
  attestations: RecordedEvent[];
  verifications: RecordedEvent[];
  promotions: Promotion[];
  deployments: RecordedEvent[];
  events: RecordedEvent[];
}

/** A summary from the events that carry the build's id. */
export function summaryOf(build: string, events: readonly RecordedEvent[]): BuildSummary {
  const telling = events.filter(({ kind }) => kind === "build" || kind === "verdict");
  const latest = (field: string): Json | undefined =>
    telling.findLast(({ data }) => data[field] !== undefined)?.data[field];
  const canonical = latest("canonical");
  return {
    build,
    project: events.find(({ project }) => project !== undefined)?.project,
    startedAt: events[0]?.at ?? 0,
    endedAt: events.reduce((latestAt, { at }) => Math.max(latestAt, at), 0),
    canonical: typeof canonical === "boolean" ? canonical : undefined,
    verdict: textOf(latest("verdict")),
    source: textOf(latest("source")),
    recipe: textOf(latest("recipe")),
    environment: textOf(latest("environment")),
    outputs: listOf(latest("outputs")).flatMap(outputOf),
    causes: listOf(latest("causes")),
    lacks: listOf(latest("lacks")),
  };
}

/**
 * The build's own events, and those of its artifacts that name no build: a
 * verification knows the bytes only. What names another build of the same
 * bytes belongs to that one.
 */
export async function buildStory(ledger: Ledger, build: string): Promise<BuildStory | undefined> {
  const own = await ledger.events({ build });
  if (own.length === 0) return undefined;
  const artifacts = new Set(own.flatMap(subjectsOf));
  const later = new Map(own.map((event) => [event.id, event]));
  for (const artifact of artifacts) {
    for (const event of await ledger.events({ artifact })) if (event.build === undefined) later.set(event.id, event);
  }
  const events = [...later.values()].sort((a, b) => a.id - b.id);
  const of = (kind: RecordedEvent["kind"]): RecordedEvent[] => events.filter((event) => event.kind === kind);
  return {
    ...summaryOf(build, own),
    lock: of("lock").at(-1),
    worlds: of("world"),
    sboms: of("sbom"),
    attestations: of("attest"),
    logged: of("log"),
    stored: of("store"),
    verifications: of("verify"),
    promotions: of("promote").map(promotionOf),
    deployments: of("deploy"),
    events,
  };
}

export async function artifactStory(ledger: Ledger, digest: Digest): Promise<ArtifactStory | undefined> {
  const events = await ledger.events({ artifact: digest });
  if (events.length === 0) return undefined;
  const of = (kind: RecordedEvent["kind"]): RecordedEvent[] => events.filter((event) => event.kind === kind);
  const making = events.filter(({ kind }) => kind === "build" || kind === "verdict" || kind === "store");
  return {
    digest,
    builds: [...new Set(making.map(({ build }) => build).filter((build) => build !== undefined))],
    attestations: of("attest"),
    verifications: of("verify"),
    promotions: of("promote").map(promotionOf),
    deployments: of("deploy"),
    events,
  };
}

export function promotionOf(event: RecordedEvent): Promotion {
  return {
    id: event.id,
    at: event.at,
    artifact: event.artifact,
    environment: event.environment,
    project: event.project,
    build: event.build,
    name: textOf(event.data["name"]),
    ok: event.ok,
    reasons: listOf(event.data["reasons"]),
  };
}

/** The first promotion of each project and artifact name: the current ones when the latest come first. */
export function currentOf(latestFirst: readonly Promotion[]): Promotion[] {
  const seen = new Map<string, Promotion>();
  for (const promotion of latestFirst) {
    const key = JSON.stringify([promotion.project ?? null, promotion.name ?? null]);
    if (!seen.has(key)) seen.set(key, promotion);
  }
  return [...seen.values()];
}

function outputOf(value: Json): BuildSummary["outputs"] {
  if (!isObject(value)) return [];
  const { path, digest, size } = value;
  if (typeof path !== "string" || typeof digest !== "string" || !isDigest(digest)) return [];
  return [{ path, digest, size: typeof size === "number" ? size : undefined }];
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : utf8Text(canonicalJson(value));
}
