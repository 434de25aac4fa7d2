import { run } from "../child.ts";
import { compiledOnce } from "../compiled.ts";
import { NOTIFICATIONS } from "./notifications.ts";

/**
 * The way into a sandbox in one program: what `launch.ts` otherwise says to
 * bash, unshare, mount, sh, taskset, setarch and setpriv, each of which costs a
 * start of its own. It does its arguments in order, then becomes what follows
 * `--`. It decides nothing; the first step that fails ends it with 125.
 *
 *     close N                    closes descriptors from N on
 *     user                       own user namespace, in which we are root
 *     mounts                     own mount namespace, private
 *     bind FROM TO               with what is mounted below
 *     overlay OPTIONS TO
 *     order sorted|reversed UID  of all directories, by a process of ours with that uid (0: our own); before it,
 *                                what else that process does (notifications.ts):
 *     chain MANY BUILDPATH       so many programs lead to the build, after this one, which lies there
 *     trace FILE                 writes there what the build runs, reads and writes
 *     clock OFFSET HELD|-        for programs without the preloaded library, in seconds
 *     random SEED  schedule SEED
 *     mirror yes|no MANY FROM TO disorderfs, reversed or not, until LIFELINE closes
 *     umask OCTAL  limit WHAT N  oom N  cpus 0,1  noaslr  uname26  uid N
 *     watch                      a process of ours ends all when LIFELINE closes; \`order\` and \`mirror\` do so as well
 *     busy                       a process of ours works on each CPU that is left to us, until we end
 */
export const ENTER_SOURCE: string = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS 3
#define LIFELINE 4
#define BLOCK 5
#define FUSE_MAGIC 0x65735546

static void fail(const char *what, const char *about) {
  dprintf(2, "enter: %s %s: %s\\n", what, about, strerror(errno));
  _exit(125);
}

/* As LIFELINE names it: the first process in the sandbox, which leaves the process group that we lead, unless started by hand. */
static pid_t innermost;
static int leads;

/* Takes what LIFELINE says; false when its other end has closed: the run is over, or who started us is dead. */
static int line_is_alive(void) {
  char text[64];
  ssize_t got = read(LIFELINE, text, sizeof text - 1);
  if (got <= 0) return got < 0 && (errno == EINTR || errno == EAGAIN);
  text[got] = 0;
  if (innermost == 0) innermost = atoi(text);
  return 1;
}

/*
 * bubblewrap's --die-with-parent holds only from the moment when both its processes have set that. Before, the first
 * process in the sandbox waits at a gate that nobody but who started us opens, and is in our group.
 */
static void end_all(void) {
  if (innermost > 1) kill(innermost, SIGKILL);
  if (leads) kill(0, SIGKILL);
  _exit(0);
}

/* Where no other process of ours reads LIFELINE. */
static void watch_over(void) {
  pid_t watcher = fork();
  if (watcher < 0) fail("cannot fork to", "watch");
  if (watcher != 0) return;
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0), dup2(null, 1), dup2(null, 2);
  close(STATUS);
  syscall(SYS_close_range, BLOCK, ~0u, 0);
  while (line_is_alive());
  end_all();
}

static void put_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text, strlen(text)) < 0) fail("cannot write", path);
  close(file);
}

