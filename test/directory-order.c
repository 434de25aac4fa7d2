/* What directory-order.test.ts asks of directories, by the kernel's calls, in a static program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void wrong(const char *what, long at) { printf("WRONG %s %ld errno %d\n", what, at, errno); exit(1); }

enum way { LONG, OLD, INT80_LONG, INT80_OLD };

static long by_int80(long number, long fd, void *to, long room) {
#ifdef __x86_64__
  long back;
  __asm__ volatile("int $0x80" : "=a"(back) : "a"(number), "b"(fd), "c"(to), "d"(room) : "memory", "r8", "r9", "r10", "r11");
  if (back < 0 && back > -4096) { errno = -back; return -1; }
  return back;
#else
  errno = ENOSYS;
  return -1;
#endif
}

static long entries(enum way way, int fd, void *to, size_t room) {
  if (way == INT80_LONG || way == INT80_OLD) return by_int80(way == INT80_LONG ? 220 : 141, fd, to, room);
#ifdef SYS_getdents
  if (way == OLD) return syscall(SYS_getdents, fd, to, room);
#endif
  return syscall(SYS_getdents64, fd, to, room);
}

static int open_at(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) wrong("open", 0);
  return fd;
}

/* Prints the names of one answer; says whether numbers and types are what they should be. */
static long show(enum way way, const char *from, long filled, long expected, FILE *to) {
  for (long at = 0; at < filled; expected++) {
    long off; uint16_t reclen; unsigned type; const char *name;
    if (way == INT80_OLD) off = *(int32_t *)(from + at + 4), reclen = *(uint16_t *)(from + at + 8), name = from + at + 10, type = from[at + reclen - 1];
    else if (way == OLD) off = *(long *)(from + at + 8), reclen = *(uint16_t *)(from + at + 16), name = from + at + 18, type = from[at + reclen - 1];
    else off = *(int64_t *)(from + at + 8), reclen = *(uint16_t *)(from + at + 16), name = from + at + 19, type = from[at + 18];
    if (off != expected + 1) wrong("d_off", off);
    if (reclen % (way == INT80_OLD ? 4 : 8) != 0) wrong("d_reclen", reclen);
    if (type != DT_REG && type != DT_DIR && type != DT_LNK && type != DT_UNKNOWN) wrong("d_type", type);
    if (to) fprintf(to, "%s%c", name, 0);
    at += reclen;
  }
  return expected;
}

static long list(enum way way, int fd, size_t room, FILE *to) {
  char *buffer = mmap(0, room + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (way >= INT80_LONG ? MAP_32BIT : 0), -1, 0);
  long many = 0, got;
  while ((got = entries(way, fd, buffer, room)) > 0) many = show(way, buffer, got, many, to);
  if (got < 0) wrong("list", many);
  munmap(buffer, room + 1);
  return many;
}

static void positions(const char *path) {
  char buffer[512];
  int fd = open_at(path), copy = dup(fd), status;
  long all = list(LONG, fd, 4096, 0);
  if (lseek(fd, 0, SEEK_CUR) != all) wrong("position at the end", lseek(fd, 0, SEEK_CUR));
  if (entries(LONG, copy, buffer, sizeof buffer) != 0) wrong("end", 0);
  lseek(copy, 0, SEEK_SET);
  long got = entries(LONG, fd, buffer, sizeof buffer), at = show(LONG, buffer, got, 0, 0);
  /* A child goes on where we stand, and we where it stands. */
  if (fork() == 0) {
    got = entries(LONG, copy, buffer, sizeof buffer);
    show(LONG, buffer, got, at, 0);
    _exit(0);
  }
  wait(&status);
  if (status != 0) exit(1);
  long now = lseek(fd, 0, SEEK_CUR);
  if (now <= at) wrong("position after a child read", now);
  got = entries(LONG, fd, buffer, sizeof buffer);
  show(LONG, buffer, got, now, 0);
  DIR *dir = opendir(path);
  char third[256];
  long where[4];
  for (int n = 0; n < 4; n++) where[n] = telldir(dir), snprintf(third, sizeof third, "%s", readdir(dir)->d_name);
  while (readdir(dir));
  seekdir(dir, where[3]);
  if (strcmp(readdir(dir)->d_name, third) != 0) wrong("seekdir", where[3]);
  rewinddir(dir);
  for (int n = 0; n < 4; n++) if (n == 3 ? strcmp(readdir(dir)->d_name, third) : !readdir(dir)) wrong("rewinddir", n);
  lseek(fd, 1 << 30, SEEK_SET);
  if (entries(LONG, fd, buffer, sizeof buffer) != 0) wrong("beyond the end", 0);
}

