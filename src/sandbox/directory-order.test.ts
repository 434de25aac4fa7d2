import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { run } from "../child.ts";
import { BitforbitError } from "../errors.ts";
import type { World } from "../world.ts";
import { orderLacks } from "./directory-order.ts";
import { ENTER_SOURCE } from "./enter.ts";
import { canMirror, probeHost } from "./host.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

/*
 * `test/directory-order.c`, a static program, under the filter and with no
 * sandbox around it. The answers are the same in one: the trial of `probeHost`
 * and sandbox.test.ts go through bubblewrap.
 */
const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "order-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const host = await probeHost();
const skip = host.ordering === "notifications" ? false : "this machine cannot answer for directories";
const tools = join(own, "tools");
const lists = join(tools, "lists");
const sources = join(import.meta.dirname, "..", "..", "test", "directory-order.c");
const enter = join(own, "enter");
if (skip === false) {
  mkdirSync(tools);
  writeFileSync(`${enter}.c`, ENTER_SOURCE);
  await Promise.all([
    build(lists, sources, "-static"),
    build(enter, `${enter}.c`),
    build(`${enter}-parts`, `${enter}.c`, "-DPART=100"),
    build(`${enter}-no-seek`, `${enter}.c`, "-DNO_SEEK"),
    build(`${enter}-forgetful`, `${enter}.c`, "-DKEPT=1"),
  ]);
}

async function build(to: string, from: string, ...options: string[]): Promise<void> {
  const made = await run("cc", ["-O1", "-w", "-pthread", ...options, "-o", to, from]);
  assert.equal(made.exitCode, 0, made.stderr);
}

const MANY = Array.from({ length: 300 }, (_, index) => `f${index}`);
const NAMES = [...MANY, "-x", "!", "ü", "Z", "z", ".hidden", "a b", "a\nb", "n".repeat(255)];
const world: World = plainWorld("test", { directoryOrder: "reversed" });
let count = 0;

/** A folder with those files; each in one that has a name of its own. */
function folderOf(names: readonly string[]): string {
  const folder = join(own, `d${count++}`);
  mkdirSync(folder);
  for (const name of names) writeFileSync(join(folder, name), "");
  return folder;
}

const folder = folderOf(NAMES);

const byBytes = (names: readonly string[]): string[] =>
  [...names, ".", ".."].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

interface Asked {
  order?: "sorted" | "reversed";
  /** Suffix of the program: how it was compiled. */
  way?: "" | "-parts" | "-no-seek" | "-forgetful";
}

/** What the program prints, at the NULs; it fails by what it says was wrong. */
async function ask(args: readonly string[], { order = "sorted", way = "" }: Asked = {}): Promise<string[]> {
  const [what = "", at = folder, ...more] = args;
  const command = ["order", order, "0", "--", lists, what, at, ...more];
  const ran = await run(enter + way, command, { timeoutMilliseconds: 20_000 });
  const said = Buffer.from(ran.stdout).toString();
  assert.equal(ran.exitCode, 0, `${args.join(" ")}: ${said.slice(-300)} ${ran.stderr}`);
  return said.split("\0").slice(0, -1);
}

/** The kernel's own call and the older ones, by number; those of 32 bits where this kernel has them. */
const CALLS = { getdents64: "0", getdents: "1", "getdents64 of i386": "2", "getdents of i386": "3" };

test("names come by their bytes, or backwards, whatever the call and the size of its buffer", { skip }, async (t) => {
  for (const [name, call] of Object.entries(CALLS)) {
    const compat = Number(call) > 1;
    if (compat && (process.arch !== "x64" || (await run(lists, ["list", folder, call, "4096"])).exitCode !== 0)) {
      t.diagnostic(`${name} is not there`);
      continue;
    }
    for (const room of ["280", "4096", "1000000"]) {
      assert.deepEqual(await ask(["list", folder, call, room]), byBytes(NAMES), `${name}, ${room} bytes`);
    }
    assert.deepEqual(await ask(["list", folder, call, "500"], { order: "reversed" }), byBytes(NAMES).reverse(), name);
  }
  if (process.arch === "x64") await ask(["readdir80"]);
});

test(
  "listing, seeking, deleting and sharing work in parts, without lseek, and when listings were forgotten",
  { skip },
  async () => {
    for (const way of ["", "-no-seek", "-forgetful"] as const) {
      assert.deepEqual(await ask(["list", folder, "0", "300"], { way }), byBytes(NAMES), way);
      const many = folderOf(NAMES);
      // The others may begin anew in the middle, when listings are forgotten: what was deleted moves what is left.
      if (way !== "-forgetful")
        assert.equal((await run(enter + way, ["order", "reversed", "0", "--", lists, "remove", many])).exitCode, 0);
      if (way !== "-forgetful") assert.deepEqual(readdirSync(many), [], way);
    }
    await ask(["positions"]);
    await ask(["positions"], { order: "reversed" });
    await ask(["positions"], { way: "-forgetful" });
    // Each part is in order, and nothing is missing.
    const parts = await ask(["list", folder, "0", "4096"], { way: "-parts" });
    assert.deepEqual(parts.toSorted(), byBytes(NAMES).toSorted());
    assert.notDeepEqual(parts, byBytes(NAMES));
  },
);