static void own_user_namespace(void) {
  char map[64];
  unsigned uid = geteuid(), gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) fail("cannot unshare", "user");
  put_text("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "0 %u 1", uid);
  put_text("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "0 %u 1", gid);
  put_text("/proc/self/gid_map", map);
}

static void mirror(const char *reverse, const char *many, const char *from, const char *to) {
  char sorting[32], users[32];
  struct statfs at;
  snprintf(sorting, sizeof sorting, "--reverse-dirents=%s", reverse);
  snprintf(users, sizeof users, "--multi-user=%s", many);
  pid_t watcher = fork();
  if (watcher < 0) fail("cannot fork for", "disorderfs");
  if (watcher == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    close(STATUS), close(BLOCK);
    pid_t mounted = fork();
    if (mounted == 0) {
      close(LIFELINE);
      execlp("disorderfs", "disorderfs", "-f", "-q", users, "--sort-dirents=yes", sorting, "--pad-blocks=0", from, to, (char *)0);
      _exit(127);
    }
    while (line_is_alive());
    kill(mounted, SIGKILL);
    waitpid(mounted, 0, 0);
    end_all();
  }
  for (int tries = 0; statfs(to, &at) != 0 || at.f_type != FUSE_MAGIC; tries++) {
    if (tries > 20000) errno = ETIMEDOUT, fail("disorderfs did not mount", to);
    usleep(500);
  }
}

${NOTIFICATIONS}
static void limit(const char *what, const char *number) {
  struct rlimit at;
  at.rlim_cur = at.rlim_max = strtoull(number, 0, 10);
  int which = !strcmp(what, "fsize") ? RLIMIT_FSIZE : !strcmp(what, "core") ? RLIMIT_CORE
    : !strcmp(what, "nproc") ? RLIMIT_NPROC : !strcmp(what, "data") ? RLIMIT_DATA : -1;
  if (which < 0 || setrlimit(which, &at) != 0) fail("cannot limit", what);
}

static void on_cpus(const char *list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (char *at = (char *)list; *at != 0; at += *at == ',') CPU_SET(strtoul(at, &at, 10), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("cannot run on", list);
}

static void take_on(unsigned long trait, const char *step) {
  if (personality(personality(0xffffffff) | trait) < 0) fail("cannot take on", step);
}

static void become(const char *number) {
  unsigned uid = strtoul(number, 0, 10);
  if (uid == 0 || setgroups(0, 0) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot become", number);
}

static void keep_busy(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) fail("cannot count", "CPUs");
  for (int left = CPU_COUNT(&set), parent = getpid(); left > 0; left--) {
    pid_t worker = fork();
    if (worker < 0) fail("cannot fork to be", "busy");
    if (worker != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    syscall(SYS_close_range, 0, ~0u, 0);
    for (volatile unsigned long turns = 0;; turns++);
  }
}

int main(int count, char **at) {
  leads = getpgrp() == getpid();
  for (at++; *at != 0 && strcmp(*at, "--") != 0; at++) {
    const char *step = *at;
    if (!strcmp(step, "close")) { if (syscall(SYS_close_range, strtoul(*++at, 0, 10), ~0u, 0) != 0) fail("cannot close from", *at); }
    else if (!strcmp(step, "user")) own_user_namespace();
    else if (!strcmp(step, "mounts")) { if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) != 0) fail("cannot unshare", step); }
    else if (!strcmp(step, "bind")) { at += 2; if (mount(at[-1], *at, 0, MS_BIND | MS_REC, 0) != 0) fail("cannot bind", at[-1]); }
    else if (!strcmp(step, "overlay")) { at += 2; if (mount("overlay", *at, "overlay", 0, at[-1]) != 0) fail("cannot overlay", at[-1]); }
    else if (!strcmp(step, "chain")) { at += 2; chain = strtoul(at[-1], 0, 10), build_path = *at; }
    else if (!strcmp(step, "trace")) answer_for_trace(*++at);
    else if (!strcmp(step, "clock")) { at += 2; answer_for_clock(at[-1], *at); }
    else if (!strcmp(step, "random")) answer_for_random(*++at);
    else if (!strcmp(step, "schedule")) answer_for_schedule(*++at);
    else if (!strcmp(step, "order")) { at += 2; order_by_notifications(at[-1], *at); }
    else if (!strcmp(step, "mirror")) { at += 4; mirror(at[-3], at[-2], at[-1], *at); }
    else if (!strcmp(step, "umask")) umask(strtoul(*++at, 0, 8));
    else if (!strcmp(step, "limit")) { at += 2; limit(at[-1], *at); }
    else if (!strcmp(step, "oom")) { int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); at++; if (file >= 0) { if (write(file, *at, strlen(*at)) < 0) errno = 0; close(file); } }
    else if (!strcmp(step, "cpus")) on_cpus(*++at);
    else if (!strcmp(step, "noaslr")) take_on(ADDR_NO_RANDOMIZE, step);
    else if (!strcmp(step, "uname26")) take_on(UNAME26, step);
    else if (!strcmp(step, "uid")) become(*++at);
    else if (!strcmp(step, "watch")) watch_over();
    else if (!strcmp(step, "busy")) keep_busy();
    else errno = EINVAL, fail("no such step:", step);
  }
  if (*at == 0 || at[1] == 0) errno = EINVAL, fail("nothing to", "become");
  close(LIFELINE);
  hand_over_listener();
  execvp(at[1], at + 1);
  fail("cannot start", at[1]);
}
`;

/** The compiled program, made once a machine; undefined where there is no C compiler. */
export function enterProgram(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "enter",
    source: ENTER_SOURCE,
    options: ["-O2", "-w", "-pthread"],
    // It starts in half the time, and its fork has less to copy.
    wished: ["-static"],
    works: async (program) => (await run(program, ["umask", "0022", "--", "true"])).exitCode === 0,
  });
}
