/**
 * Randomness from a seed, a stream for each process: C, a part of
 * `notifications.ts`. getrandom(2) is answered; the sixteen bytes that a program
 * is given at its start (AT_RANDOM) are rewritten there; what opens /dev/urandom
 * or /dev/random to read is given an open file of a pool of seeded bytes, at a
 * place of its own.
 *
 * The pool has POOL bytes and every open file begins in its first half: a
 * program that reads more than half of it comes to its end. It is a file in
 * memory, not a device. A process that was forked and has not become another
 * program has a stream of its own from its first question on.
 *
 * These are no secrets: the generator is splitmix64, and its key is in the build.
 */
export const SEEDED_RANDOM = `
#define POOL (32u << 20)
#define AT_MOST (32u << 20)
#define CHUNK 65536

struct added { uint64_t id; uint32_t flags, from, to, to_flags; };
#define ADD_FD _IOW('!', 3, struct added)
#define ADD_AND_SEND 2u

static int pool = -1;
static pthread_mutex_t filling = PTHREAD_MUTEX_INITIALIZER;

static void seeded(uint64_t key, uint64_t from, void *to, size_t words) {
  for (size_t n = 0; n < words; n++) ((uint64_t *)to)[n] = mixed(key + (from + n + 1) * 0x9e3779b97f4a7c15u);
}

/* The caller's key, and how many it has taken before of \`what\`. 0: it is none of the build's. */
static int draw(const struct seccomp_notif *call, enum counted what, uint64_t many, uint64_t *key, uint64_t *before) {
  const struct seen *who = look_at(call->pid);
  if (!who || !valid(call)) return 0;
  teller(who);
  pthread_mutex_lock(&family);
  struct process *one = slot_of(who->process);
  int known = one && one->process == who->process && one->start == who->start;
  if (known) {
    *key = one->key, *before = one->taken[what];
    one->taken[what] += many;
  }
  pthread_mutex_unlock(&family);
  return known;
}

static void answer_random(const struct seccomp_notif *call) {
  static __thread uint64_t bytes[CHUNK / 8];
  uint64_t to = call->data.args[0], wanted = call->data.args[1], key, before, done = 0;
  unsigned flags = call->data.args[2];
  if (!begun) { let_on(call); return; }
  if (narrow(&call->data)) wanted = (uint32_t)wanted;
  if ((flags & ~7u) || (flags & 6) == 6) { respond(call->id, -EINVAL, 0); return; }
  if (wanted > AT_MOST) wanted = AT_MOST;
  if (!draw(call, DRAWN, (wanted + 7) / 8, &key, &before)) { let_through(call, -ESRCH); return; }
  while (done < wanted) {
    size_t many = wanted - done < CHUNK ? wanted - done : CHUNK;
    seeded(key, before + done / 8, bytes, (many + 7) / 8);
    long wrote = write_to(call->pid, call->id, (char *)bytes, many, to + done);
    if (wrote == -EPERM || wrote == -EACCES) { let_through(call, wrote); return; }
    if (wrote < 0 && done == 0) done = (uint64_t)wrote;
    if (wrote < 0) break;
    done += many;
  }
  respond(call->id, (long)done, 0);
}

/* A descriptor that only we can write to; -1 when there is no memory. */
static int full_pool(void) {
  pthread_mutex_lock(&filling);
  if (pool < 0) {
    uint64_t bytes[CHUNK / 8];
    int made = memfd_create("random", MFD_CLOEXEC), whole = made >= 0;
    for (uint64_t at = 0; whole && at < POOL; at += CHUNK) {
      seeded(joined(seed, 2), at / 8, bytes, CHUNK / 8);
      whole = write(made, bytes, CHUNK) == CHUNK;
    }
    if (whole) pool = made;
    else if (made >= 0) close(made);
  }
  pthread_mutex_unlock(&filling);
  return pool;
}

/* The same file, for reading only. */
static int opened_again(int file) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  return open(link, O_RDONLY | O_CLOEXEC);
}

/* One line: a UUID of version 4. */
static int uuid_file(uint64_t key) {
  unsigned char bytes[16];
  int made = memfd_create("uuid", MFD_CLOEXEC);
  if (made < 0) return -1;
  seeded(key, 0, bytes, 2);
  bytes[6] = (bytes[6] & 15) | 0x40, bytes[8] = (bytes[8] & 63) | 0x80;
  for (int n = 0; n < 16; n++) dprintf(made, n == 4 || n == 6 || n == 8 || n == 10 ? "-%02x" : "%02x", bytes[n]);
  dprintf(made, "\\n");
  int given = opened_again(made);
  close(made);
  return given;
}

/* Whether the call was for a device of random bytes, and is answered. */
static int answer_random_device(const struct seccomp_notif *call, enum call which) {
  char path[40];
  uint64_t name, flags, key, before;
  int at;
  if (!begun || opened_how(call, which, &at, &name, &flags) != 0) return 0;
  if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) == O_PATH || (flags & O_DIRECTORY)) return 0;
  if (text_from(call->pid, name, path, sizeof path) <= 0) return 0;
  int device = !strcmp(path, "/dev/urandom") || !strcmp(path, "/dev/random");
  int boot = !device && !strcmp(path, "/proc/sys/kernel/random/boot_id");
  if (!device && !boot && strcmp(path, "/proc/sys/kernel/random/uuid")) return 0;
  if ((device && full_pool() < 0) || !draw(call, OPENED, 1, &key, &before)) return 0;
  int made = device ? opened_again(pool) : uuid_file(boot ? joined(seed, 6) : joined(key, before));
  if (made < 0) return 0;
  if (device) lseek(made, joined(key, before) % (POOL / 2), SEEK_SET);
  struct added add = { call->id, ADD_AND_SEND, made, 0, flags & O_CLOEXEC };
  int given = ioctl(listener, ADD_FD, &add);
  if (given < 0 && errno == EINVAL) {
    add.flags = 0;
    given = ioctl(listener, ADD_FD, &add);
    if (given >= 0) respond(call->id, given, 0);
  }
  int failed = errno;
  close(made);
  if (given < 0) respond(call->id, -failed, 0);
  return 1;
}
`;
