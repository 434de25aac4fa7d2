/**
 * The statement that evidence was dropped: https://bitforbit.dev/dropping/v1,
 * schemas/dropping.schema.json. It is signed and logged before anything is
 * deleted, and carries what proves offline that it was not too early: for each
 * piece a checkpoint that witnesses had cosigned by when its entry was in the
 * log, and one, newer by the retention at least, that was cosigned before the
 * statement was made. No clock of the log's operator is believed.
 */
import { rfc3339 } from "../clock.ts";
import { type Digest, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { digestSetAt, objectAt, objectsAt, onlyFields, textAt, timeAt } from "./predicate-fields.ts";
import { type Statement, statement } from "./statement.ts";

export const DROPPING_V1 = "https://bitforbit.dev/dropping/v1";

/** Of one statement. */
export const MAX_DROPPED = 256;
const MAX_CHECKPOINT = 64 << 10;

export interface DroppedPiece {
  /** Of the bundle's bytes. */
  bundle: Digest;
  predicateType: string;
  /** Of its entry in the log. */
  index: number;
  /** Of the bytes that were signed, which is what the entry has. */
  signed: Digest;
  /** By when the entry was in the log; milliseconds since 1970. */
  logged: number;
  /** When it could go at the earliest. */
  until: number;
  /** A cosigned checkpoint that has the entry. */
  checkpoint: string;
}

export interface Dropping {
  /** The log's. */
  origin: string;
  /** Of the retention policy's bytes. */
  policy: Digest;
  /** A checkpoint that was cosigned before this statement was made. */
  now: string;
  dropped: DroppedPiece[];
}

export function droppingStatement({ origin, policy, now, dropped }: Dropping): Statement {
  const checkpoints = [...new Set([now, ...dropped.map(({ checkpoint }) => checkpoint)])];
  const subjects = dropped.map(({ bundle, predicateType }) => ({ name: predicateType, digest: bundle }));
  return statement(subjects, DROPPING_V1, {
    log: origin,
    policy: { sha256: hexOf(policy) },
    checkpoints,
    now: 0,
    dropped: dropped.map((piece) => ({
      bundle: { sha256: hexOf(piece.bundle) },
      predicateType: piece.predicateType,
      entry: { index: piece.index, signed: { sha256: hexOf(piece.signed) } },
      logged: rfc3339(piece.logged),
      until: rfc3339(piece.until),
      checkpoint: checkpoints.indexOf(piece.checkpoint),
    })),
  });
}

/** Throws `input` or `limit` for what is no such predicate. What it says is to be checked. */
export function readDropping(predicate: JsonObject): Dropping {
  onlyFields(predicate, "the dropping", ["log", "policy", "checkpoints", "now", "dropped"]);
  const list = predicate["checkpoints"];
  const checkpoints = Array.isArray(list) ? list.filter((note) => typeof note === "string") : [];
  if (!Array.isArray(list) || checkpoints.length !== list.length || list.length > MAX_DROPPED + 1) {
    throw new BitforbitError("input", "the dropping's checkpoints are not a list of notes");
  }
  if (checkpoints.some(({ length }) => length > MAX_CHECKPOINT)) {
    throw new BitforbitError("limit", "a checkpoint of the dropping is larger than 64 KiB");
  }
  const noteAt = (parent: JsonObject, name: string): string => {
    const note = checkpoints[wholeAt(parent, name)];
    if (note !== undefined) return note;
    throw new BitforbitError("input", `the dropping's ${name} names no checkpoint of it`);
  };
  const pieces = objectsAt(predicate, "dropped");
  if (pieces.length === 0 || pieces.length > MAX_DROPPED) {
    throw new BitforbitError("limit", `the dropping names ${pieces.length} pieces, not 1 to ${MAX_DROPPED}`);
  }
  return {
    origin: textAt(predicate, "log"),
    policy: sha256At(predicate, "policy"),
    now: noteAt(predicate, "now"),
    dropped: pieces.map((piece) => {
      onlyFields(piece, "a dropped piece", ["bundle", "predicateType", "entry", "logged", "until", "checkpoint"]);
      const entry = objectAt(piece, "entry");
      return {
        bundle: sha256At(piece, "bundle"),
        predicateType: textAt(piece, "predicateType"),
        index: wholeAt(entry, "index"),
        signed: sha256At(entry, "signed"),
        logged: timeAt(piece, "logged"),
        until: timeAt(piece, "until"),
        checkpoint: noteAt(piece, "checkpoint"),
      };
    }),
  };
}

function sha256At(parent: JsonObject, name: string): Digest {
  const { sha256 = "", ...others } = digestSetAt(parent, name);
  if (/^[0-9a-f]{64}$/.test(sha256) && Object.keys(others).length === 0) return `sha256:${sha256}`;
  throw new BitforbitError("input", `the dropping's ${name} is not one SHA-256`);
}

function wholeAt(parent: JsonObject, name: string): number {
  const value = parent[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BitforbitError("input", `the dropping's ${name} is not a whole number from 0`);
}
