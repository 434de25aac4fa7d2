import {
  BORNE_BY_VARIABLES,
  each,
  indented,
  type Breaker,
  type Kitchen,
  type Section,
  type Step,
} from "../ingredient.ts";

const sections: readonly Section[] = [
  { name: "date-epoch", causes: ["clock"], body: 'echo "BUILD=$(date +%s)"' },
  { name: "date-utc", causes: ["clock"], body: 'echo ".TH TOOL 1 \\"$(LC_ALL=C date -u "+%d %B %Y")\\""' },
  { name: "date-local", causes: ["clock", "timezone"], body: 'echo "# created $(date +%Y-%m-%dT%H:%M%z)"' },
  { name: "date-in-words", causes: ["clock", "locale"], body: 'echo "Released $(date -u "+%A %e. %B")"' },
  { name: "date-hashed", causes: ["clock"], body: "date -u +%Y%m%d | sha256sum | cut -c1-12" },
  { name: "pwd", causes: ["path"], body: 'echo "prefix=$PWD/install"' },
  { name: "pwd-hashed", causes: ["path"], body: "pwd | md5sum | cut -c1-8" },
  { name: "ls-unsorted", causes: ["readdir-order"], body: "ls -U data" },
  { name: "find", causes: ["readdir-order"], body: "find data -type f" },
  { name: "find-concatenated", causes: ["readdir-order"], body: "find data -type f -exec cat {} + | cksum" },
  { name: "find-sorted", causes: [], body: "find data -type f | LC_ALL=C sort" },
  { name: "urandom", causes: ["random"], body: 'echo "secret=$(od -An -N8 -tx1 /dev/urandom | tr -d " ")"' },
  { name: "mktemp", causes: ["random"], body: 'folder=$(mktemp -d)\necho "# built in $folder"\nrmdir "$folder"' },
  // its generator mixes in what lay in its state
  { name: "shuf", causes: ["random"], also: ["uninitialised"], body: 'echo "port $(shuf -i 20000-60000 -n 1)"' },
  { name: "kernel-uuid", causes: ["random"], body: "cat /proc/sys/kernel/random/uuid" },
  { name: "pid", causes: ["pid"], body: 'echo "lock.$$"' },
  { name: "whoami", causes: ["user"], body: 'echo "by $(whoami)"' },
  { name: "id", causes: ["user"], body: "id -u" },
  { name: "home", causes: ["user"], body: 'echo "config=$HOME/.toolrc"' },
  { name: "umask", causes: ["umask"], body: "umask" },
  { name: "file-mode", causes: ["umask"], body: "echo x > made.txt\nstat -c %a made.txt" },
  { name: "uname-n", causes: ["hostname"], body: 'echo "host $(uname -n)"' },
  { name: "hostname-hashed", causes: ["hostname"], body: "uname -n | sha1sum | cut -c1-10" },
  { name: "sort", causes: ["locale"], body: 'printf "%s\\n" zebra tere Apple udu sild Zoo banana | sort' },
  { name: "sort-first", causes: ["locale"], body: 'echo "first: $(printf "%s\\n" Zoo apple tere | sort | head -n 1)"' },
  { name: "grouped", causes: ["locale"], body: '/usr/bin/printf "%.2f\\n" "$(LC_ALL=C expr 5)"' },
  { name: "date-of-source", causes: ["timezone"], body: 'date -d "@$SOURCE_DATE_EPOCH" "+%Y-%m-%d %H:%M"' },
  { name: "nproc", causes: ["cpu-count"], body: 'echo "MAKEFLAGS=-j$(nproc)"' },
  {
    name: "split-by-nproc",
    causes: ["cpu-count"],
    body: 'seq 1 40 > numbers\nsplit -n "l/$(nproc)" numbers chunk-\ncksum chunk-*',
  },
  { name: "uname-r", causes: ["kernel"], body: "uname -r" },
  { name: "meminfo", causes: ["memory"], body: 'sed -n "s/^MemTotal: *//p" /proc/meminfo' },
  { name: "stat-type", causes: ["filesystem"], body: "stat -f -c %T ." },
  { name: "folder-size", causes: ["filesystem"], body: "stat -c %s data" },
  {
    name: "columns",
    causes: ["terminal"],
    body: 'echo "one line that is folded where the terminal is said to end, wherever that may be on the day" | fold -s -w "${COLUMNS:-80}"',
  },
  {
    name: "environment",
    causes: ["environment"],
    also: BORNE_BY_VARIABLES,
    body: 'env | cut -d= -f1 | grep "^[A-Z]" | LC_ALL=C sort',
  },
  { name: "mail-address", causes: ["environment"], body: 'echo "Maintainer: ${EMAIL:-nobody}"' },
  {
    name: "abroad",
    causes: ["locale", "timezone"],
    joint: true,
    body: 'case "${LC_ALL:-C} $(date -d @1700000000 +%z)" in\nC*|*+0000) echo "paper=letter" ;;\n*) echo "paper=a4" ;;\nesac',
  },
];

