/** The lock on disk: old or new, whatever happens while it is written. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Lock } from "./lock.ts";
import { LOCK_FILE, lockingAlone, lockToReplace, readLock, writeLock } from "./lock-file.ts";
import { lockToml } from "./lock-toml.ts";

const lockNamed = (name: string, materials = 0): Lock => ({
  version: 2,
  name,
  recipe: `sha256:${"0".repeat(64)}`,
  environment: { type: "host", pinned: false },
  tools: [],
  lockfiles: [],
  materials: Array.from({ length: materials }, (_, index) => ({
    kind: "dependency",
    purl: `pkg:generic/${name}-${String(index).padStart(6, "0")}@1`,
    name: `${name}-${index}`,
    checksums: { sha256: "a".repeat(64) },
  })),
});

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "lock-file-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("on disk: absent, written, left alone when the same, never through a link", async (t) => {
  const folder = folderOf(t);
  const lock = lockNamed("demo", 2);
  assert.equal(await readLock(folder), undefined);
  await writeLock(folder, lock);
  assert.equal(readFileSync(join(folder, LOCK_FILE), "utf8"), lockToml(lock));
  const { ino } = statSync(join(folder, LOCK_FILE));
  await writeLock(folder, { ...lock, materials: lock.materials.toReversed() });
  assert.equal(statSync(join(folder, LOCK_FILE)).ino, ino);
  assert.deepEqual(await readLock(folder), lock);
  rmSync(join(folder, LOCK_FILE));
  writeFileSync(join(folder, "elsewhere"), lockToml(lock));
  symlinkSync("elsewhere", join(folder, LOCK_FILE));
  await assert.rejects(readLock(folder), /bitforbit\.lock is a link/);
  await writeLock(folder, lockNamed("other"));
  assert.equal(
    readFileSync(join(folder, "elsewhere"), "utf8"),
    lockToml(lock),
    "what the link points to is not written",
  );
});

test("a folder in its place is named", async (t) => {
  const folder = folderOf(t);
  mkdirSync(join(folder, LOCK_FILE));
  writeFileSync(join(folder, LOCK_FILE, "x"), "");
  await assert.rejects(writeLock(folder, lockNamed("demo")), { code: "input", message: "bitforbit.lock is a folder" });
  assert.deepEqual(globSync("*", { cwd: folder, dot: true } as object), [LOCK_FILE]);
});

test("one that git could not merge counts as none when it is made anew, and as broken otherwise", async (t) => {
  const folder = folderOf(t);
  assert.deepEqual(await lockToReplace(folder), { conflict: false });
  writeFileSync(join(folder, LOCK_FILE), `<<<<<<< HEAD\n${lockToml(lockNamed("a"))}=======\nx\n>>>>>>> b\n`);
  await assert.rejects(readLock(folder), /bitforbit\.lock:1:1: marks of a merge conflict/);
  assert.deepEqual(await lockToReplace(folder), { conflict: true });
  await writeLock(folder, lockNamed("a"));
  assert.equal((await lockToReplace(folder)).lock?.name, "a");
  writeFileSync(join(folder, LOCK_FILE), "version = 9\n");
  await assert.rejects(lockToReplace(folder), /made by a newer bitforbit/);
});

/** A Node that runs `code` with this room's functions at hand. */
function script(code: string): string[] {
  const file = JSON.stringify(join(import.meta.dirname, "lock-file.ts"));
  const start = `const { writeLock, lockingAlone, readLock } = await import(${file}); const lockNamed = ${lockNamed.toString()};`;
  return ["--input-type=module", "-e", `${start}\n${code}`];
}

async function killedAfter(child: ChildProcess, milliseconds: number): Promise<void> {
  await once(child.stdout ?? child, "data");
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  child.kill("SIGKILL");
  await once(child, "close");
}

