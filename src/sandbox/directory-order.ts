import { getSystemErrorName } from "node:util";
import { BitforbitError } from "../errors.ts";
import type { Lack } from "../world.ts";
import { DIRECTORY_LISTINGS } from "./directory-listings.ts";
import type { Outcome } from "./sandbox.ts";

/**
 * Directory order by seccomp_unotify(2): a filter stops every getdents(2) of
 * the build, a process of ours outside the sandbox answers it, and no other
 * call costs anything. It holds for static programs too, and asks for neither
 * FUSE nor privileges. `enter.ts` compiles this as a part of itself.
 *
 * The answer: the caller's own open file description, taken by pidfd_getfd(2),
 * is read to its end, sorted by the bytes of the names (so that the file system's
 * order does not matter), and served forwards or backwards. `.` and `..` are
 * names like others. The position in the description is the number of entries
 * served, so that lseek, rewinddir, dup, fork and threads do what they do
 * everywhere; d_off is the number of the entry that follows. What was read is
 * kept while a reader may stand inside it: deleting while listing misses
 * nothing. A listing from the beginning reads anew.
 *
 *     reader        a thread; one at a time leads: it receives and answers
 *     main thread   looks that the leader does not hang (a file system may),
 *                   and makes another the leader then; ends with the build or
 *                   with LIFELINE, on which it leaves one line of account
 *
 * The build is hostile: every number of its is checked by the kernel call that
 * takes it or before use, what it changes meanwhile harms its own listing only,
 * and memory, threads and descriptors are bounded. A directory of more than
 * PART entries is ordered in parts of so many, and that is told.
 */
