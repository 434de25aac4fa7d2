/** The clock library in real programs: the date is shifted, and everything that waits returns when it should. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { World } from "../world.ts";
import { clockShiftLibrary } from "./clock-shift.ts";
import { probeHost } from "./host.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const SHIFT = 400 * 86_400;
const world: World = plainWorld("test", { clockOffset: SHIFT });
const limits = { timeoutSeconds: 20, memoryBytes: 512 << 20, processes: 200, diskBytes: 64 << 20, logBytes: 1 << 20 };

const own = mkdtempSync(join(tmpdir(), "clock-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const compiler = ["/usr/bin/cc", "/usr/bin/gcc"].find((path) => existsSync(path));
const skip = compiler === undefined ? "there is no C compiler here" : false;

let count = 0;

/** Compiles the programs and runs the script beside them under the shifted clock; what it printed. */
async function shifted(
  script: string,
  programs: Readonly<Record<string, { code: string; flags?: string[] }>> = {},
  change: Partial<World> = {},
): Promise<{ lines: string[]; outcome: string }> {
  const folder = join(own, `t${count++}`);
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  for (const [name, { code, flags = [] }] of Object.entries(programs)) {
    const args = ["-O1", "-w", "-x", "c", "-o", join(tree, name), "-", "-pthread", ...flags];
    const made = spawnSync(compiler ?? "cc", args, { input: code, encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
  }
  const log = join(folder, "log");
  const ran = await runSandboxed(
    {
      world: { ...world, ...change },
      command: ["sh", "-c", script],
      directory: world.buildPath,
      mounts: [{ from: tree, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits,
      log,
    },
    await probeHost(),
  );
  return { lines: readFileSync(log, "utf8").split("\n").filter(Boolean), outcome: ran.outcome };
}

const near = (shown: string | undefined, expected: number, by: number): void =>
  assert.ok(Math.abs(Number(shown) - expected) <= by, `${shown} instead of ${expected}`);
const now = (): number => Date.now() / 1000;

const CLOCKS = `
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
int main(void) {
  struct timespec exact; struct timeval older; struct timespec standard;
  clock_gettime(CLOCK_REALTIME, &exact); gettimeofday(&older, 0); timespec_get(&standard, TIME_UTC);
  printf("%ld\\n%ld\\n%ld\\n%ld\\n", (long)time(0), (long)exact.tv_sec, (long)older.tv_sec, (long)standard.tv_sec);
  clock_gettime(CLOCK_MONOTONIC, &exact);
  printf("%ld\\n", (long)exact.tv_sec);
}`;

test("every way to ask for the date gives the shifted one; monotonic time is left alone", { skip }, async () => {
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const { lines } = await shifted("./clocks; date +%s", { clocks: { code: CLOCKS } });
  assert.equal(lines.length, 6, lines.join("\n"));
  for (const at of [0, 1, 2, 3, 5]) near(lines[at], now() + SHIFT, 5);
  near(lines[4], uptime, 10);
  const back = await shifted("./clocks", { clocks: { code: CLOCKS } }, { clockOffset: -86_400 });
  near(back.lines[0], now() - 86_400, 5);
});

test("files' own times are not shifted", { skip }, async () => {
  const { lines } = await shifted("touch a; stat -c %Y a; touch -d @86400 b; stat -c %Y b");
  near(lines[1], 86_400, 0);
  assert.ok(Math.abs(Number(lines[0]) - now()) <= 5 || Math.abs(Number(lines[0]) - now() - SHIFT) <= 5, lines[0]);
});

const { ordering } = await probeHost();
const unanswered = ordering === "notifications" ? skip : "this machine cannot answer system calls";

test("a static program shows the shifted date, too; monotonic time is left alone", { skip: unanswered }, async () => {
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  for (const flags of [["-static"], ["-static-pie"]]) {
    const { lines } = await shifted("./clocks", { clocks: { code: CLOCKS, flags } });
    for (const at of [0, 1, 2, 3]) near(lines[at], now() + SHIFT, 5);
    near(lines[4], uptime, 10);
  }
});

/** Each waits 200 ms by a deadline of its own kind, and prints how many milliseconds went by. */
const WAITS: Readonly<Record<string, string>> = {
  pthread_cond_timedwait: "pthread_mutex_lock(&mutex); pthread_cond_timedwait(&cond, &mutex, &wall);",
  "pthread_cond_timedwait on the monotonic clock":
    "pthread_condattr_t a; pthread_condattr_init(&a); pthread_condattr_setclock(&a, CLOCK_MONOTONIC); pthread_cond_init(&cond, &a); pthread_mutex_lock(&mutex); pthread_cond_timedwait(&cond, &mutex, &steady);",
  pthread_cond_clockwait: "pthread_mutex_lock(&mutex); pthread_cond_clockwait(&cond, &mutex, CLOCK_REALTIME, &wall);",
  "pthread_cond_clockwait on the monotonic clock":
    "pthread_mutex_lock(&mutex); pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &steady);",
  sem_timedwait: "sem_t s; sem_init(&s, 0, 0); sem_timedwait(&s, &wall);",
  sem_clockwait: "sem_t s; sem_init(&s, 0, 0); sem_clockwait(&s, CLOCK_REALTIME, &wall);",
  pthread_mutex_timedlock: "pthread_mutex_lock(&mutex); pthread_mutex_timedlock(&mutex, &wall);",
  pthread_mutex_clocklock: "pthread_mutex_lock(&mutex); pthread_mutex_clocklock(&mutex, CLOCK_REALTIME, &wall);",
  pthread_rwlock_timedrdlock:
    "pthread_t t; pthread_create(&t, 0, holder, 0); while (!locked) usleep(1000); pthread_rwlock_timedrdlock(&rw, &wall);",
  pthread_rwlock_timedwrlock:
    "pthread_t t; pthread_create(&t, 0, holder, 0); while (!locked) usleep(1000); pthread_rwlock_timedwrlock(&rw, &wall);",
  pthread_timedjoin_np: "pthread_t t; pthread_create(&t, 0, holder, 0); pthread_timedjoin_np(t, 0, &wall);",
  cnd_timedwait: "cnd_t c; mtx_t m; cnd_init(&c); mtx_init(&m, mtx_timed); mtx_lock(&m); cnd_timedwait(&c, &m, &wall);",
  mtx_timedlock: "mtx_t m; mtx_init(&m, mtx_timed); mtx_lock(&m); mtx_timedlock(&m, &wall);",
  clock_nanosleep: "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &wall, 0);",
  "clock_nanosleep, relative": "struct timespec d = { 0, 200000000 }; clock_nanosleep(CLOCK_REALTIME, 0, &d, 0);",
  timerfd_settime:
    "int f = timerfd_create(CLOCK_REALTIME, 0); struct itimerspec i = { { 0, 0 }, wall }; timerfd_settime(f, TFD_TIMER_ABSTIME, &i, 0); long n; read(f, &n, 8);",
  timer_settime:
    "timer_t t; struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM }; signal(SIGALRM, nothing); timer_create(CLOCK_REALTIME, &e, &t); struct itimerspec i = { { 0, 0 }, wall }; timer_settime(t, TIMER_ABSTIME, &i, 0); pause();",
};

const waiter = (): string => `#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static void nothing(int n) {}
static volatile int locked;
static void *holder(void *p) { pthread_rwlock_wrlock(&rw); locked = 1; sleep(60); return 0; }
static struct timespec in200(clockid_t clock) {
  struct timespec t; clock_gettime(clock, &t); t.tv_nsec += 200000000;
  if (t.tv_nsec >= 1000000000) { t.tv_nsec -= 1000000000; t.tv_sec++; }
  return t;
}
int main(int c, char **v) {
  struct timespec from, to, wall = in200(CLOCK_REALTIME), steady = in200(CLOCK_MONOTONIC);
  clock_gettime(CLOCK_MONOTONIC, &from);
  switch (atoi(v[1])) {
${Object.values(WAITS)
  .map((code, at) => `case ${at}: { ${code} break; }`)
  .join("\n")}
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%s %ld\\n", v[1], (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
  fflush(stdout); _exit(0);
}`;

/** Waits in every way at once; each has to take its time and no more. */
async function waitInEveryWay(change: Partial<World>, flags: string[] = []): Promise<void> {
  const names = Object.keys(WAITS);
  const script = `for n in $(seq 0 ${names.length - 1}); do timeout -s KILL 40 ./wait $n & done; wait`;
  const { lines } = await shifted(script, { wait: { code: waiter(), flags } }, change);
  const took = new Map(lines.map((line) => line.split(" ").map(Number) as [number, number]));
  for (const [at, name] of names.entries()) {
    const milliseconds = took.get(at);
    assert.ok(milliseconds !== undefined, `${name} did not return`);
    assert.ok(milliseconds >= 100 && milliseconds < 30_000, `${name} returned after ${milliseconds} ms`);
  }
}

test("waits with a deadline on any clock return on time", { skip }, async () => {
  await waitInEveryWay({});
});

test("so they do where the clock stands still, at any second", { skip }, async () => {
  for (const clockHeld of [0, 315_532_800, 1_577_934_245, 4_102_444_800]) {
    await waitInEveryWay({ clockHeld, clockOffset: 0 });
  }
  await waitInEveryWay({ clockHeld: 1_577_934_245 });
});

test("in a static program, too", { skip: unanswered }, async () => {
  await waitInEveryWay({}, ["-static"]);
});

test("timeout(1), sleep(1) and Python's threads wait as long as they are told", { skip }, async () => {
  const python = existsSync("/usr/bin/python3");
  const threads =
    "import threading, time, queue; s = time.monotonic(); threading.Event().wait(0.2); threading.Lock().acquire(timeout=0.2) and None; l = threading.Lock(); l.acquire(); l.acquire(timeout=0.2)\ntry: queue.Queue().get(timeout=0.2)\nexcept queue.Empty: pass\ntime.sleep(0.2); print(round(time.monotonic() - s, 1), int(time.time()))";
  const script = `timeout 0.3 sleep 10; echo $?; sleep 0.1; echo slept${python ? `; timeout -s KILL 10 /usr/bin/python3 -c '${threads}'` : ""}`;
  const { lines, outcome } = await shifted(script);
  assert.equal(outcome, "exited");
  assert.deepEqual(lines.slice(0, 2), ["124", "slept"]);
  if (!python) return;
  const [seconds, date] = (lines[2] ?? "").split(" ");
  assert.ok(Number(seconds) >= 0.7 && Number(seconds) < 4, lines[2]);
  near(date, now() + SHIFT, 10);
});

/** As jemalloc does in rustc: the first allocation takes a lock and asks for the time; so does a constructor. */
const ALLOCATOR = `
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char heap[1 << 22]; static size_t used; static int ready;
void *malloc(size_t n) {
  pthread_mutex_lock(&lock);
  if (!ready) { struct timespec t; ready = 1; clock_gettime(CLOCK_REALTIME, &t); }
  void *p = heap + used; used += (n + 15) & ~15UL;
  pthread_mutex_unlock(&lock);
  return p;
}
void free(void *p) {}
void *calloc(size_t a, size_t b) { void *p = malloc(a * b); memset(p, 0, a * b); return p; }
void *realloc(void *p, size_t n) { void *q = malloc(n); if (p) memcpy(q, p, n); return q; }
__attribute__((constructor)) static void start(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); }
int main(void) { char *p = malloc(10); p[0] = 1; printf("%ld\\n", (long)time(0)); return 0; }`;

test("a program whose allocator asks for the time while it starts does not wait for itself", { skip }, async () => {
  const { lines } = await shifted("timeout -s KILL 5 ./allocates", { allocates: { code: ALLOCATOR } });
  near(lines[0], now() + SHIFT, 6);
});

test("the library is made once, and not at all where it cannot be", { skip }, async () => {
  const cache = join(own, "cache");
  const [one, two] = await Promise.all([clockShiftLibrary(cache), clockShiftLibrary(cache)]);
  assert.ok(one !== undefined && one === two);
  const { ino } = statSync(one);
  assert.equal(await clockShiftLibrary(cache), one);
  assert.equal(statSync(one).ino, ino);
});
