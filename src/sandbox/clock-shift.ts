import { run } from "../child.ts";
import { compiledOnce } from "./compiled.ts";

/** Where the library reads by how many seconds it shifts the clock; also where libfaketime looks by itself. */
export const OFFSET_FILE = "/etc/faketimerc";

/**
 * A library for /etc/ld.so.preload that shifts the wall clock and nothing else.
 * libfaketime does more than is wanted here, and hangs programs whose allocator
 * asks for the time while it starts (rustc, with jemalloc): it looks symbols up
 * and opens a semaphore inside that question, and both allocate. This one calls
 * the kernel at once for every clock but the wall clock, and allocates nothing.
 *
 * Waits until an absolute time are shifted back when that time can only have
 * come from the shifted clock: a monotonic clock never reads half the offset
 * beyond the real time. Needs no header, so that a compiler is enough.
 */
const SOURCE = `
struct timespec { long s, n; };
struct timeval { long s, u; };
extern void *dlsym(void *, const char *);
extern long syscall(long, ...);
extern int open(const char *, int, ...);
extern long read(int, void *, unsigned long);
extern int close(int);

#if defined(__x86_64__) && !defined(__ILP32__)
#define CLOCK_GETTIME 228
#elif defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define CLOCK_GETTIME 113
#elif defined(__s390x__)
#define CLOCK_GETTIME 260
#elif defined(__powerpc64__)
#define CLOCK_GETTIME 246
#else
#error unknown machine
#endif

/* The kernel ignores it; what answers for static programs (static-clock.ts) lets a call with it pass. */
#define MARK 0x62663462L

static long offset(void) {
  static long known, value;
  char text[24];
  long length, at = 0, sum = 0;
  int file;
  if (__atomic_load_n(&known, __ATOMIC_ACQUIRE)) return value;
  file = open("${OFFSET_FILE}", 02000000);
  length = file < 0 ? 0 : read(file, text, sizeof text);
  if (file >= 0) close(file);
  if (length > 0 && (text[0] == '+' || text[0] == '-')) at = 1;
  for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) sum = sum * 10 + (text[at] - '0');
  value = length > 0 && text[0] == '-' ? -sum : sum;
  __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
  return value;
}

int clock_gettime(int clock, struct timespec *to) {
  int result = (int)syscall(CLOCK_GETTIME, clock, to, MARK);
  if (result == 0 && (clock == 0 || clock == 5)) to->s += offset();
  return result;
}

int gettimeofday(struct timeval *to, void *zone) {
  struct timespec now;
  (void)zone;
  if (to == 0) return 0;
  if (clock_gettime(0, &now) != 0) return -1;
  to->s = now.s;
  to->u = now.n / 1000;
  return 0;
}

long time(long *to) {
  struct timespec now;
  if (clock_gettime(5, &now) != 0) return -1;
  if (to != 0) *to = now.s;
  return now.s;
}

int timespec_get(struct timespec *to, int base) {
  return base == 1 && clock_gettime(0, to) == 0 ? base : 0;
}

static const struct timespec *real(const struct timespec *until, struct timespec *into) {
  struct timespec now;
  long shift = offset();
  if (until == 0 || shift <= 0 || syscall(CLOCK_GETTIME, 0, &now, MARK) != 0) return until;
  if (until->s <= now.s + shift / 2) return until;
  into->s = until->s - shift;
  into->n = until->n;
  return into;
}

#define NEXT(name, ...) \\
  static int (*next)(__VA_ARGS__); \\
  struct timespec at; \\
  if (next == 0) next = (int (*)(__VA_ARGS__))dlsym((void *)-1L, name)

typedef const struct timespec *when;
int pthread_cond_timedwait(void *c, void *m, when t) { NEXT("pthread_cond_timedwait", void *, void *, when); return next(c, m, real(t, &at)); }
int pthread_cond_clockwait(void *c, void *m, int k, when t) { NEXT("pthread_cond_clockwait", void *, void *, int, when); return next(c, m, k, real(t, &at)); }
int pthread_mutex_timedlock(void *m, when t) { NEXT("pthread_mutex_timedlock", void *, when); return next(m, real(t, &at)); }
int pthread_mutex_clocklock(void *m, int k, when t) { NEXT("pthread_mutex_clocklock", void *, int, when); return next(m, k, real(t, &at)); }
int pthread_rwlock_timedrdlock(void *l, when t) { NEXT("pthread_rwlock_timedrdlock", void *, when); return next(l, real(t, &at)); }
int pthread_rwlock_timedwrlock(void *l, when t) { NEXT("pthread_rwlock_timedwrlock", void *, when); return next(l, real(t, &at)); }
int sem_timedwait(void *s, when t) { NEXT("sem_timedwait", void *, when); return next(s, real(t, &at)); }
int sem_clockwait(void *s, int k, when t) { NEXT("sem_clockwait", void *, int, when); return next(s, k, real(t, &at)); }
int pthread_timedjoin_np(long p, void **v, when t) { NEXT("pthread_timedjoin_np", long, void **, when); return next(p, v, real(t, &at)); }
int cnd_timedwait(void *c, void *m, when t) { NEXT("cnd_timedwait", void *, void *, when); return next(c, m, real(t, &at)); }
int mtx_timedlock(void *m, when t) { NEXT("mtx_timedlock", void *, when); return next(m, real(t, &at)); }
struct alarm { struct timespec every, first; };
int timer_settime(void *x, int f, const struct alarm *a, struct alarm *o) { struct alarm moved = *a; NEXT("timer_settime", void *, int, const struct alarm *, struct alarm *); if (f & 1) moved.first = *real(&a->first, &at); return next(x, f, &moved, o); }
int timerfd_settime(int x, int f, const struct alarm *a, struct alarm *o) { struct alarm moved = *a; NEXT("timerfd_settime", int, int, const struct alarm *, struct alarm *); if (f & 1) moved.first = *real(&a->first, &at); return next(x, f, &moved, o); }
int clock_nanosleep(int k, int f, when t, struct timespec *left) { NEXT("clock_nanosleep", int, int, when, struct timespec *); return next(k, f, f & 1 ? real(t, &at) : t, left); }
`;

/** The compiled library, made once a machine; undefined where there is no C compiler. */
export function clockShiftLibrary(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "clock",
    source: SOURCE,
    options: ["-O2", "-shared", "-fPIC", "-fno-builtin", "-fno-stack-protector", "-nostdlib", "-w"],
    // A library that cannot be loaded would spoil every program's output.
    works: async (path) => {
      const tried = await run("date", ["+%s"], { env: { LD_PRELOAD: path }, timeoutMilliseconds: 5000 });
      return tried.exitCode === 0 && tried.stderr === "";
    },
  });
}
