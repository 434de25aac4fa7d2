/** Retention of evidence: what goes, what stays, what a crash leaves, and what an auditor finds who believes witnesses only. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { signerOf } from "../../test/logs.ts";
import { scratchFolder } from "../../test/command.ts";
import { type Dropping, droppingStatement, readDropping } from "../attest/dropping.ts";
import { attest } from "../attest/sign.ts";
import { type Statement, statement } from "../attest/statement.ts";
import { fixedClock } from "../clock.ts";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { COSIGNATURE } from "../format/cosignature.ts";
import { verifierKeyText } from "../format/note.ts";
import { Witness } from "../log/witness.ts";
import { openLogReader } from "../log/reader.ts";
import { openLog } from "../log/writer.ts";
import { createWitnessServer } from "../server/witness-server.ts";
import { parseRetention, yearsAfter } from "../store/retention-policy.ts";
import { openStore } from "../store/store.ts";
import { signAndAttach } from "./attest.ts";
import { type Home, homeAt } from "./home.ts";
import { keysOf } from "./keys.ts";
import { artifactKeyIds, keepersOf, prune, retentionOf, retentionPlan } from "./retention.ts";
import { checkRetention, type RetentionCheck } from "./retention-check.ts";
import { witnessesOf } from "./witness-list.ts";
import { logOptions } from "./witnesses.ts";

const START = Date.UTC(2019, 0, 1);
const YEAR = 366 * 86_400_000;
const TEST = "https://in-toto.io/attestation/test-result/v0.1";
const A = "artifact a";
const B = "artifact b, made of a";

interface Place {
  home: Home;
  /** This machine's, and the witnesses'. */
  clock: ReturnType<typeof fixedClock>;
  world: ReturnType<typeof fixedClock>;
  attested(content: string, type: string, predicate?: Record<string, unknown>): Promise<Digest>;
}

/** A home with two witnesses that answer by HTTP, each at the time of `world`. */
async function place(t: TestContext): Promise<Place> {
  const folder = scratchFolder(t);
  const home = homeAt(join(folder, "home"));
  const [clock, world] = [fixedClock(START), fixedClock(START)];
  const keys = await keysOf(home, undefined, clock);
  const lines: string[] = ["quorum 2"];
  const begun = await openLog(home.log, keys.checkpoint, { origin: "kept.example" });
  for (const name of ["w1.example", "w2.example"]) {
    const { raw, sign } = signerOf(name);
    const key = { name, type: COSIGNATURE, publicKey: raw };
    const logs = [begun.verifier];
    const witness = new Witness({ folder: join(folder, name), key, sign, logs, clock: world, alarm: assert.fail });
    const report = (error: unknown): void => t.diagnostic(String(error));
    const server = await createWitnessServer(witness, { host: "127.0.0.1", port: 0, ratePerSecond: 1000, report });
    t.after(() => server.close());
    lines.push(`${verifierKeyText(key)} ${server.url}`);
  }
  writeFileSync(join(home.root, "witnesses"), `${lines.join("\n")}\n`);
  const store = await openStore(home.store);
  for (const content of [A, B]) {
    await store.putArtifact({ content: { bytes: Buffer.from(content) }, name: content.replaceAll(/\W/g, "-") });
  }
  const attested = async (content: string, type: string, predicate: object = {}): Promise<Digest> => {
    const digest = digestOf(content);
    const made: Statement = statement([{ name: "x", digest }], type, { ...predicate });
    return (await signAndAttach(home, { digest, name: "x", path: undefined }, made, { clock })).digest;
  };
  return { home, clock, world, attested };
}

async function checked(home: Home, changes: { policy?: string; witnesses?: false } = {}): Promise<RetentionCheck> {
  const { checkpoint } = await keysOf(home, undefined, fixedClock(START));
  const log = await openLogReader(home.log, checkpoint.publicKeyPem);
  return await checkRetention({
    log,
    store: await openStore(home.store),
    keyIds: await artifactKeyIds(home),
    keepers: keepersOf(log.verifier, changes.witnesses === false ? undefined : await witnessesOf(home)),
    policy: changes.policy === undefined ? await retentionOf(home) : parseRetention(changes.policy),
  });
}