export const DIRECTORY_ORDER: string = `
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
#include <sys/socket.h>
#include <sys/uio.h>

#define READERS 64
#define PATIENCE 20
#define AT_ONCE (256u << 10)

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
struct pidfd_told { uint64_t mask, cgroup; uint32_t pid, tgid, rest[10]; };
#define PIDFD_TELL _IOWR(0xff, 11, struct pidfd_told)

/* A filter answers for the architectures that this kernel runs; calls of any other fail. */
#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define SKIP_UNLESS(value, many) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, many)
#define GIVE(what) BPF_STMT(BPF_RET | BPF_K, what)
#define ABSENT GIVE(SECCOMP_RET_ERRNO | ENOSYS)
#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define COMPAT AUDIT_ARCH_I386
#define COMPAT_NUMBERS 220, 141
#define COMPAT_READDIR 89
#define X32 0x40000000u
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define COMPAT AUDIT_ARCH_ARM
#define COMPAT_NUMBERS 217, 141
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
#ifdef SYS_getdents
#define OLD_GETDENTS SYS_getdents
#else
#define OLD_GETDENTS SYS_getdents64
#endif

static int listener_for_directories(void) {
#ifdef COMPAT
  static const unsigned compat[] = { COMPAT_NUMBERS };
#endif
  struct sock_filter code[] = {
    LOAD(arch),
    SKIP_UNLESS(NATIVE, 6),
    LOAD(nr),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getdents64, 1, 0),
    SKIP_UNLESS(OLD_GETDENTS, 1),
    GIVE(SECCOMP_RET_USER_NOTIF),
    GIVE(SECCOMP_RET_ALLOW),
#ifdef COMPAT
    SKIP_UNLESS(COMPAT, 7),
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, compat[0], 1, 0),
    SKIP_UNLESS(compat[1], 1),
    GIVE(SECCOMP_RET_USER_NOTIF),
    SKIP_UNLESS(COMPAT_READDIR, 1),
    ABSENT,
    GIVE(SECCOMP_RET_ALLOW),
#endif
    ABSENT,
  };
  struct sock_fprog program = { sizeof code / sizeof *code, code };
  const unsigned flags = FLAGS_LISTEN | FLAGS_SPECULATE;
  int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | FLAGS_KILLABLE, &program);
  if (listener < 0 && errno == EINVAL) listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  return listener;
}

${DIRECTORY_LISTINGS}
static int listener, backwards, alarm_clock;
static pthread_cond_t vacant = PTHREAD_COND_INITIALIZER;
static unsigned long answered, unanswered, parts, reign, turn;
static int unanswered_because, led, idle, readers, asleep;

struct waiting { struct waiting *next; struct seccomp_notif ask; };
/* A directory that a reader is at: others who ask for it wait in line, without a thread. */
static struct visited { struct visited *next; dev_t dev; ino_t ino; struct waiting *first, **last; } *visits;

enum layout { LONG, OLD, COMPAT_OLD };

/* One call, and who makes it. */
struct request { int fd, dir; pid_t process; uint64_t to; size_t room; enum layout layout; struct stat about; };

/* Writes one entry as getdents does (readdir.c of the kernel), or gives what keeps it from that. */
static int put(char *out, size_t left, enum layout layout, const struct entry *one, int64_t following) {
  size_t length = strlen(one->name);
  size_t head = layout == LONG ? 19 : layout == COMPAT_OLD ? 10 : 2 * sizeof(long) + 2;
  size_t align = layout == COMPAT_OLD ? 4 : layout == OLD ? sizeof(long) : 8;
  size_t whole = (head + length + (layout == LONG ? 1 : 2) + align - 1) / align * align;
  if (whole > left) return -EINVAL;
  memset(out, 0, whole);
  uint16_t reclen = whole;
  if (layout == COMPAT_OLD) {
    uint32_t ino = one->ino, off = following;
    if (ino != one->ino) return -EOVERFLOW;
    memcpy(out, &ino, 4), memcpy(out + 4, &off, 4);
  } else {
    unsigned long ino = one->ino, off = following;
    if (layout == LONG) memcpy(out, &one->ino, 8), memcpy(out + 8, &following, 8);
    else memcpy(out, &ino, sizeof ino), memcpy(out + sizeof ino, &off, sizeof off);
  }
  memcpy(out + head - (layout == LONG ? 3 : 2), &reclen, 2);
  out[layout == LONG ? 18 : whole - 1] = one->type;
  memcpy(out + head, one->name, length);
  return whole;
}

/* The listing in which the number \`at\` lies, or after which nothing is; *failed says why there is none. */
static struct listing *listing_for(const struct request *ask, int64_t at, struct listing *known, int *failed) {
  int64_t base = 0, from = 0;
  if (known && at >= known->base && (at < known->base + known->count || !known->more)) return known;
  if (known) known->busy = 0;
  if (known && known->more && at >= known->base) base = known->base + known->count, from = known->next;
  for (;;) {
    struct listing *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return *failed = -ENOMEM, (void *)0;
    fresh->dev = ask->about.st_dev, fresh->ino = ask->about.st_ino, fresh->process = ask->process, fresh->fd = ask->fd;
    fresh->base = base, fresh->stands_at = -1, fresh->busy = 1;
    *failed = read_part(ask->dir, from, fresh);
    if (*failed == 0 && fresh->more) parts++;
    pthread_mutex_lock(&guard);
    struct listing *before = find(&ask->about, ask->process, ask->fd);
    if (before && before->process == ask->process && before->fd == ask->fd) forget(before);
    if (*failed == 0) keep(fresh);
    pthread_mutex_unlock(&guard);
    if (*failed) return free(fresh->store), free(fresh->at), free(fresh), (void *)0;
    base = fresh->base + fresh->count, from = fresh->next;
    if (at < base || !fresh->more) return fresh;
  }
}

static void stand(struct listing *in, int dir, int64_t at) {
#ifndef NO_SEEK
  if (lseek(dir, at, SEEK_SET) == at) { in->stands_at = -1; return; }
#endif
  in->stands_at = lseek(dir, 0, SEEK_CUR), in->stands_for = at;
}

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

static __thread char *out;

/* What the call returns; *in and *before let it be undone. */
static long serve(struct request *ask, const struct seccomp_notif *call, struct listing **in, int64_t *before) {
  int64_t at = lseek(ask->dir, 0, SEEK_CUR);
  if (at < 0) return -errno;
  *before = at;
  pthread_mutex_lock(&guard);
  struct listing *known = at > 0 ? find(&ask->about, ask->process, ask->fd) : 0;
  if (known) known->busy = 1;
  pthread_mutex_unlock(&guard);
  if (known && known->stands_at == at) *before = at = known->stands_for;
  int failed = 0;
  if (!out && !(out = malloc(AT_ONCE))) failed = -ENOMEM;
  if (!failed && ask->about.st_nlink == 0 && syscall(SYS_getdents64, ask->dir, out, 1) < 0 && errno == ENOENT) failed = -ENOENT;
  struct listing *found = failed ? 0 : listing_for(ask, at, known, &failed);
  if (!found) return lseek(ask->dir, at, SEEK_SET), failed;
  *in = found;
  long filled = 0;
  int64_t following = at;
  const size_t most = ask->room < AT_ONCE ? ask->room : AT_ONCE;
  while (following < found->base + found->count) {
    int64_t n = following - found->base;
    struct entry *one = (struct entry *)(found->store + found->at[backwards ? found->count - 1 - n : n]);
    failed = put(out + filled, most - filled, ask->layout, one, following + 1);
    if (failed < 0) break;
    filled += failed, following++;
  }
  if (filled == 0) return stand(found, ask->dir, at), failed < 0 ? failed : 0;
  long wrote = write_to(call->pid, call->id, out, filled, ask->to);
  stand(found, ask->dir, wrote < 0 ? at : following);
  return wrote < 0 ? wrote : filled;
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

/* Whether we are the one at this directory; otherwise the call waits in its line. */
static int visit(const struct stat *dir, const struct seccomp_notif *call, struct visited *mine) {
  struct visited *at;
  pthread_mutex_lock(&guard);
  for (at = visits; at && (at->ino != dir->st_ino || at->dev != dir->st_dev); at = at->next);
  if (at) {
    struct waiting *line = malloc(sizeof *line);
    if (line) line->ask = *call, line->next = 0, *at->last = line, at->last = &line->next;
    else respond(call->id, -ENOMEM, 0);
  } else {
    mine->dev = dir->st_dev, mine->ino = dir->st_ino, mine->first = 0, mine->last = &mine->first;
    mine->next = visits, visits = mine;
  }
  pthread_mutex_unlock(&guard);
  return at == 0;
}

static struct waiting *leave(struct visited *mine, struct listing *in) {
  pthread_mutex_lock(&guard);
  struct visited **at = &visits;
  while (*at != mine) at = &(*at)->next;
  *at = mine->next;
  if (in) {
    in->busy = 0;
    if (in != newest) leave_line(in), enter_line(in);
  }
  pthread_mutex_unlock(&guard);
  return mine->first;
}

static struct waiting *answer(const struct seccomp_notif *call) {
  const struct seccomp_data *data = &call->data;
  struct request ask = { .fd = (int)data->args[0], .to = data->args[1], .room = (uint32_t)data->args[2] };
  if (data->arch == NATIVE) ask.layout = (data->nr & ~X32) == SYS_getdents64 ? LONG : OLD;
#ifdef COMPAT
  else ask.layout = data->nr == (int[]){ COMPAT_NUMBERS }[0] ? LONG : COMPAT_OLD, ask.to = (uint32_t)ask.to;
#endif
  ask.dir = take(call->pid, ask.fd, &ask.process);
  if (ask.dir == -EPERM || ask.dir == -EACCES) return let_through(call, ask.dir), (void *)0;
  if (ask.dir < 0) return respond(call->id, ask.dir, 0), (void *)0;
  struct waiting *line = 0;
  struct visited mine;
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) != 0) lose(&known[call->pid % 8]);
  else if (fstat(ask.dir, &ask.about) != 0) respond(call->id, -errno, 0);
  else if (!S_ISDIR(ask.about.st_mode)) respond(call->id, -ENOTDIR, 0);
  else if (visit(&ask.about, call, &mine)) {
    struct listing *in = 0;
    int64_t before = -1;
    long value = serve(&ask, call, &in, &before);
    /* A signal took the caller away: it will ask again, for the same entries. */
    if (respond(call->id, value, 0) != 0 && in && value > 0) stand(in, ask.dir, before);
    line = leave(&mine, in);
  }
  close(ask.dir);
  return line;
}

static void *reader(void *nothing) {
  struct seccomp_notif call;
  for (;;) {
    pthread_mutex_lock(&guard);
    idle++;
    while (led) pthread_cond_wait(&vacant, &guard);
    idle--, led = 1;
    unsigned long mine = ++reign;
    pthread_mutex_unlock(&guard);
    while (__atomic_load_n(&reign, __ATOMIC_ACQUIRE) == mine) {
      memset(&call, 0, sizeof call);
      if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
        struct pollfd at = { listener, 0, 0 };
        if (poll(&at, 1, 0) > 0) pause();
        continue;
      }
      __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
      if (__atomic_exchange_n(&asleep, 0, __ATOMIC_SEQ_CST)) eventfd_write(alarm_clock, 1);
      for (struct waiting *line = answer(&call); line;) {
        struct waiting *now = line, *more = answer(&now->ask), **end = &line;
        line = now->next;
        while (*end) end = &(*end)->next;
        *end = more;
        free(now);
      }
      pthread_mutex_lock(&guard);
      if (reign == mine) __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
      pthread_mutex_unlock(&guard);
    }
  }
}

/* Another leads from now on, unless the leader got on just now. */
static void depose(unsigned long at_turn) {
  pthread_t thread;
  pthread_mutex_lock(&guard);
  if (turn != at_turn) ;
  else if (idle > 0 || (readers < READERS && pthread_create(&thread, 0, reader, 0) == 0 && ++readers)) {
    led = 0, reign++;
    turn += turn & 1;
    pthread_cond_signal(&vacant);
  }
  pthread_mutex_unlock(&guard);
}

static void account(void) {
  dprintf(LIFELINE, "order answered=%lu unanswered=%lu because=%d parts=%lu\\n", answered, unanswered, unanswered_because, parts);
  _exit(0);
}

/* All rights but those to look into the build's processes, wherever they are not our own user's. */
static void give_up_rights(const char *number) {
  struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
  const uint32_t left = 1u << CAP_SYS_PTRACE | 1u << CAP_DAC_OVERRIDE;
  struct __user_cap_data_struct rights[2] = { { 0 } };
  unsigned uid = strtoul(number, 0, 10);
  if (uid != 0 && (setgroups(0, 0) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)) _exit(1);
  if (syscall(SYS_capget, &head, rights) != 0) _exit(1);
  for (int n = 0; n < 2; n++) rights[n].inheritable = 0, rights[n].effective = rights[n].permitted &= n == 0 ? left : 0;
  if (syscall(SYS_capset, &head, rights) != 0) _exit(1);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int received_listener(int from) {
  char byte, space[CMSG_SPACE(sizeof(int))];
  struct iovec part = { &byte, 1 };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
  if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message)) _exit(1);
  memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof listener);
  close(from);
  return listener;
}

/* The process outside: until the last of the build has ended, or who started us has. */
static void keep_order(int from, const char *uid) {
  struct rlimit files;
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0), dup2(null, 1), dup2(null, 2), dup2(from, 3);
  syscall(SYS_close_range, 5, ~0u, 0);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  give_up_rights(uid);
  listener = received_listener(3);
  ioctl(listener, SET_FLAGS, SYNC_WAKE_UP);
  alarm_clock = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  depose(0);
  struct pollfd at[] = { { listener, 0, 0 }, { LIFELINE, POLLIN, 0 }, { alarm_clock, POLLIN, 0 } };
  for (unsigned long before = 0, now;; before = now) {
    char byte[64];
    eventfd_t rang;
    if (poll(at, 3, __atomic_load_n(&asleep, __ATOMIC_SEQ_CST) ? -1 : PATIENCE) < 0 && errno != EINTR) account();
    if (at[0].revents) account();
    if (at[1].revents & POLLNVAL) at[1].fd = -1;
    else if (at[1].revents && read(LIFELINE, byte, sizeof byte) <= 0 && errno != EINTR && errno != EAGAIN) account();
    if (at[2].revents) eventfd_read(alarm_clock, &rang);
    now = __atomic_load_n(&turn, __ATOMIC_SEQ_CST);
    if (now != before) continue;
    if (now & 1) depose(now);
    else {
      __atomic_store_n(&asleep, 1, __ATOMIC_SEQ_CST);
      if (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != now) __atomic_store_n(&asleep, 0, __ATOMIC_SEQ_CST);
    }
  }
}

static int order_line = -1;
static pid_t order_keeper;

static void order_by_notifications(const char *which, const char *uid) {
  int pair[2], none = eventfd(0, 0);
  /* Tried out by hand: what is ours by number shall not be taken by the sockets. */
  for (int fd = STATUS; fd <= BLOCK; fd++) if (fcntl(fd, F_GETFD) < 0) dup2(none, fd);
  if (none > BLOCK) close(none);
  backwards = !strcmp(which, "reversed");
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("cannot make", "a pair of sockets");
  order_keeper = fork();
  if (order_keeper < 0) fail("cannot fork for", "directory order");
  if (order_keeper == 0) keep_order(pair[0], uid);
  close(pair[0]);
  order_line = pair[1];
}

/* Last of all: from here on our own listings are ordered, too. */
static void hand_over_listener(void) {
  char byte = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
  struct iovec part = { &byte, 1 };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
  if (order_line < 0) return;
#ifdef PR_SET_PTRACER
  prctl(PR_SET_PTRACER, order_keeper, 0, 0, 0);
#endif
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot give up", "new privileges");
  int made = listener_for_directories();
  if (made < 0) fail("cannot filter", "getdents");
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof made);
  memcpy(CMSG_DATA(head), &made, sizeof made);
  if (sendmsg(order_line, &message, MSG_NOSIGNAL) != 1) fail("cannot hand over", "directory order");
  close(made);
  close(order_line);
}
`;

