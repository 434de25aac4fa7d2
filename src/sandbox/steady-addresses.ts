/**
 * The part of the preloaded library that keeps memory addresses from following
 * the lengths of paths, under a held clock and for the few programs that make
 * randomness of them. Needs what `clock-shift.ts` defines before it.
 *
 * Without randomisation, memory lies where what was allocated before leaves it,
 * and that is arguments, variables and the build path. OpenSSL mixes the address
 * of its generator into what it draws (node's UUIDs and its generator, too), and
 * mktemp(1) that of a variable: the path would be blamed for their randomness.
 * So small pieces of the former's memory are all of one size, and the stack of
 * the latter begins at a round address.
 */
export const STEADY_ADDRESSES = `
void *malloc(unsigned long size) {
  static void *(*next)(unsigned long);
  if (next == 0) next = (void *(*)(unsigned long))dlsym((void *)-1L, "malloc");
  return next(size < 512 && settings.draws ? 512 : size);
}

static int (*program)(int, char **, char **);

static __attribute__((noinline)) int lower(int many, char **arguments, char **variables) {
  volatile char *below = __builtin_alloca(16 + ((unsigned long)__builtin_frame_address(0) & 0x1ffff));
  below[0] = 0;
  return program(many, arguments, variables);
}

int __libc_start_main(int (*main)(int, char **, char **), int many, char **arguments, void *a, void *b, void *c, void *d) {
  NEXT("__libc_start_main", int, int (*)(int, char **, char **), int, char **, void *, void *, void *, void *);
  configure();
  program = main;
  return next(settings.holds && settings.names ? lower : main, many, arguments, a, b, c, d);
}
`;
