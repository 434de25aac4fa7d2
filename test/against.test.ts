/** A build held against somebody's artifact, from the command line. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { bitforbit, PINNED, project } from "./command.ts";

interface Document {
  verdict: string;
  against: { files: { name: string; output?: string }[]; notGiven: string[]; unseen?: string };
  causes: { name: string; artifact: string; confidence: string; tried?: string[] }[];
}

const RECIPE = `name = "thing"\ncommand = '''\nmkdir -p out\npwd > out/where\numask > out/mask\necho one > out/same\n'''\noutputs = ["out/*"]\n${PINNED}`;

test("against an artifact: reproduces it, or differs, and what may be why", { timeout: 300_000 }, async (t) => {
  const folder = project(t, { "bitforbit.toml": RECIPE });
  const theirs = join(folder, "theirs");
  mkdirSync(theirs);
  writeFileSync(join(theirs, "same"), "one\n");
  const check = async (what: string, ...more: string[]): Promise<{ code: number | null; document: Document }> => {
    const ran = await bitforbit(folder, ["check", "--against", what, ...more, "--json"]);
    assert.notEqual(ran.stdout, "", ran.stderr);
    return { code: ran.code, document: JSON.parse(ran.stdout) as Document };
  };
  const file = await check("theirs/same");
  assert.deepEqual([file.code, file.document.verdict], [0, "matches-given"]);
  assert.deepEqual(file.document.against.notGiven, ["out/mask", "out/where"]);
  const digest = createHash("sha256")
    .update(readFileSync(join(theirs, "same")))
    .digest("hex");
  assert.equal((await check(`sha256:${digest}`)).code, 0);
  const unknown = await check(`sha256:${"0".repeat(64)}`, "--quick");
  assert.equal(unknown.code, 1);
  assert.match(unknown.document.against.unseen ?? "", /only the digest is known/);

  // A folder of which one file varies by itself, one does not, and one is evidence.
  writeFileSync(join(theirs, "where"), "/home/somebody/thing\n");
  writeFileSync(join(theirs, "mask"), "0077\n");
  writeFileSync(join(theirs, "same"), "two\n");
  writeFileSync(join(theirs, "thing.provenance.sigstore.json"), "{}\n");
  const all = await check("theirs");
  assert.deepEqual([all.code, all.document.verdict], [1, "differs-from-given"]);
  assert.deepEqual(all.document.against.notGiven, []);
  const told = all.document.causes.map(({ name, artifact, confidence }) => [artifact, name, confidence]).sort();
  assert.deepEqual(told, [
    ["out/mask", "umask", "likely"],
    ["out/same", "unknown", "possible"],
    ["out/where", "path", "likely"],
  ]);
  const [same] = all.document.causes.filter(({ artifact }) => artifact === "out/same");
  assert.match(same?.tried?.[0] ?? "", /another source, by other tools/);

  const text = await bitforbit(folder, ["check", "--against", "theirs", "--quick"]);
  assert.equal(text.code, 1);
  assert.match(text.stdout, /0 of 3 given files are what was built[\s\S]*differs from the given artifact/);
  const nothing = await bitforbit(folder, ["check", "--against", "no-such-file"]);
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /^bitforbit: cannot read no-such-file: ENOENT/);
});
