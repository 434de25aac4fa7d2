/** Reading the statement inside a bundle whose signature has been verified. */
import { sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type Json, type JsonObject, isObject, parseJson } from "../json.ts";
import { STATEMENT_V1 } from "./statement.ts";

/** cosign still emits this one. */
const STATEMENT_V01 = "https://in-toto.io/Statement/v0.1";
const MAX_SUBJECTS = 4096;

export interface ReadStatement {
  predicateType: string;
  /** SHA-256 of each subject, 64 lower-case hexadecimal digits. */
  subjects: { name: string; sha256: string }[];
  predicate: JsonObject;
  /** SHA-256 of the payload: what identifies a statement (a signature does not: ECDSA is malleable). */
  digest: string;
}

/**
 * Parses an in-toto Statement v1 or v0.1. Every subject must have a SHA-256;
 * digests by weaker algorithms are not looked at. Throws `input` or `limit`.
 */
export function readStatement(payload: Uint8Array): ReadStatement {
  const statement = parseJson(payload, "the statement");
  if (!isObject(statement)) throw new BitforbitError("input", "the statement is not an object");
  const type = statement["_type"];
  if (type !== STATEMENT_V1 && type !== STATEMENT_V01) {
    throw new BitforbitError("input", `the statement's _type is ${show(type)}, not ${STATEMENT_V1}`);
  }
  const unknown = Object.keys(statement).find((name) => !STATEMENT_FIELDS.has(name));
  if (unknown !== undefined) throw new BitforbitError("input", `the statement has the unknown field ${show(unknown)}`);
  const predicateType = statement["predicateType"];
  if (typeof predicateType !== "string" || predicateType === "") {
    throw new BitforbitError("input", `the statement's predicateType is ${show(predicateType)}`);
  }
  const subject = statement["subject"];
  if (!Array.isArray(subject) || subject.length === 0 || subject.length > MAX_SUBJECTS) {
    throw new BitforbitError("limit", `the statement's subject is not a list of 1 to ${MAX_SUBJECTS}`);
  }
  const predicate = statement["predicate"];
  if (!isObject(predicate)) throw new BitforbitError("input", "the statement's predicate is not an object");
  return { predicateType, subjects: subject.map(readSubject), predicate, digest: sha256Hex(payload) };
}

const STATEMENT_FIELDS = new Set(["_type", "subject", "predicateType", "predicate"]);

function readSubject(subject: Json): { name: string; sha256: string } {
  const digest = isObject(subject) ? subject["digest"] : undefined;
  const sha256 = isObject(digest) ? digest["sha256"] : undefined;
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new BitforbitError("input", `a subject's SHA-256 is ${show(sha256)}`);
  }
  const name = isObject(subject) ? subject["name"] : undefined;
  return { name: typeof name === "string" ? name : "", sha256 };
}

export interface ReadProvenance {
  builder: string;
  buildType: string;
  invocationId: string;
  source: { uri: string; digest: Record<string, string>; ref?: string };
  canonical: boolean;
  startedOn: string;
  finishedOn: string;
}

/** What policy judges in SLSA provenance v1 of our build type. Throws `input` where a field is missing or of another type. */
export function readProvenance(predicate: JsonObject): ReadProvenance {
  const definition = object(predicate, "buildDefinition");
  const run = object(predicate, "runDetails");
  const source = object(object(definition, "externalParameters"), "source");
  const metadata = object(run, "metadata");
  const ref = source["ref"];
  return {
    builder: string(object(run, "builder"), "id"),
    buildType: string(definition, "buildType"),
    invocationId: string(metadata, "invocationId"),
    source: {
      uri: string(source, "uri"),
      digest: strings(object(source, "digest"), "digest"),
      ...(typeof ref === "string" ? { ref } : {}),
    },
    // Only a plain `true` counts: what is missing or odd is a local build.
    canonical: object(definition, "internalParameters")["canonical"] === true,
    startedOn: string(metadata, "startedOn"),
    finishedOn: string(metadata, "finishedOn"),
  };
}

export interface ReadReproduction {
  invocationId: string;
  verdict: string;
  grade: string;
  worlds: { name: string; outputs: string[] }[];
  lacks: string[];
}

/** schemas/reproduction.schema.json, the parts that policy judges. Throws `input`. */
export function readReproduction(predicate: JsonObject): ReadReproduction {
  const worlds = list(predicate, "worlds").map((world) => ({
    name: string(world, "name"),
    outputs: list(world, "outputs").map((output) => string(object(output, "digest"), "sha256")),
  }));
  return {
    invocationId: string(predicate, "invocationId"),
    verdict: string(predicate, "verdict"),
    grade: string(predicate, "grade"),
    worlds,
    lacks: list(predicate, "lacks").map((lack) => string(lack, "what")),
  };
}

function object(parent: JsonObject, name: string): JsonObject {
  const value = parent[name];
  if (isObject(value)) return value;
  throw new BitforbitError("input", `the predicate's ${name} is ${show(value)}, not an object`);
}

function list(parent: JsonObject, name: string): JsonObject[] {
  const value = parent[name];
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new BitforbitError("input", `the predicate's ${name} is not a list of objects`);
}

function string(parent: JsonObject, name: string): string {
  const value = parent[name];
  if (typeof value === "string") return value;
  throw new BitforbitError("input", `the predicate's ${name} is ${show(value)}, not a string`);
}

function strings(parent: JsonObject, what: string): Record<string, string> {
  const entries = Object.keys(parent).map((name): [string, string] => [name, string(parent, name)]);
  if (entries.length === 0) throw new BitforbitError("input", `the predicate's ${what} is empty`);
  return Object.fromEntries(entries);
}

function show(value: Json | undefined): string {
  return value === undefined ? "missing" : JSON.stringify(value).slice(0, 80);
}
