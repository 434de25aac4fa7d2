import { readFile } from "node:fs/promises";
import { compiledOnce } from "../compiled.ts";
import { MACHINE_TREES } from "./machine-trees.ts";

/**
 * The first process of a virtual machine, and all of its system: it loads
 * modules, mounts the sandbox's root read-only, copies the writable trees into
 * memory, sets the clock, becomes `enter` (enter.ts) and, in its second turn,
 * the build's own parent. When the build has ended it copies back what changed,
 * writes its answer and switches off.
 *
 * /plan, each word ended by NUL, says what to do, in any order but for mounts:
 *
 *     module PATH          host NAME            ids UID GID        first PID
 *     clock OFFSET HELD|-  hide PATH            fresh PATH MODE own|root
 *     file PATH CONTENT    tree TAG PATH        step WORD          directory PATH
 *     env NAME=VALUE       arg WORD
 */
const MACHINE_INIT = `#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/root"
#define ANSWER "/answer"
#define MOST 65536

static const char *words[MOST + 1];
static int count;
static unsigned uid, gid;

static void off(void) {
  int level = open("/proc/sys/kernel/printk", O_WRONLY);
  if (level >= 0 && write(level, "0 0 0 0", 7) == 7) close(level);
  sync();
  reboot(RB_AUTOBOOT);
  _exit(1);
}

static void give_up(const char *what, const char *about) {
  char text[512];
  int length = snprintf(text, sizeof text, "failed %s %.300s: %s\\n", what, about, strerror(errno));
  int file = open(ANSWER "/told", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0 || write(file, text, length) != length) dprintf(2, "machine: %s", text);
  if (getpid() == 1) off();
  _exit(125);
}

static void read_plan(void) {
  struct stat stats;
  int file = open("/plan", O_RDONLY);
  if (file < 0 || fstat(file, &stats) != 0) give_up("cannot read", "/plan");
  char *text = malloc(stats.st_size + 1);
  for (long at = 0, got; at < stats.st_size; at += got)
    if ((got = read(file, text + at, stats.st_size - at)) <= 0) give_up("cannot read", "/plan");
  for (char *at = text; at < text + stats.st_size && count < MOST; at += strlen(at) + 1) words[count++] = at;
  words[count] = 0;
  close(file);
}

static const char *inside(const char *path) {
  static char full[4][4096];
  static int turn;
  char *at = full[turn++ & 3];
  snprintf(at, sizeof full[0], ROOT "%s", path);
  return at;
}

static void on(const char *kind, const char *from, const char *to, unsigned long flags, const char *options) {
  if (mount(from, to, kind, flags, options) != 0) give_up("cannot mount", to);
}

static int is(int at, const char *verb) { return strcmp(words[at], verb) == 0; }

/* How many words follow a verb. */
static int follow(int at) {
  if (is(at, "fresh")) return 3;
  return is(at, "ids") || is(at, "clock") || is(at, "file") || is(at, "tree") ? 2 : 1;
}

static void load(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST)) give_up("cannot load", path);
  close(file);
}

static void share(const char *tag, const char *to, int writable) {
  mkdir(to, 0755);
  on("9p", tag, to, MS_NODEV | MS_NOSUID | (writable ? 0 : MS_RDONLY),
    writable ? "trans=virtio,version=9p2000.L,msize=262144,access=any,cache=none"
             : "trans=virtio,version=9p2000.L,msize=262144,access=any,cache=loose");
}

${MACHINE_TREES}
/* The host's clock is seen by the time of a file that is made there. */
static void set_clock(const char *offset, const char *held) {
  struct stat stats;
  int file = open(ANSWER "/ready", O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (file < 0 || fstat(file, &stats) != 0) give_up("cannot make", "ready");
  close(file);
  struct timespec now = stats.st_mtim;
  if (*held != '-') now.tv_sec = strtoll(held, 0, 10), now.tv_nsec = 0;
  now.tv_sec += strtoll(offset, 0, 10);
  if (clock_settime(CLOCK_REALTIME, &now) != 0) give_up("cannot set", "the clock");
}

static void make_devices(void) {
  static const struct { const char *name; int major, minor; } nodes[] = {
    { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
  static const char *links[][2] = { { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
    { "/proc/self/fd/2", "stderr" }, { "/proc/kcore", "core" }, { "pts/ptmx", "ptmx" } };
  on("tmpfs", "tmpfs", inside("/dev"), MS_NOSUID, "mode=0755");
  if (chdir(inside("/dev")) != 0) give_up("cannot enter", "/dev");
  for (unsigned n = 0; n < sizeof nodes / sizeof *nodes; n++)
    if (mknod(nodes[n].name, S_IFCHR | 0666, makedev(nodes[n].major, nodes[n].minor)) != 0) give_up("cannot make", nodes[n].name);
  for (unsigned n = 0; n < sizeof links / sizeof *links; n++)
    if (symlink(links[n][0], links[n][1]) != 0) give_up("cannot link", links[n][1]);
  mkdir("pts", 0755), mkdir("shm", 0755);
  on("devpts", "devpts", "pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
  on("tmpfs", "tmpfs", "shm", MS_NOSUID | MS_NODEV, "mode=1777");
  if (chdir("/") != 0) give_up("cannot enter", "/");
}

static void make_fresh(const char *path, const char *mode, const char *owner) {
  char options[100];
  int own = strcmp(owner, "own") == 0;
  snprintf(options, sizeof options, "mode=%s,uid=%u,gid=%u,size=85%%,nr_inodes=0", mode, own ? uid : 0, own ? gid : 0);
  on("tmpfs", "tmpfs", inside(path), MS_NOSUID | MS_NODEV, options);
}

static void put_file(const char *path, const char *content) {
  char full[4096];
  snprintf(full, sizeof full, "%s", inside(path));
  for (char *at = full + sizeof ROOT; (at = strchr(at + 1, '/'));) *at = 0, mkdir(full, 0755), *at = '/';
  int file = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0444);
  if (file < 0 || write(file, content, strlen(content)) != (ssize_t)strlen(content)) give_up("cannot write", path);
  close(file);
}

static void read_only(const char *path) {
  if (mount(0, inside(path), 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, 0) != 0) give_up("cannot close", path);
}

static void raise_loopback(void) {
  struct ifreq device = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
  int line = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (line >= 0) ioctl(line, SIOCSIFFLAGS, &device), close(line);
}

static void set_up(void) {
  for (int at = 0; at < count; at += 1 + follow(at)) {
    if (is(at, "module")) load(words[at + 1]);
    else if (is(at, "ids")) uid = strtoul(words[at + 1], 0, 10), gid = strtoul(words[at + 2], 0, 10);
    else if (is(at, "host") && sethostname(words[at + 1], strlen(words[at + 1])) != 0) give_up("cannot set", "the host's name");
  }
  share("answer", ANSWER, 1);
  share("root", ROOT, 0);
  make_devices();
  raise_loopback();
  for (int at = 0; at < count; at += 1 + follow(at)) {
    const char *one = words[at + 1], *two = words[at + 2];
    if (is(at, "clock")) set_clock(one, two);
    else if (is(at, "hide")) on("tmpfs", "tmpfs", inside(one), MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0755,size=4k");
    else if (is(at, "fresh")) make_fresh(one, two, words[at + 3]);
    else if (is(at, "file")) put_file(one, two);
    else if (is(at, "tree")) bring(one, two);
  }
  read_only("/dev"), read_only("/sys");
}

/* The second turn, behind enter: the build's parent in a process namespace of its own. */
static void run_build(void) {
  const char *directory = "/", *arguments[MOST], *variables[MOST];
  int argc = 0, envc = 0, status;
  long first = 0;
  for (int at = 0; at < count; at += 1 + follow(at)) {
    if (is(at, "ids")) uid = strtoul(words[at + 1], 0, 10), gid = strtoul(words[at + 2], 0, 10);
    else if (is(at, "directory")) directory = words[at + 1];
    else if (is(at, "first")) first = strtol(words[at + 1], 0, 10);
    else if (is(at, "env")) variables[envc++] = words[at + 1];
    else if (is(at, "arg")) arguments[argc++] = words[at + 1];
  }
  variables[envc] = arguments[argc] = 0;
  if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC) != 0) give_up("cannot unshare", "namespaces");
  pid_t parent = fork();
  if (parent < 0) give_up("cannot fork", "");
  if (parent != 0) {
    while (waitpid(parent, &status, 0) < 0 && errno == EINTR);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  on("proc", "proc", inside("/proc"), MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
  if (first > 0) {
    int file = open(inside("/proc/sys/kernel/ns_last_pid"), O_WRONLY | O_CLOEXEC);
    if (file < 0 || dprintf(file, "%ld", first - 1) < 0) give_up("cannot number", "processes");
    close(file);
  }
  pid_t build = fork();
  if (build < 0) give_up("cannot fork", "");
  if (build == 0) {
    if (setsid() < 0 || chroot(ROOT) != 0 || chdir("/") != 0) give_up("cannot enter", ROOT);
    if (setgroups(0, 0) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) give_up("cannot become", "the build's user");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || chdir(directory) != 0) give_up("cannot enter", directory);
    syscall(SYS_close_range, 3, ~0u, 0);
    environ = (char **)variables;
    for (int at = 0; variables[at]; at++) if (!strncmp(variables[at], "PATH=", 5)) setenv("PATH", variables[at] + 5, 1);
    execvp(arguments[0], (char **)arguments);
    dprintf(2, "machine: cannot start %s: %s\\n", arguments[0], strerror(errno));
    _exit(127);
  }
  for (pid_t ended; (ended = wait(&status)) != build;) if (ended < 0 && errno != EINTR) break;
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void pump(int from, int to) {
  char bytes[4096];
  for (long got; (got = read(from, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR);)
    for (long at = 0, put; at < got; at += put) if ((put = write(to, bytes + at, got - at)) < 0) { if (errno != EINTR) return; put = 0; }
}

/* What it ran on: what a build can have noticed. */
static void tell(int code) {
  char line[256], processor[128] = "";
  struct utsname name;
  unsigned long total = 0;
  FILE *told = fopen(ANSWER "/told", "w"), *file = fopen("/proc/meminfo", "r");
  if (!told) give_up("cannot write", "told");
  while (file && fgets(line, sizeof line, file)) if (sscanf(line, "MemTotal: %lu", &total) == 1) break;
  if (file) fclose(file);
  file = fopen("/proc/cpuinfo", "r");
  while (file && fgets(line, sizeof line, file)) if (sscanf(line, "model name : %127[^\\n]", processor) == 1) break;
  if (file) fclose(file);
  uname(&name);
  fprintf(told, "exit %d\\nrelease %s\\nversion %s\\ntotal %lu\\nprocessor %s\\n", code, name.release, name.version, total, processor);
  if (fclose(told) != 0) give_up("cannot write", "told");
}

int main(int many, char **arguments) {
  const char *steps[MOST] = { "/enter" };
  int taken = 1, line[2], status = 0;
  if (many == 2 && strcmp(arguments[1], "works") == 0) return 0;
  read_plan();
  if (getpid() != 1) run_build();
  struct rlimit files = { 1 << 20, 1 << 20 };
  setrlimit(RLIMIT_NOFILE, &files);
  umask(0);
  mkdir("/proc", 0755), mkdir("/dev", 0755);
  on("proc", "proc", "/proc", 0, 0);
  on("devtmpfs", "devtmpfs", "/dev", 0, 0);
  int console = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
  struct termios settings;
  if (console >= 0 && tcgetattr(console, &settings) == 0) cfmakeraw(&settings), tcsetattr(console, TCSANOW, &settings);
  if (console < 0) console = open("/dev/null", O_RDWR);
  dup2(console, 2);
  set_up();
  start_count();
  if (pipe2(line, O_CLOEXEC) != 0) give_up("cannot make", "a pipe");
  pid_t build = fork();
  if (build < 0) give_up("cannot fork", "");
  if (build == 0) {
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0), dup2(line[1], 1), dup2(line[1], 2);
    syscall(SYS_close_range, 3, ~0u, 0);
    for (int at = 0; at < count; at += 1 + follow(at)) if (is(at, "step")) steps[taken++] = words[at + 1];
    steps[taken++] = "--", steps[taken++] = "/init", steps[taken++] = "run", steps[taken] = 0;
    execv(steps[0], (char **)steps);
    give_up("cannot start", steps[0]);
  }
  close(line[1]);
  pump(line[0], console);
  while (waitpid(build, &status, 0) < 0 && errno == EINTR);
  tcdrain(console);
  for (int at = 0; at < count; at += 1 + follow(at)) if (is(at, "tree")) give_back(words[at + 1], words[at + 2]);
  tell(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  off();
}
`;

/** The compiled program, static, as bytes; undefined where it cannot be made. */
export async function machineInit(cache: string): Promise<Uint8Array | undefined> {
  const path = await compiledOnce(cache, {
    name: "machine-init",
    source: MACHINE_INIT,
    options: ["-O2", "-w", "-static"],
    works: async (program) => (await readFile(program)).length > 0,
  });
  return path === undefined ? undefined : new Uint8Array(await readFile(path));
}
