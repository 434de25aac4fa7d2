import { run } from "../child.ts";
import { compiledOnce } from "../compiled.ts";

/** Descriptor of the starter by which it is told what to start, and tells what became of it. */
export const CONTROL_FD = 3;

/** No request is longer: bubblewrap's arguments, and small files that it copies. */
export const MAX_REQUEST: number = 64 << 20;

/** First byte of what the starter says. */
export const SAID = { started: 1, ended: 2 } as const;

/**
 * Starts chains of programs for us. To fork a process takes as long as its
 * memory is large (a Node that has read a lockfile: 14 ms, most of what a
 * sandbox costs); this one is small. Little-endian; a request is
 *
 *     u32 bytes that follow   u32 number of the run   u32 variables   u32 arguments   u32 files
 *     then byte strings (u32 length, bytes): socket, output, gate, variables, arguments, files
 *
 * The child leads a process group, without a terminal; it has output (a named pipe)
 * as 1 and 2, gate (likewise) as 5, its files from 6 on, and as 3 and 4 its
 * connections to the socket, which begin with the number of the run and that
 * of the descriptor. Said in return, by run: u8 1, u32 run, i32 process (or
 * minus errno); u8 2, u32 run, i32 status as waitpid(2) has it. It ends when
 * who told it is gone, and bubblewrap's --die-with-parent with it.
 */
const SOURCE = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL ${CONTROL_FD}
#define MAX_REQUEST ${MAX_REQUEST}u
#define MAX_RUNS 4096

static struct { pid_t pid; uint32_t run; } runs[MAX_RUNS];
static int run_count;

/* Above what the child will have: from here on descriptors are its own, until it becomes another program. */
static int above;

static int read_all(void *to, size_t length) {
  for (char *at = to; length > 0;) {
    ssize_t got = read(CONTROL, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    at += got, length -= got;
  }
  return 1;
}

static void say(uint8_t what, uint32_t run, int32_t value) {
  char said[9];
  said[0] = what;
  memcpy(said + 1, &run, 4), memcpy(said + 5, &value, 4);
  for (size_t at = 0; at < sizeof said;) {
    ssize_t wrote = write(CONTROL, said + at, sizeof said - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) _exit(0);
    at += wrote;
  }
}

/* One request, as it is read from front to back. */
static char *at, *limit;

static uint32_t number(void) {
  uint32_t value;
  if (limit - at < 4) _exit(2);
  memcpy(&value, at, 4);
  at += 4;
  return value;
}

/* Strings are moved back by a byte, over their length, so that each can end with NUL. */
static char *bytes(uint32_t *length) {
  uint32_t size = number();
  if (size > (size_t)(limit - at)) _exit(2);
  char *from = at, *text = at - 1;
  memmove(text, from, size);
  text[size] = 0;
  at += size;
  if (length != 0) *length = size;
  return text;
}

static void fail(const char *what, const char *about) {
  dprintf(2, "starter: %s %s: %s\\n", what, about, strerror(errno));
  _exit(125);
}

static int high(int file) {
  int moved = fcntl(file, F_DUPFD_CLOEXEC, above);
  if (moved < 0) fail("cannot keep", "a descriptor");
  close(file);
  return moved;
}

/* By the starter itself, so that who told it waits for no connection of a child that has failed. */
static int connected(const char *path, uint32_t run, uint8_t which) {
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  char hello[5];
  if (strlen(path) >= sizeof to.sun_path) return errno = ENAMETOOLONG, -1;
  strcpy(to.sun_path, path);
  int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return -1;
  memcpy(hello, &run, 4), hello[4] = which;
  if (connect(file, (struct sockaddr *)&to, sizeof to) == 0 && write(file, hello, sizeof hello) == sizeof hello) return file;
  int why = errno;
  close(file);
  errno = why;
  return -1;
}

static int opened(const char *path, int how) {
  int file = open(path, how | O_CLOEXEC);
  if (file < 0) fail("cannot open", path);
  return high(file);
}

static int filled(const char *content, uint32_t length) {
  int file = memfd_create("file", MFD_CLOEXEC);
  if (file < 0) fail("cannot make", "a file in memory");
  for (uint32_t done = 0; done < length;) {
    ssize_t wrote = write(file, content + done, length - done);
    if (wrote <= 0) fail("cannot fill", "a file in memory");
    done += wrote;
  }
  lseek(file, 0, SEEK_SET);
  return high(file);
}

static void become(int status, int life, int output, uint32_t variables, uint32_t arguments, uint32_t files) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, 0);
  for (int which = 1; which < NSIG; which++) signal(which, SIG_DFL);
  setpgid(0, 0);
  above = 16 + files;
  status = high(status), life = high(life), output = high(output);
  dup2(output, 1), dup2(output, 2);
  char *gate_path = bytes(0);
  char **environment = calloc(variables + 1, sizeof *environment), **command = calloc(arguments + 1, sizeof *command);
  int *held = calloc(files + 1, sizeof *held);
  if (environment == 0 || command == 0 || held == 0) fail("cannot keep", "the request");
  for (uint32_t one = 0; one < variables; one++) environment[one] = bytes(0);
  for (uint32_t one = 0; one < arguments; one++) command[one] = bytes(0);
  for (uint32_t one = 0, length; one < files; one++) { char *content = bytes(&length); held[one] = filled(content, length); }
  int gate = opened(gate_path, O_RDWR), null = opened("/dev/null", O_RDONLY);
  dup2(null, 0), dup2(status, 3), dup2(life, 4), dup2(gate, 5);
  for (uint32_t one = 0; one < files; one++) dup2(held[one], 6 + one);
  if (chdir("/") != 0) fail("cannot go to", "/");
  environ = environment;
  execvp(command[0], command);
  fail("cannot start", command[0]);
}

