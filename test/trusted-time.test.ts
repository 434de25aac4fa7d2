/** Witnesses, revoked keys and key-rings in policies through the command line. */
import { strict as assert } from "node:assert";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { attestAll } from "../src/attest/sign.ts";
import { systemClock } from "../src/clock.ts";
import { parseJson, isObject, type Json, type JsonObject } from "../src/json.ts";
import { BUILDER_ID } from "../src/flow/builder.ts";
import { type Home, homeAt, makeHome } from "../src/flow/home.ts";
import { addKey, revokeKey } from "../src/flow/key-lifecycle.ts";
import { keysOf, settleKeyRing } from "../src/flow/keys.ts";
import { readHomeRing } from "../src/keys/home-ring.ts";
import { openLog } from "../src/log/writer.ts";
import { openStore } from "../src/store/store.ts";
import { bitforbit, scratchFolder } from "./command.ts";
import { ARTIFACT, DIGEST, statementsAbout } from "./evidence.ts";
import { cosigning, testWitness } from "./witnesses.ts";

const DAY = 86_400_000;
const [one, two] = [testWitness("w1.example"), testWitness("w2.example")];

/** A home whose log the two witnesses saw at `seen`; its builder is the one that homes trust. */
async function homeSeen(t: TestContext, seen: number): Promise<{ folder: string; home: Home }> {
  const folder = scratchFolder(t);
  const home = homeAt(join(folder, ".bitforbit"));
  await makeHome(home);
  const keys = await keysOf(home, undefined);
  const log = await openLog(home.log, keys.checkpoint, { cosign: cosigning([one, two], seen) });
  const store = await openStore(home.store);
  await store.putArtifact({ content: { bytes: ARTIFACT }, name: "hello" });
  const statements = JSON.parse(
    JSON.stringify(statementsAbout(DIGEST)).replaceAll("https://bitforbit.dev/builder/local", BUILDER_ID),
  ) as ReturnType<typeof statementsAbout>;
  for (const [at, bundle] of (await attestAll(statements, keys.artifact, log)).entries()) {
    await store.attach(DIGEST, bundle, statements[at]?.predicateType ?? "");
  }
  await log.settled();
  writeFileSync(join(folder, "hello"), ARTIFACT);
  writeFileSync(
    join(home.root, "witnesses"),
    `quorum 2\n${one.listed} https://w1.example/\n${two.listed} https://w2.example/\n`,
  );
  return { folder, home };
}

async function run(
  folder: string,
  ...args: string[]
): Promise<{ code: number | null; document: JsonObject; stderr: string }> {
  const { code, stdout, stderr } = await bitforbit(folder, [...args, "--json"]);
  const document: Json = stdout === "" ? {} : parseJson(stdout, args.join(" "));
  assert.ok(isObject(document));
  return { code, document, stderr };
}

const VERBS = [
  ["verify", "hello"],
  ["verify", "hello", "--policy", "policy.toml"],
  ["policy", "explain", "hello"],
  ["policy", "explain", "hello", "--policy", "policy.toml"],
  ["promote", DIGEST, "dev"],
  ["promote", DIGEST, "dev", "--policy", "policy.toml"],
  ["evidence", "verify", "hello", "--evidence", "hello.evidence"],
  ["verify", "hello", "--evidence", "hello.evidence"],
  ["evidence", "verify", "hello", "--evidence", "hello.evidence", "--policy", "policy.toml"],
];

const reasonOf = (document: JsonObject): string => JSON.stringify((document["reasons"] as Json[]).at(-1));

test("every verb that decides counts the witnesses, and says who is missing", { timeout: 120_000 }, async (t) => {
  const { folder } = await homeSeen(t, systemClock.now() - DAY);
  const { stdout: policy } = await bitforbit(folder, ["policy", "show"]);
  assert.ok(policy.includes(one.listed) && /witnesses = 2/.test(policy), policy);
  writeFileSync(join(folder, "policy.toml"), policy);
  assert.equal((await run(folder, "evidence", "export", DIGEST, "-o", "hello.evidence")).code, 0);
  for (const words of VERBS) {
    const { code, document, stderr } = await run(folder, ...words);
    assert.equal(code, 0, `${words.join(" ")}: ${reasonOf(document)} ${stderr}`);
    const facts = document["facts"] as JsonObject;
    assert.deepEqual((facts["witnessed"] as JsonObject)["by"], ["w1.example", "w2.example"]);
  }
  const aliased = await run(folder, "verify", "hello", "--evidence", "hello.evidence");
  assert.deepEqual(aliased.document["unchecked"], []);
  assert.equal((await run(folder, "verify", "hello", "--evidence", "hello.evidence", "--list", "x")).code, 2);
  // A third witness that never saw it, and three are needed.
  const third = testWitness("w3.example").listed;
  const stricter = (file: string, quorum: RegExp, list: (text: string) => string): void =>
    writeFileSync(
      join(folder, file),
      list(readFileSync(join(folder, file), "utf8").replace(quorum, (said) => said.replace("2", "3"))),
    );
  stricter(".bitforbit/witnesses", /quorum 2/, (text) => `${text}${third} https://w3.example/\n`);
  stricter("policy.toml", /witnesses = 2/, (text) =>
    text.replace(`"${two.listed}"`, (listed) => `${listed}, "${third}"`),
  );
  for (const words of VERBS) {
    const { code, document } = await run(folder, ...words);
    assert.equal(code, 1, words.join(" "));
    assert.match(reasonOf(document), /"quorum".*2 of the 3 witnesses .* not w3\.example/, words.join(" "));
  }
});

