/** What each remedy changes in a project's own lines, and what it leaves alone. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { CauseName } from "../../world.ts";
import type { Cause } from "../cause.ts";
import { inSequence, withEdits, without, type Edit } from "./edit.ts";
import { type Project, scriptsOf } from "./project.ts";
import { remedies } from "./remedies.ts";

const SDE = "${SOURCE_DATE_EPOCH:-$(date +%s)}";
const MAKE_SDE = SDE.replaceAll("$", "$$$$");

function projectOf(
  command: string,
  files: Readonly<Record<string, string>> = {},
  more: Partial<Project> = {},
): Project {
  const texts = { env: {}, command, files: new Map(Object.entries(files)) };
  const scripts = scriptsOf(texts, ".");
  return { name: "thing", ecosystem: undefined, directory: ".", ...texts, scripts, ...more };
}

const cause = (name: CauseName, artifact = "out"): Cause => ({
  name,
  artifact,
  leaf: [],
  offset: 0,
  evidence: { a: "", b: "" },
  confidence: "certain",
  remedy: "",
});

function proposed(name: string, project: Project, causes: readonly Cause[] = []): Edit[] {
  const remedy = remedies.find((one) => one.name === name);
  assert.ok(remedy !== undefined, name);
  return inSequence(remedy.propose(project, causes));
}

/** What a remedy makes of a recipe's command. */
const command = (name: string, before: string): string => {
  const project = projectOf(before);
  return withEdits(project, proposed(name, project)).command;
};

/** What a remedy makes of a file. */
function file(name: string, path: string, before: string, run = `run ${path}`): string {
  const project = projectOf(run, { [path]: before });
  return withEdits(project, proposed(name, project)).files.get(path) ?? "";
}

