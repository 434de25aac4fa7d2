import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { run } from "../child.ts";
import { BitforbitError } from "../errors.ts";
import type { World } from "../world.ts";
import { canMirror, type HostAbilities, probeHost } from "./host.ts";
import { runSandboxed, type SandboxResult, type SandboxSpec } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const world: World = plainWorld("test");

const limits = { timeoutSeconds: 20, memoryBytes: 256 << 20, processes: 200, diskBytes: 64 << 20, logBytes: 1 << 20 };

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "sandbox-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
let count = 0;

interface Tried extends SandboxResult {
  log: string;
  folder: string;
}

async function sh(
  script: string,
  change: Partial<SandboxSpec> = {},
  more: { host?: HostAbilities; files?: Record<string, string> } = {},
): Promise<Tried> {
  const folder = join(own, `t${count++}`);
  mkdirSync(join(folder, "src"), { recursive: true });
  for (const [name, content] of Object.entries(more.files ?? {})) writeFileSync(join(folder, "src", name), content);
  const log = join(folder, "log");
  const spec: SandboxSpec = {
    world,
    command: ["sh", "-c", script],
    directory: world.buildPath,
    mounts: [{ from: join(folder, "src"), to: world.buildPath, writable: true }],
    environment: {},
    network: "none",
    limits,
    log,
    ...change,
  };
  const result = await runSandboxed(spec, more.host ?? (await probeHost()));
  return { ...result, log: readFileSync(log, "utf8"), folder: join(folder, "src") };
}

test("what a build writes can be read afterwards, and its exit code is told", async () => {
  const done = await sh("echo made > out; mkdir d; echo x > d/y; chmod 600 out; exit 3");
  assert.equal(done.outcome, "exited");
  assert.equal(done.exitCode, 3);
  assert.equal(readFileSync(join(done.folder, "out"), "utf8"), "made\n");
  assert.equal(readFileSync(join(done.folder, "d", "y"), "utf8"), "x\n");
});

test("the first process's command line tells nothing of the world, and nothing of this machine", async () => {
  const script = "tr '\\0' ' ' </proc/1/cmdline";
  const other = {
    ...world,
    hostname: "other-host",
    cpus: 1,
    user: { ...world.user, name: "other", home: "/home/other" },
  };
  const [one, two] = await Promise.all([sh(script), sh(script, { world: other })]);
  assert.equal(one.log, two.log);
  assert.ok(one.log.includes("bwrap") && !one.log.includes(own) && !one.log.includes(world.buildPath), one.log);
});

test("a signal is told by its name", async () => {
  const done = await sh("kill -SEGV $$");
  assert.equal(done.outcome, "signalled");
  assert.equal(done.signal, "SIGSEGV");
});

test("identity, place and environment are the world's, and nothing of the caller's", async () => {
  process.env["BITFORBIT_TEST_SECRET"] = "do-not-pass";
  const done = await sh("id -u; id -g; id -un; hostname; pwd; umask; echo $HOME; ls -A $HOME | wc -l; env | sort", {
    environment: { GIVEN: "yes" },
  });
  const lines = done.log.split("\n");
  assert.deepEqual(lines.slice(0, 8), [
    "1234",
    "1235",
    "tester",
    "test-host",
    "/build/thing",
    "0022",
    "/home/tester",
    "0",
  ]);
  const names = lines
    .slice(8)
    .filter((line) => line !== "")
    .map((line) => line.split("=")[0]);
  const allowed = "GIVEN HOME LANG LC_ALL LOGNAME PATH PWD SHELL TMPDIR TZ USER";
  assert.deepEqual(
    names,
    allowed.split(" ").filter((name) => names.includes(name)),
  );
  assert.ok(names.includes("GIVEN"));
  delete process.env["BITFORBIT_TEST_SECRET"];
});

test("no terminal, no open files of the caller, and output that can be reopened", async () => {
  const done = await sh(
    "tty; echo again >/dev/stderr; test -p /dev/stdout && echo pipe; (: >/dev/tty) 2>/dev/null || echo no-terminal; for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && readlink /proc/$$/fd/$n; done; cat",
  );
  assert.match(done.log, /^not a tty\nagain\npipe\nno-terminal\n/);
  assert.doesNotMatch(done.log, /socket:/);
  assert.equal(done.exitCode, 0);
});

