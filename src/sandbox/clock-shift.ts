import { run } from "../child.ts";
import { compiledOnce } from "./compiled.ts";
import { FILE_TIMES } from "./file-times.ts";

/** Where the library reads by how many seconds it shifts the clock; also where libfaketime looks by itself. */
export const OFFSET_FILE = "/etc/faketimerc";

/** "bf4b", the third argument of our own clock_gettime. */
const CLOCK_MAGIC = "0x62663462";

/** How often one process may read a held clock before that begins to creep on. */
const STEADY_READINGS = 100_000;

/**
 * Programs whose work is to compare file times, and which keep none: to them alone
 * the order in which files were made shows, below the second. cp, install and the
 * like are among them so that a copy that keeps its time is no older than the file.
 */
const COMPARING = (
  "make gmake ninja ninja-build samu bmake pmake tup redo cmake ctest " +
  "ls find test [ sh dash bash zsh ksh mksh busybox cp mv install touch rsync"
).split(" ");

/**
 * A library for /etc/ld.so.preload that shifts the wall clock, or holds it, and
 * nothing else. libfaketime does more than is wanted here, and hangs programs
 * whose allocator asks for the time while it starts (rustc, with jemalloc): it
 * looks symbols up and opens a semaphore inside that question, and both
 * allocate. This one calls the kernel at once for every clock but the wall
 * clock, and allocates nothing. Needs no header, so that a compiler is enough.
 *
 * A held clock stands still at a second for every program that starts, so that
 * neither the machine's speed nor its load shows. It goes on by what the process
 * itself does, and by nothing else:
 *
 * - by its sleeps, as long as it asked for (to the next hundredth of a second, if it
 *   sleeps until a monotonic time); to a deadline of its own, once that has come;
 * - by time-outs of poll, select and the like that ran out, in whole steps of
 *   ten seconds of their sum: how long a single one takes is the machine's;
 * - after a hundred thousand readings, by a microsecond a reading, so that a program
 *   that waits by asking again and again goes on.
 *
 * All of that follows from what the process asks for, so it is the same in every
 * run of a program of one thread. A loop of processes that each ask once (a
 * shell's `until [ $(date +%s) -gt … ]`) is not ended by that; the build's time
 * limit ends it. Monotonic clocks, and so all waiting, are real.
 *
 * Waits until an absolute time are moved to the real clock when that time can
 * only have come from ours: it then lies nearer to our wall clock than to the
 * monotonic one.
 *
 * Our own questions to the kernel bear a third argument that the kernel ignores:
 * whoever answers other programs' clock calls lets them pass by that.
 */
