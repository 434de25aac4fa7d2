import { BORNE_BY_VARIABLES, each, heads, indented, type Kitchen, type Section } from "../ingredient.ts";

const POSIX = ["use POSIX qw(strftime setlocale LC_ALL uname);"];
const MD5 = ["use Digest::MD5 qw(md5_hex);"];

const sections: readonly Section[] = [
  { name: "time", causes: ["clock"], body: 'print $out "our \\$BUILT = ", time, ";\\n";' },
  { name: "gmtime", causes: ["clock"], body: 'print $out "=head1 ", scalar(gmtime), "\\n";' },
  { name: "localtime", causes: ["clock", "timezone"], body: 'print $out "# ", scalar(localtime), "\\n";' },
  { name: "time-hashed", causes: ["clock"], head: MD5, body: 'print $out md5_hex(int(time / 3600)), "\\n";' },
  {
    name: "time-seeded",
    causes: ["clock"],
    body: 'srand(time);\nprint $out "order ", join(" ", map { int rand 1000 } 1 .. 5), "\\n";\nsrand;',
  },
  {
    name: "time-in-words",
    causes: ["clock", "locale"],
    head: POSIX,
    body: 'setlocale(LC_ALL, "");\nprint $out strftime("%A %d %B", gmtime), "\\n";\nsetlocale(LC_ALL, "C");',
  },
  { name: "cwd", causes: ["path"], head: ["use Cwd;"], body: 'print $out "installed from ", getcwd, "\\n";' },
  { name: "file-name", causes: ["path"], body: 'print $out "#line 1 ", __FILE__, "\\n";' },
  {
    name: "cwd-hashed",
    causes: ["path"],
    head: ["use Cwd;", ...MD5],
    body: 'print $out substr(md5_hex(getcwd), 0, 12), "\\n";',
  },
  {
    name: "readdir",
    causes: ["readdir-order"],
    body: 'opendir my $folder, "data" or die;\nprint $out "$_\\n" for grep { !/^\\./ } readdir $folder;',
  },
  {
    name: "keys",
    causes: ["hash-order"],
    body: 'my %of = (red => 1, green => 2, blue => 3, cyan => 4, pink => 5, gold => 6, grey => 7, teal => 8);\nprint $out "$_ $of{$_}\\n" for keys %of;',
  },
  {
    name: "dumper",
    causes: ["hash-order"],
    head: ["use Data::Dumper;"],
    body: 'print $out Dumper({ name => "x", version => 1, author => "y", license => "z", abstract => "w", requires => {}, build => [] });',
  },
  {
    name: "each-first",
    causes: ["hash-order"],
    body: 'my %all = map { $_ => 1 } "a" .. "z";\nmy ($first) = %all;\nprint $out "default=$first\\n";',
  },
  {
    name: "sorted-keys",
    causes: [],
    body: 'my %of = (red => 1, green => 2, blue => 3);\nprint $out "$_\\n" for sort keys %of;',
  },
  { name: "rand", causes: ["random"], body: 'print $out "id ", int(rand 1e9), "\\n";' },
  {
    name: "tempfile",
    causes: ["random"],
    head: ["use File::Temp qw(tempfile);"],
    body: 'my (undef, $name) = tempfile(UNLINK => 1);\nprint $out "# $name\\n";',
  },
  {
    name: "urandom",
    causes: ["random"],
    body: 'open my $source, "<:raw", "/dev/urandom" or die;\nread $source, my $bytes, 6;\nprint $out unpack("H*", $bytes), "\\n";',
  },
  { name: "pid", causes: ["pid"], body: 'print $out "tmp.$$\\n";' },
  // without randomisation the address is what was allocated before, which all variables have a part in
  {
    name: "reference",
    causes: ["aslr"],
    also: [...BORNE_BY_VARIABLES, "environment", "locale", "path", "user"],
    body: 'print $out "object ", {}, "\\n";',
  },
  { name: "user", causes: ["user"], body: 'print $out "packager: ", (getpwuid($<))[0], "\\n";' },
  { name: "full-name", causes: ["user"], body: 'print $out "by ", (split /,/, (getpwuid($<))[6])[0], "\\n";' },
  { name: "umask", causes: ["umask"], body: 'printf $out "%04o\\n", 0777 & ~umask;' },
  {
    name: "hostname",
    causes: ["hostname"],
    head: ["use Sys::Hostname;"],
    body: 'print $out "myhostname=\'", hostname, "\'\\n";',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: ["use Sys::Hostname;", ...MD5],
    body: 'print $out md5_hex(hostname), "\\n";',
  },
  {
    name: "locale-sort",
    causes: ["locale"],
    head: POSIX,
    body: 'setlocale(LC_ALL, "");\nuse locale;\nprint $out join(" ", sort qw(zebra tere apple udu sild zoo)), "\\n";\nsetlocale(LC_ALL, "C");',
  },
  {
    name: "decimal-comma",
    causes: ["locale"],
    head: POSIX,
    body: 'setlocale(LC_ALL, "");\nuse locale;\nprintf $out "%.2f\\n", 2.5;\nsetlocale(LC_ALL, "C");',
  },
  {
    name: "local-time-of-constant",
    causes: ["timezone"],
    body: 'print $out "since ", scalar(localtime 1_700_000_000), "\\n";',
  },
  {
    name: "nproc",
    causes: ["cpu-count"],
    body: 'my $jobs = `nproc`;\nchomp $jobs;\nprint $out "part $_\\n" for 1 .. $jobs;',
  },
  { name: "uname", causes: ["kernel"], head: POSIX, body: 'print $out "osvers=", (uname)[2], "\\n";' },
  {
    name: "meminfo",
    causes: ["memory"],
    body: 'open my $info, "<", "/proc/meminfo" or die;\nprint $out "mem ", (split " ", <$info>)[1], "\\n";',
  },
  { name: "folder-size", causes: ["filesystem"], body: 'print $out "data ", (stat "data")[7], "\\n";' },
  { name: "columns", causes: ["terminal"], body: 'print $out "-" x ($ENV{COLUMNS} || 80), "\\n";' },
  {
    name: "environment",
    causes: ["environment"],
    also: BORNE_BY_VARIABLES,
    body: 'print $out join(":", sort keys %ENV), "\\n";',
  },
];

export const perl: Kitchen = {
  language: "perl",
  tools: ["perl"],
  sections,
  steps: [],
  program: (chosen) => ({
    "generate.pl": `use strict;
use warnings;
${heads(chosen)}

${each(chosen, ({ body }, at) => `sub section_${at + 1} {\n  my ($out) = @_;\n${indented(body)}\n}\n`)}
my @sections = (${chosen.map((_, at) => `\\&section_${at + 1}`).join(", ")});
for my $at (0 .. $#sections) {
  open my $out, ">>", $ARGV[$at] or die;
  $sections[$at]->($out);
  close $out or die;
}
`,
  }),
  run: 'perl "$PWD/generate.pl" "$@"',
};
