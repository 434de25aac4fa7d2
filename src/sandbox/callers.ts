/**
 * Who calls, and what lies in its memory: C, a part of `notifications.ts`.
 *
 * A caller is named by its thread, as this machine counts. What was read by that
 * number is the caller's when the notification is still valid afterwards; what
 * is written goes by a descriptor of its memory that was opened before.
 */
export const CALLERS: string = `
static int listener;
static unsigned long answered, unanswered;
static int unanswered_because;

static int valid(const struct seccomp_notif *call) { return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) == 0; }

static long write_to(pid_t thread, uint64_t id, const char *from, size_t many, uint64_t to) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/mem", thread);
  int memory = open(path, O_WRONLY | O_CLOEXEC);
  /* From here on it is the memory of who asked, whoever has the number later. */
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) != 0) { if (memory >= 0) close(memory); return -ESRCH; }
  struct iovec ours = { (void *)from, many }, theirs = { (void *)to, many };
  long wrote = memory < 0 ? process_vm_writev(thread, &ours, 1, &theirs, 1, 0) : pwrite(memory, from, many, to);
  if (memory >= 0) close(memory);
  return wrote == (long)many ? 0 : -EFAULT;
}

/* The last processes that asked, so that theirs need not be opened at each call. */
static __thread struct known { pid_t thread, process; int pidfd; } known[8];

static void lose(struct known *one) {
  if (one->thread) close(one->pidfd);
  one->thread = 0;
}

static int recognise(struct known *one, pid_t thread) {
  struct pidfd_told told = { 0 };
  lose(one);
  one->process = thread;
  one->pidfd = syscall(SYS_pidfd_open, thread, PIDFD_OF_THREAD);
  int whole = one->pidfd < 0 && errno == EINVAL;
  if (whole || one->pidfd < 0 || ioctl(one->pidfd, PIDFD_TELL, &told) != 0) {
    char path[32], line[128];
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status)) if (sscanf(line, "Tgid: %d", &one->process) == 1) break;
    if (status) fclose(status);
  } else one->process = told.tgid;
  if (whole) one->pidfd = syscall(SYS_pidfd_open, one->process, 0);
  if (one->pidfd < 0) return -errno;
  one->thread = thread;
  return 0;
}

static pid_t process_of(pid_t thread) {
  struct known *one = &known[thread % 8];
  return recognise(one, thread) < 0 ? thread : one->process;
}

/* The caller's descriptor as one of ours. A process that lives has kept its number, so what is known of it holds. */
static int take(pid_t thread, int fd, pid_t *process) {
  struct known *one = &known[thread % 8];
  int taken = one->thread == thread ? syscall(SYS_pidfd_getfd, one->pidfd, fd, 0) : (errno = ESRCH, -1);
  if (taken < 0 && errno == ESRCH) {
    int failed = recognise(one, thread);
    if (failed) return failed;
    taken = syscall(SYS_pidfd_getfd, one->pidfd, fd, 0);
  }
  *process = one->process;
  return taken < 0 ? -errno : taken;
}

static int respond(uint64_t id, long value, unsigned flags) {
  struct seccomp_notif_resp to = { .id = id, .val = value < 0 ? 0 : value, .error = value < 0 ? value : 0, .flags = flags };
  __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &to);
}

static void let_through(const struct seccomp_notif *call, int why) {
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) != 0) return;
  unanswered_because = -why;
  __atomic_add_fetch(&unanswered, 1, __ATOMIC_RELAXED);
  respond(call->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

static int let_on(const struct seccomp_notif *call) { return respond(call->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

/* Up to that many bytes: those before a page that is not there. A number of errno.h, negative, when there is none. */
static long read_from(pid_t thread, uint64_t from, void *to, size_t many) {
  struct iovec ours = { to, many }, theirs[9];
  int parts = 0;
  for (size_t at = 0; at < many && parts < 9; parts++) {
    size_t room = 4096 - (from + at) % 4096;
    if (room > many - at) room = many - at;
    theirs[parts] = (struct iovec){ (void *)(uintptr_t)(from + at), room };
    at += room;
  }
  long got = process_vm_readv(thread, &ours, 1, theirs, parts, 0);
  return got < 0 ? -errno : got;
}

/* A text with its NUL; -ENAMETOOLONG when it does not end within \`room\`. */
static long text_from(pid_t thread, uint64_t from, char *to, size_t room) {
  for (size_t at = 0; at < room;) {
    size_t wanted = at == 0 ? 256 : 4096;
    long got = read_from(thread, from + at, to + at, wanted < room - at ? wanted : room - at);
    if (got <= 0) return got < 0 ? got : -EFAULT;
    char *end = memchr(to + at, 0, got);
    if (end) return end - to;
    at += got;
  }
  return -ENAMETOOLONG;
}

/* All of it, or a number of errno.h. */
static long all_from(pid_t thread, uint64_t from, void *to, size_t many) {
  long got = read_from(thread, from, to, many);
  return got < 0 ? got : got == (long)many ? 0 : -EFAULT;
}
`;
