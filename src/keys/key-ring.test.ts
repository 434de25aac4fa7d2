import { strict as assert } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as fc from "fast-check";
import { base64, utf8 } from "../bytes.ts";
import { rfc3339 } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { preAuthEncoding } from "../format/dsse.ts";
import { type Json, canonicalJson, prettyJson } from "../json.ts";
import {
  appendRing,
  KEY_RING_PAYLOAD,
  type KeyRing,
  KeyRingShape,
  openKeyRing,
  rotationCompliance,
  signKeyRing,
} from "./key-ring.ts";
import { requireFresh } from "./ring-freshness.ts";
import { openedRing, type TestKey, testKey, testRing } from "./ring-for-tests.ts";

const NOW = Date.UTC(2026, 10, 23);
const DAY = 86_400_000;
const [rootA, rootB, rootC, stranger] = [
  testKey("root", NOW),
  testKey("root", NOW),
  testKey("root", NOW),
  testKey("root", NOW),
];
const artifact = testKey("artifact", NOW);
const log = testKey("checkpoint", NOW);
const first = testRing([rootA, artifact, log], NOW, { logs: [{ origin: "log.example", key: log.entry.keyId }] });

const line = async (ring: KeyRing, ...by: TestKey[]): Promise<string> =>
  await signKeyRing(
    ring,
    by.map(({ signer }) => signer),
  );
const next = (ring: KeyRing, changes: Partial<KeyRing> = {}): KeyRing => ({
  ...ring,
  version: ring.version + 1,
  ...changes,
});
const withRoot = (ring: KeyRing, threshold: number, ...roots: TestKey[]): KeyRing => ({
  ...ring,
  root: { threshold, keys: roots.map(({ entry }) => entry.keyId) },
  keys: [...roots.map(({ entry }) => entry), artifact.entry, log.entry],
});

const lines = {
  first: await line(first, rootA),
  onlyNew: await line(withRoot(next(first), 2, rootB, rootC), rootB, rootC),
  onlyOld: await line(withRoot(next(first), 2, rootB, rootC), rootA),
  half: await line(withRoot(next(first), 2, rootB, rootC), rootA, rootB),
};

/** Any JSON value as a line, signed by a key: what a careless or hostile writer may make. */
async function rawLine(payload: Uint8Array, by: TestKey = rootA): Promise<string> {
  const sig = base64(await by.signer.sign(preAuthEncoding(KEY_RING_PAYLOAD, payload)));
  const signatures = [{ keyid: by.entry.keyId, sig }];
  return JSON.stringify({ payload: base64(payload), payloadType: KEY_RING_PAYLOAD, signatures });
}

