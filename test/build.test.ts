/** The main job from end to end, from the command line, on small real projects. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import test from "node:test";
import { digestOf } from "../src/digest.ts";
import { bitforbit, git, PINNED, project, scratchFolder, writeFiles } from "./command.ts";

const HELLO_C = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n';
const MAKEFILE = "hello: hello.c\n\tcc -O2 -o $@ hello.c\n";
const RECIPE = `name = "hello"\ncommand = "make hello"\noutputs = ["hello"]\n${PINNED}tools = ["make", "cc"]\n`;

const recipe = (command: string, outputs: string, limits = ""): string =>
  `name = "thing"\ncommand = '''\n${command}\n'''\noutputs = [${outputs}]\n${PINNED}${limits === "" ? "" : `[limits]\n${limits}\n`}`;

test("init, build, verify, promote: a C program goes all the way", async (t) => {
  const folder = project(t, {
    "hello.c": HELLO_C,
    Makefile: `${MAKEFILE}install: hello\n\tinstall -D hello $(DESTDIR)/usr/bin/hello\n`,
  });
  const init = await bitforbit(folder, ["init", "--environment", "debian:bookworm"]);
  assert.equal(init.code, 0, init.stderr);
  const built = await bitforbit(folder, ["build", "--json"]);
  assert.equal(built.code, 0, built.stderr + built.stdout);
  const document = JSON.parse(built.stdout) as {
    verdict: string;
    artifacts: { file: string; digest: string }[];
    environment: string;
    notCanonical: string[];
    build: string;
  };
  assert.equal(document.verdict, "reproducible");
  assert.match(document.environment, /^Debian bookworm \w+, \d+ packages, root sha256:/);
  assert.deepEqual(document.notCanonical, []);
  const [artifact] = document.artifacts;
  assert.ok(artifact !== undefined);

  const verified = await bitforbit(folder, ["verify", artifact.file]);
  assert.equal(verified.code, 0, verified.stdout);
  assert.match(verified.stdout, /✓ reproduced/);
  assert.equal((await bitforbit(folder, ["verify", artifact.digest])).code, 0, "by digest, from the store");

  const tampered = join(folder, "tampered");
  copyFileSync(artifact.file, tampered);
  appendFileSync(tampered, "x");
  const denied = await bitforbit(folder, ["verify", tampered, "--json"]);
  assert.equal(denied.code, 1);
  assert.equal((JSON.parse(denied.stdout) as { allowed: boolean }).allowed, false);

  const difference = await bitforbit(folder, ["diff", artifact.digest, tampered]);
  assert.equal(difference.code, 1, difference.stderr);
  assert.equal((await bitforbit(folder, ["diff", document.build, document.build])).code, 0, "outputs of builds by id");
  const nobody = await bitforbit(folder, ["diff", "0".repeat(32), tampered]);
  assert.equal(nobody.code, 2);
  assert.match(nobody.stderr, /0{32}: no build of that id/);

  assert.equal((await bitforbit(folder, ["promote", artifact.digest, "staging"])).code, 0);
  const stats = JSON.parse((await bitforbit(folder, ["stats", "--json"])).stdout) as {
    metrics: { id: string; value: number | null; note: string }[];
  };
  assert.equal(stats.metrics.find(({ id }) => id === "M1")?.value, 100);
  assert.notEqual(stats.metrics.find(({ id }) => id === "M4")?.note, "", "a metric without events says so");
  assert.equal((await bitforbit(folder, ["log", "audit"])).code, 0);
  assert.equal((await bitforbit(folder, ["store", "check"])).code, 0);
});

test("a cached environment that was changed: named, made anew, and what was built in it thrown away", async (t) => {
  // Without a compiler it is made in a quarter of the time.
  const folder = scratchFolder(t);
  writeFiles(folder, {
    Makefile: "out: in\n\tcp in out\n",
    in: "honest\n",
    "bitforbit.toml": `name = "thing"\ncommand = "make"\noutputs = ["out"]\n${PINNED.replace(/packages = .*/, 'packages = ["make"]')}`,
  });
  const cache = join(scratchFolder(t), "cache");
  mkdirSync(cache, { mode: 0o755 });
  const shared = process.env["BITFORBIT_CACHE"] ?? "/var/cache/bitforbit";
  // Packages are at hand where another test fetched them; the root is this test's own.
  for (const name of ["bodies", "apt"]) {
    if (existsSync(join(shared, name))) symlinkSync(join(shared, name), join(cache, name));
  }
  const env = { BITFORBIT_CACHE: cache };
  const locked = await bitforbit(folder, ["lock"], env);
  assert.equal(locked.code, 0, locked.stderr);
  const [root = ""] = readdirSync(join(cache, "roots")).filter((name) => /^[0-9a-f]{64}$/.test(name));
  writeFileSync(join(cache, "roots", root, "root/usr/bin/make"), "#!/bin/sh\necho evil > out\n");
  const checked = await bitforbit(folder, ["check", "--json"], env);
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stderr, /the cached environment sha256:\w+ was changed \(usr\/bin\/make\): it is made anew/);
  const { outputs } = JSON.parse(checked.stdout) as { outputs: { digest: string }[] };
  assert.deepEqual(
    outputs.map(({ digest }) => digest),
    [digestOf("honest\n")],
  );
});

test("a stranger verifies with the files and the policy alone", async (t) => {
  const folder = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  const built = await bitforbit(folder, ["build"]);
  assert.equal(built.code, 0, built.stderr + built.stdout);
  const policy = await bitforbit(folder, ["policy", "show"]);
  const elsewhere = scratchFolder(t);
  for (const name of [
    "hello",
    "hello.provenance.sigstore.json",
    "hello.sbom.sigstore.json",
    "hello.reproduction.sigstore.json",
  ]) {
    copyFileSync(join(folder, "dist", name), join(elsewhere, name));
  }
  writeFileSync(join(elsewhere, "policy.toml"), policy.stdout);
  const verified = await bitforbit(elsewhere, ["verify", "hello", "--policy", "policy.toml"]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const withoutReproduction = await bitforbit(elsewhere, [
    "verify",
    "hello",
    "--policy",
    "policy.toml",
    "--bundle",
    "hello.provenance.sigstore.json",
    "hello.sbom.sigstore.json",
  ]);
  assert.equal(withoutReproduction.code, 1, "evidence that was left out is missing evidence");
});

test("what differs is explained: date, user and host, path", async (t) => {
  const folder = project(t, {
    "bitforbit.toml": recipe(
      'mkdir out; date "+%Y-%m-%d %H:%M:%S" > out/when; echo "$(id -un)@$(hostname)" > out/who; pwd > out/where; echo same > out/same',
      '"out/*"',
    ),
  });
  const checked = await bitforbit(folder, ["check", "--json"]);
  assert.equal(checked.code, 1, checked.stderr);
  const { causes } = JSON.parse(checked.stdout) as { causes: { name: string; artifact: string; confidence: string }[] };
  const namesIn = (artifact: string): string[] =>
    causes
      .filter((cause) => cause.artifact === artifact)
      .map(({ name }) => name)
      .sort();
  assert.ok(namesIn("out/when").includes("clock"), JSON.stringify(causes));
  assert.deepEqual(namesIn("out/who"), ["hostname", "user"]);
  assert.deepEqual(namesIn("out/where"), ["path"]);
  assert.deepEqual(namesIn("out/same"), []);
});

test("what bears no watermark is never guessed: an experiment names it, and without one it is unknown", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("od -An -N16 -tx1 /dev/urandom > out", '"out"') });
  for (const [options, told] of [
    [["--quick"], "unknown"],
    [[], "random"],
  ] as const) {
    const checked = await bitforbit(folder, ["check", "--json", ...options]);
    assert.equal(checked.code, 1, checked.stderr);
    const { causes } = JSON.parse(checked.stdout) as { causes: { name: string }[] };
    assert.deepEqual(
      causes.map(({ name }) => name),
      [told],
    );
  }
});

test("a build that differs is kept, signed as differing, and denied", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("hostname > out", '"out"') });
  assert.equal((await bitforbit(folder, ["build"])).code, 1);
  const denied = await bitforbit(folder, ["verify", "dist/out"]);
  assert.equal(denied.code, 1);
  assert.match(denied.stdout, /✗ reproduced/);
});

test("failing and differing are different verdicts", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe('test "$(umask)" = 0022; echo x > out', '"out"') });
  const checked = await bitforbit(folder, ["check", "--json"]);
  assert.equal(checked.code, 1, checked.stderr);
  assert.equal((JSON.parse(checked.stdout) as { verdict: string }).verdict, "fails-in-adversarial");
});

test("a recipe that is missing, broken or unknown says where", async (t) => {
  const empty = scratchFolder(t);
  const nothing = await bitforbit(empty, ["build"]);
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /no bitforbit\.toml[\s\S]*hint: run 'bitforbit init'/);
  assert.equal((await bitforbit(empty, ["init"])).code, 2);

  writeFiles(empty, { "bitforbit.toml": 'name = "x"\ncommand = = 3\n' });
  const broken = await bitforbit(empty, ["build"]);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /bitforbit\.toml:2:\d+/);
});

test("a dirty checkout is refused, and built once on request", async (t) => {
  const folder = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  appendFileSync(join(folder, "hello.c"), "/* changed */\n");
  const refused = await bitforbit(folder, ["build"]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /hello\.c|differ/);
  assert.match(refused.stderr, /--once/);
  const once = await bitforbit(folder, ["build", "--once"]);
  assert.equal(once.code, 0, once.stderr);
  const denied = await bitforbit(folder, ["verify", "dist/hello"]);
  assert.equal(denied.code, 1);
  assert.match(denied.stdout, /✗ canonical/);
});

test("a shallow checkout is refused with the remedy", async (t) => {
  const origin = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  appendFileSync(join(origin, "hello.c"), "/* 2 */\n");
  git(origin, "commit", "--quiet", "--all", "--message=second");
  const folder = join(scratchFolder(t), "clone");
  git(origin, "clone", "--quiet", "--depth=1", `file://${origin}`, folder);
  const refused = await bitforbit(folder, ["build"]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /shallow[\s\S]*git fetch --unshallow/);
});

