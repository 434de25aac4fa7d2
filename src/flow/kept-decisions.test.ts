import { strict as assert } from "node:assert";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { bitforbit, scratchFolder, writeFiles } from "../../test/command.ts";
import { ARTIFACT, makeHome, NOW, removeHome } from "../../test/evidence.ts";
import { type Digest, digestOf } from "../digest.ts";
import type { Decision } from "../policy/decision.ts";
import { lastsUntil } from "../policy/lasting.ts";
import { policyToml } from "../policy/policy.ts";
import { makeTrust, type Trust } from "../policy/trust.ts";
import { verify } from "../policy/verify.ts";
import { type KeptDecisions, type KeptOptions, openKeptDecisions } from "./kept-decisions.ts";

const DAY = 86_400_000;
const RULES = digestOf("rules");
const decided = (name: string, ok = true, rules: Digest = RULES): Decision => ({
  ok,
  reasons: [{ check: "digest", ok, message: name }],
  setAside: [],
  facts: { digest: digestOf(name), signedBy: [], rules },
});

/** A folder with one kept decision, on "one", made at NOW. */
async function folderWithOne(t: TestContext): Promise<{ folder: string; file: string }> {
  const folder = join(scratchFolder(t), "decisions");
  const kept = await openKeptDecisions(folder, RULES, NOW);
  kept.keep(decided("one"), NOW, NOW + DAY);
  await kept.save();
  const name = readdirSync(folder).find((entry) => entry.endsWith(".decisions")) ?? assert.fail();
  return { folder, file: join(folder, name) };
}

async function found(folder: string, now = NOW + 1, options: KeptOptions = {}, rules = RULES): Promise<boolean> {
  const kept = await openKeptDecisions(folder, rules, now, options);
  return kept.find(digestOf("one"), now) !== undefined;
}

test("what was allowed is found again by the same rules, and not by others, for another digest or without the file", async (t) => {
  const { folder, file } = await folderWithOne(t);
  assert.ok(await found(folder));
  assert.ok(!(await found(folder, NOW + 1, {}, digestOf("other rules"))));
  const kept = await openKeptDecisions(folder, RULES, NOW + 1);
  assert.equal(kept.find(digestOf("two"), NOW + 1), undefined);
  assert.equal(kept.refusal, undefined);
  rmSync(file);
  assert.ok(!(await found(folder)));
});

test("never past its end, never more than a day, never before it was made", async (t) => {
  const { folder } = await folderWithOne(t);
  const until = async (end: number): Promise<KeptDecisions> => {
    const kept = await openKeptDecisions(folder, RULES, NOW);
    kept.keep(decided("one"), NOW, end);
    await kept.save();
    return await openKeptDecisions(folder, RULES, NOW);
  };
  const short = await until(NOW + 5);
  assert.deepEqual(
    [NOW - 1, NOW, NOW + 4, NOW + 5].map((at) => short.find(digestOf("one"), at) !== undefined),
    [false, true, true, false],
  );
  const long = await until(Number.POSITIVE_INFINITY);
  assert.ok(long.find(digestOf("one"), NOW + DAY - 1) !== undefined);
  assert.equal(long.find(digestOf("one"), NOW + DAY), undefined);
  assert.ok(!(await found(folder, NOW + DAY)));
  assert.ok(!(await found(folder, NOW - 1)), "a clock that was set back");
});

test("denials, decisions by other rules and what ends at once are not kept", async (t) => {
  const folder = join(scratchFolder(t), "decisions");
  const kept = await openKeptDecisions(folder, RULES, NOW);
  kept.keep(decided("denied", false), NOW, NOW + DAY);
  kept.keep(decided("others", true, digestOf("other rules")), NOW, NOW + DAY);
  kept.keep(decided("over"), NOW, NOW);
  for (const name of ["denied", "others", "over"]) assert.equal(kept.find(digestOf(name), NOW), undefined, name);
  await kept.save();
  assert.deepEqual(readdirSync(folder), ["key"]);
});

