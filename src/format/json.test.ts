import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { jsonParts } from "./json.ts";
import type { Part } from "./part.ts";
import { mappingLines } from "./source-map.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parsed = async (text: string): Promise<Shown[]> => await expanded(bytes(text), jsonParts);
const values = (parts: Shown[]): string[] =>
  parts.filter(({ path }) => path.endsWith("value")).map(({ path, shown }) => `${path} = ${shown}`);

test("members go by their keys, elements by what names them", async () => {
  const parts = await parsed(
    `{ "a": {"b" : 1, "b": 12345678901234567890.10}, "l": [{"name":"x","v":true},{"name":"y","v":null}], "s": ["p","q"], "m":[[1],[2]] }\n`,
  );
  assert.deepEqual(values(parts), [
    "a › b › value = 1",
    "a › b › value = 12345678901234567890.10",
    'l › x › name › value = "x"',
    "l › x › v › value = true",
    'l › y › name › value = "y"',
    "l › y › v › value = null",
    's › p › value = "p"',
    's › q › value = "q"',
    "m › [0] › 1 › value = 1",
    "m › [1] › 2 › value = 2",
  ]);
});

test("every byte is in a part, whatever the layout", async () => {
  await fc.assert(
    fc.asyncProperty(fc.json({ maxDepth: 4 }), fc.constantFrom("", " ", "\t"), async (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), undefined, indent);
      const parts = await parsed(text);
      const leaves = parts.filter(({ kind }) => kind !== "group");
      assert.equal(
        leaves.reduce((sum, { length }) => sum + length, 0),
        bytes(text).length,
      );
    }),
    { numRuns: 300 },
  );
});

test("lines of JSON, a byte order mark", async () => {
  const parts = await parsed(`\ufeff{"id":1,"v":2}\n{"id":7,"v":3}\n`);
  assert.equal(parts[0]?.path, "byte order mark");
  assert.deepEqual(values(parts), [
    "1 › id › value = 1",
    "1 › v › value = 2",
    "7 › id › value = 7",
    "7 › v › value = 3",
  ]);
});

test("what is not JSON is refused with its offset", () => {
  for (const [text, at] of [
    ["", 0],
    ["{", 1],
    ["[1,]", 3],
    ['{"a" 1}', 5],
    ['{"a":"x', 5],
    ["[01]", 1],
    ["[1] [2]", 4],
    ["{'a':1}", 1],
    ["[1}", 2],
    ['{"a":1,}', 7],
  ] as const) {
    assert.throws(
      () => [...(jsonParts(memorySource(bytes(text)), "x") as Iterable<Part>)],
      (error) => error instanceof BitforbitError && error.message.includes(`offset ${at}:`),
      text,
    );
  }
  const deep = bytes("[".repeat(100_000));
  assert.throws(() => jsonParts(memorySource(deep), "x"), { code: "limit" });
});

async function decoded(part: Part | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  await part?.decode?.run((chunk) => chunks.push(chunk), { maxBytes: 1 << 20, maxRatio: 100, freeBytes: 1 << 20 });
  return Buffer.concat(chunks).toString();
}

const url = (text: string): string => Buffer.from(text).toString("base64url");
const escape = (unit: number): string => `\\u${unit.toString(16).padStart(4, "0")}`;
const units = (character: string): string =>
  [...Array(character.length).keys()].map((at) => escape(character.charCodeAt(at))).join("");

/** The first content in a document. */
function contentIn(text: string): Part | undefined {
  const find = (parts: Iterable<Part>): Part | undefined => {
    for (const part of parts) {
      if (part.kind === "content") return part;
      const inside = part.parts === undefined ? undefined : find(part.parts());
      if (inside !== undefined) return inside;
    }
    return undefined;
  };
  return find(jsonParts(memorySource(bytes(text)), "x") as Iterable<Part>);
}

test("long strings are texts of their own, with their escapes resolved", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 70 }), async (text) => {
      const long = `${text}\n\u{1f600}\\"`.repeat(4);
      const escaped = JSON.stringify({ a: long }).replace(/[\u0080-\u{10ffff}]/gu, (character) =>
        character.charCodeAt(0) % 2 === 0 ? character : units(character),
      );
      assert.equal(JSON.parse(escaped).a, long);
      assert.equal(await decoded(contentIn(escaped)), long);
    }),
  );
});

test("a payload in base64 is looked into; a web token piece by piece", async () => {
  const inner = JSON.stringify({ _type: "statement", subject: [] });
  const payload = Buffer.from(inner).toString("base64");
  const content = contentIn(JSON.stringify({ payload, payloadType: "application/vnd.in-toto+json" }));
  assert.equal(await decoded(content), inner);
  const parts = await parsed(JSON.stringify({ token: `${url('{"alg":"none"}')}.${url('{"sub":"x"}')}.c2ln` }));
  assert.deepEqual(
    parts.filter(({ path }) => /header$|payload$|signature$/.test(path)).map(({ path, kind }) => `${kind} ${path}`),
    ["content token ›  › header", "content token ›  › payload", "field token ›  › signature"],
  );
});

test("source maps: contents by source, mappings by where they lead", async () => {
  const map = {
    version: 3,
    sources: ["../src/a.ts"],
    names: ["f"],
    sourcesContent: ["let f;\n"],
    mappings: "AAAAA,IAEI;EACF",
  };
  const parts = await parsed(JSON.stringify(map));
  assert.ok(parts.some(({ path, kind }) => path === "mappings › " && kind === "content"));
  assert.deepEqual(
    [...mappingLines(bytes(map.mappings), ["a.ts"], ["f"])],
    [
      "column +0 → a.ts line +0 column +0 (f)\n",
      "column +4 → a.ts line +2 column +4\n",
      "\n",
      "column +2 → a.ts line +1 column -2\n",
    ],
  );
  assert.ok(parts.some(({ path, kind }) => path === "sourcesContent ›  › src/a.ts" && kind === "content"));
  await survives(bytes(JSON.stringify(map)), jsonParts);
});

test("damage gives parts or an error of ours", async () => {
  const text = `{"a":[1,2.5e3,{"x":"\\u00e9\\\\"}],"t":"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln","l":"${"long ".repeat(60)}"}`;
  await survives(bytes(text), jsonParts);
});
