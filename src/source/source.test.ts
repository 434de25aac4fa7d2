import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { digestOf, digestOfFile, hexOf } from "../digest.ts";
import { parseRecipe, type Recipe } from "../recipe/recipe.ts";
import { treeDigest } from "../tree.ts";
import type { Extract } from "./archive.ts";
import { checkedPath, withoutCredentials } from "./git.ts";
import { canonicalObstacles, readSource, stage } from "./source.ts";

const EPOCH = 1_700_000_000;
const root = mkdtempSync(join(tmpdir(), "source-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));

/** git with a home of its own, so that the machine's configuration plays no part. */
const home = join(root, "home");
mkdirSync(home, { mode: 0o700 });
process.env["HOME"] = home;
process.env["GNUPGHOME"] = join(home, "gnupg");
process.env["GIT_CONFIG_NOSYSTEM"] = "1";
mkdirSync(join(home, "gnupg"), { mode: 0o700 });
const dated = { GIT_AUTHOR_DATE: `${EPOCH} +0200`, GIT_COMMITTER_DATE: `${EPOCH} +0200` };
const who = ["-c", "user.name=A", "-c", "user.email=a@example.test", "-c", "protocol.file.allow=always"];
const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", [...who, ...args], { cwd, env: { ...process.env, ...dated }, stdio: ["ignore", "pipe", "pipe"] })
    .toString()
    .trim();

/** Stands in for format/extract.ts: the system's tar. */
const extract: Extract = async (path, into) => {
  mkdirSync(into, { recursive: true });
  execFileSync("tar", ["-xf", path, "-C", into]);
  return { newest: EPOCH + 5, files: 0, bytes: 0 };
};
const options = { cache: join(root, "cache"), extract };
const RECIPE: Recipe = parseRecipe('name = "x"\ncommand = "make"\noutputs = ["o"]\n', "bitforbit.toml");

let count = 0;
function folder(files: Readonly<Record<string, string>> = {}): string {
  const path = join(root, `f${count++}`);
  mkdirSync(path);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

function repository(
  files: Readonly<Record<string, string>> = { "a.txt": "a\n", "run.sh": "#!\n", "d/b": "b\n" },
): string {
  const path = folder(files);
  git(path, "init", "-q", "-b", "main");
  if (existsSync(join(path, "run.sh"))) chmodSync(join(path, "run.sh"), 0o755);
  git(path, "add", "-A");
  git(path, "commit", "-qm", "one");
  return path;
}

test("a clean checkout: commit, branch, remote without its secrets, time of the commit", async () => {
  const path = repository();
  git(path, "remote", "add", "origin", "https://user:secret@example.test/x.git?token=1");
  writeFileSync(join(path, "stray"), "");
  const source = await readSource(path, RECIPE, options);
  const commit = git(path, "rev-parse", "HEAD");
  assert.deepEqual(
    { ...source, treeDigest: "" },
    {
      kind: "git",
      name: "x",
      uri: "https://example.test/x.git",
      commit,
      ref: "refs/heads/main",
      submodules: [],
      dirty: [],
      untracked: 1,
      shallow: false,
      treeDigest: "",
      digest: { gitCommit: commit },
      epoch: EPOCH,
    },
  );
  assert.deepEqual(canonicalObstacles(source), []);
});

test("one tree digest for a commit, its archive, the staged tree and a plain folder", async () => {
  const path = repository();
  symlinkSync("a.txt", join(path, "link"));
  git(path, "add", "-A");
  git(path, "commit", "-qm", "two");
  const source = await readSource(path, RECIPE, options);
  const into = join(root, "staged");
  await stage(source, path, RECIPE, into, options);
  assert.equal((await treeDigest(into)).digest, source.treeDigest);
  assert.equal(readlinkSync(join(into, "link")), "a.txt");
  assert.equal(statSync(join(into, "run.sh")).mode & 0o7777, 0o755);
  assert.equal(statSync(join(into, "a.txt")).mode & 0o7777, 0o644);
  for (const name of ["", "a.txt", "d", "d/b", "link"])
    assert.equal(lstatSync(join(into, name)).mtimeMs, EPOCH * 1000, name);
  assert.ok(!existsSync(join(into, ".git")));

  const archive = join(folder(), "x-1.tar.gz");
  git(path, "archive", "--prefix=x-1/", "-o", archive, "HEAD");
  const sha256 = hexOf(await digestOfFile(archive));
  const fromArchive = await readSource(dirname(archive), { ...RECIPE, source: { url: "x-1.tar.gz", sha256 } }, options);
  assert.equal(fromArchive.treeDigest, source.treeDigest);
  assert.deepEqual([fromArchive.kind, fromArchive.uri, fromArchive.digest], ["archive", "file:x-1.tar.gz", { sha256 }]);
  assert.equal(fromArchive.epoch, EPOCH + 5);

  const plain = await readSource(into, RECIPE, options);
  assert.deepEqual([plain.kind, plain.treeDigest], ["folder", source.treeDigest]);
  assert.match(canonicalObstacles(plain)[0]?.remedy ?? "", /--once/);
});

test("what differs from the commit is dirty: content, mode, kind, removal, addition, index", async () => {
  const path = repository({ "a.txt": "a", b: "b", c: "c", d: "d", e: "e", "run.sh": "" });
  writeFileSync(join(path, "a.txt"), "A");
  chmodSync(join(path, "b"), 0o755);
  rmSync(join(path, "c"));
  rmSync(join(path, "d"));
  symlinkSync("a.txt", join(path, "d"));
  git(path, "rm", "-q", "--cached", "e");
  writeFileSync(join(path, "new"), "");
  git(path, "add", "new");
  const source = await readSource(path, RECIPE, options);
  assert.deepEqual(source.dirty, ["a.txt", "b", "c", "d", "e", "new"]);
  assert.deepEqual(source.digest, { sha256: hexOf(source.treeDigest) });
  const [obstacle] = canonicalObstacles(source);
  assert.match(
    `${obstacle?.what}: ${obstacle?.remedy}`,
    /^a\.txt and 5 more differs.*: commit the change, or build with --once$/,
  );
  const into = join(root, "dirty");
  await stage(source, path, RECIPE, into, options);
  assert.equal(readFileSync(join(into, "a.txt"), "utf8"), "A");
  assert.ok(!existsSync(join(into, "c")) && !existsSync(join(into, "e")));
});

test("line endings of a checkout and files of Git LFS are not dirty", async () => {
  const content = "big\0content\r\n";
  const pointer = `version https://git-lfs.github.com/spec/v1\noid ${digestOf(content)}\nsize ${content.length}\n`;
  const path = repository({ "x.bat": "a\nb\n", big: pointer });
  writeFileSync(join(path, "x.bat"), "a\r\nb\r\n");
  writeFileSync(join(path, "big"), content);
  assert.deepEqual((await readSource(path, RECIPE, options)).dirty, []);
  writeFileSync(join(path, "big"), `${content}!`);
  assert.deepEqual((await readSource(path, RECIPE, options)).dirty, ["big"]);
});

test("a shallow clone is said to be one, with the remedy", async () => {
  const path = repository();
  git(path, "commit", "-qm", "two", "--allow-empty");
  const clone = join(root, "shallow");
  git(root, "clone", "-q", "--depth=1", `file://${path}`, clone);
  const source = await readSource(clone, RECIPE, options);
  assert.equal(source.shallow, true);
  assert.equal(canonicalObstacles(source)[0]?.remedy, "git fetch --unshallow");
});

test("submodules: absent, present, at another commit, and one that links out", async () => {
  const inner = repository({ i: "i" });
  const outer = repository();
  git(outer, "submodule", "--quiet", "add", `file://u:p@${inner}`.replace("u:p@", ""), "sub");
  git(outer, "commit", "-qm", "sub");
  const clone = join(root, "clone");
  git(root, "clone", "-q", outer, clone);
  const absent = await readSource(clone, RECIPE, options);
  const commit = git(inner, "rev-parse", "HEAD");
  assert.deepEqual(absent.submodules, [{ path: "sub", commit, uri: `file://${inner}`, present: false }]);
  assert.equal(canonicalObstacles(absent)[0]?.remedy, "git submodule update --init --recursive");
  git(clone, "submodule", "--quiet", "update", "--init", "--recursive");
  const present = await readSource(clone, RECIPE, options);
  assert.deepEqual([canonicalObstacles(present), present.submodules[0]?.present], [[], true]);
  assert.notEqual(present.treeDigest, absent.treeDigest);
  const into = join(root, "with-sub");
  await stage(present, clone, RECIPE, into, options);
  assert.equal(readFileSync(join(into, "sub/i"), "utf8"), "i");
  writeFileSync(join(clone, "sub/i"), "changed");
  assert.deepEqual((await readSource(clone, RECIPE, options)).dirty, ["sub/i"]);
  git(join(clone, "sub"), "commit", "-qam", "moved");
  assert.deepEqual((await readSource(clone, RECIPE, options)).dirty, ["sub"]);
  renameSync(join(clone, "sub"), join(root, "elsewhere"));
  symlinkSync(join(root, "elsewhere"), join(clone, "sub"));
  assert.equal((await readSource(clone, RECIPE, options)).submodules[0]?.present, false);
});

test("a sub-folder of a repository is a source; an untracked one is a plain folder", async () => {
  const path = repository({ "p/a": "a", "q/b": "b" });
  const source = await readSource(join(path, "p"), RECIPE, options);
  assert.deepEqual([source.kind, source.subfolder], ["git", "p"]);
  assert.equal(source.treeDigest, (await readSource(folder({ a: "a" }), RECIPE, options)).treeDigest);
  mkdirSync(join(path, "new"));
  writeFileSync(join(path, "new/c"), "c");
  assert.equal((await readSource(join(path, "new"), RECIPE, options)).kind, "folder");
});

test("tags: lightweight, unsigned, signed with a known, an unknown and a wrong key", async () => {
  const path = repository();
  git(path, "tag", "v0");
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, { name: "v0", signature: "unsigned" });
  git(path, "tag", "-am", "one", "v1");
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, { name: "v1", signature: "unsigned" });

  const key = join(home, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  git(path, "-c", "gpg.format=ssh", "-c", `user.signingkey=${key}`, "tag", "-sm", "two", "v2");
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, { name: "v2", signature: "unknown-key" });
  const allowed = join(home, "allowed");
  writeFileSync(allowed, `a@example.test ${readFileSync(`${key}.pub`, "utf8")}`);
  git(path, "config", "gpg.ssh.allowedSignersFile", allowed);
  const own = await readSource(path, RECIPE, options);
  assert.equal(own.tag?.signature, "unknown-key", "the repository may not say who is trusted");
  git(path, "config", "--global", "gpg.ssh.allowedSignersFile", allowed);
  const good = { name: "v2", signature: "good", signer: "a@example.test" };
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, good);

  const tag = git(path, "cat-file", "tag", "v2").replace("\ntwo\n", "\nTWO\n");
  const forged = execFileSync("git", ["hash-object", "-t", "tag", "-w", "--stdin"], { cwd: path, input: `${tag}\n` });
  git(path, "update-ref", "refs/tags/v3", forged.toString().trim());
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, { name: "v3", signature: "bad" });
});

