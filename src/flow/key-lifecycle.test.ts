import { strict as assert } from "node:assert";
import { generateKeyPairSync, sign } from "node:crypto";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { BUILDER, DIGEST, makeHome as makeEvidence, statementsAbout } from "../../test/evidence.ts";
import { attestAll } from "../attest/sign.ts";
import { base64, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { fixedClock, systemClock } from "../clock.ts";
import { BitforbitError, exitCodeOf } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import { homeRingFile, readHomeRing, trustRing } from "../keys/home-ring.ts";
import { instantOf } from "../keys/ring-freshness.ts";
import { openKeys } from "../keys/keys.ts";
import { recordedService } from "../keys/recorded-for-tests.ts";
import type { RecordedEvent } from "../ledger/event.ts";
import { openLog } from "../log/writer.ts";
import { metrics } from "../observe/metrics.ts";
import { verify } from "../policy/verify.ts";
import { type Home, homeAt } from "./home.ts";
import { addKey, findKey, refreshRing, retireKey, revokeKey } from "./key-lifecycle.ts";
import { keysOf, logPosition } from "./keys.ts";
import { withLedger } from "./record.ts";
import { ownPolicyFile, rulesFor } from "./trust.ts";

const DAY = 86_400_000;

interface Made {
  home: Home;
  /** Evidence of before there was a key-ring. */
  bundles: Uint8Array[];
}

/** A home of before there were key-rings: two key files, a log, evidence. */
async function oldHome(t: TestContext): Promise<Made> {
  const { folder, bundles } = await makeEvidence(3);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { home: homeAt(folder), bundles };
}

async function decide(home: Home, bundles: readonly Uint8Array[], now = systemClock.now()) {
  const { policy, trust } = await rulesFor(home, undefined);
  const decision = verify({
    artifact: { digest: DIGEST },
    bundles,
    policy: { ...policy, builders: [BUILDER] },
    trust,
    now,
  });
  return {
    ok: decision.ok,
    message: decision.reasons.at(-1)?.message ?? "",
    hint: decision.reasons.at(-1)?.hint ?? "",
  };
}

/** New evidence about the same artifact, by the keys that the home signs with now. */
async function signAnew(home: Home): Promise<Uint8Array[]> {
  const keys = await keysOf(home, undefined);
  return await attestAll(statementsAbout(DIGEST), keys.artifact, await openLog(home.log, keys.checkpoint));
}

async function events(home: Home): Promise<RecordedEvent["data"][]> {
  return await withLedger(home, async (ledger) => {
    const found: RecordedEvent["data"][] = [];
    for await (const { data } of ledger.each({ kinds: ["key"] })) found.push(data);
    return found;
  });
}

async function refusal(work: Promise<unknown>): Promise<BitforbitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("a home of before goes on: first use gives it a key-ring with the keys and the log that it has", async (t) => {
  const { home, bundles } = await oldHome(t);
  assert.equal((await decide(home, bundles)).ok, true, "verifying makes nothing and still works");
  assert.equal(await readHomeRing(home.root), undefined);
  const before = await openKeys(home.root);
  const keys = await keysOf(home, undefined);
  assert.equal(keys.artifact.keyId, before.artifact.keyId);
  const { ring } = (await readHomeRing(home.root)) ?? assert.fail();
  assert.equal(ring.version, 1);
  assert.deepEqual(ring.keys.map(({ role, status }) => `${role} ${status}`).sort(), [
    "artifact active",
    "checkpoint active",
    "root active",
  ]);
  assert.equal(ring.logs.length, 1);
  assert.equal((await decide(home, bundles)).ok, true);
  await keysOf(home, undefined);
  assert.equal((await readHomeRing(home.root))?.ring.version, 1, "nothing changes without a reason");
  assert.equal(statSync(join(home.keys, "root.key")).mode & 0o777, 0o600);
});

test("first uses at once agree on one ring", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keys-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const home = homeAt(folder);
  const all = await Promise.all(Array.from({ length: 4 }, () => keysOf(home, undefined)));
  assert.equal(new Set(all.map(({ artifact }) => artifact.keyId)).size, 1);
  assert.equal((await readHomeRing(folder))?.ring.version, 1);
});

