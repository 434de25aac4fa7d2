/** So often a process may read a held clock that stands still. */
const FEW_READINGS = 64;

/**
 * The world's wall clock for programs without the preloaded library (static
 * ones, Go): C, a part of `notifications.ts`. Their start is rewritten so that
 * they find no vDSO, whose clock needs no call; then their calls come here.
 * What the library asks for itself carries a mark and is the kernel's.
 *
 * A wait until a moment of the wall clock: when the moment is nearer to the
 * shown clock than to the real one, it is moved to the real one, in the caller's
 * own memory, and the call goes on.
 */
export const STATIC_CLOCK: string = `
#include <elf.h>

#define IMAGES 256

static int64_t clock_offset, clock_held;
static int clock_holds;

static struct timespec shown_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (clock_holds) now.tv_sec = clock_held, now.tv_nsec = 0;
  now.tv_sec += clock_offset;
  return now;
}

/*
 * A held clock creeps on by a nanosecond a reading once a process has read it often, and then by a microsecond: what
 * asks until the time is another one goes on. musl makes names of temporary files of the time, and tries a hundred.
 */
static int64_t crept(const struct seccomp_notif *call) {
  uint64_t key, before;
  if (!clock_holds || !draw(call, READ, 1, &key, &before) || before < ${FEW_READINGS}) return 0;
  int64_t many = before - ${FEW_READINGS} + 1, more = many - 100000;
  return many + (more > 0 ? more * 1000 : 0);
}

/* Between atomic time and the wall clock, as this kernel was told. */
static int64_t leap_seconds(void) {
  struct timespec atomic, wall;
  clock_gettime(CLOCK_REALTIME, &wall), clock_gettime(CLOCK_TAI, &atomic);
  return ((atomic.tv_sec - wall.tv_sec) * 1000000000 + atomic.tv_nsec - wall.tv_nsec) / 1000000000;
}

static void answer_clock(const struct seccomp_notif *call, enum call which) {
  const __u64 *given = call->data.args;
  struct timespec now = shown_now();
  int64_t on = begun ? crept(call) : 0;
  now.tv_sec += on / 1000000000, now.tv_nsec += on % 1000000000;
  if ((which == CLOCK || which == CLOCK_64) && (int)given[0] == CLOCK_TAI) now.tv_sec += leap_seconds();
  int wide = which == CLOCK_64 || !narrow(&call->data) || (call->data.nr & X32);
  int64_t long_words[2] = { now.tv_sec, which == DAY ? now.tv_nsec / 1000 : now.tv_nsec };
  int32_t words[2] = { long_words[0], long_words[1] }, zone[2] = { 0 };
  uint64_t to = which == DAY || which == TIME ? given[0] : given[1];
  size_t size = which == TIME ? wide ? 8 : 4 : wide ? 16 : 8;
  long wrote = 0;
  if (!begun) { let_on(call); return; }
  if (to || which == CLOCK || which == CLOCK_64) wrote = write_to(call->pid, call->id, wide ? (char *)long_words : (char *)words, size, to);
  if (wrote == 0 && which == DAY && given[1]) wrote = write_to(call->pid, call->id, (char *)zone, sizeof zone, given[1]);
  if (wrote == -EPERM || wrote == -EACCES) let_through(call, wrote);
  else respond(call->id, wrote < 0 ? wrote : which == TIME ? now.tv_sec : 0, 0);
}

/* Moves the moment at \`at\`, if it can only have come from the shown clock. */
static void move_moment(const struct seccomp_notif *call, uint64_t at, int wide) {
  int64_t long_words[2] = { 0 };
  int32_t words[2] = { 0 };
  struct timespec now, shown = shown_now();
  clock_gettime(CLOCK_REALTIME, &now);
  if (!at || all_from(call->pid, at, wide ? (void *)long_words : words, wide ? 16 : 8) != 0) return;
  int64_t until = wide ? long_words[0] : words[0], shift = now.tv_sec - shown.tv_sec;
  if (shift == 0 || until <= 0 || llabs(until - shown.tv_sec) >= llabs(until - now.tv_sec)) return;
  words[0] = long_words[0] = until + shift;
  write_to(call->pid, call->id, wide ? (char *)long_words : (char *)words, wide ? 8 : 4, at);
}

static void move_wait(const struct seccomp_notif *call, enum call which) {
  const __u64 *given = call->data.args;
  int wide = which == SLEEP_64 || which == FUTEX_64 || which == TIMER_64 || !narrow(&call->data) || (call->data.nr & X32);
  int timer = which == TIMER || which == TIMER_64, futex = which == FUTEX || which == FUTEX_64;
  if (begun) {
    if (futex) move_moment(call, given[3], wide);
    else move_moment(call, given[2] + (timer ? wide ? 16 : 8 : 0), wide);
  }
  let_on(call);
}

/* Whether the preloaded library is in a program of that interpreter. */
static int is_of_library(const char *interpreter) {
  const char *name = strrchr(interpreter, '/');
  name = name ? name + 1 : interpreter;
  return !strncmp(name, "ld-linux", 8) || !strncmp(name, "ld64.so", 7) || !strncmp(name, "ld.so", 5);
}

/* One program header: 1 and 0 are answers, -1 none. */
static int told_by_header(int file, uint32_t type, uint64_t at, uint64_t many, int *interpreted) {
  char text[4096];
  if (type != PT_INTERP && type != PT_NOTE) return -1;
  long got = pread(file, text, many < sizeof text - 1 ? many : sizeof text - 1, at);
  if (got <= 0) return -1;
  text[got] = 0;
  if (type == PT_INTERP) *interpreted = is_of_library(text);
  /* Go asks the vDSO by itself, whatever it is linked to: the name of its note. */
  else if (memmem(text, got, "\\4\\0\\0\\0Go\\0\\0", 8)) return 0;
  return -1;
}

static int image_leans(const struct seen *who, int program, int depth) {
  char link[32];
  unsigned char head[256] = { 0 };
  int interpreted = 0, told = -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", program);
  int file = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return 0;
  long got = pread(file, head, sizeof head - 1, 0);
  if (got > 2 && head[0] == '#' && head[1] == '!') {
    char *name = (char *)head + 2 + strspn((char *)head + 2, " \\t");
    name[strcspn(name, " \\t\\n")] = 0;
    int next = depth < 4 && *name == '/' ? program_of(who, name) : -1;
    close(file);
    told = next < 0 || image_leans(who, next, depth + 1);
    if (next >= 0) close(next);
    return told;
  }
  if (got < (long)sizeof(Elf64_Ehdr) || memcmp(head, ELFMAG, SELFMAG)) return close(file), 1;
  Elf64_Ehdr *wide = (Elf64_Ehdr *)head;
  Elf32_Ehdr *slim = (Elf32_Ehdr *)head;
  int is_wide = head[EI_CLASS] == ELFCLASS64, headers = is_wide ? wide->e_phnum : slim->e_phnum;
  for (int n = 0; n < headers && n < 64 && told < 0; n++) {
    Elf64_Phdr one;
    Elf32_Phdr small;
    if (is_wide && pread(file, &one, sizeof one, wide->e_phoff + n * sizeof one) == sizeof one)
      told = told_by_header(file, one.p_type, one.p_offset, one.p_filesz, &interpreted);
    if (!is_wide && pread(file, &small, sizeof small, slim->e_phoff + n * sizeof small) == sizeof small)
      told = told_by_header(file, small.p_type, small.p_offset, small.p_filesz, &interpreted);
  }
  close(file);
  return told < 0 ? interpreted : told;
}

/* The same, remembered: builds start the same few programs. */
static int leans_on_library(const struct seen *who, int program) {
  static __thread struct { dev_t dev; ino_t ino; struct timespec changed; int leans; } images[IMAGES];
  struct stat about;
  if (fstat(program, &about) != 0) return 0;
  typeof(&images[0]) at = &images[(about.st_ino ^ about.st_dev) % IMAGES];
  if (at->ino == about.st_ino && at->dev == about.st_dev && !memcmp(&at->changed, &about.st_ctim, sizeof at->changed)) return at->leans;
  int leans = image_leans(who, program, 0);
  at->dev = about.st_dev, at->ino = about.st_ino, at->changed = about.st_ctim, at->leans = leans;
  return leans;
}

/* Whether the start of that program must be rewritten. */
static int starts_otherwise(const struct seen *who, int program) {
  if (abilities & FOR_RANDOM) return 1;
  return (abilities & FOR_CLOCK) && !leans_on_library(who, program);
}

static void put_into(pid_t process, uint64_t at, const void *from, size_t many) {
  struct iovec ours = { (void *)from, many }, theirs = { (void *)(uintptr_t)at, many };
  process_vm_writev(process, &ours, 1, &theirs, 1, 0);
}

/* One word of what the kernel tells a program: no vDSO, and random bytes of ours. */
static void rewrite_word(pid_t process, uint64_t at, size_t word, uint64_t name, uint64_t value, uint64_t key) {
  uint64_t bytes[2] = { AT_IGNORE };
  if (name == AT_SYSINFO_EHDR) put_into(process, at, bytes, word);
  if (name != AT_RANDOM || !(abilities & FOR_RANDOM)) return;
  seeded(joined(key, 3), 0, bytes, 2);
  put_into(process, value, bytes, sizeof bytes);
}
`;