const COMMANDS: readonly [remedy: string, before: string, after: string][] = [
  ["date-command", "echo $(date) > out", `echo $(date -u -d "@${SDE}") > out`],
  ["date-command", "date +%F > out; x=`date -u`", `date -u -d "@${SDE}" +%F > out; x=\`date -d "@${SDE}" -u\``],
  [
    "date-command",
    "date -d @5 > out # date\necho date 'date' \"date\"",
    "date -d @5 > out # date\necho date 'date' \"date\"",
  ],
  ["date-command", "cat <<E\ndate\n$(date)\nE\ndate>x", `cat <<E\ndate\n$(date)\nE\ndate -u -d "@${SDE}">x`],
  ["tar-order", "tar czf out.tgz src", "tar czf out.tgz --sort=name src"],
  ["tar-order", "tar -czf out.tgz src && tar xf a", "tar --sort=name -czf out.tgz src && tar xf a"],
  ["tar-order", "tar --sort=name -cf x y", "tar --sort=name -cf x y"],
  ["tar-owner", "cd a; tar cf - . | gzip > x", "cd a; tar cf - --owner=0 --group=0 --numeric-owner . | gzip > x"],
  ["tar-mode", "tar --create --file x y", "tar --mode=go=rX,u+rw,a-s --create --file x y"],
  ["tar-times", "tar -C d -cf x .", `tar --mtime="@${SDE}" --clamp-mtime -C d -cf x .`],
  ["gzip-n", "gzip -9 x && gunzip y; gzip -dc z; gzip -9n q", "gzip -n -9 x && gunzip y; gzip -dc z; gzip -9n q"],
  ["zip-times", "zip -qr out.zip a b", `find a b -exec touch -h -d "@${SDE}" {} + && TZ=UTC zip -X -qr out.zip a b`],
  ["zip-order", "zip -qr out.zip a b", "find a b | LC_ALL=C sort | zip -qr out.zip -@"],
  ["sorted-find", "find . -name '*.c' | xargs cat > out", "find . -name '*.c' | LC_ALL=C sort | xargs cat > out"],
  ["sorted-find", "for f in $(find a); do echo $f; done", "for f in $(find a | LC_ALL=C sort); do echo $f; done"],
  [
    "sorted-find",
    "find . -print0 | xargs -0 rm; find . -delete",
    "find . -print0 | LC_ALL=C sort -z | xargs -0 rm; find . -delete",
  ],
  ["sorted-find", "find a | sort > x; ls -1U d > y; ls -f", "find a | sort > x; ls -1 d > y; ls -1"],
  ["byte-sort", "sort x | uniq > y; LC_ALL=C sort z", "LC_ALL=C sort x | LC_ALL=C uniq > y; LC_ALL=C sort z"],
  ["constant-hostname", 'echo "on $(hostname)" `uname -n` > out', 'echo "on $(echo localhost)" `echo localhost` > out'],
  [
    "constant-user",
    "whoami > out; echo $USER ${USER} '$USER' $USERNAME",
    "echo nobody > out; echo nobody nobody '$USER' $USERNAME",
  ],
  ["constant-pid", 'echo "$$ \\$$" > x.$$', 'echo "0 \\$$" > x.$$'],
  ["relative-path", 'echo "$PWD/x" $(pwd) > out; cd $PWD', 'echo "./x" $(echo .) > out; cd $PWD'],
  ["zero-device", "head -c 8 /dev/urandom > out # /dev/random", "head -c 8 /dev/zero > out # /dev/random"],
  ["fixed-random", "uuidgen > out; echo $RANDOM", "uuidgen --sha1 --namespace @url --name thing > out; echo 4"],
  ["constant-cpu-count", "nproc > out; split -n $(nproc) x", "echo 4 > out; split -n $(echo 4) x"],
  ["serial-steps", "make -j8 all; make -j; xargs -P 4 a", "make -j1 all; make -j1; xargs -P1 a"],
  ["serial-steps", 'make -j "$(nproc)" -C x', "make -j1 -C x"],
  ["kept-epoch", "env -i PATH=/bin make", 'env -i SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" PATH=/bin make'],
  ["kept-epoch", "unset SOURCE_DATE_EPOCH\nmake", ":\nmake"],
  ["umask", "make", "umask 022\nmake"],
  ["timezone-variable", "make", "export TZ=UTC\nmake"],
  ["locale-variable", "umask 022\nmake", "export LC_ALL=C.UTF-8\numask 022\nmake"],
  ["byte-sort", "x=$(date +%a)", "x=$(LC_ALL=C date +%a)"],
  ["ar-d", "ar rcs libx.a x.o && ranlib libx.a", "ar rcsD libx.a x.o && ranlib -D libx.a"],
  ["checked-bytecode", "python3 -m compileall -q .", "python3 -m compileall --invalidation-mode checked-hash -q ."],
  ["go-build-flags", "go build -o out . && go vet", "go build -trimpath -buildvcs=false -o out . && go vet"],
  ["prefix-map-flags", "gcc -g -o out x.c", 'gcc -ffile-prefix-map="$PWD"=. -g -o out x.c'],
  [
    "jar-date",
    "jar cfe x.jar Main -C c .",
    `jar cfe x.jar Main --date="$(date -u -d "@${SDE}" +%Y-%m-%dT%H:%M:%SZ)" -C c .`,
  ],
  [
    "javascript-time",
    "node -p 'Date.now()' > x",
    "node -p '(process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) * 1000 : Date.now())' > x",
  ],
  ["explicit-modes", "mkdir -p a; mkdir -m 700 b", "mkdir -m 755 -p a; mkdir -m 700 b"],
];

for (const [remedy, before, after] of COMMANDS) {
  test(`${remedy}: ${before}`, () => assert.equal(command(remedy, before), after));
}

const now = (name: string, was: string, quote = '"'): string =>
  `(${name} if ${quote}SOURCE_DATE_EPOCH${quote} in os.environ else ${was})`;
const EPOCH = 'int(os.environ["SOURCE_DATE_EPOCH"])';

