/**
 * Writers that are stopped at every point, lose the lock meanwhile, and wake up
 * when another has written on: nothing acknowledged is lost, there is one
 * history, and the log stays whole. A real PostgreSQL, real processes.
 */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { leavesOf, scratch, signerOf } from "../../test/logs.ts";
import { type Postgres, postgres } from "../../test/postgres.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { startsWith } from "./mirror.ts";
import { PostgresLock } from "./postgres-lock.ts";
import { parsePostgresPlace } from "./postgres-place.ts";
import { openLog } from "./writer.ts";

const signer = signerOf("zombies");

/** Appends 3 and 300 leaves; stops or ends itself at one step; goes on after it was woken up. */
const PROGRAM = `
import { writeSync } from "node:fs";
import { signerOf } from ${JSON.stringify(new URL("../../test/logs.ts", import.meta.url).href)};
import { PostgresLock } from ${JSON.stringify(new URL("postgres-lock.ts", import.meta.url).href)};
import { parsePostgresPlace } from ${JSON.stringify(new URL("postgres-place.ts", import.meta.url).href)};
import { openLog } from ${JSON.stringify(new URL("writer.ts", import.meta.url).href)};
const say = (...words) => writeSync(1, words.join("\\t") + "\\n");
let steps = 0;
const step = (what) => {
  if (!/^tile\\/(entries|[0-9])\\/[x0-9]*[0-9](\\.p\\/[0-9]+)?$|^[a-z]+$/.test(what)) return;
  say("step", what);
  if (++steps === Number(process.env.AT)) process.kill(process.pid, process.env.SIGNAL);
};
const cosign = async ({ note }) => {
  say("witness", Buffer.from(note).toString("base64"));
  return note;
};
const lock = new PostgresLock(parsePostgresPlace(process.env.LOCK));
const log = await openLog(process.env.LOG, signerOf("zombies"), { step, cosign, lock, origin: "zombies.example" });
for (const [batch, count] of [3, 300].entries()) {
  const leaves = Array.from({ length: count }, (_, at) => "zombie " + batch + " " + at);
  try {
    const proofs = await log.appendAll(leaves.map((leaf) => Buffer.from(leaf)));
    for (const [at, { index }] of proofs.entries()) say("acknowledged", index, leaves[at]);
  } catch (error) {
    say("refused", error.code, error.message);
  }
}
await log.settled();
say("ended");
`;

interface Told {
  steps: string[];
  witnessed: string[];
  acknowledged: [number, string][];
  refused: string[];
}

class Zombie {
  readonly child: ChildProcess;
  #output = "";
  #running = true;
  readonly #closed: Promise<unknown>;

  constructor(t: TestContext, path: string, url: string, at: number, signal: string) {
    this.child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
      env: { ...process.env, LOG: path, LOCK: url, AT: String(at), SIGNAL: signal },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.child.stdout?.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    this.#closed = new Promise((resolve) => this.child.on("close", resolve));
    void this.#closed.then(() => (this.#running = false));
    t.after(() => this.child.kill("SIGKILL"));
  }

