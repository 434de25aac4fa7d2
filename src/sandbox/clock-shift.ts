import { run } from "../child.ts";
import { compiledOnce } from "../compiled.ts";
import { CLOCK_WAITS } from "./clock-waits.ts";
import { FILE_TIMES } from "./file-times.ts";
import { STEADY_ADDRESSES } from "./steady-addresses.ts";
import { TEMPORARY_NAMES } from "./temporary-names.ts";

/** Where the library reads by how many seconds it shifts the clock; also where libfaketime looks by itself. */
export const OFFSET_FILE = "/etc/faketimerc";

/** "bf4b", the third argument of our own clock_gettime. */
const CLOCK_MAGIC = "0x62663462";

/** How often one process may read a held clock before that begins to creep on. */
const STEADY_READINGS = 100_000;

/**
 * Programs whose work is to compare file times, and which keep none: to them alone
 * the order in which files were made shows, below the second. (ls and find print
 * times: those that are asked to do so see whole seconds like all others.) cp, install and the
 * like are among them so that a copy that keeps its time is no older than the file.
 */
const COMPARING = (
  "make gmake ninja ninja-build samu bmake pmake tup redo cmake ctest " +
  "ls find test [ sh dash bash zsh ksh mksh busybox cp mv install touch rsync"
).split(" ");

/** Programs that bring a Java machine, by which the monotonic clock is a source of randomness. */
const STANDING = "java javac javadoc javap jar jarsigner jdeps jlink jmod jpackage jshell keytool".split(" ");

/** Programs that draw from OpenSSL what they write: see steady-addresses.ts. */
const DRAWING = ["node", "nodejs", "openssl", "ssh-keygen"];

/**
 * A library for /etc/ld.so.preload that shifts the wall clock, or holds it, and
 * nothing else. libfaketime does more than is wanted here, and hangs programs
 * whose allocator asks for the time while it starts (rustc, with jemalloc): it
 * looks symbols up and opens a semaphore inside that question, and both
 * allocate. This one calls the kernel at once for every clock but the wall
 * clock, and allocates nothing. Needs no header, so that a compiler is enough.
 *
 * A held clock stands still at a second for every program that starts, so that
 * neither the machine's speed nor its load shows. It goes on by what the program
 * itself asks for, and by nothing else:
 *
 * - by its sleeps of a tenth of a second or more, for the whole process and by the
 *   length asked for (to the next hundredth, if it sleeps until a monotonic time);
 *   to a deadline of its own, once that has come;
 * - by shorter sleeps and by time-outs that ran out (poll, select, monotonic
 *   deadlines), for that thread and in whole steps of half a minute of their sum: how
 *   many there are is the machine's, and runtimes make many in threads of their own;
 * - after a hundred thousand readings by one thread, by a microsecond a reading: what
 *   asks again and again until the time comes goes on.
 *
 * So a program of one thread that does the same sees the same times. A loop of
 * processes that each ask once (a shell's `until [ $(date +%s) -gt … ]`) is not
 * ended by that: the build's time limit ends it. Monotonic clocks, and so all
 * waiting, are real, but for Java, which takes System.nanoTime for the order of Set.of, for
 * Random and for SplittableRandom: there a thread sees the monotonic clock stand still, at a moment
 * that is drawn, but for what it has waited itself, until the program has worked for three seconds or
 * is twenty seconds old; then it catches up with the real one.
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
extern int mkdir(const char *, unsigned);
extern int *__errno_location(void);
extern char *program_invocation_short_name __attribute__((weak));

#if defined(__x86_64__) && !defined(__ILP32__)
#define CLOCK_GETTIME 228
#define FSTAT 5
#define FSTATAT 262
#define STATX 332
#define GETRANDOM 318
#elif defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define CLOCK_GETTIME 113
#define FSTAT 80
#define FSTATAT 79
#define STATX 291
#define GETRANDOM 278
#elif defined(__s390x__)
#define CLOCK_GETTIME 260
#define FSTAT 108
#define FSTATAT 293
#define STATX 379
#define GETRANDOM 349
#elif defined(__powerpc64__)
#define CLOCK_GETTIME 246
#define FSTAT 108
#define FSTATAT 291
#define STATX 383
#define GETRANDOM 359
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

static struct { long offset, holds, held, files, compares, names, draws, stands, from; struct timespec since, began; } settings;

static int has(const char *in, long length, const char *what) {
  long from, at;
  for (from = 0; from < length; from++) {
    for (at = 0; what[at] && from + at < length && in[from + at] == what[at]; at++);
    if (!what[at]) return 1;
  }
  return 0;
}

/* ls and find also print times to the nanosecond, when they are told to. */
static int printsTimes(const char *name) {
  static const char *const asked[] = { "full-time", "time-style", "%T", "%t", "%A", "%a", "%C", "%c", "%B" };
  char arguments[4096];
  int file, at;
  long length;
  if (!(name[0] == 'l' && name[1] == 's' && !name[2]) && !(name[0] == 'f' && name[1] == 'i')) return 0;
  file = open("/proc/self/cmdline", 02000000);
  length = file < 0 ? 0 : read(file, arguments, sizeof arguments);
  if (file >= 0) close(file);
  for (at = 0; at < sizeof asked / sizeof *asked; at++) if (has(arguments, length, asked[at])) return 1;
  return 0;
}

