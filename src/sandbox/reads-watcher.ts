import { run } from "../child.ts";
import { compiledOnce } from "../compiled.ts";

/**
 * The program that watches one sandbox: it waits until
 * bubblewrap stands before its gate, enters the sandbox's mount namespace, and
 * says what is opened there until its stdin closes.
 *
 *     reads-watcher PID GATE [EXCEPT…]
 *
 * As root it marks mounts by fanotify(7), and mounts are a sandbox's own: two builds over one
 * shared root do not mix. A file that was seen once is ignored from then on, by
 * a mark on its inode in this group alone, so that the thousands of opens of
 * one header cost nothing; files with several names are not, as each name counts.
 *
 * As an ordinary user the kernel lets nobody mark mounts, so that each folder is
 * watched by inotify(7) instead; folders in FUSE are in any case. Those watches are of inodes: in an overlay and
 * in copies they are this build's own, and in a folder of the machine that is
 * only shown, others who open a file at the same time are seen, too.
 *
 * On stdout are records, each ended by NUL: a letter and a text.
 *     m PATH   this mount is watched       f PATH TAB REASON   this place cannot be
 *     s PATH   others are seen here, too   i                   programs are not told apart
 *     r        ready: the build may begin  ! REASON            nothing is watched
 *     o PATH   opened                      x PATH              executed
 *     ? REASON something was lost          e                   the end, all said
 */
