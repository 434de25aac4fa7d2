import { strict as assert } from "node:assert";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { run } from "../child.ts";
import type { World } from "../world.ts";
import { probeHost } from "./host.ts";
import { observeReads, type Reads } from "./reads.ts";
import { runSandboxed, type SandboxResult, type SandboxSpec } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "reads-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const cache = join(own, "cache");
const isRoot = process.getuid?.() === 0;

const world: World = plainWorld("read", {
  buildPath: "/build/read",
  hostname: "read-host",
  user: { name: "reader", uid: 1000, gid: 1000, group: "readers", fullName: "Reader", home: "/home/reader" },
});
const limits = { timeoutSeconds: 60, memoryBytes: 1 << 30, processes: 200, diskBytes: 256 << 20, logBytes: 1 << 20 };
let count = 0;

interface Watched extends SandboxResult {
  reads: Reads;
  log: string;
  folder: string;
}

interface More {
  files?: Record<string, string>;
  maxFiles?: number;
  whenAttached?: (pid: number) => void;
  cache?: string;
}

async function sh(script: string, change: Partial<SandboxSpec> = {}, more: More = {}): Promise<Watched> {
  const folder = join(own, `t${count++}`);
  const source = join(folder, "src");
  mkdirSync(source, { recursive: true });
  for (const [name, content] of Object.entries(more.files ?? {})) writeFileSync(join(source, name), content);
  const log = join(folder, "log");
  const except = ["/tmp", world.user.home];
  const { maxFiles } = more;
  const observer = await observeReads({
    cache: more.cache ?? cache,
    except,
    ...(maxFiles === undefined ? {} : { maxFiles }),
  });
  const spec: SandboxSpec = {
    world,
    command: ["/bin/sh", "-c", script],
    directory: world.buildPath,
    mounts: [{ from: source, to: world.buildPath, writable: true }],
    environment: {},
    network: "none",
    limits,
    log,
    beforeStart: async (pid) => {
      await observer.attach(pid);
      more.whenAttached?.(pid);
    },
    ...change,
  };
  const result = await runSandboxed(spec, await probeHost());
  return { ...result, reads: await observer.finish(), log: readFileSync(log, "utf8"), folder: source };
}

/** A root with a shell and cat in it, and the files of `more`. */
async function smallRoot(name: string, more: Record<string, string> = {}): Promise<string> {
  const root = join(own, name);
  const listed = Buffer.from((await run("ldd", ["/bin/sh", "/bin/cat"])).stdout).toString();
  const libraries = [...listed.matchAll(/(\/[^\s:]+)/g)].map(([, path = ""]) => path);
  for (const path of new Set(["/bin/sh", "/bin/cat", ...libraries.filter((path) => existsSync(path))])) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  mkdirSync(join(root, "etc"));
  mkdirSync(join(root, "usr/share"), { recursive: true });
  for (const [path, content] of Object.entries(more)) writeFileSync(join(root, path), content);
  return root;
}

