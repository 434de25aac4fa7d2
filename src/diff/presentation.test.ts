import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes } from "../format/tar-write.ts";
import { diffSources } from "./diff.ts";
import { type Difference, summaryOf } from "./difference.ts";
import { differenceJson, differenceText } from "./json.ts";
import { renderText } from "./render.ts";

const schema = JSON.parse(readFileSync("schemas/diff.schema.json", "utf8")) as object;
const valid = new Ajv2020({ strict: false }).compile(schema);

async function between(a: Uint8Array, b: Uint8Array): Promise<Difference> {
  const found = await diffSources(memorySource(a), memorySource(b), ["out.tar.gz"]);
  return found ?? assert.fail("nothing differs");
}

const release = (mtime: number, host: string): Uint8Array =>
  gzipBytes(
    tarBytes([
      { name: "bin", content: Buffer.from([0, 1, 2, mtime & 255]), mtime },
      { name: "info", content: Buffer.from(`built on ${host}\n`), mtime },
    ]),
  );

test("the JSON document is as its schema says, for whatever differs", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 2000 }),
      fc.uint8Array({ maxLength: 2000 }),
      fc.boolean(),
      async (a, b, pack) => {
        const wrap = (content: Uint8Array): Uint8Array => (pack ? tarBytes([{ name: "m", content }]) : content);
        const found = await diffSources(memorySource(wrap(a)), memorySource(wrap(b)), ["x"]);
        const document: unknown = JSON.parse(JSON.stringify(differenceJson(found)));
        assert.ok(valid(document), JSON.stringify(valid.errors));
      },
    ),
    { numRuns: 100 },
  );
  const found = await between(release(5, "one"), release(6, "two"));
  const whole = {
    excluded: [{ rule: "path x", leaves: 1, bytes: 2 }],
    incomplete: [{ path: ["x"], why: "the time was over" }],
  };
  for (const besides of [{}, whole]) {
    const text: unknown = JSON.parse([...differenceText(found, besides)].join(""));
    assert.deepEqual(text, JSON.parse(JSON.stringify(differenceJson(found, besides))));
    assert.ok(valid(text), JSON.stringify(valid.errors));
  }
  const document = differenceJson(await between(release(5, "one"), release(6, "two")));
  assert.ok(valid(document), JSON.stringify(valid.errors));
  assert.equal(valid({ ...document, extra: 1 }), false);
});

test("the summary counts leaves by what they are", async () => {
  const summary = summaryOf(await between(release(5, "one"), release(6, "two")));
  assert.deepEqual(summary.byWhat, { "field:mtime": 2, bytes: 1, text: 1, "field:derived": 2 });
  assert.deepEqual(summary.files, ["out.tar.gz"]);
});

test("lines for a terminal: what it comes to, content, metadata once, and what only follows", async () => {
  const lines = renderText(await between(release(1_600_000_000, "one"), release(1_600_000_007, "two")), { width: 100 });
  assert.match(lines[0] ?? "", /^6 differences in 1 file, \d+ bytes$/);
  assert.match(lines.at(-2) ?? "", /^ {2}derived {2}at 148 \(0x94\), 8 bytes and \d+ more places?$/);
  assert.deepEqual(lines.slice(1, -3), [
    "  out.tar.gz  1 run of bytes, 1 text change · mtime in 2 places · 2 consequences",
    "",
    "content",
    "out.tar.gz › gunzip › bin",
    "  bytes  at 3, 1 byte",
    "    - 000000  00 01 02[00]                                      ....",
    "    + 000000  00 01 02[07]                                      ....",
    "out.tar.gz › gunzip › info",
    "  text  at 0, 13 bytes",
    "    - built on one",
    "    + built on two",
    "",
    "metadata",
    "out.tar.gz › gunzip",
    "  mtime  1600000000 (2020-09-13T12:26:40Z) → 1600000007 (2020-09-13T12:26:47Z)",
    "    in 2 places: bin, info",
    "",
    "what follows from the above",
  ]);
});

test("names and text from archives cannot drive the terminal", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\n\r\u202e";
  const packed = (text: string): Uint8Array =>
    tarBytes([{ name: `a${evil}`, content: Buffer.from(`${evil}${text}\n`) }]);
  const lines = renderText(await between(packed("1"), packed("2")), { color: false });
  assert.ok(lines.length > 3);
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f\u202e]/u);
});

const many = (mtime: number): Uint8Array =>
  tarBytes(Array.from({ length: 3000 }, (_, at) => ({ name: `member-${at}`, mtime })));

test("many alike are told once, and the page ends", async () => {
  const lines = renderText(await between(many(1), many(2)), { maxTotal: 100 });
  assert.ok(lines.length < 20);
  assert.ok(lines.some((line) => /in 3,000 places: member-0, .* more$/.test(line)));
});