const SOURCE = `#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET_OWNER _IO(0xb7, 1)
#define GET_PARENT _IO(0xb7, 2)
#ifndef FAN_OPEN_EXEC
#define FAN_OPEN_EXEC 0x1000
#endif
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x200
#endif
#define NAMES (1 << 16)

static int self, group = -1, notes = -1;
static char **except;
static char path[8192];

static void say(char kind, const char *text) { putchar(kind); fputs(text, stdout); putchar(0); }
static void lost(const char *what) { char text[512]; snprintf(text, sizeof text, "%s: %s", what, strerror(errno)); say('?', text); }
static void fail(const char *what) { char text[512]; snprintf(text, sizeof text, "%s: %s", what, strerror(errno)); say('!', text); fflush(stdout); _exit(1); }

/* bubblewrap reads from its gate when all mounts are made, and not before. */
static void wait_for_gate(const char *pid, long gate) {
  char text[256];
  snprintf(path, sizeof path, "/proc/%s/syscall", pid);
  for (int tries = 0; tries < 40000; tries++) {
    long number;
    unsigned long first;
    FILE *file = fopen(path, "re");
    if (file == 0) fail("cannot look at the sandbox");
    int got = fgets(text, sizeof text, file) != 0 && sscanf(text, "%ld %lx", &number, &first) == 2;
    fclose(file);
    if (got && number == SYS_read && (long)first == gate) return;
    usleep(250);
  }
  errno = ETIMEDOUT;
  fail("the sandbox does not come to its gate");
}

static int same(int a, int b) {
  struct stat x, y;
  return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* The outermost user namespace below our own that the mounts belong to. */
static int outermost(int mounts) {
  int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), at = ioctl(mounts, GET_OWNER);
  if (at < 0) fail("cannot find the sandbox's user namespace");
  if (same(at, own)) return -1;
  for (int parent = ioctl(at, GET_PARENT); parent >= 0 && !same(parent, own); parent = ioctl(at, GET_PARENT)) at = parent;
  return at;
}

/* No mount namespace can be made below the build's user namespace from now on: in one, our marks would not count. */
static void seal(const char *pid) {
  int status, own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), file, user;
  snprintf(path, sizeof path, "/proc/%s/ns/user", pid);
  user = open(path, O_RDONLY | O_CLOEXEC);
  if (user >= 0 && same(user, own)) return;
  pid_t child = fork();
  if (child == 0) {
    if (user < 0 || setns(user, CLONE_NEWUSER) != 0) _exit(1);
    file = open("/proc/sys/user/max_mnt_namespaces", O_WRONLY);
    _exit(file >= 0 && write(file, "0", 1) == 1 ? 0 : 1);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) say('?', "a mount namespace of the build's own would not be watched");
}

static void unescape(char *text) {
  char *to = text;
  for (; *text != 0; text++, to++) {
    if (*text == 92 && text[1] >= '0' && text[1] <= '3') {
      *to = (text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0';
      text += 3;
    } else *to = *text;
  }
  *to = 0;
}

static int below(const char *where, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(where, folder, length) == 0 && (where[length] == 0 || where[length] == '/');
}

static int skipped(const char *where) {
  for (char **one = except; *one != 0; one++) if (below(where, *one)) return 1;
  return 0;
}

static void cannot(const char *where) {
  static char text[sizeof path + 256];
  snprintf(text, sizeof text, "%s\\t%s", where, strerror(errno));
  say('f', text);
}

/* Does this for every mount that counts. */
static void each_mount(void (*at_mount)(const char *where, const char *options, const char *type)) {
  static char line[16384], where[8192], options[512], type[128];
  int file = openat(self, "mountinfo", O_RDONLY | O_CLOEXEC);
  FILE *table = file < 0 ? 0 : fdopen(file, "r");
  if (table == 0) fail("cannot read the sandbox's mounts");
  while (fgets(line, sizeof line, table) != 0) {
    char *dash = strstr(line, " - ");
    if (dash == 0 || sscanf(line, "%*d %*d %*s %*s %8191s %511s", where, options) != 2 || sscanf(dash, " - %127s", type) != 1) {
      errno = EINVAL;
      fail("cannot read the sandbox's mounts");
    }
    unescape(where);
    if (!skipped(where)) at_mount(where, options, type);
  }
  fclose(table);
}

static uint64_t hash(const void *bytes, size_t length, uint64_t sum) {
  for (const unsigned char *at = bytes; length > 0; length--) sum = (sum ^ *at++) * 0x100000001b3ull;
  return sum;
}

/* A small memory of what was said, so that the same is not said in a row. */
static int is_new(const void *bytes, size_t length, uint64_t kind) {
  static uint64_t said[NAMES];
  uint64_t sum = hash(bytes, length, 0xcbf29ce484222325ull ^ kind << 56) | 1;
  uint64_t *place = &said[(sum >> 20) % NAMES];
  if (*place == sum) return 0;
  *place = sum;
  return 1;
}

/* Such marks let the kernel forget an inode, from Linux 5.19 on; older ones hold it in memory. */
static void ignore(int file, unsigned long mask) {
  static unsigned evictable = FAN_MARK_EVICTABLE;
  unsigned how = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY;
  if (fanotify_mark(group, how | evictable, mask, file, 0) == 0) return;
  if (errno != EINVAL || evictable == 0) return;
  evictable = 0;
  ignore(file, mask);
}

static void opened(struct fanotify_event_metadata *event, char kind) {
  static const char gone[] = " (deleted)";
  char name[32];
  struct stat stats, there;
  snprintf(name, sizeof name, "fd/%d", event->fd);
  ssize_t length = readlinkat(self, name, path, sizeof path - 1);
  if (length < 0 || fstat(event->fd, &stats) != 0) { lost("a file that was opened has no path"); close(event->fd); return; }
  path[length] = 0;
  if ((size_t)length > sizeof gone && strcmp(path + length - sizeof gone + 1, gone) == 0 && lstat(path, &there) != 0) path[length -= sizeof gone - 1] = 0;
  if (is_new(path, length, kind)) say(kind, path);
  if (stats.st_nlink == 1) ignore(event->fd, kind == 'x' ? FAN_OPEN | FAN_OPEN_EXEC : FAN_OPEN);
  close(event->fd);
}

/* Whose inodes nobody else opens: what the build writes to is its own copy, and these are mounted for it. */
static void tell_shared(const char *where, const char *options, const char *type) {
  int own = !strncmp(options, "rw", 2) || !strcmp(type, "overlay") || !strcmp(type, "tmpfs") || !strncmp(type, "fuse", 4);
  say(own ? 'm' : 's', where);
}

/* The folder of each inotify watch, by its number: they count from 1. */
static char **folders;
static int many;

static void watch(const char *at, int is_folder) {
  int number = inotify_add_watch(notes, at, is_folder ? IN_OPEN | IN_ONLYDIR | IN_DONT_FOLLOW : IN_OPEN | IN_DONT_FOLLOW);
  if (number < 0) {
    if (errno != EACCES || access(at, X_OK) == 0) cannot(at);
    return;
  }
  if (number >= many) {
    int more = number + 4096;
    folders = realloc(folders, more * sizeof *folders);
    if (folders == 0) fail("no memory");
    memset(folders + many, 0, (more - many) * sizeof *folders);
    many = more;
  }
  if (folders[number] == 0) folders[number] = strdup(at);
}

static void watch_below(char *at) {
  size_t length = strlen(at);
  struct stat stats;
  if (length > 0 && skipped(at)) return;
  watch(length == 0 ? "/" : at, 1);
  struct dirent **entries;
  int entry_count = scandir(length == 0 ? "/" : at, &entries, 0, alphasort);
  if (entry_count < 0) {
    if (errno != EACCES) cannot(at);
    return;
  }
  for (int index = 0; index < entry_count; free(entries[index++])) {
    const char *name = entries[index]->d_name;
    int type = entries[index]->d_type;
    if (!strcmp(name, ".") || !strcmp(name, "..") || (type != DT_DIR && type != DT_UNKNOWN)) continue;
    if (length + strlen(name) + 2 > 4096) { errno = ENAMETOOLONG; cannot(at); continue; }
    at[length] = '/';
    strcpy(at + length + 1, name);
    if (type == DT_DIR || (lstat(at, &stats) == 0 && S_ISDIR(stats.st_mode))) watch_below(at);
    at[length] = 0;
  }
  free(entries);
}

static void mark(const char *where, const char *options, const char *type) {
  if (!strncmp(type, "fuse", 4)) {
    /* What was removed cannot be opened any more to ask for its path, and opening asks the daemon. */
    strcpy(path, strcmp(where, "/") ? where : "");
    watch_below(path);
    say('m', where);
  } else if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_OPEN_EXEC, AT_FDCWD, where) == 0) say('m', where);
  else cannot(where);
}

/* A file that is a mount of its own is not what its folder has by that name. */
static void watch_file(const char *where, const char *options, const char *type) {
  struct stat stats;
  if (lstat(where, &stats) == 0 && S_ISREG(stats.st_mode)) watch(where, 0);
}

static int take_notes(void) {
  static char room[65536] __attribute__((aligned(8))), text[sizeof path + 512];
  ssize_t length = read(notes, room, sizeof room);
  if (length < 0 && errno == EAGAIN) return 0;
  if (length < 0 && errno == EINTR) return 1;
  if (length <= 0) { lost("an event could not be read"); return 0; }
  for (char *next = room; next < room + length;) {
    struct inotify_event *event = (void *)next;
    next += sizeof *event + event->len;
    if (event->mask & IN_Q_OVERFLOW) say('?', "files were opened faster than they could be noted");
    if (!(event->mask & IN_OPEN) || event->mask & IN_ISDIR || event->wd >= many || folders[event->wd] == 0) continue;
    const char *folder = folders[event->wd];
    if (event->len > 0) snprintf(text, sizeof text, "%s/%s", strcmp(folder, "/") ? folder : "", event->name);
    else snprintf(text, sizeof text, "%s", folder);
    if (is_new(text, strlen(text), 'o')) say('o', text);
  }
  return 1;
}

/* Takes what is queued; false when nothing is. Few events at a time: each may bring a descriptor. */
static int take_marks(void) {
  static char room[6144] __attribute__((aligned(8)));
  struct pollfd waiting = {group, POLLIN, 0};
  if (poll(&waiting, 1, 0) < 1 || !(waiting.revents & POLLIN)) return 0;
  /* There is one: EAGAIN comes from the file that it is about, which somebody holds a lease on. */
  ssize_t length = read(group, room, sizeof room);
  if (length < 0 && errno != EINTR) lost("a file that was opened could not be looked at");
  for (struct fanotify_event_metadata *event = (void *)room; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) {
    char kind = event->mask & FAN_OPEN_EXEC ? 'x' : 'o';
    if (event->mask & FAN_Q_OVERFLOW) say('?', "files were opened faster than they could be noted");
    else opened(event, kind);
  }
  return 1;
}

int main(int count, char **at) {
  if (count < 3) return 2;
  except = at + 3;
  wait_for_gate(at[1], atol(at[2]));
  self = open("/proc/self", O_PATH | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", at[1]);
  int mounts = open(path, O_RDONLY | O_CLOEXEC);
  if (self < 0 || mounts < 0) fail("cannot open the sandbox's mounts");
  group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS, O_RDONLY | O_NONBLOCK | O_NOATIME | O_LARGEFILE | O_CLOEXEC);
  notes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (notes < 0) fail("inotify");
  if (group >= 0) seal(at[1]);
  else {
    int user = outermost(mounts);
    if (user >= 0 && setns(user, CLONE_NEWUSER) != 0) fail("cannot enter the sandbox's user namespace");
  }
  if (setns(mounts, CLONE_NEWNS) != 0) fail("cannot enter the sandbox's mounts");
  if (group >= 0) each_mount(mark);
  else {
    each_mount(tell_shared);
    path[0] = 0;
    watch_below(path);
    each_mount(watch_file);
    say('i', "");
  }
  setpriority(PRIO_PROCESS, 0, -10);
  say('r', "");
  fflush(stdout);
  for (int ending = 0; !ending;) {
    struct pollfd waiting[3] = {{0, POLLIN, 0}, {notes, POLLIN, 0}, {group, POLLIN, 0}};
    if (poll(waiting, 3, -1) < 0 && errno != EINTR) fail("poll");
    ending = waiting[0].revents != 0;
    /* Names do not change while they wait, and each time that we wake costs the build more than an event does. */
    if (!ending && !waiting[2].revents) usleep(20000);
    while (take_notes() | (group >= 0 && take_marks()));
    fflush(stdout);
  }
  say('e', "");
  fflush(stdout);
  _exit(0);
}
`;

/** The compiled program, made once a machine; undefined where there is no C compiler. */
export function watcherProgram(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "reads-watcher",
    source: SOURCE,
    options: ["-O2", "-w"],
    works: async (program) => (await run(program, [], { timeoutMilliseconds: 5000 })).exitCode === 2,
  });
}