/** Both clocks go on. */
function pass({ clock, world }: Place, by: number): void {
  clock.advance(by);
  world.advance(by);
}

test("what is past its time goes, each with a statement in the log; an auditor finds it all accounted for", async (t) => {
  const at = await place(t);
  const { home } = at;
  writeFileSync(join(home.root, "retention.toml"), `years = 7\n[predicate]\n"${TEST}" = 2\n`);
  const old = await at.attested(A, "https://example.org/provenance");
  const tested = await at.attested(A, TEST);
  pass(at, 3 * YEAR);
  const late = await at.attested(B, "https://example.org/other");
  assert.deepEqual((await prune(home, { clock: at.clock })).dropped, [], "evidence of one artifact goes together");
  pass(at, 4.5 * YEAR);
  const { dropped, plan } = await prune(home, { clock: at.clock });
  assert.deepEqual(dropped.map(({ digest }) => digest).sort(), [old, tested].sort());
  assert.ok(plan.items.some(({ evidence, kept }) => evidence.digest === late && /not over/.test(kept ?? "")));
  const store = await openStore(home.store);
  assert.equal(await store.has(old), false);
  assert.equal(await store.has(late), true);
  assert.deepEqual((await store.fsck()).problems, []);
  assert.deepEqual(
    (await store.referrers(digestOf(A))).map(({ predicateType }) => predicateType),
    ["https://bitforbit.dev/dropping/v1"],
  );
  const found = await checked(home);
  assert.equal(found.ok, true, JSON.stringify(found.problems));
  assert.deepEqual([found.own, found.present, found.dropped.length], [4, 2, 2]);
  for (const { logged, until, droppedAfter } of found.dropped) assert.ok(logged < until && until <= droppedAfter);
  assert.deepEqual((await prune(home, { clock: at.clock })).dropped, [], "nothing more, and nothing twice");
  const stricter = await checked(home, { policy: "years = 10\n" });
  assert.deepEqual([stricter.ok, stricter.problems.map(({ what }) => what)], [false, ["early", "early"]]);
  assert.match(stricter.problems[0]?.reason ?? "", /dropped early: it was to be kept until 2029/);
  assert.equal((await checked(home, { witnesses: false })).ok, false, "who believes no witness believes no time");
});

test("a hold, and what was made of it, keep evidence; a hold that is taken out lets it go", async (t) => {
  const at = await place(t);
  const { home } = at;
  const a = await at.attested(A, "https://example.org/provenance");
  pass(at, YEAR);
  const made = { materials: [{ digest: { sha256: hexOf(digestOf(A)) } }] };
  await at.attested(B, "https://example.org/provenance", made);
  pass(at, 6.5 * YEAR);
  assert.deepEqual((await prune(home, { clock: at.clock })).dropped, [], "b's provenance speaks of a");
  pass(at, YEAR);
  const hold = `[[hold]]\ndigest = "${digestOf(B)}"\nreason = "case 17"\n`;
  writeFileSync(join(home.root, "retention.toml"), hold);
  const { items } = await retentionPlan(home);
  assert.deepEqual(items.length, 2);
  assert.deepEqual((await prune(home, { clock: at.clock })).dropped, [], "b is on hold, and speaks of a");
  writeFileSync(join(home.root, "retention.toml"), "years = 7\n");
  assert.equal((await prune(home, { clock: at.clock })).dropped.length, 2);
  assert.equal(await (await openStore(home.store)).has(a), false);
  assert.equal((await checked(home)).ok, true);
});

test("a clock that is set forward, or back, drops nothing early; without witnesses nothing goes", async (t) => {
  const at = await place(t);
  const { home } = at;
  await at.attested(A, "https://example.org/provenance");
  at.clock.advance(20 * YEAR);
  assert.deepEqual((await prune(home, { clock: at.clock })).dropped, [], "this machine's clock is not asked");
  at.clock.advance(-20 * YEAR);
  at.world.advance(20 * YEAR);
  await assert.rejects(prune(home, { clock: at.clock }), /the witnesses say that it is 2039.*clock says 2019/);
  rmSync(join(home.root, "witnesses"));
  await assert.rejects(prune(home, { clock: at.clock }), { code: "refused" });
});