static int serve(void) {
  uint32_t size;
  if (!read_all(&size, 4)) return 0;
  if (size < 16 || size > MAX_REQUEST) return 0;
  char *request = malloc(size + 1);
  if (request == 0 || !read_all(request, size)) return 0;
  at = request, limit = request + size;
  uint32_t run = number(), variables = number(), arguments = number(), files = number();
  if (variables > size || arguments > size || files > 500 || arguments == 0) return 0;
  const char *socket_path = bytes(0), *output_path = bytes(0);
  pid_t child = -1;
  /* Before we say that it has started, lest who reads the output see its end. */
  int output = open(output_path, O_WRONLY | O_CLOEXEC);
  int status = output < 0 ? -1 : connected(socket_path, run, 3), life = status < 0 ? -1 : connected(socket_path, run, 4);
  if (life >= 0) child = run_count < MAX_RUNS ? fork() : (errno = EAGAIN, -1);
  if (child == 0) become(status, life, output, variables, arguments, files);
  int why = errno;
  /* By both: who told us may end the group as soon as it knows of it, and it must be there by then. */
  if (child > 0) setpgid(child, child);
  if (child > 0) runs[run_count].pid = child, runs[run_count].run = run, run_count++;
  if (status >= 0) close(status);
  if (life >= 0) close(life);
  if (output >= 0) close(output);
  free(request);
  say(${SAID.started}, run, child < 0 ? -why : child);
  return 1;
}

static void reap(int signals) {
  struct signalfd_siginfo about;
  int status;
  if (read(signals, &about, sizeof about) < 0 && errno != EAGAIN) return;
  for (pid_t child; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (int one = 0; one < run_count; one++) {
      if (runs[one].pid != child) continue;
      say(${SAID.ended}, runs[one].run, status);
      runs[one] = runs[--run_count];
      break;
    }
  }
}

int main(int count, char **arguments) {
  if (count > 1) return 2;
  sigset_t child_ends;
  sigemptyset(&child_ends);
  sigaddset(&child_ends, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_ends, 0);
  /* A terminal's interrupt is for who told us, who then ends what runs. */
  setsid();
  signal(SIGPIPE, SIG_IGN);
  int signals = signalfd(-1, &child_ends, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0 || fcntl(CONTROL, F_SETFD, FD_CLOEXEC) != 0) return 2;
  struct pollfd files[] = { { CONTROL, POLLIN, 0 }, { signals, POLLIN, 0 } };
  for (;;) {
    if (poll(files, 2, -1) < 0 && errno != EINTR) return 1;
    if (files[1].revents != 0) reap(signals);
    if (files[0].revents != 0 && !serve()) return 0;
  }
}
`;

/** The compiled program, made once a machine; undefined where there is no C compiler. */
export function starterProgram(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "starter",
    source: SOURCE,
    options: ["-O2", "-w"],
    wished: ["-static"],
    works: async (program) => (await run(program, ["try"])).exitCode === 2,
  });
}
