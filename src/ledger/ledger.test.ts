import { strict as assert } from "node:assert";
import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { digestOf } from "../digest.ts";
import type { BitforbitError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import type { Head } from "./audit.ts";
import { EVENT_KINDS, type EventKind, type LedgerEvent } from "./event.ts";
import { type Ledger, openLedger } from "./ledger.ts";

const DAY = 86_400_000;
const HELLO = digestOf("hello");
const OTHER = digestOf("other");

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ledger-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function withLedger(work: (ledger: Ledger, path: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const ledger = await openLedger(join(folder, "ledger.sqlite"));
    try {
      await work(ledger, ledger.path);
    } finally {
      await ledger.close();
    }
  });
}

const event = (kind: EventKind, more: Partial<LedgerEvent> = {}, data: JsonObject = {}): LedgerEvent => ({
  kind,
  at: 1_700_000_000_000,
  ok: true,
  data,
  ...more,
});

const times = (events: readonly { at: number }[]): number[] => events.map(({ at }) => at);

const fails =
  (code: string, message: RegExp, hint?: RegExp) =>
  (error: unknown): boolean => {
    const { code: had, message: said, hint: advice } = error as BitforbitError;
    assert.equal(had, code, said);
    assert.match(said, message);
    if (hint !== undefined) assert.match(advice ?? "", hint);
    return true;
  };

test("what is recorded is read again, by every filter", async () => {
  await withLedger(async (ledger) => {
    const full: LedgerEvent = {
      kind: "verify",
      at: 5,
      build: "b1",
      artifact: HELLO,
      environment: "prod",
      project: "hello",
      ok: false,
      milliseconds: 12.5,
      data: { reasons: ["no signature"], deep: { z: [1, null, true], a: "é\u0001" } },
    };
    assert.equal(await ledger.record(full), 1);
    assert.deepEqual(
      await ledger.recordAll([event("lock", { at: 10 }), event("key", { at: 20, project: "p" })]),
      [2, 3],
    );
    await ledger.record(
      event("verdict", { at: 30, build: "b2" }, { outputs: [{ path: "x", digest: HELLO, size: 5 }] }),
    );
    await ledger.record(event("attest", { at: 40 }, { subjects: [OTHER, HELLO, OTHER] }));
    const [first] = await ledger.events({ limit: 1 });
    const { hash, ...read } = first ?? { hash: "" };
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(read, { id: 1, ...full });
    const ids = async (filter: Parameters<Ledger["events"]>[0]): Promise<number[]> =>
      (await ledger.events(filter)).map(({ id }) => id);
    assert.deepEqual(await ids({}), [1, 2, 3, 4, 5]);
    assert.deepEqual(await ids({ kinds: ["lock", "key"] }), [2, 3]);
    assert.deepEqual(await ids({ kinds: [] }), []);
    assert.deepEqual(await ids({ build: "b2" }), [4]);
    assert.deepEqual(await ids({ artifact: HELLO }), [1, 4, 5]);
    assert.deepEqual(await ids({ artifact: OTHER }), [5]);
    assert.deepEqual(await ids({ environment: "prod" }), [1]);
    assert.deepEqual(await ids({ project: "p" }), [3]);
    assert.deepEqual(await ids({ ok: false }), [1]);
    assert.deepEqual(await ids({ from: 10, to: 30 }), [2, 3]);
    assert.deepEqual(await ids({ after: 3 }), [4, 5]);
    assert.deepEqual(await ids({ last: 2 }), [4, 5]);
    assert.deepEqual(await ids({ after: 1, limit: 2 }), [2, 3]);
    assert.deepEqual(await ids({ artifact: HELLO, kinds: ["attest"], from: 40, to: 41 }), [5]);
  });
});

test("each pages through more than it holds at once", async () => {
  await withLedger(async (ledger) => {
    await ledger.recordAll(Array.from({ length: 1_203 }, (_, n) => event("log", { at: n })));
    const seen: number[] = [];
    for await (const { at } of ledger.each({ kinds: ["log"] })) seen.push(at);
    assert.deepEqual(
      seen,
      Array.from({ length: 1_203 }, (_, n) => n),
    );
    assert.equal((await ledger.events({ limit: 1_100 })).length, 1_100);
    assert.equal((await ledger.audit()).ok, true);
  });
});