test("evidence that is taken away by hand is missing; a forged statement that permits it is shown", async (t) => {
  const at = await place(t);
  const { home } = at;
  const gone = await at.attested(A, "https://example.org/provenance");
  const plan = await retentionPlan(home);
  const [item] = plan.items;
  assert.ok(item !== undefined);
  const store = await openStore(home.store);
  const bytes = await store.getBlob(gone);
  await store.dropBundles([gone]);
  const missing = await checked(home);
  assert.deepEqual(
    missing.problems.map(({ what, index }) => [what, index]),
    [["missing", 0]],
  );
  // Another bundle of the same statement, signed anew or damaged, is not that entry's evidence.
  await store.putBlob(Buffer.from(bytes.toString().replace("application", "applicatiom")), "x");
  assert.equal((await checked(home)).problems.length, 1);
  const keys = await keysOf(home, undefined, at.clock);
  const log = await openLog(home.log, keys.checkpoint, await logOptions(home));
  const said: Dropping = {
    origin: log.identity.origin,
    policy: plan.policy.digest,
    now: plan.note,
    dropped: [
      {
        bundle: gone,
        predicateType: item.evidence.predicateType,
        index: 0,
        signed: item.evidence.signed,
        logged: START - 10 * YEAR,
        until: START - 3 * YEAR,
        checkpoint: plan.note,
      },
    ],
  };
  const forge = async (changed: Dropping): Promise<RetentionCheck> => {
    const bundle = await attest(droppingStatement(changed), keys.artifact, log);
    const { digest } = await store.putBlob(bundle, "x");
    const found = await checked(home);
    await store.dropBundles([digest]);
    return found;
  };
  const reasonOf = async (changed: Dropping): Promise<string> =>
    (await forge(changed)).problems.find(({ index }) => index === 0)?.reason ?? "accepted";
  const [piece] = said.dropped;
  assert.ok(piece !== undefined);
  assert.match(
    await reasonOf(said),
    /dropped early: it was to be kept until 2026/,
    "times in the statement are not believed",
  );
  const uncosigned = plan.note.split("\n").slice(0, 5).join("\n") + "\n";
  assert.match(await reasonOf({ ...said, now: uncosigned }), /not cosigned by the witnesses/);
  assert.match(await reasonOf({ ...said, origin: "other.example" }), /nothing in the log permits/);
  assert.match(
    await reasonOf({ ...said, dropped: [{ ...piece, signed: digestOf("x") }] }),
    /nothing in the log permits/,
  );
  pass(at, 8 * YEAR);
  // Old enough by now, but dated by a tree that does not have the entry.
  const { note } = await log.newest();
  await at.attested(B, "https://example.org/other");
  const later = (await retentionPlan(home)).note;
  const index = (await log.newest()).tree.size - 1;
  const other = (await retentionPlan(home)).items.find(({ evidence }) => evidence.bundle.entry.logIndex === index);
  assert.ok(other !== undefined);
  await store.dropBundles([other.evidence.digest]);
  const misdated = { ...piece, index, signed: other.evidence.signed, bundle: other.evidence.digest, checkpoint: note };
  const found = await forge({ ...said, now: later, dropped: [misdated] });
  assert.match(found.problems.find((one) => one.index === index)?.reason ?? "", /and not this one/);
});

/** Prunes, and dies at one step. */
const PROGRAM = `
import { fixedClock } from ${JSON.stringify(new URL("../clock.ts", import.meta.url).href)};
import { homeAt } from ${JSON.stringify(new URL("home.ts", import.meta.url).href)};
import { prune } from ${JSON.stringify(new URL("retention.ts", import.meta.url).href)};
const step = (what) => what === process.env.DIE_AT && process.kill(process.pid, "SIGKILL");
await prune(homeAt(process.env.PLACE), { clock: fixedClock(Number(process.env.NOW)), step });
`;