const WRITTEN_BY_OTHERS: Record<string, (at: { folder: string; file: string }) => void> = {
  "a changed byte": ({ file }) => writeFileSync(file, readFileSync(file, "utf8").replace(/"ok":true/, '"ok":true ')),
  "a decision on another digest": ({ file }) =>
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(digestOf("one"), digestOf("two"))),
  "a line more": ({ file }) => writeFileSync(file, `${readFileSync(file, "utf8")}\n{}`),
  "the first line only": ({ file }) => writeFileSync(file, readFileSync(file).subarray(0, 65)),
  "an empty file": ({ file }) => writeFileSync(file, ""),
  "no hexadecimal digits": ({ file }) => writeFileSync(file, `${"x".repeat(64)}\n{}`),
  "a file that others may read": ({ file }) => chmodSync(file, 0o644),
  "a file that others may write": ({ file }) => chmodSync(file, 0o620),
  "a link": ({ file }) => {
    copyFileSync(file, `${file}.copy`);
    rmSync(file);
    symlinkSync(`${file}.copy`, file);
  },
  "a second name for the file": ({ file }) => linkSync(file, `${file}.second`),
  "a folder in its place": ({ file }) => {
    rmSync(file);
    mkdirSync(file);
  },
  "a folder that others may write": ({ folder }) => chmodSync(folder, 0o777),
  "another key": ({ folder }) => writeFileSync(join(folder, "key"), Buffer.alloc(32, 7)),
  "a key that others may read": ({ folder }) => chmodSync(join(folder, "key"), 0o644),
  "a short key": ({ folder }) => writeFileSync(join(folder, "key"), "k"),
  "a file of more bytes than may be": ({ file }) => writeFileSync(file, Buffer.alloc((64 << 20) + 1)),
};

for (const [name, change] of Object.entries(WRITTEN_BY_OTHERS)) {
  test(`not believed, and said: ${name}`, async (t) => {
    const at = await folderWithOne(t);
    change(at);
    const kept = await openKeptDecisions(at.folder, RULES, NOW + 1);
    for (const digest of ["one", "two"]) assert.equal(kept.find(digestOf(digest), NOW + 1), undefined);
    assert.ok((kept.refusal ?? "").length > 10);
  });
}

test("a file of another set of rules under this one's name, or of another boot, is not believed", async (t) => {
  const { folder, file } = await folderWithOne(t);
  const rules = digestOf("other rules");
  const other = await openKeptDecisions(folder, rules, NOW);
  other.keep(decided("one", true, rules), NOW, NOW + DAY);
  await other.save();
  const name =
    readdirSync(folder).find((entry) => entry.endsWith(".decisions") && !file.endsWith(entry)) ?? assert.fail();
  assert.ok(await found(folder, NOW + 1, {}, rules));
  copyFileSync(file, join(folder, name));
  assert.ok(!(await found(folder, NOW + 1, {}, rules)));
  assert.ok(!(await found(folder, NOW + 1, { boot: "another" })), "carried here from another machine");
});

test("a folder of another user's is not believed", async (t) => {
  if (process.geteuid?.() !== 0) return t.skip("needs root");
  const { folder } = await folderWithOne(t);
  const { chownSync } = await import("node:fs");
  chownSync(folder, 12345, 12345);
  assert.ok(!(await found(folder)));
});

test("bounded: so many decisions in a file, the newest; so many files", async (t) => {
  const folder = join(scratchFolder(t), "decisions");
  const kept = await openKeptDecisions(folder, RULES, NOW, { most: 3 });
  for (let at = 0; at < 5; at++) kept.keep(decided(`artifact ${at}`), NOW, NOW + DAY);
  await kept.save();
  const again = await openKeptDecisions(folder, RULES, NOW);
  const there = [0, 1, 2, 3, 4].map((at) => again.find(digestOf(`artifact ${at}`), NOW) !== undefined);
  assert.deepEqual(there, [false, false, true, true, true]);
  for (let at = 0; at < 20; at++) {
    const rules = digestOf(`rules ${at}`);
    const one = await openKeptDecisions(folder, rules, NOW);
    one.keep(decided("one", true, rules), NOW, NOW + DAY);
    await one.save();
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), 1000 + at, 1000 + at);
  }
  assert.equal(readdirSync(folder).filter((name) => name.endsWith(".decisions")).length, 16);
});

