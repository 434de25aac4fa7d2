/** The ledger when processes die, when two record at once, and when the disk refuses. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { BitforbitError } from "../errors.ts";
import { openLedger } from "./ledger.ts";

const LEDGER_URL = new URL("ledger.ts", import.meta.url).href;
const root = process.getuid?.() === 0;

/** A process that records batches of three events and prints their ids once it was told that they are recorded. */
function recorder(path: string, name: string, batches: number, wrapper: readonly string[] = []) {
  const code = `
    import { openLedger } from ${JSON.stringify(LEDGER_URL)};
    import { writeSync } from "node:fs";
    try {
      const ledger = await openLedger(${JSON.stringify(path)});
      const event = (n, part) => ({ kind: "log", at: n, ok: true, project: ${JSON.stringify(name)}, data: { n, part } });
      for (let n = 0; n < ${batches}; n++) {
        const ids = await ledger.recordAll([event(n, 0), event(n, 1), event(n, 2)]);
        writeSync(1, ids.join(" ") + " " + n + "\\n");
      }
      await ledger.close();
    } catch (error) { writeSync(1, "error " + (error.code ?? error) + " " + error.message + "\\n"); process.exitCode = 9; }`;
  const [program, ...args] = [...wrapper, process.execPath, "--input-type=module", "--eval", code];
  return spawn(program ?? "", args, { stdio: ["ignore", "pipe", "inherit"] });
}

interface Recorded {
  ids: number[];
  n: number;
}

async function outcome(child: ReturnType<typeof recorder>): Promise<{ recorded: Recorded[]; errors: string[] }> {
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  await new Promise((resolve) => child.on("close", resolve));
  const lines = out.split("\n").filter((line) => line !== "");
  const recorded = lines.flatMap((line) => {
    const numbers = line.split(" ").map(Number);
    return numbers.length === 4 && numbers.every(Number.isInteger)
      ? [{ ids: numbers.slice(0, 3), n: numbers[3] ?? 0 }]
      : [];
  });
  return { recorded, errors: lines.filter((line) => line.startsWith("error")) };
}

/** Everything acknowledged is there with its id, batches are whole, the chain holds, and recording goes on. */
async function assertIntact(path: string, project: string, recorded: readonly Recorded[]): Promise<void> {
  const ledger = await openLedger(path);
  const events = await ledger.events();
  for (const { ids, n } of recorded) {
    for (const [part, id] of ids.entries()) {
      const found = events[id - 1];
      assert.deepEqual([found?.id, found?.project, found?.data], [id, project, { n, part }]);
    }
  }
  assert.equal(events.filter((event) => event.kind === "log").length % 3, 0, "a batch is there wholly or not at all");
  assert.deepEqual((await ledger.audit()).problems, []);
  await ledger.record({ kind: "store", at: 1, ok: true, data: {} });
  await ledger.close();
}

