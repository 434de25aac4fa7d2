/**
 * A build that fights who watches it: every call that stops for an answer, while it forks, stops, dies, traces itself and
 * asks for nonsense. Nothing hangs, nothing is left, and what could not be done is told.
 */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { nothingIsLeft } from "../processes-for-tests.ts";
import type { World } from "../world.ts";
import { answersCalls, runSandboxed, type SandboxResult } from "./sandbox.ts";
import { probeHost } from "./host.ts";
import { readTrace, type Trace } from "./trace.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "hostile-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const host = await probeHost();
const skip = answersCalls(host) ? false : "this machine cannot answer system calls";

const world: World = plainWorld("hostile", {
  clockOffset: 1_000_000,
  buildPath: "/build/hostile",
  hostname: "hostile-host",
  random: 7,
});

const MARK = `hostile-${process.pid}`;

const SOURCE = `#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *self, *nothing[] = { 0, "nothing", 0 };

static void *ask_the_time(void *unused) {
  struct timespec now;
  for (int n = 0; n < 50; n++) syscall(SYS_clock_gettime, 0, &now);
  return 0;
}

static void *become(void *unused) { execv(self, nothing); _exit(3); }

static void run(void) {
  pid_t child = vfork();
  if (child == 0) { execv(self, nothing); _exit(9); }
  waitpid(child, 0, 0);
}

static void many_threads(void) {
  pthread_t threads[300];
  pthread_attr_t small;
  pthread_attr_init(&small), pthread_attr_setstacksize(&small, 32768);
  for (int n = 0; n < 300; n++) if (pthread_create(&threads[n], &small, ask_the_time, 0)) exit(6);
  for (int n = 0; n < 300; n++) pthread_join(threads[n], 0);
}

/* A thread that is not the first becomes another program while the others call. */
static void other_threads(void) {
  for (int n = 0; n < 20; n++) {
    pid_t child = fork();
    pthread_t thread;
    if (child == 0) {
      for (int k = 0; k < 7; k++) pthread_create(&thread, 0, ask_the_time, 0);
      pthread_create(&thread, 0, become, 0);
      for (;;) pause();
    }
    waitpid(child, 0, 0);
  }
}

static void killed(int stopping) {
  for (int n = 0; n < 60; n++) {
    pid_t child = fork();
    if (child == 0) for (;;) run();
    for (int k = 0; stopping && k < 20; k++) kill(child, SIGSTOP), kill(child, SIGCONT), usleep(100);
    usleep(n % 37 * 100);
    kill(child, SIGKILL), waitpid(child, 0, 0);
  }
}

static void traced(void) {
  int status;
  pid_t child = fork();
  if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0), raise(SIGSTOP), execv(self, nothing), _exit(7); }
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, 0, 0);
  if (status != 0) exit(4);
}

static void nonsense(void) {
  for (long n = 0; n < 200; n++) {
    syscall(SYS_execve, n * 4096, -1l, 8l), syscall(SYS_clock_gettime, 0, n), syscall(SYS_gettimeofday, n, n);
    syscall(SYS_getdents64, n % 20 - 3, 1l, 1l << 30), syscall(SYS_getrandom, n, -1l, 0), syscall(SYS_openat, -100, -1l, 0);
  }
}

int main(int count, char **given) {
  self = nothing[0] = given[0];
  const char *what = given[1];
  int left = count > 3 ? atoi(given[3]) : 0;
  char next[16];
  sprintf(next, "%d", left - 1);
  if (!strcmp(what, "nothing")) return 0;
  if (!strcmp(what, "forks")) for (int n = 0; n < 3000; n++) { pid_t child = fork(); if (child == 0) _exit(0); if (child < 0) return 5; waitpid(child, 0, 0); }
  if (!strcmp(what, "execs") && left > 0) return execl(self, self, what, given[2], next, (char *)0), 5;
  if (!strcmp(what, "threads")) many_threads();
  if (!strcmp(what, "other threads")) other_threads();
  if (!strcmp(what, "killed")) killed(0);
  if (!strcmp(what, "stopped")) killed(1);
  if (!strcmp(what, "traced")) traced();
  if (!strcmp(what, "nonsense")) nonsense();
  if (!strcmp(what, "closed")) { pid_t child = fork(); if (child == 0) syscall(SYS_close_range, 0, ~0u, 0), run(), _exit(0); waitpid(child, 0, 0); }
  if (!strcmp(what, "left")) for (int n = 0; n < 20; n++) if (fork() == 0) { setsid(); for (;;) run(); }
  if (!strcmp(what, "killer")) kill(getppid(), SIGKILL), kill(1, SIGKILL), kill(-1, SIGKILL);
  if (!strcmp(what, "forever")) for (;;) run();
  puts("done");
  return 0;
}
`;

