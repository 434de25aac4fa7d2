import { BUILD_PROCESSES } from "./build-processes.ts";
import { CALLERS } from "./callers.ts";
import { DIRECTORY_LISTINGS } from "./directory-listings.ts";
import { DIRECTORY_ORDER } from "./directory-order.ts";
import { EXEC_NOTIFICATIONS } from "./exec-notifications.ts";
import { SEEDED_RANDOM } from "./seeded-random.ts";
import { STATIC_CLOCK } from "./static-clock.ts";
import { TRACED_FILES } from "./traced-files.ts";
import { TRAPPED_CALLS } from "./trapped-calls.ts";

/**
 * Answers to system calls by seccomp_unotify(2): a filter stops some calls of
 * the build (trapped-calls.ts), a process of ours outside the sandbox answers
 * them, and no other call costs anything. \`enter.ts\` compiles this as a part of
 * itself.
 *
 *     reader        a thread; one at a time leads: it receives and answers
 *     main thread   looks that the leader does not hang (a file system may),
 *                   and makes another the leader then; ends with the build or
 *                   with LIFELINE, on which it leaves one line of account
 *
 * A leader that is about to wait by itself, for a program to begin, say, steps
 * aside before.
 *
 * The build is hostile: every number of its is checked by the kernel call that
 * takes it or before use, what it changes meanwhile harms its own answer only,
 * and memory, threads and descriptors are bounded. What is only watched goes on
 * as it was asked, whether it could be looked at or not.
 */