test(
  "killed after every step: the next run finishes, and the log says of everything where it went",
  { timeout: 300_000 },
  async (t) => {
    const at = await place(t);
    const { home } = at;
    for (const die of ["journal", "logged", "stored", "attached", "deleted"]) {
      const gone = await at.attested(A, "https://example.org/provenance", { die });
      pass(at, 8 * YEAR);
      // The witnesses are in this process: it must not be kept waiting.
      const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
        env: { ...process.env, PLACE: home.root, NOW: String(at.clock.now()), DIE_AT: die },
        stdio: ["ignore", "ignore", "inherit"],
      });
      const signal = await new Promise((resolve) => child.on("close", (_code, by) => resolve(by)));
      assert.equal(signal, "SIGKILL", die);
      const store = await openStore(home.store);
      assert.equal(await store.has(gone), die !== "deleted", `${die}: evidence is there until its statement is`);
      const { finished, dropped } = await prune(home, { clock: at.clock });
      assert.deepEqual([finished, dropped], [1, []], die);
      assert.equal(await store.has(gone), false);
      assert.equal(existsSync(join(home.root, "retention.journal")), false);
      const found = await checked(home);
      assert.equal(found.ok, true, `${die}: ${JSON.stringify(found.problems)}`);
    }
    const { own, dropped } = await checked(home);
    assert.deepEqual([own, dropped.length], [10, 5], "one statement each, none twice");
  },
);

test("policies of retention: bounds, misspellings, leap days", () => {
  const policy = parseRetention();
  assert.deepEqual([policy.years, policy.holds], [7, []]);
  for (const [bad, message] of [
    ["years = 0", /years is 0, not a whole number from 1 to 100/],
    ["years = 0.5", /years is 0\.5/],
    ["years = 101", /years is 101/],
    ['years = "7"', /years is "7"/],
    ["yeers = 7", /unknown key "yeers"/],
    ["[predicate]\nx = 0", /predicate\.x is 0/],
    ["predicate = 3", /predicate is not a table/],
    ["hold = 1", /not a list/],
    ['[[hold]]\ndigest = "sha256:12"\nreason = "r"', /hold 1: digest is "sha256:12"/],
    [`[[hold]]\ndigest = "${digestOf("")}"`, /hold 1 gives no reason/],
    [`[[hold]]\ndigests = "${digestOf("")}"`, /unknown key "digests"/],
    ["years = ", /retention\.toml:1/],
  ] as const) {
    assert.throws(
      () => parseRetention(bad),
      (error) => error instanceof BitforbitError && message.test(error.message),
      bad,
    );
  }
  assert.equal(yearsAfter(Date.UTC(2024, 1, 29), 1), Date.UTC(2025, 2, 1));
  assert.equal(yearsAfter(Date.UTC(2024, 5, 1, 12), 7), Date.UTC(2031, 5, 1, 12));
});

test("statements of dropping are read strictly", () => {
  const piece = {
    bundle: digestOf("b"),
    predicateType: "p",
    index: 3,
    signed: digestOf("s"),
    logged: START,
    until: START + YEAR,
  };
  const whole: Dropping = {
    origin: "o",
    policy: digestOf("p"),
    now: "n\n",
    dropped: [{ ...piece, checkpoint: "c\n" }],
  };
  const { predicate } = droppingStatement(whole);
  assert.deepEqual(readDropping(predicate), whole);
  const schema = JSON.parse(readFileSync("schemas/dropping.schema.json", "utf8")) as object;
  const validate = new Ajv2020({ strict: true, validateFormats: false }).compile(schema);
  assert.ok(validate(predicate), JSON.stringify(validate.errors));
  for (const changes of [
    { now: 2 },
    { now: "0" },
    { more: 1 },
    { checkpoints: "n" },
    { checkpoints: [1] },
    { checkpoints: ["x".repeat(70_000), "c"] },
    { dropped: [] },
    { dropped: [{}] },
    { policy: { sha256: "12345678" } },
    { policy: { sha256: hexOf(digestOf("p")), sha512: "00".repeat(64) } },
  ]) {
    assert.throws(
      () => readDropping({ ...predicate, ...changes }),
      BitforbitError,
      JSON.stringify(changes).slice(0, 60),
    );
  }
});
