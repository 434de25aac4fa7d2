/** The whole way, with a small archive of our own: real apt, gpg, dpkg, bubblewrap. */
import { strict as assert } from "node:assert";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { BitforbitError } from "../errors.ts";
import type { DebianEnvironment } from "../lock/environment.ts";
import { type HostAbilities, probeHost } from "../sandbox/host.ts";
import { namesIn, removeTree } from "../tree.ts";
import { lackingForArchive, smallArchive, type SmallArchive } from "./archive-for-tests.ts";
import { assemble } from "./assemble.ts";
import { bodyPath } from "../body-path.ts";
import { type DebianContext, openDebian, ownArchitecture, resolveDebian } from "./debian.ts";
import { rootDigest } from "../root-digest.ts";

const skip = lackingForArchive() ?? (spawnSync("bwrap", ["--version"]).error === undefined ? false : "no bubblewrap");
const folder = mkdtempSync(join(tmpdir(), "bitforbit-debian-"));
chmodSync(folder, 0o755);
after(async () => await removeTree(folder));
// apt must reach the archive on loopback, whatever proxy this machine has.
process.env["no_proxy"] = "127.0.0.1";

const GREET = {
  name: "greet",
  version: "1:2.0-1",
  fields: { Depends: "system, libgreet (>= 1)" },
  files: {
    "usr/bin/greet": "#!/bin/sh\ncat /etc/greet.conf\n",
    "usr/bin/greet-loud": "#!/bin/sh\necho HELLO\n",
    "etc/greet.conf": "hello\n",
    "lib/greet/part": "in a merged folder\n",
  },
  control: {
    conffiles: "/etc/greet.conf\n",
    triggers: "interest greet-changed\n",
    preinst: `#!/bin/sh\nset -e\n[ "$1" = install ]\n[ ! -e /usr/bin/greet ]\nmkdir -p /var/lib/greet\ntouch /var/lib/greet/before\n`,
    // Everything that a user namespace with one user in it forbids, and all that must not stay.
    postinst: `#!/bin/sh
set -e
if [ "$1" = triggered ]; then touch /var/lib/greet/triggered; exit 0; fi
chown nobody:nogroup /usr/bin/greet-loud
chmod 6755 /usr/bin/greet-loud
mknod /var/lib/greet/null c 1 3
update-alternatives --install /usr/bin/hi hi /usr/bin/greet 10
date > /var/log/greet.log
echo lock > /etc/.pwd.lock
mkdir -p /var/cache/man
date > /var/cache/man/index.db
hostname > /var/lib/greet/hostname
echo "$TZ $LC_ALL $SOURCE_DATE_EPOCH" > /var/lib/greet/world
ls / > /tmp/listing
sync
`,
  },
  compression: "gzip" as const,
};

const LIBGREET = {
  name: "libgreet",
  version: "1.0",
  fields: { "Multi-Arch": "same", Depends: "system" },
  files: { "usr/lib/libgreet.txt": "library\n" },
  compression: "zstd" as const,
};

const DIVERTER = {
  name: "diverter",
  version: "1",
  fields: { Depends: "greet" },
  files: { "usr/bin/greet": "#!/bin/sh\necho diverted\n" },
  control: {
    triggers: "activate-noawait greet-changed\n",
    preinst: "#!/bin/sh\nset -e\ndpkg-divert --package diverter --rename --add /usr/bin/greet\n",
  },
};

const CLASH = { name: "clash", version: "1", files: { "etc/greet.conf": "mine\n" } };
const FAILS = { name: "fails", version: "1", control: { postinst: "#!/bin/sh\necho 'no luck today' >&2\nexit 3\n" } };
const SLOW = { name: "slow", version: "1", control: { postinst: "#!/bin/sh\nwhile :; do :; done\n" } };
const NEEDY = { name: "needy", version: "1", fields: { Depends: "nowhere (>= 3)" } };

let archive: SmallArchive;
let host: HostAbilities;
let said: string[] = [];