/**
 * What the account of the process that ordered directories leaves uncovered.
 * Throws `lacking` when there is none, though nobody ended the build: then the
 * process itself ended before, and listings failed from there on.
 */
export function orderLacks(account: string, outcome: Outcome): Lack[] {
  const number = (name: string): number =>
    Number(new RegExp(`^order .*\\b${name}=(\\d+)`, "m").exec(account)?.[1] ?? 0);
  if (!account.startsWith("order ")) {
    if (outcome !== "exited" && outcome !== "signalled") return [];
    throw new BitforbitError(
      "lacking",
      "the process that orders directories ended before the build did: from then on listing a directory failed with ENOSYS",
      { hint: "see whether the kernel ended it for want of memory (dmesg), then run again" },
    );
  }
  const lacks: Lack[] = [];
  const causes: Lack["causes"] = ["readdir-order"];
  const unanswered = number("unanswered");
  if (unanswered > 0) {
    const why = getSystemErrorName(-number("because"));
    lacks.push({
      what: `${unanswered} directory listings had the file system's own order: their process could not be looked into (${why})`,
      remedy: "allow ptrace of own processes: sysctl -w kernel.yama.ptrace_scope=1",
      causes,
    });
  }
  if (number("parts") > 0) {
    lacks.push({
      what: "a directory of more than 2,000,000 entries was ordered in parts of so many",
      remedy: "use subfolders",
      causes,
    });
  }
  return lacks;
}
