import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { BUILDER, statementsAbout } from "../../test/evidence.ts";
import { parseBundle } from "../attest/bundle.ts";
import { attestAll } from "../attest/sign.ts";
import { utf8 } from "../bytes.ts";
import { systemClock } from "../clock.ts";
import { type Digest, sha256Hex } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { openLog } from "../log/writer.ts";
import { verify } from "../policy/verify.ts";
import { openStore } from "../store/store.ts";
import { type Home, homeAt, makeHome } from "./home.ts";
import { addKey, revokeKey } from "./key-lifecycle.ts";
import { keysOf } from "./keys.ts";
import { resign, type ResignStep } from "./resign.ts";
import { withLedger } from "./record.ts";
import { rulesFor } from "./trust.ts";

const ARTIFACTS = 5;

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "resign-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A home with artifacts of three statements each; of those after the first `sound`, the log's place is no proof. */
async function homeWith(folder: string, sound: number): Promise<{ home: Home; digests: Digest[]; old: string }> {
  const home = homeAt(join(folder, "home"));
  await makeHome(home);
  const keys = await keysOf(home, undefined);
  const log = await openLog(home.log, keys.checkpoint);
  const store = await openStore(home.store);
  const digests: Digest[] = [];
  for (let at = 0; at < ARTIFACTS; at++) {
    const bytes = utf8(`artifact ${at}\n`);
    const { digest } = await store.putArtifact({ content: { bytes }, name: `thing-${at}` });
    const statements = statementsAbout(digest);
    const bundles = await attestAll(statements, keys.artifact, log);
    for (const [index, bundle] of bundles.entries()) {
      await store.attach(digest, bundle, statements[index]?.predicateType ?? "");
    }
    digests.push(digest);
  }
  const since = systemClock.now() - 1000;
  await revokeKey({ home }, keys.artifact.keyId, { since, reason: "stolen", logSize: sound * 3 });
  await addKey({ home }, { role: "artifact" }, true);
  return { home, digests, old: keys.artifact.keyId };
}

/** By the new key alone: what the old one signed is left out. */
async function allowed(home: Home, digest: Digest, old: string): Promise<boolean> {
  const store = await openStore(home.store);
  const bundles: Uint8Array[] = [];
  for (const referrer of await store.referrers(digest)) {
    const bundle = await referrer.bundle();
    if (parseBundle(bundle).hint !== old) bundles.push(bundle);
  }
  const { policy, trust } = await rulesFor(home, undefined);
  const rules = { policy: { ...policy, builders: [BUILDER] }, trust, now: systemClock.now() };
  return verify({ artifact: { digest }, bundles, ...rules }).ok;
}

/** Every statement once by the new key, every signature once in the log. */
async function requireNothingTwice(home: Home, digests: readonly Digest[], old: string, sound: number): Promise<void> {
  const store = await openStore(home.store);
  for (const digest of digests) {
    const payloads: string[] = [];
    for (const referrer of await store.referrers(digest)) {
      const bundle = parseBundle(await referrer.bundle());
      if (bundle.hint !== old) payloads.push(sha256Hex(bundle.payload));
    }
    assert.equal(new Set(payloads).size, payloads.length, `${digest} has a statement twice`);
  }
  const keys = await keysOf(home, undefined);
  const { size } = await (await openLog(home.log, keys.checkpoint)).checkpoint();
  assert.equal(size, ARTIFACTS * 3 + sound * 3);
  assert.equal(existsSync(join(home.root, "resign.jsonl")), false);
}

