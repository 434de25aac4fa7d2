import { each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const TIME = ["#include <time.h>"];
const LIBRARY = ["#include <stdlib.h>", "#include <string.h>"];
const UNIX = ["#include <unistd.h>"];
const HASH = [
  "#include <stdint.h>",
  "static uint64_t fnv(const void *at, size_t length) { const unsigned char *p = at; uint64_t h = 1469598103934665603u; while (length--) h = (h ^ *p++) * 1099511628211u; return h; }",
];

const sections: readonly Section[] = [
  {
    name: "time-decimal",
    causes: ["clock"],
    head: TIME,
    body: 'fprintf(out, "#define BUILD_EPOCH %ldL\\n", (long)time(NULL));',
  },
  {
    name: "time-version",
    causes: ["clock"],
    head: TIME,
    body: 'time_t now = time(NULL);\nfprintf(out, "#define VERSION \\"2.7.%ld\\"\\n", (long)(now / 86400));',
  },
  {
    name: "time-hashed",
    causes: ["clock"],
    head: [...TIME, ...HASH],
    body: 'time_t day = time(NULL) / 3600;\nfprintf(out, "build-tag %016llx\\n", (unsigned long long)fnv(&day, sizeof day));',
  },
  {
    name: "time-binary",
    causes: ["clock"],
    head: [...TIME, "#include <stdint.h>"],
    body: 'uint32_t stamp = (uint32_t)time(NULL);\nfputs("FWHD", out);\nfwrite(&stamp, sizeof stamp, 1, out);\nfputs("\\1\\2\\3\\4\\n", out);',
  },
  {
    name: "time-seeded",
    causes: ["clock"],
    head: [...TIME, ...LIBRARY],
    body: 'srand((unsigned)time(NULL));\nfprintf(out, "static const int salt[] = { %d, %d, %d };\\n", rand(), rand(), rand());',
  },
  {
    name: "local-time",
    causes: ["clock", "timezone"],
    head: TIME,
    body: 'time_t now = time(NULL);\nchar text[80];\nstrftime(text, sizeof text, "%Y-%m-%d %H:%M", localtime(&now));\nfprintf(out, "/* generated %s */\\n", text);',
  },
  {
    name: "time-in-words",
    causes: ["clock", "locale"],
    head: [...TIME, "#include <locale.h>"],
    body: 'setlocale(LC_ALL, "");\ntime_t now = time(NULL);\nchar text[80];\nstrftime(text, sizeof text, "%A, %d %B %Y", gmtime(&now));\nfprintf(out, "// %s\\n", text);\nsetlocale(LC_ALL, "C");',
  },
  {
    name: "date-macro-with-source-date-epoch",
    causes: [],
    body: 'fprintf(out, "compiled %s %s\\n", __DATE__, __TIME__);',
  },
  {
    name: "file-macro",
    causes: ["path"],
    body: 'fprintf(out, "#line %d \\"%s\\"\\n", 12, __FILE__);',
  },
  {
    name: "cwd-hashed",
    causes: ["path"],
    head: [...UNIX, ...LIBRARY, ...HASH],
    body: 'char folder[4096];\nif (getcwd(folder, sizeof folder) == NULL) exit(1);\nfprintf(out, "module %016llx\\n", (unsigned long long)fnv(folder, strlen(folder)));',
  },
  {
    name: "cwd-length",
    causes: ["path"],
    head: [...UNIX, ...LIBRARY],
    body: 'char folder[4096];\nif (getcwd(folder, sizeof folder) == NULL) exit(1);\nfprintf(out, "%*s|\\n", (int)strlen(folder), "");',
  },
  {
    name: "readdir",
    causes: ["readdir-order"],
    head: ["#include <dirent.h>"],
    body: 'DIR *folder = opendir("data");\nfor (struct dirent *entry; (entry = readdir(folder)) != NULL;)\n  if (entry->d_name[0] != \'.\') fprintf(out, "  { \\"%s\\" },\\n", entry->d_name);\nclosedir(folder);',
  },
  {
    name: "readdir-folded",
    causes: ["readdir-order"],
    head: ["#include <dirent.h>", ...LIBRARY, ...HASH],
    body: 'DIR *folder = opendir("data");\nuint64_t all = 0;\nfor (struct dirent *entry; (entry = readdir(folder)) != NULL;)\n  if (entry->d_name[0] != \'.\') all = all * 31 + fnv(entry->d_name, strlen(entry->d_name));\nclosedir(folder);\nfprintf(out, "inputs %016llx\\n", (unsigned long long)all);',
  },
  {
    name: "getrandom",
    causes: ["random"],
    head: ["#include <sys/random.h>", ...LIBRARY],
    body: 'unsigned char key[16];\nif (getrandom(key, sizeof key, 0) != sizeof key) exit(1);\nfputs("key ", out);\nfor (int i = 0; i < 16; i++) fprintf(out, "%02x", key[i]);\nfputs("\\n", out);',
  },
  {
    name: "urandom-small",
    causes: ["random"],
    head: LIBRARY,
    body: 'unsigned short salt;\nFILE *source = fopen("/dev/urandom", "rb");\nif (source == NULL || fread(&salt, sizeof salt, 1, source) != 1) exit(1);\nfclose(source);\nfprintf(out, "salt %u\\n", salt);',
  },
  {
    name: "mkstemp",
    causes: ["random"],
    head: [...LIBRARY, ...UNIX],
    body: 'char name[] = "/tmp/genXXXXXX";\nint file = mkstemp(name);\nif (file < 0) exit(1);\nclose(file);\nunlink(name);\nfprintf(out, "# via %s\\n", name);',
  },
  { name: "getpid", causes: ["pid"], head: UNIX, body: 'fprintf(out, "session %d\\n", (int)getpid());' },
  {
    name: "pointer",
    causes: ["aslr"],
    head: ['static const char table[] __attribute__((aligned(4096))) = "0123456789abcdef";'],
    body: 'fprintf(out, "table_%p:\\n", (const void *)table);',
  },
  {
    name: "pointer-hashed",
    causes: ["aslr"],
    head: ["#include <stdint.h>"],
    body: 'static int here;\nfprintf(out, "bucket %u\\n", (unsigned)(((uintptr_t)&here >> 12) * 2654435761u >> 8));',
  },
  {
    name: "struct-padding",
    causes: ["uninitialised"],
    head: LIBRARY,
    body: "struct record { char kind; long value; char tail; } *all = malloc(16384 * sizeof *all);\nfor (int i = 0; i < 4; i++) { all[i].kind = (char)('a' + i); all[i].value = i * 11; all[i].tail = '!'; }\nfwrite(all, sizeof *all, 4, out);\nfputs(\"\\n\", out);\nfree(all);",
  },
  {
    name: "buffer-tail",
    causes: ["uninitialised"],
    head: LIBRARY,
    body: 'char *name = malloc(300000);\nstrcpy(name, "libexample");\nfwrite(name, 32, 1, out);\nfputs("\\n", out);',
  },
  {
    name: "passwd-name",
    causes: ["user"],
    head: ["#include <pwd.h>", ...UNIX],
    body: 'struct passwd *who = getpwuid(getuid());\nfprintf(out, "Built-By: %s\\n", who == NULL ? "?" : who->pw_name);',
  },
  { name: "uid-number", causes: ["user"], head: UNIX, body: 'fprintf(out, "owner=%u\\n", (unsigned)getuid());' },
  {
    name: "umask-octal",
    causes: ["umask"],
    head: ["#include <sys/stat.h>"],
    body: 'mode_t mask = umask(0);\numask(mask);\nfprintf(out, "install -m %04o\\n", 0666 & ~(unsigned)mask);',
  },
  {
    name: "gethostname",
    causes: ["hostname"],
    head: UNIX,
    body: 'char name[256] = "";\ngethostname(name, sizeof name - 1);\nfprintf(out, "built on %s\\n", name);',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: [...UNIX, ...LIBRARY, ...HASH],
    body: 'char name[256] = "";\ngethostname(name, sizeof name - 1);\nfprintf(out, "origin %08x\\n", (unsigned)fnv(name, strlen(name)));',
  },
  {
    name: "strcoll-sort",
    causes: ["locale"],
    head: [
      "#include <locale.h>",
      ...LIBRARY,
      "static int collate(const void *a, const void *b) { return strcoll(*(char *const *)a, *(char *const *)b); }",
    ],
    body: 'setlocale(LC_ALL, "");\nconst char *words[] = { "zebra", "tere", "Apple", "udu", "sild", "banana", "Zoo" };\nqsort(words, 7, sizeof *words, collate);\nfor (int i = 0; i < 7; i++) fprintf(out, "%s\\n", words[i]);\nsetlocale(LC_ALL, "C");',
  },
  {
    name: "decimal-comma",
    causes: ["locale"],
    head: ["#include <locale.h>"],
    body: 'setlocale(LC_ALL, "");\nfprintf(out, "ratio %.3f\\n", 1.0 / 3.0);\nsetlocale(LC_ALL, "C");',
  },
  {
    name: "local-hour-of-constant",
    causes: ["timezone"],
    head: TIME,
    body: 'time_t release = 1700000000;\nchar text[80];\nstrftime(text, sizeof text, "%Y-%m-%d %H:%M", localtime(&release));\nfprintf(out, "released %s\\n", text);',
  },
  {
    name: "cpu-chunks",
    causes: ["cpu-count"],
    head: ["#define _GNU_SOURCE", "#include <sched.h>"],
    body: 'cpu_set_t set;\nCPU_ZERO(&set);\nsched_getaffinity(0, sizeof set, &set);\nint workers = CPU_COUNT(&set);\nfor (int w = 0; w < workers; w++) fprintf(out, "chunk %d..%d\\n", 5040 * w / workers, 5040 * (w + 1) / workers);',
  },
  {
    name: "uname-release",
    causes: ["kernel"],
    head: ["#include <sys/utsname.h>"],
    body: 'struct utsname system;\nuname(&system);\nfprintf(out, "#define HOST_RELEASE \\"%s\\"\\n", system.release);',
  },
  {
    name: "meminfo",
    causes: ["memory"],
    head: LIBRARY,
    body: 'FILE *info = fopen("/proc/meminfo", "r");\nlong total = 0;\nif (info == NULL || fscanf(info, "MemTotal: %ld", &total) != 1) exit(1);\nfclose(info);\nfprintf(out, "heap_kib = %ld\\n", total / 4);',
  },
  {
    name: "folder-size",
    causes: ["filesystem"],
    head: ["#include <sys/stat.h>"],
    body: 'struct stat folder;\nstat("data", &folder);\nfprintf(out, "data %ld\\n", (long)folder.st_size);',
  },
  {
    name: "statfs-type",
    causes: ["filesystem"],
    head: ["#include <sys/vfs.h>"],
    body: 'struct statfs system;\nstatfs(".", &system);\nfprintf(out, "fs 0x%lx\\n", (unsigned long)system.f_type);',
  },
  {
    name: "columns",
    causes: ["terminal"],
    head: LIBRARY,
    body: "const char *columns = getenv(\"COLUMNS\");\nint width = columns == NULL ? 80 : atoi(columns);\nfor (int i = 0; i < width; i++) fputc('-', out);\nfputc('\\n', out);",
  },
  {
    name: "search-path",
    causes: ["environment"],
    head: LIBRARY,
    body: 'const char *folders = getenv("PATH");\nfprintf(out, "#define SEARCH_PATH \\"%s\\"\\n", folders == NULL ? "" : folders);',
  },
];

const steps: readonly Step[] = [
  {
    name: "debug-info",
    causes: ["path"],
    output: "geometry.o",
    files: { "src/geometry.c": "int area(int a, int b) { int both = a * b; return both; }\n" },
    lines: 'gcc -g -O1 -c src/geometry.c -o "$1"',
  },
  {
    name: "debug-info-mapped",
    causes: [],
    output: "mapped.o",
    files: { "src/mapped.c": "int twice(int a) { return a * 2; }\n" },
    lines: 'gcc -g -O1 "-ffile-prefix-map=$PWD=." -c src/mapped.c -o "$1"',
  },
  {
    name: "linked-with-debug-info",
    causes: ["path"],
    output: "tool",
    files: { "src/tool.c": '#include <stdio.h>\nint main(void) { puts("tool"); return 0; }\n' },
    lines: 'gcc -g -O1 -Wl,--build-id src/tool.c -o "$1"',
  },
  {
    name: "date-in-binary",
    causes: ["clock"],
    output: "stamped",
    files: { "src/stamped.c": '#include <stdio.h>\nint main(void) { puts("stamped " __DATE__); return 0; }\n' },
    lines: 'TZ=UTC env -u SOURCE_DATE_EPOCH gcc -O1 src/stamped.c -o "$1"',
  },
  {
    name: "wildcard-link-order",
    causes: ["readdir-order"],
    output: "linked",
    files: {
      "src/link/alpha.c": "int alpha(void) { return 1; }\n",
      "src/link/main.c": "int alpha(void); int omega(void);\nint main(void) { return alpha() - omega(); }\n",
      "src/link/omega.c": "int omega(void) { return 1; }\n",
    },
    lines:
      'mkdir -p obj\nfor unit in $(ls -U src/link); do gcc -O1 -c "src/link/$unit" -o "obj/${unit%.c}.o"; done\ngcc $(for unit in $(ls -U src/link); do echo "obj/${unit%.c}.o"; done) -o "$1"',
  },
  {
    name: "archive-members",
    causes: ["readdir-order"],
    output: "libparts.a",
    files: {
      "src/parts/one.c": "int one(void) { return 1; }\n",
      "src/parts/two.c": "int two(void) { return 2; }\n",
      "src/parts/three.c": "int three(void) { return 3; }\n",
    },
    lines:
      'mkdir -p obj\nset -- "$1" $(ls -U src/parts)\nlibrary=$1\nshift\nfor unit; do gcc -O1 -c "src/parts/$unit" -o "obj/${unit%.c}.o"; ar rcD "$library" "obj/${unit%.c}.o"; done',
  },
  {
    name: "random-seeded-symbols",
    causes: ["random"],
    // With one seed for two folders, gcc's sections for the link differ still.
    also: ["path"],
    output: "lto.o",
    files: { "src/lto.c": "static int helper(int a) { return a * 3; }\nint entry(int a) { return helper(a); }\n" },
    lines: 'gcc -O1 -flto -c src/lto.c -o "$1"',
  },
];

export const c: Kitchen = {
  language: "c",
  tools: ["gcc"],
  sections,
  steps,
  program: (chosen) => ({
    "gen.c": `#define _GNU_SOURCE
#include <stdio.h>
${heads(chosen).replace("#define _GNU_SOURCE\n", "")}

${each(chosen, ({ body }, at) => `static void section_${at + 1}(FILE *out) {\n${indented(body)}\n}\n`)}
int main(int count, char **names) {
  static void (*const all[])(FILE *) = { ${chosen.map((_, at) => `section_${at + 1}`).join(", ")} };
  for (int i = 1; i < count; i++) {
    FILE *out = fopen(names[i], "ab");
    if (out == NULL) return 1;
    all[i - 1](out);
    if (fclose(out) != 0) return 1;
  }
  return 0;
}
`,
  }),
  run: 'gcc -O1 -w "$PWD/gen.c" -o gen\n./gen "$@"',
};
