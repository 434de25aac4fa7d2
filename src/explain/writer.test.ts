/** From bytes back to the command that wrote them, in real little builds traced with strace. */
import { strict as assert } from "node:assert";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { utf8 } from "../bytes.ts";
import { treeFiles } from "./bearing.ts";
import type { Writer } from "./cause.ts";
import { scriptFiles } from "./script-files.ts";
import { noStrace, traced, withoutForks } from "./strace-for-tests.ts";
import { writerOf, type WriterQuestion } from "./writer.ts";

const onPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, program)));
const without = (...programs: string[]): string | false => {
  const missing = programs.filter((program) => !onPath(program));
  return noStrace ?? (missing.length > 0 ? `not installed: ${missing.join(", ")}` : false);
};

interface Build {
  folder: string;
  ask(question: Omit<WriterQuestion, "leaf"> & { leaf?: string[] }): Writer | undefined;
}

/** Builds some files with a command, traced; sources are read before. */
async function built(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Build> {
  const scratch = mkdtempSync(join(tmpdir(), "bitforbit-writer-"));
  t.after(() => rmSync(scratch, { recursive: true, force: true }));
  const folder = join(scratch, "src");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
    if (text.startsWith("#!")) chmodSync(join(folder, name), 0o755);
  }
  const sources = await scriptFiles(folder);
  const trace = traced(argv, folder, join(scratch, "log"), env);
  const context = { buildPath: folder, sources, tree: treeFiles(folder) };
  const forkless = withoutForks(trace);
  const ask: Build["ask"] = (question) => {
    const found = writerOf({ leaf: [], ...question }, trace, context);
    assert.deepEqual(told(writerOf({ leaf: [], ...question }, forkless, context)), told(found), "without forks");
    return found;
  };
  return { folder, ask };
}

/** What a test looks at: the command, the file, and the line of the script. */
const told = (writer: Writer | undefined): unknown[] => [
  writer?.argv.join(" "),
  writer?.file,
  writer?.script === undefined ? undefined : `${writer.script.path}:${writer.script.line}`,
];

const HOST = utf8("wonderful-host");
const hostnameIs = '#!/bin/sh\nexec printf "wonderful-host\\n"\n';

