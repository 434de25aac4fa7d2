import { strict as assert } from "node:assert";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { leavesOf, scratch, signerOf } from "../../test/logs.ts";
import { base64 } from "../bytes.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import { noteVerifier } from "../format/note.ts";
import { evidenceText, judge, parseEvidence } from "./contradiction.ts";
import { type Alert, type Watch, lookAt, parseWatch } from "./monitor.ts";
import { openLogReader } from "./reader.ts";
import { openLog } from "./writer.ts";

const signer = signerOf("log");
const verifier = noteVerifier("log.example", signer.publicKeyPem);

interface Person {
  keyId: string;
  entry(message: string): Uint8Array;
}

const sha = (bytes: Uint8Array | string): Buffer => createHash("sha256").update(bytes).digest();

function person(): Person {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ format: "der", type: "spki" });
  return {
    keyId: base64(sha(spki)),
    entry: (message) => hashedRekord(sha(message), sign("sha256", Buffer.from(message), privateKey), spki),
  };
}

const digestOf = (message: string): string => `sha256:${createHash("sha256").update(message).digest("hex")}`;

test("entries by my key that I did not make, and by others about what is mine, are told once", async (t) => {
  const folder = scratch(t);
  const log = await openLog(join(folder, "log"), signer, { origin: "log.example" });
  const [me, other] = [person(), person()];
  const watch = parseWatch(
    `# mine\nkey ${me.keyId}\nknown ${digestOf("release 1")} # made on Monday\ndigest ${digestOf("release 1")}\n`,
    "mine.txt",
  );
  const look = async (by: Watch = watch): Promise<Alert[]> => {
    const alerts: Alert[] = [];
    const reader = await openLogReader(join(folder, "log"), signer.publicKeyPem);
    await lookAt(reader, by, join(folder, "state"), (alert) => alerts.push(alert));
    return alerts;
  };
  await log.appendAll([me.entry("release 1"), other.entry("another's")]);
  assert.deepEqual(await look(), []);
  await log.appendAll([...leavesOf(0), me.entry("stolen"), other.entry("release 1"), Buffer.from("{}")]);
  const told = await look();
  assert.deepEqual(
    told.map((alert) => [alert.alert, "index" in alert ? alert.index : -1, "why" in alert ? alert.why : ""]),
    [
      ["entry", 2, "key"],
      ["entry", 3, "digest"],
      ["unreadable", 4, ""],
    ],
  );
  assert.deepEqual(await look(), [], "what was told is remembered");
  // Across tiles, and by index: what a ledger knows.
  await log.appendAll(Array.from({ length: 300 }, (_, at) => (at === 280 ? me : other).entry(`later ${at}`)));
  assert.deepEqual(await look({ ...watch, made: (_, index) => index === 285 }), []);
  await log.appendAll([me.entry("more")]);
  assert.equal((await look({ ...watch, made: (_, index) => index === 285 })).length, 1);
});

test("a monitor that is ended while it tells, tells again", async (t) => {
  const folder = scratch(t);
  const log = await openLog(join(folder, "log"), signer, { origin: "log.example" });
  const me = person();
  await log.appendAll([me.entry("stolen")]);
  const watch = parseWatch(`key ${me.keyId}\n`, "mine.txt");
  const ended = lookAt(log, watch, join(folder, "state"), () => {
    throw new Error("the mail does not go out");
  });
  await assert.rejects(ended, { message: "the mail does not go out" });
  const alerts: Alert[] = [];
  await lookAt(log, watch, join(folder, "state"), (alert) => alerts.push(alert));
  assert.equal(alerts.length, 1);
});

test("a split view is told with a proof that a third can check, at one size and at several", async (t) => {
  const watch = parseWatch("", "nothing");
  for (const [before, here, there] of [
    [20, 12, 12],
    [20, 5, 77],
    [16, 16, 3],
    [255, 1, 2],
    [7, 300, 301],
  ] as const) {
    const folder = scratch(t);
    const log = await openLog(join(folder, "log"), signer, { origin: "log.example" });
    await log.appendAll(leavesOf(before));
    await log.settled();
    cpSync(join(folder, "log"), join(folder, "fork"), { recursive: true });
    const fork = await openLog(join(folder, "fork"), signer);
    await log.appendAll(leavesOf(here, "told to some"));
    await fork.appendAll(leavesOf(there, "told to others"));
    const alerts: Alert[] = [];
    const tell = (alert: Alert): void => void alerts.push(alert);
    const state = join(folder, "state");
    await lookAt(log, watch, state, () => undefined);
    await lookAt(fork, watch, state, tell);
    if (there < here) {
      assert.deepEqual(alerts, [{ alert: "older", origin: "log.example", size: before + there, seen: before + here }]);
      continue;
    }
    const [alert] = alerts;
    assert.ok(alert?.alert === "split-view", JSON.stringify(alerts));
    const text = readFileSync(alert.evidence, "utf8");
    const evidence = parseEvidence(text, "the evidence");
    assert.deepEqual(judge(evidence, verifier), {
      verdict: "contradiction",
      origin: "log.example",
      first: before + here,
      second: before + there,
    });
    assert.equal(evidenceText(evidence), text);
    assert.throws(() => judge(evidence, noteVerifier("log.example", signerOf("other").publicKeyPem)), {
      code: "refused",
    });
    if (here !== there) {
      const { prefix } = evidence;
      assert.equal(judge({ first: evidence.first, second: evidence.second }, verifier).verdict, "unproven");
      const forged = { ...evidence, prefix: { root: new Uint8Array(32), hashes: prefix?.hashes ?? [] } };
      assert.throws(
        () => judge(forged, verifier),
        { code: "refused", message: /does not verify/ },
        "a lie about an honest log",
      );
    }
    // The state has not moved: the same is told again, and the honest log goes on.
    alerts.length = 0;
    await lookAt(log, watch, state, tell);
    assert.deepEqual(alerts, []);
  }
});

test("evidence and lists that are not what they should be are refused", () => {
  for (const text of [
    "",
    "[]",
    "{}",
    `{"version":1}`,
    `{"version":1,"first":"a","second":"b","prefix":{"root":"AA==","hashes":[]}}`,
    `{"version":1,"first":"a","second":"b","prefix":{"root":"","hashes":[${"1,".repeat(99)}1]}}`,
  ]) {
    assert.throws(() => parseEvidence(text, "evidence"), { name: "BitforbitError" }, text);
  }
  for (const line of ["key x", "name", "digest sha256:00", "owner me", "known sha1:aa"]) {
    assert.throws(() => parseWatch(`\n${line}\n`, "mine.txt"), { message: /mine\.txt, line 2/ }, line);
  }
});