  /** Resolves when it has said `steps` steps, the last of which stopped it, or has ended. */
  async stopped(steps: number): Promise<void> {
    while (this.#running && this.told().steps.length < steps) {
      await Promise.race([new Promise((resolve) => this.child.stdout?.once("data", resolve)), this.#closed]);
    }
  }

  async ended(): Promise<Told> {
    await this.#closed;
    return this.told();
  }

  told(): Told {
    const lines = this.#output.split("\n").map((line) => line.split("\t"));
    const of = (kind: string): string[][] => lines.filter(([first]) => first === kind).map(([, ...rest]) => rest);
    return {
      steps: of("step").map(([what = ""]) => what),
      witnessed: of("witness").map(([note = ""]) => Buffer.from(note, "base64").toString()),
      acknowledged: of("acknowledged").map(([index = "", leaf = ""]) => [Number(index), leaf]),
      refused: of("refused").map((words) => words.join(" ")),
    };
  }
}

/** Holds the log against all that was told of it, by whomever. */
async function assertOneHistory(path: string, url: string, told: readonly Told[], what: string): Promise<void> {
  const lock = new PostgresLock(parsePostgresPlace(url));
  const log = await openLog(path, signer, { lock });
  assert.deepEqual((await log.audit()).problems, [], what);
  const seen = new Set<number>();
  for (const [index, leaf] of told.flatMap(({ acknowledged }) => acknowledged)) {
    assert.ok(!seen.has(index), `${what}: index ${index} was given out twice`);
    seen.add(index);
    assert.equal(Buffer.from(await log.entry(index)).toString(), leaf, what);
  }
  const { tree } = await log.newest();
  for (const note of told.flatMap(({ witnessed }) => witnessed)) {
    const checkpoint = openCheckpoint(note, log.verifier);
    assert.ok(
      await startsWith(tree, checkpoint),
      `${what}: a checkpoint of ${checkpoint.size} was signed that is no prefix`,
    );
  }
}

/** What another writer adds while the first one is stopped or dead: enough for full tiles in the place of partial ones. */
async function other(path: string, url: string): Promise<Told> {
  const witnessed: string[] = [];
  const cosign = async ({ note }: { note: string }): Promise<string> => {
    witnessed.push(note);
    return note;
  };
  const lock = new PostgresLock(parsePostgresPlace(url));
  const log = await openLog(path, signer, { lock, cosign, origin: "zombies.example" });
  const leaves = leavesOf(280, "other");
  const proofs = await log.appendAll(leaves);
  await log.settled();
  const acknowledged = proofs.map(({ index }, at): [number, string] => [
    index,
    Buffer.from(leaves[at] ?? []).toString(),
  ]);
  return { steps: [], witnessed, acknowledged, refused: [] };
}

const endSessions = (server: Postgres): string =>
  server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bitforbit log'");

test(
  "stopped after every step, and woken up when another has written: one history",
  { timeout: 600_000 },
  async (t) => {
    const server = postgres(t);
    if ("skip" in server) return t.skip(server.skip);
    const folder = scratch(t);
    const whole = await new Zombie(t, join(folder, "whole", "log"), server.url, 0, "SIGSTOP").ended();
    assert.equal(whole.acknowledged.length, 303);
    const expected =
      "staged committed tile/entries/000.p/3 tile/0/000.p/3 last cosigned confirmed checkpoint tidied".split(" ");
    assert.deepEqual(whole.steps.slice(0, expected.length), expected);
    let refused = 0;
    for (let at = 1; at <= whole.steps.length; at++) {
      const path = join(folder, `stopped-${at}`, "log");
      server.sql("DELETE FROM bitforbit_log_writer");
      const zombie = new Zombie(t, path, server.url, at, "SIGSTOP");
      await zombie.stopped(at);
      const what = `stopped after step ${at}, ${zombie.told().steps.at(-1)}`;
      // As the server does with a session that says nothing, only at once.
      endSessions(server);
      const meanwhile = await other(path, server.url);
      zombie.child.kill("SIGCONT");
      const told = await zombie.ended();
      assert.equal(zombie.child.exitCode, 0, what);
      refused += told.refused.length;
      await assertOneHistory(path, server.url, [meanwhile, told], what);
    }
    assert.ok(refused >= whole.steps.length / 2, `${refused} appends were refused: the lock was taken from it`);
  },
);

test("killed after every step: another takes over, nothing acknowledged is lost", { timeout: 600_000 }, async (t) => {
  const server = postgres(t);
  if ("skip" in server) return t.skip(server.skip);
  const folder = scratch(t);
  for (let at = 1, more = true; more; at++) {
    const path = join(folder, `killed-${at}`, "log");
    server.sql("DROP TABLE IF EXISTS bitforbit_log_writer");
    const zombie = new Zombie(t, path, server.url, at, "SIGKILL");
    const told = await zombie.ended();
    more = zombie.child.signalCode === "SIGKILL";
    const meanwhile = await other(path, server.url);
    await assertOneHistory(path, server.url, [told, meanwhile], `killed after step ${at}, ${told.steps.at(-1)}`);
  }
});
