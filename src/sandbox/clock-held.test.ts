/** The held clock in real programs: it stands still, file times with it, and nothing waits for ever. */
import { strict as assert } from "node:assert";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { digestOf } from "../digest.ts";
import type { World } from "../world.ts";
import { probeHost } from "./host.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

/** 2020-01-02T03:04:05Z */
const HELD = 1_577_934_245;
const world: World = plainWorld("held", {
  clockHeld: HELD,
  buildPath: "/build/held",
  hostname: "held-host",
  user: { name: "holder", uid: 1000, gid: 1000, group: "holder", fullName: "Held", home: "/home/holder" },
  aslr: false,
});
const limits = { timeoutSeconds: 60, memoryBytes: 2 ** 31, processes: 300, diskBytes: 2 ** 28, logBytes: 1 << 20 };

const own = mkdtempSync(join(tmpdir(), "held-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

let count = 0;

interface Ran {
  lines: string[];
  tree: string;
}

/** Runs the script in a tree of these files, whose times are `filesAt`. */
async function ran(
  script: string,
  files: Readonly<Record<string, string>> = {},
  change: Partial<World> = {},
  filesAt = HELD,
): Promise<Ran> {
  const folder = join(own, `t${count++}`);
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(tree, name), content);
    utimesSync(join(tree, name), filesAt, filesAt);
  }
  const log = join(folder, "log");
  const result = await runSandboxed(
    {
      world: { ...world, ...change },
      command: ["sh", "-ec", script],
      directory: world.buildPath,
      mounts: [{ from: tree, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits,
      log,
    },
    await probeHost(),
  );
  const text = readFileSync(log, "utf8");
  assert.equal(result.outcome, "exited", text);
  assert.equal(result.exitCode, 0, text);
  return { lines: text.trimEnd().split("\n"), tree };
}

const without = (...paths: string[]): string | false => {
  const missing = paths.filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `not installed here: ${missing.join(", ")}`;
};
const noCompiler = without("/usr/bin/gcc");

test("the clock of C, Python, Perl, node and the shell stands still", { skip: noCompiler }, async () => {
  const script = [
    "date +%s.%N; sleep 0.2; date +%s.%N; env -i /bin/date -u +%FT%T",
    "printf '#include <stdio.h>\\nint main(void){puts(__DATE__ \" \" __TIME__);}' | gcc -x c -o t - && ./t",
    "! test -x /usr/bin/perl || perl -e 'print time, qq{\\n}; sleep 2; print time, qq{\\n}'",
    "! test -x /usr/bin/python3 || /usr/bin/python3 -c 'import time; t = time.time(); time.sleep(0.5); print(t, round(time.time() - t, 3))'",
  ];
  const { lines } = await ran(script.join("\n"));
  const stands = `${HELD}.000000000`;
  assert.deepEqual(lines.slice(0, 4), [stands, stands, "2020-01-02T03:04:05", "Jan  2 2020 03:04:05"]);
  const rest = lines.slice(4);
  if (existsSync("/usr/bin/perl")) assert.deepEqual(rest.splice(0, 2), [String(HELD), String(HELD + 2)]);
  if (existsSync("/usr/bin/python3")) assert.deepEqual(rest.splice(0, 1), [`${HELD}.0 0.5`]);
  assert.deepEqual(rest, []);
});

test("node sees the held clock and held file times", { skip: without("/usr/bin/node") }, async () => {
  const code =
    "const {mtimeMs,ctimeMs,birthtimeMs}=require('fs').statSync('made');console.log(Date.now(),mtimeMs,ctimeMs,birthtimeMs)";
  const { lines } = await ran(`: > made; /usr/bin/node -e "${code}"`);
  assert.deepEqual(lines, [Array.from({ length: 4 }, () => HELD * 1000).join(" ")]);
});

test("an offset is added to the held clock, and file times can have one of their own", async () => {
  const { lines } = await ran("date +%s; : > made; stat -c %Y made", {}, { clockOffset: 1000, fileOffset: -2 });
  assert.deepEqual(lines, [String(HELD + 1000), String(HELD - 2)]);
});

const FILE_TIMES = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
extern int __xstat(int, const char *, struct stat *);
static void show(struct stat *s) { printf("%ld.%ld %ld.%ld %ld.%ld\\n", s->st_mtim.tv_sec, s->st_mtim.tv_nsec, s->st_ctim.tv_sec, s->st_ctim.tv_nsec, s->st_atim.tv_sec, s->st_atim.tv_nsec); }
int main(void) {
  struct stat s; struct statx x; int f = open("made", O_RDWR | O_CREAT, 0644);
  stat("made", &s); show(&s); lstat("made", &s); show(&s); fstat(f, &s); show(&s);
  fstatat(AT_FDCWD, "made", &s, 0); show(&s); fstatat(f, "", &s, AT_EMPTY_PATH); show(&s);
  statx(AT_FDCWD, "made", 0, STATX_ALL, &x); printf("%lld.%u\\n", x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec);
  syscall(SYS_statx, AT_FDCWD, "made", 0, STATX_ALL, &x); printf("%lld.%u\\n", x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec);
  printf("%d %d\\n", stat("absent", &s), syscall(SYS_getpid) == getpid());
}`;

test("every way to ask for a file's times gives the held one", { skip: noCompiler }, async () => {
  const { lines } = await ran("gcc -w -o times times.c; ./times", { "times.c": FILE_TIMES });
  const stands = `${HELD}.0`;
  const all = `${stands} ${stands} ${stands}`;
  const direct = process.arch === "x64" ? [stands] : lines.slice(6, 7);
  assert.deepEqual(lines, [all, all, all, all, all, stands, ...direct, "-1 1"]);
});

test("earlier times show as they are, later ones of the source as the held one", async () => {
  const show = "stat -c %Y source; touch -d @86400 old; stat -c %Y old; touch -d @4102444800 late; stat -c %Y late";
  const before = await ran(show, { source: "" }, {}, HELD - 1000);
  assert.deepEqual(before.lines, [String(HELD - 1000), "86400", String(HELD)]);
  const later = await ran(show, { source: "" }, {}, HELD + 1000);
  assert.deepEqual(later.lines, [String(HELD), "86400", String(HELD)]);
});

const MAKEFILE = "out: mid\n\t@echo makes out; cat mid > out\nmid: source\n\t@echo makes mid; cat source > mid\n";

test("make makes once, does nothing the second time, and again what a step changes", async (t) => {
  const tools = ["make", ...(existsSync("/usr/bin/ninja") ? ["ninja"] : [])];
  if (tools.length < 2) t.diagnostic("ninja is not installed here");
  const ninja =
    "rule copy\n  command = cat $in > $out\n  description = makes $out\nbuild mid: copy source\nbuild out: copy mid\n";
  const files = { Makefile: MAKEFILE, "build.ninja": ninja, source: "one\n" };
  const made = await ran("make; make; sleep 0.02; echo two > source; make; cat out", files);
  assert.deepEqual(made.lines, [
    "makes mid",
    "makes out",
    "make: 'out' is up to date.",
    "makes mid",
    "makes out",
    "two",
  ]);
  if (tools.length < 2) return;
  const run = "ninja -v >/dev/null; ninja; sleep 0.02; echo two > source; ninja >/dev/null; cat out; ninja";
  const built = await ran(run, files);
  assert.deepEqual(built.lines, ["ninja: no work to do.", "two", "ninja: no work to do."]);
});

test("find -newer, test -nt, ls -t, touch -r and cp -p keep the order in which files were made", async () => {
  const script = [
    ": > aaa; sleep 0.02; : > bbb; sleep 0.02; : > ccc",
    "find . -newer bbb -type f; if test ccc -nt aaa && [ bbb -ot ccc ]; then echo ordered; fi; ls -t",
    "cp -p bbb copy; touch -r bbb same; if test copy -ot bbb || test same -nt bbb; then echo not kept; fi",
    "stat -c %y aaa ccc copy same source | sort -u",
    "find . -type f -printf '%T@\\n' | sort -u; ls --full-time ccc | cut -d ' ' -f 7",
    // As configure tests whether a new file is newer than the sources.
    ": > conftest.file; ls -Lt source conftest.file",
  ];
  const { lines } = await ran(script.join("\n"), { source: "" });
  const stands = "2020-01-02 03:04:05.000000000 +0000";
  const listed = ["ccc", "bbb", "aaa", "source", stands, `${HELD}.0000000000`, "03:04:05.000000000"];
  assert.deepEqual(lines, ["./ccc", "ordered", ...listed, "conftest.file", "source"]);
});

/** Packs with every archiver that is here; the archives' digests. */
const ARCHIVES: readonly (readonly [program: string, script: string])[] = [
  ["/usr/bin/tar", "tar -cf plain.tar in; tar --format=posix --pax-option=delete=atime,delete=ctime -cf pax.tar in"],
  ["/usr/bin/gzip", "cp in/text copied; gzip copied"],
  ["/usr/bin/zip", "zip -qr a.zip in"],
  ["/usr/bin/ar", "ar rcU a.a in/text"],
  ["/usr/bin/cpio", "find in | LC_ALL=C sort | cpio --quiet -o --renumber-inodes -H newc > a.cpio"],
  ["/usr/bin/jar", "jar cf a.jar in"],
  ["/usr/bin/python3", "/usr/bin/python3 -m py_compile in/m.py; cp in/__pycache__/*.pyc m.pyc"],
  ["/usr/bin/python3", '/usr/bin/python3 -c \'import tarfile; tarfile.open("py.tar", "w").add("in")\''],
];

test("what archivers write is the same in two runs", { timeout: 180_000 }, async (t) => {
  const packers = ARCHIVES.filter(([program]) => existsSync(program));
  for (const [program] of ARCHIVES) if (!existsSync(program)) t.diagnostic(`not installed here: ${program}`);
  const script = `mkdir in; echo text > in/text; echo 'x = 1' > in/m.py\n${packers.map(([, one]) => one).join("\n")}`;
  const names = ["plain.tar", "pax.tar", "copied.gz", "a.zip", "a.a", "a.cpio", "a.jar", "m.pyc", "py.tar"];
  const digests = async (delay: number): Promise<string[]> => {
    const { tree } = await ran(`sleep ${delay}; ${script}`);
    const made = names.filter((name) => existsSync(join(tree, name)));
    return made.map((name) => `${name} ${digestOf(readFileSync(join(tree, name)))}`);
  };
  const one = await digests(0);
  const two = await digests(2.1);
  assert.ok(one.length >= packers.length, one.join("\n"));
  assert.deepEqual(two, one);
});

const WAITERS = `
import queue, select, threading, time
def took(what, act):
    real = time.monotonic(); act(); print(what, 0.15 < time.monotonic() - real < 45)
def until(seconds, wait):
    end = time.time() + seconds
    while time.time() < end: wait()
took("spin", lambda: [until(0.01, lambda: None), time.sleep(0.2)])
took("sleep", lambda: until(0.4, lambda: time.sleep(0.1)))
took("select", lambda: until(1, lambda: select.select([], [], [], 6)))
took("lock", lambda: [l := threading.Lock(), l.acquire(), l.acquire(timeout=0.2)])
took("queue", lambda: [q := queue.Queue(), threading.Timer(0.2, lambda: q.put(1)).start(), q.get(timeout=5)])
`;

test(
  "programs that wait for the wall clock go on",
  { skip: without("/usr/bin/python3"), timeout: 90_000 },
  async () => {
    const { lines } = await ran("/usr/bin/python3 wait.py", { "wait.py": WAITERS });
    assert.deepEqual(lines, ["spin True", "sleep True", "select True", "lock True", "queue True"]);
  },
);

test("java sees the held clock and file times", { skip: without("/usr/bin/java"), timeout: 90_000 }, async () => {
  const code = `class T { public static void main(String[] a) throws Exception {
    System.out.println(java.time.Instant.now() + " " + new java.io.File("T.java").lastModified() / 1000);
    Thread.sleep(300); new Object() { synchronized void hold() throws Exception { wait(200); } }.hold(); } }`;
  const { lines } = await ran("touch T.java; java -Xshare:auto T.java", { "T.java": code });
  assert.deepEqual(lines, [`2020-01-02T03:04:05Z ${HELD}`]);
});

test("the files themselves keep real times, and a world that is not held shows them", async () => {
  const { tree } = await ran(": > made");
  assert.ok(Math.abs(statSync(join(tree, "made")).mtimeMs - Date.now()) < 30_000);
  const { clockHeld: _, ...free } = world;
  const folder = join(own, "free");
  mkdirSync(folder);
  const log = join(own, "free.log");
  const spec = { world: free, command: ["sh", "-c", ": > made; stat -c %Y made; ls /run/world"], limits, log };
  const mounts = [{ from: folder, to: free.buildPath, writable: true }];
  const more = { directory: free.buildPath, mounts, environment: {}, network: "none" as const };
  await runSandboxed({ ...spec, ...more }, await probeHost());
  const [shown] = readFileSync(log, "utf8").split("\n");
  assert.ok(Math.abs(Number(shown) - Date.now() / 1000) < 30, shown);
  assert.doesNotMatch(readFileSync(log, "utf8"), /ld\.so\.preload|clock\.so/);
});
