/** The ledger against a model of it: an array of events. */
import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import type { JsonObject } from "../json.ts";
import { EVENT_KINDS, type LedgerEvent, subjectsOf } from "./event.ts";
import { type EventFilter, openLedger } from "./ledger.ts";

const digest = fc.constantFrom(digestOf("a"), digestOf("b"), digestOf("c"));
const name = fc.constantFrom("x", "y", "Ω ' \" --", "z".repeat(300));
const at = fc.nat(20);
const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const data = fc
  .record(
    {
      outputs: fc.array(
        fc.oneof(
          digest.map((one) => ({ path: "p", digest: one })),
          fc.constant("odd"),
          fc.constant({ digest: 7 }),
        ),
      ),
      subjects: fc.oneof(fc.array(digest), fc.constant("odd")),
      verdict: fc.constantFrom("reproducible", "differs"),
      more: fc.object({
        maxDepth: 3,
        key: text,
        values: [text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)],
      }),
    },
    { requiredKeys: [] },
  )
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);
const event = fc
  .record(
    {
      kind: fc.constantFrom(...EVENT_KINDS),
      at,
      ok: fc.boolean(),
      data,
      build: name,
      artifact: digest,
      environment: fc.constantFrom("dev", "prod"),
      project: name,
      milliseconds: fc.double({ min: 0, max: 1e9, noNaN: true }),
    },
    { requiredKeys: ["kind", "at", "ok", "data"] },
  )
  .map(
    (value) => ("milliseconds" in value ? { ...value, milliseconds: value.milliseconds + 0 } : value) as LedgerEvent,
  );
const filter = fc.record(
  {
    kinds: fc.uniqueArray(fc.constantFrom(...EVENT_KINDS)),
    build: name,
    artifact: digest,
    environment: fc.constantFrom("dev", "prod", "nowhere"),
    project: name,
    ok: fc.boolean(),
    from: at,
    to: at,
    after: fc.nat(30),
    limit: fc.nat(5),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<EventFilter>;

function matches(one: LedgerEvent, id: number, wanted: EventFilter): boolean {
  return (
    (wanted.kinds === undefined || wanted.kinds.includes(one.kind)) &&
    (wanted.build === undefined || one.build === wanted.build) &&
    (wanted.artifact === undefined || subjectsOf(one).includes(wanted.artifact)) &&
    (wanted.environment === undefined || one.environment === wanted.environment) &&
    (wanted.project === undefined || one.project === wanted.project) &&
    (wanted.ok === undefined || one.ok === wanted.ok) &&
    (wanted.from === undefined || one.at >= wanted.from) &&
    (wanted.to === undefined || one.at < wanted.to) &&
    id > (wanted.after ?? 0)
  );
}

async function withPath(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ledger-model-"));
  try {
    await work(join(folder, "ledger.sqlite"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("any batches and any filters give what the array gives", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(event, { maxLength: 5 }), { maxLength: 6 }),
      fc.array(filter, { minLength: 8, maxLength: 8 }),
      async (batches, filters) => {
        await withPath(async (path) => {
          let ledger = await openLedger(path);
          for (const [n, batch] of batches.entries()) {
            await ledger.recordAll(batch);
            if (n % 3 !== 1) continue;
            await ledger.close();
            ledger = await openLedger(path);
          }
          const all = batches.flat();
          for (const wanted of [{}, ...filters]) {
            const expected = all.map((one, n) => ({ id: n + 1, ...one })).filter((one) => matches(one, one.id, wanted));
            const found = (await ledger.events(wanted)).map(
              ({ hash, ...rest }) => (assert.equal(hash.length, 64), rest),
            );
            assert.deepEqual(found, expected.slice(0, wanted.limit ?? Infinity));
          }
          const builds = new Map(
            all.flatMap((one, n) => (one.build === undefined ? [] : [[one.build, n] as const])).reverse(),
          );
          const order = [...builds].sort(([, a], [, b]) => b - a).map(([build]) => build);
          assert.deepEqual(
            (await ledger.builds()).map(({ build }) => build),
            order,
          );
          assert.deepEqual((await ledger.audit()).problems, []);
          await ledger.close();
        });
      },
    ),
    { numRuns: 25 },
  );
});

test("any change to any column of any row shows in the audit", async () => {
  await withPath(async (path) => {
    const ledger = await openLedger(path);
    const events = fc.sample(event, { numRuns: 30, seed: 7 });
    await ledger.recordAll(events);
    const database = new DatabaseSync(path);
    database.exec("drop trigger events_refuse_update");
    const guard = (await ledger.audit()).problems;
    assert.deepEqual(guard, ["the trigger events_refuse_update was removed"]);
    const columns = [
      "kind",
      "at",
      "build",
      "artifact",
      "environment",
      "project",
      "ok",
      "milliseconds",
      "data",
      "previous",
      "hash",
    ] as const;
    const swap = fc.record({
      column: fc.constantFrom(...columns),
      a: fc.integer({ min: 1, max: 30 }),
      b: fc.integer({ min: 1, max: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(swap, async ({ column, a, b }) => {
        const read = (id: number) =>
          database.prepare(`select ${column} as v from events where id = ?`).get(id)?.["v"] ?? null;
        const [was, other] = [read(a), read(b)];
        fc.pre(was !== other);
        const write = database.prepare(`update events set ${column} = ? where id = ?`);
        write.run(other, a);
        const { ok, problems } = await ledger.audit();
        write.run(was, a);
        assert.equal(ok, false);
        assert.ok(
          problems.some((problem) => problem.startsWith(`event ${a} `)),
          problems.join("; "),
        );
      }),
      { numRuns: 60 },
    );
    assert.deepEqual((await ledger.audit()).problems, guard, "all was put back");
    database.close();
    await ledger.close();
  });
});