export const shell: Kitchen = {
  language: "shell",
  tools: [],
  sections,
  steps: [],
  program: (chosen) => ({
    "generate.sh": `set -eu
${each(chosen, ({ body }, at) => `section_${at + 1}() {\n${indented(body)}\n}\n`)}
at=0
for name; do
  at=$((at + 1))
  "section_$at" >> "$name"
done
`,
  }),
  run: 'sh generate.sh "$@"',
};

/** What build scripts of any language do besides running its program. */
export const anySteps: readonly Step[] = [
  {
    name: "tar-times",
    causes: ["mtime"],
    output: "release.tar",
    lines:
      'mkdir -p release\necho one > release/one\necho two > release/two\nchmod -R u=rwX,go=rX release\ntar --sort=name --owner=0 --group=0 --numeric-owner -cf "$1" release',
  },
  {
    name: "tar-owner",
    causes: ["user"],
    output: "owned.tar.gz",
    lines:
      'mkdir -p owned\necho one > owned/one\nchmod -R u=rwX,go=rX owned\ntar --sort=name --mtime="@$SOURCE_DATE_EPOCH" -cf - owned | gzip -n > "$1"',
  },
  {
    name: "tar-modes",
    causes: ["umask"],
    output: "modes.tar",
    lines:
      'mkdir -p modes\necho one > modes/one\ntar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf "$1" modes',
  },
  {
    name: "tar-order",
    causes: ["readdir-order"],
    output: "data.tar.gz",
    lines:
      'tar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - data | gzip -n > "$1"',
  },
  {
    name: "tar-plain",
    causes: ["mtime", "user", "umask"],
    output: "plain.tgz",
    lines: 'mkdir -p plain\necho one > plain/one\ntar --sort=name -cf - plain | gzip -n > "$1"',
  },
  {
    name: "gzip-name",
    causes: ["mtime"],
    output: "manual.1.gz",
    lines: 'echo ".TH TOOL 1" > manual.1\ngzip -9 -c manual.1 > "$1"',
  },
  {
    name: "zip",
    causes: ["mtime", "timezone"],
    output: "assets.zip",
    tools: ["zip"],
    lines: 'mkdir -p assets\necho one > assets/one.css\nchmod 644 assets/one.css\nzip -q -X "$1" assets/one.css',
  },
  {
    name: "zip-local",
    causes: ["timezone"],
    output: "dated.zip",
    tools: ["zip"],
    lines:
      'mkdir -p dated-assets\necho one > dated-assets/one.css\nchmod 644 dated-assets/one.css\ntouch -d "@$SOURCE_DATE_EPOCH" dated-assets/one.css\nzip -q -X "$1" dated-assets/one.css',
  },
  {
    name: "stat-times",
    causes: ["mtime"],
    output: "index.txt",
    lines: 'echo body > page.html\necho "page.html $(stat -c %Y page.html)" > "$1"',
  },
  {
    name: "tar-of-everything-fixed",
    causes: [],
    output: "fixed.tar",
    lines:
      'mkdir -p fixed\necho one > fixed/one\ntar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf "$1" fixed data',
  },
  {
    name: "zip-of-everything-fixed",
    causes: [],
    output: "fixed.zip",
    tools: ["zip"],
    lines:
      'mkdir -p fixed-zip\necho one > fixed-zip/one\nchmod 644 fixed-zip/one\ntouch -d "@$SOURCE_DATE_EPOCH" fixed-zip/one\nTZ=UTC zip -q -X "$1" fixed-zip/one',
  },
  {
    name: "sorted-in-c",
    causes: [],
    output: "sorted.txt",
    lines: 'find data -type f | LC_ALL=C sort > "$1"',
  },
  {
    name: "workers-collected-in-order",
    causes: [],
    output: "collected.txt",
    lines:
      'for unit in core net text draw; do (echo "$unit" | tr a-z A-Z > "$unit.part") & done\nwait\ncat core.part net.part text.part draw.part > "$1"',
  },
  {
    name: "date-of-source-in-utc",
    causes: [],
    output: "released.txt",
    lines: 'LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" "+%A, %d %B %Y, %H:%M" > "$1"',
  },
  {
    name: "appended-by-two",
    causes: ["race"],
    also: ["cpu-count"],
    output: "appended.txt",
    lines:
      ': > "$1"\nset -- "$1" first second\n(sh -c "echo $2 part" >> "$1") &\n(sh -c "echo $3 part" >> "$1") &\nwait',
  },
  {
    name: "log-of-workers",
    causes: ["race"],
    also: ["cpu-count"],
    output: "modules.lst",
    lines:
      ': > "$1"\nfor unit in core net text draw; do (expr length "$unit" > "$unit.len"; echo "$unit $(cat "$unit.len")" >> "$1") & done\nwait',
  },
  {
    name: "make-without-dependency",
    causes: ["race"],
    also: ["cpu-count"],
    output: "config.out",
    tools: ["make"],
    files: {
      "race.mk":
        "all: config.h tool.o\n\t@cat tool.o config.h > config.out\nconfig.h:\n\t@sh -c 'echo \"#define FAST 1\" > config.h'\ntool.o:\n\t@sh -c 'if [ -e config.h ]; then echo fast; else echo slow; fi > tool.o'\n",
    },
    lines: 'rm -f config.h tool.o\nmake -s -f race.mk -j4\nmv config.out "$1"',
  },
  {
    name: "named-for-host",
    causes: ["hostname"],
    output: "notes.txt",
    lines: 'echo notes > "$(dirname "$1")/notes-$(uname -n).txt"',
  },
  {
    name: "named-for-day",
    causes: ["clock"],
    output: "nightly.txt",
    lines: 'echo nightly > "$(dirname "$1")/nightly-$(date -u +%Y%m%d).txt"',
  },
  {
    name: "only-in-parallel",
    causes: ["cpu-count"],
    output: "parallel.log",
    lines: 'if test "$(nproc)" -gt 1; then echo parallel > "$1"; fi',
  },
  {
    name: "git-describe",
    causes: ["vcs"],
    output: "VERSION",
    tools: ["git"],
    lines: 'echo "version $(git describe --always --dirty 2>/dev/null || echo unknown)" > "$1"',
  },
  {
    name: "git-count",
    causes: ["vcs"],
    output: "revision.h",
    tools: ["git"],
    lines:
      'if git rev-parse HEAD > /dev/null 2>&1; then echo "#define REVISION \\"git\\""; else echo "#define REVISION \\"tarball\\""; fi > "$1"',
  },
];

