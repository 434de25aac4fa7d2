import { strict as assert } from "node:assert";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { World } from "../world.ts";
import { type HostAbilities, probeHost } from "./host.ts";
import { runSandboxed, type SandboxResult } from "./sandbox.ts";
import { type FileEvent, readTrace, type Trace } from "./trace.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "trace-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const host = await probeHost();
const skip = host.ordering === "notifications" ? false : "this machine cannot answer system calls";

const world: World = plainWorld("traced", {
  buildPath: "/build/traced",
  hostname: "trace-host",
  user: { name: "tracer", uid: 1000, gid: 1000, group: "tracer", fullName: "Trace", home: "/home/tracer" },
});

/** A run of that script, beside the files given, and what it left. */
async function traced(
  script: string,
  files: Readonly<Record<string, string>> = {},
  on: HostAbilities = host,
): Promise<{ trace: Trace; log: string; result: SandboxResult; here: (path: string) => FileEvent[] }> {
  const folder = mkdtempSync(join(own, "run-"));
  const source = join(folder, "src");
  mkdirSync(source);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text);
  const result = await runSandboxed(
    {
      world,
      command: ["sh", "-ec", script],
      directory: world.buildPath,
      mounts: [{ from: source, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits: { timeoutSeconds: 60, memoryBytes: 1 << 30, processes: 500, diskBytes: 1 << 28, logBytes: 1 << 20 },
      log: join(folder, "log"),
      trace: join(folder, "trace"),
    },
    on,
  );
  const trace = await readTrace(join(folder, "trace"));
  const log = readFileSync(join(folder, "log"), "utf8");
  const at = (path: string): string => (path.startsWith("/") ? path : `${world.buildPath}/${path}`);
  const here = (path: string): FileEvent[] =>
    trace.events.filter((event) => event.path === at(path) || ("to" in event && event.to === at(path)));
  return { trace, log, result, here };
}

const argvOf = (trace: Trace, id: number | undefined): string => trace.processes[id ?? -1]?.argv.join(" ") ?? "none";

test("what a shell does with files, by whom, and where it ran", { skip }, async () => {
  const isolations = host.isolation === "dropped" ? (["dropped", "root"] as const) : [host.isolation];
  for (const isolation of isolations) {
    const script = `mkdir -p sub/deep; echo one >a; cat a >b; mv b sub/c; ln sub/c hard; ln -s sub/c soft
      (cd sub/deep; cat ../../soft ../c >>../../out); rm -f hard nothing; test -e missing || true; : >/dev/null
      cat missing 2>/dev/null || true; truncate -s 0 a; tar cf t.tar sub`;
    const { trace, log, result, here } = await traced(script, {}, { ...host, isolation });
    assert.equal(result.exitCode, 0, log);
    assert.deepEqual(trace.doubts, []);
    assert.deepEqual(trace.processes[0]?.argv.slice(0, 2), ["sh", "-ec"], isolation);
    assert.equal(trace.processes[0]?.parent, undefined);
    assert.equal(trace.processes[0]?.directory, world.buildPath);
    const told = (path: string): string[] => here(path).map(({ what, process }) => `${what} ${argvOf(trace, process)}`);
    assert.deepEqual(told("b").slice(1), ["rename mv b sub/c"]);
    assert.match(told("b")[0] ?? "", /^write sh /);
    assert.deepEqual(told("hard"), ["link ln sub/c hard", "unlink rm -f hard nothing"]);
    assert.deepEqual(here("soft"), [
      { process: here("soft")[0]?.process, what: "symlink", path: "/build/traced/sub/c", to: "/build/traced/soft" },
    ]);
    assert.deepEqual(told("nothing"), []);
    assert.deepEqual(told("missing"), []);
    assert.deepEqual(told("/dev/null"), []);
    assert.ok(told("a").includes("write truncate -s 0 a"), told("a").join("; "));
    assert.ok(told("sub/c").includes("read cat ../../soft ../c"));
    assert.equal(told("sub/c").filter((one) => one === "read cat ../../soft ../c").length, 1);
    assert.ok(told("t.tar").includes("write tar cf t.tar sub"));
    const cat = trace.processes.find(({ argv }) => argv.join(" ") === "cat ../../soft ../c");
    assert.equal(cat?.directory, "/build/traced/sub/deep");
    assert.match(argvOf(trace, cat?.parent), /^sh -ec/);
    // What redirected is a child of the shell, before it became cat.
    assert.deepEqual(
      here("out").map(({ what, process }) => [what, process]),
      [["write", cat?.parent]],
    );
    for (const { id, parent } of trace.processes) assert.ok(parent === undefined ? id === 0 : parent < id);
  }
});

const PARTS = Array.from({ length: 24 }, (_, index) => `part${index}`);

test("a parallel make: each object has its compiler, and the program its linker", { skip }, async () => {
  const makefile = `prog: ${PARTS.map((name) => `${name}.o`).join(" ")}\n\tcc -o $@ $^\n%.o: %.c all.h\n\tcc -c -o $@ $<\n`;
  const files = Object.fromEntries(
    PARTS.map((name) => [`${name}.c`, `#include "all.h"\nint ${name}(void) { return ${name.length}; }\n`]),
  );
  const { trace, log, result, here } = await traced("make -j4 prog; ./prog", {
    ...files,
    "all.h": PARTS.map((name) => `int ${name}(void);\n`).join(""),
    "part0.c": '#include "all.h"\nint part0(void) { return 0; }\nint main(void) { return part0() + part1() - 5; }\n',
    Makefile: makefile,
  });
  assert.equal(result.exitCode, 0, log);
  assert.deepEqual(trace.doubts, []);
  for (const name of PARTS) {
    const [writer] = here(`${name}.o`).filter(({ what }) => what === "write");
    const chain: string[] = [];
    for (let at = writer?.process; at !== undefined; at = trace.processes[at]?.parent) chain.push(argvOf(trace, at));
    assert.match(chain[0] ?? "", new RegExp(`^as .*-o ${name}\\.o `), chain.join(" < "));
    assert.match(chain[1] ?? "", new RegExp(`^cc -c -o ${name}\\.o ${name}\\.c$`));
    assert.ok(chain.includes("make -j4 prog"));
    const reads = here("all.h").filter(({ process }) => argvOf(trace, process).includes(`${name}.c`));
    assert.equal(reads.length, 1, name);
  }
  const linkers = here("prog").filter(({ what }) => what === "write");
  assert.match(argvOf(trace, linkers[0]?.process), /\/(collect2|ld) |^ld/);
});

test(
  "a program that writes by threads, forks and descriptors of folders, and that becomes another",
  { skip },
  async (t) => {
    const program = `import os, threading
def write(name):
    with open(name, 'w') as file: file.write(name)
threads = [threading.Thread(target=write, args=(f't{n}',)) for n in range(4)]
[one.start() for one in threads]; [one.join() for one in threads]
os.mkdir('folder'); at = os.open('folder', os.O_RDONLY)
os.close(os.open('inside', os.O_WRONLY | os.O_CREAT, dir_fd=at))
os.rename('inside', 'moved', src_dir_fd=at)
if os.fork() == 0:
    write('forked'); os._exit(0)
os.wait()
os.execvp('cp', ['cp', 'forked', 'copied'])
`;
    const { trace, log, result, here } = await traced("exec python3 p.py", { "p.py": program });
    if (/not found/.test(log)) return t.skip("no python3");
    assert.equal(result.exitCode, 0, log);
    const python = trace.processes.find(({ argv }) => argv.join(" ") === "python3 p.py");
    assert.equal(python?.parent, 0);
    for (const name of ["t0", "t1", "t2", "t3"])
      assert.deepEqual(here(name), [{ process: python?.id, what: "write", path: `/build/traced/${name}` }]);
    assert.deepEqual(
      here("folder/inside").map(({ what }) => what),
      ["write", "rename"],
    );
    assert.equal(trace.processes[here("forked")[0]?.process ?? 0]?.parent, python?.id);
    const copied = here("copied").find(({ what }) => what === "write");
    assert.equal(argvOf(trace, copied?.process), "cp forked copied");
    assert.equal(trace.processes[copied?.process ?? 0]?.parent, python?.id);
  },
);

test("a build that hides, dies or asks for nonsense is neither held up nor changed", { skip }, async () => {
  const program = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  char *bad[] = { "x", (char *)8, 0 };
  int ok = open((char *)8, O_RDONLY) == -1 && errno == EFAULT;
  ok &= syscall(SYS_execve, "/bin/true", (char **)8, 0) == -1 && errno == EFAULT;
  ok &= execve("/bin/true", bad, 0) == -1 && errno == EFAULT;
  ok &= syscall(SYS_openat2, AT_FDCWD, "x", 8, 24) == -1 && errno == EFAULT;
  ok &= syscall(SYS_openat, 77, "x", O_RDONLY) == -1 && errno == EBADF;
  char *nothing[] = { 0 };
  ok &= rename("nowhere", "elsewhere") == -1 && errno == ENOENT;
  prctl(PR_SET_DUMPABLE, 0);
  close(open("hidden", O_WRONLY | O_CREAT, 0644));
  for (int n = 0; n < 50; n++) {
    pid_t child = fork();
    if (child == 0) for (;;) close(open("hidden", O_RDONLY));
    usleep(500), kill(child, 9), waitpid(child, 0, 0);
  }
  printf(ok ? "fine\\n" : "wrong\\n");
  char *many[6000];
  for (int n = 0; n < 5999; n++) many[n] = n == 0 ? "true" : "argument";
  many[5999] = 0;
  fflush(stdout);
  execv("/bin/true", many);
}
`;
  const { trace, log, result } = await traced("cc -w -o p p.c; ./p", { "p.c": `#include <signal.h>\n${program}` });
  assert.equal(result.exitCode, 0, log);
  assert.equal(log, "fine\n");
  assert.deepEqual(trace.doubts, ["1 command lines were cut: they have more than 4096 arguments or 64 KiB"]);
  assert.equal(trace.processes.at(-1)?.argv.length, 4096);
});

test("a record that ends early says so", async () => {
  const file = join(own, "cut");
  writeFileSync(file, "P 0 /x 2 a b F 1 /y W 2 /x/o N 2 /x/o ".replaceAll(" ", "\0"));
  assert.deepEqual(await readTrace(file), {
    processes: [
      { id: 0, parent: undefined, argv: ["a", "b"], directory: "/x", began: 0 },
      { id: 1, parent: 0, argv: ["a", "b"], directory: "/y", began: 0 },
    ],
    events: [{ process: 1, what: "write", path: "/x/o" }],
    doubts: ["the record of the build ends early"],
  });
});