test("errors are the kernel's, and leave the position alone", { skip }, async () => {
  await ask(["errors"]);
});

test("threads that read one descriptor share it; hundreds at once are all answered", { skip }, async () => {
  assert.deepEqual((await ask(["shared"])).toSorted(), byBytes(NAMES).toSorted());
  await ask(["crowd"]);
});

test(
  "a child that borrows its parent's memory, and a process that forbids to look into it, are answered",
  { skip },
  async () => {
    assert.deepEqual(await ask(["vfork"]), byBytes(NAMES));
    // As an ordinary user it takes a sandbox of our own to be allowed: below.
    if (process.getuid?.() === 0) assert.deepEqual(await ask(["undumpable"]), byBytes(NAMES));
  },
);

test("a signal that comes while a listing waits takes no entry away", { skip }, async () => {
  await ask(["signals"]);
});

test("descriptors that are swapped, and callers that die, while a call is answered harm nobody", { skip }, async () => {
  assert.deepEqual(await ask(["hostile"]), byBytes(NAMES));
});

test("100,000 entries in order; rm -rf, find, ls and Python agree", { skip }, async () => {
  const memory = existsSync("/dev/shm") ? mkdtempSync("/dev/shm/order-test-") : own;
  const many = join(memory, "many");
  try {
    mkdirSync(many);
    assert.equal((await run(lists, ["create", many, "100000"])).exitCode, 0);
    const names = Array.from({ length: 100_000 }, (_, index) => `entry ${index}`);
    assert.deepEqual(await ask(["list", many, "0", "32768"], { order: "reversed" }), byBytes(names).reverse());
    assert.equal((await reversed("rm", "-rf", many)).exitCode, 0);
    assert.ok(!existsSync(many));
    const files = join(memory, "files");
    mkdirSync(files);
    assert.equal((await run(lists, ["create", files, "5000"])).exitCode, 0);
    assert.equal((await reversed("rm", "-rf", files)).exitCode, 0);
    assert.ok(!existsSync(files));
  } finally {
    if (memory !== own) rmSync(memory, { recursive: true, force: true });
  }
  const expected = byBytes(NAMES)
    .toReversed()
    .filter((name) => !/^\.\.?$/.test(name));
  const listed = await reversed("ls", "-AU", "--zero", ".");
  assert.deepEqual(Buffer.from(listed.stdout).toString().split("\0").slice(0, -1), expected);
  const found = await reversed("find", ".", "-mindepth", "1", "-printf", "%P\\0");
  assert.deepEqual(Buffer.from(found.stdout).toString().split("\0").slice(0, -1), expected);
  const python = await reversed("python3", "-c", "import os; print('\\0'.join(os.listdir('.')), end='\\0')");
  if (python.exitCode === 0) {
    assert.deepEqual(Buffer.from(python.stdout).toString().split("\0").slice(0, -1), expected);
  }
});

function reversed(...command: string[]): ReturnType<typeof run> {
  return run(enter, ["order", "reversed", "0", "--", ...command], { cwd: folder });
}

const canHang = skip === false && process.getuid?.() === 0 && (await canMirror("root"));

