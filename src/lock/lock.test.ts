import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { recipeWith } from "../recipe/detected.ts";
import { NOTHING_ASKED, type Recording } from "../record/recording.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { treeDigest } from "../tree.ts";
import type { FetchDeps } from "./deps-cache.ts";
import { mavenRepository, wheelsIn } from "./fetched.ts";
import { checkLock, type LockContext, makeLock } from "./lock.ts";
import { lockToml, parseLock } from "./lock-toml.ts";

const FIXTURES = join(import.meta.dirname, "../sbom/fixtures");

interface Project {
  staged: string;
  /** How often dependencies were fetched. */
  fetches: () => number;
  said: string[];
  context: (recipe: Partial<Recipe>) => LockContext;
}

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** A staged project, a cache, and a fetch that writes `fetched` and soils the folder in which it runs. */
function project(context: TestContext, files: Record<string, string>, fetched: Record<string, string> = {}): Project {
  const folder = mkdtempSync(join(tmpdir(), "lock-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const staged = join(folder, "staged");
  mkdirSync(staged);
  write(staged, files);
  const said: string[] = [];
  let fetches = 0;
  const fetchDeps: FetchDeps = async ({ stagedFolder, into, epoch }) => {
    assert.equal(epoch, 1_700_000_000);
    fetches++;
    write(stagedFolder, { "node_modules/soiled": "" });
    write(into, fetched);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return NOTHING_ASKED;
  };
  return {
    staged,
    said,
    fetches: () => fetches,
    context: (recipe) => ({
      recipe: recipeWith({ name: "demo", command: "true", outputs: ["x"], tools: [], ...recipe }),
      recipeDigest: digestOf("recipe"),
      source: { epoch: 1_700_000_000, treeDigest: digestOf("tree") },
      stagedFolder: staged,
      cache: join(folder, "cache"),
      fetchDeps,
      onProgress: (line) => void said.push(line),
    }),
  };
}

const npmProject = (context: TestContext, fetched: Record<string, string> = {}): Project =>
  project(
    context,
    {
      "package-lock.json": readFileSync(join(FIXTURES, "package-lock.json"), "utf8"),
      "package.json": readFileSync(join(FIXTURES, "npm-package.json"), "utf8"),
    },
    fetched,
  );

const NPM: Partial<Recipe> = { ecosystem: "npm", lockfiles: ["package-lock.json"], fetch: "npm ci" };

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail("nothing was refused"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof BitforbitError, String(error));
  return `${error.code}: ${error.message} | ${error.hint ?? ""}`;
}

test("a lock holds the lockfile's hash, its packages and the digest of what was fetched", async (t) => {
  const { staged, context, fetches, said } = npmProject(t, { "npm/_cacache/content-v2/sha512/aa": "\u001f\u008b" });
  const { lock, deps } = await makeLock(context(NPM));
  assert.deepEqual(lock.lockfiles, [
    { path: "package-lock.json", sha256: hexOf(digestOf(readFileSync(join(FIXTURES, "package-lock.json")))) },
  ]);
  assert.ok(lock.materials.some((item) => item.purl === "pkg:npm/%40sindresorhus/is@4.6.0"));
  assert.deepEqual(parseLock(lockToml(lock), "lock"), lock);
  assert.equal(readFileSync(join(deps ?? "", "npm/_cacache/content-v2/sha512/aa"), "utf8"), "\u001f\u008b");
  assert.ok(!existsSync(join(staged, "node_modules")), "fetching must not touch the source");
  assert.deepEqual(said, ["fetching the dependencies of demo"]);
  assert.deepEqual(await checkLock(lock, context(NPM)), []);
  assert.equal(fetches(), 1);
});

test("without fetch, nothing is fetched and no deps are locked", async (t) => {
  const { context, fetches } = project(t, {});
  const { lock, deps } = await makeLock(context({ ecosystem: "make" }));
  assert.equal(deps, undefined);
  assert.equal(lock.deps, undefined);
  assert.equal(fetches(), 0);
});

test("dependencies are fetched once, also by two at once; again for another script or lockfile", async (t) => {
  const { staged, context, fetches } = npmProject(t, { a: "1" });
  const [one, two] = await Promise.all([makeLock(context(NPM)), makeLock(context(NPM))]);
  assert.deepEqual(one, two);
  assert.equal(fetches(), 1);
  await makeLock(context({ ...NPM, fetch: "npm ci --other" }));
  assert.equal(fetches(), 2);
  appendFileSync(join(staged, "package-lock.json"), "\n");
  await makeLock(context(NPM));
  assert.equal(fetches(), 3);
  await makeLock(context(NPM));
  assert.equal(fetches(), 3);
});

for (const [what, damage] of [
  ["changed", (folder: string) => writeFileSync(join(folder, "b/c"), "evil")],
  ["added", (folder: string) => writeFileSync(join(folder, "b/d"), "evil")],
  ["removed", (folder: string) => rmSync(join(folder, "b/c"))],
  ["gone with its folder", (folder: string) => rmSync(folder, { recursive: true })],
  [
    "turned into a link",
    (folder: string) => (rmSync(join(folder, "b/c")), symlinkSync("/etc/passwd", join(folder, "b/c"))),
  ],
] as const) {
  test(`a file of the cache was ${what}: all is fetched anew, and said`, async (t) => {
    const { context, fetches, said } = npmProject(t, { a: "1", "b/c": "2" });
    const { lock, deps = "" } = await makeLock(context(NPM));
    damage(deps);
    const again = await makeLock(context(NPM));
    assert.equal(fetches(), 2);
    assert.match(
      said[1] ?? "",
      /cache of fetched dependencies was changed \((?:b\/[cd]|a file is gone)\): fetching them anew/,
    );
    assert.deepEqual(again.lock, lock);
    assert.equal(readFileSync(join(again.deps ?? "", "b/c"), "utf8"), "2");
  });
}

test("a fetch that fails leaves nothing behind, and the next one works", async (t) => {
  const { context } = npmProject(t, { a: "1" });
  const failing = {
    ...context(NPM),
    fetchDeps: (): Promise<Recording> => Promise.reject(new BitforbitError("outside", "no network")),
  };
  assert.match(await refusal(makeLock(failing)), /^outside: no network/);
  assert.deepEqual(
    globSync("*", { cwd: join(failing.cache, "deps") }).filter((name) => !name.includes(".lock")),
    [],
  );
  assert.deepEqual(globSync(".tmp-*", { cwd: join(failing.cache, "deps") }), []);
  assert.ok((await makeLock(context(NPM))).deps);
});

/** In the test below, content is `x` and what is gzip. */
const contentIn = (files: object): string[] => Object.keys(files).filter((name) => name === "x" || name.endsWith("gz"));

test("the digest of what was fetched leaves bookkeeping out, and nothing else", async (t) => {
  const gz = "\u001f\u008b".repeat(3);
  const digests: string[] = [];
  for (const fetched of [
    { "npm/_cacache/index-v5/aa/bb": "12:00", "npm/_logs/1": "a", x: "content" },
    { "npm/_cacache/index-v5/aa/cc": "13:00", "npm/_cacache/content-v2/sha512/p": '{"versions":1}', x: "content" },
    { "npm/_cacache/content-v2/sha512/gz": gz, x: "content" },
  ]) {
    const { context } = npmProject(t);
    // utf8 would turn 8b into two bytes: the magic number is written as bytes.
    const fetchDeps: FetchDeps = ({ into }) => {
      for (const [path, text] of Object.entries(fetched)) {
        mkdirSync(dirname(join(into, path)), { recursive: true });
        writeFileSync(join(into, path), Buffer.from(text, "latin1"));
      }
      return Promise.resolve(NOTHING_ASKED);
    };
    const { lock } = await makeLock({ ...context(NPM), fetchDeps });
    digests.push(lock.deps?.digest ?? "");
    assert.equal(lock.deps?.files, contentIn(fetched).length);
  }
  assert.equal(digests[0], digests[1]);
  assert.notEqual(digests[1], digests[2]);
});

for (const [ecosystem, file, command] of [
  ["npm", "package-lock.json", "npm install --package-lock-only"],
  ["npm", "npm-shrinkwrap.json", "npm shrinkwrap"],
  ["cargo", "Cargo.lock", "cargo generate-lockfile"],
  ["go", "go.sum", "go mod tidy"],
  ["pip", "requirements-build.txt", "pip-compile --generate-hashes"],
] as const) {
  test(`a missing ${file} is an error with the command that makes it`, async (t) => {
    const { context } = project(t, { "sub/x": "" });
    const said = await refusal(makeLock(context({ ecosystem, directory: "sub", lockfiles: [file] })));
    assert.ok(said.startsWith(`input: the lockfile sub/${file} is missing | ${command} makes it`), said);
  });
}

test("an npm lockfile that is out of date is refused, with the dependency's name", async (t) => {
  const { staged, context, fetches } = npmProject(t);
  writeFileSync(join(staged, "package.json"), JSON.stringify({ dependencies: { "left-pad": "^1.0.0" } }));
  const said = await refusal(makeLock(context(NPM)));
  assert.match(
    said,
    /^input: package-lock\.json is out of date: @sindresorhus\/is: .* \| npm install --package-lock-only/,
  );
  assert.equal(fetches(), 0);
  assert.match(
    (await checkLock((await makeLock(npmProject(t).context(NPM))).lock, context(NPM))).join("\n"),
    /left-pad: package\.json has \^1\.0\.0/,
  );
});

test("a lockfile is never read through a link, nor from outside the source", async (t) => {
  const { staged, context } = npmProject(t);
  symlinkSync("/etc", join(staged, "etc"));
  symlinkSync("package-lock.json", join(staged, "npm-shrinkwrap.json"));
  const lockfiles = (...names: string[]): Promise<string> => refusal(makeLock(context({ ...NPM, lockfiles: names })));
  assert.match(await lockfiles("etc/passwd"), /^input: etc leads out of the source/);
  assert.match(await lockfiles("npm-shrinkwrap.json"), /^input: npm-shrinkwrap\.json is a link/);
  assert.match(await lockfiles("../package-lock.json"), /^input: \.\. leads out of the source/);
  assert.match(await lockfiles("none/package-lock.json"), /^input: there is no folder none in the source/);
  assert.match(await refusal(makeLock(context({ ...NPM, directory: "etc" }))), /^input: etc leads out of the source/);
});

test("checkLock says in words what is out of date", async (t) => {
  const { staged, context } = npmProject(t);
  const { lock } = await makeLock(context(NPM));
  appendFileSync(join(staged, "package-lock.json"), "\n");
  const reasons = await checkLock(
    { ...lock, lockfiles: [...lock.lockfiles, { path: "gone.lock", sha256: "0".repeat(64) }] },
    {
      ...context({ ...NPM, name: "other", source: { url: "u", sha256: "1".repeat(64) } }),
      recipeDigest: digestOf("new"),
    },
  );
  assert.equal(reasons.length, 6, reasons.join("\n"));
  for (const [index, pattern] of [
    /lock is for demo/,
    /recipe has changed/,
    /source\.url is u, locked none/,
    /source\.sha256/,
    /package-lock\.json has changed/,
    /gone\.lock is in the lock/,
  ].entries())
    assert.match(reasons[index] ?? "", pattern);
  const { fetch: _, ...unfetched } = NPM;
  assert.match((await checkLock(lock, context(unfetched))).join(), /the recipe fetches nothing any more/);
});

test("without lockfiles, the manifests are pinned: a changed pom makes the lock stale", async (t) => {
  const pom = readFileSync(join(FIXTURES, "pom.xml"), "utf8");
  const { staged, context, fetches } = project(t, { "pom.xml": pom, "module/pom.xml": pom });
  const maven: Partial<Recipe> = { ecosystem: "maven", fetch: "mvn package" };
  const { lock } = await makeLock(context(maven));
  assert.deepEqual(
    lock.lockfiles.map((item) => item.path),
    ["module/pom.xml", "pom.xml"],
  );
  appendFileSync(join(staged, "module/pom.xml"), "\n");
  assert.match((await checkLock(lock, context(maven))).join(), /module\/pom\.xml has changed/);
  await makeLock(context(maven));
  assert.equal(fetches(), 2);
});

test("a format that is not known is hashed, and that is said", async (t) => {
  const { context, said } = project(t, { "yarn.lock": "x" });
  const { lock } = await makeLock(context({ ecosystem: "npm", lockfiles: ["yarn.lock"] }));
  assert.equal(lock.lockfiles.length, 1);
  assert.match(said.join(), /yarn\.lock is hashed, but its dependencies are not read/);
});

test("Python: the fetched wheel tells which of several hashes it is; without a lockfile, wheels are the materials", async (t) => {
  const text = readFileSync(join(FIXTURES, "requirements.txt"), "utf8");
  const fetched = { "wheels/click-8.1.7-py3-none-any.whl": "wheel", "wheels/extra_x-1.0-1-py3-none-any.whl": "x" };
  const pip: Partial<Recipe> = { ecosystem: "pip", fetch: "pip wheel" };
  const named = project(t, { "requirements-build.txt": text }, fetched);
  const { lock } = await makeLock(named.context({ ...pip, lockfiles: ["requirements-build.txt"] }));
  assert.deepEqual(
    lock.materials.map((item) => [item.purl, item.checksums.sha256, item.runtime]),
    [
      ["pkg:pypi/click@8.1.7", hexOf(digestOf("wheel")), false],
      ["pkg:pypi/extra-x@1.0", hexOf(digestOf("x")), false],
      ["pkg:pypi/flit-core@3.9.0", "7aada352fb0c7f5538c4fafeddf314d3a6a92ee8e2b1de70482329e42de70301", false],
    ],
  );
  const bare = project(t, { "pyproject.toml": "" }, fetched);
  assert.equal((await makeLock(bare.context(pip))).lock.materials.length, 2);
});

test("a Maven repository: jars and lone poms with their SHA-256, snapshots, classifiers; tracking files left out", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "m2-"));
  t.after(() => rmSync(folder, { recursive: true }));
  write(folder, {
    "org/a/b/1.0/b-1.0.jar": "jar",
    "org/a/b/1.0/b-1.0.pom": "pom",
    "org/a/b/1.0/b-1.0.jar.sha1": "x",
    "org/a/b/1.0/b-1.0-linux.jar": "linux",
    "org/a/b/1.0/_remote.repositories": "x",
    "org/a/parent/1/parent-1.pom": "parent",
    "org/a/s/1-SNAPSHOT/s-1-20200101.101010-1.jar": "snapshot",
    "org/a/s/1-SNAPSHOT/maven-metadata-x.xml": "x",
    "other-1.jar": "x",
  });
  assert.deepEqual(
    (await mavenRepository(folder)).map((item) => [item.purl, item.checksums.sha256]),
    [
      ["pkg:maven/org.a/b@1.0", hexOf(digestOf("jar"))],
      ["pkg:maven/org.a/b@1.0?classifier=linux", hexOf(digestOf("linux"))],
      ["pkg:maven/org.a/parent@1?type=pom", hexOf(digestOf("parent"))],
      ["pkg:maven/org.a/s@1-SNAPSHOT", hexOf(digestOf("snapshot"))],
    ],
  );
});