/* Of names between blanks. */
static int isOneOf(const char *names) {
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
  settings.compares = isOneOf(" ${COMPARING.join(" ")} ") && !printsTimes(program_invocation_short_name);
  settings.names = isOneOf(" mktemp ");
  if (lines == 3 && kernel(FSTAT, file, about) == 0) {
    settings.since = *(struct timespec *)(about + TIMES + 16);
    settings.holds = 1;
    settings.stands = isOneOf(" ${STANDING.join(" ")} ");
    ask(1, &settings.began);
    if (settings.stands && kernel(GETRANDOM, &settings.from, 4, 0) != 4) settings.from = 0;
    settings.draws = isOneOf(" ${DRAWING.join(" ")} ");
  }
  if (file >= 0) close(file);
  *__errno_location() = before;
  __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
}

static long slept;
static __thread long readings, waited, looks, waitedOut;
#define STEP (30 * SECOND)
static struct { long set; struct timespec real, shown; } alarm_at;

static long between(when from, when to) { return (to->s - from->s) * SECOND + (to->n - from->n); }
static int reached(when now, when at) { return now->s > at->s || (now->s == at->s && now->n >= at->n); }

static void look(struct timespec *to) {
  long count = readings - ${STEADY_READINGS};
  long on = __atomic_load_n(&slept, __ATOMIC_RELAXED);
  on += waited / STEP * STEP + (count > 0 ? count * 1000 : 0);
  to->s = settings.held + on / SECOND;
  to->n = settings.compares ? SECOND - 1 : on % SECOND;
}

/* The monotonic clock of STANDING programs; given is the real one. */
static void stand(struct timespec *at) {
  static long stoodUntil;
  struct timespec used;
  long since = between(&settings.began, at), until = __atomic_load_n(&stoodUntil, __ATOMIC_RELAXED);
  long count = looks++ - ${STEADY_READINGS}, shown = waitedOut + (count > 0 ? count * 1000 : 0);
  if (until == 0) {
    ask(2, &used);
    if (used.s >= 3 || since > 20 * SECOND) __atomic_compare_exchange_n(&stoodUntil, &until, since, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  } else if (since > until) shown += 2 * (since - until);
  if (shown > since) shown = since;
  shown += settings.from;
  at->s = 100000 + shown / SECOND;
  at->n = shown % SECOND;
}

static void goOnTo(when shown) {
  struct timespec base = { settings.held, 0 };
  long to = between(&base, shown), now = __atomic_load_n(&slept, __ATOMIC_RELAXED);
  while (to > now && !__atomic_compare_exchange_n(&slept, &now, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

static void goOnLater(long nanoseconds) { if (nanoseconds > 0) waited += nanoseconds, waitedOut += nanoseconds; }
static void goOnBy(long nanoseconds) {
  if (nanoseconds < SECOND / 10) goOnLater(nanoseconds);
  else __atomic_add_fetch(&slept, nanoseconds, __ATOMIC_RELAXED), waitedOut += nanoseconds;
}

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
  readings++;
  look(to);
}

int clock_gettime(int clock, struct timespec *to) {
  if (clock == 1 && to != 0) {
    configure();
    if (settings.names && kernel(GETRANDOM, &to->n, 4, 0) == 4) return to->s = 0, to->n &= 0x1fffffff, 0;
    if (settings.stands) return ask(1, to), stand(to), 0;
  }
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

/* AddressSanitizer asks for its defaults here, and ends every program into which a library was loaded before its own. */
const char *__asan_default_options(void) { return "verify_asan_link_order=0"; }
`;

/** The compiled library, made once a machine; undefined where there is no C compiler. */
export function clockShiftLibrary(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "clock",
    source: CLOCK + CLOCK_WAITS + FILE_TIMES + TEMPORARY_NAMES + STEADY_ADDRESSES,
    options: [
      "-O2",
      "-shared",
      "-fPIC",
      "-fno-builtin",
      "-fno-stack-protector",
      "-ftls-model=initial-exec",
      "-nostdlib",
      "-Wl,-Bsymbolic",
      "-w",
    ],
    // A library that cannot be loaded would spoil every program's output.
    works: async (path) => {
      const tried = await run("date", ["+%s"], { env: { LD_PRELOAD: path }, timeoutMilliseconds: 5000 });
      return tried.exitCode === 0 && tried.stderr === "";
    },
  });
}
