/** Preparing says what is missing or stale, each by its name, and leaves nothing behind. */
import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { git } from "../../test/command.ts";
import { BitforbitError } from "../errors.ts";
import { writeLock } from "../lock/lock-file.ts";
import { probeHost } from "../sandbox/host.ts";
import { canonicalWorld, held } from "../vary/worlds.ts";
import { namesIn } from "../tree.ts";
import { verdictDocument, worldDifferences } from "./document.ts";
import { homeAt } from "./home.ts";
import { withScratch } from "./scratch.ts";
import { prepare, type Prepared } from "./prepare.ts";

const RECIPE = 'name = "thing"\ncommand = "true"\noutputs = ["out"]\n';
const LOCKED = `${RECIPE}ecosystem = "npm"\nlockfiles = ["package-lock.json"]\n`;
const lockfile = (version: string): string =>
  JSON.stringify({
    name: "thing",
    version: "1.0.0",
    lockfileVersion: 3,
    packages: {
      "": { name: "thing", version: "1.0.0", dependencies: { left: `^${version}` } },
      "node_modules/left": {
        version,
        resolved: `https://packages.example/left-${version}.tgz`,
        integrity: `sha512-${"A".repeat(86)}==`,
      },
    },
  });
const manifest = (version: string): string =>
  JSON.stringify({ name: "thing", version: "1.0.0", dependencies: { left: `^${version}` } });

function projectOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "prepare-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  git(folder, "init", "--quiet", "--initial-branch=main");
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message=first");
  return folder;
}

const prepared = async (folder: string): Promise<Prepared & { lockMade: boolean }> => {
  const home = homeAt(join(folder, ".bitforbit"));
  const host = await probeHost();
  return await withScratch(home, {}, async (scratch) => await prepare(folder, home, { host, scratch }));
};

async function refused(folder: string, says: RegExp, hint: RegExp): Promise<void> {
  await assert.rejects(prepared(folder), (error) => {
    assert.ok(error instanceof BitforbitError, String(error));
    assert.equal(error.code, "input");
    assert.match(error.message, says);
    assert.match(error.hint ?? "", hint);
    return true;
  });
  const scratch = join(folder, ".bitforbit", "scratch");
  assert.deepEqual(await namesIn(scratch).catch(() => []), [], "nothing is left behind");
}

test("no recipe: named, with what to do", async (t) => {
  await refused(projectOf(t, { readme: "x" }), /no bitforbit\.toml in /, /bitforbit init/);
});

test("a lock is made where there is none, and fits as long as nothing changes", async (t) => {
  const files = { "bitforbit.toml": LOCKED, "package.json": manifest("1.0.0"), "package-lock.json": lockfile("1.0.0") };
  const folder = projectOf(t, files);
  const first = await prepared(folder);
  assert.equal(first.lockMade, true);
  assert.deepEqual(
    first.lock.materials.map(({ purl }) => purl),
    ["pkg:npm/left@1.0.0"],
  );
  await writeLock(folder, first.lock);
  const second = await prepared(folder);
  assert.equal(second.lockMade, false);
  assert.deepEqual(second.lock, first.lock);

  writeFileSync(join(folder, "bitforbit.toml"), `${LOCKED}[env]\nA = "1"\n`);
  await refused(folder, /bitforbit\.lock is out of date: .*(?:recipe|bitforbit\.toml)/, /bitforbit lock/);
  writeFileSync(join(folder, "bitforbit.toml"), LOCKED);
  writeFileSync(join(folder, "package-lock.json"), lockfile("1.2.0"));
  await refused(folder, /bitforbit\.lock is out of date: .*package-lock\.json/, /bitforbit lock/);
});

test("a lockfile that the recipe names must be there", async (t) => {
  await refused(
    projectOf(t, { "bitforbit.toml": LOCKED, "package.json": manifest("1.0.0") }),
    /package-lock\.json/,
    /./,
  );
});

test("the verdict's document tells of the worlds in lines, and of equal worlds nothing", async (t) => {
  const world = held(canonicalWorld("thing"));
  assert.deepEqual(worldDifferences(world, world), []);
  assert.deepEqual(worldDifferences(world, { ...world, hostname: "other" }), [
    `hostname: host name ${world.hostname} against other`,
  ]);
  const start = await prepared(projectOf(t, { "bitforbit.toml": RECIPE }));
  const run = { world, times: { start: 0, end: 1500 }, milliseconds: 1499.7, peakMemory: undefined, outputs: [] };
  const document = verdictDocument(start, {
    outcome: "failed",
    worlds: [{ ...run, failure: { reason: "exited with 7", tail: "broken" } }],
    outputs: [],
    outputsFolder: undefined,
    difference: undefined,
    causes: [],
    covered: [],
    lacks: [],
    unasked: [],
    read: undefined,
    notCanonical: [],
    crutches: [],
    caveats: [],
    builds: 1,
    resumed: 0,
    breaks: [],
    open: [],
    agreement: undefined,
  });
  assert.deepEqual(document["worlds"], [
    {
      name: world.name,
      startedAt: "1970-01-01T00:00:00Z",
      milliseconds: 1500,
      differences: [],
      failure: "exited with 7",
      log: "broken",
    },
  ]);
  assert.ok(!("difference" in document));
});