test("a bad event is refused by name, and nothing of its batch is kept", async () => {
  await withLedger(async (ledger) => {
    const bad: [Partial<LedgerEvent>, RegExp][] = [
      [{ kind: "party" as EventKind }, /kind/],
      [{ at: Number.NaN }, /at cannot be/],
      [{ at: 1.5 }, /at cannot be/],
      [{ at: -1 }, /at cannot be/],
      [{ artifact: "sha256:zz" }, /artifact/],
      [{ milliseconds: Infinity }, /milliseconds/],
      [{ milliseconds: -3 }, /milliseconds/],
      [{ build: "" }, /build/],
      [{ project: "x".repeat(2_000) }, /project/],
      [{ environment: "a\0b" }, /environment/],
      [{ data: [] as unknown as JsonObject }, /data/],
      [{ data: { n: Number.NaN } }, /NaN/],
      [{ data: { text: "\ud800" } }, /surrogate/],
    ];
    for (const [more, message] of bad) {
      await assert.rejects(ledger.recordAll([event("lock"), event("lock", more)]), fails("input", message));
    }
    const huge = event("lock", {}, { text: "x".repeat(5 << 20) });
    await assert.rejects(ledger.record(huge), fails("limit", /larger than/));
    let deep: JsonObject = {};
    for (let level = 0; level < 80; level++) deep = { deep };
    await assert.rejects(ledger.record(event("lock", {}, deep)), fails("limit", /deeper/));
    assert.deepEqual(await ledger.events(), []);
    assert.equal(await ledger.record(event("lock")), 1, "and the ledger works on");
  });
});

test("a build's story, an artifact's, and what is where", async () => {
  await withLedger(async (ledger) => {
    const outputs = [{ path: "dist/hello", digest: HELLO, size: 5 }];
    const source = { commit: "c0ffee", tree: "sha256:1" };
    const b1 = { build: "b1", project: "hello" };
    await ledger.recordAll([
      event("lock", { ...b1, at: 100 }),
      event("world", { ...b1, at: 200 }, { world: "canonical" }),
      event("world", { ...b1, at: 210 }, { world: "adversarial" }),
      event(
        "verdict",
        { ...b1, at: 300 },
        {
          verdict: "reproducible",
          canonical: true,
          source,
          recipe: "r1",
          environment: "Debian x",
          causes: ["clock"],
          lacks: [],
          outputs,
        },
      ),
      event("sbom", { ...b1, at: 400, artifact: HELLO }, { complete: 1 }),
      event("attest", { ...b1, at: 500, artifact: HELLO }, { predicateType: "https://slsa.dev/provenance/v1" }),
      event("log", { ...b1, at: 600, artifact: HELLO }, { index: 7 }),
      event("store", { ...b1, at: 700, artifact: HELLO }),
      event("verdict", { build: "b2", project: "other", at: 800, ok: false }, { verdict: "differs", canonical: false }),
      event("verify", { at: 900, artifact: HELLO, milliseconds: 30 }, { reasons: [] }),
      event("promote", { at: 1_000, artifact: HELLO, environment: "dev", project: "hello" }),
      event(
        "promote",
        { at: 1_100, artifact: HELLO, environment: "prod", project: "hello", ok: false },
        { reasons: ["no quorum"] },
      ),
      event("promote", { at: 1_200, artifact: OTHER, environment: "dev", project: "hello" }),
      event("store", { build: "b3", at: 1_300, artifact: HELLO }),
      event("deploy", { at: 1_400, artifact: HELLO, environment: "dev" }),
    ]);
    const builds = await ledger.builds();
    assert.deepEqual(
      builds.map(({ build }) => build),
      ["b3", "b2", "b1"],
    );
    assert.deepEqual(
      (await ledger.builds({ limit: 1 })).map(({ build }) => build),
      ["b3"],
    );
    assert.deepEqual(
      (await ledger.builds({ project: "hello" })).map(({ build }) => build),
      ["b1"],
    );
    assert.deepEqual(builds[2], {
      build: "b1",
      project: "hello",
      startedAt: 100,
      endedAt: 700,
      canonical: true,
      verdict: "reproducible",
      source: '{"commit":"c0ffee","tree":"sha256:1"}',
      recipe: "r1",
      environment: "Debian x",
      outputs,
      causes: ["clock"],
      lacks: [],
    });
    const story = await ledger.build("b1");
    assert.ok(story);
    assert.equal(story.lock?.at, 100);
    assert.deepEqual(times(story.worlds), [200, 210]);
    assert.deepEqual([story.sboms, story.attestations, story.logged].map(times), [[400], [500], [600]]);
    assert.deepEqual(times(story.stored), [700], "not the store of b3, which made the same bytes");
    assert.deepEqual(times(story.verifications), [900]);
    assert.deepEqual(times(story.promotions), [1_000, 1_100]);
    assert.deepEqual(times(story.deployments), [1_400]);
    assert.equal(story.events.length, 12);
    assert.equal(await ledger.build("nobody"), undefined);

    const artifact = await ledger.artifact(HELLO);
    assert.deepEqual(artifact?.builds, ["b1", "b3"]);
    assert.equal(artifact?.events.length, 10);
    assert.equal(await ledger.artifact(digestOf("nothing")), undefined);

    assert.deepEqual(times(await ledger.promotions()), [1_200, 1_100, 1_000]);
    assert.deepEqual(
      (await ledger.promotions("prod")).map(({ ok, reasons }) => [ok, reasons]),
      [[false, ["no quorum"]]],
    );
    assert.deepEqual(
      (await ledger.currentIn("dev", "hello")).map((one) => one.artifact),
      [OTHER],
    );
    assert.deepEqual(await ledger.currentIn("prod", "hello"), [], "a denied promotion changes nothing");
    await ledger.record(
      event("promote", { artifact: HELLO, environment: "dev", project: "hello" }, { name: "docs.tar" }),
    );
    assert.deepEqual(
      (await ledger.currentIn("dev", "hello")).map((one) => one.artifact),
      [HELLO, OTHER],
    );
    assert.deepEqual(await ledger.currentIn("dev", "elsewhere"), []);
  });
});