const CLOCK = `
struct timespec { long s, n; };
struct timeval { long s, u; };
typedef const struct timespec *when;
extern void *dlsym(void *, const char *);
extern int open(const char *, int, ...);
extern long read(int, void *, unsigned long);
extern int close(int);
extern int *__errno_location(void);
extern char *program_invocation_short_name __attribute__((weak));

#if defined(__x86_64__) && !defined(__ILP32__)
#define CLOCK_GETTIME 228
#define FSTAT 5
#define FSTATAT 262
#define STATX 332
#elif defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define CLOCK_GETTIME 113
#define FSTAT 80
#define FSTATAT 79
#define STATX 291
#elif defined(__s390x__)
#define CLOCK_GETTIME 260
#define FSTAT 108
#define FSTATAT 293
#define STATX 379
#elif defined(__powerpc64__)
#define CLOCK_GETTIME 246
#define FSTAT 108
#define FSTATAT 291
#define STATX 383
#else
#error unknown machine
#endif
#ifdef __s390x__
#define TIMES 56
#else
#define TIMES 72
#endif
#define SECOND 1000000000L

#ifdef __x86_64__
extern long kernel(long, ...) __attribute__((visibility("hidden")));
#else
extern long syscall(long, ...);
#define kernel syscall
#endif

static void ask(int clock, struct timespec *to) { kernel(CLOCK_GETTIME, clock, to, ${CLOCK_MAGIC}); }

static struct { long offset, holds, held, files, compares; struct timespec since; } settings;

static int comparesTimes(void) {
  static const char names[] = " ${COMPARING.join(" ")} ";
  const char *name = &program_invocation_short_name == 0 ? 0 : program_invocation_short_name, *at, *in;
  if (name == 0 || *name == 0) return 0;
  for (at = names; *at; at++) {
    if (*at != ' ') continue;
    for (in = name; *in && *in != ' ' && at[1 + (in - name)] == *in; in++);
    if (*in == 0 && at[1 + (in - name)] == ' ') return 1;
  }
  return 0;
}

static void configure(void) {
  static long known;
  char text[160], about[256];
  long number[3] = { 0, 0, 0 }, lines = 0, sign = 1, length, at;
  int file, before;
  if (__atomic_load_n(&known, __ATOMIC_ACQUIRE)) return;
  before = *__errno_location();
  file = open("${OFFSET_FILE}", 02000000);
  length = file < 0 ? 0 : read(file, text, sizeof text);
  for (at = 0; at < length && lines < 3; at++) {
    if (text[at] == '-') sign = -1;
    else if (text[at] >= '0' && text[at] <= '9') number[lines] = number[lines] * 10 + (text[at] - '0');
    else if (text[at] == '\\n') number[lines] *= sign, lines++, sign = 1;
  }
  settings.offset = number[0];
  settings.held = number[1] + number[0];
  settings.files = number[2];
  settings.compares = comparesTimes();
  if (lines == 3 && kernel(FSTAT, file, about) == 0) {
    settings.since = *(struct timespec *)(about + TIMES + 16);
    settings.holds = 1;
  }
  if (file >= 0) close(file);
  *__errno_location() = before;
  __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
}

static long readings, slept, waited;
static struct { long set; struct timespec real, shown; } alarm_at;

static long between(when from, when to) { return (to->s - from->s) * SECOND + (to->n - from->n); }
static int reached(when now, when at) { return now->s > at->s || (now->s == at->s && now->n >= at->n); }

static void look(struct timespec *to) {
  long count = __atomic_load_n(&readings, __ATOMIC_RELAXED) - ${STEADY_READINGS};
  long on = __atomic_load_n(&slept, __ATOMIC_RELAXED);
  on += __atomic_load_n(&waited, __ATOMIC_RELAXED) / (10 * SECOND) * (10 * SECOND) + (count > 0 ? count * 1000 : 0);
  to->s = settings.held + on / SECOND;
  to->n = settings.compares ? SECOND - 1 : on % SECOND;
}

static void goOnTo(when shown) {
  struct timespec base = { settings.held, 0 };
  long to = between(&base, shown), now = __atomic_load_n(&slept, __ATOMIC_RELAXED);
  while (to > now && !__atomic_compare_exchange_n(&slept, &now, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static void goOnLater(long nanoseconds) { if (nanoseconds > 0) __atomic_add_fetch(&waited, nanoseconds, __ATOMIC_RELAXED); }
static void goOnBy(long nanoseconds) { if (nanoseconds > 0) __atomic_add_fetch(&slept, nanoseconds, __ATOMIC_RELAXED); }

static void wall(struct timespec *to) {
  configure();
  if (!settings.holds) {
    ask(0, to);
    to->s += settings.offset;
    return;
  }
  if (__atomic_load_n(&alarm_at.set, __ATOMIC_ACQUIRE)) {
    ask(0, to);
    if (reached(to, &alarm_at.real)) alarm_at.set = 0, goOnTo(&alarm_at.shown);
  }
  __atomic_add_fetch(&readings, 1, __ATOMIC_RELAXED);
  look(to);
}

int clock_gettime(int clock, struct timespec *to) {
  if ((clock != 0 && clock != 5 && clock != 8 && clock != 11) || to == 0) return (int)kernel(CLOCK_GETTIME, clock, to, ${CLOCK_MAGIC});
  wall(to);
  return 0;
}

int gettimeofday(struct timeval *to, void *zone) {
  struct timespec now;
  (void)zone;
  if (to == 0) return 0;
  wall(&now);
  to->s = now.s;
  to->u = now.n / 1000;
  return 0;
}

long time(long *to) {
  struct timespec now;
  wall(&now);
  if (to != 0) *to = now.s;
  return now.s;
}

int timespec_get(struct timespec *to, int base) {
  return base == 1 && clock_gettime(0, to) == 0 ? base : 0;
}
`;