static void expect(const char *what, long value, int why) { if (value != -1 || errno != why) wrong(what, value); }

static void errors(const char *path) {
  char buffer[4096], sub[4096];
  int fd = open_at(path);
  expect("closed", entries(LONG, 999, buffer, sizeof buffer), EBADF);
  expect("negative", entries(LONG, -1, buffer, sizeof buffer), EBADF);
  expect("O_PATH", entries(LONG, open(path, O_PATH), buffer, sizeof buffer), EBADF);
  int file = open("/proc/self/exe", O_RDONLY);
  lseek(file, 7, SEEK_SET);
  expect("file", entries(LONG, file, buffer, sizeof buffer), ENOTDIR);
  if (lseek(file, 0, SEEK_CUR) != 7) wrong("position of a file", 0);
  int pipes[2];
  if (pipe(pipes) == 0) expect("pipe", entries(LONG, pipes[0], buffer, sizeof buffer), ENOTDIR);
  for (size_t room = 0; room < 24; room++) expect("tiny", entries(LONG, fd, buffer, room), EINVAL);
  expect("fault", entries(LONG, fd, (void *)16, 4096), EFAULT);
  expect("fault high", entries(LONG, fd, (void *)-4096, 4096), EFAULT);
  if (lseek(fd, 0, SEEK_CUR) != 0) wrong("position after failing", 0);
  snprintf(sub, sizeof sub, "%s/to-be-removed", path);
  mkdir(sub, 0700);
  int gone = open_at(sub), half = open_at(sub);
  if (entries(LONG, half, buffer, 24) <= 0) wrong("first", 0);
  rmdir(sub);
  expect("removed", entries(LONG, gone, buffer, sizeof buffer), ENOENT);
  expect("removed while read", entries(LONG, half, buffer, sizeof buffer), ENOENT);
}

