import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { type Digest, digestOf } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import type { EventKind, LedgerEvent } from "../ledger/event.ts";
import { openLedger } from "../ledger/ledger.ts";
import { type Metric, type MetricId, metrics, type MetricOptions } from "./metrics.ts";

const DAY = 86_400_000;
const NOW = 1_800_000_000_000;
const MONTH: MetricOptions = { from: NOW - 30 * DAY, to: NOW, now: NOW };
const IN = NOW - 5 * DAY;
const BEFORE = NOW - 60 * DAY;
const PROVENANCE = { predicateType: "https://slsa.dev/provenance/v1" };

const event = (kind: EventKind, more: Partial<LedgerEvent> = {}, data: JsonObject = {}): LedgerEvent => ({
  kind,
  at: IN,
  ok: true,
  data,
  ...more,
});
const verdict = (name: string, more: Partial<LedgerEvent> = {}, data: JsonObject = {}): LedgerEvent =>
  event("verdict", more, { verdict: name, canonical: true, source: "s", recipe: "r", ...data });
const bytes = (name: string): Digest => digestOf(name);
const many = (kind: EventKind, n: number, ok: boolean): LedgerEvent[] =>
  Array.from({ length: n }, () => event(kind, { ok, environment: "dev" }));
const build = (name: string, at: number, canonical = true): LedgerEvent =>
  verdict("reproducible", { at, build: `b-${name}` }, { canonical, outputs: [{ path: name, digest: bytes(name) }] });
const deploy = (name: string, at: number, environment = "prod", ok = true): LedgerEvent =>
  event("deploy", { at, artifact: bytes(name), environment, ok });
const key = (keyId: string, action: string, days: number, more: JsonObject = {}): LedgerEvent =>
  event("key", { at: NOW - days * DAY }, { keyId, action, ...more });