test("rotate: the new key signs, what the log held before stays good, M9 counts the new one", async (t) => {
  const { home, bundles } = await oldHome(t);
  const old = await keysOf(home, undefined);
  const { made, retired } = await addKey({ home }, { role: "artifact" }, true);
  assert.deepEqual(
    retired.map(({ keyId, status }) => [keyId, status]),
    [[old.artifact.keyId, "retired"]],
  );
  const now = await keysOf(home, undefined);
  assert.equal(now.artifact.keyId, made.keyId);
  assert.equal(now.checkpoint.keyId, old.checkpoint.keyId);
  assert.equal((await decide(home, bundles)).ok, true, "old evidence, by its place in the log");
  assert.equal((await decide(home, await signAnew(home))).ok, true, "new evidence");

  // Who still has the retired key and the log's can add to the log: too late.
  const log = await openLog(home.log, now.checkpoint);
  const late = await attestAll(statementsAbout(DIGEST), old.artifact, log);
  const denied = await decide(home, late);
  assert.equal(denied.ok, false);
  assert.match(denied.message, /retired, and nothing proves/);
  const told = await events(home);
  assert.deepEqual(
    told.map(({ action, replaces }) => [action, replaces]),
    [
      ["retire", undefined],
      ["rotate", old.artifact.keyId],
    ],
  );
  const [, , , , , , , , m9] = await withLedger(home, async (ledger) => {
    const at = systemClock.now() + 1000;
    return await metrics(ledger, { from: 0, to: at, now: at });
  });
  assert.deepEqual([m9?.id, m9?.numerator, m9?.denominator], ["M9", 1, 1]);
});

test("revoke: what nothing proves to be older is denied, here and for those who trust the ring", async (t) => {
  const { home, bundles } = await oldHome(t);
  const { artifact } = await keysOf(home, undefined);
  const stranger = mkdtempSync(join(tmpdir(), "keys-"));
  t.after(() => rmSync(stranger, { recursive: true, force: true }));
  const ring = async (): Promise<string> => (await homeRingFile(home.root)) ?? assert.fail();
  const first = await ring();
  assert.equal((await trustRing(stranger, first, "ring")).first, true);
  assert.equal((await decide(homeAt(stranger), bundles)).ok, true);

  const since = systemClock.now() - 3 * DAY;
  await revokeKey({ home }, artifact.keyId.slice(0, 8), { since, reason: "laptop stolen" });
  const denied = await decide(home, bundles);
  assert.equal(denied.ok, false);
  assert.match(denied.message, /revoked since .*\(laptop stolen\), and nothing proves/);
  assert.equal((await decide(homeAt(stranger), bundles)).ok, true, "the stranger was not told yet");
  assert.equal((await trustRing(stranger, await ring(), "ring")).first, false);
  assert.equal((await decide(homeAt(stranger), bundles)).ok, false);
  const back = await refusal(trustRing(stranger, first, "the old ring"));
  assert.match(back.message, /version 1, older than version 2/);

  const none = await refusal(keysOf(home, undefined));
  assert.match(`${none.message} ${none.hint}`, /no active artifact key.*keys rotate/);
  const forward = revokeKey({ home }, artifact.keyId, { since: since + DAY, reason: "later" });
  assert.match((await refusal(forward)).message, /is revoked since .* already/);
  const future = revokeKey({ home }, artifact.keyId, { since: systemClock.now() + DAY, reason: "soon" });
  assert.match((await refusal(future)).message, /is not over yet/);
  await addKey({ home }, { role: "artifact" }, true);
  assert.equal((await decide(home, await signAnew(home))).ok, true);
  assert.doesNotMatch(await ownPolicyFile(home), new RegExp(artifact.publicKeyPem.split("\n")[1] ?? "none", "u"));
});

test("revoke with the size that the log had: what it held by then stays good", async (t) => {
  const { home, bundles } = await oldHome(t);
  const { artifact } = await keysOf(home, undefined);
  const since = systemClock.now() - DAY;
  const never = revokeKey({ home }, artifact.keyId, { since, reason: "x", logSize: 7 });
  assert.match((await refusal(never)).message, /6 entries: it never had 7/);
  await revokeKey({ home }, artifact.keyId, { since, reason: "x", logSize: 6 });
  assert.equal((await decide(home, bundles)).ok, true);
  await revokeKey({ home }, artifact.keyId, { since, reason: "x", logSize: 3 });
  assert.equal((await decide(home, bundles)).ok, false);
});

