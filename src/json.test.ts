/** JSON from outside is parsed strictly, and canonical JSON is RFC 8785's to the byte. */
import { strict as assert } from "node:assert";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import { utf8, utf8Text } from "./bytes.ts";
import { BitforbitError } from "./errors.ts";
import { canonicalJson, isObject, type Json, parseJson, prettyJson } from "./json.ts";

const refuses = (source: string | Uint8Array, code: string, says: RegExp): void =>
  assert.throws(
    () => parseJson(source, "the thing"),
    (error) => error instanceof BitforbitError && error.code === code && says.test(error.message),
    String(source).slice(0, 80),
  );

const canonical = (value: Json): string => utf8Text(canonicalJson(value)) ?? "";

test("duplicate keys are refused at any depth and however they are written", () => {
  for (const text of [
    '{"a":1,"a":1}',
    '[{"x":{"a":1,"b":[],"a":2}}]',
    '{"a":1,"\\u0061":2}',
    '{"" : 1, "" : 2}',
    '{"a\\"":1,"a\\"":2}',
  ]) {
    refuses(text, "input", /the thing: duplicate key/);
  }
  for (const text of [
    '{"a":{"a":1},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a"}',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '["a","a"]',
  ]) {
    assert.deepEqual(parseJson(text, "it"), JSON.parse(text), text);
  }
});

test("what is not JSON, not UTF-8, or without end is refused by name", () => {
  for (const text of ["", "{", "nul", "{'a':1}", "[1,]", "NaN", "\ufeff{}", '"\u0001"'])
    refuses(text, "input", /cannot parse the thing/);
  refuses(new Uint8Array([0x22, 0xff, 0x22]), "input", /not UTF-8/);
  refuses(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), "input", /not UTF-8/);
  refuses("[".repeat(65) + "]".repeat(65), "limit", /deeper than 64/);
  assert.ok(Array.isArray(parseJson("[".repeat(64) + "]".repeat(64), "it")));
  refuses(new Uint8Array((64 << 20) + 1), "limit", /larger than/);
});

test("__proto__ is data", () => {
  const value = parseJson('{"__proto__":{"admin":true}}', "it");
  assert.ok(isObject(value));
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(value["admin"], undefined);
  assert.equal(canonical(value), '{"__proto__":{"admin":true}}');
  assert.equal(prettyJson(value), '{\n  "__proto__": {\n    "admin": true\n  }\n}\n');
});

const json = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

test("whatever JSON.stringify writes is parsed to what JSON.parse gives", () => {
  fc.assert(
    fc.property(json, fc.constantFrom(undefined, 1, "\t", "\r\n"), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      assert.deepEqual(parseJson(utf8(text), "it"), JSON.parse(text));
    }),
  );
});

test("canonical JSON parses back, is a fixed point, and does not depend on the order of keys", () => {
  const reversed = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(reversed);
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([key, item]) => [key, reversed(item)]),
    );
  };
  fc.assert(
    fc.property(json, (value) => {
      const text = canonical(value);
      assert.deepEqual(parseJson(text, "it"), JSON.parse(text));
      assert.equal(canonical(JSON.parse(text) as Json), text);
      assert.equal(canonical(reversed(value)), text);
      assert.equal(prettyJson(reversed(value)), prettyJson(value));
    }),
  );
});

test("canonical JSON: UTF-16 order, ECMAScript numbers, and nothing that has no bytes", () => {
  assert.equal(canonical({ "\ud83d\ude00": 1, "\ufb33": 2, a: 3, "": 4 }), '{"":4,"a":3,"\ud83d\ude00":1,"\ufb33":2}');
  assert.equal(
    canonical([1e21, 1e-7, -0, 0.1, 1e20, 4.5, 9007199254740992]),
    "[1e+21,1e-7,0,0.1,100000000000000000000,4.5,9007199254740992]",
  );
  assert.equal(canonical('\u0000\b\u001f\u007f\u2028"\\/'), '"\\u0000\\b\\u001f\u007f\u2028\\"\\\\/"');
  for (const value of ["\ud800", "a\udc00", { "\ud800": 1 }, Number.NaN, Number.POSITIVE_INFINITY] as Json[]) {
    assert.throws(
      () => canonicalJson(value),
      (error) => error instanceof BitforbitError && error.code === "input",
    );
  }
});

const vectors = ["../shared/vectors/jcs", "../../shared/vectors/jcs"].find((folder) => existsSync(folder));

test(
  "RFC 8785's published vectors",
  { skip: vectors === undefined && "published vectors are not in ../shared" },
  () => {
    const inputs = globSync(join(vectors ?? "", "input", "*.json")).sort();
    assert.ok(inputs.length >= 6);
    for (const input of inputs) {
      const expected = readFileSync(join(vectors ?? "", "output", basename(input)), "utf8").trimEnd();
      assert.equal(canonical(parseJson(readFileSync(input), input)), expected, input);
    }
  },
);
