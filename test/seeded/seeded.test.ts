/** Generated projects whose causes are known: the seeds, the score, and a part of the suite that every commit must pass. */
import assert from "node:assert/strict";
import test from "node:test";
import { digestOf } from "../../src/digest.ts";
import { CASES, generate, ingredientsOf, told } from "./generate.ts";
import { LANGUAGES } from "./ingredient.ts";
import { stream } from "./prng.ts";
import { checkCase } from "./run.ts";
import { type Document, score, tables } from "./score.ts";

const all = Array.from({ length: CASES }, (_, at) => generate(at + 1));

test("the stream is SplitMix64", () => {
  // the first values from seed 1234567, as the published algorithm gives them
  const { below } = stream(1234567);
  assert.deepEqual(
    [below(2 ** 32), below(2 ** 32), below(2 ** 32)],
    [6457827717110365317n, 3203168211198807973n, 9817491932198370423n].map((value) => Number(value % 2n ** 32n)),
  );
});

test("a seed gives the same project, and no two the same", () => {
  assert.deepEqual(generate(77), generate(77));
  assert.equal(new Set(all.map(({ files }) => digestOf(JSON.stringify(files)))).size, CASES);
});

test("the suite has every language, one to five causes, projects without any, and such as fail", () => {
  for (const language of LANGUAGES) assert.ok(all.filter((one) => one.language === language).length >= 30, language);
  for (const count of [1, 2, 3, 4, 5]) {
    assert.ok(all.filter(({ causes }) => causes.length === count).length >= 15, `${count} causes`);
  }
  assert.ok(all.filter(({ causes, breaks }) => causes.length === 0 && breaks === undefined).length >= 20);
  assert.ok(all.filter(({ breaks }) => breaks !== undefined).length >= 8);
  const times = new Map<string, number>();
  for (const cause of all.flatMap(({ causes }) => causes)) times.set(cause, (times.get(cause) ?? 0) + 1);
  for (const [cause, count] of times) assert.ok(count >= 12, `${cause}: ${count}`);
  assert.ok(times.size >= 22, [...times.keys()].join(" "));
});

test("nothing of the suite names a value of our worlds", () => {
  const ours = /bitforbit-canon|vrompelzak|kworblezif|qelvarn|bfbuilder|ozmiquel|zufnadlik|Marquesas|et_EE/;
  for (const language of LANGUAGES) {
    const names = new Set<string>();
    for (const one of ingredientsOf(language).map(told)) {
      assert.doesNotMatch("body" in one ? one.body : one.lines, ours, `${language} ${one.name}`);
      assert.ok(!names.has(one.name), `${language} has ${one.name} twice`);
      names.add(one.name);
    }
  }
});

test("the score tells found, missed, extra and not varied apart", () => {
  const one = { ...generate(1), causes: ["clock", "path", "vcs"] as const, also: ["race"] as const, breaks: undefined };
  const place = { artifact: "out/a", leaf: [], evidence: { a: "", b: "" } };
  const document: Document = {
    verdict: "differs",
    causes: [
      { ...place, name: "clock", confidence: "certain", with: ["timezone"] },
      { ...place, name: "race", confidence: "likely" },
      { ...place, name: "path", confidence: "possible" },
      { ...place, name: "consequence", confidence: "certain" },
      { ...place, name: "unknown", confidence: "possible" },
    ],
    covered: ["clock", "path"],
    builds: 9,
    breaks: [],
  };
  const told = score({ ...one, causes: [...one.causes], also: [...one.also] }, document, 1);
  assert.deepEqual(
    [told.found, told.missed, told.notVaried, told.extra, told.unknown, told.consequences, told.builds],
    [["clock"], ["path", "vcs"], ["vcs"], ["timezone"], 1, 1, 9],
  );
  assert.match(tables([told]), /\| clock \| 1 \| 1 \| 0 \| 0 \| 0 \| 100\.0 % \| 100\.0 % \|/);
});

/** What is quick of the suite, of every language. */
const QUICK = [24, 49, 2, 42, 43, 12, 29, 30, 22, 7, 39, 90, 127];

test("of the quick projects every cause is named and none besides", { concurrency: 2 }, async (t) => {
  const runs = QUICK.map(async (number) => {
    const one = generate(number);
    await t.test(`${one.number}, ${one.language}: ${one.causes.join(", ") || one.breaks || "none"}`, async () => {
      const { score: result, document } = await checkCase(one);
      assert.equal(result.failure, undefined);
      assert.deepEqual(
        [result.verdict, result.missed, result.extra, result.unknown],
        [result.expected, [], [], 0],
        JSON.stringify(document?.causes, undefined, 1),
      );
    });
  });
  await Promise.all(runs);
});
