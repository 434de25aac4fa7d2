/** What happened, as one row: the form of events, their bounds, and the chain that shows tampering. */
import { type Digest, isDigest, sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson, isObject, type Json, type JsonObject, parseJson } from "../json.ts";
import { utf8Text } from "../bytes.ts";

export const EVENT_KINDS = [
  "lock",
  "build",
  "world",
  "verdict",
  "sbom",
  "attest",
  "log",
  "store",
  "verify",
  "promote",
  "deploy",
  "key",
  "diff-alert",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface LedgerEvent {
  kind: EventKind;
  /** Milliseconds since 1970-01-01T00:00:00Z, whole. */
  at: number;
  /** The build's id. */
  build?: string;
  /** Digest of the artifact's bytes. */
  artifact?: Digest;
  /** dev, staging, prod, … */
  environment?: string;
  project?: string;
  /** The step did what it was for; for verify, promote and deploy: it was allowed. */
  ok: boolean;
  /** How long it took. */
  milliseconds?: number;
  /** What belongs to the kind; `outputs: [{ digest }]` and `subjects: [digest]` are found by those digests. */
  data: JsonObject;
}

/** An event as it stands in the ledger. */
export interface RecordedEvent extends LedgerEvent {
  /** 1, 2, 3, … without a gap, in the order of recording. */
  id: number;
  /** SHA-256 over this row and the hash of the row before, in hexadecimal. */
  hash: string;
}

/** A row of the table `events`: numbers and text only, so that SQLite and PostgreSQL hold the same. */
export interface EventRow {
  id: number;
  kind: string;
  at: number;
  build: string | null;
  artifact: string | null;
  environment: string | null;
  project: string | null;
  ok: number;
  milliseconds: number | null;
  /** Canonical JSON. */
  data: string;
  previous: string;
  hash: string;
}

/** What the first event follows. */
export const GENESIS: string = "0".repeat(64);

const MAX_TEXT = 1024;
const MAX_DATA_BYTES = 4 << 20;

/** The row for `event` after the row `last`. Throws `input` or `limit` naming the field that is not what it should be. */
export function rowOf(event: LedgerEvent, last: { id: number; hash: string } | undefined): EventRow {
  checkFields(event);
  const data = utf8Text(canonicalJson(event.data)) ?? "";
  if (data.length > MAX_DATA_BYTES) {
    throw new BitforbitError("limit", `${event.kind} event: data larger than ${MAX_DATA_BYTES} characters`);
  }
  parseJson(data, `${event.kind} event: data`); // too deep now is unreadable later
  const row = {
    id: (last?.id ?? 0) + 1,
    kind: event.kind,
    at: event.at,
    build: event.build ?? null,
    artifact: event.artifact ?? null,
    environment: event.environment ?? null,
    project: event.project ?? null,
    ok: event.ok ? 1 : 0,
    milliseconds: event.milliseconds ?? null,
    data,
    previous: last?.hash ?? GENESIS,
  };
  return { ...row, hash: rowHash(row) };
}

/** SHA-256 over the canonical JSON of the row's columns without `hash`; `data` counts as the text it is. */
export function rowHash(row: Omit<EventRow, "hash">): string {
  const { id, kind, at, build, artifact, environment, project, ok, milliseconds, data, previous } = row;
  return sha256Hex(
    canonicalJson({ id, kind, at, build, artifact, environment, project, ok, milliseconds, data, previous }),
  );
}

export function eventOf(row: EventRow): RecordedEvent {
  const data = parseJson(row.data, `event ${row.id}: data`);
  return {
    id: row.id,
    hash: row.hash,
    kind: row.kind as EventKind,
    at: row.at,
    ...(row.build === null ? {} : { build: row.build }),
    ...(row.artifact === null ? {} : { artifact: row.artifact as Digest }),
    ...(row.environment === null ? {} : { environment: row.environment }),
    ...(row.project === null ? {} : { project: row.project }),
    ok: row.ok === 1,
    ...(row.milliseconds === null ? {} : { milliseconds: row.milliseconds }),
    data: isObject(data) ? data : {},
  };
}

/** Every artifact an event speaks of, each once: its own, its outputs, its subjects. */
export function subjectsOf(event: LedgerEvent): Digest[] {
  const found = new Set<Digest>(event.artifact === undefined ? [] : [event.artifact]);
  for (const output of listIn(event.data["outputs"])) add(found, isObject(output) ? output["digest"] : undefined);
  for (const subject of listIn(event.data["subjects"])) add(found, subject);
  return [...found];
}

function add(found: Set<Digest>, digest: Json | undefined): void {
  if (typeof digest === "string" && isDigest(digest)) found.add(digest);
}

function listIn(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

function checkFields(event: LedgerEvent): void {
  const wrong = (field: string, value: unknown): BitforbitError =>
    new BitforbitError(
      "input",
      `${event.kind} event: ${field} cannot be ${String(JSON.stringify(value)).slice(0, 100)}`,
    );
  if (!EVENT_KINDS.includes(event.kind)) throw wrong("kind", event.kind);
  if (!Number.isSafeInteger(event.at) || event.at < 0) throw wrong("at", event.at);
  if (typeof event.ok !== "boolean") throw wrong("ok", event.ok);
  if (event.artifact !== undefined && !isDigest(event.artifact)) throw wrong("artifact", event.artifact);
  if (event.milliseconds !== undefined && !(Number.isFinite(event.milliseconds) && event.milliseconds >= 0)) {
    throw wrong("milliseconds", event.milliseconds);
  }
  for (const field of ["build", "environment", "project"] as const) {
    const value = event[field];
    if (value === undefined) continue;
    if (typeof value !== "string" || value === "" || value.length > MAX_TEXT || !value.isWellFormed()) {
      throw wrong(field, value);
    }
    if (value.includes("\0")) throw wrong(field, value);
  }
  if (!isObject(event.data)) throw wrong("data", event.data);
}
