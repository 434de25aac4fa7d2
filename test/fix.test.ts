/** `bitforbit fix` on real projects with known causes: what it changes makes them reproduce, and no more is changed. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { digestOf, digestOfFile, hexOf } from "../src/digest.ts";
import { isObject } from "../src/json.ts";
import { bitforbit, git, PINNED, project, removeAll, scratchFolder, writeFiles } from "./command.ts";

interface Document {
  before: { verdict: string; causes: { name: string }[] };
  after: { verdict: string; causes: { name: string }[] };
  tried: { cause: string; remedy: string; outcome: string }[];
  diff: string;
  written: string[];
  builds: number;
}

async function fixed(folder: string, code: number, ...args: string[]): Promise<Document> {
  const ran = await bitforbit(folder, ["fix", "--json", ...args]);
  assert.equal(ran.code, code, ran.stderr + ran.stdout.slice(0, 3000));
  const document: unknown = JSON.parse(ran.stdout);
  assert.ok(isObject(document));
  return document as unknown as Document;
}

const helped = ({ tried }: Document): string[] =>
  tried.filter(({ outcome }) => outcome === "helped").map(({ cause, remedy }) => `${cause} ${remedy}`);

const host = (command: string, outputs: string, ...tools: string[]): string =>
  `name = "thing"\ncommand = '''${command}'''\noutputs = ["${outputs}"]\n\n[environment]\ntools = [${tools.map((tool) => `"${tool}"`).join(", ")}]\n`;

/** What the changed project says by itself, from its own files and lock. */
async function reproduces(folder: string): Promise<void> {
  const ran = await bitforbit(folder, ["check"]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
}

describe("fix", { concurrency: 2 }, () => {
  test("C and make: a date, an order, owners, and modes in an archive", async (t) => {
    const folder = project(t, {
      "bitforbit.toml": `name = "thing" # mine\ncommand = "make"\noutputs = ["out.tar", "libx.a"]\n${PINNED}`,
      Makefile: [
        "NOW := $(shell date +%F)",
        "all: out.tar libx.a",
        "out.tar: x.o",
        "\tmkdir -p pack/a pack/b pack/c",
        "\techo $(NOW) > pack/when",
        "\ttar cf $@ pack",
        "libx.a: x.o",
        "\tar rcU $@ x.o",
        "x.o: x.c",
        "\tcc -c -o $@ x.c",
        "",
      ].join("\n"),
      "x.c": 'const char *x(void) { return "x"; }\n',
    });
    const document = await fixed(folder, 0);
    assert.equal(document.before.verdict, "differs");
    assert.equal(document.after.verdict, "reproducible");
    for (const line of ["clock date-command", "readdir-order tar-order", "user tar-owner"]) {
      assert.ok(helped(document).includes(line), `${line}: ${helped(document).join(", ")}`);
    }
    assert.deepEqual(document.written.toSorted(), ["Makefile", "bitforbit.lock", "bitforbit.toml"]);
    assert.match(document.diff, /^\+NOW := \$\(shell date -u -d "@\$\$\{SOURCE_DATE_EPOCH/m);
    assert.match(readFileSync(join(folder, "bitforbit.toml"), "utf8"), /name = "thing" # mine/);
    assert.equal(git(folder, "diff", "--stat", "--", "x.c"), "");
    await reproduces(folder);
  });

  test("Python: a time, a folder's order, the user, in a script that the command names; other code stays", async (t) => {
    const folder = project(t, {
      "bitforbit.toml": host("python3 tools/gen.py > out", "out", "python3"),
      "tools/gen.py": [
        '"""Writes the list."""',
        "import getpass",
        "import os",
        "from datetime import datetime",
        "",
        'for name in os.listdir("data"):',
        "    print(name)",
        'print(f"at {datetime.now():%Y-%m-%d} by {getpass.getuser()}")',
        "",
      ].join("\n"),
      "app.py": "import time\nprint(time.time())\n",
      ...Object.fromEntries([..."abcdef"].map((name) => [`data/${name}`, name])),
    });
    const document = await fixed(folder, 0);
    assert.deepEqual(helped(document).sort(), [
      "clock python-time",
      "readdir-order python-order",
      "user constant-user",
    ]);
    assert.deepEqual(document.written, ["tools/gen.py"]);
    assert.match(document.diff, /^\+for name in sorted\(os\.listdir\("data"\)\):$/m);
    await reproduces(folder);
  });

  test("C: a program of the build that goes through folders as they come, one within the other", async (t) => {
    const folder = project(t, {
      "bitforbit.toml": `name = "thing"\ncommand = "make"\noutputs = ["table.h"]\n${PINNED}`,
      Makefile: "table.h: gen data\n\t./gen data > $@\ngen: gen.c\n\tcc -Wall -Werror -o $@ gen.c\n",
      "gen.c": [
        "#include <dirent.h>",
        "#include <stdio.h>",
        "",
        "static int walk(const char *path) {",
        "  DIR *folder = opendir(path);",
        "  struct dirent *entry;",
        '  if (folder == NULL) return printf("  /* %s */\\n", path);',
        "  while ((entry = readdir(folder)) != NULL) {",
        "    char inner[512];",
        "    if (entry->d_name[0] == '.') continue;",
        '    snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);',
        "    walk(inner);",
        "    if (entry->d_name[0] == 'z') break;",
        "  }",
        "  return closedir(folder);",
        "}",
        "",
        "int main(int count, char **words) { return walk(words[count - 1]); }",
        "",
      ].join("\n"),
      ...Object.fromEntries(
        [..."abcdz"].flatMap((name) => [..."xyz"].map((inner) => [`data/${name}/${inner}`, inner])),
      ),
    });
    const document = await fixed(folder, 0);
    assert.deepEqual(helped(document), ["readdir-order c-order"]);
    assert.deepEqual(document.written.toSorted(), ["bitforbit.lock", "gen.c"]);
    await reproduces(folder);
  });

  test("Node: times and the host's name in package.json's scripts and in what they run", async (t) => {
    const folder = project(t, {
      "bitforbit.toml": host("npm run --silent build", "out.json", "node", "npm"),
      "package.json":
        '{\n  "name": "thing",\n  "scripts": {\n    "build": "node build.mjs \\"$(hostname)\\" > out.json"\n  }\n}\n',
      "build.mjs":
        'import { readdirSync } from "node:fs";\nconst files = readdirSync("src");\nconsole.log(JSON.stringify({ at: Date.now(), host: process.argv[2], files }));\n',
      "src/a": "1",
      "src/b": "2",
    });
    const document = await fixed(folder, 0);
    assert.ok(
      helped(document).includes("clock javascript-time") && helped(document).includes("hostname constant-hostname"),
    );
    assert.match(document.diff, /^\+ {4}"build": "node build\.mjs \\"\$\(echo localhost\)\\" > out\.json"$/m);
    await reproduces(folder);
  });

  test("shell: what stands in one line of the recipe; what cannot be mended is left, with exit code 1", async (t) => {
    const folder = project(t, {
      "bitforbit.toml": host('echo "$(whoami) $(date +%F)" > out; stat -c %Y out >> out', "out"),
    });
    const document = await fixed(folder, 1);
    assert.deepEqual(helped(document).sort(), ["clock date-command", "user constant-user"]);
    assert.equal(document.after.verdict, "differs");
    assert.deepEqual([...new Set(document.after.causes.map(({ name }) => name))], ["mtime"]);
    assert.match(document.diff, /^\+command = '''echo "\$\(echo nobody\) \$\(date -u -d /m);
  });

  test("--dry-run writes nothing; work that is not committed is not written over, unless that is forced", async (t) => {
    const script = "date +%F > out\n";
    const folder = project(t, { "bitforbit.toml": host("sh build.sh", "out"), "build.sh": script });
    const dry = await fixed(folder, 0, "--dry-run");
    assert.deepEqual([dry.written, dry.after.verdict], [[], "reproducible"]);
    assert.equal(git(folder, "status", "--porcelain", "--untracked-files=no"), "");

    appendFileSync(join(folder, "build.sh"), "# work of mine\n");
    const refused = await bitforbit(folder, ["fix"]);
    assert.equal(refused.code, 2, refused.stdout);
    assert.match(refused.stderr, /build\.sh differs from the commit/);
    assert.match(refused.stdout, /^-date \+%F > out$/m);
    assert.equal(readFileSync(join(folder, "build.sh"), "utf8"), `${script}# work of mine\n`);

    assert.deepEqual((await fixed(folder, 0, "--force")).written, ["build.sh"]);
    assert.match(readFileSync(join(folder, "build.sh"), "utf8"), /^date -u -d "@.* \+%F > out\n# work of mine\n$/);
  });

  test("a variable of the recipe: the lock fits afterwards, and what was fetched is not fetched again", async (t) => {
    const folder = project(t, {
      // What is fetched is never the same twice: fetched again, it would not be what was locked.
      "bitforbit.toml": `${host("python3 gen.py > out; cat $BITFORBIT_DEPS/x >> out", "out", "python3")}`.replace(
        "command",
        "fetch = 'cat /proc/sys/kernel/random/uuid > $BITFORBIT_DEPS/x'\ncommand",
      ),
      "gen.py":
        'names = {"anna", "bert", "cleo", "dora", "emil", "fritz", "gerd", "hans"}\nfor name in names:\n    print(name)\n',
    });
    assert.equal((await bitforbit(folder, ["lock"])).code, 0);
    git(folder, "add", "bitforbit.lock");
    git(folder, "commit", "--quiet", "--message=lock");
    const document = await fixed(folder, 0);
    assert.deepEqual(
      document.tried.filter(({ outcome }) => outcome === "helped").map(({ remedy }) => remedy),
      ["python-hash-seed"],
    );
    assert.match(readFileSync(join(folder, "bitforbit.toml"), "utf8"), /\n\[env\]\nPYTHONHASHSEED = "0"\n$/);
    assert.match(
      git(folder, "diff", "--stat", "--", "bitforbit.lock"),
      /1 file changed, 1 insertion\(\+\), 1 deletion/,
    );
    await reproduces(folder);
  });

  test("a source that is fetched by digest: a patch beside the recipe, which the lock holds and every build applies", async (t) => {
    const folder = scratchFolder(t);
    // As a release has it: one top folder, a Makefile that is generated from nothing, a source in C with its date.
    writeFiles(folder, {
      "bundle-1.0/Makefile":
        'all: bundle.txt\nbundle.txt: build.sh list.c\n\tsh build.sh > $@\n\tcc -o list list.c\n\t./list "a@b" >> $@\n',
      "bundle-1.0/build.sh": '#!/bin/sh\necho "# bundle 1.0, built on $(date +%F)"\r\necho "no line end"',
      "bundle-1.0/list.c":
        '#include <stdio.h>\nint main(int count, char **words) {\n  return printf("%s\\n", words[count - 1]) < 0;\n}\n',
    });
    spawnSync("tar", ["-czf", "bundle-1.0.tar.gz", "bundle-1.0"], { cwd: folder });
    removeAll(join(folder, "bundle-1.0"));
    const sha256 = hexOf(await digestOfFile(join(folder, "bundle-1.0.tar.gz")));
    writeFiles(folder, {
      "bitforbit.toml": `${host("make", "bundle.txt", "make", "cc", "sh")}\n[source]\nurl = "bundle-1.0.tar.gz"\nsha256 = "${sha256}"\n`,
    });
    assert.equal((await bitforbit(folder, ["lock"])).code, 0);
    const document = await fixed(folder, 0);
    assert.deepEqual(helped(document), ["clock date-command"]);
    assert.deepEqual(document.written, ["bitforbit.toml", "reproducible.patch", "bitforbit.lock"]);
    assert.match(document.diff, /^\+patches = \["reproducible\.patch"\]$/m);
    const patch = readFileSync(join(folder, "reproducible.patch"), "utf8");
    assert.match(patch, /^--- a\/build\.sh\n\+\+\+ b\/build\.sh\n@@ -1,3 \+1,3 @@\n/);
    assert.match(patch, /\r\n echo "no line end"\n\\ No newline at end of file\n$/);
    const lock = readFileSync(join(folder, "bitforbit.lock"), "utf8");
    assert.ok(lock.includes(`[[patch]]\npath = "reproducible.patch"\nsha256 = "${hexOf(digestOf(patch))}"\n`), lock);
    await reproduces(folder);

    // git and patch(1) read it the same way.
    spawnSync("tar", ["-xzf", "bundle-1.0.tar.gz"], { cwd: folder });
    const applied = spawnSync("git", ["apply", "../reproducible.patch"], { cwd: join(folder, "bundle-1.0") });
    assert.equal(applied.status, 0, String(applied.stderr));
    const built = await bitforbit(folder, ["build", "--once", "--json"]);
    const { attestations = [] } = JSON.parse(built.stdout) as {
      attestations?: { predicateType: string; file: string }[];
    };
    const provenance = attestations.find(({ predicateType }) => predicateType.includes("provenance"))?.file ?? "";
    const bundle = JSON.parse(readFileSync(provenance, "utf8")) as { dsseEnvelope: { payload: string } };
    const statement = Buffer.from(bundle.dsseEnvelope.payload, "base64").toString();
    assert.ok(statement.includes(hexOf(digestOf(patch))), statement.slice(0, 2000));

    writeFileSync(join(folder, "reproducible.patch"), patch.replace("built on", "made on"));
    const refused = await bitforbit(folder, ["check"]);
    assert.equal(refused.code, 2, refused.stdout);
    assert.match(refused.stderr, /reproducible\.patch:\d+: does not fit build\.sh at line 1/);
    writeFileSync(join(folder, "reproducible.patch"), `Why: the date.\n${patch}`);
    const other = await bitforbit(folder, ["check"]);
    assert.equal(other.code, 2, other.stdout);
    assert.match(other.stderr, /the patch reproducible\.patch has changed: sha256 \w+, locked \w+/);
  });

  test("a build that fails, a cause that is none, a time that is none", async (t) => {
    const folder = project(t, { "bitforbit.toml": host("exit 3", "out") });
    await fixed(folder, 3);
    for (const [options, said] of [
      [["--cause", "gremlins"], /not a cause that can be mended: "gremlins"/],
      [["--budget", "soon"], /not a duration: "soon"/],
    ] as const) {
      const ran = await bitforbit(folder, ["fix", ...options]);
      assert.equal(ran.code, 2);
      assert.match(ran.stderr, said);
    }
  });
});