test("rows can neither be changed nor removed", async () => {
  await withLedger(async (ledger, path) => {
    await ledger.record(event("lock", { artifact: HELLO }));
    const database = new DatabaseSync(path);
    for (const sql of [
      "update events set ok = 0",
      "delete from events",
      "update subjects set artifact = 'x'",
      "delete from subjects",
    ]) {
      assert.throws(() => database.exec(sql), /append-only/, sql);
    }
    database.close();
    assert.equal((await ledger.audit()).ok, true);
  });
});

test("tampering shows in the audit", async () => {
  const free =
    "drop trigger events_refuse_update; drop trigger events_refuse_delete; drop trigger subjects_refuse_delete;";
  const tamperings: [string, RegExp][] = [
    ["drop trigger events_refuse_update", /trigger events_refuse_update/],
    [`${free} update events set ok = 0 where id = 3`, /event 3 was changed/],
    [`${free} update events set data = '{"n":9}' where id = 3`, /event 3 was changed/],
    [`${free} update events set at = at + 1 where id = 1`, /event 1 was changed/],
    [`${free} delete from events where id = 3`, /event 3 is missing/],
    [`${free} delete from events where id >= 5`, /event 6.*cut off/],
    [`${free} delete from subjects where event = 6`, /event 6 is listed under other artifacts/],
    [`insert into subjects values ('${OTHER}', 2)`, /event 2 is listed under other artifacts/],
    [
      `insert into events select 7, kind, at, build, artifact, environment, project, ok, milliseconds, data, hash, hash from events where id = 6`,
      /event 7 was changed/,
    ],
  ];
  for (const [sql, problem] of tamperings) {
    await withFolder(async (folder) => {
      const path = join(folder, "ledger.sqlite");
      const ledger = await openLedger(path);
      await ledger.recordAll(Array.from({ length: 5 }, (_, n) => event("log", { at: n }, { n })));
      await ledger.record(event("store", { artifact: HELLO }));
      const head = await ledger.head();
      assert.ok(head);
      assert.deepEqual(await ledger.audit([head]), { ok: true, events: 6, head, problems: [] });
      const database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
      database.exec(sql);
      database.close();
      const { ok, problems } = await ledger.audit([head]);
      assert.equal(ok, false, sql);
      assert.ok(
        problems.some((one) => problem.test(one)),
        `${sql}: ${problems.join("; ")}`,
      );
      await ledger.close();
    });
  }
});

test("a whole chain made anew is seen by who remembers a head", async () => {
  await withLedger(async (old) => {
    await old.recordAll([event("log", {}, { n: 1 }), event("log", {}, { n: 2 })]);
    const head = await old.head();
    assert.ok(head);
    await withLedger(async (forged) => {
      await forged.recordAll([event("log", {}, { n: 1 }), event("log", {}, { n: 3 })]);
      assert.equal((await forged.audit()).ok, true, "by itself it is whole");
      assert.match((await forged.audit([head])).problems.join(), /event 2 is not the one remembered/);
    });
  });
});