const folder = join(own, "program");
mkdirSync(folder);
writeFileSync(join(folder, "hostile.c"), SOURCE);
const programs = ["", "-static"].map((option) => {
  const program = join(folder, `hostile${option}`);
  const words = [
    "-O1",
    "-w",
    "-pthread",
    ...option.split(" ").filter(Boolean),
    "-o",
    program,
    join(folder, "hostile.c"),
  ];
  return skip === false && spawnSync("cc", words).status === 0 ? program : undefined;
});

interface Fought extends SandboxResult {
  said: string;
  trace: Trace;
}

async function fight(program: string, what: string, timeoutSeconds = 300): Promise<Fought> {
  const run = mkdtempSync(join(own, "run-"));
  const [source, log, trace] = [join(run, "src"), join(run, "log"), join(run, "trace")];
  mkdirSync(source);
  copyFileSync(program, join(source, "hostile"));
  const result = await runSandboxed(
    {
      world,
      command: [`${world.buildPath}/hostile`, what, MARK, "300"],
      directory: world.buildPath,
      mounts: [{ from: source, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      trace,
      limits: { timeoutSeconds, memoryBytes: 512 << 20, processes: 1000, diskBytes: 64 << 20, logBytes: 1 << 20 },
      log,
    },
    host,
  );
  return { ...result, said: readFileSync(log, "utf8"), trace: await readTrace(trace) };
}

describe("a hostile build", { skip, concurrency: false }, () => {
  for (const [kind, program] of [
    ["dynamic", programs[0]],
    ["static", programs[1]],
  ] as const) {
    for (const what of [
      "forks",
      "execs",
      "threads",
      "other threads",
      "killed",
      "stopped",
      "nonsense",
      "closed",
      "left",
    ]) {
      test(`${what}, ${kind}: goes its way, and nothing of it stays`, async (t) => {
        if (program === undefined) return t.skip(`the compiler makes no ${kind} program`);
        const fought = await fight(program, what);
        assert.deepEqual([fought.outcome, fought.exitCode, fought.said], ["exited", 0, "done\n"]);
        assert.deepEqual(fought.trace.doubts, []);
        if (what === "execs") assert.equal(fought.trace.processes.length, 301);
        await nothingIsLeft(MARK);
      });
    }
  }

  test("that traces itself keeps its own randomness, which is told", async () => {
    const fought = await fight(programs[0] ?? "", "traced");
    assert.deepEqual([fought.outcome, fought.said], ["exited", "done\n"]);
    assert.match(fought.lacks.map((one) => one.what).join("\n"), /random: .*kernel's random numbers \(1 starts/);
  });

  test("that kills all it can reach ends nobody but itself", async () => {
    const fought = await fight(programs[0] ?? "", "killer");
    assert.deepEqual([fought.outcome, fought.said], ["exited", "done\n"]);
  });

  test("that starts programs without end is ended by its time", async () => {
    assert.equal((await fight(programs[0] ?? "", "forever", 3)).outcome, "timeout");
    await nothingIsLeft(MARK);
  });
});
