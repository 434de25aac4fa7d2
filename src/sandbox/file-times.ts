/**
 * The part of the preloaded library that shows file times under a held clock,
 * which stand still as it does. Needs what `clock-shift.ts` defines before it.
 *
 * A file that was made or changed since the sandbox began shows the held second
 * (`settings.files`); what was there before shows its own time, or the held
 * second where that is later: so nothing lies in the future, and sources are never
 * newer than what is made of them. Programs that compare file times (make, find
 * -newer, test -nt, configure's ls -t) besides see in which order files were made:
 * nanoseconds that count the real time since the sandbox began in units of 2^17
 * nanoseconds, enough for 36 hours; the clock shows them the end of that second.
 * Programs that keep times, in archives and the like, see whole seconds alone.
 *
 * `since` is the time of our own configuration, written just before the sandbox
 * begins: by the same clock as the times of files, so the machine's need not be
 * asked.
 *
 * Programs also reach the kernel by syscall(2): node reads file times that way.
 * On x86-64 that function is ours too; elsewhere such programs see real times.
 * What the C library does inside itself (nftw, fts) is not reached.
 */
export const FILE_TIMES = `
static void show(long *s, long *n) {
  long past = *s - settings.since.s;
  if (past > 0 || (past == 0 && *n > settings.since.n)) {
    *n = !settings.compares ? 0 : past >= 130000 ? SECOND - 2 : 1 + ((past * SECOND + *n - settings.since.n) >> 17);
    *s = settings.files;
  } else if (*s > settings.files) *s = settings.files, *n = 0;
  else if (*s == settings.files && !settings.compares) *n = 0;
}

static int shown(int result, char *to) {
  long at;
  if (result != 0) return result;
  configure();
  if (settings.holds) for (at = TIMES; at < TIMES + 48; at += 16) show((long *)(to + at), (long *)(to + at + 8));
  return 0;
}

int fstatat(int folder, const char *path, char *to, int flags) { return shown(kernel(FSTATAT, folder, path, to, flags), to); }
int stat(const char *path, char *to) { return fstatat(-100, path, to, 0); }
int lstat(const char *path, char *to) { return fstatat(-100, path, to, 0x100); }
int fstat(int file, char *to) { return shown(kernel(FSTAT, file, to), to); }
int __fxstatat(int v, int folder, const char *path, char *to, int flags) { return fstatat(folder, path, to, flags); }
int __xstat(int v, const char *path, char *to) { return fstatat(-100, path, to, 0); }
int __lxstat(int v, const char *path, char *to) { return fstatat(-100, path, to, 0x100); }
int __fxstat(int v, int file, char *to) { return fstat(file, to); }
#define ALSO(name) __attribute__((alias(#name)))
int fstatat64(int, const char *, char *, int) ALSO(fstatat);
int stat64(const char *, char *) ALSO(stat);
int lstat64(const char *, char *) ALSO(lstat);
int fstat64(int, char *) ALSO(fstat);
int __fxstatat64(int, int, const char *, char *, int) ALSO(__fxstatat);
int __xstat64(int, const char *, char *) ALSO(__xstat);
int __lxstat64(int, const char *, char *) ALSO(__lxstat);
int __fxstat64(int, int, char *) ALSO(__fxstat);

int statx(int folder, const char *path, int flags, unsigned mask, char *to) {
  long at, n, result = kernel(STATX, folder, path, flags, mask, to);
  if (result != 0) return (int)result;
  configure();
  if (!settings.holds) return 0;
  for (at = 64; at < 128; at += 16) {
    if (*(long *)(to + at) == 0 && *(unsigned *)(to + at + 8) == 0) continue;
    n = *(unsigned *)(to + at + 8);
    show((long *)(to + at), &n);
    *(unsigned *)(to + at + 8) = (unsigned)n;
  }
  return 0;
}

#ifdef __x86_64__
__attribute__((used, visibility("hidden"))) long kernelFailed(long code) {
  *__errno_location() = (int)-code;
  return -1;
}

__attribute__((used, visibility("hidden"))) long askedTheKernel(long number, long a, long b, long c, long d, long e) {
  switch (number) {
    case 4: return stat((const char *)a, (char *)b);
    case 5: return fstat((int)a, (char *)b);
    case 6: return lstat((const char *)a, (char *)b);
    /* The kernel first: it refuses an address that our writing to would end the program. */
    case 96: return kernel(number, a, b) < 0 ? -1 : gettimeofday((struct timeval *)a, (void *)b);
    case 201: return kernel(number, a) < 0 ? -1 : time((long *)a);
    case CLOCK_GETTIME: return kernel(number, a, b, 0) < 0 ? -1 : clock_gettime((int)a, (struct timespec *)b);
    case FSTATAT: return fstatat((int)a, (const char *)b, (char *)c, (int)d);
    default: return statx((int)a, (const char *)b, (int)c, (unsigned)d, (char *)e);
  }
}

/* As the C library has it, without a frame: so a child that shares the stack returns as it does there. */
__asm__(
  ".text\\n.globl syscall\\n.type syscall,@function\\nsyscall:\\nendbr64\\n"
  "lea -4(%rdi),%rax\\ncmp $2,%rax\\njbe 1f\\n"
  "cmp $96,%rdi\\nje 1f\\ncmp $201,%rdi\\nje 1f\\ncmp $228,%rdi\\nje 1f\\ncmp $262,%rdi\\nje 1f\\ncmp $332,%rdi\\nje 1f\\n"
  ".globl kernel\\n.hidden kernel\\n.type kernel,@function\\nkernel:\\n"
  "mov %rdi,%rax\\nmov %rsi,%rdi\\nmov %rdx,%rsi\\nmov %rcx,%rdx\\nmov %r8,%r10\\nmov %r9,%r8\\nmov 8(%rsp),%r9\\n"
  "syscall\\ncmp $-4095,%rax\\njae 2f\\nret\\n"
  "1: jmp askedTheKernel\\n2: mov %rax,%rdi\\njmp kernelFailed\\n"
  ".size syscall,.-syscall\\n");
#endif
`;