static void remove_all(const char *path) {
  char buffer[1000];
  int fd = open_at(path);
  long got, many = 0;
  while ((got = entries(LONG, fd, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < got; at += *(uint16_t *)(buffer + at + 16)) many += unlinkat(fd, buffer + at + 19, 0) == 0;
  printf("%ld\n", many);
}

static void create(const char *path, int many) {
  char name[4096];
  for (int n = 0; n < many; n++) {
    snprintf(name, sizeof name, "%s/entry %d", path, (int)(n * 7919L % many));
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file < 0) wrong(name, n);
    close(file);
  }
}

static int shared;
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;
static volatile int over;

static void *read_shared(void *unused) {
  char buffer[300];
  long got;
  while ((got = entries(LONG, shared, buffer, sizeof buffer)) > 0) {
    pthread_mutex_lock(&printing);
    for (long at = 0; at < got; at += *(uint16_t *)(buffer + at + 16)) printf("%s%c", buffer + at + 19, 0);
    pthread_mutex_unlock(&printing);
  }
  if (got < 0) wrong("shared", got);
  return 0;
}

static void *list_often(void *path) {
  for (int n = 0; n < 2; n++) { int fd = open_at(path); list(LONG, fd, 300, 0); close(fd); }
  return 0;
}

static void *swap(void *path) {
  for (unsigned n = 0; !over; n++) {
    close(shared);
    if (open(n % 3 == 0 ? "/proc/self/exe" : n % 3 == 1 ? "/proc/self/fd" : (char *)path, O_RDONLY) != shared) continue;
    lseek(shared, n % 5, SEEK_SET);
  }
  return 0;
}

static void *call_swapped(void *unused) {
  char buffer[512];
  while (!over) entries(LONG, shared, buffer, sizeof buffer);
  return 0;
}

static void threads(int many, void *(*does)(void *), void *with) {
  pthread_t thread[many];
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  for (int n = 0; n < many; n++) if (pthread_create(&thread[n], &small, does, with) != 0) wrong("thread", n);
  for (int n = 0; n < many; n++) pthread_join(thread[n], 0);
}

static void hostile(char *path) {
  pthread_t thread[4];
  shared = open_at(path);
  for (int n = 0; n < 4; n++) pthread_create(&thread[n], 0, n % 2 ? swap : call_swapped, path);
  for (int n = 0; n < 40; n++) {
    pid_t child = fork();
    if (child == 0) for (char buffer[4096];;) entries(LONG, open(path, O_RDONLY), buffer, sizeof buffer), close(99), closefrom(50);
    usleep(10000);
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
  }
  over = 1;
  for (int n = 0; n < 4; n++) pthread_join(thread[n], 0);
}

static volatile long rang;
static void ring(int unused) { rang++; }

/* Signals without SA_RESTART: nothing may be missing, whatever is interrupted. */
static void signals(const char *path) {
  struct sigaction action = { .sa_handler = ring };
  struct itimerval often = { { 0, 500 }, { 0, 500 } };
  sigaction(SIGALRM, &action, 0);
  int fd = open_at(path), interrupted = 0;
  long all = list(LONG, fd, 4096, 0);
  setitimer(ITIMER_REAL, &often, 0);
  for (int round = 0; round < 300; round++) {
    char buffer[700];
    long many = 0, got;
    lseek(fd, 0, SEEK_SET);
    while ((got = entries(LONG, fd, buffer, sizeof buffer)) != 0) {
      if (got < 0 && errno != EINTR) wrong("signals", many);
      if (got < 0) interrupted++;
      else many = show(LONG, buffer, got, many, 0);
    }
    if (many != all) wrong("entries between signals", many);
  }
  fprintf(stderr, "%ld signals, %d interrupted\n", rang, interrupted);
}

int main(int count, char **argument) {
  const char *what = argument[1];
  char *path = argument[2];
  if (!strcmp(what, "list")) list(atoi(argument[3]), open_at(path), atoi(argument[4]), stdout);
  else if (!strcmp(what, "positions")) positions(path);
  else if (!strcmp(what, "errors")) errors(path);
  else if (!strcmp(what, "create")) create(path, atoi(argument[3]));
  else if (!strcmp(what, "remove")) remove_all(path);
  else if (!strcmp(what, "shared")) shared = open_at(path), threads(2, read_shared, 0);
  else if (!strcmp(what, "crowd")) threads(200, list_often, path);
  else if (!strcmp(what, "hostile")) hostile(path), list(LONG, open_at(path), 4096, stdout);
  else if (!strcmp(what, "signals")) signals(path);
  else if (!strcmp(what, "undumpable")) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), list(LONG, open_at(path), 4096, stdout);
  else if (!strcmp(what, "vfork")) {
    int fd = open_at(path), status;
    char buffer[4096];
    /* The child has our memory until it becomes another program. */
    if (vfork() == 0) entries(LONG, fd, buffer, 24), execl("/proc/self/exe", "lists", "list", path, "0", "4096", (char *)0);
    memset(buffer, 7, sizeof buffer);
    wait(&status);
    for (int n = 0; n < sizeof buffer; n++) if (buffer[n] != 7) wrong("memory of the parent", n);
  } else if (!strcmp(what, "readdir80")) expect("old readdir", by_int80(89, open_at(path), mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0), 1), ENOSYS);
  else wrong("no such test", 0);
  return 0;
}
