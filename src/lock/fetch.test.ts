/**
 * The recipes' own fetch scripts, run by the real clients against the real
 * registries: fetched twice from nothing, `deps.digest` is the same. Skipped,
 * and said, where a client or the network is not to be had.
 */
import { strict as assert } from "node:assert";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openSource } from "../bytesource.ts";
import { run } from "../child.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { detect } from "../recipe/detect.ts";
import { NOTHING_ASKED } from "../record/recording.ts";
import type { FetchDeps } from "./deps-cache.ts";
import { makeLock } from "./lock.ts";
import { goZipHash } from "./recorded-bodies.ts";

const FIXTURES = join(import.meta.dirname, "../sbom/fixtures");

/** As the sandbox will: the deps folder is at the same path each time, the network is there. */
const fetchDeps: FetchDeps = async ({ recipe, stagedFolder, into, epoch }) => {
  const home = mkdtempSync(join(tmpdir(), "home-"));
  try {
    // /mnt stands for /deps: a mount point that every machine has.
    const shell = ["--dev-bind", "/", "/", "--bind", into, "/mnt", "sh", "-eu", "-c", recipe.fetch ?? ""];
    const own = { ...recipe.env, BITFORBIT_DEPS: "/mnt", SOURCE_DATE_EPOCH: String(epoch) };
    // Rust's and Python's version switchers keep their own things in the real HOME.
    const env =
      recipe.ecosystem === "cargo" ? { CARGO_HOME: home } : { GOPATH: home, npm_config_userconfig: "/dev/null" };
    const ran = await run("bwrap", shell, { cwd: stagedFolder, env: { ...own, ...env }, timeoutMilliseconds: 120_000 });
    if (ran.exitCode !== 0) throw new BitforbitError("outside", ran.stderr.slice(-2000));
    return NOTHING_ASKED;
  } finally {
    await run("chmod", ["-R", "u+w", home]);
    rmSync(home, { recursive: true });
  }
};

const PROJECTS: Readonly<
  Record<string, { tool: string; from: Record<string, string>; files: Record<string, string> }>
> = {
  npm: {
    tool: "npm",
    from: { "package-lock.json": "package-lock.json", "npm-package.json": "package.json" },
    files: {},
  },
  pip: {
    tool: "python3",
    from: { "requirements.txt": "requirements-build.txt" },
    files: { "pyproject.toml": '[project]\nname = "demo"\nversion = "1"\n' },
  },
  cargo: {
    tool: "cargo",
    from: { "Cargo.lock": "Cargo.lock" },
    files: {
      "src/main.rs": "fn main() {}\n",
      "Cargo.toml":
        '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nserde_json = "1"\n[dev-dependencies]\nhex = "0.4"\n',
    },
  },
  go: {
    tool: "go",
    from: {},
    files: {
      "go.mod":
        "module example.org/demo\n\ngo 1.21\n\nrequire (\n\tgithub.com/BurntSushi/toml v1.3.2\n\tgithub.com/spf13/pflag v1.0.5\n)\n",
      "go.sum": readFileSync(join(FIXTURES, "go.sum"), "utf8"),
      "main.go": "package main\n\nfunc main() {}\n",
    },
  },
};

/** Go keeps its own hash of each zip beside it. */
async function sameAsGo(deps: string): Promise<void> {
  const zips = globSync("**/*.zip", { cwd: deps });
  assert.ok(zips.length > 1);
  for (const zip of zips) {
    const source = openSource(join(deps, zip));
    const told = readFileSync(join(deps, `${zip}hash`), "utf8").trim();
    assert.equal(await goZipHash(source).finally(() => source.close()), told, zip);
  }
}

describe("real clients", { concurrency: 2 }, () => {
  for (const [ecosystem, { tool, from, files }] of Object.entries(PROJECTS)) {
    test(`${ecosystem}: fetched twice, the same digest`, { timeout: 120_000 }, async (t) => {
      const root = mkdtempSync(join(tmpdir(), "fetch-"));
      t.after(async () => {
        await run("chmod", ["-R", "u+w", root]);
        rmSync(root, { recursive: true });
      });
      const staged = join(root, "staged");
      mkdirSync(join(staged, "src"), { recursive: true });
      for (const [name, to] of Object.entries(from)) cpSync(join(FIXTURES, name), join(staged, to));
      for (const [name, text] of Object.entries(files)) writeFileSync(join(staged, name), text);
      const recipe = (await detect(staged))?.recipe;
      assert.equal(recipe?.ecosystem, ecosystem);
      const locked = (cache: string): ReturnType<typeof makeLock> =>
        makeLock({
          recipe,
          recipeDigest: digestOf("recipe"),
          source: { epoch: 1_700_000_000, treeDigest: digestOf("tree") },
          stagedFolder: staged,
          cache: join(root, cache),
          fetchDeps,
        });
      let one;
      try {
        await run(tool, ["--help"]);
        one = await locked("one");
      } catch (error) {
        if (!(error instanceof BitforbitError) || (error.code !== "outside" && error.code !== "lacking")) throw error;
        t.skip(`could not fetch with ${tool}: ${error.message.slice(-300)}`);
        return;
      }
      const two = await locked("two");
      assert.deepEqual(two.lock, one.lock);
      assert.ok((one.lock.deps?.files ?? 0) > 1, "something was fetched");
      assert.ok(one.lock.materials.length > 1);
      if (ecosystem === "go") await sameAsGo(one.deps ?? "");
      t.diagnostic(`${one.lock.deps?.files} files, ${one.lock.deps?.bytes} bytes`);
    });
  }
});
