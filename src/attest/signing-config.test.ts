import { strict as assert } from "node:assert";
import test from "node:test";
import { assert as hold, constantFrom, dictionary, jsonValue, property } from "fast-check";
import { utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { readSigningConfig, SIGNING_CONFIG } from "./signing-config.ts";

const NOW = Date.UTC(2026, 5, 1);
const start = "2025-01-01T00:00:00Z";

interface Fields {
  [name: string]: unknown;
}

const service = (url: string, more: Fields = {}): Fields => ({
  url,
  majorApiVersion: 1,
  validFor: { start },
  operator: url,
  ...more,
});
const config = (more: Fields): Uint8Array => utf8(JSON.stringify({ mediaType: SIGNING_CONFIG, ...more }));
const read = (more: Fields): ReturnType<typeof readSigningConfig> => readSigningConfig(config(more), "the file", NOW);

test("the newest service that is valid now and of a version that we speak", () => {
  const caUrls = [
    service("https://old.example", { validFor: { start: "2020-01-01T00:00:00Z" } }),
    service("https://ended.example", { validFor: { start, end: "2026-01-01T00:00:00Z" } }),
    service("https://next.example", { validFor: { start: "2027-01-01T00:00:00Z" } }),
    service("https://second.example", { majorApiVersion: 2 }),
    service("https://now.example", { validFor: { start: "2025-06-01T00:00:00.5Z", end: "2026-12-31T00:00:00Z" } }),
  ];
  assert.equal(read({ caUrls }).authority, "https://now.example");
  // What only Rekor v1 takes is none for us.
  assert.deepEqual(read({ rekorTlogUrls: [service("https://one.example")] }).logs, []);
  assert.deepEqual(read({}), { authority: undefined, timestampAuthorities: [], logs: [] });
});

test("as many as the selector wants, of different operators", () => {
  const tsaUrls = [
    service("https://a/ts"),
    service("https://b/ts"),
    service("https://c/ts", { operator: "https://a/ts" }),
  ];
  const by = (tsaConfig?: Fields): readonly string[] =>
    read({ tsaUrls, ...(tsaConfig === undefined ? {} : { tsaConfig }) }).timestampAuthorities;
  assert.deepEqual(by(), ["https://a/ts"]);
  assert.deepEqual(by({ selector: "ANY" }), ["https://a/ts"]);
  assert.deepEqual(by({ selector: "ALL" }), ["https://a/ts", "https://b/ts"]);
  assert.deepEqual(by({ selector: "EXACT", count: 2 }), ["https://a/ts", "https://b/ts"]);
  assert.throws(() => by({ selector: "EXACT", count: 3 }), /wants 3 services, and 2 are valid now/);
});

test("what is not a signing config is named", () => {
  const cases: [Uint8Array, RegExp][] = [
    [utf8("{}"), /the file has no mediaType/],
    [utf8('{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.1+json"}'), /mediaType is .*v0\.1/],
    [config({ extra: 1 }), /unknown field "extra"/],
    [
      config({ caUrls: [service("u", { validFor: { start: "yesterday" } })] }),
      /caUrls\[0\]\.validFor\.start is "yesterday"/,
    ],
    [config({ caUrls: [service("u", { majorApiVersion: "1" })] }), /majorApiVersion is "1", not a number/],
    [config({ caUrls: [service("u", { url: 5 })] }), /caUrls\[0\]\.url is not a string/],
    [config({ caUrls: Array.from({ length: 65 }, () => service("u")) }), /caUrls is not a list of at most 64/],
    [config({ tsaUrls: [service("u")], tsaConfig: { selector: "SOME" } }), /a selector is ANY, ALL, or EXACT/],
    [config({ tsaUrls: [service("u")], tsaConfig: { selector: "EXACT", count: 0.5 } }), /a selector is ANY/],
    [utf8('{"mediaType":"x","mediaType":"y"}'), /the file/],
    [new Uint8Array((1 << 20) + 1), /larger than/],
  ];
  for (const [bytes, says] of cases) assert.throws(() => readSigningConfig(bytes, "the file", NOW), says);
});

test("any input ends in services or in an error of ours", () => {
  const value = jsonValue({ maxDepth: 4 });
  const members = ["caUrls", "oidcUrls", "rekorTlogUrls", "rekorTlogConfig", "tsaUrls", "tsaConfig"];
  const anything = dictionary(constantFrom(...members), value);
  hold(
    property(anything, (more) => {
      try {
        read(more);
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
      }
    }),
  );
});
