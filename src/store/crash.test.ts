/** The store when processes die, when two write at once, and when the disk refuses. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { writeAll } from "./blobs.ts";
import { openStore, type Store } from "./store.ts";

const STORE_URL = new URL("store.ts", import.meta.url).href;
const root = process.getuid?.() === 0;

/**
 * A process that stores artifacts `from`, `from` + 1, … with a bundle each, and
 * prints each number once it was told that they are stored; errors it prints as
 * their code. One thread for file operations, so that strace counts them in order.
 */
function writer(folder: string, from: number, count: number, wrapper: readonly string[] = []) {
  const code = `
    import { openStore } from ${JSON.stringify(STORE_URL)};
    import { writeSync } from "node:fs";
    const say = (text) => writeSync(1, text + "\\n");
    try {
      const store = await openStore(${JSON.stringify(folder)});
      for (let n = ${from}; n < ${from + count}; n++) {
        const { digest } = await store.putArtifact({ content: { bytes: Buffer.from("artifact " + n) }, name: "a" + n, tag: "t" + n });
        await store.attach(digest, Buffer.from("bundle " + n), "p", { created: n * 1000 });
        say(String(n));
      }
    } catch (error) { say("error " + (error.code ?? error)); process.exitCode = 9; }`;
  const [program, ...args] = [...wrapper, process.execPath, "--input-type=module", "--eval", code];
  return spawn(program ?? "", args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
  });
}

async function outcome(
  child: ReturnType<typeof writer>,
): Promise<{ stored: number[]; errors: string[]; stderr: string }> {
  let out = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await new Promise((resolve) => child.on("close", resolve));
  const lines = out.split("\n").filter((line) => line !== "");
  return {
    stored: lines.filter((line) => /^\d+$/.test(line)).map(Number),
    errors: lines.filter((line) => line.startsWith("error")),
    stderr,
  };
}

const artifactOf = (n: number): Digest => digestOf(`artifact ${n}`);