/** Builds that the canonical world lets through and the adversarial one does not. */
export const breakers: readonly Breaker[] = [
  {
    name: "certificate-expires",
    cause: "clock",
    lines:
      'booted=$(sed -n "s/^btime //p" /proc/stat)\nrunning=$(cut -d. -f1 /proc/uptime)\ntest "$(date +%s)" -lt "$((booted + running + 90 * 86400))"',
  },
  { name: "socket-path-too-long", cause: "path", lines: 'test "${#PWD}" -lt 40' },
  { name: "test-in-utc", cause: "timezone", lines: 'test "$(date -d @1700000000 +%H)" = 22' },
  { name: "test-of-point", cause: "locale", lines: 'test "$(/usr/bin/printf %.1f 1)" = 1.0' },
  { name: "uid-too-large", cause: "user", lines: 'test "$(id -u)" -lt 60000' },
  { name: "needs-two-cpus", cause: "cpu-count", lines: 'test "$(nproc)" -ge 2' },
  { name: "mode-is-checked", cause: "umask", lines: 'echo key > key.pem\ntest "$(stat -c %a key.pem)" = 644' },
  {
    name: "first-is-taken",
    cause: "readdir-order",
    lines: 'test "$(ls -U data | head -n 1)" = "$(ls data | LC_ALL=C sort | head -n 1)"',
  },
];
