/** The OpenAPI 3.1 document of this server, written by hand; a test holds it to the routes and their answers. */
import type { JsonObject } from "../json.ts";
import { schemas } from "./schemas.ts";

const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

const problem = (description: string): JsonObject => ({
  description,
  content: { "application/problem+json": { schema: ref("Problem") } },
});

const parameters: JsonObject = {
  digest: {
    name: "digest",
    in: "path",
    required: true,
    schema: ref("Digest"),
    description: "the artifact's digest: what sha256sum prints",
  },
  bundle: {
    name: "bundle",
    in: "path",
    required: true,
    schema: ref("Digest"),
    description: "digest of the bundle's bytes",
  },
  id: { name: "id", in: "path", required: true, schema: ref("BuildId") },
  limit: { name: "limit", in: "query", schema: { type: "integer", minimum: 1, maximum: 200, default: 50 } },
  before: { name: "before", in: "query", schema: ref("BuildId"), description: "only builds older than this one" },
  tile: {
    name: "tile",
    in: "path",
    required: true,
    schema: { type: "string" },
    description: "level and index as in C2SP tlog-tiles, slashes included: 0/x001/067 or entries/000.p/5",
  },
};

interface Route {
  says: string;
  takes?: readonly string[];
  /** Media type of the answer, and its schema: a component's name for JSON, none for bytes and text. */
  gives: readonly [type: string, schema?: string];
  /** Whether what is asked for may be absent. */
  mayLack?: boolean;
}

const json = (schema: string): readonly [string, string] => ["application/json", schema];

const ROUTES: Readonly<Record<string, Route>> = {
  "/healthz": { says: "Whether the server and its ledger answer", gives: json("Health") },
  "/metrics": { says: "Metrics for Prometheus, text format 0.0.4", gives: ["text/plain"] },
  "/openapi.json": { says: "This document", gives: ["application/json"] },
  "/api/v1/builds": { says: "Builds, newest first", takes: ["limit", "before"], gives: json("Builds") },
  "/api/v1/builds/{id}": { says: "One build's story", takes: ["id"], gives: json("Story"), mayLack: true },
  "/api/v1/artifacts/{digest}": {
    says: "What is known of an artifact",
    takes: ["digest"],
    gives: json("Artifact"),
    mayLack: true,
  },
  "/api/v1/artifacts/{digest}/decision": {
    says: "Whether it may be used, decided now, with the reasons",
    takes: ["digest"],
    gives: json("Decision"),
    mayLack: true,
  },
  "/api/v1/artifacts/{digest}/attestations": {
    says: "Its attestations",
    takes: ["digest"],
    gives: json("Attestations"),
    mayLack: true,
  },
  "/api/v1/artifacts/{digest}/attestations/{bundle}": {
    says: "One attestation: the Sigstore bundle's exact bytes; never changes",
    takes: ["digest", "bundle"],
    gives: ["application/vnd.dev.sigstore.bundle.v0.3+json"],
    mayLack: true,
  },
  "/api/v1/metrics": { says: "M1 to M10", gives: json("Metrics") },
  "/api/v1/promotions": { says: "Promotions, newest first", takes: ["limit"], gives: json("Promotions") },
  "/log/checkpoint": {
    says: "The log's signed checkpoint (C2SP tlog-checkpoint)",
    gives: ["text/plain"],
    mayLack: true,
  },
  "/log/tile/{tile}": {
    says: "A tile of the log (C2SP tlog-tiles); never changes",
    takes: ["tile"],
    gives: ["application/octet-stream"],
    mayLack: true,
  },
  "/": { says: "Page: builds and metrics", takes: ["limit", "before"], gives: ["text/html"] },
  "/builds/{id}": { says: "Page: one build's story", takes: ["id"], gives: ["text/html"], mayLack: true },
  "/artifacts/{digest}": { says: "Page: one artifact", takes: ["digest"], gives: ["text/html"], mayLack: true },
};

export function openapi(version: string): JsonObject {
  const paths = Object.entries(ROUTES).map(([path, route]): [string, JsonObject] => [path, { get: operation(route) }]);
  return {
    openapi: "3.1.0",
    info: {
      title: "bitforbit",
      version,
      description: "Builds, artifacts, evidence and decisions, read-only. Only GET and HEAD are answered.",
    },
    paths: Object.fromEntries(paths),
    components: { schemas, parameters },
  };
}

function operation({ says, takes = [], gives: [type, schema], mayLack }: Route): JsonObject {
  const isPage = type === "text/html";
  const wrong = (description: string): JsonObject =>
    isPage ? { description, content: { "text/html": { schema: { type: "string" } } } } : problem(description);
  return {
    summary: says,
    parameters: takes.map((name) => ({ $ref: `#/components/parameters/${name}` })),
    responses: {
      "200": { description: says, content: { [type]: schema === undefined ? {} : { schema: ref(schema) } } },
      "400": wrong("a parameter is not what it should be"),
      ...(mayLack === true ? { "404": wrong("there is no such thing") } : {}),
      "503": wrong("the answer took too long"),
    },
  };
}
