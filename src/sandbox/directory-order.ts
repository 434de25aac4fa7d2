import { getSystemErrorName } from "node:util";
import { BitforbitError } from "../errors.ts";
import type { Lack } from "../world.ts";
import type { Outcome } from "./sandbox.ts";

/**
 * Directory order: the answers to getdents(2), a part of `notifications.ts`,
 * for static programs, too, with neither FUSE nor privileges.
 *
 * The answer: the caller's own open file description, taken by pidfd_getfd(2),
 * is read to its end, sorted by the bytes of the names (so that the file system's
 * order does not matter), and served forwards or backwards. `.` and `..` are
 * names like others. The position in the description is the number of entries
 * served, so that lseek, rewinddir, dup, fork and threads do what they do
 * everywhere; d_off is the number of the entry that follows. What was read is
 * kept while a reader may stand inside it: deleting while listing misses
 * nothing. A listing from the beginning reads anew.
 *
 * A directory of more than PART entries is ordered in parts of so many, and
 * that is told.
 */
export const DIRECTORY_ORDER = `
#define AT_ONCE (256u << 10)

static int backwards;
static unsigned long parts;

struct waiting { struct waiting *next; struct seccomp_notif ask; };
/* A directory that a reader is at: others who ask for it wait in line, without a thread. */
static struct visited { struct visited *next; dev_t dev; ino_t ino; struct waiting *first, **last; } *visits;

enum layout { LONG, OLD, COMPAT_OLD };

/* One call, and who makes it. */
struct request { int fd, dir; pid_t process; uint64_t to; size_t room; enum layout layout; struct stat about; };

/* Writes one entry as getdents does (readdir.c of the kernel), or gives what keeps it from that. */
static int put(char *out, size_t left, enum layout layout, const struct entry *one, int64_t following) {
  size_t length = strlen(one->name);
  size_t head = layout == LONG ? 19 : layout == COMPAT_OLD ? 10 : 2 * sizeof(long) + 2;
  size_t align = layout == COMPAT_OLD ? 4 : layout == OLD ? sizeof(long) : 8;
  size_t whole = (head + length + (layout == LONG ? 1 : 2) + align - 1) / align * align;
  if (whole > left) return -EINVAL;
  memset(out, 0, whole);
  uint16_t reclen = whole;
  if (layout == COMPAT_OLD) {
    uint32_t ino = one->ino, off = following;
    if (ino != one->ino) return -EOVERFLOW;
    memcpy(out, &ino, 4), memcpy(out + 4, &off, 4);
  } else {
    unsigned long ino = one->ino, off = following;
    if (layout == LONG) memcpy(out, &one->ino, 8), memcpy(out + 8, &following, 8);
    else memcpy(out, &ino, sizeof ino), memcpy(out + sizeof ino, &off, sizeof off);
  }
  memcpy(out + head - (layout == LONG ? 3 : 2), &reclen, 2);
  out[layout == LONG ? 18 : whole - 1] = one->type;
  memcpy(out + head, one->name, length);
  return whole;
}

/* The listing in which the number \`at\` lies, or after which nothing is; *failed says why there is none. */
static struct listing *listing_for(const struct request *ask, int64_t at, struct listing *known, int *failed) {
  int64_t base = 0, from = 0;
  if (known && at >= known->base && (at < known->base + known->count || !known->more)) return known;
  if (known) known->busy = 0;
  if (known && known->more && at >= known->base) base = known->base + known->count, from = known->next;
  for (;;) {
    struct listing *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return *failed = -ENOMEM, (void *)0;
    fresh->dev = ask->about.st_dev, fresh->ino = ask->about.st_ino, fresh->process = ask->process, fresh->fd = ask->fd;
    fresh->base = base, fresh->stands_at = -1, fresh->busy = 1;
    *failed = read_part(ask->dir, from, fresh);
    if (*failed == 0 && fresh->more) parts++;
    pthread_mutex_lock(&guard);
    struct listing *before = find(&ask->about, ask->process, ask->fd);
    if (before && before->process == ask->process && before->fd == ask->fd) forget(before);
    if (*failed == 0) keep(fresh);
    pthread_mutex_unlock(&guard);
    if (*failed) return free(fresh->store), free(fresh->at), free(fresh), (void *)0;
    base = fresh->base + fresh->count, from = fresh->next;
    if (at < base || !fresh->more) return fresh;
  }
}

static void stand(struct listing *in, int dir, int64_t at) {
#ifndef NO_SEEK
  if (lseek(dir, at, SEEK_SET) == at) { in->stands_at = -1; return; }
#endif
  in->stands_at = lseek(dir, 0, SEEK_CUR), in->stands_for = at;
}

static __thread char *out;

/* What the call returns; *in and *before let it be undone. */
static long serve(struct request *ask, const struct seccomp_notif *call, struct listing **in, int64_t *before) {
  int64_t at = lseek(ask->dir, 0, SEEK_CUR);
  if (at < 0) return -errno;
  *before = at;
  pthread_mutex_lock(&guard);
  struct listing *known = at > 0 ? find(&ask->about, ask->process, ask->fd) : 0;
  if (known) known->busy = 1;
  pthread_mutex_unlock(&guard);
  if (known && known->stands_at == at) *before = at = known->stands_for;
  int failed = 0;
  if (!out && !(out = malloc(AT_ONCE))) failed = -ENOMEM;
  if (!failed && ask->about.st_nlink == 0 && syscall(SYS_getdents64, ask->dir, out, 1) < 0 && errno == ENOENT) failed = -ENOENT;
  struct listing *found = failed ? 0 : listing_for(ask, at, known, &failed);
  if (!found) return lseek(ask->dir, at, SEEK_SET), failed;
  *in = found;
  long filled = 0;
  int64_t following = at;
  const size_t most = ask->room < AT_ONCE ? ask->room : AT_ONCE;
  while (following < found->base + found->count) {
    int64_t n = following - found->base;
    struct entry *one = (struct entry *)(found->store + found->at[backwards ? found->count - 1 - n : n]);
    failed = put(out + filled, most - filled, ask->layout, one, following + 1);
    if (failed < 0) break;
    filled += failed, following++;
  }
  if (filled == 0) return stand(found, ask->dir, at), failed < 0 ? failed : 0;
  long wrote = write_to(call->pid, call->id, out, filled, ask->to);
  stand(found, ask->dir, wrote < 0 ? at : following);
  return wrote < 0 ? wrote : filled;
}

/* Whether we are the one at this directory; otherwise the call waits in its line. */
static int visit(const struct stat *dir, const struct seccomp_notif *call, struct visited *mine) {
  struct visited *at;
  pthread_mutex_lock(&guard);
  for (at = visits; at && (at->ino != dir->st_ino || at->dev != dir->st_dev); at = at->next);
  if (at) {
    struct waiting *line = malloc(sizeof *line);
    if (line) line->ask = *call, line->next = 0, *at->last = line, at->last = &line->next;
    else respond(call->id, -ENOMEM, 0);
  } else {
    mine->dev = dir->st_dev, mine->ino = dir->st_ino, mine->first = 0, mine->last = &mine->first;
    mine->next = visits, visits = mine;
  }
  pthread_mutex_unlock(&guard);
  return at == 0;
}

static struct waiting *leave(struct visited *mine, struct listing *in) {
  pthread_mutex_lock(&guard);
  struct visited **at = &visits;
  while (*at != mine) at = &(*at)->next;
  *at = mine->next;
  if (in) {
    in->busy = 0;
    if (in != newest) leave_line(in), enter_line(in);
  }
  pthread_mutex_unlock(&guard);
  return mine->first;
}

static struct waiting *answer_listing(const struct seccomp_notif *call, enum call which) {
  const struct seccomp_data *data = &call->data;
  struct request ask = { .fd = (int)data->args[0], .to = data->args[1], .room = (uint32_t)data->args[2] };
  int foreign = data->arch != NATIVE;
  ask.layout = which == GETDENTS64 ? LONG : foreign ? COMPAT_OLD : OLD;
  if (foreign) ask.to = (uint32_t)ask.to;
  ask.dir = take(call->pid, ask.fd, &ask.process);
  if (ask.dir == -EPERM || ask.dir == -EACCES) return let_through(call, ask.dir), (void *)0;
  if (ask.dir < 0) return respond(call->id, ask.dir, 0), (void *)0;
  struct waiting *line = 0;
  struct visited mine;
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->id) != 0) lose(&known[call->pid % 8]);
  else if (fstat(ask.dir, &ask.about) != 0) respond(call->id, -errno, 0);
  else if (!S_ISDIR(ask.about.st_mode)) respond(call->id, -ENOTDIR, 0);
  else if (visit(&ask.about, call, &mine)) {
    struct listing *in = 0;
    int64_t before = -1;
    long value = serve(&ask, call, &in, &before);
    /* A signal took the caller away: it will ask again, for the same entries. */
    if (respond(call->id, value, 0) != 0 && in && value > 0) stand(in, ask.dir, before);
    line = leave(&mine, in);
  }
  close(ask.dir);
  return line;
}
`;

