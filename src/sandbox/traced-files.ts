/**
 * What a traced build does with files, and the record of it: C, a part of
 * `notifications.ts`. `trace.ts` reads it.
 *
 * Fields end with a NUL; the first of a record is its kind:
 *
 *     P parent directory many argument…    a program; numbered from 1 with F; parent 0: none
 *     F parent directory                   a process that still is what its parent is
 *     R process path                       read; told once a program and path
 *     W process path                       opened for writing, or truncated
 *     U process path                       unlinked
 *     N process path to                    renamed
 *     L process path to                    linked
 *     S process path to                    a symbolic link at \`to\` that leads to \`path\`
 *     E unseen cut bypassed                the end: calls that could not be looked into, command lines that were
 *                                          cut, programs that have other ways to files; then \`full\` or nothing
 *
 * A path is as the link of an open file in /proc tells it: without symbolic
 * links, from the root inside. What does not exist when it is asked for is not
 * told, nor is /proc, nor /dev but /dev/shm.
 */
export const TRACED_FILES = `
#define TRACE_BYTES (256u << 20)
#define TRACE_RECORDS 5000000u
#define READS (1u << 20)
#ifndef O_TMPFILE
#define O_TMPFILE 020200000
#endif
#define IN_ROOT 0x10

static int trace = -1;
static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;
static char record[1 << 16];
static size_t record_used, record_bytes;
static uint32_t records, programs, unseen, cut, bypassed, full;
/* Prints of what was read already, by process and path. */
static uint64_t *reads;

static void write_record(void) {
  for (size_t at = 0; at < record_used;) {
    long wrote = write(trace, record + at, record_used - at);
    if (wrote <= 0 && errno != EINTR) { full = 1; break; }
    if (wrote > 0) at += wrote;
  }
  record_used = 0;
}

static void put_bytes(const char *from, size_t many) {
  record_bytes += many;
  if (many > sizeof record - record_used) write_record();
  if (many > sizeof record) return;
  memcpy(record + record_used, from, many);
  record_used += many;
}

static void put_field(const char *text) { put_bytes(text, strlen(text) + 1); }

static void put_number(const char *kind, unsigned long number) {
  char text[32];
  put_field(kind);
  snprintf(text, sizeof text, "%lu", number);
  put_field(text);
}

/* Under the lock \`recording\`, as all that puts. */
static int has_room(void) {
  if (records >= TRACE_RECORDS || record_bytes > TRACE_BYTES) full = 1;
  if (!full) records++;
  return !full;
}

static void end_record(void) {
  char text[96];
  if (trace < 0) return;
  snprintf(text, sizeof text, "E%c%u%c%u%c%u%c%s", 0, unseen, 0, cut, 0, bypassed, 0, full ? "full" : "");
  size_t many = 2;
  for (int fields = 0; fields < 4; fields++) many += strlen(text + many) + 1;
  pthread_mutex_lock(&recording);
  full = 0;
  put_bytes(text, many);
  write_record();
}

/* Number of the program in the trace; 0 when there is no more room. */
static uint32_t tell_program(uint32_t parent, const char *folder, int many, const char *arguments, size_t bytes) {
  char text[16];
  uint32_t id = 0;
  pthread_mutex_lock(&recording);
  if (has_room()) {
    id = ++programs;
    put_number(many < 0 ? "F" : "P", parent);
    put_field(folder);
    snprintf(text, sizeof text, "%d", many);
    if (many >= 0) put_field(text), put_bytes(arguments, bytes);
  }
  pthread_mutex_unlock(&recording);
  return id;
}

static void tell(const char *kind, uint32_t process, const char *path, const char *to) {
  if (process == 0) return;
  pthread_mutex_lock(&recording);
  if (has_room()) {
    put_number(kind, process), put_field(path);
    if (to) put_field(to);
  }
  pthread_mutex_unlock(&recording);
}

/* Whether that print is new; one may push another out, and is then told again. */
static int is_new(uint64_t print) {
  uint64_t *at = reads ? &reads[print % READS] : 0;
  return !at || __atomic_exchange_n(at, print, __ATOMIC_RELAXED) != print;
}

static void doubt(uint32_t *which) { __atomic_add_fetch(which, 1, __ATOMIC_RELAXED); }

static int folder_of(const struct seen *who, const char *name, char *to, size_t room) {
  long got = readlinkat(who->folder, name, to, room - 1);
  if (got <= 0) return -1;
  to[got] = 0;
  return 0;
}

/* \`path\` as the caller says it, from the root, though still with links and dots. */
static int placed(const struct seen *who, int at, const char *path, char *to, size_t room) {
  char name[32] = "cwd";
  if (path[0] == '/') return snprintf(to, room, "%s", path) < (int)room ? 0 : -1;
  if (at != AT_FDCWD) snprintf(name, sizeof name, "fd/%d", at);
  if (folder_of(who, name, to, room) != 0 || to[0] != '/') return -1;
  size_t many = strlen(to);
  return snprintf(to + many, room - many, "/%s", path) < (int)(room - many) ? 0 : -1;
}

struct how { uint64_t flags, mode, resolve; };

/* The path of what is there, without links and dots. */
static int existing(const struct seen *who, const char *path, int follow, char *to, size_t room) {
  char link[32];
  struct how how = { O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW), 0, IN_ROOT };
  int root = openat(who->folder, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int file = root < 0 ? -1 : syscall(SYS_openat2, root, path, &how, sizeof how);
  if (root >= 0) close(root);
  if (file < 0) return -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  long got = readlink(link, to, room - 1);
  close(file);
  if (got <= 0) return -1;
  to[got] = 0;
  return 0;
}

/* Opens what would be executed, if the caller may. */
static int program_of(const struct seen *who, const char *path) {
  struct stat about;
  struct how how = { O_PATH | O_CLOEXEC, 0, IN_ROOT };
  int root = openat(who->folder, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int file = root < 0 ? -1 : syscall(SYS_openat2, root, path, &how, sizeof how);
  if (root >= 0) close(root);
  if (file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 0111)) return file;
  if (file >= 0) close(file);
  return -1;
}

/* The same for a name that may not be there yet, in a folder that is. */
static int to_be(const struct seen *who, char *path, char *to, size_t room) {
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') path[--end] = 0;
  char *slash = strrchr(path, '/');
  if (!slash || !strcmp(slash, "/.") || !strcmp(slash, "/..")) return existing(who, path, 1, to, room);
  *slash = 0;
  int failed = existing(who, slash == path ? "/" : path, 1, to, room);
  *slash = '/';
  size_t many = failed ? 0 : strlen(to);
  if (many == 1) many = 0;
  return failed || snprintf(to + many, room - many, "%s", slash) >= (int)(room - many) ? -1 : 0;
}

static int is_of_kernel(const char *path) {
  return !strncmp(path, "/proc/", 6) || (!strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9));
}

/* Number of the caller in the trace, told now if it is not yet; 0: it is none of the build's. */
static uint32_t teller(const struct seen *who) {
  char folder[4096] = "/";
  int own;
  pthread_mutex_lock(&family);
  struct process before = before_now(who, &own);
  uint32_t id = before.id;
  if (!own && begun && trace >= 0) {
    folder_of(who, "cwd", folder, sizeof folder);
    id = tell_program(before.id, folder, -1, 0, 0);
  }
  if (!own && begun) put_process(who, id, child_key(before.key, 1));
  pthread_mutex_unlock(&family);
  return id;
}

/* The path in the caller's memory, from the root. */
static int path_at(const struct seen *who, const struct seccomp_notif *call, int at, uint64_t from, char *to, size_t room) {
  char said[4096];
  long got = text_from(call->pid, from, said, sizeof said);
  if (got == -EPERM && valid(call)) doubt(&unseen);
  if (got <= 0) return -1;
  return placed(who, at, said, to, room);
}

#define PATH 8192

static void tell_open(const struct seen *who, const struct seccomp_notif *call, int at, uint64_t name, uint64_t flags) {
  char path[PATH], real[PATH];
  int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
  if ((flags & O_PATH) == O_PATH || (flags & O_TMPFILE) == O_TMPFILE || (flags & O_DIRECTORY)) return;
  if (path_at(who, call, at, name, path, sizeof path) != 0 || is_of_kernel(path)) return;
  uint32_t id = teller(who);
  uint64_t print = joined(id, hash_of(path, strlen(path)));
  if (!writes && reads && __atomic_load_n(&reads[print % READS], __ATOMIC_RELAXED) == print) return;
  int there = existing(who, path, !(flags & O_NOFOLLOW), real, sizeof real) == 0;
  if (there ? (flags & O_CREAT) && (flags & O_EXCL) : !(flags & O_CREAT) || to_be(who, path, real, sizeof real) != 0) return;
  if (!valid(call) || is_of_kernel(real)) return;
  if (there && (flags & O_ACCMODE) != O_WRONLY && !(flags & O_TRUNC)) {
    /* As it was said, which spares the look next time, and as it is. */
    is_new(print);
    if (is_new(joined(id, hash_of(real, strlen(real)) + 1))) tell("R", id, real, 0);
  }
  if (writes || !there) tell("W", id, real, 0);
}

static void tell_write(const struct seen *who, const struct seccomp_notif *call, uint64_t name) {
  char path[PATH], real[PATH];
  if (path_at(who, call, AT_FDCWD, name, path, sizeof path) != 0) return;
  if (existing(who, path, 1, real, sizeof real) == 0 && valid(call) && !is_of_kernel(real)) tell("W", teller(who), real, 0);
}

static void tell_unlink(const struct seen *who, const struct seccomp_notif *call, int at, uint64_t name) {
  char path[PATH], real[PATH];
  if (path_at(who, call, at, name, path, sizeof path) != 0) return;
  if (existing(who, path, 0, real, sizeof real) == 0 && valid(call)) tell("U", teller(who), real, 0);
}

static void tell_two(const char *kind, const struct seen *who, const struct seccomp_notif *call, int at, uint64_t name, int at_new, uint64_t new) {
  char path[PATH], real[PATH], path_to[PATH], real_to[PATH];
  if (path_at(who, call, at_new, new, path_to, sizeof path_to) != 0 || to_be(who, path_to, real_to, sizeof real_to) != 0) return;
  /* A file without a name gets one. */
  if (path_at(who, call, at, name, path, sizeof path) != 0 || !strncmp(path, "/proc/", 6)) {
    if (*kind == 'L' && valid(call)) tell("W", teller(who), real_to, 0);
    return;
  }
  if (existing(who, path, 0, real, sizeof real) != 0 || !valid(call)) return;
  tell(kind, teller(who), real, real_to);
}

static void tell_symlink(const struct seen *who, const struct seccomp_notif *call, uint64_t target, int at, uint64_t name) {
  char path[PATH], real[PATH], said[4096], from[PATH + 4096], there[PATH];
  if (text_from(call->pid, target, said, sizeof said) <= 0 || path_at(who, call, at, name, path, sizeof path) != 0) return;
  if (to_be(who, path, real, sizeof real) != 0) return;
  int folder = said[0] == '/' ? 0 : strrchr(real, '/') - real + 1;
  snprintf(from, sizeof from, "%.*s%s", folder, real, said);
  int leads = existing(who, from, 1, there, sizeof there) == 0;
  if (valid(call)) tell("S", teller(who), leads ? there : from, real);
}

static int opened_how(const struct seccomp_notif *call, enum call which, int *at, uint64_t *name, uint64_t *flags) {
  const __u64 *given = call->data.args;
  struct how how = { 0 };
  *at = which == OPENAT || which == OPENAT2 ? (int)given[0] : AT_FDCWD;
  *name = which == OPENAT || which == OPENAT2 ? given[1] : given[0];
  *flags = which == OPENAT ? (uint32_t)given[2] : (uint32_t)given[1];
  if (which == CREAT) *flags = O_CREAT | O_WRONLY | O_TRUNC;
  if (which != OPENAT2) return 0;
  if (all_from(call->pid, given[2], &how, sizeof how) != 0) return -1;
  *flags = how.flags;
  return 0;
}

static void trace_call(const struct seccomp_notif *call, enum call which) {
  const __u64 *given = call->data.args;
  const struct seen *who = begun && !full ? look_at(call->pid) : 0;
  uint64_t name, flags;
  int at;
  if (!begun || full) return;
  if (which == URING) { doubt(&bypassed); return; }
  if (!who) {
    if (valid(call)) doubt(&unseen);
    return;
  }
  switch (which) {
    case OPEN: case OPENAT: case OPENAT2: case CREAT:
      if (opened_how(call, which, &at, &name, &flags) == 0) tell_open(who, call, at, name, flags);
      break;
    case TRUNCATE: tell_write(who, call, given[0]); break;
    case UNLINK: tell_unlink(who, call, AT_FDCWD, given[0]); break;
    case UNLINKAT: if (!(given[2] & AT_REMOVEDIR)) tell_unlink(who, call, given[0], given[1]); break;
    case RENAME: tell_two("N", who, call, AT_FDCWD, given[0], AT_FDCWD, given[1]); break;
    case RENAMEAT: tell_two("N", who, call, given[0], given[1], given[2], given[3]); break;
    case LINK: tell_two("L", who, call, AT_FDCWD, given[0], AT_FDCWD, given[1]); break;
    case LINKAT: tell_two("L", who, call, given[0], given[1], given[2], given[3]); break;
    case SYMLINK: tell_symlink(who, call, given[0], AT_FDCWD, given[1]); break;
    case SYMLINKAT: tell_symlink(who, call, given[0], given[1], given[2]); break;
    default: break;
  }
}
`;