/** Everything acknowledged is there, nothing is broken, and work goes on. */
async function assertIntact(folder: string, stored: readonly number[]): Promise<Store> {
  const store = await openStore(folder);
  for (const n of stored) {
    assert.equal((await store.artifact(artifactOf(n)))?.name, `a${n}`, `artifact ${n} was acknowledged`);
    assert.equal(await store.resolve(`t${n}`), artifactOf(n));
    const [referrer] = await store.referrers(artifactOf(n));
    assert.deepEqual(await referrer?.bundle(), utf8(`bundle ${n}`), `its bundle too`);
  }
  assert.deepEqual((await store.fsck()).problems, []);
  const { digest } = await store.putArtifact({ content: { bytes: utf8("afterwards") }, name: "afterwards" });
  await store.attach(digest, utf8("bundle"), "p");
  return store;
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "store-crash-"));
  try {
    await work(join(folder, "store"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("killed at any moment, again and again: nothing acknowledged is lost", async () => {
  await withFolder(async (folder) => {
    const stored: number[] = [];
    for (let round = 0; round < 4; round++) {
      const child = writer(folder, round * 1_000, 1_000);
      const ended = outcome(child);
      await new Promise((resolve) => child.stdout.once("data", resolve));
      // Another moment in each round: primes, so that they fall anywhere in a write of some milliseconds.
      await new Promise((resolve) => setTimeout(resolve, [0, 23, 61, 149][round]));
      child.kill("SIGKILL");
      stored.push(...(await ended).stored);
    }
    assert.ok(stored.length >= 4, `only ${stored.length} were stored in all rounds`);
    await assertIntact(folder, stored);
  });
});

test("two processes at once: both get everything in", async () => {
  await withFolder(async (folder) => {
    const [a, b, same] = await Promise.all([
      outcome(writer(folder, 0, 12)),
      outcome(writer(folder, 100, 12)),
      outcome(writer(folder, 0, 12)),
    ]);
    assert.deepEqual([a.errors, b.errors, same.errors], [[], [], []]);
    assert.deepEqual([a.stored.length, b.stored.length, same.stored.length], [12, 12, 12]);
    const store = await assertIntact(folder, [...a.stored, ...b.stored]);
    assert.equal((await store.artifacts()).length, 25);
    assert.equal((await store.referrers(artifactOf(3))).length, 1, "the same bundle from both is one");
  });
});

const strace = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0;

/**
 * Where the n-th call of a kind stands in one putArtifact + attach. rename:
 * 1 artifact, 2 its manifest, 3 index.json, 4 bundle, 5 its manifest, 6 referrers
 * index, 7 index.json. fsync: the file before each rename and the folder after
 * it, with one more of the folder (3) for the empty config, which is there.
 */
const FAULTS: readonly string[] = [
  "rename:signal=KILL:when=3",
  "rename:signal=KILL:when=6",
  "rename:signal=KILL:when=7",
  "fsync:signal=KILL:when=13",
  "fsync:error=EIO:when=4",
  "fsync:error=EIO:when=7", // index.json failed, but persisted: the second try must not mind
  "fsync:error=EIO:when=15",
  "rename:error=ENOSPC:when=7",
];

/** Whether the fault struck before all was done. */
async function struck(injection: string): Promise<boolean> {
  let hit = false;
  await withFolder(async (folder) => {
    const before = await openStore(folder);
    const { digest } = await before.putArtifact({ content: { bytes: utf8("artifact 7") }, name: "a7", tag: "t7" });
    await before.attach(digest, utf8("bundle 7"), "p");
    const trace = `trace=${injection.split(":")[0]}`;
    const quick = injection.includes("signal") ? [] : ["--seccomp-bpf"]; // strace 6.1 forgets signals under it
    const wrapper = ["strace", "-f", ...quick, "-qq", "-o", "/dev/null", "-e", trace, "-e", `inject=${injection}`];
    const result = await outcome(writer(folder, 8, 1, wrapper));
    hit = result.stored.length === 0;
    if (injection.includes("error")) assert.equal(result.errors.length, hit ? 1 : 0, `${injection}: ${result.stderr}`);
    const store = await assertIntact(folder, [7, ...result.stored]);
    const again = await store.putArtifact({ content: { bytes: utf8("artifact 8") }, name: "a8", tag: "t8" });
    await store.attach(again.digest, utf8("bundle 8"), "p");
    await assertIntact(folder, [7, 8]);
  });
  return hit;
}

test(
  "killed or failed at a chosen system call: what was acknowledged stays, and a second try succeeds",
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

/** A process that attaches two bundles to each of three artifacts in one change. */
function batchWriter(folder: string, wrapper: readonly string[]): ReturnType<typeof writer> {
  const code = `
    import { openStore } from ${JSON.stringify(STORE_URL)};
    import { writeSync } from "node:fs";
    try {
      const store = await openStore(${JSON.stringify(folder)});
      const all = [];
      for (const { digest } of await store.artifacts())
        for (const n of [1, 2]) all.push({ artifact: digest, bundle: Buffer.from(digest + n), predicateType: "p" + n });
      await store.attachAll(all);
      writeSync(1, "1\\n");
    } catch (error) { writeSync(1, "error " + (error.code ?? error) + "\\n"); process.exitCode = 9; }`;
  const [program = "", ...args] = [...wrapper, process.execPath, "--input-type=module", "--eval", code];
  return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, UV_THREADPOOL_SIZE: "1" } });
}

/** rename: 1–6 bundles, 7–12 manifests, 13–15 referrers indexes, 16 index.json. */
const BATCH_FAULTS: readonly [injection: string, attached: boolean][] = [
  ["rename:signal=KILL:when=4", false],
  ["rename:signal=KILL:when=9", false],
  ["rename:signal=KILL:when=15", false],
  ["rename:signal=KILL:when=16", false],
  ["rename:error=ENOSPC:when=14", false],
  ["rename:error=ENOSPC:when=16", false],
  ["rename:error=EIO:when=17", true],
];

test(
  "a batch of attestations: all of them or none, whatever call is the last, and a second try gives each once",
  { skip: strace ? false : "strace is not installed, or may not trace here" },
  async () => {
    for (const [injection, attached] of BATCH_FAULTS) {
      await withFolder(async (folder) => {
        const store = await openStore(folder);
        const digests: Digest[] = [];
        for (const n of [1, 2, 3]) {
          const { digest } = await store.putArtifact({ content: { bytes: utf8(`artifact ${n}`) }, name: `a${n}` });
          digests.push(digest);
        }
        const counts = async (): Promise<number[]> =>
          await Promise.all(digests.map(async (digest) => (await store.referrers(digest)).length));
        const quick = injection.includes("signal") ? [] : ["--seccomp-bpf"];
        const trace = ["strace", "-f", ...quick, "-qq", "-o", "/dev/null", "-e", "trace=rename"];
        const { stored } = await outcome(batchWriter(folder, [...trace, "-e", `inject=${injection}`]));
        assert.equal(stored.length, attached ? 1 : 0, `${injection} struck elsewhere: the table is out of date`);
        assert.deepEqual(await counts(), attached ? [2, 2, 2] : [0, 0, 0], injection);
        assert.deepEqual((await store.fsck()).problems, []);
        assert.deepEqual((await outcome(batchWriter(folder, []))).errors, []);
        assert.deepEqual(await counts(), [2, 2, 2], injection);
      });
    }
  },
);

test(
  "a full disk: an error that says so, nothing lost, and on it goes when there is room",
  { skip: root ? false : "mounting a small disk needs root" },
  async (t) => {
    const disk = await mkdtemp(join(tmpdir(), "store-disk-"));
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]).status !== 0) {
      await rm(disk, { recursive: true });
      t.skip("this machine lets nobody mount");
      return;
    }
    try {
      const folder = join(disk, "store");
      const store = await openStore(folder);
      const put = async (n: number): Promise<void> => {
        const { digest } = await store.putArtifact({
          content: { bytes: utf8(`artifact ${n}`) },
          name: `a${n}`,
          tag: `t${n}`,
        });
        await store.attach(digest, utf8(`bundle ${n}`), "p");
      };
      await put(1);
      const big = join(tmpdir(), `big-${process.pid}`);
      writeFileSync(big, Buffer.alloc(1 << 20, 7));
      await assert.rejects(store.putArtifact({ content: { path: big }, name: "big" }), isOutside);
      rmSync(big);
      assert.deepEqual((await store.fsck()).unreferenced, [], "the half-written part is gone");
      const stored = [1];
      const error: unknown = await (async () => {
        for (let n = 2; n < 1_000; n++) {
          await put(n);
          stored.push(n);
        }
      })().catch((thrown: unknown) => thrown);
      assert.ok(isOutside(error), String(error));
      assert.ok(stored.length > 3);
      assert.deepEqual((await (await openStore(folder)).fsck()).problems, []);
      spawnSync("mount", ["-o", "remount,size=4m", disk]);
      await assertIntact(folder, stored);
    } finally {
      spawnSync("umount", [disk]);
      await rm(disk, { recursive: true });
    }
  },
);

