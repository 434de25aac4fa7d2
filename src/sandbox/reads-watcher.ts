import { run } from "../child.ts";
import { compiledOnce } from "./compiled.ts";

/**
 * The program that watches one sandbox by fanotify(7): it waits until
 * bubblewrap stands before its gate, enters the sandbox's mount namespace,
 * marks the mounts there, and says what is opened until its stdin closes.
 *
 *     reads-watcher PID GATE [EXCEPT…]
 *
 * Marks are of mounts, and mounts are a sandbox's own: two builds over one
 * shared root do not mix. A file that was seen once is ignored from then on, by
 * a mark on its inode in this group alone, so that the thousands of opens of
 * one header cost nothing; files with several names are not, as each name counts.
 *
 * As root, an event brings a descriptor, and the kernel knows its path. In a
 * user namespace (Linux 6.16 and newer, and there only for file systems that
 * were mounted in it: overlays) it brings the folder's handle and a name; the
 * folders are looked through at the end.
 *
 * On stdout are records, each ended by NUL: a letter and a text.
 *     m PATH   this mount is watched       f PATH TAB REASON   it cannot be
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
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET_OWNER _IO(0xb7, 1)
#define GET_PARENT _IO(0xb7, 2)
#ifndef FAN_OPEN_EXEC
#define FAN_OPEN_EXEC 0x1000
#endif
#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME 0xc00
#endif
#define HANDLE_FID 0x200
#define NAMES (1 << 16)
#define PAIRS (1 << 20)

static int self, group, rooted;
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

static void mark_mounts(char **except) {
  static char line[16384], where[8192], type[128];
  static const char *kernels[] = {"proc", "sysfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2", 0};
  int file = openat(self, "mountinfo", O_RDONLY | O_CLOEXEC);
  FILE *table = file < 0 ? 0 : fdopen(file, "r");
  if (table == 0) fail("cannot read the sandbox's mounts");
  while (fgets(line, sizeof line, table) != 0) {
    char *dash = strstr(line, " - ");
    int skip = 0;
    if (dash == 0 || sscanf(line, "%*d %*d %*s %*s %8191s", where) != 1 || sscanf(dash, " - %127s", type) != 1) {
      errno = EINVAL;
      fail("cannot read the sandbox's mounts");
    }
    unescape(where);
    for (int at = 0; kernels[at] != 0; at++) skip |= strcmp(type, kernels[at]) == 0;
    for (char **at = except; *at != 0; at++) skip |= below(where, *at);
    if (skip) continue;
    if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_OPEN_EXEC, AT_FDCWD, where) == 0) say('m', where);
    else { snprintf(line, sizeof line, "%s\\t%s", where, strerror(errno)); say('f', line); }
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
  if (stats.st_nlink == 1 && fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
      kind == 'x' ? FAN_OPEN | FAN_OPEN_EXEC : FAN_OPEN, event->fd, 0) != 0 && errno != ENOSPC) lost("cannot ignore a file");
  close(event->fd);
}

/* In a user namespace: what was opened, as its folder's handle and its name, until the folders are looked through. */
struct pair { struct pair *next; uint64_t folder; char kind, name[]; };
static struct pair **pairs;
static unsigned long many;

static void opened_in(struct fanotify_event_metadata *event, char kind) {
  struct fanotify_event_info_fid *info = (void *)(event + 1);
  struct file_handle *handle = (void *)info->handle;
  if ((char *)info + sizeof *info > (char *)event + event->event_len) { errno = ENOENT; lost("a file that was opened has no name"); return; }
  const char *name = (char *)handle->f_handle + handle->handle_bytes;
  uint64_t folder = hash(handle->f_handle, handle->handle_bytes, hash(&info->fsid, sizeof info->fsid, 0xcbf29ce484222325ull));
  uint64_t sum = hash(name, strlen(name), folder ^ kind);
  struct pair **place = &pairs[sum % PAIRS];
  for (struct pair *at = *place; at != 0; at = at->next) if (at->folder == folder && at->kind == kind && strcmp(at->name, name) == 0) return;
  struct pair *made = many < 2 * PAIRS ? malloc(sizeof *made + strlen(name) + 1) : 0;
  if (made == 0) { errno = ENOMEM; lost("too many files"); return; }
  many++;
  *made = (struct pair){*place, folder, kind};
  strcpy(made->name, name);
  *place = made;
}

/* Folders by their handle. */
static struct folder { struct folder *next; uint64_t mark; char at[]; } *folders[NAMES];