const contextIn = (name: string, more: Partial<DebianContext> = {}): DebianContext => ({
  cache: join(folder, name),
  host,
  aptFolder: archive.aptFolder,
  onProgress: (line) => void said.push(line),
  ...more,
});

const spec = (...packages: string[]): Parameters<typeof resolveDebian>[0] => ({
  suite: "small",
  components: ["main"],
  packages,
  architecture: undefined,
});

const failing = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.match(error.message, pattern);
  assert.equal(error.code, code);
  assert.ok((error.hint ?? "") !== "", "no hint");
  return true;
};

const resolveAnew = async (): Promise<unknown> => await resolveDebian(spec("greet"), contextIn("three"));

const inside = (root: string, script: string): string => {
  const args = ["--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
  return execFileSync("bwrap", [...args, "--clearenv", "/bin/sh", "-ec", script], { encoding: "utf8" });
};

describe("a Debian environment", { skip, concurrency: false }, () => {
  let locked: DebianEnvironment;

  before(async () => {
    host = await probeHost();
    archive = await smallArchive(folder, [GREET, LIBGREET, DIVERTER, CLASH, FAILS, SLOW, NEEDY]);
  });
  after(async () => await archive.close());

  test("is resolved, fetched, and put together with its scripts run", async () => {
    const made = await resolveDebian(spec("greet"), contextIn("one"));
    locked = made.locked;
    assert.deepEqual(
      locked.packages.map(({ name, version }) => `${name} ${version}`),
      ["greet 1:2.0-1", "libgreet 1.0", "system 1.0"],
    );
    assert.equal(locked.root, made.root.digest);
    const { folder: root } = made.root;
    assert.equal(inside(root, "greet; hi; cat /lib/greet/part"), "hello\nhello\nin a merged folder\n");
    assert.equal(inside(root, "dpkg-query -W -f '${db:Status-Abbrev}\n'"), "ii \nii \nii \n");
    assert.equal(inside(root, "ls /var/lib/greet"), "before\nhostname\nworld\n");
    assert.equal(
      inside(root, "cat /var/lib/greet/hostname /var/lib/greet/world"),
      "localhost\nUTC C.UTF-8 315619200\n",
    );
    assert.match(
      readFileSync(join(root, "var/lib/dpkg/status"), "utf8"),
      /\/etc\/greet\.conf b1946ac92492d2347c6235b4d2611184\n/,
    );
    for (const gone of ["var/log/greet.log", "var/cache/man/index.db", "etc/shadow-", "etc/.pwd.lock", "tmp/listing"]) {
      assert.ok(!existsSync(join(root, gone)), gone);
    }
    assert.equal(readFileSync(join(root, "etc/shadow"), "utf8"), "root:*:3653:0:99999:7:::\n");
    for (const there of ["proc", "sys", "dev", "tmp", "run", "build", "deps", "home", "etc/hosts"]) {
      assert.ok(existsSync(join(root, there)), there);
    }
    const loud = execFileSync("stat", ["-c", "%a %Y %h", join(root, "usr/bin/greet-loud")], { encoding: "utf8" });
    assert.equal(loud, "755 315619200 1\n");
  });

  test("is the same whatever the umask, time zone, locale, path, directory order, clock and identity are", async () => {
    const [ordered, shuffled] = [join(folder, "in order"), join(folder, "shuffled")];
    for (const path of [ordered, shuffled]) mkdirSync(path);
    // Without the right to mount it, the order is the file system's own.
    const order = ["--multi-user=yes", "--sort-dirents=no", "--shuffle-dirents=yes", "-q", ordered, shuffled];
    const mounted = process.getuid?.() === 0 && spawnSync("disorderfs", order).status === 0;
    const kept = { umask: process.umask(0o077), zone: process.env["TZ"], locale: process.env["LC_ALL"] };
    Object.assign(process.env, { TZ: "Pacific/Marquesas", LC_ALL: "tr_TR.UTF-8" });
    try {
      const library = host.clockShift;
      const shiftedClock = library === undefined ? {} : { shiftedClock: { library, seconds: 400 * 86_400 } };
      for (const isolation of process.getuid?.() === 0 ? (["root", "dropped"] as const) : [host.isolation]) {
        const work = join(isolation === "root" ? folder : shuffled, `ü ${isolation}`);
        mkdirSync(work);
        chmodSync(work, 0o755);
        const context = { ...contextIn("one"), host: { ...host, isolation }, ...shiftedClock };
        const root = await assemble(locked.packages, locked.architecture, work, context);
        assert.equal((await rootDigest(root)).digest, locked.root, isolation);
      }
    } finally {
      process.umask(kept.umask);
      for (const [name, value] of [
        ["TZ", kept.zone],
        ["LC_ALL", kept.locale],
      ] as const) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      if (mounted) execFileSync("umount", [shuffled]);
    }
  });

  test("is opened from the cache without asking anybody", async () => {
    archive.asked.length = 0;
    const opened = await openDebian(locked, contextIn("one"));
    assert.equal(opened.digest, locked.root);
    assert.deepEqual(archive.asked, []);
  });

  test("is made once when two want it at once, and is the same on a second machine", async () => {
    said = [];
    const [a, b] = await Promise.all([openDebian(locked, contextIn("two")), openDebian(locked, contextIn("two"))]);
    assert.deepEqual(a, b);
    assert.equal(a.digest, locked.root);
    assert.equal(said.filter((line) => line.startsWith("configuring")).length, 1);
  });

  test("is made anew, with the file named, when the cached one was changed", async () => {
    const { folder: root } = await openDebian(locked, contextIn("two"));
    const path = join(root, "usr/bin/greet");
    const { size } = { size: readFileSync(path).length };
    writeFileSync(path, "#!/bin/sh\necho evil".padEnd(size, "\n"));
    execFileSync("touch", ["-d", "@315619200", path]);
    said = [];
    const again = await openDebian(locked, contextIn("two"));
    assert.match(said.join("\n"), /was changed \(usr\/bin\/greet\)/);
    assert.equal(inside(again.folder, "greet"), "hello\n");
    writeFileSync(join(again.folder, "usr/bin/more"), "");
    said = [];
    await openDebian(locked, contextIn("two"));
    assert.match(said.join("\n"), /was changed \(usr\/bin(?:\/more)?\)/);
  });

  test("is taken as it lies there when that is confirmed later, and made anew when it turns out to be changed", async () => {
    const context = { ...contextIn("two"), check: "later" as const };
    const root = await openDebian(locked, context);
    assert.ok(root.confirm !== undefined);
    assert.equal(await root.confirm(), undefined, "unchanged");
    writeFileSync(join(root.folder, "usr/bin/greet"), "#!/bin/sh\necho evil");
    said = [];
    const again = await openDebian(locked, context);
    assert.deepEqual(said, [], "nothing is asked yet");
    const anew = await again.confirm?.();
    assert.match(said.join("\n"), /was changed \(usr\/bin\/greet\)/);
    assert.equal(anew?.digest, locked.root);
    assert.equal(inside(anew?.folder ?? "", "greet"), "hello\n");
  });

  test("refuses a poisoned package in the cache, names it and fetches it anew", async () => {
    const cache = join(folder, "two");
    const greet = locked.packages.find(({ name }) => name === "greet");
    writeFileSync(bodyPath(cache, `sha256:${greet?.sha256 ?? ""}`), "poison");
    await removeTree(join(cache, "roots"));
    said = [];
    assert.equal((await openDebian(locked, contextIn("two"))).digest, locked.root);
    assert.match(said.join("\n"), /greet 1:2\.0-1: the file in the cache is not what its digest says/);
  });

  test("follows diversions and triggers", async () => {
    const { root } = await resolveDebian(spec("diverter"), contextIn("one"));
    assert.equal(inside(root.folder, "greet; greet.distrib"), "diverted\nhello\n");
    assert.ok(existsSync(join(root.folder, "var/lib/greet/triggered")));
  });

  test("says which package does not exist, and what is near", async () => {
    await assert.rejects(resolveDebian(spec("greet", "gret"), contextIn("one")), (error) => {
      failing("input", /no package is called "gret"/)(error);
      return assert.match((error as BitforbitError).hint ?? "", /nearest: greet/) ?? true;
    });
    await assert.rejects(
      resolveDebian(spec("needy"), contextIn("one")),
      failing("input", /do not go together: .*nowhere/),
    );
    await assert.rejects(resolveDebian(spec("-y"), contextIn("one")), failing("input", /not a package: "-y"/));
    const elsewhere = { ...spec("greet"), suite: "nosuch" };
    await assert.rejects(resolveDebian(elsewhere, contextIn("one")), failing("outside", /does not have this suite/));
  });

  test("says which packages clash, and whose script failed", async () => {
    await assert.rejects(
      resolveDebian(spec("greet", "clash"), contextIn("one")),
      failing("input", /both have \/etc\/greet.conf/),
    );
    await assert.rejects(resolveDebian(spec("fails"), contextIn("one")), failing("input", /no luck today[^]*fails/));
    assert.deepEqual(
      (await namesIn(join(folder, "one", "roots"))).filter((name) => name.startsWith(".tmp-")),
      [],
    );
  });

  test("refuses a lock that was edited by hand", async () => {
    const [first, ...others] = locked.packages;
    assert.ok(first !== undefined);
    const edited = (change: Partial<typeof first>): DebianEnvironment => ({
      ...locked,
      packages: [{ ...first, ...change }, ...others],
    });
    const { root: _, ...rest } = { ...locked, root: `sha256:${"0".repeat(64)}` as const };
    const cases: readonly [DebianEnvironment, string, RegExp][] = [
      [edited({ version: "1:9" }), "refused", /locked as greet 1:9 says that its version is 1:2\.0-1/],
      [edited({ sha256: "f".repeat(64) }), "outside", /no longer serves greet 1:2\.0-1/],
      [edited({ sha256: "../../etc/passwd" }), "input", /not as it was written/],
      [{ ...locked, packages: [...others, first] }, "input", /out of order/],
      [{ ...rest, root: `sha256:${"0".repeat(64)}` }, "refused", /the lock says sha256:0000/],
      [
        {
          ...locked,
          architecture: ownArchitecture() === "arm64" ? "s390x" : "arm64",
          root: `sha256:${"1".repeat(64)}`,
        },
        "lacking",
        /cannot be assembled on this/,
      ],
    ];
    for (const [lock, code, pattern] of cases) {
      await assert.rejects(openDebian(lock, contextIn("one")), failing(code, pattern));
    }
  });

  test("refuses an archive whose signature is wrong, expired, missing, or over another index", async () => {
    await archive.sign({ home: archive.strangerHome });
    await assert.rejects(resolveAnew(), failing("refused", /not signed by the Debian archive's keys/));
    await archive.sign({ validUntil: "Fri, 02 Jan 2026 00:00:00 UTC" });
    await assert.rejects(resolveAnew(), failing("refused", /out of date/));
    const signed = join(archive.folder, "dists", "small", "InRelease");
    await archive.sign();
    const good = readFileSync(signed, "utf8");
    writeFileSync(signed, good.replace("Components: main", "Components: evil"));
    await assert.rejects(resolveAnew(), failing("refused", /signature is wrong/));
    writeFileSync(
      signed,
      good.replace(/^-----BEGIN PGP SIGNED[^]*?\n\n/, "").replace(/-----BEGIN PGP SIGNATURE[^]*$/, ""),
    );
    await assert.rejects(resolveAnew(), failing("refused", /signed|signature/));
    rmSync(signed);
    writeFileSync(join(archive.folder, "dists", "small", "Release"), good.split("\n\n").slice(1).join("\n"));
    await assert.rejects(resolveAnew(), failing("refused", /not signed/));
    rmSync(join(archive.folder, "dists", "small", "Release"));
    await archive.sign();
  });

  test("tells a package that is gone, changed or cut off on its way", async () => {
    const again = async (): Promise<unknown> => await openDebian(locked, contextIn("four"));
    archive.interfere = (request, response) => {
      if (request.url?.includes("/greet_") !== true) return false;
      response.writeHead(404).end();
      return true;
    };
    await assert.rejects(again(), failing("outside", /404/));
    archive.interfere = (request, response) => {
      if (request.url?.includes("/greet_") !== true) return false;
      const size = locked.packages.find(({ name }) => name === "greet")?.size ?? 0;
      response.writeHead(200, { "content-length": size }).end(Buffer.alloc(size, 1));
      return true;
    };
    await assert.rejects(again(), failing("outside", /other bytes than its signed index/));
    archive.interfere = (request, response) => {
      if (request.url?.includes("/greet_") !== true) return false;
      response.writeHead(200, { "content-length": 100_000 }).write("half");
      setTimeout(() => response.destroy(), 20);
      return true;
    };
    await assert.rejects(again(), failing("outside", /greet/));
    archive.interfere = undefined;
    assert.equal(((await again()) as { digest: string }).digest, locked.root);
  });

  test("names the package that the archive replaced by a newer one", async () => {
    rmSync(join(archive.folder, "pool", "libgreet_1.0_" + ownArchitecture() + ".deb"));
    archive.add({ ...LIBGREET, version: "1.1" });
    await archive.sign();
    await assert.rejects(openDebian(locked, contextIn("five")), failing("outside", /no longer serves libgreet 1\.0/));
    assert.equal((await openDebian(locked, contextIn("one"))).digest, locked.root, "what is cached is enough");
  });

  test("says that the disk is full, and leaves nothing behind", async (t) => {
    const disk = join(folder, "small disk");
    mkdirSync(disk);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", disk]).status !== 0)
      return t.skip("mounting needs root");
    try {
      mkdirSync(join(disk, "roots"));
      // The packages have room elsewhere; their root has not.
      execFileSync("ln", ["-s", join(folder, "one", "bodies"), join(disk, "bodies")]);
      const context = { ...contextIn("x"), cache: disk };
      await assert.rejects(openDebian(locked, context), failing("outside", /no space left/));
      assert.deepEqual(
        (await namesIn(join(disk, "roots"))).filter((name) => !name.endsWith(".lock")),
        [],
      );
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  test("says that apt is missing, and how to go on", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = folder;
    try {
      await assert.rejects(resolveDebian(spec("greet"), contextIn("one")), failing("lacking", /has no apt/));
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("survives kill -9 in the middle", async () => {
    const cache = join(folder, "killed");
    const script = `
      import { resolveDebian } from ${JSON.stringify(join(import.meta.dirname, "debian.ts"))};
      import { probeHost } from ${JSON.stringify(join(import.meta.dirname, "../sandbox/host.ts"))};
      await resolveDebian(${JSON.stringify(spec("slow"))}, { cache: ${JSON.stringify(cache)}, host: await probeHost(),
        aptFolder: ${JSON.stringify(archive.aptFolder)}, onProgress: (line) => process.stdout.write(line + "\\n") });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const chunk of child.stdout) if (String(chunk).includes("configuring")) child.kill("SIGKILL");
    const left = await namesIn(join(cache, "roots"));
    assert.ok(
      left.some((name) => name.startsWith(".tmp-")),
      left.join(" "),
    );
    assert.ok(!left.some((name) => /^[0-9a-f]{64}(?:\.digest)?$/.test(name)), left.join(" "));
    const abort = new AbortController();
    const again = resolveDebian(spec("slow"), {
      ...contextIn("killed"),
      signal: abort.signal,
      onProgress: (line) => void (line.startsWith("configuring") && setTimeout(() => abort.abort(), 100)),
    });
    await assert.rejects(again, (error) => error instanceof Error && error.name === "AbortError");
    assert.deepEqual(
      (await namesIn(join(cache, "roots"))).filter((name) => name.startsWith(".tmp-")),
      [],
    );
  });
});
