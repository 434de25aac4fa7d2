/** JSON Schemas (draft 2020-12) of what the API answers; they stand under `components.schemas` of the OpenAPI document. */
import type { JsonObject } from "../json.ts";
import { EVENT_KINDS } from "../ledger/event.ts";

const text: JsonObject = { type: "string" };
const yesOrNo: JsonObject = { type: "boolean" };
const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });
const list = (items: JsonObject): JsonObject => ({ type: "array", items });
const time: JsonObject = { type: "integer", description: "milliseconds since 1970-01-01T00:00:00Z" };
const milliseconds: JsonObject = { type: "number", minimum: 0 };
const bytes: JsonObject = { type: "integer", minimum: 0, description: "bytes" };

/** An object whose properties are all known; those not in `optional` are required. */
function object(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

export const schemas: JsonObject = {
  Digest: { type: "string", pattern: "^sha256:[0-9a-f]{64}$" },
  BuildId: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" },
  Problem: object({
    type: { const: "about:blank" },
    title: text,
    status: { type: "integer", minimum: 400, maximum: 599 },
    detail: text,
    hint: { type: "string", description: "what a person can do about it" },
  }),
  Health: object({ status: { const: "ok" }, version: text }),
  ByteWindow: object(
    {
      offset: bytes,
      hex: { type: "string", pattern: "^(?:[0-9a-f]{2})*$" },
      marks: list(object({ offset: bytes, length: bytes })),
    },
    ["marks"],
  ),
  Cause: object(
    {
      name: text,
      artifact: text,
      path: text,
      command: text,
      evidence: object({ text, a: ref("ByteWindow"), b: ref("ByteWindow") }, ["a", "b"]),
      confidence: { type: "number", minimum: 0, maximum: 1 },
      remedy: text,
    },
    ["command"],
  ),
  Output: object({ path: text, digest: ref("Digest"), size: bytes }),
  Build: object(
    {
      id: ref("BuildId"),
      at: time,
      milliseconds,
      project: text,
      source: object({ uri: text, commit: text, tag: text, tree: text }, ["uri", "commit", "tag", "tree"]),
      canonical: yesOrNo,
      verdict: { enum: ["reproducible", "differs", "failed", "fails-in-adversarial"] },
      causes: list(ref("Cause")),
      outputs: list(ref("Output")),
      lacks: list(object({ what: text, remedy: text })),
      environment: text,
    },
    ["milliseconds", "verdict"],
  ),
  Builds: object(
    {
      builds: list(ref("Build")),
      next: {
        ...ref("BuildId"),
        description: "give this as `before` for the older builds; absent when there are none",
      },
    },
    ["next"],
  ),
  Event: object(
    {
      at: time,
      kind: {
        enum: [...EVENT_KINDS],
      },
      ok: yesOrNo,
      milliseconds,
      artifact: ref("Digest"),
      environment: text,
      data: { type: "object" },
    },
    ["milliseconds", "artifact", "environment"],
  ),
  Story: object({ build: ref("Build"), events: list(ref("Event")) }),
  StoredArtifact: object({ digest: ref("Digest"), name: text, size: bytes, mediaType: text, manifest: ref("Digest") }),
  Artifact: object({
    digest: ref("Digest"),
    stored: { oneOf: [ref("StoredArtifact"), { type: "null" }] },
    builds: list(ref("Build")),
    events: list(ref("Event")),
  }),
  Reason: object({ check: text, ok: yesOrNo, message: text, hint: text }, ["hint"]),
  Decision: object({ digest: ref("Digest"), at: time, ok: yesOrNo, reasons: list(ref("Reason")) }),
  Attestations: object({
    digest: ref("Digest"),
    attestations: list(
      object({
        digest: ref("Digest"),
        predicateType: text,
        url: { type: "string", description: "where the bundle's bytes are" },
      }),
    ),
  }),
  Metric: object(
    {
      id: { type: "string", pattern: "^M[0-9]{1,2}$" },
      name: text,
      value: { type: "number" },
      unit: text,
      target: text,
      meets: yesOrNo,
      note: text,
      samples: { type: "integer", minimum: 0 },
    },
    ["value", "meets"],
  ),
  Metrics: object({ metrics: list(ref("Metric")) }),
  Promotion: object(
    { at: time, artifact: ref("Digest"), environment: text, project: text, ok: yesOrNo, by: text, reason: text },
    ["project", "by", "reason"],
  ),
  Promotions: object({ promotions: list(ref("Promotion")) }),
};