test("retire, and what cannot be ended", async (t) => {
  const { home } = await oldHome(t);
  const { artifact, checkpoint } = await keysOf(home, undefined);
  const { ring } = (await readHomeRing(home.root)) ?? assert.fail();
  const root = ring.root.keys[0] ?? "";
  assert.match((await refusal(retireKey({ home }, root))).message, /signs the key-ring/);
  assert.match((await refusal(revokeKey({ home }, root, { since: 0, reason: "x" }))).hint ?? "", /--role root/);
  assert.match((await refusal(retireKey({ home }, "nosuchkey"))).message, /no key has the id/);
  assert.match((await refusal(addKey({ home }, { role: "checkpoint" }, true))).message, /log's name/);
  await retireKey({ home }, artifact.keyId);
  assert.match((await refusal(retireKey({ home }, artifact.keyId))).message, /retired already/);
  assert.equal(findKey(ring, checkpoint.keyId.slice(0, 6)).keyId, checkpoint.keyId);
});

test("a new root is signed by the old and the new; who trusts the old follows", async (t) => {
  const { home } = await oldHome(t);
  await keysOf(home, undefined);
  const stranger = mkdtempSync(join(tmpdir(), "keys-"));
  t.after(() => rmSync(stranger, { recursive: true, force: true }));
  await trustRing(stranger, (await homeRingFile(home.root)) ?? "", "ring");
  for (let at = 0; at < 3; at++) {
    await addKey({ home }, { role: "root" }, true);
    await refreshRing({ home }, undefined);
  }
  const { opened } = await trustRing(stranger, (await homeRingFile(home.root)) ?? "", "ring");
  assert.equal(opened.ring.version, 7);
  assert.equal(opened.ring.root.keys.length, 1);
  assert.equal(opened.ring.keys.filter(({ role, status }) => role === "root" && status === "active").length, 1);
  // The revoked root: no ring that it signs alone is believed again.
  const old = opened.ring.keys.find(({ role, status }) => role === "root" && status === "retired");
  await revokeKey({ home }, old?.keyId ?? "", { since: systemClock.now(), reason: "known to others" });
});

test("a ring that expired is refused with its remedy; signing renews it at half of its time", async (t) => {
  const { home, bundles } = await oldHome(t);
  await keysOf(home, undefined);
  const later = systemClock.now() + 366 * DAY;
  const denied = await decide(home, bundles, later);
  assert.equal(denied.ok, false);
  assert.match(denied.message, /key-ring of this home's key \(version 1\) expired/);
  assert.match(denied.hint, /keys refresh/);
  await keysOf(home, undefined, fixedClock(systemClock.now() + 100 * DAY));
  assert.equal((await readHomeRing(home.root))?.ring.version, 1, "not yet");
  await keysOf(home, undefined, fixedClock(later));
  const renewed = (await readHomeRing(home.root)) ?? assert.fail();
  assert.equal(renewed.ring.version, 2);
  assert.equal((await decide(home, bundles, later)).ok, true);
  await refreshRing({ home, clock: fixedClock(later) }, 7);
  const short = (await readHomeRing(home.root)) ?? assert.fail();
  assert.equal(instantOf(short.ring.expires) - instantOf(short.ring.issued), 7 * DAY);
});

test("a root key that is kept elsewhere: signing goes on until the ring expires, then says what is missing", async (t) => {
  const { home } = await oldHome(t);
  await keysOf(home, undefined);
  cpSync(join(home.keys, "root.key"), join(home.root, "away"));
  rmSync(join(home.keys, "root.key"));
  const half = systemClock.now() + 200 * DAY;
  assert.ok((await keysOf(home, undefined, fixedClock(half))).artifact.keyId);
  const over = await refusal(keysOf(home, undefined, fixedClock(half + 200 * DAY)));
  assert.match(`${over.message} ${over.hint}`, /1 of its root keys, and this home has 0 .*restore the root key/);
});

test("damage and a lost or exchanged key are told; what a crash leaves is no harm", async (t) => {
  const { home, bundles } = await oldHome(t);
  await keysOf(home, undefined);
  const { made } = await addKey({ home }, { role: "artifact" }, true);
  // A crash between the places and the ring leaves a place that nobody asks for.
  const places = join(home.keys, "places.json");
  const text = readFileSync(places, "utf8");
  writeFileSync(places, text.replace("{", `{"unknownkey":"file:artifact-0123",`));
  assert.equal((await keysOf(home, undefined)).artifact.keyId, made.keyId);
  writeFileSync(places, text.replace(/file:[^"]*/, "file:../../elsewhere"));
  assert.match((await refusal(keysOf(home, undefined))).message, /the place of .* is/);
  writeFileSync(places, text.replace(/file:[^"]*/, "file:artifact"));
  assert.match((await refusal(keysOf(home, undefined))).message, /is not the private key of/);
  writeFileSync(places, text.replace(/file:[^"]*/, "file:artifact-gone"));
  const lost = await refusal(keysOf(home, undefined));
  assert.match(`${lost.message} ${lost.hint}`, /artifact-gone\.key is not there .*keys rotate/);
  await addKey({ home }, { role: "artifact" }, true);
  assert.equal((await decide(home, bundles)).ok, true);
  appendFileSync(join(home.keys, "key-ring.jsonl"), "x");
  assert.match((await refusal(keysOf(home, undefined))).message, /key-ring\.jsonl/);
  assert.match((await refusal(rulesFor(home, undefined))).message, /key-ring\.jsonl|nobody to trust/);
});

test("a second key of another algorithm stands beside the first, which goes on signing", async (t) => {
  const { home } = await oldHome(t);
  const { artifact } = await keysOf(home, undefined);
  const { made } = await addKey({ home }, { role: "artifact", algorithm: "ml-dsa-44" }, false);
  assert.equal(made.algorithm, "ml-dsa-44");
  assert.equal((await keysOf(home, undefined)).artifact.keyId, artifact.keyId);
  assert.equal((await decide(home, await signAnew(home))).ok, true);
});

test("a key in a service signs for the home; while it is down nothing is half-signed", async (t) => {
  const { home, bundles } = await oldHome(t);
  await keysOf(home, undefined);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = publicKey.export({ format: "pem", type: "spki" }).toString();
  let down = false;
  const messages = new Map<string, Uint8Array>();
  const { host } = await recordedService(t, ({ method, body }) => {
    if (method === "GET")
      return { body: { data: { type: "ecdsa-p256", latest_version: 1, keys: { "1": { public_key: pem } } } } };
    if (down) return { status: 403, body: { errors: ["permission denied"] } };
    const { input } = JSON.parse(body) as { input: string };
    const message = messages.get(input) ?? assert.fail("an unknown digest");
    const signature = sign("sha256", message, privateKey).toString("base64");
    return { body: { data: { signature: `vault:v1:${signature}` } } };
  });
  const before = { ...process.env };
  t.after(() => Object.assign(process.env, before));
  Object.assign(process.env, { VAULT_ADDR: `http://${host}`, VAULT_TOKEN: "t" });
  for (const statement of statementsAbout(DIGEST)) {
    const encoding = preAuthEncoding(IN_TOTO_PAYLOAD, utf8(JSON.stringify(statement)));
    messages.set(base64(sha256(encoding)), encoding);
  }

  const { made } = await addKey({ home }, { role: "artifact", place: "hashivault://release" }, true);
  assert.equal(made.publicKey, pem);
  assert.equal((await decide(home, await signAnew(home))).ok, true);
  assert.equal((await decide(home, bundles)).ok, true);
  const again = addKey({ home }, { role: "artifact", place: "hashivault://release" }, true);
  assert.match((await refusal(again)).message, /has the key .* already/);

  const size = (await logPosition(home, await readHomeRing(home.root)))?.size;
  down = true;
  const error = await refusal(signAnew(home));
  assert.match(error.message, /hashivault:\/\/release: answered 403: permission denied/);
  assert.equal(exitCodeOf(error), 4);
  assert.equal((await logPosition(home, await readHomeRing(home.root)))?.size, size, "nothing was logged");
});
