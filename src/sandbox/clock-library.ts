import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../child.ts";
import { sha256Hex } from "../digest.ts";

/**
 * A library of our own that shifts the wall clock of programs that use the C
 * library, preloaded where a world's clock is shifted. libfaketime, the
 * well-kept one, finds the real functions by dlsym at the first question, and
 * dlsym allocates: a program whose allocator asks for the time while it starts
 * (jemalloc in rustc) waits for itself for ever. This one asks the kernel
 * directly, touches the wall clock only, and leaves file times alone.
 *
 * /etc/faketimerc holds the offset: a sign and decimal seconds. Deadlines on
 * the wall clock are shifted back before they reach the C library; they are
 * told from monotonic ones by their size (an uptime of 31 years is none).
 */
const SOURCE = String.raw`#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WALL 1000000000L

static long offset_seconds;
static int offset_known;

static long offset(void) {
  if (offset_known) return offset_seconds;
  char text[32];
  long value = 0, sign = 1;
  int saved = errno;
  int file = syscall(SYS_openat, AT_FDCWD, "/etc/faketimerc", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    long length = syscall(SYS_read, file, text, sizeof text);
    syscall(SYS_close, file);
    for (long at = 0; at < length; at++) {
      if (text[at] == '-') sign = -1;
      else if (text[at] >= '0' && text[at] <= '9') value = value * 10 + (text[at] - '0');
    }
  }
  errno = saved;
  offset_seconds = sign * value;
  offset_known = 1;
  return offset_seconds;
}

static int is_wall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && is_wall(clock)) now->tv_sec += offset();
  return result;
}

time_t time(time_t *into) {
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  now.tv_sec += offset();
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  if (zone) { ((struct timezone *)zone)->tz_minuteswest = 0; ((struct timezone *)zone)->tz_dsttime = 0; }
  if (!now) return 0;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec + offset();
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

int timespec_get(struct timespec *now, int base) {
  if (base != TIME_UTC) return 0;
  clock_gettime(CLOCK_REALTIME, now);
  return base;
}

static struct timespec real_deadline(const struct timespec *shown) {
  struct timespec real = *shown;
  if (real.tv_sec > WALL) real.tv_sec -= offset();
  return real;
}

static void *next(const char *name, const char *version) {
  void *found = dlvsym(RTLD_NEXT, name, version);
  return found ? found : dlsym(RTLD_NEXT, name);
}

#define MOVE(deadline) \
  struct timespec moved; \
  if (deadline) { moved = real_deadline(deadline); deadline = &moved; }

#define DEADLINE(name, version, type) \
  int name(type *object, const struct timespec *deadline) { \
    static int (*real)(type *, const struct timespec *); \
    if (!real) real = next(#name, version); \
    MOVE(deadline) \
    return real(object, deadline); \
  }

#define CLOCK_DEADLINE(name, version, type) \
  int name(type *object, clockid_t clock, const struct timespec *deadline) { \
    static int (*real)(type *, clockid_t, const struct timespec *); \
    if (!real) real = next(#name, version); \
    MOVE(deadline) \
    return real(object, clock, deadline); \
  }

DEADLINE(sem_timedwait, "GLIBC_2.34", sem_t)
DEADLINE(pthread_mutex_timedlock, "GLIBC_2.34", pthread_mutex_t)
DEADLINE(pthread_rwlock_timedrdlock, "GLIBC_2.34", pthread_rwlock_t)
DEADLINE(pthread_rwlock_timedwrlock, "GLIBC_2.34", pthread_rwlock_t)
DEADLINE(mtx_timedlock, "GLIBC_2.34", void)
CLOCK_DEADLINE(sem_clockwait, "GLIBC_2.34", sem_t)
CLOCK_DEADLINE(pthread_mutex_clocklock, "GLIBC_2.34", pthread_mutex_t)
CLOCK_DEADLINE(pthread_rwlock_clockrdlock, "GLIBC_2.34", pthread_rwlock_t)
CLOCK_DEADLINE(pthread_rwlock_clockwrlock, "GLIBC_2.34", pthread_rwlock_t)

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *deadline) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!real) real = next("pthread_cond_timedwait", "GLIBC_2.3.2");
  MOVE(deadline)
  return real(cond, mutex, deadline);
}

int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *deadline) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
  if (!real) real = next("pthread_cond_clockwait", "GLIBC_2.34");
  MOVE(deadline)
  return real(cond, mutex, clock, deadline);
}

int cnd_timedwait(void *cond, void *mutex, const struct timespec *deadline) {
  static int (*real)(void *, void *, const struct timespec *);
  if (!real) real = next("cnd_timedwait", "GLIBC_2.34");
  MOVE(deadline)
  return real(cond, mutex, deadline);
}

int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *deadline) {
  static int (*real)(pthread_t, void **, const struct timespec *);
  if (!real) real = next("pthread_timedjoin_np", "GLIBC_2.34");
  MOVE(deadline)
  return real(thread, result, deadline);
}

int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *deadline) {
  static int (*real)(pthread_t, void **, clockid_t, const struct timespec *);
  if (!real) real = next("pthread_clockjoin_np", "GLIBC_2.34");
  MOVE(deadline)
  return real(thread, result, clock, deadline);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left) {
  static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
  if (!real) real = next("clock_nanosleep", "GLIBC_2.17");
  struct timespec moved = *wanted;
  if ((flags & TIMER_ABSTIME) && is_wall(clock)) moved = real_deadline(wanted);
  return real(clock, flags, &moved, left);
}

int timerfd_settime(int file, int flags, const struct itimerspec *value, struct itimerspec *old) {
  static int (*real)(int, int, const struct itimerspec *, struct itimerspec *);
  if (!real) real = next("timerfd_settime", "GLIBC_2.8");
  struct itimerspec moved = *value;
  if (flags & TFD_TIMER_ABSTIME) moved.it_value = real_deadline(&value->it_value);
  return real(file, flags, &moved, old);
}

int timer_settime(timer_t timer, int flags, const struct itimerspec *value, struct itimerspec *old) {
  static int (*real)(timer_t, int, const struct itimerspec *, struct itimerspec *);
  if (!real) real = next("timer_settime", "GLIBC_2.34");
  struct itimerspec moved = *value;
  if (flags & TIMER_ABSTIME) moved.it_value = real_deadline(&value->it_value);
  return real(timer, flags, &moved, old);
}
`;

/** Compiles the library once a machine into `cache`; undefined where there is no C compiler. */
export async function clockLibrary(cache: string): Promise<string | undefined> {
  const path = join(cache, `clock-${sha256Hex(SOURCE).slice(0, 16)}.so`);
  if (existsSync(path)) return path;
  const compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].find((file) => existsSync(file));
  if (compiler === undefined) return undefined;
  await mkdir(cache, { recursive: true, mode: 0o755 });
  const work = await mkdtemp(join(cache, ".tmp-clock-"));
  try {
    await writeFile(join(work, "clock.c"), SOURCE);
    const built = join(work, "clock.so");
    const compiled = await run(compiler, ["-O2", "-fPIC", "-shared", "-w", "-o", built, join(work, "clock.c")]);
    if (compiled.exitCode !== 0 || !existsSync(built)) return undefined;
    await chmod(built, 0o755);
    await rename(built, path);
    return path;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