const FILES: readonly [remedy: string, path: string, before: string, after: string][] = [
  [
    "python-time",
    "setup.py",
    "import os, time\nx = time.time() # time.time()\ny = 'time.time()'\n",
    `import os, time\nx = ${now(EPOCH, "time.time()")} # time.time()\ny = 'time.time()'\n`,
  ],
  [
    "python-time",
    "gen.py",
    '"""doc"""\nfrom __future__ import x\nfrom datetime import datetime\ns = f"at {datetime.now()} {{datetime.now()}}"\n',
    `"""doc"""\nfrom __future__ import x\nimport os\nfrom datetime import datetime\ns = f"at {${now("datetime.utcfromtimestamp(int(os.environ['SOURCE_DATE_EPOCH']))", "datetime.now()", "'")}} {{datetime.now()}}"\n`,
  ],
  [
    "python-time",
    "setup.py",
    "import os\nimport time\na = time.strftime('%Y, %m')\nb = time.strftime('%Y', t)\n",
    `import os\nimport time\na = ${now(`time.strftime('%Y, %m', time.gmtime(${EPOCH}))`, "time.strftime('%Y, %m')")}\nb = time.strftime('%Y', t)\n`,
  ],
  [
    "javascript-time",
    "build.mjs",
    "const a = new Date(); // new Date()\nconst b = new Date(5), c = `${Date.now()} Date.now()`;\n",
    "const a = new Date((process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) * 1000 : Date.now())); // new Date()\nconst b = new Date(5), c = `${(process.env.SOURCE_DATE_EPOCH ? Number(process.env.SOURCE_DATE_EPOCH) * 1000 : Date.now())} Date.now()`;\n",
  ],
  [
    "date-command",
    "Makefile",
    "NOW := $(shell date +%F)\nall:\n\t@echo $$(date) $(date) > out\n",
    `NOW := $(shell date -u -d "@${MAKE_SDE}" +%F)\nall:\n\t@echo $$(date -u -d "@${MAKE_SDE}") $(date) > out\n`,
  ],
  [
    "date-command",
    "package.json",
    '{"scripts": {"build": "echo \\"$(date)\\" > out", "x": "y"}, "date": "date"}',
    `{"scripts": {"build": "echo \\"$(date -u -d \\"@${SDE}\\")\\" > out", "x": "y"}, "date": "date"}`,
  ],
  [
    "sorted-wildcard",
    "Makefile",
    "SRC = $(wildcard *.c) $(sort $(wildcard a/*)) # $(wildcard x)\n",
    "SRC = $(sort $(wildcard *.c)) $(sort $(wildcard a/*)) # $(wildcard x)\n",
  ],
  [
    "python-order",
    "gen.py",
    "import os\nfor f in os.listdir('.'):\n  pass\ng = sorted(os.listdir('a'))\n",
    "import os\nfor f in sorted(os.listdir('.')):\n  pass\ng = sorted(os.listdir('a'))\n",
  ],
  [
    "python-order",
    "gen.py",
    "for r, ds, fs in os.walk('a'):\n    for f in fs:\n        pass\n",
    "for r, ds, fs in os.walk('a'):\n    ds.sort()\n    fs.sort()\n    for f in fs:\n        pass\n",
  ],
  [
    "python-order",
    "gen.py",
    "for p in Path('a').joinpath('b').glob('*'):\n  pass\n",
    "for p in sorted(Path('a').joinpath('b').glob('*')):\n  pass\n",
  ],
  [
    "javascript-order",
    "build.js",
    "for (const f of fs.readdirSync(dir)) x(await readdir(dir));\n",
    "for (const f of fs.readdirSync(dir).sort()) x((await readdir(dir)).sort());\n",
  ],
  [
    "sorted-keys",
    "gen.py",
    "json.dump(x, f, indent=1)\njson.dumps({}, sort_keys=True)\n",
    "json.dump(x, f, indent=1, sort_keys=True)\njson.dumps({}, sort_keys=True)\n",
  ],
  [
    "sorted-set",
    "gen.py",
    "for x in set(y):\n  pass\nz = ','.join(set(q))\n",
    "for x in sorted(set(y)):\n  pass\nz = ','.join(sorted(set(q)))\n",
  ],
  [
    "fixed-random",
    "gen.py",
    "import uuid, random\na = uuid.uuid4()\nb = random.randint(1, 2)\n",
    'import uuid, random\na = uuid.uuid5(uuid.NAMESPACE_URL, "thing")\nb = random.Random(0).randint(1, 2)\n',
  ],
  ["constant-hostname", "gen.py", 'a = f"{socket.gethostname()}"\n', "a = f\"{'localhost'}\"\n"],
  [
    "constant-user",
    "gen.py",
    'a = os.environ["USER"], os.environ.get("USER", "x"), os.environ["HOME"]\n',
    'a = "nobody", "nobody", os.environ["HOME"]\n',
  ],
  [
    "rust-time",
    "build.rs",
    "let t = SystemTime::now();\n",
    'let t = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|epoch| epoch.parse().ok()).map(|epoch| std::time::UNIX_EPOCH + std::time::Duration::from_secs(epoch)).unwrap_or_else(SystemTime::now);\n',
  ],
  [
    "perl-time",
    "build.pl",
    "print scalar(localtime), time, $time; # localtime()\n",
    "print scalar(gmtime($ENV{SOURCE_DATE_EPOCH} // time)), ($ENV{SOURCE_DATE_EPOCH} // time), $time; # localtime()\n",
  ],
  [
    "perl-order",
    "build.pl",
    "for my $k (keys %h) { }\nfor (sort keys %h) { }\n",
    "for my $k (sort keys %h) { }\nfor (sort keys %h) { }\n",
  ],
  [
    "prefix-map-flags",
    "Makefile",
    "CFLAGS = -O2 -g\nall:\n\tcc $(CFLAGS) x.c\n",
    "CFLAGS = -O2 -g -ffile-prefix-map=$(CURDIR)=.\nall:\n\tcc $(CFLAGS) x.c\n",
  ],
  ["not-parallel", "Makefile", "all: a b\n", "all: a b\n\n.NOTPARALLEL:\n"],
  ["constant-pid", "Makefile", "all:\n\techo $$$$ > out\n", "all:\n\techo 0 > out\n"],
  [
    "maven-timestamp",
    "pom.xml",
    "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <version>1</version>\n</project>\n",
    "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <version>1</version>\n  <properties>\n    <project.build.outputTimestamp>1980-02-01T00:00:00Z</project.build.outputTimestamp>\n  </properties>\n</project>\n",
  ],
  [
    "docker-image",
    "Dockerfile",
    "FROM x\nRUN apt-get update && apt-get install -y gcc && pip install y\n",
    "FROM x\nARG SOURCE_DATE_EPOCH\nRUN apt-get update && apt-get install -y gcc && pip install --no-compile --no-cache-dir y && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache\n",
  ],
];

