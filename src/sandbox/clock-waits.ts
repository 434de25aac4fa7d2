/**
 * The part of the preloaded library that waits. Needs what `clock-shift.ts`
 * defines before it.
 *
 * A wait until an absolute time is moved to the real clock when that time can
 * only have come from ours: it then lies nearer to our wall clock than to the
 * monotonic one. Under a held clock what was waited for is told to the clock, which
 * goes on by it. `until` is the deadline as the program has it, `real` as the
 * kernel is to have it, `steady` the monotonic time at which the wait began.
 */
export const CLOCK_WAITS = `
struct wait { when until; struct timespec real, steady; long wall; int clock; };

static long apart(long a, long b) { return a > b ? a - b : b - a; }

static struct timespec later(when from, long nanoseconds) {
  struct timespec to = { from->s + nanoseconds / SECOND, from->n + nanoseconds % SECOND };
  if (to.n >= SECOND) to.s++, to.n -= SECOND;
  if (to.n < 0) to.s--, to.n += SECOND;
  if (to.s < 0) to.s = to.n = 0;
  return to;
}

static when begin(when until, struct wait *on) {
  struct timespec shown, steady;
  configure();
  on->until = until;
  on->clock = 1;
  if (until == 0 || until->s >= 1L << 40 || (!settings.holds && settings.offset <= 0)) return until;
  ask(1, &on->steady);
  steady = on->steady;
  if (settings.holds) look(&shown);
  else ask(0, &shown), shown.s += settings.offset;
  if (settings.stands) stand(&steady);
  if (apart(until->s, steady.s) < apart(until->s, shown.s)) {
    if (!settings.stands) return until;
    on->real = later(&on->steady, between(&steady, until));
    return &on->real;
  }
  on->clock = 0;
  ask(0, &on->real);
  on->wall = between(&shown, until);
  if (settings.holds) on->real = later(&on->real, on->wall);
  else on->real.s = until->s - settings.offset, on->real.n = until->n;
  return &on->real;
}

static void end(when given, struct wait *on) {
  struct timespec now;
  if (!settings.holds || on->until == 0 || on->until->s >= 1L << 40) return;
  ask(on->clock, &now);
  if (!reached(&now, given)) return;
  if (on->clock == 1) goOnLater(between(&on->steady, given));
  else goOnTo(on->until), waitedOut += on->wall > 0 ? on->wall : 0;
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
  if (!settings.holds || on.clock == 1) return;
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
  if (on.clock == 1) goOnBy((between(&on.steady, at) + SECOND / 100 - 1) / (SECOND / 100) * (SECOND / 100));
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
