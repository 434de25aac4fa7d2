/** `log serve` on several machines: two processes over one folder, one PostgreSQL, and all that can happen to them. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { bitforbit } from "./command.ts";
import { scratch } from "./logs.ts";
import { postgres } from "./postgres.ts";

const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = p256.publicKey.export({ format: "der", type: "spki" });

function requestFor(message: string): string {
  const digest = createHash("sha256").update(message).digest("base64");
  const content = sign("sha256", Buffer.from(message), p256.privateKey).toString("base64");
  const verifier = { publicKey: { rawBytes: spki.toString("base64") }, keyDetails: "PKIX_ECDSA_P256_SHA_256" };
  return JSON.stringify({ hashedRekordRequestV002: { digest, signature: { content, verifier } } });
}

interface Serving {
  child: ChildProcess;
  url: string;
  /** What it says to people. */
  said(): string;
  ended: Promise<number | null>;
}

async function serve(t: TestContext, home: string, ...more: string[]): Promise<Serving> {
  const words = ["log", "serve", "--home", home, "--port", "0", "--rate", "100000", "--json", ...more];
  const child = spawn(process.execPath, [resolve("src/cli/main.ts"), ...words], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  const ended = new Promise<number | null>((done) => child.on("close", done));
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  let told = "";
  await new Promise<void>((ready, failed) => {
    child.stdout.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      if (told.endsWith("}\n")) ready();
    });
    child.on("close", () => failed(new Error(`it ended: ${said}`)));
  });
  const { url } = JSON.parse(told) as { url: string };
  return { child, url, said: () => said, ended };
}

/** Adds one entry: its index, or the status that refused it, or 0 for no answer. */
async function add(url: string, message: string): Promise<{ index?: number; body?: string; status: number }> {
  try {
    const signal = AbortSignal.timeout(5000);
    const answer = await fetch(`${url}/api/v2/log/entries`, { method: "POST", body: requestFor(message), signal });
    if (answer.status !== 201) return { status: answer.status };
    const { logIndex, canonicalizedBody } = (await answer.json()) as { logIndex: string; canonicalizedBody: string };
    return { status: 201, index: Number(logIndex), body: canonicalizedBody };
  } catch {
    return { status: 0 };
  }
}

/** What was acknowledged, by index: never two entries under one. */
class Acknowledged {
  readonly entries = new Map<number, string>();
  #count = 0;

  /** Adds entries to whichever takes them, until `enough` were taken by it. */
  async through(urls: readonly string[], enough: number): Promise<string> {
    const taken = new Map<string, number>();
    for (;;) {
      for (const url of urls) {
        const { index, body } = await add(url, `entry ${this.#count++}`);
        if (index === undefined || body === undefined) continue;
        assert.ok(!this.entries.has(index), `index ${index} was given out twice`);
        this.entries.set(index, body);
        const count = (taken.get(url) ?? 0) + 1;
        taken.set(url, count);
        if (count >= enough) return url;
      }
      await pause(20);
    }
  }
}