test("the root is read-only, and the caller's files are not there", async () => {
  const done = await sh(
    `for path in /root /home/other /etc/shadow /etc/ssh /var/log /srv /mnt ${own} /sys/fs/cgroup /boot; do [ -e $path ] && echo SEEN $path; done
     for path in / /etc /usr /usr/lib /bin /dev /opt /build /home /run; do (: > $path/written) 2>/dev/null && echo WROTE $path; done
     (echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo WROTE sysctl
     mount -t tmpfs x /tmp 2>/dev/null && echo MOUNTED; chroot / true 2>/dev/null && echo CHROOT
     kill -9 1; kill -9 $PPID; echo alive`,
  );
  assert.equal(done.log, "alive\n");
  assert.equal(done.exitCode, 0);
});

test("there is no network, not even an abstract socket or a route", async () => {
  const done = await sh(
    "cat /proc/net/route | wc -l; ls /sys/class/net 2>/dev/null; perl -MSocket -e 'socket(S,AF_INET,SOCK_STREAM,0); exit(connect(S,pack_sockaddr_in(80,inet_aton(\"192.0.2.1\"))) ? 1 : 0)' && echo unreachable",
  );
  assert.match(done.log, /unreachable/);
});

test("a read-only mount and a toolchain outside the system folders are shown at their place", async () => {
  const tools = join(own, "tools with space");
  mkdirSync(join(tools, "bin"), { recursive: true });
  writeFileSync(join(tools, "bin", "hello"), "#!/bin/sh\necho from a toolchain\n");
  chmodSync(join(tools, "bin", "hello"), 0o755);
  const done = await sh(`"${tools}/bin/hello"; (: > "${tools}/bin/x") 2>/dev/null || echo read-only; : > /deps/new`, {
    hostPaths: [tools],
    mounts: [{ from: tools, to: "/deps", writable: false }],
    directory: "/tmp",
  });
  assert.match(done.log, /^from a toolchain\nread-only\n/);
  assert.notEqual(done.exitCode, 0);
});

test("a hanging build is ended by its time, SIGTERM ignored and daemons left behind included", async () => {
  const mark = `sleep 31${process.pid % 10_000}`;
  const done = await sh(`trap '' TERM HUP INT; (setsid ${mark} &) ; (trap '' TERM; ${mark}) & ${mark}`, {
    limits: { ...limits, timeoutSeconds: 1 },
  });
  assert.equal(done.outcome, "timeout");
  assert.ok(done.milliseconds < 4000, `${done.milliseconds} ms`);
  assert.deepEqual(await processesLike(mark), []);
});

test("a daemon ends with the build that left it behind", async () => {
  const mark = `sleep 32${process.pid % 10_000}`;
  const done = await sh(`setsid ${mark} >/dev/null 2>&1 & setsid ${mark} & echo left`);
  assert.equal(done.log, "left\n");
  assert.equal(done.outcome, "exited");
  assert.deepEqual(await processesLike(mark), []);
});

test("a fork bomb ends at the limit of processes", async () => {
  const few = { ...limits, processes: 60 };
  const many = await sh("for n in $(seq 100); do sleep 30 & done; wait", { limits: few });
  assert.equal(many.outcome, "processes", many.log.slice(0, 300));
  const bomb = await sh("f() { f | f & }; f; sleep 2; f; sleep 30", { limits: few });
  // Without a control group forks fail at the limit, and polling may miss a bomb that collapses: then time ends it.
  const counted = (await probeHost()).cgroups.pids !== undefined;
  assert.ok(bomb.milliseconds < (counted ? 10_000 : limits.timeoutSeconds * 1000 + 5000), "without end");
  if (counted) assert.equal(bomb.outcome, "processes", bomb.log.slice(0, 300));
});

test("a build that takes too much memory ends at the limit of memory", async () => {
  const done = await sh(`perl -e '@a = (); push @a, "x" x 1000000 for 1..3000; sleep 20'`, {
    limits: { ...limits, memoryBytes: 64 << 20 },
  });
  assert.equal(done.outcome, "memory");
});