export const NOTIFICATIONS: string = `
${TRAPPED_CALLS}
${CALLERS}
${DIRECTORY_LISTINGS}
${DIRECTORY_ORDER}
${BUILD_PROCESSES}
${TRACED_FILES}
${SEEDED_RANDOM}
${STATIC_CLOCK}
${EXEC_NOTIFICATIONS}
#define READERS 64
#define PATIENCE 20

static int alarm_clock;
static pthread_cond_t vacant = PTHREAD_COND_INITIALIZER;
static unsigned long reign, turn;
static int led, idle, readers, asleep;

/* What is left to do for others, who waited for the same directory. */
static struct waiting *answer(const struct seccomp_notif *call) {
  const struct trapped *row = row_of(&call->data);
  if (!row) return let_on(call), (void *)0;
  switch (row->call) {
    case GETDENTS64: case GETDENTS: return answer_listing(call, row->call);
    case EXECVE: case EXECVEAT: if (exec_call(call, row->call)) let_on(call); break;
    case CLOCK: case CLOCK_64: case DAY: case TIME: answer_clock(call, row->call); break;
    case SLEEP: case SLEEP_64: case FUTEX: case FUTEX_64: case TIMER: case TIMER_64: move_wait(call, row->call); break;
    case RANDOM: answer_random(call); break;
    case OPEN: case OPENAT: case OPENAT2:
      if ((abilities & FOR_RANDOM) && answer_random_device(call, row->call)) break;
    default:
      if (abilities & FOR_TRACE) trace_call(call, row->call);
      let_on(call);
  }
  return 0;
}

/* Of the reign of whom this thread was the leader last. */
static __thread unsigned long mine;

static void *reader(void *nothing) {
  struct seccomp_notif call;
  for (;;) {
    pthread_mutex_lock(&guard);
    idle++;
    while (led) pthread_cond_wait(&vacant, &guard);
    idle--, led = 1;
    mine = ++reign;
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

/* Before something that takes a while: another thread leads meanwhile, if there is one. */
static void step_aside(void) {
  if (__atomic_load_n(&reign, __ATOMIC_ACQUIRE) == mine) depose(__atomic_load_n(&turn, __ATOMIC_SEQ_CST));
}

static void leave_account(void) {
  end_record();
  dprintf(LIFELINE, "order answered=%lu unanswered=%lu because=%d parts=%lu refused=%lu why=%d\\n", answered, unanswered,
    unanswered_because, parts, refused, refused_because);
}

static void account(void) {
  leave_account();
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
  killable = byte;
  close(from);
  return listener;
}

/* The process outside: until the last of the build has ended, or who started us has. */
static void keep_order(int from, const char *uid) {
  struct rlimit files;
  int null = open("/dev/null", O_RDWR);
  if (trace >= 0) trace = fcntl(trace, F_DUPFD, BLOCK + 1), from = fcntl(from, F_DUPFD, BLOCK + 1);
  dup2(null, 0), dup2(null, 1), dup2(null, 2), dup2(from, 3);
  if (trace >= 0) dup2(trace, 5), trace = 5, reads = calloc(READS, sizeof *reads);
  syscall(SYS_close_range, trace >= 0 ? 6 : 5, ~0u, 0);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  give_up_rights(uid);
  listener = received_listener(3);
  ioctl(listener, SET_FLAGS, SYNC_WAKE_UP);
  alarm_clock = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  depose(0);
  struct pollfd at[] = { { listener, 0, 0 }, { LIFELINE, POLLIN, 0 }, { alarm_clock, POLLIN, 0 } };
  for (unsigned long before = 0, now;; before = now) {
    eventfd_t rang;
    if (poll(at, 3, __atomic_load_n(&asleep, __ATOMIC_SEQ_CST) ? -1 : PATIENCE) < 0 && errno != EINTR) account();
    if (at[0].revents) account();
    if (at[1].revents & POLLNVAL) at[1].fd = -1;
    else if (at[1].revents && !line_is_alive()) leave_account(), end_all();
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

/* Steps of enter.ts: what else is asked for, before \`order\` starts the process that answers. */
static void answer_for_trace(const char *file) {
  trace = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (trace < 0) fail("cannot write", file);
  abilities |= FOR_TRACE;
}

static void answer_for_clock(const char *offset, const char *held) {
  clock_offset = strtoll(offset, 0, 10), clock_held = strtoll(held, 0, 10), clock_holds = *held != '-';
  abilities |= FOR_CLOCK;
}

static void answer_for_random(const char *number) {
  seed = first.key = joined(4, strtoull(number, 0, 10));
  abilities |= FOR_RANDOM;
}

static void answer_for_schedule(const char *number) {
  schedule = joined(5, strtoull(number, 0, 10)) | 1;
  abilities |= FOR_SCHEDULE;
}

static void order_by_notifications(const char *which, const char *uid) {
  int pair[2], none = eventfd(0, 0);
  /* Tried out by hand: what is ours by number shall not be taken by the sockets. */
  for (int fd = STATUS; fd <= BLOCK; fd++) if (fcntl(fd, F_GETFD) < 0) dup2(none, fd);
  if (none > BLOCK) close(none);
  backwards = !strcmp(which, "reversed");
  abilities |= FOR_ORDER;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) fail("cannot make", "a pair of sockets");
  order_keeper = fork();
  if (order_keeper < 0) fail("cannot fork for", "directory order");
  if (order_keeper == 0) keep_order(pair[0], uid);
  close(pair[0]);
  order_line = pair[1];
}

/* Last of all: from here on our own listings are ordered, too. */
static void hand_over_listener(void) {
  char byte, space[CMSG_SPACE(sizeof(int))] = { 0 };
  int waits;
  struct iovec part = { &byte, 1 };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
  if (order_line < 0) return;
  /* Who changed its user is hidden until it becomes another program, which that process must see. */
  if (abilities & FOR_EXEC) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#ifdef PR_SET_PTRACER
  prctl(PR_SET_PTRACER, order_keeper, 0, 0, 0);
#endif
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot give up", "new privileges");
  int made = listener_for_calls(&waits);
  if (made < 0) fail("cannot filter", "calls");
  byte = waits;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof made);
  memcpy(CMSG_DATA(head), &made, sizeof made);
  if (sendmsg(order_line, &message, MSG_NOSIGNAL) != 1) fail("cannot hand over", "directory order");
  close(made);
  close(order_line);
}
`;