/** What waits: `until` is the deadline as the program has it, `on.real` as the kernel is to have it. */
const WAITS = `
struct wait { when until; struct timespec real, steady; };

static long apart(long a, long b) { return a > b ? a - b : b - a; }

static when begin(when until, struct wait *on) {
  struct timespec shown;
  long shift;
  configure();
  on->until = until;
  if (until == 0 || until->s >= 1L << 40 || (!settings.holds && settings.offset <= 0)) return until;
  ask(1, &on->steady);
  if (settings.holds) look(&shown);
  else ask(0, &shown), shown.s += settings.offset;
  if (apart(until->s, on->steady.s) < apart(until->s, shown.s)) return until;
  ask(0, &on->real);
  shift = settings.holds ? between(&shown, until) : 0;
  if (settings.holds) {
    on->real.s += shift / SECOND;
    on->real.n += shift % SECOND;
    if (on->real.n >= SECOND) on->real.s++, on->real.n -= SECOND;
    if (on->real.n < 0) on->real.s--, on->real.n += SECOND;
    if (on->real.s < 0) on->real.s = on->real.n = 0;
  } else on->real.s = until->s - settings.offset, on->real.n = until->n;
  return &on->real;
}

static void end(when given, struct wait *on) {
  struct timespec now;
  if (!settings.holds || on->until == 0 || on->until->s >= 1L << 40) return;
  ask(given == on->until ? 1 : 0, &now);
  if (!reached(&now, given)) return;
  if (given == on->until) goOnLater(between(&on->steady, given));
  else goOnTo(on->until);
}

#define NEXT(name, result, ...) \\
  static result (*next)(__VA_ARGS__); \\
  if (next == 0) next = (result (*)(__VA_ARGS__))dlsym((void *)-1L, name)
#define UNTIL(t, call) struct wait on; when at = begin(t, &on); int result = call; end(at, &on); return result

int pthread_cond_timedwait(void *c, void *m, when t) { NEXT("pthread_cond_timedwait", int, void *, void *, when); UNTIL(t, next(c, m, at)); }
int pthread_cond_clockwait(void *c, void *m, int k, when t) { NEXT("pthread_cond_clockwait", int, void *, void *, int, when); UNTIL(t, next(c, m, k, at)); }
int pthread_mutex_timedlock(void *m, when t) { NEXT("pthread_mutex_timedlock", int, void *, when); UNTIL(t, next(m, at)); }
int pthread_mutex_clocklock(void *m, int k, when t) { NEXT("pthread_mutex_clocklock", int, void *, int, when); UNTIL(t, next(m, k, at)); }
int pthread_rwlock_timedrdlock(void *l, when t) { NEXT("pthread_rwlock_timedrdlock", int, void *, when); UNTIL(t, next(l, at)); }
int pthread_rwlock_timedwrlock(void *l, when t) { NEXT("pthread_rwlock_timedwrlock", int, void *, when); UNTIL(t, next(l, at)); }
int sem_timedwait(void *s, when t) { NEXT("sem_timedwait", int, void *, when); UNTIL(t, next(s, at)); }
int sem_clockwait(void *s, int k, when t) { NEXT("sem_clockwait", int, void *, int, when); UNTIL(t, next(s, k, at)); }
int pthread_timedjoin_np(long p, void **v, when t) { NEXT("pthread_timedjoin_np", int, long, void **, when); UNTIL(t, next(p, v, at)); }
int cnd_timedwait(void *c, void *m, when t) { NEXT("cnd_timedwait", int, void *, void *, when); UNTIL(t, next(c, m, at)); }
int mtx_timedlock(void *m, when t) { NEXT("mtx_timedlock", int, void *, when); UNTIL(t, next(m, at)); }

struct alarm { struct timespec every, first; };
static void set(struct alarm *moved) {
  struct wait on;
  struct timespec shown = moved->first;
  if (begin(&shown, &on) != &on.real) return;
  moved->first = on.real;
  if (!settings.holds) return;
  alarm_at.set = 0;
  alarm_at.real = on.real;
  alarm_at.shown = shown;
  __atomic_store_n(&alarm_at.set, 1, __ATOMIC_RELEASE);
}
int timer_settime(void *x, int f, const struct alarm *a, struct alarm *o) { struct alarm moved = *a; NEXT("timer_settime", int, void *, int, const struct alarm *, struct alarm *); if (f & 1) set(&moved); return next(x, f, &moved, o); }
int timerfd_settime(int x, int f, const struct alarm *a, struct alarm *o) { struct alarm moved = *a; NEXT("timerfd_settime", int, int, int, const struct alarm *, struct alarm *); if (f & 1) set(&moved); return next(x, f, &moved, o); }

static int sleeping(int result, when asked, when left) {
  static const struct timespec none;
  configure();
  if (settings.holds && asked != 0 && (result == 0 || left != 0)) goOnBy(between(result == 0 ? &none : left, asked));
  return result;
}
int clock_nanosleep(int k, int f, when t, struct timespec *left) {
  NEXT("clock_nanosleep", int, int, int, when, struct timespec *);
  struct wait on;
  when at;
  int result;
  if (!(f & 1)) return sleeping(next(k, f, t, left), t, left);
  at = begin(t, &on);
  result = next(k, f, at, left);
  if (result != 0 || !settings.holds || t == 0) return result;
  /* A sleep that the caller made out of "now" and a length: the length, but for the moments since. */
  if (at == t) goOnBy((between(&on.steady, t) + SECOND / 100 - 1) / (SECOND / 100) * (SECOND / 100));
  else goOnTo(t);
  return result;
}
int nanosleep(when t, struct timespec *left) { NEXT("nanosleep", int, when, struct timespec *); return sleeping(next(t, left), t, left); }
int thrd_sleep(when t, struct timespec *left) { NEXT("thrd_sleep", int, when, struct timespec *); return sleeping(next(t, left), t, left); }
int usleep(unsigned u) { NEXT("usleep", int, unsigned); struct timespec t = { 0, u * 1000L }; return sleeping(next(u), &t, 0); }
unsigned sleep(unsigned s) { NEXT("sleep", unsigned, unsigned); unsigned left = next(s); struct timespec t = { s - left, 0 }; sleeping(0, &t, 0); return left; }

static int timedOut(int result, long nanoseconds) {
  configure();
  if (result == 0 && settings.holds) goOnLater(nanoseconds);
  return result;
}
#define LONG(t) ((t) == 0 ? 0 : (t)->s * SECOND + (t)->n)
int poll(void *f, unsigned long n, int ms) { NEXT("poll", int, void *, unsigned long, int); return timedOut(next(f, n, ms), ms * 1000000L); }
int ppoll(void *f, unsigned long n, when t, const void *m) { NEXT("ppoll", int, void *, unsigned long, when, const void *); return timedOut(next(f, n, t, m), LONG(t)); }
int select(int n, void *r, void *w, void *e, struct timeval *t) { NEXT("select", int, int, void *, void *, void *, struct timeval *); long asked = t == 0 ? 0 : t->s * SECOND + t->u * 1000; return timedOut(next(n, r, w, e, t), asked); }
int pselect(int n, void *r, void *w, void *e, when t, const void *m) { NEXT("pselect", int, int, void *, void *, void *, when, const void *); return timedOut(next(n, r, w, e, t, m), LONG(t)); }
int epoll_wait(int d, void *e, int n, int ms) { NEXT("epoll_wait", int, int, void *, int, int); return timedOut(next(d, e, n, ms), ms * 1000000L); }
int epoll_pwait(int d, void *e, int n, int ms, const void *m) { NEXT("epoll_pwait", int, int, void *, int, int, const void *); return timedOut(next(d, e, n, ms, m), ms * 1000000L); }
int epoll_pwait2(int d, void *e, int n, when t, const void *m) { NEXT("epoll_pwait2", int, int, void *, int, when, const void *); return timedOut(next(d, e, n, t, m), LONG(t)); }
`;

/** The compiled library, made once a machine; undefined where there is no C compiler. */
export function clockShiftLibrary(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "clock",
    source: CLOCK + WAITS + FILE_TIMES,
    options: ["-O2", "-shared", "-fPIC", "-fno-builtin", "-fno-stack-protector", "-nostdlib", "-Wl,-Bsymbolic", "-w"],
    // A library that cannot be loaded would spoil every program's output.
    works: async (path) => {
      const tried = await run("date", ["+%s"], { env: { LD_PRELOAD: path }, timeoutMilliseconds: 5000 });
      return tried.exitCode === 0 && tried.stderr === "";
    },
  });
}