test("real bytes and sparse bytes beyond the limit of disk end the build", async () => {
  const one = { ...limits, diskBytes: 8 << 20 };
  assert.equal((await sh("head -c 100M /dev/zero > big", { limits: one })).outcome, "disk");
  assert.equal((await sh("truncate -s 10G sparse", { limits: one })).outcome, "disk");
  const many = await sh(
    "for n in 1 2 3 4 5 6 7 8; do head -c 4M /dev/zero > f$n; done; mkdir d; while :; do n=$((n+1)); head -c 4M /dev/zero > d/$n; sleep 0.02; done",
    { limits: one },
  );
  assert.equal(many.outcome, "disk");
  const small = await sh("head -c 4M /dev/zero > fits; head -c 30M /dev/zero > /tmp/full; echo $?", { limits: one });
  assert.match(small.log, /[1-9]\d*\n$/);
});

test("a huge log keeps its head and its tail and says what was dropped", async () => {
  const lines: string[] = [];
  const done = await sh("echo first; yes 0123456789abcdef | head -c 17000000; echo last", {
    limits: { ...limits, logBytes: 10_000 },
    onOutput: (line) => void (lines.length < 10 && lines.push(line)),
  });
  assert.equal(done.outcome, "exited");
  assert.ok(done.logTruncated);
  assert.ok(done.log.length < 10_200);
  assert.match(done.log, /^first\n[^]*\[bitforbit: \d+ bytes of output were dropped here\][^]*\nlast\n$/);
  assert.equal(lines[0], "first");
});

test("cancelling ends the build, also before it starts", async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 200);
  const done = await sh("sleep 30", { signal: abort.signal });
  assert.equal(done.outcome, "cancelled");
  assert.equal((await sh("sleep 30", { signal: abort.signal })).outcome, "cancelled");
});

test("our caller's umask takes nothing from the build: it can read who and where it is", async () => {
  const script = "id -un; cat /etc/hostname /etc/nsswitch.conf | wc -l; ls /sys/devices/system/cpu";
  const open = await sh(script);
  const before = process.umask(0o077);
  try {
    const closed = await sh(script);
    assert.equal(closed.log, open.log);
    assert.match(closed.log, /^tester\n/);
  } finally {
    process.umask(before);
  }
});

test("a spec that makes no sense is refused, and a sandbox that cannot start says why", async () => {
  const bad = (change: Partial<SandboxSpec>): Promise<unknown> =>
    assert.rejects(sh("true", change), (error) => error instanceof BitforbitError && error.code === "input");
  await bad({ directory: "relative" });
  await bad({ mounts: [{ from: "/no/such/folder", to: "/deps", writable: false }] });
  await bad({ mounts: [{ from: own, to: "/a/../b", writable: false }] });
  await bad({ limits: { ...limits, memoryBytes: 2048 << 20 } });
  await bad({ environment: { "A=B": "x" } });
  await assert.rejects(
    sh("true", { directory: "/no/such/place" }),
    (error) => error instanceof BitforbitError && error.code === "lacking" && /no\/such\/place/.test(error.message),
  );
});

for (const ordering of ["notifications", "disorderfs"] as const) {
  test(`directory order is the world's, by ${ordering}`, async (t) => {
    const host = { ...(await probeHost()), ordering };
    if (ordering === "disorderfs" && !(await canMirror(host.isolation))) return t.skip("needs /dev/fuse");
    const files = { a: "", b: "", c: "", d: "" };
    const sorted = await sh("ls -U; echo new > e; cat e; ls -l e", {}, { host, files });
    assert.match(sorted.log, /^a\nb\nc\nd\nnew\n/);
    assert.match(sorted.log, / tester testers /);
    assert.equal(readFileSync(join(sorted.folder, "e"), "utf8"), "new\n");
    const reversed = await sh("ls -U", { world: { ...world, directoryOrder: "reversed" } }, { host, files });
    assert.equal(reversed.log, "d\nc\nb\na\n");
    assert.deepEqual(sorted.lacks, host.lacks);
  });
}

test("where nothing can be compiled, the system's own programs prepare the same sandbox", async (t) => {
  const compiled = await probeHost();
  const mirrors = await canMirror(compiled.isolation);
  const host = {
    ...compiled,
    enter: undefined,
    starter: undefined,
    ordering: mirrors ? ("disorderfs" as const) : undefined,
  };
  const bare = { ...world, cpus: 1, directoryOrder: "reversed" as const };
  const script = "id -un; umask; cat /proc/self/personality; nproc; ulimit -c; ls /proc/self/fd | wc -l";
  const [short, long] = [await sh(script, { world: bare }), await sh(script, { world: bare }, { host })];
  assert.equal(long.log, short.log);
  if (!mirrors) return t.skip("needs /dev/fuse");
  const listed = await sh("ls -U", { world: bare }, { host, files: { a: "", b: "", c: "" } });
  assert.equal(listed.log, "c\nb\na\n");
});