for (const [remedy, path, before, after] of FILES) {
  test(`${remedy}: ${path}: ${before.split("\n")[0]}`, () => assert.equal(file(remedy, path, before), after));
}

const GO = `package main

import (
	"fmt"
	"os"
)

func main() {
	folder, _ := os.Open("data")
	names, err := folder.Readdirnames(-1)
	if err != nil {
		panic(err)
	}
	sizes := map[string]int{}
	for _, name := range names {
		sizes[name] = len(name)
	}
	// for name := range sizes {
	for name, size := range sizes {
		fmt.Println(name, size)
	}
}
`;

test("Go: lists of folders and keys of maps are sorted; what is ordered, or taken from in the loop, is left", () => {
  const after = file("go-order", "gen.go", GO, "go run gen.go");
  assert.match(after, /\(\n\t"sort"\n\t"fmt"/);
  assert.match(after, /\n\tnames, err := folder\.Readdirnames\(-1\)\n\tsort\.Strings\(names\)\n\tif err/);
  assert.match(after, /\n\tfor _, name := range names \{\n\t\tsizes\[name\] = len/);
  assert.match(
    after,
    /\n\t\/\/ for name := range sizes \{\n\tfor _, name := range func\(\) \[\]string \{.*\}\(\) \{\n\t\tsize := sizes\[name\]\n/,
  );
  for (const left of [
    GO.replace("folder.Readdirnames(-1)", 'os.ReadDir("data")').replace(
      "fmt.Println(name, size)",
      "delete(sizes, name)",
    ),
    'package main\n\nimport "os"\n\nfunc main() { for _, x := range os.Args { println(x) } }\n',
  ])
    assert.equal(file("go-order", "gen.go", left, "go run gen.go"), left);
});

test("Rust: folders in order, maps that keep order; what asks for hashing is left", () => {
  const before =
    'use std::collections::{HashMap, HashSet};\nfn main() {\n    let mut m: HashMap<String, u8> = HashMap::new();\n    for entry in std::fs::read_dir("src").unwrap() {\n        m.insert(entry.unwrap().path().display().to_string(), 1);\n    }\n}\n';
  const after = file("rust-order", "build.rs", before, "cargo build");
  assert.match(after, /\{BTreeMap, BTreeSet\};[^]*BTreeMap<String, u8> = BTreeMap::new/);
  assert.match(
    after,
    /for entry in \{ let mut entries: Vec<_> = std::fs::read_dir\("src"\)\.unwrap\(\)\.collect\(\); entries\.sort_by_key/,
  );
  const chosen = before
    .replace("HashMap::new()", "HashMap::with_capacity(3)")
    .replace(".unwrap() {", ".unwrap().flatten() {");
  assert.equal(file("rust-order", "build.rs", chosen, "cargo build"), chosen);
});

test("Java: maps and sets in the order in which they are filled", () => {
  const before =
    'import java.util.*;\nclass Gen {\n  Map<Class<?>, String> m = new HashMap<>();\n  Set<String> s = Set.of("new HashSet<>()", "b");\n  Set<String> e = Set.of();\n  HashSet<String> h = new java.util.HashSet<String>(s);\n}\n';
  const after = before
    .replace("new HashMap<>", "new java.util.LinkedHashMap<>")
    .replace(
      'Set.of("new HashSet<>()", "b")',
      'new java.util.LinkedHashSet<>(java.util.List.of("new HashSet<>()", "b"))',
    )
    .replace("new java.util.HashSet<String>", "new java.util.LinkedHashSet<String>");
  assert.equal(file("java-hash-order", "Gen.java", before, "javac Gen.java && java Gen"), after);
});

test("C: a readdir that sorts, where the file opens, reads and closes the folder itself", () => {
  const before =
    '#include <dirent.h>\n#include <stdio.h>\n\nint main(void) {\n  DIR *d = opendir(".");\n  struct dirent *e;\n  while ((e = readdir(d)) != NULL) puts(e->d_name); /* readdir(d) */\n  return closedir(d);\n}\n';
  const after = file("c-order", "gen.c", before, "cc gen.c");
  assert.match(after, /#include <stdio\.h>\n\n#include <stdlib\.h>\n/);
  assert.match(
    after,
    /while \(\(e = sorted_readdir\(d\)\) != NULL\) puts\(e->d_name\); \/\* readdir\(d\) \*\/\n {2}return sorted_closedir\(d\);/,
  );
  for (const left of [
    before.replace("return closedir(d)", "return 0"),
    before.replace("return closedir", "rewinddir(d); return closedir"),
    `#ifdef X\n${before}#endif\n`,
  ])
    assert.equal(file("c-order", "gen.c", left, "cc gen.c"), left);
});

test("a remedy that was applied has nothing more to propose", () => {
  for (const [remedy, before] of COMMANDS) {
    if (["constant-user", "fixed-random"].includes(remedy)) continue; // their constants are commands of their kind
    const after = command(remedy, before);
    assert.equal(command(remedy, after), after, `${remedy}: ${before}`);
  }
  for (const [remedy, path, before] of FILES) {
    if (remedy === "prefix-map-flags") continue; // where CFLAGS do not help, the calls themselves are next
    const after = file(remedy, path, before);
    assert.equal(file(remedy, path, after), after, `${remedy}: ${path}`);
  }
});

test("variables of the recipe: set once, added to, and only where they matter", () => {
  const plain = projectOf("make");
  assert.deepEqual(proposed("serial-make", plain), [
    { kind: "environment", name: "MAKEFLAGS", before: undefined, after: "-j1" },
  ]);
  assert.deepEqual(proposed("serial-make", { ...plain, env: { MAKEFLAGS: "-j1" } }), []);
  assert.deepEqual(proposed("python-hash-seed", plain), []);
  assert.equal(proposed("python-hash-seed", projectOf("python3 x")).length, 1);
  const go = { ...projectOf("go build"), env: { GOFLAGS: "-mod=vendor -trimpath" } };
  assert.deepEqual(proposed("go-flags", go), [
    {
      kind: "environment",
      name: "GOFLAGS",
      before: "-mod=vendor -trimpath",
      after: "-mod=vendor -trimpath -buildvcs=false",
    },
  ]);
  assert.deepEqual(proposed("python-no-bytecode", plain, [cause("mtime", "x.tar")]), []);
  assert.equal(proposed("python-no-bytecode", plain, [cause("mtime", "a/x.pyc")]).length, 1);
});

test("scripts: those that the build names, and what those name; nothing else is touched", () => {
  const files = {
    "gen.py": "import data_table\n",
    "data_table.py": "",
    "app.py": "time.time()",
    "tools/x.sh": "",
    Makefile: "all:\n\tsh tools/x.sh\n",
    "examples/Makefile": "",
  };
  assert.deepEqual(
    [...projectOf("python3 gen.py && make", files).scripts],
    ["Makefile", "data_table.py", "gen.py", "tools/x.sh"],
  );
});

test("an edit can be taken out from under later ones, unless they build on it", () => {
  const project = projectOf("a b c");
  const one: Edit = { kind: "text", path: undefined, offset: 0, before: "a", after: "first" };
  const two: Edit = { kind: "text", path: undefined, offset: 6, before: "b", after: "second" };
  const on: Edit = { kind: "text", path: undefined, offset: 2, before: "rst", after: "ve" };
  assert.equal(withEdits(project, [one, two]).command, "first second c");
  assert.equal(withEdits(project, without([one, two], 0) ?? []).command, "a second c");
  assert.equal(withEdits(project, without([one, two], 1) ?? []).command, "first b c");
  assert.equal(without([one, on], 0), undefined);
  assert.throws(() => withEdits(project, [two]), /does not say/);
});