async function assertWhole(folder: string, home: string, { entries }: Acknowledged): Promise<void> {
  const ran = await bitforbit(folder, ["log", "fsck", "--home", home, "--json"]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  const exported = await bitforbit(folder, ["log", "export", "--entries", "--home", home, "--json"]);
  const document = JSON.parse(exported.stdout) as { entries: { index: number; entry: string }[] };
  const held = new Map(document.entries.map(({ index, entry }) => [index, entry]));
  for (const [index, body] of entries)
    assert.equal(held.get(index), body, `entry ${index} is another than was acknowledged`);
}

test("two servers on one folder: killed, stopped, cut off, without database", { timeout: 300_000 }, async (t) => {
  const database = postgres(t);
  if ("skip" in database) return t.skip(database.skip);
  const folder = scratch(t);
  const home = join(folder, "home");
  mkdirSync(home);
  const got = new Acknowledged();
  const lock = ["--lock", database.url];
  const servers = [await serve(t, home, ...lock, "--origin", "log.example"), await serve(t, home, ...lock)];
  const urls = (): string[] => servers.map(({ url }) => url);
  const of = (url: string): number => servers.findIndex((server) => server.url === url);
  const writes = async (): Promise<number> => of(await got.through(urls(), 3));

  await t.test("one writes, the other stands by and serves what is written", async () => {
    const writer = await writes();
    const standby = servers[1 - writer];
    assert.deepEqual(await add(standby?.url ?? "", "refused"), { status: 503 });
    assert.match(await (await fetch(`${standby?.url}/checkpoint`)).text(), /^log\.example\n/);
  });

  await t.test("the writer is killed in the middle of appends: the other takes over", async () => {
    const writer = await writes();
    const [dead, alive] = [servers[writer], servers[1 - writer]];
    const flood = Array.from({ length: 40 }, async (_, at) => await add(dead?.url ?? "", `flood ${at}`));
    setImmediate(() => dead?.child.kill("SIGKILL"));
    for (const { index, body } of await Promise.all(flood)) {
      if (index !== undefined && body !== undefined) got.entries.set(index, body);
    }
    await got.through([alive?.url ?? ""], 3);
    await assertWhole(folder, home, got);
    servers[writer] = await serve(t, home);
  });

  await t.test("the writer is stopped until the other took over, and goes on: it adds nothing", async () => {
    const writer = await writes();
    const [stopped, other] = [servers[writer], servers[1 - writer]];
    const flood = Array.from({ length: 40 }, async (_, at) => await add(stopped?.url ?? "", `stopped ${at}`));
    stopped?.child.kill("SIGSTOP");
    await got.through([other?.url ?? ""], 30);
    stopped?.child.kill("SIGCONT");
    for (const { index, body } of await Promise.all(flood)) {
      if (index !== undefined && body !== undefined) got.entries.set(index, body);
    }
    assert.deepEqual(await add(stopped?.url ?? "", "too late"), { status: 503 });
    await got.through([other?.url ?? ""], 3);
    await assertWhole(folder, home, got);
  });

  await t.test("the session of the writer is ended by the server: nothing is lost, somebody goes on", async () => {
    await writes();
    database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bitforbit log'");
    await writes();
    await assertWhole(folder, home, got);
  });

  await t.test("a build's single append is let in between, and no writer without the lock is", async () => {
    writeFileSync(join(folder, "artifact"), "an artifact\n");
    writeFileSync(join(folder, "tests.json"), JSON.stringify({ result: "PASSED", configuration: [] }));
    const words = [
      "attest",
      "artifact",
      "--type",
      "test-result",
      "--predicate",
      "tests.json",
      "--home",
      home,
      "--json",
    ];
    const ran = await bitforbit(folder, words);
    assert.equal(ran.code, 0, ran.stderr);
    await writes();
    await assertWhole(folder, home, got);
  });

  await t.test("the database goes down: 503 and nothing acknowledged, until it is back", async () => {
    await writes();
    const before = readFileSync(join(home, "log", "checkpoint"), "utf8");
    database.stop();
    for (const url of urls()) {
      const { status } = await add(url, "while it is down");
      assert.equal(status, 503);
    }
    assert.equal(readFileSync(join(home, "log", "checkpoint"), "utf8").split("\n")[1], before.split("\n")[1]);
    const late = await bitforbit(folder, ["log", "serve", "--home", home, "--port", "0"]);
    assert.equal(late.code, 4, late.stderr);
    assert.match(late.stderr, /the lock of the log cannot be had from PostgreSQL at .*\n.*start the server/);
    database.start();
    await writes();
    await assertWhole(folder, home, got);
  });

  for (const { child, ended } of servers) {
    child.kill("SIGTERM");
    assert.equal(await ended, 0);
  }
  const { root, size } = JSON.parse((await bitforbit(folder, ["log", "show", "--home", home, "--json"])).stdout) as {
    root: string;
    size: number;
  };
  const row = database.sql("SELECT size || ' ' || encode(root, 'base64') FROM bitforbit_log_writer");
  assert.equal(row, `${size} ${root}`, "the database has the tree that was published");
  t.diagnostic(`${got.entries.size} entries were acknowledged`);
});

test("a lock that is no address, has a password, or is another than the log's", { timeout: 60_000 }, async (t) => {
  const folder = scratch(t);
  mkdirSync(join(folder, "home"));
  const run = async (lock: string): Promise<{ code: number | null; stderr: string }> =>
    await bitforbit(folder, ["log", "serve", "--home", "home", "--port", "0", "--lock", lock]);
  for (const [lock, code, message] of [
    ["mysql://db/log", 2, /not the address of a lock in PostgreSQL/],
    ["postgresql://ann:s3cret@localhost/log", 2, /has a password in it/],
    [`postgresql://ann@localhost/log?host=${folder}`, 4, /cannot be had from PostgreSQL/],
    ["postgresql://ann@other.example/log", 2, /is written under the lock at/],
  ] as const) {
    const ran = await run(lock);
    assert.equal(ran.code, code, `${lock}: ${ran.stderr}`);
    assert.match(ran.stderr, message);
    assert.doesNotMatch(ran.stderr, /s3cret/);
  }
});