function gpg(...args: string[]): void {
  execFileSync("gpg", ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", ...args], {
    stdio: "ignore",
  });
}

test("tags signed with OpenPGP", { skip: !existsSync("/usr/bin/gpg") && "gpg is not installed" }, async () => {
  const path = repository();
  gpg("--quick-generate-key", "G <g@example.test>", "ed25519", "sign", "never");
  git(path, "-c", "user.signingkey=g@example.test", "tag", "-sm", "one", "v1");
  const found = (await readSource(path, RECIPE, options)).tag;
  assert.deepEqual(found, { name: "v1", signature: "good", signer: "G <g@example.test>" });
  process.env["GNUPGHOME"] = join(home, "other");
  mkdirSync(process.env["GNUPGHOME"], { mode: 0o700 });
  assert.deepEqual((await readSource(path, RECIPE, options)).tag, { name: "v1", signature: "unknown-key" });
});

test("a hostile repository runs nothing", async () => {
  const path = repository({ "a.txt": "a\n", ".gitattributes": "* filter=evil diff=evil\n" });
  const mark = join(root, "pwned");
  const evil = join(root, "evil.sh");
  writeFileSync(evil, `#!/bin/sh\necho "$0 $*" >> ${mark}\nexit 0\n`, { mode: 0o755 });
  git(path, "tag", "-am", "x", "v1");
  const tag = `${git(path, "cat-file", "tag", "v1")}\n-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----\n`;
  const signed = execFileSync("git", ["hash-object", "-t", "tag", "-w", "--stdin"], { cwd: path, input: tag });
  git(path, "update-ref", "refs/tags/v1", signed.toString().trim());
  const keys =
    "core.fsmonitor core.sshCommand core.pager core.editor core.alternateRefsCommand gpg.program gpg.ssh.program filter.evil.clean filter.evil.smudge filter.evil.process diff.evil.command diff.evil.textconv diff.external credential.helper gpg.ssh.defaultKeyCommand";
  for (const key of keys.split(" ")) git(path, "config", key, evil);
  git(path, "config", "core.hooksPath", dirname(evil));
  git(path, "config", "core.worktree", "/");
  git(path, "config", "remote.origin.url", `ext::${evil}`);
  git(path, "config", "remote.origin.promisor", "true");
  for (const hook of ["post-index-change", "fsmonitor-watchman", "reference-transaction"]) {
    writeFileSync(join(path, ".git/hooks", hook), `#!/bin/sh\n${evil}\n`, { mode: 0o755 });
  }
  writeFileSync(join(path, "a.txt"), "b\n");
  spawnSync("git", ["status"], { cwd: path, env: { ...process.env, GIT_DIR: ".git", GIT_WORK_TREE: "." } });
  assert.ok(existsSync(mark), "git by itself would have run it");
  rmSync(mark);
  const source = await readSource(path, RECIPE, options);
  assert.deepEqual(source.dirty, ["a.txt"]);
  await stage(source, path, RECIPE, join(root, "hostile"), options);
  assert.equal(existsSync(mark), false, existsSync(mark) ? readFileSync(mark, "utf8") : "");
});

