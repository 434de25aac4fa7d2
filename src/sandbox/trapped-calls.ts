/**
 * Which system calls of the build stop for an answer of ours: C, the first part
 * of `notifications.ts`. Each row of the table is in the filter only when the
 * run asks for that ability, so that no other call costs anything; the kernel
 * keeps the rest in a bitmap and does not even run the filter for them.
 *
 * A filter answers for the architectures that this kernel runs; calls of any
 * other fail. Numbers of 32 bits: i386 beside x86-64, ARM beside AArch64.
 */
export const TRAPPED_CALLS = `
#include <dirent.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* Later than some headers. */
#define FLAGS_LISTEN (1u << 3)
#define FLAGS_SPECULATE (1u << 2)
#define FLAGS_KILLABLE (1u << 5)
#define SET_FLAGS _IOW('!', 4, uint64_t)
#define SYNC_WAKE_UP 1ul
#define PIDFD_OF_THREAD O_EXCL
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif
struct pidfd_told { uint64_t mask, cgroup; uint32_t pid, tgid, rest[10]; };
#define PIDFD_TELL _IOWR(0xff, 11, struct pidfd_told)

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define GIVE(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ABSENT GIVE(SECCOMP_RET_ERRNO | ENOSYS)
#define X86 0
#define ARM 1
#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define COMPAT AUDIT_ARCH_I386
#define COMPAT_KIND X86
#define COMPAT_READDIR 89
#define X32 0x40000000u
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define COMPAT AUDIT_ARCH_ARM
#define COMPAT_KIND ARM
#define COMPAT_READDIR 89
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define NATIVE AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE AUDIT_ARCH_PPC64LE
#elif defined(__loongarch64)
#define NATIVE AUDIT_ARCH_LOONGARCH64
#else
#define NATIVE 0
#endif
#ifndef X32
#define X32 0u
#endif
#ifndef COMPAT
#define COMPAT 0
#define COMPAT_KIND X86
#define COMPAT_READDIR 0
#endif

/* What a run asks for. */
enum { FOR_ORDER = 1, FOR_TRACE = 2, FOR_CLOCK = 4, FOR_RANDOM = 8, FOR_SCHEDULE = 16 };
#define FOR_EXEC (FOR_TRACE | FOR_CLOCK | FOR_RANDOM | FOR_SCHEDULE)
static unsigned abilities;

enum call {
  GETDENTS64, GETDENTS, EXECVE, EXECVEAT, OPEN, OPENAT, OPENAT2, CREAT, RENAME, RENAMEAT, LINK, LINKAT, SYMLINK,
  SYMLINKAT, UNLINK, UNLINKAT, TRUNCATE, URING, CLOCK, CLOCK_64, DAY, TIME, SLEEP, SLEEP_64, FUTEX, FUTEX_64, TIMER,
  TIMER_64, RANDOM,
};

/* Of which arguments it stops; what the preloaded library asks of the clock for itself carries MAGIC and passes. */
enum test { ANY, WALL_CLOCK, WALL_CLOCK_UNTIL, FUTEX_UNTIL, UNTIL };
#define MAGIC 0x62663462u

/* -1: there is no such call. */
struct trapped { enum call call; int native, compat[2]; unsigned wanted; enum test test; };
#ifndef SYS_getdents
#define SYS_getdents -1
#endif
#ifndef SYS_open
#define SYS_open -1
#define SYS_creat -1
#define SYS_rename -1
#define SYS_link -1
#define SYS_symlink -1
#define SYS_unlink -1
#endif
#ifndef SYS_renameat
#define SYS_renameat -1
#endif
#ifndef SYS_time
#define SYS_time -1
#endif
static const struct trapped table[] = {
  { GETDENTS64, SYS_getdents64, { 220, 217 }, FOR_ORDER },
  { GETDENTS, SYS_getdents, { 141, 141 }, FOR_ORDER },
  { EXECVE, SYS_execve, { 11, 11 }, FOR_EXEC },
  { EXECVEAT, SYS_execveat, { 358, 387 }, FOR_EXEC },
#if X32
  { EXECVE, 520, { -1, -1 }, FOR_EXEC },
  { EXECVEAT, 545, { -1, -1 }, FOR_EXEC },
#endif
  { OPENAT, SYS_openat, { 295, 322 }, FOR_TRACE | FOR_RANDOM },
  { OPEN, SYS_open, { 5, 5 }, FOR_TRACE | FOR_RANDOM },
  { OPENAT2, SYS_openat2, { 437, 437 }, FOR_TRACE | FOR_RANDOM },
  { CREAT, SYS_creat, { 8, 8 }, FOR_TRACE },
  { RENAME, SYS_rename, { 38, 38 }, FOR_TRACE },
  { RENAMEAT, SYS_renameat, { 302, 329 }, FOR_TRACE },
  { RENAMEAT, SYS_renameat2, { 353, 382 }, FOR_TRACE },
  { LINK, SYS_link, { 9, 9 }, FOR_TRACE },
  { LINKAT, SYS_linkat, { 303, 330 }, FOR_TRACE },
  { SYMLINK, SYS_symlink, { 83, 83 }, FOR_TRACE },
  { SYMLINKAT, SYS_symlinkat, { 304, 331 }, FOR_TRACE },
  { UNLINK, SYS_unlink, { 10, 10 }, FOR_TRACE },
  { UNLINKAT, SYS_unlinkat, { 301, 328 }, FOR_TRACE },
  { TRUNCATE, SYS_truncate, { 92, 92 }, FOR_TRACE },
  { TRUNCATE, -1, { 193, 193 }, FOR_TRACE },
  { URING, SYS_io_uring_setup, { 425, 425 }, FOR_TRACE },
  { CLOCK, SYS_clock_gettime, { 265, 263 }, FOR_CLOCK, WALL_CLOCK },
  { CLOCK_64, -1, { 403, 403 }, FOR_CLOCK, WALL_CLOCK },
  { DAY, SYS_gettimeofday, { 78, 78 }, FOR_CLOCK },
  { TIME, SYS_time, { 13, -1 }, FOR_CLOCK },
  { SLEEP, SYS_clock_nanosleep, { 267, 265 }, FOR_CLOCK, WALL_CLOCK_UNTIL },
  { SLEEP_64, -1, { 407, 407 }, FOR_CLOCK, WALL_CLOCK_UNTIL },
  { FUTEX, SYS_futex, { 240, 240 }, FOR_CLOCK, FUTEX_UNTIL },
  { FUTEX_64, -1, { 422, 422 }, FOR_CLOCK, FUTEX_UNTIL },
  { TIMER, SYS_timerfd_settime, { 325, 353 }, FOR_CLOCK, UNTIL },
  { TIMER, SYS_timer_settime, { 260, 258 }, FOR_CLOCK, UNTIL },
  { TIMER_64, -1, { 411, 411 }, FOR_CLOCK, UNTIL },
  { TIMER_64, -1, { 409, 409 }, FOR_CLOCK, UNTIL },
  { RANDOM, SYS_getrandom, { 355, 384 }, FOR_RANDOM },
};
#define ROWS (sizeof table / sizeof *table)

/* The lower half of an argument. */
#define ARGUMENT(n) \\
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))
#define EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
#define HAS(bits, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, then, otherwise)
#define NOTIFY GIVE(SECCOMP_RET_USER_NOTIF)
#define ALLOW GIVE(SECCOMP_RET_ALLOW)

/* With the call's number in the accumulator: answers for it, or goes on behind. */
static int put_test(struct sock_filter *to, unsigned number, enum test test) {
  const struct sock_filter any[] = { NOTIFY };
  const struct sock_filter wall[] = { ARGUMENT(2), EQUAL(MAGIC, 4, 0), ARGUMENT(0), EQUAL(0, 3, 0), EQUAL(5, 2, 0), EQUAL(11, 1, 0), ALLOW, NOTIFY };
  const struct sock_filter wall_until[] = { ARGUMENT(1), HAS(1, 0, 3), ARGUMENT(0), EQUAL(0, 2, 0), EQUAL(11, 1, 0), ALLOW, NOTIFY };
  const struct sock_filter futex_until[] = { ARGUMENT(1), HAS(256, 1, 0), ALLOW, NOTIFY };
  const struct sock_filter until[] = { ARGUMENT(1), HAS(1, 1, 0), ALLOW, NOTIFY };
  const struct { const struct sock_filter *code; int many; } tests[] = {
    [ANY] = { any, 1 }, [WALL_CLOCK] = { wall, 8 }, [WALL_CLOCK_UNTIL] = { wall_until, 7 },
    [FUTEX_UNTIL] = { futex_until, 4 }, [UNTIL] = { until, 4 },
  };
  to[0] = (struct sock_filter)EQUAL(number, 0, tests[test].many);
  memcpy(to + 1, tests[test].code, tests[test].many * sizeof *to);
  return 1 + tests[test].many;
}

static int put_rows(struct sock_filter *to, int compat) {
  int many = 0;
  for (size_t n = 0; n < ROWS; n++) {
    int number = compat ? table[n].compat[COMPAT_KIND] : table[n].native;
    if (number >= 0 && (table[n].wanted & abilities)) many += put_test(to + many, number, table[n].test);
  }
  return many;
}

/* *killable: a call that we have received is waited for by its caller, whatever signals come. */
static int listener_for_calls(int *killable) {
  static struct sock_filter code[16 + 2 * 9 * ROWS];
  int many = 0;
#define PUT(...) code[many++] = (struct sock_filter)__VA_ARGS__
  PUT(LOAD(arch));
  PUT(EQUAL(NATIVE, 1, 0));
  int *over = (int *)&code[many].k;
  PUT(BPF_STMT(BPF_JMP | BPF_JA, 0));
  PUT(LOAD(nr));
  if (X32) PUT(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32));
  many += put_rows(code + many, 0);
  PUT(ALLOW);
  *over = many - 3;
  if (COMPAT) {
    PUT(EQUAL(COMPAT, 1, 0));
    PUT(ABSENT);
    PUT(LOAD(nr));
    many += put_rows(code + many, 1);
    PUT(EQUAL(COMPAT_READDIR, 0, 1));
    PUT(ABSENT);
    PUT(ALLOW);
  }
  PUT(ABSENT);
  struct sock_fprog program = { many, code };
  const unsigned flags = FLAGS_LISTEN | FLAGS_SPECULATE;
  int made = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | FLAGS_KILLABLE, &program);
  *killable = made >= 0;
  if (made < 0 && errno == EINVAL) made = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return made;
}

static const struct trapped *row_of(const struct seccomp_data *data) {
  unsigned number = data->nr;
  int compat = data->arch != NATIVE;
  if (!compat) number &= ~X32;
  for (const struct trapped *row = table; row < table + ROWS; row++)
    if ((unsigned)(compat ? row->compat[COMPAT_KIND] : row->native) == number && (row->wanted & abilities)) return row;
  return 0;
}

/* Whether the caller's words have 32 bits. */
static int narrow(const struct seccomp_data *data) { return data->arch != NATIVE || (data->nr & X32); }
`;
