import { strict as assert } from "node:assert";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import type { Digest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { type Exchange, readRecording, recordingOf, saveRecording } from "./recording.ts";

const own: string = mkdtempSync(join(tmpdir(), "recording-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const hex = (length: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: length, maxLength: length }).map((all) => all.join(""));
const digest = hex(64).map((digits): Digest => `sha256:${digits}`);
const exchange: fc.Arbitrary<Exchange> = fc.record(
  {
    method: fc.constantFrom("GET", "HEAD", "POST"),
    url: fc.webUrl({ withQueryParameters: true }),
    accept: fc.string(),
    request: digest,
    status: fc.integer({ min: 200, max: 499 }),
    headers: fc.array(fc.tuple(fc.constantFrom("etag", "location"), fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]*$/))),
    digest,
    size: fc.nat(),
    purl: fc.constantFrom("pkg:npm/a@1", "pkg:pypi/b@2"),
    checksums: fc.record({ sha1: hex(40), sha512: hex(128) }, { requiredKeys: [], noNullPrototype: true }),
  },
  { requiredKeys: ["method", "url", "status", "headers", "digest", "size"], noNullPrototype: true },
);

test("a recording reads back as it was, whatever order it was made in", async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(exchange, { maxLength: 8, selector: ({ url }) => url }), async (exchanges) => {
      const [a, b] = [join(own, `${count}a`), join(own, `${count++}b`)];
      await saveRecording(a, recordingOf(exchanges));
      await saveRecording(b, recordingOf(exchanges.toReversed()));
      assert.deepEqual(await readRecording(a), recordingOf(exchanges));
      assert.equal(readFileSync(a, "utf8"), readFileSync(b, "utf8"));
    }),
    { numRuns: 50 },
  );
  assert.equal(await readRecording(join(own, "nothing")), undefined);
});

test("a recording that was edited, cut off, or is from a newer version is refused with its line", async () => {
  const good: Exchange = {
    method: "GET",
    url: "https://registry.test/x",
    status: 200,
    headers: [],
    digest: `sha256:${"0".repeat(64)}`,
    size: 1,
  };
  const path = join(own, "bad.jsonl");
  const head = '{"type":"recording","version":1,"exchanges":1}\n';
  const line = (change: object): string => `${head}${JSON.stringify({ ...good, ...change })}\n`;
  const cases: [text: string, message: RegExp][] = [
    ["", /it states no number of exchanges/],
    [head, /it states 1 exchanges and holds 0/],
    ['{"type":"recording","version":2,"exchanges":0}\n', /:1: a recording of version 2/],
    [`${head}not json\n`, /bad\.jsonl:2/],
    [`${head}[]\n`, /:2: not an object/],
    [line({ method: "get it" }), /:2: no method/],
    [line({ url: "file:///etc/passwd" }), /:2: no URL/],
    [line({ status: 599 }), /:2: no status/],
    [line({ digest: "sha256:../../../etc/passwd" }), /:2: no digest/],
    [line({ size: -1 }), /:2: no size/],
    [line({ headers: [["set cookie", ""]] }), /:2: not a header's name/],
    [line({ headers: [["location", "a\r\nset-cookie: b"]] }), /:2: not a value of location/],
    [line({ checksums: { sha1: "0" } }), /:2: not a checksum: sha1/],
    [line({ checksums: { __proto__x: "0" } }), /:2: not a checksum/],
    [line({ purl: "https://x" }), /:2: not a purl/],
  ];
  for (const [text, message] of cases) {
    writeFileSync(path, text);
    await assert.rejects(readRecording(path), (error: unknown) => {
      assert.ok(error instanceof BitforbitError && error.code === "input", text);
      assert.match(error.message, message);
      return true;
    });
  }
  writeFileSync(path, line({}));
  assert.deepEqual((await readRecording(path))?.exchanges, [good]);
});