test("outputs that were not made, or lead out of the tree, are named", async (t) => {
  const missing = project(t, { "bitforbit.toml": recipe("true", '"nothing"') });
  const notMade = await bitforbit(missing, ["build"]);
  assert.equal(notMade.code, 3, notMade.stderr);
  assert.match(notMade.stdout + notMade.stderr, /did not make the output "nothing"/);

  const leading = project(t, { "bitforbit.toml": recipe("ln -s /etc/passwd out", '"out"') });
  const out = await bitforbit(leading, ["build"]);
  assert.equal(out.code, 3, out.stderr);
  assert.match(out.stdout + out.stderr, /leads out of the build tree/);
});

test("builds that fail, hang, fork without end, fill the disk or kill their parent end, named", async (t) => {
  const cases: [command: string, limits: string, says: RegExp][] = [
    ["echo broken >&2; exit 7", "", /exited with 7/],
    ["sleep 600", 'timeout = "2s"', /longer than 2 s/],
    ["f() { f | f & }; f; sleep 30", 'timeout = "20s"\nprocesses = 64', /limits\.processes/],
    ["dd if=/dev/zero of=big bs=1M count=400 status=none", 'disk = "64 MiB"', /limits\.disk|exited with|ended by/],
    ["kill -9 $PPID; sleep 1; echo alive", "", /exited with|ended by|did not make/],
  ];
  for (const [command, limits, says] of cases) {
    const folder = project(t, { "bitforbit.toml": recipe(command, '"out"', limits) });
    const ran = await bitforbit(folder, ["build", "--json"]);
    assert.equal(ran.code, 3, `${command}: ${ran.stderr}`);
    const { worlds } = JSON.parse(ran.stdout) as { worlds: { failure?: string }[] };
    assert.match(worlds[0]?.failure ?? "", says, command);
  }
});

