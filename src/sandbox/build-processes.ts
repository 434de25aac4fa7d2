/**
 * The processes of the build, as far as they were seen: C, a part of
 * `notifications.ts`. A process is found by its thread, and known by its number
 * and the time of its start; who started it is read from /proc at first sight.
 * It needs no fork to stop.
 *
 * Each has a key: of the seed, its parent's key, its command line, and how many
 * of its siblings had the same before. So equal builds give equal keys, however
 * their jobs meet; names in /tmp and the build path, in a command line, do not
 * count.
 */
export const BUILD_PROCESSES = `
#define PROCESSES 65536
#define COUNTS 1048576
#define ARGUMENTS 4096
#define ARGUMENT_BYTES 65536

/* What a process is counted for: words of getrandom(2), opened devices, readings of the clock. */
enum counted { DRAWN, OPENED, READ, COUNTED };

/* id: of the trace, from 1. */
struct process { pid_t process; uint32_t id; uint64_t start, key, taken[COUNTED]; };

/* Programs of our own that lead to the build, and where it lies. */
static unsigned long chain;
static const char *build_path = "";
static uint64_t seed;
static pthread_mutex_t family = PTHREAD_MUTEX_INITIALIZER;
/* By number: who takes another's place has that other seen anew. */
static struct process *processes;
static struct { uint64_t key; uint32_t many; } *counts;

static uint64_t mixed(uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

static uint64_t joined(uint64_t a, uint64_t b) { return mixed(a * 0x9e3779b97f4a7c15u + mixed(b + 0x632be59bd9b4e019u)); }

static uint64_t hash_of(const char *text, size_t many) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t at = 0; at < many; at++) hash = (hash ^ (unsigned char)text[at]) * 0x100000001b3u;
  return mixed(hash);
}

/* Of a command line: arguments end with a NUL. */
static uint64_t print_of(const char *text, size_t many) {
  uint64_t hash = 0xcbf29ce484222325u;
  size_t known = strlen(build_path);
  for (size_t at = 0; at < many; at++) {
    if (known > 1 && many - at >= known && !memcmp(text + at, build_path, known)) { at += known - 1; continue; }
    hash = (hash ^ (unsigned char)text[at]) * 0x100000001b3u;
    if (at >= 4 && !memcmp(text + at - 4, "/tmp/", 5))
      while (at + 1 < many && text[at + 1] && !strchr("/: ,;\\"'", text[at + 1])) at++;
  }
  return mixed(hash);
}

/* How often this was asked before; 0 when there is no more room. Under the lock. */
static uint32_t count_of(uint64_t key) {
  if (!counts && !(counts = calloc(COUNTS, sizeof *counts))) return 0;
  for (int tries = 0; tries < 64; tries++) {
    typeof(counts) at = &counts[(key + tries) % COUNTS];
    if (at->many == 0) at->key = key;
    if (at->key == key) return at->many++;
  }
  return 0;
}

static uint64_t child_key(uint64_t parent, uint64_t print) {
  uint64_t key = joined(parent, print);
  return joined(key, count_of(key));
}

/* Of /proc/NUMBER/stat, whose second field may hold anything. Fields count from 1, as in proc(5). */
static int stat_of(pid_t number, uint64_t *fields, int last) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", number);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  long got = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (got <= 0) return -1;
  text[got] = 0;
  char *at = strrchr(text, ')');
  for (int field = 3; at && field <= last; field++) {
    at = strchr(at + 1, ' ');
    if (at) fields[field] = strtoull(at + 1, 0, 10);
  }
  return at ? 0 : -1;
}

/* The last threads that called. */
static __thread struct seen { pid_t thread, process; int folder; uint64_t start; } seen[64];

static int is_there(int folder) { return folder >= 0 && faccessat(folder, "comm", F_OK, 0) == 0; }

/* Finds out to which process the thread belongs: descriptor of its folder in /proc, or a number of errno.h. */
static struct seen *look_at(pid_t thread) {
  struct seen *one = &seen[thread % 64];
  uint64_t fields[23] = { 0 };
  char path[32];
  if (one->thread == thread && is_there(one->folder)) return one;
  if (one->thread) close(one->folder);
  one->thread = 0;
  snprintf(path, sizeof path, "/proc/%d", thread);
  int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return 0;
  pid_t process = process_of(thread);
  if (stat_of(process, fields, 22) != 0) return close(folder), (void *)0;
  *one = (struct seen){ thread, process, folder, fields[22] };
  return one;
}

static struct process *slot_of(pid_t process) {
  if (!processes && !(processes = calloc(PROCESSES, sizeof *processes))) return 0;
  return &processes[(uint32_t)process % PROCESSES];
}

/* Stands for whatever is not of the build. */
static struct process first;

/* The nearest ancestor that is known, or the first process of the build. Under the lock. */
static struct process *parent_of(pid_t process) {
  uint64_t fields[23];
  for (int steps = 0; steps < 64; steps++) {
    if (stat_of(process, fields, 22) != 0) break;
    process = fields[4];
    if (process <= 1) break;
    struct process *one = slot_of(process);
    if (one && one->process == process && stat_of(process, fields, 22) == 0 && one->start == fields[22]) return one;
  }
  return &first;
}

/* Whether anything of the build itself has begun: what leads to it does not count. */
static int begun;

/*
 * What it was before this call: itself, or who started it. Under the lock.
 * *own: it was seen before.
 */
static struct process before_now(const struct seen *who, int *own) {
  struct process *one = slot_of(who->process);
  *own = one && one->process == who->process && one->start == who->start;
  return *own ? *one : *parent_of(who->process);
}

static void put_process(const struct seen *who, uint32_t id, uint64_t key) {
  struct process *one = slot_of(who->process);
  if (one) *one = (struct process){ who->process, id, who->start, key };
}
`;
