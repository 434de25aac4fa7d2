/**
 * The part of the preloaded library that makes names of temporary files. Needs
 * what `clock-shift.ts` defines before it.
 *
 * The C library makes them of the monotonic clock's nanoseconds, which nothing
 * holds. Here they come from getrandom(2), as the manual has it: so what a world
 * does to random numbers it does to these names. mktemp(1) brings the C
 * library's code of old with it, and asks the monotonic clock for nothing else:
 * to it alone that clock is random.
 *
 * mkstemp(3) with its kin, and mkdtemp(3); tmpnam(3) and tempnam(3) draw by themselves.
 */
export const TEMPORARY_NAMES = `
static int drawn(char *name, int behind, int flags, int folder) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  long length, at, tries, made, before = *__errno_location();
  unsigned long value;
  char *six;
  for (length = 0; name[length]; length++);
  six = name + length - behind - 6;
  for (at = 0; at < 6; at++) {
    if (behind < 0 || length - behind < 6 || six[at] != 'X') return *__errno_location() = 22, -1;
  }
  for (tries = 0; tries < 238328; tries++) {
    if (kernel(GETRANDOM, &value, sizeof value, 0) != sizeof value) return -1;
    for (at = 0; at < 6; at++, value /= 62) six[at] = letters[value % 62];
    made = folder ? mkdir(name, 0700) : open(name, (flags & ~3) | 0302, 0600);
    if (made >= 0) return *__errno_location() = before, (int)made;
    if (*__errno_location() != 17) return -1;
  }
  return -1;
}

int mkostemps(char *name, int behind, int flags) { return drawn(name, behind, flags, 0); }
int mkostemp(char *name, int flags) { return drawn(name, 0, flags, 0); }
int mkstemps(char *name, int behind) { return drawn(name, behind, 0, 0); }
int mkstemp(char *name) { return drawn(name, 0, 0, 0); }
char *mkdtemp(char *name) { return drawn(name, 0, 0, 1) < 0 ? 0 : name; }
int mkostemps64(char *, int, int) ALSO(mkostemps);
int mkostemp64(char *, int) ALSO(mkostemp);
int mkstemps64(char *, int) ALSO(mkstemps);
int mkstemp64(char *) ALSO(mkstemp);
`;
