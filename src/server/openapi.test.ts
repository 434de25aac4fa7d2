import { strict as assert } from "node:assert";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { JsonObject } from "../json.ts";
import { send } from "./http-test-client.ts";
import { memoryEvidence } from "./memory-evidence.ts";
import { openapi } from "./openapi.ts";
import { routes } from "./routes.ts";
import { createServer } from "./server.ts";

interface Described {
  parameters: { $ref: string }[];
  responses: Record<string, { content?: Record<string, { schema?: JsonObject }> }>;
}

const evidence = memoryEvidence();
const paths = openapi("0.1.0")["paths"] as unknown as Record<string, { get: Described }>;

test("the document names every route, and no other", () => {
  const app = routes(evidence, 1000);
  const served = new Set(app.routes.filter(({ method }) => method === "GET").map(({ path }) => path));
  const described = Object.keys(paths).map((path) => path.replace("{tile}", "*").replace(/\{(\w+)\}/g, ":$1"));
  assert.deepEqual([...described].sort(), [...served].sort());
});

test("every route answers what its schema says, when it is there and when it is not", async () => {
  const server = await createServer(evidence, { port: 0 });
  try {
    const ajv = new Ajv2020({ strict: false });
    const document = (await send(server.url, "/openapi.json")).json();
    ajv.addSchema(document, "document");
    const check = (schema: JsonObject, value: JsonObject, path: string): void => {
      const pointer = String(schema["$ref"]);
      const validate = ajv.getSchema(`document${pointer}`);
      assert.ok(validate, `${path}: ${pointer}`);
      assert.ok(validate(value), `${path}: ${ajv.errorsText(validate.errors)}`);
    };
    for (const [path, { get }] of Object.entries(paths)) {
      for (const [asked, status] of examples(path)) {
        const answer = await send(server.url, asked);
        assert.equal(answer.status, status, asked);
        const content = Object.entries(get.responses[String(status)]?.content ?? {})[0];
        assert.ok(content, `${path} does not describe ${status}`);
        assert.equal(String(answer.headers["content-type"]).split(";")[0], content[0], asked);
        const schema = content[1].schema;
        if (schema?.["$ref"] !== undefined) check(schema, answer.json(), asked);
        else assert.ok(answer.bytes.length > 0, asked);
      }
    }
  } finally {
    await server.close();
  }
});

/** What to ask of a described path, and the status that is due. */
function examples(path: string): [string, number][] {
  const nothing = `sha256:${"0".repeat(64)}`;
  if (path === "/log/tile/{tile}") {
    return [
      ["/log/tile/0/000.p/5", 200],
      ["/log/tile/x", 400],
      ["/log/tile/0/001", 404],
    ];
  }
  if (path.includes("{id}")) {
    const known = evidence.builds.map(({ id }): [string, number] => [path.replace("{id}", id), 200]);
    return [...known, [path.replace("{id}", "~"), 400], [path.replace("{id}", "none"), 404]];
  }
  if (path.includes("{digest}")) {
    const outputs = evidence.builds.flatMap((build) => build.outputs);
    const known = outputs.flatMap(({ digest }): [string, number][] => {
      const bundles = evidence.bundles.get(digest) ?? [];
      const filled = path.replace("{digest}", digest);
      return path.includes("{bundle}")
        ? bundles.map((bundle): [string, number] => [filled.replace("{bundle}", bundle.digest), 200])
        : [[filled, 200]];
    });
    assert.ok(known.length > 2, path);
    const at = (digest: string) => path.replace("{digest}", digest).replace("{bundle}", nothing);
    return [...known, [at("sha256:0"), 400], [at(nothing), 404]];
  }
  return path.endsWith("builds") || path === "/"
    ? [
        [path, 200],
        [`${path}?limit=1`, 200],
        [`${path}?limit=x`, 400],
      ]
    : [[path, 200]];
}
