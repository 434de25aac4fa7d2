import { each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const using = (...packages: string[]): string[] => packages.map((name) => `import "${name}"`);

const sections: readonly Section[] = [
  {
    name: "unix-time",
    causes: ["clock"],
    head: using("time"),
    body: 'fmt.Fprintf(out, "const BuildTime = %d\\n", time.Now().Unix())',
  },
  {
    name: "utc-date",
    causes: ["clock"],
    head: using("time"),
    body: 'fmt.Fprintf(out, "// generated on %s\\n", time.Now().UTC().Format("2 January 2006"))',
  },
  {
    name: "local-time",
    causes: ["clock", "timezone"],
    head: using("time"),
    body: 'fmt.Fprintf(out, "// %s\\n", time.Now().Format(time.RFC1123Z))',
  },
  {
    name: "time-hashed",
    causes: ["clock"],
    head: using("crypto/sha256", "time"),
    body: 'fmt.Fprintf(out, "rev %x\\n", sha256.Sum256([]byte(time.Now().UTC().Format("2006-01-02"))))',
  },
  {
    name: "working-folder",
    causes: ["path"],
    head: using("os"),
    body: 'folder, _ := os.Getwd()\nfmt.Fprintf(out, "root: %s\\n", folder)',
  },
  {
    name: "caller",
    causes: ["path"],
    head: using("runtime"),
    body: '_, file, line, _ := runtime.Caller(0)\nfmt.Fprintf(out, "// %s:%d\\n", file, line)',
  },
  {
    name: "folder-hashed",
    causes: ["path"],
    head: using("hash/crc32", "os"),
    body: 'folder, _ := os.Getwd()\nfmt.Fprintf(out, "id %08x\\n", crc32.ChecksumIEEE([]byte(folder)))',
  },
  {
    name: "readdirnames",
    causes: ["readdir-order"],
    head: using("os"),
    body: 'folder, _ := os.Open("data")\nnames, _ := folder.Readdirnames(-1)\nfor _, name := range names {\n\tfmt.Fprintln(out, name)\n}',
  },
  {
    name: "readdir-sorted-by-go",
    causes: [],
    head: using("os"),
    body: 'entries, _ := os.ReadDir("data")\nfor _, entry := range entries {\n\tfmt.Fprintln(out, entry.Name())\n}',
  },
  {
    name: "map-range",
    causes: ["hash-order"],
    body: 'for name, port := range map[string]int{"http": 80, "https": 443, "ssh": 22, "smtp": 25, "dns": 53, "ntp": 123, "imap": 143, "ldap": 389, "ftp": 21, "irc": 194, "nfs": 2049} {\n\tfmt.Fprintf(out, "%s=%d\\n", name, port)\n}',
  },
  {
    name: "map-first",
    causes: ["hash-order"],
    toldAs: "random",
    body: 'for name := range map[string]bool{"ada": true, "bob": true, "cyd": true, "dan": true, "eve": true, "fay": true, "gus": true, "hal": true, "ida": true, "jon": true} {\n\tfmt.Fprintf(out, "default %s\\n", name)\n\tbreak\n}',
  },
  { name: "map-printed", causes: [], body: 'fmt.Fprintln(out, map[string]int{"b": 2, "a": 1, "c": 3})' },
  {
    name: "crypto-rand",
    causes: ["random"],
    head: using("crypto/rand"),
    body: 'nonce := make([]byte, 12)\nrand.Read(nonce)\nfmt.Fprintf(out, "nonce %x\\n", nonce)',
  },
  {
    name: "temporary-folder",
    causes: ["random"],
    head: using("os"),
    body: 'folder, _ := os.MkdirTemp("", "go-gen")\nfmt.Fprintf(out, "// from %s\\n", folder)\nos.Remove(folder)',
  },
  // how many threads the compiler has had before depends on the CPUs
  {
    name: "pid",
    causes: ["pid"],
    also: ["cpu-count"],
    head: using("os"),
    body: 'fmt.Fprintf(out, "gen-%d\\n", os.Getpid())',
  },
  {
    name: "uid",
    causes: ["user"],
    head: using("os"),
    body: 'fmt.Fprintf(out, "uid %d gid %d\\n", os.Getuid(), os.Getgid())',
  },
  {
    name: "home",
    causes: ["user"],
    head: using("os"),
    body: 'home, _ := os.UserHomeDir()\nfmt.Fprintf(out, "GOPATH=%s/go\\n", home)',
  },
  {
    name: "umask",
    causes: ["umask"],
    head: using("syscall"),
    body: 'mask := syscall.Umask(0)\nsyscall.Umask(mask)\nfmt.Fprintf(out, "%#o\\n", 0o666&^mask)',
  },
  {
    name: "hostname",
    causes: ["hostname"],
    head: using("os"),
    body: 'name, _ := os.Hostname()\nfmt.Fprintf(out, "BuildHost = %q\\n", name)',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: using("crypto/md5", "os"),
    body: 'name, _ := os.Hostname()\nfmt.Fprintf(out, "node-%x\\n", md5.Sum([]byte(name)))',
  },
  {
    name: "local-time-of-constant",
    causes: ["timezone"],
    head: using("time"),
    body: 'fmt.Fprintln(out, time.Unix(1700000000, 0).Format("2006-01-02T15:04"))',
  },
  {
    name: "cpus",
    causes: ["cpu-count"],
    head: using("runtime"),
    body: 'for worker := 0; worker < runtime.NumCPU(); worker++ {\n\tfmt.Fprintf(out, "part-%02d\\n", worker)\n}',
  },
  {
    name: "uname",
    causes: ["kernel"],
    head: using("syscall"),
    body: 'var system syscall.Utsname\nsyscall.Uname(&system)\nfor _, letter := range system.Release {\n\tif letter == 0 {\n\t\tbreak\n\t}\n\tfmt.Fprintf(out, "%c", byte(letter))\n}\nfmt.Fprintln(out)',
  },
  {
    name: "meminfo",
    causes: ["memory"],
    head: using("os", "strings"),
    body: 'info, _ := os.ReadFile("/proc/meminfo")\nfmt.Fprintf(out, "ram %s\\n", strings.Fields(string(info))[1])',
  },
  {
    name: "folder-size",
    causes: ["filesystem"],
    head: using("os"),
    body: 'folder, _ := os.Stat("data")\nfmt.Fprintf(out, "%d\\n", folder.Size())',
  },
  {
    name: "columns",
    causes: ["terminal"],
    head: using("os"),
    body: 'fmt.Fprintf(out, "width %s\\n", os.Getenv("COLUMNS"))',
  },
  {
    name: "editor",
    causes: ["environment"],
    head: using("os"),
    body: 'fmt.Fprintf(out, "core.editor=%s\\n", os.Getenv("EDITOR"))',
  },
  {
    name: "locale-name",
    causes: ["locale"],
    head: using("os", "strings"),
    body: 'language := strings.Split(os.Getenv("LC_ALL"), "_")[0]\nfmt.Fprintf(out, "messages/%s.json\\n", strings.ToLower(language))',
  },
  {
    name: "abroad",
    causes: ["locale", "timezone"],
    joint: true,
    head: using("os", "strings", "time"),
    body: '_, offset := time.Unix(1700000000, 0).Zone()\nif offset != 0 && !strings.HasPrefix(os.Getenv("LC_ALL"), "C") {\n\tfmt.Fprintln(out, "region=local")\n} else {\n\tfmt.Fprintln(out, "region=none")\n}',
  },
];

const steps: readonly Step[] = [
  {
    name: "binary-with-path",
    causes: ["path"],
    output: "tiny",
    files: { "tiny/main.go": 'package main\n\nfunc main() { print("tiny\\n") }\n' },
    lines: '(cd tiny && go build -buildvcs=false -o ../tiny.bin main.go)\nmv tiny.bin "$1"',
  },
  {
    name: "linked-time",
    causes: ["clock"],
    output: "dated",
    files: { "dated/main.go": "package main\n\nvar when string\n\nfunc main() { print(when) }\n" },
    lines:
      '(cd dated && go build -buildvcs=false -ldflags "-s -w -X main.when=$(date -u +%Y%m%dT%H%M)" -o ../dated.bin main.go)\ngo tool buildid dated.bin > /dev/null\nstrings dated.bin | grep -o "[0-9]\\{8\\}T[0-9]\\{4\\}" > "$1"',
    tools: ["strings"],
  },
];

export const go: Kitchen = {
  language: "go",
  tools: ["go"],
  sections,
  steps,
  program: (chosen) => ({
    "generate.go": `package main

import "fmt"
import "io"
import "os"
${heads(chosen).replace(/^import "os"\n?/m, "")}

${each(chosen, ({ body }, at) => `func section${at + 1}(out io.Writer) {\n${indented(body, "\t")}\n}\n`)}
func main() {
	for at, section := range []func(io.Writer){${chosen.map((_, at) => `section${at + 1}`).join(", ")}} {
		out, err := os.OpenFile(os.Args[at+1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			panic(err)
		}
		section(out)
		out.Close()
	}
}
`,
  }),
  run: 'go build -o generate "$PWD/generate.go"\n./generate "$@"',
};
