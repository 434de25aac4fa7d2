/**
 * A program is about to begin: C, a part of `notifications.ts`. It is told to
 * the trace, held up for a while (`schedule`), or, where its start must be
 * rewritten, stopped once more by ptrace(2) at the end of execve, when its new
 * stack lies ready and nothing of it has run. It is held up at that stop where
 * there can be one: who started it by vfork(2) goes on from there, and may start
 * the next.
 *
 * That stop: PTRACE_SEIZE and PTRACE_INTERRUPT while the caller waits for our
 * answer. A successful execve then stops at its end; one that failed stops on
 * its way back. Either way there is one stop, at which we let go of it. This
 * needs a kernel on which nothing but death takes a caller out of its wait
 * (Linux 5.19); elsewhere it is not tried, and that is told.
 */
export const EXEC_NOTIFICATIONS = `
#define LONGEST_PAUSE 20000

static int killable;
static unsigned long refused, held_up;
static int refused_because;
static uint64_t schedule;

static void step_aside(void);

struct line { int many, cut; size_t used; char text[ARGUMENT_BYTES]; };

/* The arguments of a program that begins, bounded. A number of errno.h when they cannot be read. */
static long read_line(const struct seccomp_notif *call, uint64_t at, struct line *to) {
  size_t word = narrow(&call->data) ? 4 : 8;
  to->many = to->cut = to->used = 0;
  for (;;) {
    unsigned char pointers[512];
    long got = at ? read_from(call->pid, at, pointers, sizeof pointers) : 0;
    if (got < 0) return got;
    if (got < (long)word) return 0;
    for (size_t next = 0; next + word <= (size_t)got; next += word, at += word) {
      uint64_t pointer = 0;
      if (word == 4) pointer = *(uint32_t *)(pointers + next);
      else memcpy(&pointer, pointers + next, 8);
      if (pointer == 0) return 0;
      size_t room = sizeof to->text - to->used;
      long many = to->many >= ARGUMENTS || room < 2 ? -ENAMETOOLONG : text_from(call->pid, pointer, to->text + to->used, room - 1);
      if (many == -ENAMETOOLONG) return to->cut = 1, 0;
      if (many < 0) return many;
      to->text[to->used + many] = 0;
      to->used += many + 1, to->many++;
    }
  }
}

/* What it would execute by a descriptor of its own. */
static int opened_of(const struct seen *who, int fd) {
  char name[32];
  snprintf(name, sizeof name, "fd/%d", fd);
  return openat(who->folder, name, O_PATH | O_CLOEXEC);
}

static void pause_for(useconds_t pause) {
  if (pause) usleep(pause);
}

/*
 * Lets the call go on and stops the program at its first instruction, for a
 * \`pause\` of microseconds; \`rewrite\`, if there is one, is given its process.
 */
static void stop_at_start(const struct seccomp_notif *call, void (*rewrite)(pid_t, uint64_t), uint64_t key, useconds_t pause) {
  int status;
  if (!killable) errno = ENOSYS;
  if (!killable || ptrace(PTRACE_SEIZE, call->pid, 0, PTRACE_O_TRACEEXEC) != 0) {
    int why = errno;
    pause_for(pause);
    if (rewrite && valid(call)) refused_because = why, __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
    let_on(call);
    return;
  }
  ptrace(PTRACE_INTERRUPT, call->pid, 0, 0);
  let_on(call);
  for (;;) {
    /* Not by its number: a thread that is not the first takes the first one's. */
    pid_t stopped = waitpid(-1, &status, __WALL | __WNOTHREAD);
    if (stopped < 0 && errno == EINTR) continue;
    if (stopped < 0 || !WIFSTOPPED(status)) return;
    int event = status >> 16, signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_EXEC && rewrite) rewrite(stopped, key);
    if (event == PTRACE_EVENT_EXEC) pause_for(pause);
    ptrace(PTRACE_DETACH, stopped, 0, (void *)(uintptr_t)(event == 0 ? signal : 0));
    return;
  }
}

/* The words behind a program's environment: what the kernel tells it at its start. */
static void rewrite_start(pid_t process, uint64_t key) {
  uint64_t fields[29] = { 0 };
  unsigned char words[4096], head[5] = { 0 };
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/exe", process);
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file >= 0) pread(file, head, sizeof head, 0), close(file);
  size_t word = head[4] == 1 ? 4 : 8;
  if (stat_of(process, fields, 28) != 0 || fields[28] == 0) return;
  uint64_t at = fields[28] + word, first = 0;
  if (all_from(process, fields[28], &first, word) != 0) return;
  at += (first + 1) * word;
  for (int behind = 0; at - fields[28] < 64u << 20;) {
    long got = read_from(process, at, words, sizeof words);
    if (got < (long)(2 * word)) return;
    for (size_t next = 0; next + 2 * word <= (size_t)got;) {
      uint64_t name = 0, value = 0;
      memcpy(&name, words + next, word);
      if (!behind) { behind = name == 0, next += word, at += word; continue; }
      memcpy(&value, words + next + word, word);
      if (name == 0) return;
      rewrite_word(process, at, word, name, value, key);
      next += 2 * word, at += 2 * word;
    }
  }
}

/* Whether the call goes on by itself: a program that is stopped at its start was let on already. */
static int exec_call(const struct seccomp_notif *call, enum call which) {
  const __u64 *given = call->data.args;
  static __thread struct line *line;
  char said[4096], path[PATH], folder[4096] = "/";
  const struct seen *who = look_at(call->pid);
  if (!line) line = malloc(sizeof *line);
  int at = which == EXECVEAT ? (int)given[0] : AT_FDCWD, own;
  uint64_t name = which == EXECVEAT ? given[1] : given[0], arguments = which == EXECVEAT ? given[2] : given[1];
  long got = who && line ? text_from(call->pid, name, said, sizeof said) : -ESRCH;
  int program = -1, nameless = got == 0 && which == EXECVEAT && (given[4] & AT_EMPTY_PATH);
  if (got > 0 || nameless) program = nameless ? opened_of(who, at) : placed(who, at, said, path, sizeof path) == 0 ? program_of(who, path) : -1;
  if (program >= 0) got = read_line(call, arguments, line);
  int counts_for = valid(call);
  if (counts_for && (got == -EPERM || got == -ESRCH)) doubt(&unseen);
  if (!counts_for || program < 0 || got < 0 || chain > 0) {
    if (program >= 0) close(program);
    if (counts_for && program >= 0 && got >= 0) chain--;
    return 1;
  }
  __atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
  pthread_mutex_lock(&family);
  struct process before = before_now(who, &own);
  uint64_t key = child_key(before.key, print_of(line->text, line->used));
  folder_of(who, "cwd", folder, sizeof folder);
  if (line->cut) doubt(&cut);
  uint32_t id = trace < 0 ? 0 : tell_program(before.id, folder, line->many, line->text, line->used);
  put_process(who, id, key);
  pthread_mutex_unlock(&family);
  int stops = starts_otherwise(who, program);
  close(program);
  if (!stops && !schedule) return 1;
  useconds_t pause = schedule ? joined(schedule, __atomic_fetch_add(&held_up, 1, __ATOMIC_RELAXED)) % LONGEST_PAUSE : 0;
  step_aside();
  stop_at_start(call, stops ? rewrite_start : 0, key, pause);
  return 0;
}
`;