test("a decision lasts until the first end of a key, list, key-ring or age; by rules and vulnerabilities, not at all", async (t) => {
  const home = await makeHome(3);
  t.after(() => removeHome(home));
  const { policy, trust } = home.request;
  const decision = verify(home.request);
  assert.ok(decision.ok);
  const last = (more: Partial<typeof policy>, other: Trust = trust, one = decision): number =>
    lastsUntil(one, { ...policy, ...more }, other, NOW);
  const keyed = (more: object): Trust => ({ ...trust, keys: trust.keys.map((key) => ({ ...key, ...more })) });
  assert.equal(last({}), Number.POSITIVE_INFINITY);
  assert.equal(last({ maximumAge: "12h" }), NOW - 1000 + DAY / 2, "from when the build was finished");
  assert.equal(last({}, { ...trust, expires: NOW + 7 }), NOW + 7);
  assert.equal(last({}, keyed({ validUntil: NOW + 8 })), NOW + 8);
  assert.equal(last({}, keyed({ revoked: { since: NOW + 9 } })), NOW + 9);
  assert.equal(last({}, keyed({ retired: { at: NOW + 10 } })), NOW + 10);
  assert.equal(last({}, keyed({ ring: { what: "", issued: 0, expires: NOW + 11 } })), NOW + 11);
  assert.equal(last({}, keyed({ validUntil: NOW - 1, ring: { what: "", issued: 0, expires: NOW + 3 } })), NOW + 3);
  assert.equal(last({ denyVulnerable: true }), NOW);
  assert.equal(last({ rules: [{ name: "r", expression: "true" }] }), NOW);
  assert.equal(last({}, trust, { ...decision, ok: false }), NOW);
  assert.equal(last({}, makeTrust({ keys: [], logs: [], expires: NOW + 5 })), NOW + 5);
});

test("verify of several remembers, says so, and forgets with --no-cache, another policy or a cache that was touched", async (t) => {
  const home = await makeHome(3);
  t.after(() => removeHome(home));
  const folder = scratchFolder(t);
  const { identity } = home.log;
  const toml = policyToml(home.request.policy, {
    keys: [{ name: "builder", publicKeyPem: home.keys.artifact.publicKeyPem }],
    logs: [{ origin: identity.origin, publicKeyPem: identity.publicKeyPem }],
  });
  writeFiles(folder, { "policy.toml": toml });
  for (const name of ["a", "b"]) writeFileSync(join(folder, name), ARTIFACT);
  const files = home.bundles.map((bundle, at) => {
    const path = join(folder, `${at}.sigstore.json`);
    writeFileSync(path, bundle);
    return path;
  });
  const cache = { BITFORBIT_CACHE: join(folder, "cache") };
  const run = async (code: number, ...more: string[]): Promise<{ times: (string | undefined)[]; stderr: string }> => {
    const args = ["verify", "a", "b", "--policy", "policy.toml", "--json", "--home", "none", ...more];
    const ran = await bitforbit(folder, args, cache);
    assert.equal(ran.code, code, ran.stderr);
    const { artifacts } = JSON.parse(ran.stdout) as { artifacts: { decidedAt?: string; artifact: { name: string } }[] };
    assert.deepEqual(
      artifacts.map(({ artifact }) => artifact.name),
      ["a", "b"],
    );
    return { times: artifacts.map(({ decidedAt }) => decidedAt), stderr: ran.stderr };
  };
  const evidence = ["--bundle", ...files];
  // Of the second, which has the same bytes, the first's decision holds.
  const first = await run(0, ...evidence);
  assert.deepEqual([first.times[0], typeof first.times[1]], [undefined, "string"]);
  const second = await run(0, ...evidence);
  assert.match(second.times[0] ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual((await run(0, ...evidence, "--no-cache")).times, [undefined, undefined]);
  const [file = ""] = readdirSync(join(cache.BITFORBIT_CACHE, "decisions")).filter((name) => name.endsWith("s"));
  const path = join(cache.BITFORBIT_CACHE, "decisions", file);
  writeFileSync(path, `${readFileSync(path, "utf8")} `);
  const touched = await run(0, ...evidence);
  assert.equal(touched.times[0], undefined);
  assert.match(touched.stderr, /decisions of before are not believed: it was written by somebody else/);
  const stricter = toml.replace("requireSbom = true", 'requireSbom = true\nminimumGrade = "full"');
  writeFileSync(join(folder, "policy.toml"), stricter);
  const other = await run(1, ...evidence);
  assert.deepEqual(other.times, [undefined, undefined]);
});