test(
  "a key that was stolen: what witnesses saw before stays good, what they saw after does not",
  { timeout: 120_000 },
  async (t) => {
    const since = systemClock.now() - 10 * DAY;
    for (const [seen, code] of [
      [since - DAY, 0],
      [since + DAY, 1],
    ] as const) {
      const { folder, home } = await homeSeen(t, seen);
      const { artifact } = await keysOf(home, undefined);
      await revokeKey({ home }, artifact.keyId, { since, reason: "stolen" });
      await addKey({ home }, { role: "artifact" }, true);
      assert.equal((await run(folder, "evidence", "export", DIGEST, "-o", "hello.evidence")).code, 0);
      for (const words of [
        ["verify", "hello"],
        ["evidence", "verify", "hello", "--evidence", "hello.evidence"],
      ]) {
        const { code: got, document } = await run(folder, ...words);
        assert.equal(got, code, `${words.join(" ")} ${reasonOf(document)}`);
        if (code === 1) assert.match(reasonOf(document), /revoked since .*stolen.*is not older/);
      }
      // Without witnesses nothing says when it was.
      writeFileSync(join(home.root, "witnesses"), "");
      assert.equal((await run(folder, "verify", "hello")).code, 2, "an empty list of witnesses is no list");
    }
  },
);

/** A policy that names a key-ring beside it and nothing else. */
const policyWith = (more: string): string =>
  `version = 1\nbuilders = ["${BUILDER_ID}"]\nsources = ["*"]\n[[keyRings]]\nname = "builder"\npath = "builder.keyring"\n${more}\n`;

test("a policy by a key-ring: pinned, rolled back, of another root, stale", { timeout: 120_000 }, async (t) => {
  const { folder, home } = await homeSeen(t, systemClock.now() - DAY);
  const exported = async (file: string): Promise<void> =>
    assert.equal((await bitforbit(folder, ["keys", "export", "--ring", "-o", file])).code, 0);
  const { ring } = await settleKeyRing(home, {}, systemClock);
  await exported("first.keyring");
  assert.equal((await bitforbit(folder, ["evidence", "export", DIGEST, "-o", "hello.evidence"])).code, 0);
  await bitforbit(folder, ["keys", "rotate"]);
  await exported("builder.keyring");
  const opened = (await readHomeRing(home.root)) ?? assert.fail("no key-ring");
  const root = `root = { threshold = 1, keys = ["${opened.ring.root.keys[0]}"] }`;
  const strange = `root = { threshold = 1, keys = ["${"A".repeat(43)}"] }`;

  /** By a stranger, in a folder of its own, with the ring and the evidence handed over. */
  const stranger = scratchFolder(t);
  for (const file of ["hello", "hello.evidence"]) copyFileSync(join(folder, file), join(stranger, file));
  const words = ["evidence", "verify", "hello", "--evidence", "hello.evidence", "--policy", "policy.toml"];
  const judged = async (file: string, policy: string): Promise<Awaited<ReturnType<typeof run>>> => {
    copyFileSync(join(folder, file), join(stranger, "builder.keyring"));
    writeFileSync(join(stranger, "policy.toml"), policyWith(policy));
    return await run(stranger, ...words);
  };
  for (const pin of ["", root, `${root}\nminimumVersion = ${opened.ring.version}`]) {
    const { code, document, stderr } = await judged("builder.keyring", pin);
    assert.equal(code, 0, `${pin} ${reasonOf(document)} ${stderr}`);
    assert.deepEqual([document["checked"], document["unchecked"]], [["application/vnd.bitforbit.key-ring+json"], []]);
  }
  const refused = async (file: string, policy: string, why: RegExp): Promise<void> => {
    const { code, stderr } = await judged(file, policy);
    assert.equal(code, 1, stderr);
    assert.match(stderr, why);
    assert.match(stderr, /hint/);
  };
  await refused("first.keyring", `minimumVersion = ${opened.ring.version}`, /older than version \d+ that is demanded/);
  await refused("builder.keyring", strange, /no version with the pinned root/);
  const forged = JSON.parse(readFileSync(join(folder, "builder.keyring"), "utf8").trimEnd().split("\n").at(-1) ?? "");
  forged.payload = Buffer.from(
    Buffer.from(forged.payload, "base64").toString().replace('"version":', '"version":1'),
  ).toString("base64");
  writeFileSync(join(folder, "forged.keyring"), JSON.stringify(forged));
  await refused("forged.keyring", root, /bad signature by the root key/);
  // What was taken by 'keys trust' is remembered.
  assert.equal((await bitforbit(stranger, ["keys", "trust", join(folder, "builder.keyring")])).code, 0);
  await refused("first.keyring", root, /older than version \d+ that is trusted/);
  assert.equal(opened.ring.ring, ring.ring);
});
