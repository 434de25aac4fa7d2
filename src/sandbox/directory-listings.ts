/**
 * What `directory-order.ts` has read of directories: C, a part of `enter.ts`.
 *
 * A listing is one directory, or a part of it, read to its end and sorted. It is
 * kept for the reader (process and descriptor) who stands inside it, the oldest
 * forgotten first: at most KEPT of them and KEPT_BYTES, and PART entries or
 * PART_BYTES in one. One that is being served (`busy`) stays.
 */
export const DIRECTORY_LISTINGS = `
#ifndef PART
#define PART 2000000
#endif
#define PART_BYTES (128u << 20)
#define KEPT_BYTES (256u << 20)
#ifndef KEPT
#define KEPT 1024
#endif
#define BUCKETS 256

struct entry { uint64_t ino; int64_t off; uint16_t reclen; uint8_t type; char name[]; } __attribute__((packed));

/* What was read of one directory, in order. */
struct listing {
  struct listing *older, *newer, *beside;
  dev_t dev;
  ino_t ino;
  pid_t process;
  int fd, busy;
  /* Number of its first entry; entries; where the file system goes on, when there is more. */
  int64_t base, count, next;
  int more;
  /* Where lseek cannot stand at a number: where it stands instead, and the number. */
  int64_t stands_at, stands_for;
  char *store;
  uint32_t *at;
  size_t used, size;
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct listing *buckets[BUCKETS], *newest, *oldest;
static size_t kept, kept_bytes, growing;

static struct listing **bucket(dev_t dev, ino_t ino) { return &buckets[(ino ^ ino >> 8 ^ dev) % BUCKETS]; }

/* The listing of that reader's, else the newest of the directory: it was forked, or its descriptor handed on. */
static struct listing *find(const struct stat *dir, pid_t process, int fd) {
  struct listing *any = 0;
  for (struct listing *one = *bucket(dir->st_dev, dir->st_ino); one; one = one->beside) {
    if (one->ino != dir->st_ino || one->dev != dir->st_dev) continue;
    if (one->process == process && one->fd == fd) return one;
    if (!any) any = one;
  }
  return any;
}

static void leave_line(struct listing *one) {
  struct listing **at = bucket(one->dev, one->ino);
  while (*at != one) at = &(*at)->beside;
  *at = one->beside;
  *(one->newer ? &one->newer->older : &newest) = one->older;
  *(one->older ? &one->older->newer : &oldest) = one->newer;
}

static void enter_line(struct listing *one) {
  struct listing **at = bucket(one->dev, one->ino);
  one->beside = *at, *at = one;
  one->older = newest, one->newer = 0;
  *(newest ? &newest->newer : &oldest) = one;
  newest = one;
}

static size_t weight(const struct listing *one) { return sizeof *one + one->size + one->count * sizeof *one->at; }

static void forget(struct listing *one) {
  leave_line(one);
  kept--, kept_bytes -= weight(one);
  free(one->store), free(one->at), free(one);
}

static void keep(struct listing *one) {
  kept++, kept_bytes += weight(one);
  enter_line(one);
  for (struct listing *old = oldest; old && (kept > KEPT || kept_bytes > KEPT_BYTES);) {
    struct listing *after = old->newer;
    if (!old->busy) forget(old);
    old = after;
  }
}

static int by_name(const void *a, const void *b, void *store) {
  return strcmp(((struct entry *)((char *)store + *(uint32_t *)a))->name, ((struct entry *)((char *)store + *(uint32_t *)b))->name);
}

static int room(struct listing *into, size_t wanted) {
  if (into->size - into->used >= wanted) return 0;
  size_t size = into->size * 2 > into->used + wanted ? into->size * 2 : into->used + wanted;
  char *more = realloc(into->store, size);
  if (!more) return -ENOMEM;
  __atomic_add_fetch(&growing, size - into->size, __ATOMIC_RELAXED);
  into->store = more, into->size = size;
  return 0;
}

static int collect(int dir, int64_t from, struct listing *into) {
  int64_t many = 0;
  if (lseek(dir, from, SEEK_SET) != from) return -errno;
  for (into->used = 0, into->more = 0; !into->more;) {
    int failed = room(into, into->used == 0 ? 4096 : 512);
    if (failed) return failed;
    long got = syscall(SYS_getdents64, dir, into->store + into->used, into->size - into->used);
    if (got < 0 && errno == EINVAL && into->size - into->used < 32768) { if ((failed = room(into, 32768))) return failed; continue; }
    if (got < 0) return -errno;
    if (got == 0) break;
    for (size_t end = into->used + got; into->used < end; many++) {
      struct entry *one = (struct entry *)(into->store + into->used);
      into->used += one->reclen, into->next = one->off;
    }
    into->more = many >= PART || into->used >= PART_BYTES || __atomic_load_n(&growing, __ATOMIC_RELAXED) > KEPT_BYTES;
  }
  return (into->at = malloc((many + 1) * sizeof *into->at)) ? 0 : -ENOMEM;
}

static int read_part(int dir, int64_t from, struct listing *into) {
  int failed = collect(dir, from, into);
  __atomic_sub_fetch(&growing, into->size, __ATOMIC_RELAXED);
  if (failed) return failed;
  for (size_t at = 0; at < into->used; at += ((struct entry *)(into->store + at))->reclen) into->at[into->count++] = at;
  qsort_r(into->at, into->count, sizeof *into->at, by_name, into->store);
  /* A directory that changed while it was read may have told a name twice. */
  int64_t left = 0;
  for (int64_t n = 0; n < into->count; n++)
    if (left == 0 || by_name(&into->at[left - 1], &into->at[n], into->store) != 0) into->at[left++] = into->at[n];
  into->count = left;
  char *fitting = realloc(into->store, into->used + 1);
  if (fitting) into->store = fitting, into->size = into->used + 1;
  return 0;
}
`;