test("several wheels of one version are told apart by their file name", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "wheels-"));
  t.after(() => rmSync(folder, { recursive: true }));
  write(folder, { "a-1-py3-none-linux.whl": "1", "a-1-py3-none-any.whl": "2", "sub/b-1-py3-none-any.whl": "3" });
  assert.deepEqual(
    (await wheelsIn(folder)).map((item) => item.purl),
    ["pkg:pypi/a@1?file_name=a-1-py3-none-any.whl", "pkg:pypi/a@1?file_name=a-1-py3-none-linux.whl", "pkg:pypi/b@1"],
  );
});

test("the deps folder that is given out is what was fetched", async (t) => {
  const { context, staged } = npmProject(t, { a: "1", "b/c": "2" });
  const { deps = "" } = await makeLock(context(NPM));
  cpSync(deps, join(staged, "copy"), { recursive: true });
  assert.equal((await treeDigest(deps)).digest, (await treeDigest(join(staged, "copy"))).digest);
});

/** A fetch that is recorded. */
function recordedProject(
  t: TestContext,
  integrity: string,
): { context: LockContext; said: string[]; fetches: () => number } {
  const packages = {
    "": { name: "demo" },
    "node_modules/a": { version: "1.0.0", integrity },
    "node_modules/far": { version: "1.0.0", integrity: SRI_OF_A, optional: true },
  };
  const { context, said, fetches } = project(
    t,
    { "package.json": "{}", "package-lock.json": JSON.stringify({ lockfileVersion: 3, packages }) },
    { "npm/a": "1" },
  );
  const recording: Recording = {
    version: 1,
    exchanges: [
      {
        method: "GET",
        url: "https://mirror.test/a/-/a-1.0.0.tgz",
        status: 200,
        headers: [],
        digest: digestOf("a"),
        size: 1,
        purl: "pkg:npm/a@1.0.0",
        checksums: { sha512: createHash("sha512").update("a").digest("hex") },
      },
    ],
  };
  const base = context(NPM);
  const fetchDeps: FetchDeps = async (request) => {
    await base.fetchDeps(request);
    return recording;
  };
  return { context: { ...base, fetchDeps }, said, fetches };
}