function isOutside(error: unknown): boolean {
  return error instanceof BitforbitError && error.code === "outside" && /space/.test(`${error.message} ${error.hint}`);
}

test(
  "no right to write: an error that says so, and reading works",
  { skip: root ? false : "changing users needs root" },
  async () => {
    await withFolder(async (folder) => {
      const store = await openStore(folder);
      const { digest } = await store.putArtifact({ content: { bytes: utf8("artifact 1") }, name: "a1", tag: "t1" });
      await store.attach(digest, utf8("bundle 1"), "p");
      chmodSync(join(folder, ".."), 0o755);
      const code = `
      import { openStore } from ${JSON.stringify(STORE_URL)};
      process.setgid(65534); process.setuid(65534);
      const store = await openStore(${JSON.stringify(folder)});
      const [one] = await store.artifacts();
      const [referrer] = await store.referrers(one.digest);
      const bundle = Buffer.from(await referrer.bundle()).toString();
      const error = await store.putArtifact({ content: { bytes: Buffer.from("x") }, name: "x" }).catch((e) => e);
      console.log(JSON.stringify([one.name, bundle, error.code, error.hint]));`;
      const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
      assert.equal(ran.stderr.toString(), "");
      const [name, bundle, errorCode, hint] = JSON.parse(ran.stdout.toString()) as string[];
      assert.deepEqual([name, bundle, errorCode], ["a1", "bundle 1", "outside"]);
      assert.match(hint ?? "", /right to write/);
    });
  },
);

test("a disk that takes bytes in small parts gets all of them; one that takes none is an error", async () => {
  const taken: number[] = [];
  const slow = (most: number) => ({
    write: async (bytes: Uint8Array, at: number, length: number) => {
      const bytesWritten = Math.min(most, length);
      taken.push(...bytes.subarray(at, at + bytesWritten));
      return { bytesWritten, buffer: bytes };
    },
  });
  const bytes = utf8("short writes happen");
  await writeAll(slow(5) as Parameters<typeof writeAll>[0], bytes);
  assert.deepEqual(new Uint8Array(taken), bytes);
  await assert.rejects(writeAll(slow(0) as Parameters<typeof writeAll>[0], bytes), /takes no more bytes/);
});
