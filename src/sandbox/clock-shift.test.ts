import { strict as assert } from "node:assert";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { systemClock } from "../clock.ts";
import type { World } from "../world.ts";
import { probeHost } from "./host.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "clock-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const SHIFT = 34_587_431;
const world: World = plainWorld("shifted", {
  clockOffset: SHIFT,
  buildPath: "/build/clock",
  hostname: "clock-host",
  user: { name: "clocker", uid: 1000, gid: 1000, group: "clocker", fullName: "Clock", home: "/home/clocker" },
});

/**
 * An allocator that asks for the time and makes a condition while it starts, as
 * jemalloc does; then waits, by each clock, for a fifth of a second.
 */
const PROGRAM = `
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ready;
static char heap[1 << 22];
static size_t used;
void *malloc(size_t size) {
  struct timespec now;
  pthread_cond_t condition;
  if (!ready) {
    pthread_mutex_lock(&lock);
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_cond_init(&condition, 0);
    ready = 1;
    pthread_mutex_unlock(&lock);
  }
  used = (used + 15) & ~(size_t)15;
  used += size;
  return heap + used - size;
}
void free(void *at) { (void)at; }
void *calloc(size_t a, size_t b) { return malloc(a * b); }
void *realloc(void *at, size_t size) { return at == 0 ? malloc(size) : 0; }
static struct timespec soon(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  at.tv_nsec += 200000000;
  if (at.tv_nsec >= 1000000000) { at.tv_nsec -= 1000000000; at.tv_sec++; }
  return at;
}
int main(void) {
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER, steady;
  pthread_condattr_t attributes;
  sem_t semaphore;
  struct timespec at;
  struct timeval day;
  gettimeofday(&day, 0);
  timespec_get(&at, TIME_UTC);
  printf("%ld %ld %ld\\n", (long)time(0), (long)day.tv_sec, (long)at.tv_sec);
  pthread_mutex_lock(&lock);
  at = soon(CLOCK_REALTIME);
  printf("%d", pthread_cond_timedwait(&condition, &lock, &at) == ETIMEDOUT);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&steady, &attributes);
  at = soon(CLOCK_MONOTONIC);
  printf("%d", pthread_cond_timedwait(&steady, &lock, &at) == ETIMEDOUT);
  sem_init(&semaphore, 0, 0);
  at = soon(CLOCK_REALTIME);
  printf("%d", sem_timedwait(&semaphore, &at) == -1 && errno == ETIMEDOUT);
  at = soon(CLOCK_REALTIME);
  printf("%d\\n", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, 0) == 0);
  return 0;
}
`;

async function shifted(command: string, change: Partial<World> = {}): Promise<{ log: string; milliseconds: number }> {
  const folder = mkdtempSync(join(own, "run-"));
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "src", "program.c"), PROGRAM);
  const result = await runSandboxed(
    {
      world: { ...world, ...change },
      command: ["sh", "-ec", command],
      directory: world.buildPath,
      mounts: [{ from: join(folder, "src"), to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits: { timeoutSeconds: 20, memoryBytes: 1 << 29, processes: 100, diskBytes: 1 << 26, logBytes: 1 << 20 },
      log: join(folder, "log"),
    },
    await probeHost(),
  );
  const log = readFileSync(join(folder, "log"), "utf8");
  assert.equal(result.outcome, "exited", log);
  assert.equal(result.exitCode, 0, log);
  return { log, milliseconds: result.milliseconds };
}

test("the wall clock is shifted in every call that reads it, and waits end in time", async () => {
  const { clockShift } = await probeHost();
  assert.ok(clockShift !== undefined, "needs a C compiler: scripts/setup test installs it");
  const now = systemClock.now() / 1000;
  const { log } = await shifted("cc -pthread -o program program.c; ./program");
  const [times = "", waits] = log.split("\n");
  for (const time of times.split(" ")) assert.ok(Math.abs(Number(time) - now - SHIFT) < 30, `${time} against ${now}`);
  assert.equal(waits, "1111");
});

test("an offset may be negative, and a world without one loads nothing", async () => {
  const now = systemClock.now() / 1000;
  const back = await shifted("date +%s; env -i /bin/date +%s", { clockOffset: -86_400 });
  for (const time of back.log.trim().split("\n")) assert.ok(Math.abs(Number(time) - now + 86_400) < 30, time);
  const plain = await shifted("date +%s; cat /etc/ld.so.preload /etc/faketimerc 2>/dev/null | wc -c", {
    clockOffset: 0,
  });
  assert.match(plain.log, /\n0\n$/);
  assert.ok(Math.abs(Number(plain.log.split("\n")[0]) - now) < 30);
});

test("a program with AddressSanitizer runs, and still finds what it is there for", async () => {
  const program = `#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int count, char **word) {
  char *at = malloc(10);
  at[count > 1 ? atoi(word[1]) : 0] = 'x';
  printf("%c %ld\\n", *at, (long)time(0));
  free(at);
}
`;
  const { log } = await shifted(
    `cat >asan.c <<'EOF'
${program}EOF
cc -fsanitize=address -o asan asan.c
./asan; ASAN_OPTIONS=color=never ./asan
./asan 11 2>&1 | grep -o heap-buffer-overflow | head -n 1`,
  );
  const [one = "", two = "", overflow] = log.split("\n");
  const now = systemClock.now() / 1000;
  for (const line of [one, two]) assert.ok(Math.abs(Number(line.replace("x ", "")) - now - SHIFT) < 30, log);
  assert.equal(overflow, "heap-buffer-overflow");
});