const SRI_OF_A = `sha512-${createHash("sha512").update("a").digest("base64")}`;

test("a recorded fetch: materials are what was fetched, with SHA-256 and size", async (t) => {
  const { context, said, fetches } = recordedProject(t, SRI_OF_A);
  const { lock, findings } = await makeLock(context);
  assert.deepEqual(
    lock.materials.map(({ purl, size, checksums }) => [purl, size, Object.keys(checksums)]),
    [["pkg:npm/a@1.0.0", 1, ["sha256", "sha512"]]],
  );
  assert.deepEqual([findings?.confirmed, findings?.unfetched.length], [1, 1]);
  assert.deepEqual((await makeLock(context)).lock, lock);
  assert.equal(fetches(), 1);
  for (const path of globSync("deps/*/recording.jsonl", { cwd: context.cache })) rmSync(join(context.cache, path));
  assert.deepEqual((await makeLock(context)).lock, lock);
  assert.equal(fetches(), 2);
  assert.deepEqual(said.slice(1), [
    "the cache of fetched dependencies was changed (the recording is gone): fetching them anew",
    "fetching the dependencies of demo",
  ]);
});

test("a recorded fetch that contradicts the lockfile refuses the lock", async (t) => {
  const { context } = recordedProject(t, `sha512-${createHash("sha512").update("b").digest("base64")}`);
  assert.match(
    await refusal(makeLock(context)),
    /^refused: what was fetched is not what the project pinned: pkg:npm\/a@1\.0\.0 from/,
  );
});

test("another environment fetches anew: its clients may ask for other things", async (t) => {
  const { context, fetches } = npmProject(t, { a: "1" });
  const root = (name: string): LockContext => ({
    ...context(NPM),
    environment: {
      type: "oci",
      pinned: true,
      image: "x",
      platform: "linux/amd64",
      manifest: digestOf("m"),
      layers: [],
      root: digestOf(name),
    },
  });
  for (const made of [context(NPM), root("1"), root("2"), root("1")]) await makeLock(made);
  assert.equal(fetches(), 3);
  assert.equal((await makeLock(root("1"))).lock.environment.type, "oci");
});