async function measured(events: readonly LedgerEvent[], options: MetricOptions = MONTH): Promise<Metric[]> {
  const folder = await mkdtemp(join(tmpdir(), "metrics-"));
  try {
    const ledger = await openLedger(join(folder, "ledger.sqlite"));
    await ledger.recordAll(events);
    const all = await metrics(ledger, options);
    await ledger.close();
    return all;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function one(id: MetricId, events: readonly LedgerEvent[], options: MetricOptions = MONTH): Promise<Metric> {
  const found = (await measured(events, options)).find((metric) => metric.id === id);
  assert.ok(found);
  return found;
}

const brief = ({ value, numerator, denominator, meets, samples }: Metric): unknown[] => [
  value,
  numerator,
  denominator,
  meets,
  samples,
];

test("an empty ledger has ten measures without a value, each of which says so", async () => {
  const all = await measured([]);
  assert.deepEqual(
    all.map(({ id }) => id),
    ["M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10"],
  );
  for (const { id, value, meets, samples, note } of all) {
    assert.deepEqual([value, meets, samples], [undefined, undefined, 0], id);
    assert.match(note, /^no .* recorded yet$/, id);
  }
});

test("events outside the window leave every windowed measure without a value", async () => {
  const outside = [BEFORE, NOW].flatMap((at) => [
    verdict("reproducible", { at }, { outputs: [{ path: "x", digest: bytes("x") }] }),
    event("verify", { at, milliseconds: 5 }),
    event("promote", { at, artifact: bytes("x"), environment: "dev" }),
    event("deploy", { at, artifact: bytes("x"), environment: "dev" }),
    event("sbom", { at, artifact: bytes("x") }, { complete: 1 }),
    event("diff-alert", { at }),
  ]);
  for (const { id, value } of await measured(outside)) assert.equal(value, undefined, id);
});

test("M1: canonical builds that match, of those that were compared", async () => {
  const events = [
    ...Array.from({ length: 19 }, () => verdict("reproducible")),
    verdict("differs", { ok: false }),
    verdict("failed", { ok: false }),
    verdict("differs", {}, { canonical: false }),
  ];
  const m1 = await one("M1", events);
  assert.deepEqual(brief(m1), [95, 19, 20, true, 20]);
  assert.equal(m1.note, "1 local builds not counted; 1 failed builds not counted");
  assert.deepEqual(brief(await one("M1", [...events, verdict("fails-in-adversarial")])), [
    1900 / 21,
    19,
    21,
    false,
    21,
  ]);
});

test("M2 and M3: verifications that succeed, promotions that are denied", async () => {
  assert.deepEqual(brief(await one("M2", [...many("verify", 99, true), ...many("verify", 1, false)])), [
    99,
    99,
    100,
    true,
    100,
  ]);
  assert.equal((await one("M2", [...many("verify", 98, true), ...many("verify", 1, false)])).meets, false);
  assert.deepEqual(brief(await one("M3", [...many("promote", 99, true), ...many("promote", 1, false)])), [
    1,
    1,
    100,
    false,
    100,
  ]);
  assert.equal((await one("M3", [...many("promote", 100, true), ...many("promote", 1, false)])).meets, true);
});

test("M4: from the last canonical build of the bytes to their first deployment, as a nearest-rank median", async () => {
  const minute = 60_000;
  const m4 = await one("M4", [
    build("a", IN - 90 * minute),
    build("a", IN),
    build("a", IN + 500 * minute),
    deploy("a", IN + 10 * minute, "prod", false), // denied: not a deployment
    deploy("a", IN + 20 * minute),
    deploy("a", IN + 400 * minute), // again: a restart
    deploy("a", IN + 40 * minute, "staging"),
    build("b", IN),
    deploy("b", IN + 6 * minute),
    build("c", IN),
    deploy("c", IN + 70 * minute),
    build("local", IN, false),
    deploy("local", IN + minute),
    build("old", BEFORE),
    deploy("old", BEFORE + minute),
    deploy("old", IN), // a rollback: deployed before the window
  ]);
  assert.deepEqual(brief(m4), [20, undefined, undefined, true, 4]);
  assert.equal(m4.unit, "minutes");
  assert.match(m4.note, /1 deployed artifacts without a canonical build/);
});

test("M5: artifacts with a full SBOM", async () => {
  const outputs = (...names: string[]): JsonObject => ({
    outputs: names.map((path) => ({ path, digest: bytes(path) })),
  });
  const m5 = await one("M5", [
    verdict("reproducible", { build: "b1" }, outputs("a", "b")),
    event("sbom", { build: "b1" }, { complete: 1 }), // names no artifact: for a and b
    verdict("reproducible", { build: "b2" }, outputs("c", "d", "e")),
    event("sbom", { build: "b2", artifact: bytes("c") }, { complete: 0.99 }),
    event("sbom", { build: "b2", artifact: bytes("d"), ok: false }, { complete: 1 }),
    event("sbom", { artifact: bytes("f"), at: BEFORE }, { complete: 1 }),
    verdict("reproducible", { build: "b3" }, { ...outputs("local"), canonical: false }),
  ]);
  assert.deepEqual(brief(m5), [40, 2, 5, false, 5]);
  assert.deepEqual(brief(await one("M5", [event("sbom", { artifact: bytes("a") }, { complete: 1 })])), [
    100,
    1,
    1,
    true,
    1,
  ]);
});

test("M6: alerts of differing bytes in prod", async () => {
  const release = event("promote", { artifact: bytes("a"), environment: "prod", at: BEFORE });
  assert.deepEqual(brief(await one("M6", [release])), [0, 0, undefined, true, 1]);
  const alerts = [
    event("diff-alert", { environment: "prod" }),
    event("diff-alert"),
    event("diff-alert", { environment: "dev" }),
  ];
  const m6 = await one("M6", [release, ...alerts]);
  assert.deepEqual(brief(m6), [2, 2, undefined, false, 1]);
  assert.match(m6.note, /1 alerts outside prod/);
  assert.equal((await one("M6", alerts)).value, 2, "an alert counts even where no release was recorded");
});

test("M7: median time to verify, in seconds; the lower of two middle ones", async () => {
  const took = (...all: number[]): LedgerEvent[] =>
    all.map((milliseconds) => event("verify", { milliseconds, ok: milliseconds < 9_000 }));
  assert.deepEqual(brief(await one("M7", took(9_000, 30, 500, 40))), [0.04, undefined, undefined, true, 4]);
  assert.equal((await one("M7", took(120_000))).meets, false);
  const inData = event("verify", {}, { milliseconds: 2_000 });
  assert.equal((await one("M7", [inData, event("verify")])).value, 2, "one without a time is not a time of 0");
});

test("M8: worse verdicts on the very inputs that did better another time", async () => {
  const of = (source: string, ...names: string[]): LedgerEvent[] => names.map((name) => verdict(name, {}, { source }));
  const events = [
    ...of("flaky", "reproducible", "reproducible", "differs", "failed"),
    ...of("wrong", "differs", "differs"),
    ...of("once", "failed"),
    verdict("reproducible", {}, { source: "wrong", recipe: "another" }),
    verdict("reproducible", {}, { source: "wrong", canonical: false }),
    verdict("no such verdict", {}, { source: "wrong" }),
  ];
  assert.deepEqual(brief(await one("M8", events)), [25, 2, 8, false, 8]);
  const single = await one("M8", of("once", "reproducible"));
  assert.deepEqual(brief(single), [0, 0, 1, true, 1]);
  assert.match(single.note, /could not show/);
  const objects = ["reproducible", "differs"].map((name) => verdict(name, {}, { source: { commit: "c" } }));
  assert.equal((await one("M8", objects)).numerator, 1);
});

test("M9: keys in use that are younger than the policy says", async () => {
  const events = [
    key("fresh", "create", 10),
    key("renewed", "create", 900),
    key("old", "create", 366),
    key("replaced", "create", 900),
    key("gone", "create", 900),
    key("renewed", "rotate", 100),
    key("successor", "rotate", 50, { replaces: "replaced" }),
    key("gone", "revoke", 5),
    key("retired", "create", 900),
    key("retired", "retire", 5),
    { ...key("old", "rotate", 1), ok: false },
  ];
  const m9 = await one("M9", events);
  assert.deepEqual(brief(m9), [75, 3, 4, false, 4]);
  assert.match(m9.note, /1 keys older than 365 days/);
  assert.equal((await one("M9", events, { ...MONTH, rotationDays: 366 })).meets, true, "366 days old is not older");
  const root = await one("M9", [key("root", "create", 400, { role: "root", maxAgeDays: 1825 })]);
  assert.deepEqual(brief(root), [100, 1, 1, true, 1], "each role has the age that the key-ring gives it");
});

test("M10: what is in prod and has provenance", async () => {
  const events = [
    event("promote", { artifact: bytes("a"), environment: "prod" }),
    event("deploy", { artifact: bytes("a"), environment: "prod" }),
    event("promote", { artifact: bytes("b"), environment: "prod" }),
    event("promote", { artifact: bytes("c"), environment: "prod" }),
    event("promote", { artifact: bytes("denied"), environment: "prod", ok: false }),
    event("promote", { artifact: bytes("d"), environment: "dev" }),
    event("attest", { artifact: bytes("a"), at: BEFORE }, PROVENANCE),
    event("attest", { artifact: bytes("b") }, { predicateType: "https://cyclonedx.org/bom" }),
    verdict("reproducible", { build: "b1", at: BEFORE }, { outputs: [{ path: "c", digest: bytes("c") }] }),
    event("attest", { build: "b1" }, PROVENANCE),
    event("attest", { artifact: bytes("b"), ok: false }, PROVENANCE),
  ];
  const m10 = await one("M10", events);
  assert.deepEqual(brief(m10), [(100 * 2) / 3, 2, 3, false, 3]);
  assert.equal((await one("M10", [...events, event("attest", { artifact: bytes("b") }, PROVENANCE)])).meets, true);
});
