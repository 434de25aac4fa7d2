/** What is held holds: real programs, run again and again in one held world, and at another path. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { probeHost } from "../sandbox/host.ts";
import { runSandboxed } from "../sandbox/sandbox.ts";
import type { World } from "../world.ts";
import { experimentWorlds, mixed } from "./worlds.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "held-world-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const host = await probeHost();
const [still, other] = experimentWorlds("thing", 1_700_000_000);
const elsewhere = mixed(still, other, ["path"], "elsewhere");
const reseeded = mixed(still, other, ["random"], "reseeded");

const holds = host.ordering === "notifications" && host.clockShift !== undefined;
const without = (...paths: string[]): string | false => {
  if (!holds) return "this machine cannot hold clock and randomness still";
  const missing = paths.filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `not installed here: ${missing.join(", ")}`;
};

interface Files {
  texts?: Readonly<Record<string, string>>;
  programs?: Readonly<Record<string, string>>;
}

let runs = 0;

/** The lines that the script prints in that world. */
async function printed(script: string, world: World, { texts = {}, programs = {} }: Files = {}): Promise<string[]> {
  const folder = join(own, `r${runs++}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text);
  for (const [name, from] of Object.entries(programs))
    writeFileSync(join(folder, name), readFileSync(from), { mode: 0o755 });
  const log = `${folder}.log`;
  const result = await runSandboxed(
    {
      world,
      command: ["sh", "-ec", script],
      directory: world.buildPath,
      mounts: [{ from: folder, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits: { timeoutSeconds: 100, memoryBytes: 2 ** 31, processes: 500, diskBytes: 2 ** 28, logBytes: 1 << 20 },
      log,
    },
    host,
  );
  const said = readFileSync(log, "utf8");
  assert.deepEqual([result.outcome, result.exitCode], ["exited", 0], said);
  return said.trimEnd().split("\n");
}

/** So many runs, each second one at another path, all say the same; what they say. */
async function holdsFor(script: string, files: Files = {}, times = 5): Promise<string[]> {
  const expected = await printed(script, still, files);
  for (let run = 1; run < times; run++)
    assert.deepEqual(await printed(script, run % 2 === 0 ? still : elsewhere, files), expected, `run ${run}`);
  return expected;
}

/** Every line is drawn: no two are the same, and other seeds give others. */
async function drawn(script: string, lines: readonly string[], files: Files = {}): Promise<void> {
  assert.equal(new Set(lines).size, lines.length, lines.join("\n"));
  const others = await printed(script, reseeded, files);
  assert.equal(others.length, lines.length);
  for (const [index, line] of lines.entries()) assert.notEqual(others[index], line);
}

const TEMPORARY = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static int is_ours(int file, int flags) {
  struct stat about;
  return file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 0777) == 0600 &&
    (fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | (flags & O_APPEND)) &&
    !(fcntl(file, F_GETFD) & FD_CLOEXEC) == !(flags & O_CLOEXEC);
}
int main(void) {
  char a[] = "/tmp/aXXXXXX", b[] = "bXXXXXX", c[] = "cXXXXXX.c", d[] = "dXXXXXXdd", e[] = "/tmp/eXXXXXX", bad[] = "XXXXX", none[] = "no/XXXXXX";
  struct stat about;
  errno = 0;
  if (!is_ours(mkstemp(a), 0) || !is_ours(mkostemp(b, O_APPEND | O_CLOEXEC), O_APPEND | O_CLOEXEC)) return 1;
  if (!is_ours(mkstemps(c, 2), 0) || !is_ours(mkostemps(d, 2, O_CLOEXEC), O_CLOEXEC) || errno != 0) return 2;
  if (mkdtemp(e) != e || stat(e, &about) != 0 || !S_ISDIR(about.st_mode) || (about.st_mode & 0777) != 0700) return 3;
  if (mkstemp(bad) != -1 || errno != EINVAL || mkstemps(a, 90) != -1 || errno != EINVAL || mkstemps(a, -1) != -1) return 4;
  if (mkstemp(none) != -1 || errno != ENOENT || mkdtemp(bad) != 0) return 5;
  printf("%s\\n%s\\n%s\\n%s\\n%s\\n%s\\n", a, b, c, d, e, tmpnam(0));
  return 0;
}
`;

test("names of temporary files in C and the shell", { skip: without("/usr/bin/gcc") }, async () => {
  const files = { texts: { "t.c": TEMPORARY } };
  const script = `gcc -w -o t t.c 2>&-; ./t; ./t; mktemp; mktemp -d; mktemp -u; mktemp -p /tmp q.XXXXXXX.c
cat /proc/sys/kernel/random/uuid; head -c 40 /proc/sys/kernel/random/uuid`;
  const lines = await holdsFor(script, files);
  assert.equal(lines.length, 18);
  for (const line of lines.slice(-2))
    assert.match(line, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await drawn(script, lines, files);
  const boot = "cat /proc/sys/kernel/random/boot_id; cat $(printf /proc/sys/kernel/random/boot_id)";
  const [first, second, ...rest] = await holdsFor(boot, {}, 2);
  assert.ok(first !== undefined && first === second && rest.length === 0);
  assert.notEqual(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), first);
});

const IN_NODE =
  "console.log(crypto.randomUUID(), Math.random(), fs.mkdtempSync('/tmp/n'), crypto.randomBytes(9).toString('hex'))";

test("node's UUIDs, Math.random and temporary folders", { skip: without("/usr/bin/node") }, async () => {
  const script = '/usr/bin/node "$PWD/t.cjs"; /usr/bin/node t.cjs; /usr/bin/node t.cjs; sh -c "/usr/bin/node t.cjs"';
  const files = { texts: { "t.cjs": `const crypto = require('crypto'), fs = require('fs'); ${IN_NODE}` } };
  await drawn(script, await holdsFor(script, files), files);
});

test(
  "python's and perl's temporary names, UUIDs and sets",
  { skip: without("/usr/bin/python3", "/usr/bin/perl") },
  async () => {
    const python =
      "import random, tempfile, uuid; print(tempfile.mkdtemp(), tempfile.mkstemp(), uuid.uuid4(), random.random(), [*{'a', 'b', 'c', 'd', 'e'}])";
    const perl =
      'use File::Temp qw(tempfile tempdir); %h = map { $_ => 1 } "a".."z"; print tempdir(), (tempfile())[1], rand, keys %h, "\\n"';
    const files = { texts: { "t.py": python, "t.pl": perl } };
    const script = '/usr/bin/python3 "$PWD/t.py"; /usr/bin/python3 t.py; perl "$PWD/t.pl"; perl t.pl';
    await drawn(script, await holdsFor(script, files), files);
  },
);

const JAVA = `import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.locks.*;
public class H {
  public static void main(String[] arguments) throws Exception {
    Object one = new Object(), two = new Object();
    Map<Object, Integer> byIdentity = new HashMap<>();
    for (int n = 0; n < 9; n++) byIdentity.put(new Object(), n);
    System.out.println(Set.of(1, 2, 3, 4, 5, 6, 7, 8, 9) + "" + Map.of(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7));
    System.out.println(one.hashCode() + " " + two.hashCode() + " " + byIdentity.values());
    System.out.println(UUID.randomUUID() + " " + new Random().nextInt() + " " + new SplittableRandom().nextInt());
    System.out.println(ThreadLocalRandom.current().nextInt() + " " + java.nio.file.Files.createTempDirectory("x"));
    Thread.sleep(150);
    synchronized (one) { one.wait(150); }
    LockSupport.parkNanos(150_000_000L);
    LockSupport.parkUntil(System.currentTimeMillis() + 150);
    ScheduledExecutorService later = Executors.newScheduledThreadPool(2);
    later.schedule(() -> 1, 150, TimeUnit.MILLISECONDS).get();
    new SynchronousQueue<Integer>().poll(150, TimeUnit.MILLISECONDS);
    later.shutdown();
    if (!later.awaitTermination(60, TimeUnit.SECONDS)) System.exit(1);
    System.exit(0);
  }
}
`;

test(
  "java's sets and maps, identity hashes and generators; and its waits go on",
  { skip: without("/usr/bin/java", "/usr/bin/javac") },
  async () => {
    const source = join(own, "H.java");
    writeFileSync(source, JAVA);
    const compiled = spawnSync("/usr/bin/javac", ["-d", own, source], { encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stderr);
    const files = { programs: { "H.class": join(own, "H.class") } };
    const lines = await holdsFor("/usr/bin/java -cp . H; /usr/bin/java -Xshare:off -cp $PWD H", files, 3);
    assert.equal(lines.length, 8);
    // Java gives the identity hashes of its first thread by itself, in an order that no seed changes.
    const seeded = lines.filter((_, index) => index % 4 !== 1);
    const others = (
      await printed("/usr/bin/java -cp . H; /usr/bin/java -Xshare:off -cp $PWD H", reseeded, files)
    ).filter((_, index) => index % 4 !== 1);
    for (const [index, line] of seeded.entries()) assert.notEqual(others[index], line);
  },
);

const RUST = `use std::collections::{HashMap, HashSet};
fn main() {
    let map: HashMap<i32, i32> = (0..20).map(|n| (n, n)).collect();
    let set = std::thread::spawn(|| (0..20).collect::<HashSet<i32>>()).join().unwrap();
    println!("{:?}\\n{:?}", map.keys().collect::<Vec<_>>(), set);
}
`;
const rustc = spawnSync("rustc", ["--version"]).status === 0;

test("rust's maps, in threads too", { skip: without() || (rustc ? false : "not installed here: rustc") }, async () => {
  writeFileSync(join(own, "h.rs"), RUST);
  const made = spawnSync("rustc", ["-o", join(own, "rust"), join(own, "h.rs")], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const files = { programs: { rust: join(own, "rust") } };
  const script = './rust; "$PWD/rust" "$PWD"';
  await drawn(script, await holdsFor(script, files), files);
});

const CLOCKS = `#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
int main(void) {
  struct timespec exact; struct timeval older;
  char one[] = "/tmp/oneXXXXXX", two[] = "/tmp/oneXXXXXX";
  clock_gettime(CLOCK_REALTIME, &exact); gettimeofday(&older, 0);
  printf("%ld.%09ld %ld %ld\\n", (long)exact.tv_sec, exact.tv_nsec, (long)older.tv_sec, (long)time(0));
  if (mkstemp(one) < 0 || mkstemp(two) < 0) return 1;
  printf("%s %s\\n", one, two);
  for (int n = 0; n < 300; n++) clock_gettime(CLOCK_REALTIME, &exact);
  return exact.tv_nsec == 0 || exact.tv_nsec > 1000 ? 2 : 0;
}
`;

test("musl's programs and static ones: the clock stands, names of theirs are free, and it creeps on", async (t) => {
  const compilers = [
    ["musl", "musl-gcc", []],
    ["musl, static", "musl-gcc", ["-static"]],
    ["static", "gcc", ["-static"]],
  ] as const;
  if (!holds) return t.skip("this machine cannot hold clock and randomness still");
  writeFileSync(join(own, "clocks.c"), CLOCKS);
  const programs: Record<string, string> = {};
  for (const [name, compiler, options] of compilers) {
    const path = join(own, name.replace(/\W+/g, "-"));
    const made = spawnSync(compiler, ["-w", ...options, "-o", path, join(own, "clocks.c")]);
    if (made.status === 0) programs[`p${Object.keys(programs).length}`] = path;
    else t.diagnostic(`not compiled here: ${name} (${compiler})`);
  }
  const names = Object.keys(programs);
  if (names.length === 0) return t.skip("no compiler for static or musl programs");
  const at = still.clockHeld ?? 0;
  const script = names.map((name) => `./${name}; ./${name}`).join("\n");
  const run = async (world: World): Promise<string[]> =>
    (await printed(script, world, { programs })).filter((_, index) => index % 2 === 0);
  const stands = names.flatMap(() => [0, 1].map(() => `${at}.000000000 ${at} ${at}`));
  assert.deepEqual(await run(still), stands);
  assert.deepEqual(
    await run(mixed(still, other, ["clock"], "moved")),
    stands.map((line) => line.replaceAll(String(at), String(at + other.clockOffset))),
  );
  return undefined;
});
