/** The spool: what `verify` left behind is entered once, whatever dies in between. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { namesIn } from "../tree.ts";
import type { LedgerEvent } from "./event.ts";
import { openLedger } from "./ledger.ts";
import { enterSpooled, spool } from "./spool.ts";

const HERE = import.meta.dirname;

function ledgerPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "spool-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "ledger.sqlite");
}

const decision = (n: number): LedgerEvent => ({ kind: "verify", at: n, ok: true, milliseconds: 1, data: { n } });

/** Enters what waits, and gives the numbers of all events that the ledger then holds. */
async function entered(path: string): Promise<{ count: number; numbers: unknown[] }> {
  const ledger = await openLedger(path);
  try {
    const count = await enterSpooled(ledger);
    const events = await ledger.events();
    assert.deepEqual((await ledger.audit()).problems, []);
    return { count, numbers: events.map((event) => event.data["n"]) };
  } finally {
    await ledger.close();
  }
}

const left = async (path: string): Promise<string[]> =>
  (await namesIn(join(path, ".."))).filter((name) => name.includes(".spool") && !name.includes("-lock"));

test("events wait in order, are entered once, and the spool is gone", async (t) => {
  const path = ledgerPath(t);
  assert.deepEqual(await entered(path), { count: 0, numbers: [] });
  for (const n of [1, 2, 3]) await spool(path, decision(n));
  assert.deepEqual(await entered(path), { count: 3, numbers: [1, 2, 3] });
  assert.deepEqual(await left(path), []);
  await spool(path, decision(4));
  assert.deepEqual(await entered(path), { count: 1, numbers: [1, 2, 3, 4] });
});

test("the same decision twice is two events", async (t) => {
  const path = ledgerPath(t);
  await spool(path, decision(1));
  await spool(path, decision(1));
  assert.deepEqual((await entered(path)).numbers, [1, 1]);
});

/** A process that dies by SIGKILL when it has entered the events and not yet removed the file, or just before. */
function dyingEntry(path: string, when: "before" | "after"): void {
  const code = `
    import { openLedger } from ${JSON.stringify(join(HERE, "ledger.ts"))};
    import { enterSpooled } from ${JSON.stringify(join(HERE, "spool.ts"))};
    const ledger = await openLedger(${JSON.stringify(path)});
    await enterSpooled({
      path: ledger.path,
      events: (query) => ledger.events(query),
      recordAll: async (events) => {
        if (${JSON.stringify(when)} === "after") await ledger.recordAll(events);
        process.kill(process.pid, "SIGKILL");
        await new Promise(() => setInterval(() => undefined, 1000));
      },
    });`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", code], {
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.equal(ran.signal, "SIGKILL", ran.stderr);
}

test("killed between entering and removing: nothing twice", async (t) => {
  const path = ledgerPath(t);
  for (const n of [1, 2]) await spool(path, decision(n));
  dyingEntry(path, "after");
  assert.equal((await left(path)).length, 1, "the file is still there");
  await spool(path, decision(3));
  assert.deepEqual(await entered(path), { count: 1, numbers: [1, 2, 3] });
  assert.deepEqual(await left(path), []);
});

test("killed between taking the file and entering: nothing lost", async (t) => {
  const path = ledgerPath(t);
  for (const n of [1, 2]) await spool(path, decision(n));
  dyingEntry(path, "before");
  assert.deepEqual(await entered(path), { count: 2, numbers: [1, 2] });
});

test("a line that a crash cut off is dropped, at every length, and harms no neighbour", async (t) => {
  const path = ledgerPath(t);
  await spool(path, decision(1));
  const whole = readFileSync(`${path}.spool`);
  let expected = 0;
  for (let kept = 0; kept < whole.length; kept += 7) {
    await spool(path, decision(100 + kept));
    const { length } = readFileSync(`${path}.spool`);
    truncateSync(`${path}.spool`, length - 3);
    await spool(path, decision(500 + kept));
    expected++;
    appendFileSync(`${path}.spool`, whole.subarray(0, kept));
  }
  const { numbers } = await entered(path);
  assert.equal(numbers.filter((n) => Number(n) >= 500).length, expected, "what was whole is there");
  assert.equal(numbers.filter((n) => Number(n) >= 100 && Number(n) < 500).length, 0, "what was torn is not");
});

test("one event that the ledger refuses does not keep it shut", async (t) => {
  const path = ledgerPath(t);
  await spool(path, decision(1));
  appendFileSync(`${path}.spool`, `${JSON.stringify({ kind: "verify", at: -1, ok: "yes", data: {} })}\n`);
  appendFileSync(
    `${path}.spool`,
    '{"kind":"verify","at":5,"ok":true,"data":{"n":"\\ud800"}}\n{"kind":"explode","data":{}}\nnull\n',
  );
  await spool(path, decision(2));
  assert.deepEqual(await entered(path), { count: 2, numbers: [1, 2] });
  assert.deepEqual(await left(path), []);
});

test("text that hostile evidence put into a decision is entered as well-formed text", async (t) => {
  const path = ledgerPath(t);
  await spool(path, { ...decision(1), data: { n: "half \ud800 of a pair\n{" } });
  assert.deepEqual((await entered(path)).numbers, ["half \ufffd of a pair\n{"]);
});

test("several that enter at once enter each event once", async (t) => {
  const path = ledgerPath(t);
  for (let n = 0; n < 20; n++) await spool(path, decision(n));
  const counts = await Promise.all([entered(path), entered(path), entered(path)]);
  assert.equal(
    counts.reduce((sum, { count }) => sum + count, 0),
    20,
  );
  const { numbers } = await entered(path);
  assert.deepEqual(
    numbers,
    Array.from({ length: 20 }, (_, n) => n),
  );
});
