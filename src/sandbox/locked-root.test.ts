import { strict as assert } from "node:assert";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { run } from "../child.ts";
import { walkTree } from "../tree.ts";
import type { Lack, World } from "../world.ts";
import { probeHost } from "./host.ts";
import { runSandboxed, type SandboxSpec } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "locked-root-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const world: World = plainWorld("rooted", {
  buildPath: "/build/rooted",
  hostname: "rooted-host",
  user: { name: "rooter", uid: 1000, gid: 1000, group: "rooters", fullName: "Rooter", home: "/home/rooter" },
});

/** A root with a shell in it and hardly more. */
async function smallRoot(name: string): Promise<string> {
  const root = join(own, name);
  const listed = Buffer.from((await run("ldd", ["/bin/sh"])).stdout).toString();
  const libraries = [...listed.matchAll(/(\/[^\s:]+)/g)]
    .map(([, path = ""]) => path)
    .filter((path) => existsSync(path));
  for (const path of ["/bin/sh", ...libraries]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  mkdirSync(join(root, "etc"));
  writeFileSync(
    join(root, "etc/passwd"),
    "root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nother:x:1000:7::/:/bin/sh\n",
  );
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  writeFileSync(join(root, "etc/own"), "the root's own\n");
  return root;
}

let count = 0;

async function inside(root: string, script: string, change: Partial<SandboxSpec> = {}): Promise<string> {
  return (await ranInside(root, script, change)).said;
}

async function ranInside(
  root: string,
  script: string,
  change: Partial<SandboxSpec> = {},
): Promise<{ said: string; lacks: readonly Lack[] }> {
  const folder = join(own, `t${count++}`);
  mkdirSync(join(folder, "src"), { recursive: true });
  const log = join(folder, "log");
  const spec: SandboxSpec = {
    world,
    root,
    command: ["/bin/sh", "-c", script],
    directory: world.buildPath,
    mounts: [{ from: join(folder, "src"), to: world.buildPath, writable: true }],
    environment: {},
    network: "none",
    limits: { timeoutSeconds: 20, memoryBytes: 256 << 20, processes: 200, diskBytes: 64 << 20, logBytes: 1 << 20 },
    log,
    ...change,
  };
  const ran = await runSandboxed(spec, await probeHost());
  assert.equal(ran.outcome, "exited", readFileSync(log, "utf8"));
  return { said: readFileSync(log, "utf8"), lacks: ran.lacks };
}

const SHOW = `show() { while read -r line; do echo "$line"; done; }\n`;

async function listing(root: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { path, type, stats } of walkTree(root))
    found.push(`${path} ${type} ${stats.mode} ${stats.mtimeMs}`);
  return found.sort();
}

test("a locked root is all that a build sees, and it is left as it was", async () => {
  const root = await smallRoot("plain");
  const before = await listing(root);
  const said = await inside(
    root,
    `${SHOW}show </etc/own; show </etc/passwd; show </etc/hostname; echo /usr/* /etc/*
    for at in /etc/own /usr/new /new /run/new; do (echo spoilt >$at) 2>/dev/null && echo "wrote $at"; done
    echo made >"$HOME/a" && echo made >/tmp/a && echo made >a && pwd`,
  );
  assert.match(said, /^the root's own\nroot:x:0:0/);
  assert.match(said, /^daemon:x:1:1::/m);
  assert.match(said, /^rooter:x:1000:1000:Rooter,,,:\/home\/rooter:\/bin\/sh$/m);
  assert.doesNotMatch(said, /^other:/m, "the world's own user takes the number");
  assert.match(said, /^rooted-host$/m);
  assert.doesNotMatch(said, /wrote|\/usr\/share|shadow/);
  assert.match(said, /\/build\/rooted\n$/);
  assert.deepEqual(await listing(root), before);
});

test("a root's own links do not lead into this machine", async () => {
  const root = await smallRoot("links");
  rmSync(join(root, "etc/passwd"));
  symlinkSync("/etc/shadow", join(root, "etc/passwd"));
  symlinkSync("/etc", join(root, "tmp"));
  const said = await inside(root, `${SHOW}show </etc/passwd; echo new >/tmp/a && echo /tmp/*`);
  assert.equal(said, "rooter:x:1000:1000:Rooter,,,:/home/rooter:/bin/sh\n/tmp/a\n");
});

test("files are shown at their place, the world's clock is shifted, and a path with a comma and a colon is a path", async (t) => {
  const root = await smallRoot("odd, name: here");
  const files = [
    { to: "/etc/settings/proxy", content: Buffer.from("by the way\n") },
    { to: "/home/rooter/.config/own", content: Buffer.from("at home\n") },
  ];
  assert.equal(
    await inside(root, `${SHOW}show </etc/settings/proxy; show <"$HOME/.config/own"`, { files }),
    "by the way\nat home\n",
  );
  const host = await probeHost();
  if (host.clockShift === undefined) return t.skip("needs a C compiler");
  const said = await inside(root, `${SHOW}show </etc/ld.so.preload; show </etc/faketimerc`, {
    world: { ...world, clockOffset: 1000 },
  });
  assert.equal(said, "/run/world/clock.so\n+1000\n");
});

const about = (lacks: readonly Lack[]): string[] =>
  lacks.filter(({ what }) => what.includes("musl")).flatMap(({ causes }) => causes);

test("a root with another C library says that its variables mean nothing there, where a world sets them", async (t) => {
  if (process.arch !== "x64") return t.skip("its linkers lie elsewhere");
  const root = await smallRoot("musl");
  const environment = { MALLOC_PERTURB_: "234", GLIBC_TUNABLES: "glibc.cpu.hwcaps=-AVX2" };
  const varied = { world: { ...world, environment } };
  assert.deepEqual(about((await ranInside(root, "true", varied)).lacks), []);
  for (const machine of ["x86_64", "aarch64", "riscv64", "s390x"]) {
    mkdirSync(join(root, "lib"), { recursive: true });
    writeFileSync(join(root, "lib", `ld-musl-${machine}.so.1`), "");
  }
  assert.deepEqual(about((await ranInside(root, "true", varied)).lacks), [], "it has both");
  // Seen from outside the GNU linker is gone; inside, the shell still finds it.
  renameSync(join(root, "lib64"), join(root, "elsewhere"));
  symlinkSync("/elsewhere", join(root, "lib64"));
  assert.deepEqual(about((await ranInside(root, "true")).lacks), []);
  assert.deepEqual(about((await ranInside(root, "true", varied)).lacks), ["uninitialised", "cpu-model"]);
});