/** Files that strace saw opened or executed, as paths inside; folders are left out. */
function seenByStrace(trace: string, tree: string): Set<string> {
  const found = new Set<string>();
  const begun = new Map<string, string>();
  const add = (path: string): void => {
    if (!/^\/(?:usr|bin|lib\w*|sbin|etc|opt|build)\//.test(path)) return;
    const here = path.replace(world.buildPath, tree);
    // What the build removed again was a file.
    if (!existsSync(here)) found.add(path);
    else if (statSync(here).isFile()) found.add(path.startsWith("/build/") ? path : realpathSync(here));
  };
  for (const line of trace.split("\n")) {
    const [, pid = "", call = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const program = /^execve\("([^"]+)"/.exec(call)?.[1];
    if (program !== undefined) begun.set(pid, program);
    const executed = begun.get(pid);
    if (/execve.*= 0$/.test(call) && executed !== undefined) add(executed);
    if (!/^(?:open|<\.\.\. open)/.test(call) || /O_PATH|O_DIRECTORY/.test(call)) continue;
    const opened = /= \d+<(\/[^>]*)>(?:\(deleted\))?$/.exec(call)?.[1];
    if (opened !== undefined) add(opened);
  }
  return found;
}

const BUILD = `
cc -O1 -o dynamic main.c && ./dynamic main.c
cc -static -o static main.c && ./static /usr/share/common-licenses/BSD
chmod +x script && ./script
perl -MFile::Spec -e 'print File::Spec->tmpdir, "\\n"'
cp /usr/share/common-licenses/Artistic copied; grep -rl GNU /usr/share/common-licenses >found
for i in 1 2 3 4 5 6 7 8; do echo "int f$i(void) { return $i; }" >f$i.c; cc -c f$i.c & done; wait
ar rcs all.a f*.o; cat copied >/dev/null; rm copied
`;
const FILES = {
  "main.c": '#include <stdio.h>\n#include <math.h>\nint main(int n, char **a) { return fopen(a[1], "r") == 0; }\n',
  script: "#!/usr/bin/env -S sh -e\ncat data >/dev/null\n",
  data: "read by a script\n",
  unread: "by nobody\n",
};

const strace = (await run("strace", ["-V"]).catch(() => undefined)) !== undefined;
const oracle = !isRoot ? "needs root" : strace ? false : "strace is not installed";

test("every file that strace sees opened or executed is listed", { skip: oracle }, async () => {
  const traced = `strace -f -y -qq -s 4096 -e trace=open,openat,openat2,execve -o trace sh -ec '${BUILD.replaceAll("'", `'\\''`)}'`;
  const done = await sh(traced, {}, { files: FILES });
  assert.equal(done.exitCode, 0, done.log);
  const seen = seenByStrace(readFileSync(join(done.folder, "trace"), "utf8"), done.folder);
  assert.ok(seen.size > 100, `strace saw ${seen.size} files`);
  const listed = new Set(done.reads.opened);
  assert.deepEqual(done.reads.doubts, []);
  assert.deepEqual(
    [...seen].filter((path) => !listed.has(path)),
    [],
  );
  assert.ok(!listed.has("/build/read/unread"));
  for (const program of ["/usr/bin/dash", "/usr/bin/env", "/usr/bin/perl"]) {
    assert.ok(done.reads.executed?.includes(program), `${program} was executed`);
  }
  assert.ok(done.reads.executed?.some((path) => path.endsWith("/cc1")));
  assert.ok(!done.reads.executed?.some((path) => /^\/usr\/(?:include|share)\//.test(path)));
  assert.deepEqual(done.reads.shared, []);
});

function inShare({ opened }: Reads): string[] {
  return opened.filter((path) => path.startsWith("/usr/share/"));
}

test("two builds at once over one locked root do not mix", async () => {
  const root = await smallRoot("shared-root", { "usr/share/a": "a", "usr/share/b": "b", "usr/share/both": "2" });
  linkSync(join(root, "usr/share/both"), join(root, "usr/share/other-name"));
  const meet = "cat /usr/share/both >/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
  const [a, b] = await Promise.all([
    sh(`${meet}; cat /usr/share/a`, { root }, { files: { own: "" } }),
    sh(`cat /usr/share/b own; ${meet}; cat /usr/share/other-name`, { root }, { files: { own: "" } }),
  ]);
  assert.deepEqual([a.exitCode, b.exitCode, a.reads.doubts, b.reads.doubts], [0, 0, [], []]);
  assert.deepEqual(inShare(a.reads), ["/usr/share/a", "/usr/share/both"]);
  assert.deepEqual(inShare(b.reads), ["/usr/share/b", "/usr/share/both", "/usr/share/other-name"]);
  assert.ok(b.reads.opened.includes("/build/read/own") && !a.reads.opened.includes("/build/read/own"));
  assert.ok(a.reads.opened.includes("/bin/cat") && a.reads.opened.some((path) => /\/ld-linux/.test(path)));
});

test("a file that is removed at once is listed by its name", { skip: isRoot ? false : "needs root" }, async () => {
  const done = await sh(
    "cat gone; rm gone; echo x >'kept (deleted)'; cat 'kept (deleted)'",
    {},
    { files: { gone: "" } },
  );
  const opened = done.reads.opened.filter((path) => path.startsWith("/build/"));
  assert.deepEqual(opened, ["/build/read/gone", "/build/read/kept (deleted)"]);
  assert.deepEqual(done.reads.doubts, []);
});

test(
  "a build cannot step out of sight into a mount namespace of its own",
  {
    skip: isRoot ? false : "needs root",
  },
  async () => {
    const done = await sh(
      "unshare -Ur true && echo user; unshare -Urm cat /usr/share/common-licenses/GPL-1 || echo refused",
    );
    assert.match(done.log, /^user\n[\s\S]*refused\n$/);
    assert.deepEqual(done.reads.doubts, []);
    assert.ok(Number(readFileSync("/proc/sys/user/max_mnt_namespaces", "utf8")) > 0);
  },
);

test("what could not be observed is said", async () => {
  const root = await smallRoot("doubted-root");
  const many = await sh("cat /bin/sh /bin/cat >/dev/null", { root }, { maxFiles: 1 });
  assert.deepEqual(many.reads.doubts, ["more than 1 files were opened: no more were noted"]);
  assert.equal(many.reads.opened.length, 1);

  const path = process.env["PATH"] ?? "";
  mkdirSync(join(own, "bin"));
  symlinkSync("/bin/false", join(own, "bin", "cc"));
  process.env["PATH"] = join(own, "bin");
  const without = await observeReads({ cache: join(own, "empty-cache"), except: [] });
  process.env["PATH"] = path;
  await without.attach(process.pid);
  assert.match((await without.finish()).doubts.join(), /without a C compiler: apt-get install/);

  const never = await observeReads({ cache, except: [] });
  assert.deepEqual((await never.finish()).doubts, ["nothing was observed: the build did not begin"]);

  const gone = await observeReads({ cache, except: [] });
  await gone.attach(2 ** 22 + 1);
  assert.match((await gone.finish()).doubts.join(), /^nothing was observed: cannot look at the sandbox/);
});

test("an observer that is killed is a doubt, not a complete list", async () => {
  const root = await smallRoot("killed-root");
  const killed = async (): Promise<void> => {
    const listed = Buffer.from((await run("ps", ["-eo", "pid,args"])).stdout).toString();
    const [, pid] = new RegExp(`^ *(\\d+) ${cache}/reads-watcher-`, "m").exec(listed) ?? [];
    process.kill(Number(pid), "SIGKILL");
  };
  const observer = await observeReads({ cache, except: [] });
  const folder = join(own, "killed");
  mkdirSync(folder);
  await runSandboxed(
    {
      world,
      command: ["/bin/cat", "/bin/sh"],
      directory: world.buildPath,
      mounts: [{ from: folder, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      root,
      limits,
      log: join(own, "killed.log"),
      beforeStart: async (pid) => {
        await observer.attach(pid);
        await killed();
      },
    },
    await probeHost(),
  );
  assert.deepEqual((await observer.finish()).doubts, ["the observer was ended before its time"]);
});

test("as root: the ordinary user's way works as well", { skip: isRoot ? false : "needs root" }, async () => {
  const stage = mkdtempSync("/tmp/reads-as-user-");
  chmodSync(stage, 0o755);
  for (const name of ["repo", "tmp"]) mkdirSync(join(stage, name));
  chmodSync(join(stage, "tmp"), 0o1777);
  writeFileSync(join(stage, "node"), "");
  const script = `mount --bind "$1" "$3/repo" && mount --bind "$2" "$3/node" && cd "$3/repo" &&
    exec setpriv --reuid=64998 --regid=64998 --clear-groups env -i PATH="$PATH" HOME="$3/tmp" TMPDIR="$3/tmp" XDG_CACHE_HOME=/var/cache BITFORBIT_TEST_TMP="$3/tmp" "$3/node" --test --test-reporter=tap src/sandbox/reads.test.ts`;
  try {
    const root = join(import.meta.dirname, "..", "..");
    const done = await run("unshare", ["-m", "sh", "-c", script, "sh", root, process.execPath, stage], {
      env: { NODE_TEST_CONTEXT: undefined },
      timeoutMilliseconds: 60_000,
    });
    const said = Buffer.from(done.stdout).toString();
    assert.equal(done.exitCode, 0, said.slice(0, 9000) + done.stderr.slice(0, 2000));
    assert.match(said, /^# pass 3$/m);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
});