test("make: a redirection, a shell's own echo, and what copies it", { skip: without("make") }, async (t) => {
  const makefile = `NAME = note.txt
all: out/copy.txt out/echoed.txt
out/$(NAME): ; mkdir -p out
	./tell > $@
out/copy.txt: out/$(NAME)
	cp $< $@
out/echoed.txt:
	echo "built on $$(./tell)" > $@
`;
  const { ask } = await built(t, { Makefile: makefile, tell: hostnameIs }, ["make"]);
  const copied = ask({ artifact: "out/copy.txt", evidence: HOST, cause: "hostname" });
  assert.deepEqual(told(copied), ["./tell", "out/note.txt", "Makefile:4"]);
  assert.deepEqual(copied?.parents, ["make", "./tell > out/note.txt"]);
  const echoed = ask({ artifact: "out/echoed.txt", evidence: HOST, cause: "hostname" });
  assert.match(String(told(echoed)[0]), /^\/bin\/sh -c echo "built on /);
  assert.deepEqual(told(echoed).slice(1), ["out/echoed.txt", "Makefile:8"]);
});

const stampC = "#include <stdio.h>\nextern const char *when;\nint main(void) { puts(when); return 0; }\n";

test(
  "make and gcc: the compiler that was called, not its parts or the linker",
  { skip: without("make", "gcc") },
  async (t) => {
    const makefile = `CC = gcc
CFLAGS = -O1 -DHOST='"wonderful-host"'
prog: main.o stamp.o
	$(CC) -o $@ $^
	strip $@
%.o: %.c
	$(CC) $(CFLAGS) -c -o $@ $<
`;
    const files = { Makefile: makefile, "main.c": stampC, "stamp.c": "const char *when = HOST;\n" };
    const { ask } = await built(t, files, ["make"]);
    const writer = ask({ artifact: "prog", evidence: HOST, leaf: [".rodata"] });
    assert.equal(writer?.argv[0], "gcc");
    assert.deepEqual(told(writer).slice(1), ["stamp.o", "Makefile:7"]);
    assert.ok(writer?.argv.includes("stamp.c"));
    assert.deepEqual(writer?.parents, ["make"]);
  },
);

test(
  "gcc in one step: the assembler's file is gone, and the compiler is still named",
  { skip: without("gcc") },
  async (t) => {
    const files = {
      "build.sh": "set -e\ngcc -DHOST='\"wonderful-host\"' -o prog main.c stamp.c\n",
      "main.c": stampC,
      "stamp.c": "const char *when = HOST;\n",
    };
    const { ask } = await built(t, files, ["sh", "build.sh"]);
    const writer = ask({ artifact: "prog", evidence: HOST });
    assert.deepEqual(told(writer), ['gcc -DHOST="wonderful-host" -o prog main.c stamp.c', "prog", "build.sh:2"]);
    assert.deepEqual(writer?.parents, ["sh build.sh"]);
  },
);

test(
  "a generated header is where it began, not the objects that include it",
  { skip: without("make", "gcc") },
  async (t) => {
    const makefile = `prog: main.c config.h
	gcc -o prog main.c
config.h: config.sh
	sh config.sh > config.h
`;
    const files = {
      Makefile: makefile,
      tell: hostnameIs,
      "config.sh": 'echo "/* made */"\necho "#define HOST \\"$(./tell)\\""\n',
      "main.c": '#include <stdio.h>\n#include "config.h"\nint main(void) { puts(HOST); return 0; }\n',
    };
    const { ask } = await built(t, files, ["make"]);
    assert.deepEqual(told(ask({ artifact: "prog", evidence: HOST })), ["sh config.sh", "config.h", "Makefile:4"]);
  },
);

test("sh: each of several redirections has its own command", { skip: without("date", "tar") }, async (t) => {
  const script = `set -e
mkdir -p out
date +%Y > out/when.txt
./tell > out/where.txt
echo fixed > out/fixed.txt
cat out/when.txt out/where.txt > out/all.txt
tar -cf out.tar out
`;
  const { folder, ask } = await built(t, { "build.sh": script, tell: hostnameIs }, ["sh", "-c", "sh build.sh"]);
  const where = ask({ artifact: "out.tar", leaf: ["out/where.txt"], evidence: HOST, cause: "hostname" });
  assert.equal(where?.file, "out/where.txt");
  const all = ask({ artifact: "out.tar", leaf: ["out/all.txt"], evidence: HOST, cause: "hostname" });
  assert.equal(all?.file, "out/where.txt");
  const year = new Uint8Array(readFileSync(join(folder, "out/when.txt")));
  assert.deepEqual(told(ask({ artifact: "out.tar", leaf: ["out/when.txt"], evidence: year, cause: "clock" })), [
    "date +%Y",
    "out/when.txt",
    "build.sh:3",
  ]);
  const mtime = ask({
    artifact: "out.tar",
    leaf: ["out/fixed.txt", "mtime"],
    field: true,
    evidence: utf8("1795430000"),
  });
  assert.deepEqual(told(mtime), ["tar -cf out.tar out", "out.tar", "build.sh:7"]);
  assert.deepEqual(mtime?.parents, ["sh build.sh"]);
});

test("python: the script itself, and the line that names the output", { skip: without("python3") }, async (t) => {
  const script = `import os, subprocess
def main():
    name = subprocess.run(["./tell"], capture_output=True, text=True).stdout
    os.makedirs("dist", exist_ok=True)
    with open("dist/about.json", "w") as out:
        out.write('{"host": "%s"}' % name.strip())
main()
`;
  const { ask } = await built(t, { "tools/gen.py": script, tell: hostnameIs }, ["python3", "tools/gen.py"]);
  const writer = ask({ artifact: "dist/about.json", evidence: HOST, cause: "hostname" });
  assert.match(writer?.argv.join(" ") ?? "", /python[\d.]* tools\/gen.py$/);
  assert.deepEqual(told(writer).slice(1), ["dist/about.json", "tools/gen.py:5"]);
});

test(
  "python's zip: a file of it was written before; its times were written by the archiver",
  { skip: without("python3") },
  async (t) => {
    const script = `import zipfile
with open("note.txt", "w") as note:
    note.write("wonderful-host")
`;
    const pack = `import zipfile
with zipfile.ZipFile("out.whl", "w", zipfile.ZIP_DEFLATED) as out:
    out.write("note.txt", "pkg/note.txt")
`;
    const makefile = "out.whl: note.txt\n\tpython3 pack.py\nnote.txt:\n\tpython3 note.py\n";
    const { ask } = await built(t, { Makefile: makefile, "note.py": script, "pack.py": pack }, ["make"]);
    const content = ask({ artifact: "out.whl", leaf: ["pkg/note.txt"], evidence: HOST });
    assert.deepEqual(told(content).slice(1), ["note.txt", "note.py:2"]);
    const time = ask({
      artifact: "out.whl",
      leaf: ["pkg/note.txt", "mtime"],
      field: true,
      evidence: utf8("2026-11-23"),
      cause: "mtime",
    });
    assert.deepEqual(told(time).slice(1), ["out.whl", "pack.py:2"]);
  },
);

test("node: package.json's script, and the call that the cause suggests", { skip: without("node") }, async (t) => {
  const script = `const fs = require("node:fs");
const where = process.env.TELL;
const made = new Date().toISOString() + " wonderful-host";
const name = ["out", "js"].join(".");
fs.writeFileSync(name, made);
`;
  const files = {
    "package.json": '{\n  "scripts": {\n    "build": "node build.js && cp out.js final.js"\n  }\n}\n',
    "build.js": script,
  };
  const { ask } = await built(t, files, ["sh", "-c", "node build.js && cp out.js final.js"]);
  const writer = ask({ artifact: "final.js", evidence: HOST, cause: "clock" });
  assert.deepEqual(told(writer), ["node build.js", "out.js", "build.js:3"]);
  assert.deepEqual(writer?.parents, ["node build.js && cp out.js final.js"]);
  const copy = ask({ artifact: "final.js", evidence: new Uint8Array(0) });
  assert.deepEqual(told(copy).slice(0, 2), ["node build.js", "out.js"], "copies are followed without evidence, too");
});

test(
  "tar through gzip: what is inside is found, the compressor's header is the archiver's",
  { skip: without("tar", "gzip") },
  async (t) => {
    const makefile = `dist.tar.gz: gen
	tar -czf dist.tar.gz gen
gen:
	mkdir gen
	./tell >gen/a.txt
	./tell | cat > gen/b.txt
`;
    const { ask } = await built(t, { Makefile: makefile, tell: hostnameIs }, ["make"]);
    const a = ask({ artifact: "dist.tar.gz", leaf: ["dist.tar", "gen/a.txt"], evidence: HOST });
    assert.deepEqual(told(a), ["./tell", "gen/a.txt", "Makefile:5"]);
    const b = ask({ artifact: "dist.tar.gz", leaf: ["dist.tar", "gen/b.txt"], evidence: HOST });
    assert.deepEqual(told(b).slice(1), ["gen/b.txt", "Makefile:6"]);
    const short = ask({ artifact: "dist.tar.gz", leaf: ["dist.tar", "gen/b.txt"], evidence: utf8("w") });
    assert.equal(short?.file, "gen/b.txt", "the member's name alone leads there");
    const time = ask({
      artifact: "dist.tar.gz",
      leaf: ["dist.tar", "gen/b.txt", "mtime"],
      field: true,
      evidence: utf8("1"),
    });
    assert.deepEqual(told(time).slice(1), ["dist.tar.gz", "Makefile:2"]);
  },
);

test("a pipeline through gzip, written by the shell's redirection", { skip: without("tar", "gzip") }, async (t) => {
  const script = "set -e\n./tell > note\ntar -c note | gzip -n > out.tgz\nrm -f other\nmv out.tgz final.tgz\n";
  const { ask } = await built(t, { "build.sh": script, tell: hostnameIs }, ["sh", "build.sh"]);
  const writer = ask({ artifact: "final.tgz", leaf: ["final.tar", "note"], evidence: HOST });
  assert.equal(writer?.file, "note");
  const header = ask({ artifact: "final.tgz", leaf: ["mtime"], field: true, evidence: utf8("5") });
  assert.deepEqual(told(header), ["gzip -n", "final.tgz", "build.sh:3"]);
});

test("ar: an object in a library, and the library's own fields", { skip: without("make", "gcc", "ar") }, async (t) => {
  const makefile = `libx.a: one.o two.o
	ar rcU $@ $^
one.o: one.c
	gcc -DHOST='"wonderful-host"' -c one.c
two.o: two.c
	gcc -c two.c
`;
  const files = { Makefile: makefile, "one.c": "const char *one = HOST;\n", "two.c": "int two;\n" };
  const { ask } = await built(t, files, ["make"]);
  assert.deepEqual(told(ask({ artifact: "libx.a", leaf: ["one.o", ".rodata"], evidence: HOST })).slice(1), [
    "one.o",
    "Makefile:4",
  ]);
  const owner = ask({ artifact: "libx.a", leaf: ["two.o", "uid"], field: true, evidence: utf8("0") });
  assert.deepEqual(told(owner), ["ar rcU libx.a one.o two.o", "libx.a", "Makefile:2"]);
});

test("javac and jar", { skip: without("javac", "jar") }, async (t) => {
  const script = `set -e
mkdir -p classes
echo 'class Where { static final String AT = "wonderful-host"; }' > Where.java
javac -d classes Where.java
jar cf where.jar -C classes .
`;
  const { ask } = await built(t, { "build.sh": script }, ["bash", "build.sh"]);
  const writer = ask({ artifact: "where.jar", leaf: ["Where.class"], evidence: HOST });
  assert.deepEqual(told(writer), ["bash build.sh", "Where.java", "build.sh:3"]);
  const time = ask({ artifact: "where.jar", leaf: ["Where.class", "mtime"], field: true, evidence: utf8("2026") });
  assert.deepEqual(told(time), ["jar cf where.jar -C classes .", "where.jar", "build.sh:5"]);
});

test("go: the tool's parts are told as go build", { skip: without("go") }, async (t) => {
  const files = {
    "go.mod": "module example.com/thing\n\ngo 1.20\n",
    "main.go": 'package main\n\nvar at = "wonderful-host"\n\nfunc main() { println(at) }\n',
    "build.sh": "export GOCACHE=$PWD/.cache GOFLAGS=-mod=mod GOTOOLCHAIN=local\ngo build -o bin/thing .\n",
  };
  const { ask } = await built(t, files, ["sh", "build.sh"]);
  const writer = ask({ artifact: "bin/thing", evidence: HOST });
  assert.equal(writer?.argv.join(" "), "go build -o bin/thing .");
  assert.deepEqual(writer?.script, { path: "build.sh", line: 2, text: "go build -o bin/thing ." });
});

test("cargo: rustc wrote it, from what a build script made", { skip: without("cargo", "rustc") }, async (t) => {
  const files = {
    "Cargo.toml": '[package]\nname = "thing"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n',
    "build.rs": `use std::{env, fs, process::Command};
fn main() {
    let said = Command::new("./tell").output().unwrap().stdout;
    let to = env::var("OUT_DIR").unwrap() + "/where.txt";
    fs::write(to, said).unwrap();
}
`,
    "src/main.rs": 'fn main() { println!("{}", include_str!(concat!(env!("OUT_DIR"), "/where.txt"))); }\n',
    tell: hostnameIs,
  };
  const home = process.env["CARGO_HOME"] ?? join(process.env["HOME"] ?? "/", ".cargo");
  const rustup = process.env["RUSTUP_HOME"] ?? join(process.env["HOME"] ?? "/", ".rustup");
  const { ask } = await built(t, files, ["cargo", "build", "--offline"], { CARGO_HOME: home, RUSTUP_HOME: rustup });
  const writer = ask({ artifact: "target/debug/thing", evidence: HOST, cause: "hostname" });
  assert.match(writer?.argv[0] ?? "", /build-script-build$/);
  assert.match(writer?.file ?? "", /where\.txt$/);
  assert.deepEqual(writer?.script?.path, "build.rs");
  assert.equal(writer?.script?.line, 4);
});

test(
  "bytes that stand in no file, as those of another world do: names of members decide",
  { skip: without("tar", "sed") },
  async (t) => {
    const build = `#!/bin/sh
sed s/x/y/ in.txt > weather
tar -cf - weather other | gzip -n > weather.tar.gz
`;
    const files = { "build.sh": build, "in.txt": "x\n", other: "other\n" };
    const { ask } = await built(t, files, ["./build.sh"]);
    const leaf = ["gunzip", "weather"];
    const found = ask({ artifact: "weather.tar.gz", leaf, evidence: utf8("14:30, elsewhere"), cause: "timezone" });
    assert.deepEqual(told(found).slice(1), ["weather", "build.sh:2"]);
  },
);