test("a folder replaced by a link is not followed out of the checkout", async () => {
  const path = repository({ "d/passwd": "x" });
  rmSync(join(path, "d"), { recursive: true });
  symlinkSync("/etc", join(path, "d"));
  const source = await readSource(path, RECIPE, options);
  assert.deepEqual(source.dirty, ["d/passwd"]);
  const into = join(root, "linked");
  await stage(source, path, RECIPE, into, options);
  assert.ok(!existsSync(join(into, "d")));
});

test("a tree object with names that lead out is refused", async () => {
  for (const bad of ["../x", "a/../b", "/x", ".git/config", "a/.GIT/x", "a//b", ".", ""]) {
    assert.throws(() => checkedPath(bad), /leads out/, bad);
  }
  const path = repository();
  const blob = git(path, "rev-parse", "HEAD:a.txt");
  const entry = Buffer.concat([Buffer.from("100644 ../out\0"), Buffer.from(blob, "hex")]);
  const make = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
  const tree = execFileSync("git", make, { cwd: path, input: entry }).toString().trim();
  git(path, "update-ref", "HEAD", git(path, "commit-tree", "-m", "x", tree));
  await assert.rejects(readSource(path, RECIPE, options), /leads out of the source: "\.\.\/out"/);
});

test("archives: the digest is checked at each use; lockfiles come from beside the recipe", async () => {
  const place = folder({ "t/src/a": "a", "package-lock.json": "{}" });
  execFileSync("tar", ["-cf", join(place, "t.tar"), "-C", place, "t"]);
  const sha256 = hexOf(await digestOfFile(join(place, "t.tar")));
  const recipe = { ...RECIPE, lockfiles: ["package-lock.json"], source: { url: "t.tar", sha256 } };
  const source = await readSource(place, recipe, options);
  const into = join(root, "archive");
  await stage(source, place, recipe, into, options);
  assert.equal(readFileSync(join(into, "package-lock.json"), "utf8"), "{}");
  assert.equal(readFileSync(join(into, "src/a"), "utf8"), "a");
  const cached = join(options.cache, "sources/sha256", sha256, "t.tar");
  chmodSync(cached, 0o644);
  writeFileSync(cached, "tampered");
  await assert.rejects(readSource(place, recipe, options), /has SHA-256 [0-9a-f]{64}, the recipe says/);
  const wrong = { ...recipe, source: { url: "t.tar", sha256: "0".repeat(64) } };
  await assert.rejects(readSource(place, wrong, options), { code: "refused" });
  const missing = { ...recipe, source: { url: "no.tar", sha256: "1".repeat(64) } };
  await assert.rejects(readSource(place, missing, options), /no archive at no\.tar/);
});

test("credentials never stay in a remote's URL", () => {
  const table = [
    ["https://u:p@h.test/a.git", "https://h.test/a.git"],
    ["https://token@h.test/a.git?x=1#y", "https://h.test/a.git"],
    ["ssh://git:p@h.test:22/a.git", "ssh://git@h.test:22/a.git"],
    ["git@h.test:a/b.git", "git@h.test:a/b.git"],
    ["/srv/a.git", "/srv/a.git"],
    ["https://u:p@[broken/a.git", "https://[broken/a.git"],
  ];
  for (const [url = "", expected] of table) assert.equal(withoutCredentials(url), expected);
});