test(
  "a file system that hangs holds up only who asks it",
  { skip: canHang ? false : "needs a file system that can hang" },
  async () => {
    const [from, to] = [folderOf(["a", "b"]), folderOf([])];
    const slow = spawn("disorderfs", ["-f", "-q", "--sort-dirents=no", from, to], { stdio: "ignore" });
    try {
      for (let n = 0; n < 100 && readdirSync(to).length === 0; n++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const script = `exec 7<"${to}"; kill -STOP ${slow.pid}
      while cat /proc/${slow.pid}/task/*/status | grep ^State | grep -qv T; do sleep 0.01; done
      for n in 1 2 3; do (timeout -s KILL 3 ${lists} list "${to}" 0 4096; echo held up) & done
      sleep 0.3; for n in 1 2 3 4 5; do ${lists} list "${folder}" 0 4096 >/dev/null && echo on; done
      wait; kill -CONT ${slow.pid}; ${lists} list "${to}" 0 4096`;
      const ran = await run(enter, ["order", "sorted", "0", "--", "sh", "-c", script], { timeoutMilliseconds: 15_000 });
      assert.equal(Buffer.from(ran.stdout).toString(), `${"on\n".repeat(5)}${"held up\n".repeat(3)}.\0..\0a\0b\0`);
    } finally {
      slow.kill("SIGCONT");
      await run("umount", ["-l", to]);
      slow.kill("SIGKILL");
    }
  },
);

test(
  "in a sandbox: with and without user namespaces, a process that cannot be looked into, hundreds at once",
  { skip },
  async () => {
    const isolations = host.isolation === "dropped" ? (["dropped", "root"] as const) : [host.isolation];
    const source = folderOf(NAMES);
    for (const isolation of isolations) {
      const log = join(own, `log-${isolation}`);
      const script = `for what in undumpable vfork hostile crowd; do /tools/lists $what . || echo FAILED; done`;
      const ran = await runSandboxed(
        {
          world,
          command: ["sh", "-c", script],
          directory: world.buildPath,
          mounts: [
            { from: source, to: world.buildPath, writable: true },
            { from: tools, to: "/tools", writable: false },
          ],
          environment: {},
          network: "none",
          limits: { timeoutSeconds: 20, memoryBytes: 1 << 28, processes: 500, diskBytes: 1 << 26, logBytes: 1 << 20 },
          log,
        },
        { ...host, isolation },
      );
      const expected = byBytes(NAMES).toReversed();
      assert.deepEqual(
        readFileSync(log, "utf8").split("\0").slice(0, -1),
        [...expected, ...expected, ...expected],
        isolation,
      );
      assert.equal(ran.exitCode, 0);
      assert.deepEqual(ran.lacks, host.lacks);
    }
  },
);

test("file systems of the kernel's and in memory are listed whole, a little at a time", { skip }, async () => {
  for (const at of ["/proc/sys/kernel", "/sys/devices/system", "/dev/shm", "/"].filter((one) => existsSync(one))) {
    const names = await ask(["list", at, "0", "512"]);
    assert.deepEqual(names, byBytes(names.filter((name) => !/^\.\.?$/.test(name))), at);
    if (at !== "/dev/shm")
      assert.deepEqual(names.filter((name) => !/^\.\.?$/.test(name)).toSorted(), readdirSync(at).toSorted());
  }
});

test(
  "the process that answers ends with what it answers for, and when it is gone the account is missing",
  { skip },
  async () => {
    const child = spawn(
      enter,
      ["order", "sorted", "0", "--", "sh", "-c", `echo $$; ls ${folder} >/dev/null; read -r x; ls ${folder}`],
      {
        stdio: ["pipe", "pipe", "pipe", "ignore", "pipe"],
      },
    );
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
    await new Promise<void>((resolve) => child.stdout?.on("data", (chunk: Buffer) => (output.push(chunk), resolve())));
    const keepers = await keepersOf(child.pid ?? 0);
    assert.equal(keepers.length, 1);
    process.kill(keepers[0] ?? 0, "SIGKILL");
    child.stdin?.end("\n");
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.notEqual(code, 0);
    assert.match(Buffer.concat(errors).toString(), /not implemented/i);
    const killed = spawn(enter, ["order", "sorted", "0", "--", "sleep", "30"], { stdio: "ignore" });
    let left = await keepersOf(killed.pid ?? 0);
    for (let n = 0; n < 100 && left.length === 0; n++) left = await keepersOf(killed.pid ?? 0);
    assert.equal(left.length, 1);
    killed.kill("SIGKILL");
    for (let n = 0; n < 100 && left.some((pid) => existsSync(`/proc/${pid}/fd/3`)); n++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(
      left.filter((pid) => existsSync(`/proc/${pid}/fd/3`)),
      [],
    );
  },
);

/** The processes that answer for the children of `parent`, itself not counted: they are its children by name. */
async function keepersOf(parent: number): Promise<number[]> {
  const listed = await run("ps", ["--ppid", String(parent), "-o", "pid=,args="]);
  const lines = Buffer.from(listed.stdout).toString().split("\n");
  return lines.filter((line) => line.includes("order sorted 0")).map((line) => Number.parseInt(line, 10));
}

test("what the account tells becomes a lack, and a lost account an error", () => {
  assert.deepEqual(orderLacks("order answered=9 unanswered=0 because=0 parts=0\n", "exited"), []);
  assert.deepEqual(orderLacks("", "timeout"), []);
  const [lack, ...more] = orderLacks("order answered=9 unanswered=2 because=1 parts=0\n", "exited");
  assert.match(lack?.what ?? "", /^2 directory listings .*EPERM/);
  assert.deepEqual(lack?.causes, ["readdir-order"]);
  assert.deepEqual(more, []);
  assert.equal(orderLacks("order answered=9 unanswered=0 because=0 parts=3\n", "exited").length, 1);
  assert.throws(
    () => orderLacks("", "exited"),
    (error) => error instanceof BitforbitError && error.code === "lacking" && /ENOSYS/.test(error.message),
  );
});
