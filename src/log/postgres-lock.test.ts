/** The lock of a log in PostgreSQL: its address, and that only who holds it commits. A real server. */
import { strict as assert } from "node:assert";
import { join } from "node:path";
import test from "node:test";
import { leavesOf, scratch, signerOf } from "../../test/logs.ts";
import { postgres } from "../../test/postgres.ts";
import { BitforbitError } from "../errors.ts";
import { PostgresLock } from "./postgres-lock.ts";
import { parsePostgresPlace } from "./postgres-place.ts";
import { openLog } from "./writer.ts";
import { type Held, nameLock } from "./writer-lock.ts";

const signer = signerOf("locked");

test("addresses of a lock: what they mean, and that no password is ever repeated", () => {
  const place = parsePostgresPlace("postgres://ann@db.example/log");
  assert.deepEqual(
    [place.host, place.port, place.database, place.user, place.tls, place.text],
    ["db.example", 5432, "log", "ann", {}, "postgresql://ann@db.example:5432/log"],
  );
  assert.equal(parsePostgresPlace("postgresql://localhost/log").tls, undefined);
  assert.equal(parsePostgresPlace("postgresql://[::1]:6000/log").host, "::1");
  const socket = parsePostgresPlace("postgresql://ann@localhost/log?host=/run/postgresql");
  assert.equal(socket.host, "/run/postgresql");
  for (const text of [place.text, socket.text, "postgresql://[::1]:6000/log"]) {
    assert.equal(parsePostgresPlace(text).text, text, "one text for one place");
  }
  for (const [bad, message] of [
    ["mysql://db/log", /no such address/],
    ["postgresql://db", /no database/],
    ["postgresql://db/a/b", /no database/],
    ["postgresql://db/log?sslmode=prefer", /neither "verify-full" nor "disable"/],
    ["postgresql://db/log?options=-c", /"options" is not known/],
    ["postgresql://db/log?host=a&host=b", /given twice/],
    ["postgresql://db:70000/log", /no such address|the port/],
    ["postgresql://db/%zz", /percent-encoded/],
    ["postgresql://ann:s3cret@db/log", /has a password/],
    ["postgresql://db/log?password=s3cret", /has a password/],
  ] as const) {
    assert.throws(
      () => parsePostgresPlace(bad),
      (error) => error instanceof BitforbitError && message.test(error.message) && !/s3cret/.test(String(error.hint)),
      bad,
    );
  }
});

const log = { origin: "locked.example", keyHash: Buffer.alloc(32, 7) };
const head = (size: number): { size: number; root: Uint8Array } => ({ size, root: new Uint8Array(32).fill(size) });

test(
  "only who holds the lock commits; who lost its session does not, whatever it believes",
  { timeout: 120_000 },
  async (t) => {
    const server = postgres(t);
    if ("skip" in server) return t.skip(server.skip);
    const place = parsePostgresPlace(server.url);
    const lock = (): PostgresLock => new PostgresLock(place, { waitMilliseconds: 0 });
    let zombie: Held | undefined;
    await lock().asWriter(log, async (held) => {
      zombie = held;
      assert.equal(held.committed, undefined);
      await held.commit(head(1));
      await assert.rejects(
        lock().asWriter(log, async () => undefined),
        { code: "conflict" },
      );
    });
    await assert.rejects(async () => await zombie?.commit(head(2)), { code: "outside" }, "its session is closed");
    await lock().asWriter(log, async (first) => {
      assert.deepEqual(first.committed, head(1));
      server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bitforbit log'");
      await new PostgresLock(place).asWriter(log, async (second) => {
        assert.equal(Number(second.epoch), Number(first.epoch) + 1);
        await second.commit(head(5));
        await assert.rejects(first.commit(head(2)), { code: "outside" });
        await assert.rejects(first.confirm(), { code: "outside" });
        await second.confirm();
        // Even the lock without the epoch is not enough: somebody else wrote the row.
        server.sql("UPDATE bitforbit_log_writer SET epoch = epoch + 1");
        await assert.rejects(second.commit(head(6)), /another process became the writer/);
      });
    });
    assert.equal(server.sql("SELECT size FROM bitforbit_log_writer"), "5");
  },
);

test(
  "a log goes under a lock and stays there: nobody writes it without, or under another",
  { timeout: 120_000 },
  async (t) => {
    const server = postgres(t);
    if ("skip" in server) return t.skip(server.skip);
    const folder = join(scratch(t), "log");
    const before = await openLog(folder, signer);
    await before.appendAll(leavesOf(300, "before"));
    const place = parsePostgresPlace(server.url);
    await nameLock(folder, place.text);
    await assert.rejects(nameLock(folder, "postgresql://other/log"), { code: "conflict" });
    await assert.rejects(openLog(folder, signer), { code: "refused" });
    await assert.rejects(
      before.appendAll(leavesOf(1)),
      { code: "refused" },
      "one that was open before is refused, too",
    );
    const open = async (): ReturnType<typeof openLog> =>
      await openLog(folder, signer, { lock: new PostgresLock(place) });
    const [one, two] = [await open(), await open()];
    await Promise.all([one, two].map(async (each, at) => await each.appendAll(leavesOf(250, `of ${at}`))));
    await one.settled();
    await two.settled();
    assert.equal((await one.checkpoint()).size, 800);
    assert.deepEqual((await two.audit()).problems, []);
    assert.equal(server.sql("SELECT size FROM bitforbit_log_writer"), "800");
  },
);

test("a folder or a database that was restored from an older copy", { timeout: 120_000 }, async (t) => {
  const server = postgres(t);
  if ("skip" in server) return t.skip(server.skip);
  const folder = join(scratch(t), "log");
  const lock = new PostgresLock(parsePostgresPlace(server.url));
  await (await openLog(folder, signer, { lock })).appendAll(leavesOf(3));
  const row = server.sql("SELECT encode(root, 'hex') FROM bitforbit_log_writer");
  const written = await openLog(folder, signer, { lock });
  await written.appendAll(leavesOf(2, "more"));
  await written.settled();
  server.sql(`UPDATE bitforbit_log_writer SET size = 3, root = '\\x${row}'`);
  await (await openLog(folder, signer, { lock })).appendAll(leavesOf(1, "after the database went back"));
  assert.equal((await written.checkpoint()).size, 6, "the folder is ahead, and starts with what the row says");
  server.sql("UPDATE bitforbit_log_writer SET size = 9");
  await assert.rejects(openLog(folder, signer, { lock }), /lacks what makes the 9 entries/);
  server.sql(`UPDATE bitforbit_log_writer SET size = 3, root = '\\x${"00".repeat(32)}'`);
  await assert.rejects(openLog(folder, signer, { lock }), /do not start with the 3/);
  assert.equal((await written.checkpoint()).size, 6, "nothing was signed");
});