async function withPath(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ledger-crash-"));
  try {
    await work(join(folder, "ledger.sqlite"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("killed at any moment, again and again: nothing acknowledged is lost", async () => {
  await withPath(async (path) => {
    let all = 0;
    for (let round = 0; round < 4; round++) {
      const child = recorder(path, `round ${round}`, 100_000);
      const ended = outcome(child);
      await new Promise((resolve) => child.stdout.once("data", resolve));
      await new Promise((resolve) => setTimeout(resolve, [0, 7, 41, 113][round]));
      child.kill("SIGKILL");
      const { recorded } = await ended;
      all += recorded.length;
      await assertIntact(path, `round ${round}`, recorded);
    }
    assert.ok(all >= 4, `only ${all} batches in all rounds`);
  });
});

test("three processes at once, from the first opening on: every batch of each, in one chain", async () => {
  await withPath(async (path) => {
    const names = ["a", "b", "c"];
    const outcomes = await Promise.all(names.map(async (name) => await outcome(recorder(path, name, 60))));
    for (const [at, { recorded, errors }] of outcomes.entries()) {
      assert.deepEqual(errors, []);
      assert.equal(recorded.length, 60);
      await assertIntact(path, names[at] ?? "", recorded);
    }
    const ids = outcomes.flatMap(({ recorded }) => recorded.flatMap((one) => one.ids)).sort((x, y) => x - y);
    assert.deepEqual(
      ids,
      Array.from({ length: 540 }, (_, n) => n + 1),
    );
  });
});

const strace = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0;

/** System calls of SQLite while it opens, records eight batches and closes; the n-th of them is hit. */
const FAULTS: readonly string[] = [
  "pwrite64:signal=KILL:when=2",
  "pwrite64:signal=KILL:when=25",
  "fsync:signal=KILL:when=9",
  "fsync:error=EIO:when=8",
  "pwrite64:error=EIO:when=30",
  "pwrite64:error=ENOSPC:when=30",
];

test(
  "killed or failed at a chosen system call: what was acknowledged stays, and the next run records on",
  { skip: strace ? false : "strace is not installed, or may not trace here" },
  async () => {
    const cases = [...FAULTS];
    const missed: string[] = [];
    const lane = async (): Promise<void> => {
      for (let one = cases.pop(); one !== undefined; one = cases.pop()) if (!(await struck(one))) missed.push(one);
    };
    await Promise.all([lane(), lane()]);
    assert.deepEqual(missed, [], "each fault must have struck, or the table is out of date");
  },
);

async function struck(injection: string): Promise<boolean> {
  let hit = false;
  await withPath(async (path) => {
    const quick = injection.includes("signal") ? [] : ["--seccomp-bpf"]; // strace 6.1 forgets signals under it
    const trace = `trace=${injection.split(":")[0]}`;
    const wrapper = ["strace", "-f", ...quick, "-qq", "-o", "/dev/null", "-e", trace, "-e", `inject=${injection}`];
    const { recorded, errors } = await outcome(recorder(path, "struck", 8, wrapper));
    hit = recorded.length < 8;
    if (injection.includes("error")) assert.equal(errors.length, hit ? 1 : 0, injection);
    if (injection.includes("ENOSPC")) assert.match(errors.join(), /^error outside no space left/);
    await assertIntact(path, "struck", recorded);
  });
  return hit;
}

test(
  "a full disk: an error that says so, nothing lost, and on it goes when there is room",
  { skip: root ? false : "mounting a small disk needs root" },
  async (t) => {
    const disk = await mkdtemp(join(tmpdir(), "ledger-disk-"));
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]).status !== 0) {
      await rm(disk, { recursive: true });
      t.skip("this machine lets nobody mount");
      return;
    }
    try {
      const ledger = await openLedger(join(disk, "ledger.sqlite"));
      let last = 0;
      const fill = async (): Promise<void> => {
        for (let n = 0; n < 1_000; n++) {
          last = await ledger.record({ kind: "log", at: n, ok: true, data: { text: "x".repeat(4_000) } });
        }
      };
      await assert.rejects(
        fill(),
        (error) => error instanceof BitforbitError && error.code === "outside" && /space/.test(error.message),
      );
      assert.ok(last > 3);
      assert.equal((await ledger.events()).length, last);
      assert.deepEqual((await ledger.audit()).problems, []);
      spawnSync("mount", ["-o", "remount,size=8m", disk]);
      assert.equal(
        await ledger.record({ kind: "log", at: 1, ok: true, data: {} }),
        last + 1,
        "with the same ledger, still open",
      );
      await ledger.close();
      const again = await openLedger(join(disk, "ledger.sqlite"));
      assert.equal((await again.audit()).events, last + 1);
      await again.close();
    } finally {
      spawnSync("umount", [disk]);
      await rm(disk, { recursive: true });
    }
  },
);

test("no right to write: an error that says so", { skip: root ? false : "changing users needs root" }, async () => {
  await withPath(async (path) => {
    const ledger = await openLedger(path);
    await ledger.record({ kind: "log", at: 1, ok: true, data: {} });
    await ledger.close();
    chmodSync(join(path, ".."), 0o755);
    const code = `
      import { openLedger } from ${JSON.stringify(LEDGER_URL)};
      process.setgid(65534); process.setuid(65534);
      const failed = async (work) => await work().then(() => "no error", (error) => error.code + " " + error.hint);
      console.log(await failed(async () => {
        const ledger = await openLedger(${JSON.stringify(path)});
        await ledger.record({ kind: "log", at: 1, ok: true, data: {} });
      }));
      console.log(await failed(() => openLedger(${JSON.stringify(join(path, "..", "new", "ledger.sqlite"))})));`;
    const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
    assert.equal(ran.stderr.toString(), "");
    for (const line of ran.stdout.toString().trim().split("\n")) assert.match(line, /^outside .*write/);
  });
});