test("kill -9 while it is written: the old lock or the new one, whole", async (t) => {
  const folder = folderOf(t);
  const [a, b] = [lockNamed("a", 2000), lockNamed("b", 2000)].map(lockToml);
  const loop = `const [a, b] = [lockNamed("a", 2000), lockNamed("b", 2000)];
    for (;;) { await writeLock(${JSON.stringify(folder)}, a); await writeLock(${JSON.stringify(folder)}, b); console.log(1); }`;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, script(loop), { stdio: ["ignore", "pipe", "inherit"] });
    await killedAfter(child, round * 7);
    const found = readFileSync(join(folder, LOCK_FILE), "utf8");
    assert.ok(found === a || found === b, `round ${round}: ${found.length} bytes`);
    await writeLock(folder, lockNamed("a", 2000));
  }
  // What stands there half written goes with the next lock; a stranger's file stays.
  const [ours, empty, theirs] = ["a", "b", "c"].map((digit) => join(folder, `.tmp-${digit.repeat(32)}`));
  writeFileSync(ours ?? "", lockToml(lockNamed("a")).slice(0, 200));
  writeFileSync(empty ?? "", "");
  writeFileSync(theirs ?? "", "# What somebody else keeps\n");
  await lockingAlone(folder, join(folder, "cache"), () => Promise.resolve());
  assert.deepEqual(readdirSync(folder).sort(), [`.tmp-${"c".repeat(32)}`, LOCK_FILE, "cache"]);
});

test("a full disk leaves the old lock, and says so", (t) => {
  const folder = folderOf(t);
  const code = `process.chdir(${JSON.stringify(folder)});
    await writeLock(".", lockNamed("small"));
    const error = await writeLock(".", lockNamed("large", 5000)).catch((thrown) => thrown);
    const { readdirSync } = await import("node:fs");
    console.log(JSON.stringify([error.code, error.message, (await readLock(".")).name, readdirSync(".")]));`;
  const mount = `mount -t tmpfs -o size=128k none ${folder} && exec "$0" "$@"`;
  const ran = spawnSync("unshare", ["-rm", "sh", "-c", mount, process.execPath, ...script(code)], { encoding: "utf8" });
  if (ran.status !== 0 && /unshare|mount|permitted/.test(ran.stderr))
    return t.skip("no file system may be mounted here");
  assert.deepEqual(
    JSON.parse(ran.stdout),
    ["outside", `no space left to write ${LOCK_FILE}`, "small", [LOCK_FILE]],
    ran.stderr,
  );
});

test("two at once: one waits for the other; one that died holds nobody up", async (t) => {
  const folder = folderOf(t);
  const [cache, project] = [join(folder, "cache"), join(folder, "project")];
  mkdirSync(project);
  const places = `${JSON.stringify(project)}, ${JSON.stringify(cache)}`;
  const hold = `await lockingAlone(${places}, async () => { console.log(1); await new Promise((resolve) => setTimeout(resolve, 60_000)); });`;
  const holder = spawn(process.execPath, script(hold), { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  await assert.rejects(
    lockingAlone(project, cache, () => Promise.resolve(), 50),
    { code: "conflict" },
  );
  // The same folder by another name is the same lock.
  symlinkSync(project, join(folder, "alias"));
  await assert.rejects(
    lockingAlone(join(folder, "alias"), cache, () => Promise.resolve(), 50),
    { code: "conflict" },
  );
  setTimeout(() => holder.kill("SIGKILL"), 100);
  assert.equal(await lockingAlone(project, cache, () => Promise.resolve("in"), 10_000), "in");
  // Who counts up what the file says loses nothing.
  await writeLock(project, lockNamed("n0"));
  const once1 = async (): Promise<void> =>
    await lockingAlone(project, cache, async () => {
      const count = Number((await readLock(project))?.name.slice(1));
      await writeLock(project, lockNamed(`n${count + 1}`));
    });
  await Promise.all(Array.from({ length: 5 }, once1));
  assert.equal((await readLock(project))?.name, "n5");
  assert.ok(existsSync(join(cache, "locking")), "nothing but the lock stands in the project");
  assert.deepEqual(globSync("*", { cwd: project }), [LOCK_FILE]);
});
