import { spawn } from "node:child_process";
import { compiledOnce } from "../compiled.ts";
import { run } from "../child.ts";

/**
 * Reads the number of a process, enters the process namespace that its
 * children are born into, and has that namespace count on from the number
 * given: what is born next gets it. An ordinary user first enters the user
 * namespace that owns the process namespace (ioctl_ns(2), NS_GET_USERNS): he
 * made it, and has every capability there.
 */
const SOURCE = `#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_GET_USERNS 0xb701

static int fail(const char *what) {
  perror(what);
  return 1;
}

int main(int count, char **arguments) {
  char text[64] = "", path[96];
  int status = 0, length = 0, got;
  if (count != 2) return 2;
  while (length < 20 && (got = read(0, text + length, 20 - length)) > 0) length += got;
  if (atoi(text) <= 0) return 2;
  snprintf(path, sizeof path, "/proc/%d/ns/pid_for_children", atoi(text));
  int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0) return fail(path);
  if (setns(space, CLONE_NEWPID) != 0) {
    int owner = ioctl(space, NS_GET_USERNS);
    if (owner < 0 || setns(owner, CLONE_NEWUSER) != 0) return fail("user namespace");
    if (setns(space, CLONE_NEWPID) != 0) return fail("process namespace");
  }
  pid_t child = fork();
  if (child < 0) return fail("fork");
  if (child == 0) {
    int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    snprintf(text, sizeof text, "%ld", atol(arguments[1]) - 1);
    _exit(file < 0 || write(file, text, strlen(text)) < 0 ? fail("ns_last_pid") : 0);
  }
  if (waitpid(child, &status, 0) != child) return fail("wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
`;

/** The compiled program, made once a machine; undefined where there is no C compiler. */
export function firstPidProgram(cache: string): Promise<string | undefined> {
  return compiledOnce(cache, {
    name: "first-pid",
    source: SOURCE,
    options: ["-O2", "-w"],
    wished: ["-static"],
    works: async (program) => (await run(program, [])).exitCode === 2,
  });
}

/**
 * Starts the program before it is known whose namespace is meant, so that its
 * start costs the build nothing. `of` then tells it, and answers whether it
 * did its work; `end` leaves it undone.
 */
export function countingFrom(
  program: string,
  first: number,
): { of: (pid: number) => Promise<boolean>; end: () => void } {
  const child = spawn(program, [String(first)], { cwd: "/", env: {}, stdio: ["pipe", "ignore", "ignore"] });
  const done = new Promise<boolean>((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", (code) => resolve(code === 0));
  });
  child.stdin.on("error", () => undefined);
  return {
    of: (pid) => {
      child.stdin.end(`${pid}\n`);
      return done;
    },
    end: () => child.stdin.end(),
  };
}