test("files that are no ledger, and ledgers that are damaged", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "ledger.sqlite");
    const text = "not a database at all, ".repeat(100);
    writeFileSync(path, text);
    await assert.rejects(openLedger(path), fails("input", /is not a ledger/, /restore/));
    assert.equal(readFileSync(path, "utf8"), text, "it is left as it was");

    const foreign = join(folder, "foreign.sqlite");
    const database = new DatabaseSync(foreign);
    database.exec("create table cats (name text)");
    database.close();
    const before = readFileSync(foreign);
    await assert.rejects(openLedger(foreign), fails("input", /another program/, /nothing was written/));
    assert.deepEqual(readFileSync(foreign), before);

    await assert.rejects(openLedger(folder), fails("outside", /cannot open/));
  });
});

test("a ledger of a newer bitforbit is refused and left alone", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "ledger.sqlite");
    await (await openLedger(path)).close();
    const database = new DatabaseSync(path);
    database.exec("pragma user_version = 99");
    database.close();
    const before = readFileSync(path);
    await assert.rejects(openLedger(path), fails("input", /schema 99/, /newer/));
    assert.deepEqual(readFileSync(path), before);
  });
});

async function isSound(path: string, head: Head): Promise<boolean> {
  try {
    const ledger = await openLedger(path);
    try {
      return (await ledger.audit([head])).ok;
    } finally {
      await ledger.close();
    }
  } catch (error) {
    assert.match((error as Error).message, /damaged/);
    return false;
  }
}

test("a ledger cut off anywhere is an error or whole, never silently shorter", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "ledger.sqlite");
    const ledger = await openLedger(path);
    await ledger.recordAll(
      Array.from({ length: 300 }, (_, n) => event("log", { at: n * DAY }, { n, text: "x".repeat(200) })),
    );
    const head = await ledger.head();
    assert.ok(head);
    await ledger.close();
    const size = statSync(path).size;
    for (const keep of [0, 1, 50, 100, 4_096, 5_000, size / 2, size - 4_096, size - 1]) {
      const cut = join(folder, `cut-${keep}.sqlite`);
      copyFileSync(path, cut);
      truncateSync(cut, Math.floor(keep));
      await assert.rejects(
        openLedger(cut),
        fails("input", /damaged or cut off|no SQLite database/, /restore/),
        `${keep}`,
      );
    }
    for (const n of [0, 77, 299]) {
      const bytes = readFileSync(path, "latin1").replaceAll(`"n":${n},`, `"N":${n},`);
      const hurt = join(folder, `hurt-${n}.sqlite`);
      writeFileSync(hurt, bytes, "latin1");
      assert.equal(statSync(hurt).size, size);
      assert.equal(await isSound(hurt, head), false, `row ${n}`);
    }
  });
});

test("what is in the write-ahead log only is there; a torn last frame is not taken for a record", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "ledger.sqlite");
    const ledger = await openLedger(path);
    for (let n = 1; n <= 20; n++) await ledger.record(event("log", { at: n }));
    const copy = (name: string): string => {
      const to = join(folder, name);
      copyFileSync(path, to);
      copyFileSync(`${path}-wal`, `${to}-wal`);
      return to;
    };
    const whole = await openLedger(copy("whole.sqlite"));
    assert.equal((await whole.events()).length, 20);
    await whole.close();
    const torn = copy("torn.sqlite");
    truncateSync(`${torn}-wal`, statSync(`${torn}-wal`).size - 100);
    const after = await openLedger(torn);
    assert.equal((await after.events()).length, 19, "the last one was in the frame that is cut");
    assert.equal((await after.audit()).ok, true);
    assert.equal(await after.record(event("log")), 20);
    await after.close();
    await ledger.close();
    assert.equal(existsSync(`${path}-wal`), false, "a closed ledger is one file");
  });
});

test("many at once in one process, over two connections", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "ledger.sqlite");
    const [a, b] = await Promise.all([openLedger(path), openLedger(path)]);
    const ids = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        (n % 2 ? a : b).recordAll([event("log", { at: n }), event("key", { at: n })]),
      ),
    );
    assert.deepEqual(
      ids.flat().sort((x, y) => x - y),
      Array.from({ length: 120 }, (_, n) => n + 1),
    );
    assert.ok(
      ids.every(([first, second]) => (second ?? 0) === (first ?? 0) + 1),
      "a batch stays together",
    );
    assert.deepEqual((await a.audit()).problems, []);
    await Promise.all([a.close(), b.close()]);
  });
});

test("every kind can be recorded", async () => {
  await withLedger(async (ledger) => {
    await ledger.recordAll(EVENT_KINDS.map((kind) => event(kind)));
    assert.deepEqual(
      (await ledger.events()).map(({ kind }) => kind),
      EVENT_KINDS,
    );
  });
});