/**
 * What the account of the process that ordered directories leaves uncovered.
 * Throws `lacking` when there is none, though nobody ended the build: then the
 * process itself ended before, and listings failed from there on.
 */
export function orderLacks(account: string, outcome: Outcome): Lack[] {
  const number = (name: string): number =>
    Number(new RegExp(`^order .*\\b${name}=(\\d+)`, "m").exec(account)?.[1] ?? 0);
  if (!account.startsWith("order ")) {
    if (outcome !== "exited" && outcome !== "signalled") return [];
    throw new BitforbitError(
      "lacking",
      "the process that orders directories ended before the build did: from then on listing a directory failed with ENOSYS",
      { hint: "see whether the kernel ended it for want of memory (dmesg), then run again" },
    );
  }
  const lacks: Lack[] = [];
  const causes: Lack["causes"] = ["readdir-order"];
  const unanswered = number("unanswered");
  if (unanswered > 0) {
    const why = getSystemErrorName(-number("because"));
    lacks.push({
      what: `${unanswered} directory listings had the file system's own order: their process could not be looked into (${why})`,
      remedy: "allow ptrace of own processes: sysctl -w kernel.yama.ptrace_scope=1",
      causes,
    });
  }
  if (number("parts") > 0) {
    lacks.push({
      what: "a directory of more than 2,000,000 entries was ordered in parts of so many",
      remedy: "use subfolders",
      causes,
    });
  }
  return lacks;
}