static void note(const char *at) {
  union { struct file_handle handle; char room[sizeof(struct file_handle) + 128]; } got;
  struct statfs system;
  int mount;
  got.handle.handle_bytes = 128;
  if (name_to_handle_at(AT_FDCWD, at, &got.handle, &mount, HANDLE_FID) != 0 || statfs(at, &system) != 0) return;
  uint64_t mark = hash(got.handle.f_handle, got.handle.handle_bytes, hash(&system.f_fsid, sizeof system.f_fsid, 0xcbf29ce484222325ull));
  struct folder *made = malloc(sizeof *made + strlen(at) + 1);
  if (made == 0) return;
  *made = (struct folder){folders[mark % NAMES], mark};
  strcpy(made->at, at);
  folders[mark % NAMES] = made;
}

static void look_through(char *at, char **except) {
  size_t length = strlen(at);
  for (char **one = except; *one != 0; one++) if (below(at, *one)) return;
  if (below(at, "/proc") || below(at, "/sys") || below(at, "/dev")) return;
  note(length == 0 ? "/" : at);
  DIR *folder = opendir(length == 0 ? "/" : at);
  if (folder == 0) return;
  for (struct dirent *entry = readdir(folder); entry != 0; entry = readdir(folder)) {
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    struct stat stats;
    if (length + strlen(entry->d_name) + 2 > sizeof path) continue;
    at[length] = '/';
    strcpy(at + length + 1, entry->d_name);
    if (entry->d_type == DT_DIR || (lstat(at, &stats) == 0 && S_ISDIR(stats.st_mode))) look_through(at, except);
    at[length] = 0;
  }
  closedir(folder);
}

static void name_folders(char **except) {
  static char text[sizeof path + 512];
  unsigned long nowhere = 0;
  if (many == 0) return;
  path[0] = 0;
  look_through(path, except);
  for (long at = 0; at < PAIRS; at++) for (struct pair *pair = pairs[at]; pair != 0; pair = pair->next) {
    struct folder *folder = folders[pair->folder % NAMES];
    while (folder != 0 && folder->mark != pair->folder) folder = folder->next;
    if (folder == 0) { nowhere++; continue; }
    snprintf(text, sizeof text, "%s/%s", strcmp(folder->at, "/") ? folder->at : "", pair->name);
    say(pair->kind, text);
  }
  if (nowhere > 0) { snprintf(text, sizeof text, "%lu files were opened in folders that are no more", nowhere); say('?', text); }
}

/* Takes what is queued; false when nothing is. Few events at a time: each may bring a descriptor. */
static int take(void) {
  static char room[6144] __attribute__((aligned(8)));
  ssize_t length = read(group, room, sizeof room);
  if (length < 0 && errno == EAGAIN) return 0;
  if (length < 0 && errno == EINTR) return 1;
  if (length < 0) { lost("an event could not be read"); return 1; }
  for (struct fanotify_event_metadata *event = (void *)room; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) {
    char kind = event->mask & FAN_OPEN_EXEC ? 'x' : 'o';
    if (event->mask & FAN_Q_OVERFLOW) say('?', "files were opened faster than they could be noted");
    else if (rooted) opened(event, kind);
    else opened_in(event, kind);
  }
  return 1;
}

int main(int count, char **at) {
  if (count < 3) return 2;
  wait_for_gate(at[1], atol(at[2]));
  self = open("/proc/self", O_PATH | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", at[1]);
  int mounts = open(path, O_RDONLY | O_CLOEXEC);
  if (self < 0 || mounts < 0) fail("cannot open the sandbox's mounts");
  seal(at[1]);
  group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS, O_RDONLY | O_NONBLOCK | O_NOATIME | O_LARGEFILE | O_CLOEXEC);
  rooted = group >= 0;
  if (!rooted) {
    int user = outermost(mounts);
    if (user >= 0 && setns(user, CLONE_NEWUSER) != 0) fail("cannot enter the sandbox's user namespace");
    group = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, 0);
    pairs = calloc(PAIRS, sizeof *pairs);
    if (pairs == 0) fail("no memory");
  }
  if (group < 0) fail("fanotify");
  if (setns(mounts, CLONE_NEWNS) != 0) fail("cannot enter the sandbox's mounts");
  mark_mounts(at + 3);
  say('r', "");
  fflush(stdout);
  for (int ending = 0; !ending;) {
    struct pollfd waiting[2] = {{group, POLLIN, 0}, {0, POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) fail("poll");
    ending = waiting[1].revents != 0;
    while (take());
    fflush(stdout);
  }
  if (!rooted) name_folders(at + 3);
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