test("a wrong passphrase is named, and the right one works again", async (t) => {
  const folder = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  assert.equal((await bitforbit(folder, ["build"], { BITFORBIT_PASSPHRASE: "right" })).code, 0);
  const wrong = await bitforbit(folder, ["build"], { BITFORBIT_PASSPHRASE: "wrong" });
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /passphrase/);
  assert.equal((await bitforbit(folder, ["build"], { BITFORBIT_PASSPHRASE: "right" })).code, 0);
  assert.equal((await bitforbit(folder, ["verify", "dist/hello"])).code, 0, "verifying needs no passphrase");
});

test("two builds of one project at once both succeed", async (t) => {
  const folder = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  const both = await Promise.all([bitforbit(folder, ["build"]), bitforbit(folder, ["build"])]);
  for (const ran of both) assert.equal(ran.code, 0, ran.stderr + ran.stdout);
  assert.equal((await bitforbit(folder, ["log", "audit"])).code, 0);
  assert.equal((await bitforbit(folder, ["verify", "dist/hello"])).code, 0);
});

test("killed at any moment, nothing that was reported is lost and the next run works", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("echo made > out", '"out"') });
  assert.equal((await bitforbit(folder, ["build"])).code, 0);
  const main = resolve(import.meta.dirname, "../src/cli/main.ts");
  for (const moment of [200, 500, 900, 1500, 2600, 3200, 3600]) {
    const child = spawn(process.execPath, [main, "build"], { cwd: folder, stdio: "ignore" });
    const closed = new Promise((done) => child.once("close", done));
    await new Promise((done) => setTimeout(done, moment));
    child.kill("SIGKILL");
    await closed;
  }
  assert.equal((await bitforbit(folder, ["log", "audit"])).code, 0);
  assert.equal((await bitforbit(folder, ["store", "check"])).code, 0);
  assert.equal((await bitforbit(folder, ["verify", "dist/out"])).code, 0);
  const again = await bitforbit(folder, ["build"]);
  assert.equal(again.code, 0, again.stderr);
  assert.ok(existsSync(join(folder, ".bitforbit", "ledger.sqlite")));
});

test("private keys are for their owner only, and in no output", async (t) => {
  const folder = project(t, { "hello.c": HELLO_C, Makefile: MAKEFILE, "bitforbit.toml": RECIPE });
  const ran = await bitforbit(folder, ["build", "--json"]);
  assert.equal(ran.code, 0, ran.stderr);
  const pem = readFileSync(join(folder, ".bitforbit", "keys", "artifact.key"), "utf8");
  const secret = pem.split("\n")[1] ?? "none";
  assert.ok(secret.length > 20 && !ran.stdout.includes(secret) && !ran.stderr.includes(secret));
});