test("what the log had before is signed anew; what it had not is named", async (t) => {
  const { home, digests, old } = await homeWith(folderOf(t), 3);
  const seen: ResignStep[] = [];
  const result = await resign({ home }, { batch: 4, onStep: (step) => void seen.push(step) });
  assert.equal(result.artifacts, ARTIFACTS);
  assert.equal(result.resigned, 9);
  assert.deepEqual(
    result.lost.map(({ artifact }) => artifact).sort(),
    digests
      .slice(3)
      .flatMap((digest) => [digest, digest, digest])
      .sort(),
  );
  assert.match(result.lost[0]?.reason ?? "", /revoked since .*\(stolen\), and nothing proves/);
  assert.deepEqual(seen.slice(0, 4), ["journalled", "logged", "stored", "done"]);
  for (const [at, digest] of digests.entries()) assert.equal(await allowed(home, digest, old), at < 3, digest);
  await requireNothingTwice(home, digests, old, 3);
  const events = await withLedger(home, async (ledger) => {
    const found: unknown[] = [];
    for await (const { data } of ledger.each({ kinds: ["key"] }))
      found.push([data["action"], data["resigned"], data["lost"]]);
    return found;
  });
  assert.deepEqual(events.at(-1), ["resign", 9, 6]);

  const again = await resign({ home });
  assert.equal(again.resigned, 0, "nothing is left to do");
  assert.equal(again.lost.length, 6);
  await requireNothingTwice(home, digests, old, 3);
});

test("where no key was ended there is nothing to do", async (t) => {
  const home = homeAt(join(folderOf(t), "home"));
  await keysOf(home, undefined);
  await assert.rejects(
    resign({ home }),
    (error) => error instanceof BitforbitError && /nothing to sign anew/.test(error.message),
  );
});

/** Runs `resign` in a process that kills itself, unless it gets that far, after its `step`-th step. */
async function killedAfter(home: Home, step: number, script: string): Promise<boolean> {
  const child = spawn(process.execPath, [script, home.root, String(step)], { stdio: ["ignore", "ignore", "inherit"] });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  assert.ok(signal === "SIGKILL" || code === 0, `${code} ${signal}`);
  return signal === "SIGKILL";
}

test(
  "killed after every step, it goes on: nothing is lost, signed twice or logged twice",
  { timeout: 300_000 },
  async (t) => {
    const folder = folderOf(t);
    const { home, digests, old } = await homeWith(folder, ARTIFACTS);
    const script = join(folder, "run.ts");
    writeFileSync(
      script,
      `import { homeAt } from ${JSON.stringify(resolve(import.meta.dirname, "home.ts"))};
import { resign } from ${JSON.stringify(resolve(import.meta.dirname, "resign.ts"))};
let left = Number(process.argv[3]);
const onStep = () => { if (--left === 0) process.kill(process.pid, "SIGKILL"); };
await resign({ home: homeAt(process.argv[2]) }, { batch: 9, onStep });
`,
    );
    // From the same start, killed once after each step, then left to end.
    let steps = 1;
    for (; ; steps++) {
      const copy = homeAt(join(folder, `copy-${steps}`));
      cpSync(home.root, copy.root, { recursive: true });
      chmodSync(copy.keys, 0o700);
      const killed = await killedAfter(copy, steps, script);
      if (killed) await resign({ home: copy }, { batch: 9 });
      await requireNothingTwice(copy, digests, old, ARTIFACTS);
      for (const digest of digests) assert.equal(await allowed(copy, digest, old), true, `step ${steps}`);
      if (!killed) break;
    }
    assert.equal(steps, 9, "two batches of four steps each");
    // Killed over and over: three steps further each time.
    let runs = 1;
    while (await killedAfter(home, 3, script)) assert.ok(++runs < 8, "it does not get on");
    await requireNothingTwice(home, digests, old, ARTIFACTS);
  },
);

test("a journal that was cut off in the middle of a line, and one of another undertaking", async (t) => {
  const folder = folderOf(t);
  const { home, digests, old } = await homeWith(folder, ARTIFACTS);
  const stop = new Error("stopped");
  const first = resign(
    { home },
    {
      batch: 3,
      onStep: (step) => {
        if (step === "journalled") throw stop;
      },
    },
  );
  await assert.rejects(first, (error) => error === stop);
  const path = join(home.root, "resign.jsonl");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.slice(0, -20));
  await resign({ home }, { batch: 3 });
  await requireNothingTwice(home, digests, old, ARTIFACTS);
  writeFileSync(path, "{}\n");
  await assert.rejects(resign({ home }), /resign\.jsonl:1/);
});