test("when our own process is killed, everything ends: the build, its daemons and what orders its directories", async () => {
  const mark = `sleep 33${process.pid % 10_000}`;
  const folder = join(own, `killed-${process.pid}`);
  mkdirSync(join(folder, "src"), { recursive: true });
  const script = `
    import { probeHost } from ${JSON.stringify(join(import.meta.dirname, "host.ts"))};
    import { runSandboxed } from ${JSON.stringify(join(import.meta.dirname, "sandbox.ts"))};
    await runSandboxed(${JSON.stringify({
      world,
      command: ["sh", "-c", `setsid ${mark} & echo started; ${mark}`],
      directory: world.buildPath,
      mounts: [{ from: join(folder, "src"), to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits,
      log: join(folder, "log"),
    })}, await probeHost());`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], { stdio: "inherit" });
  for (let n = 0; n < 200 && !(existsSync(join(folder, "log")) && statSync(join(folder, "log")).size > 0); n++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.notDeepEqual(await processesLike(mark), []);
  child.kill("SIGKILL");
  let left: string[] = [];
  for (let n = 0; n < 60; n++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    left = [...(await processesLike(mark)), ...(await processesLike("order sorted", "/"))].filter(
      (line) => line.includes(mark) || line.includes(folder),
    );
    if (left.length === 0) break;
  }
  assert.deepEqual(left, []);
  assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), /bitforbit-sandbox-/);
});

test(
  "as root where user namespaces are forbidden: no capability is left, and HOME and the source are writable",
  { skip: process.getuid?.() === 0 ? false : "needs root" },
  async () => {
    const host: HostAbilities = { ...(await probeHost()), isolation: "root" };
    const done = await sh(
      "id -u; echo x > out; echo x > $HOME/y; grep -c '^Cap...:.*[1-9a-f]' /proc/self/status; (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused; kill -9 1 2>/dev/null; echo alive",
      {},
      { host },
    );
    assert.equal(done.log, "1234\n0\nrefused\nalive\n");
    assert.equal(readFileSync(join(done.folder, "out"), "utf8"), "x\n");
  },
);

/** Command lines of processes on this machine that contain `text` and run `program`. */
async function processesLike(text: string, program = "sleep"): Promise<string[]> {
  const listed = await run("ps", ["-eo", "args"]);
  return Buffer.from(listed.stdout)
    .toString()
    .split("\n")
    .filter((line) => line.includes(text) && line.startsWith(program));
}

test(
  "as root: the ordinary user's way works as well",
  { skip: process.getuid?.() === 0 ? false : "needs root" },
  async () => {
    const stage = mkdtempSync("/tmp/sandbox-as-user-");
    chmodSync(stage, 0o755);
    for (const name of ["repo", "tmp"]) mkdirSync(join(stage, name));
    chmodSync(join(stage, "tmp"), 0o1777);
    writeFileSync(join(stage, "node"), "");
    // Bind mounts in a private namespace: the checkout may lie where only root can go.
    const script = `mount --bind "$1" "$3/repo" && mount --bind "$2" "$3/node" && cd "$3/repo" &&
    exec setpriv --reuid=64999 --regid=64999 --clear-groups env -i PATH="$PATH" HOME="$3/tmp" TMPDIR="$3/tmp" BITFORBIT_TEST_TMP="$3/tmp" "$3/node" --test --test-reporter=tap src/sandbox/sandbox.test.ts`;
    const root = join(import.meta.dirname, "..", "..");
    try {
      const done = await run("unshare", ["-m", "sh", "-c", script, "sh", root, process.execPath, stage], {
        env: { NODE_TEST_CONTEXT: undefined },
        timeoutMilliseconds: 120_000,
      });
      const said = Buffer.from(done.stdout).toString();
      assert.equal(done.exitCode, 0, said.slice(0, 9000) + done.stderr.slice(0, 2000));
      assert.match(said, /^# pass 1[4-9]$/m);
    } finally {
      rmSync(stage, { recursive: true, force: true });
    }
  },
);
