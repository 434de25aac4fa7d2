/**
 * How a tree gets into a virtual machine's memory and back. Only what changed
 * goes back: that is told by the time of the last change (st_ctim), which no
 * program can set. machine-init.ts compiles this as a part of itself.
 */
export const MACHINE_TREES: string = `
#define DEEPEST 2000
static struct timespec begun;
static int deep;

static int open_folder(int at, const char *name) {
  int folder = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) give_up("cannot open", name);
  return folder;
}

/* The names in a folder, each ended by NUL, and an empty one. */
static char *names_in(int folder) {
  size_t used = 0, room = 4096;
  char *names = malloc(room);
  DIR *list = fdopendir(open_folder(folder, "."));
  if (!list || !names) give_up("cannot list", "a folder");
  for (struct dirent *entry; (errno = 0, entry = readdir(list));) {
    size_t length = strlen(entry->d_name) + 1;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    while (used + length + 1 > room) if (!(names = realloc(names, room *= 2))) give_up("no memory to list", "a folder");
    memcpy(names + used, entry->d_name, length);
    used += length;
  }
  if (errno != 0) give_up("cannot list", "a folder");
  names[used] = 0;
  closedir(list);
  return names;
}

static void copy_content(int from, int to, const char *name) {
  static char bytes[1 << 18];
  for (long got; (got = read(from, bytes, sizeof bytes)) != 0;) {
    if (got < 0) give_up("cannot read", name);
    for (long at = 0, put; at < got; at += put) if ((put = write(to, bytes + at, got - at)) <= 0) give_up("cannot write", name);
  }
}

static void copy_file(int from, int to, const char *name, const struct stat *stats) {
  struct timespec times[2] = { stats->st_atim, stats->st_mtim };
  int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (source < 0 || copy < 0) give_up("cannot copy", name);
  copy_content(source, copy, name);
  if (fchown(copy, uid, gid) != 0 && errno != EPERM) give_up("cannot give", name);
  if (fchmod(copy, stats->st_mode & 0777) != 0 || futimens(copy, times) != 0) give_up("cannot copy the mode or time of", name);
  close(source), close(copy);
}

static void copy_link(int from, int to, const char *name) {
  char target[4097];
  long length = readlinkat(from, name, target, sizeof target - 1);
  if (length < 0) give_up("cannot read", name);
  target[length] = 0;
  if (symlinkat(target, to, name) != 0) give_up("cannot link", name);
  fchownat(to, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

static void empty_folder(int folder);

static void take_away(int folder, const char *name, const struct stat *stats) {
  if (S_ISDIR(stats->st_mode)) {
    if (fchmodat(folder, name, 0700, 0) != 0) give_up("cannot open", name);
    int inner = open_folder(folder, name);
    empty_folder(inner);
    close(inner);
  }
  if (unlinkat(folder, name, S_ISDIR(stats->st_mode) ? AT_REMOVEDIR : 0) != 0) give_up("cannot remove", name);
}

static void empty_folder(int folder) {
  struct stat stats;
  char *names = names_in(folder);
  if (++deep > DEEPEST) errno = ELOOP, give_up("cannot copy", "folders so deep");
  for (char *name = names; *name; name += strlen(name) + 1)
    if (fstatat(folder, name, &stats, AT_SYMLINK_NOFOLLOW) == 0) take_away(folder, name, &stats);
  free(names);
  deep--;
}

static int same_kind(const struct stat *a, const struct stat *b) { return (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT); }

static int unchanged(const struct stat *stats) {
  return stats->st_ctim.tv_sec < begun.tv_sec || (stats->st_ctim.tv_sec == begun.tv_sec && stats->st_ctim.tv_nsec <= begun.tv_nsec);
}

/* Where each folder was put at first: what is unchanged in a folder that was moved is new at its place. */
static struct place { unsigned long number, parent, name; } *places;
static long known, room_for;
static int bringing;

static unsigned long hash_of(const char *name) {
  unsigned long hash = 14695981039346656037ul;
  while (*name) hash = (hash ^ (unsigned char)*name++) * 1099511628211ul;
  return hash;
}

static void note_place(unsigned long number, unsigned long parent, const char *name) {
  if (known == room_for && !(places = realloc(places, (room_for = room_for ? 2 * room_for : 1024) * sizeof *places)))
    give_up("no memory to note", name);
  places[known++] = (struct place){ number, parent, hash_of(name) };
}

/* Numbers grow, and are not given twice. */
static int in_place(unsigned long number, unsigned long parent, const char *name) {
  for (long low = 0, high = known; low < high;) {
    long middle = (low + high) / 2;
    if (places[middle].number == number) return places[middle].parent == parent && places[middle].name == hash_of(name);
    if (places[middle].number < number) low = middle + 1; else high = middle;
  }
  return 0;
}

static unsigned long number_of(int folder) {
  struct stat stats;
  if (fstat(folder, &stats) != 0) give_up("cannot look at", "a folder");
  return stats.st_ino;
}

/* Makes \`to\` what \`from\` is. Sockets, pipes and devices stay behind. */
static void mirror_tree(int from, int to, int moved) {
  struct stat here, there;
  char *names = names_in(to);
  if (++deep > DEEPEST) errno = ELOOP, give_up("cannot copy", "folders so deep");
  for (char *name = names; *name; name += strlen(name) + 1)
    if (fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        (fstatat(from, name, &here, AT_SYMLINK_NOFOLLOW) != 0 || !same_kind(&here, &there))) take_away(to, name, &there);
  free(names);
  names = names_in(from);
  for (char *name = names; *name; name += strlen(name) + 1) {
    if (fstatat(from, name, &here, AT_SYMLINK_NOFOLLOW) != 0) give_up("cannot look at", name);
    int exists = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (S_ISDIR(here.st_mode)) {
      struct timespec times[2] = { here.st_atim, here.st_mtim };
      if (exists ? fchmodat(to, name, 0700, 0) != 0 : mkdirat(to, name, 0700) != 0) give_up("cannot make", name);
      int source = open_folder(from, name), copy = open_folder(to, name);
      if (bringing) note_place(number_of(copy), number_of(to), name);
      mirror_tree(source, copy, moved || !in_place(number_of(source), number_of(from), name));
      if (fchown(copy, uid, gid) != 0 && errno != EPERM) give_up("cannot give", name);
      futimens(copy, times);
      if (fchmod(copy, here.st_mode & 0777) != 0) give_up("cannot close", name);
      close(source), close(copy);
    } else if (S_ISREG(here.st_mode) || S_ISLNK(here.st_mode)) {
      if (exists && !moved && unchanged(&here)) continue;
      if (exists) take_away(to, name, &there);
      if (S_ISREG(here.st_mode)) copy_file(from, to, name, &here);
      else copy_link(from, to, name);
    }
  }
  free(names);
  deep--;
}

/* What lies at \`path\` in the root is copied into memory, and that takes its place. */
static void bring(const char *tag, const char *path) {
  struct stat stats;
  char place[64];
  snprintf(place, sizeof place, "/tree-%s", tag);
  mkdir(place, 0755);
  on("tmpfs", "tmpfs", place, MS_NOSUID | MS_NODEV, "size=85%,nr_inodes=0");
  int from = open_folder(AT_FDCWD, inside(path)), to = open_folder(AT_FDCWD, place);
  bringing = 1;
  mirror_tree(from, to, 0);
  bringing = 0;
  if (fstat(from, &stats) != 0 || fchown(to, uid, gid) != 0 || fchmod(to, stats.st_mode & 0777) != 0) give_up("cannot give", path);
  close(from), close(to);
  if (mount(place, inside(path), 0, MS_BIND, 0) != 0) give_up("cannot mount", path);
}

/* What changes from here on is the build's. Times come in steps of some milliseconds. */
static void start_count(void) {
  usleep(30000);
  clock_gettime(CLOCK_REALTIME_COARSE, &begun);
  usleep(30000);
}

static void give_back(const char *tag, const char *path) {
  char place[64], outside[64];
  snprintf(place, sizeof place, "/tree-%s", tag);
  snprintf(outside, sizeof outside, "/back-%s", tag);
  share(tag, outside, 1);
  int from = open_folder(AT_FDCWD, place), to = open_folder(AT_FDCWD, outside);
  mirror_tree(from, to, 0);
  close(from), close(to);
  umount2(outside, 0);
}
`;