function fails(work: () => unknown, code: string, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof BitforbitError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test("a ring that its root signed opens, and its file grows by versions", async () => {
  const one = await openedRing(first, [rootA]);
  assert.deepEqual(one.ring, first);
  let file = appendRing(undefined, one);
  for (let version = 2; version <= 9; version++) {
    const opened = openKeyRing(file, "the file");
    const signed = await line(next(opened.ring), rootA);
    file = appendRing(file, openKeyRing(signed, "the next", opened));
    assert.equal(openKeyRing(file, "the file").ring.version, version);
  }
  assert.equal(file.split("\n").length - 1, 2, "the first and the newest stay");
});

test("a change of root needs a threshold of the old and of the new, and older verifiers follow through the file", async () => {
  const one = await openedRing(first, [rootA]);
  const two = withRoot(next(first), 2, rootB, rootC);
  fails(
    () => openKeyRing(lines.onlyNew, "ring", one),
    "refused",
    /0 of the 1 root keys that are needed \(before it root\)/,
  );
  fails(() => openKeyRing(lines.onlyOld, "ring", one), "refused", /0 of the 2 root keys/);
  fails(() => openKeyRing(lines.half, "ring", one), "refused", /1 of the 2 root keys/);
  const opened = openKeyRing(await line(two, rootA, rootB, rootC), "ring", one);
  let file = appendRing(appendRing(undefined, one), opened);
  file = appendRing(file, openKeyRing(await line(next(two), rootB, rootC), "ring", opened));
  file = appendRing(file, openKeyRing(await line(next(next(two)), rootB, rootC), "ring", opened));
  assert.equal(openKeyRing(file, "file", one).ring.version, 4, "from version 1");
  assert.equal(openKeyRing(file, "file").ring.version, 4, "from nothing");
  assert.equal(file.split("\n").length - 1, 3);
  const alone = file.trim().split("\n").at(-1) ?? "";
  fails(() => openKeyRing(alone, "ring", one), "refused", /before it root/);
});

test("rollback, a fork under one number, another ring, and a stranger's are refused", async () => {
  const three = await openedRing(next(next(first)), [rootA]);
  fails(() => openKeyRing(lines.first, "ring", three), "refused", /version 1, older than version 3/);
  const fork = await rawLine(canonicalJson(next(next(first, { expires: rfc3339(NOW + 3 * DAY) })) as unknown as Json));
  fails(() => openKeyRing(fork, "ring", three), "refused", /version 3 as sha256:.*but sha256:/);
  const other = await line({ ...next(first), ring: "f".repeat(32) }, rootA);
  fails(() => openKeyRing(other, "ring", three), "refused", /another key-ring/);
  const forged = await line(withRoot({ ...first, version: 9 }, 1, stranger), stranger);
  fails(() => openKeyRing(forged, "ring", three), "refused", /before it root/);
  const borrowed = JSON.stringify({
    ...(JSON.parse(await line(next(three.ring), stranger)) as object),
    signatures: [{ keyid: rootA.entry.keyId, sig: base64(new Uint8Array(64)) }],
  });
  fails(() => openKeyRing(borrowed, "ring", three), "refused", /bad signature by the root key/);
  assert.equal(openKeyRing(await line(three.ring, rootA), "ring", three).digest, three.digest);
  // signatures do not identify: more of them do not make another version
});

test("what is stale, or from the future, fails closed with a remedy", () => {
  const ring = { what: "the ring", issued: NOW, expires: NOW + 365 * DAY };
  requireFresh(ring, NOW);
  requireFresh(ring, ring.expires - 1);
  for (const [now, message] of [
    [ring.expires, /the ring expired at 2027-11-23T00:00:00Z/],
    [ring.expires + 365 * DAY, /expired/],
    [NOW - 366 * DAY, /in this machine's future/],
  ] as const) {
    assert.throws(
      () => requireFresh(ring, now),
      (error) =>
        error instanceof BitforbitError && error.code === "refused" && message.test(error.message) && !!error.hint,
    );
  }
});

test("a malformed document is refused, though it is signed", async () => {
  const { keys } = first;
  const [root, art, check] = keys;
  assert.ok(root !== undefined && art !== undefined && check !== undefined);
  const cases: [Json | object, RegExp][] = [
    [{ ...first, extra: 1 }, /extra/],
    [{ ...first, version: 0 }, /version/],
    [{ ...first, version: 1.5 }, /version/],
    [{ ...first, expires: "2026-11-23" }, /expires/],
    [{ ...first, expires: "2026-02-30T00:00:00Z" }, /expires/],
    [{ ...first, expires: first.issued }, /expires before/],
    [{ ...first, root: { threshold: 2, keys: first.root.keys } }, /more than there are/],
    [{ ...first, root: { threshold: 2, keys: [root.keyId, root.keyId] } }, /listed twice/],
    [{ ...first, root: { threshold: 1, keys: [art.keyId] } }, /not an active root key/],
    [{ ...first, keys: [...keys, art] }, /twice/],
    [{ ...first, keys: [{ ...root, keyId: art.keyId }, art, check] }, /twice/],
    [{ ...first, keys: [root, { ...art, keyId: check.keyId }] }, /not what its id says/],
    [{ ...first, keys: [root, { ...art, algorithm: "ed25519" }, check] }, /not what its id says/],
    [{ ...first, keys: [root, { ...art, status: "revoked" }, check] }, /revoked/],
    [{ ...first, keys: [root, { ...art, status: "retired" }, check] }, /since when/],
    [{ ...first, keys: [root, { ...art, retired: { at: first.issued } }, check] }, /active and retired/],
    [{ ...first, keys: [root, { ...art, validFrom: first.expires, validUntil: first.issued }, check] }, /no time/],
    [
      { ...first, keys: [{ ...root, status: "retired", retired: { at: first.issued } }, art, check] },
      /not an active root/,
    ],
    [{ ...first, logs: [{ origin: "x", key: art.keyId }] }, /no checkpoint key/],
    [{ ...first, logs: [...first.logs, ...first.logs] }, /log stands in it twice/],
    [{ ...first, rotation: { ...first.rotation, artifact: 0 } }, /rotation/],
    [[], /Expected|Invalid/],
  ];
  for (const [value, message] of cases) {
    const signed = await rawLine(canonicalJson(value as Json));
    fails(() => openKeyRing(signed, "ring"), "input", message);
  }
  const spaced = await rawLine(utf8(JSON.stringify(first, null, 1)));
  fails(() => openKeyRing(spaced, "ring"), "input", /not canonical/);
  const doubled = await rawLine(utf8(`{"version":1,"version":2}`));
  fails(() => openKeyRing(doubled, "ring"), "input", /duplicate key/);
  const envelope = JSON.parse(lines.onlyOld) as { signatures: object[] };
  const [signature] = envelope.signatures;
  const twice = JSON.stringify({ ...envelope, signatures: [signature, signature] });
  fails(() => openKeyRing(twice, "ring"), "input", /one key signs twice/);
  fails(() => openKeyRing(JSON.stringify({ ...envelope, more: 1 }), "ring"), "input", /more/);
  fails(() => openKeyRing("", "ring"), "input", /parse/);
  fails(() => openKeyRing("\n".repeat(200), "ring"), "limit", /versions/);
  fails(() => openKeyRing(new Uint8Array(5 << 20), "ring"), "limit", /larger/);
});

test("no bytes make the parser throw anything but its own error", () => {
  fc.assert(
    fc.property(fc.nat(lines.onlyOld.length - 1), fc.string(), fc.nat(40), (at, insert, cut) => {
      const hostile = lines.onlyOld.slice(0, at) + insert + lines.onlyOld.slice(at + cut);
      try {
        openKeyRing(hostile, "ring");
      } catch (error) {
        assert.ok(error instanceof BitforbitError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test("rotation: how many keys in use are within the ring's own policy", () => {
  const old = testKey("artifact", NOW - 400 * DAY);
  const gone = testKey("artifact", NOW - 900 * DAY, { status: "retired", retired: { at: rfc3339(NOW) } });
  const { inUse, within, due } = rotationCompliance(testRing([rootA, artifact, old, gone], NOW), NOW);
  assert.deepEqual([inUse, within, due.map(({ keyId }) => keyId)], [3, 2, [old.entry.keyId]]);
});

test("the published schema is the parser's; BITFORBIT_WRITE_SCHEMA=1 writes it", () => {
  const FILE = "schemas/key-ring.schema.json";
  const schema = {
    ...toJsonSchema(KeyRingShape, { target: "draft-2020-12", errorMode: "ignore" }),
    $id: "https://bitforbit.dev/schemas/key-ring.schema.json",
    title: "A key-ring, as its root keys sign it",
    description:
      "The payload, canonical JSON (RFC 8785), of a DSSE envelope of type application/vnd.bitforbit.key-ring+json. A key-ring file has one envelope a line.",
  };
  if (process.env["BITFORBIT_WRITE_SCHEMA"] === "1") writeFileSync(FILE, prettyJson(schema));
  assert.equal(readFileSync(FILE, "utf8"), prettyJson(schema));
});
