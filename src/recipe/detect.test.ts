import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { detect } from "./detect.ts";
import type { Recipe } from "./recipe.ts";
import { parseRecipe } from "./recipe.ts";
import { recipeToml } from "./write.ts";

function project(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "detect-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Name, ecosystem, outputs and lockfiles of what is detected, after a round through TOML; scripts must be valid shell. */
async function detected(files: Readonly<Record<string, string>>): Promise<{ recipe: Recipe; assumed: string }> {
  const found = await detect(project(files));
  assert.ok(found !== undefined, "nothing detected");
  const recipe = parseRecipe(recipeToml(found.recipe, found.assumed), "bitforbit.toml");
  assert.deepEqual(recipe, found.recipe);
  for (const script of [recipe.fetch, recipe.command]) {
    if (script !== undefined) execFileSync("sh", ["-n", "-c", script]);
  }
  return { recipe, assumed: found.assumed.join("\n") };
}

const summary = ({ name, ecosystem, outputs, lockfiles }: Recipe): unknown[] => [name, ecosystem, outputs, lockfiles];

test("npm", async () => {
  const manifest = '{"name":"@a/b","version":"1.0.0","scripts":{"build":"tsc"}}';
  const { recipe, assumed } = await detected({ "package.json": manifest, "package-lock.json": "{}" });
  assert.deepEqual(summary(recipe), ["a-b", "npm", ["out/*.tgz"], ["package-lock.json"]]);
  assert.match(recipe.command, /npm ci --offline[^]*npm run build\n[^]*npm pack/);
  assert.equal(assumed, "");
  const bare = await detected({ "package.json": "{}", "yarn.lock": "" });
  assert.deepEqual(bare.recipe.outputs, ["dist/**"]);
  assert.match(bare.assumed, /package-lock\.json is missing \(yarn\.lock is not read\)/);
  const alone = await detected({ "package.json": '{"name":"a","version":"1.0.0","devDependencies":{}}' });
  assert.deepEqual(summary(alone.recipe), ["a", "npm", ["out/*.tgz"], []]);
  assert.equal(alone.recipe.fetch, undefined);
  assert.doesNotMatch(alone.recipe.command, /npm ci/);
  const needs = await detected({ "package.json": '{"name":"a","version":"1.0.0","dependencies":{"b":"1"}}' });
  assert.deepEqual(needs.recipe.lockfiles, ["package-lock.json"]);
  assert.match((await detected({ "package.json": '{"workspaces":["a"]}' })).recipe.command, /npm pack --workspaces/);
});

test("pip: requirements of the back end, quoted, or the hash-pinned list", async () => {
  const toml =
    '[build-system]\nrequires = ["setuptools>=61; python_version<\'4\'", "--evil"]\n[project]\nname = "p.q"\n';
  const { recipe } = await detected({ "pyproject.toml": toml });
  assert.deepEqual(summary(recipe), ["p.q", "pip", ["dist/*.whl"], []]);
  assert.ok(recipe.fetch?.includes(`'setuptools>=61; python_version<'\\''4'\\''' wheel`), recipe.fetch);
  assert.doesNotMatch(recipe.fetch ?? "", /evil/);
  const pinned = await detected({ "setup.py": "", "requirements.txt": `a==1 --hash=sha256:${"0".repeat(64)}\n` });
  assert.deepEqual(pinned.recipe.lockfiles, ["requirements.txt"]);
  assert.match(pinned.recipe.fetch ?? "", /--require-hashes -r requirements\.txt/);
});

test("cargo: a program, a library, a workspace", async () => {
  const manifest = '[package]\nname = "hexyl"\n';
  const program = await detected({ "Cargo.toml": manifest, "src/main.rs": "", "Cargo.lock": "" });
  assert.deepEqual(summary(program.recipe), ["hexyl", "cargo", ["target/release/hexyl"], ["Cargo.lock"]]);
  const library = await detected({ "Cargo.toml": manifest, "src/lib.rs": "" });
  assert.deepEqual(library.recipe.outputs, ["target/package/*.crate"]);
  assert.match(library.assumed, /cargo generate-lockfile/);
  const found = await detected({
    "Cargo.toml": manifest,
    "src/bin/x.rs": "",
    "src/bin/y/main.rs": "",
    "src/bin/z/a": "",
  });
  assert.deepEqual(found.recipe.outputs, ["target/release/x", "target/release/y"]);
  const bins = await detected({ "Cargo.toml": `${manifest}[[bin]]\nname = "b"\n[[bin]]\nname = "../c"\n` });
  assert.deepEqual(bins.recipe.outputs, ["target/release/b"]);
  assert.match((await detected({ "Cargo.toml": "[workspace]\n" })).recipe.command, /--workspace/);
});

test("go: a program, a library, vendored modules, no modules at all", async () => {
  const needs = "module example.test/x/tool/v2\nrequire a.test/b v1.0.0\n";
  const program = await detected({ "go.mod": needs, "cmd/tool/main.go": "// c\npackage main\n" });
  assert.deepEqual(summary(program.recipe), ["tool", "go", ["dist/*"], ["go.sum"]]);
  assert.match(program.assumed, /go mod tidy/);
  const library = await detected({ "go.mod": "module x\n", "x.go": "package x\n", "x_test.go": "package main\n" });
  assert.deepEqual(summary(library.recipe), ["x", "go", ["dist/x.a"], []]);
  assert.equal(library.recipe.fetch, undefined);
  const vendored = await detected({ "go.mod": needs, "go.sum": "", "vendor/modules.txt": "", "m.go": "package main" });
  assert.equal(vendored.recipe.env["GOFLAGS"], "-mod=vendor");
  const old = await detected({ "a.go": "package main\n", "a_test.go": "package main\n" });
  assert.deepEqual(old.recipe.outputs, [`dist/${old.recipe.name}`]);
  assert.equal(old.recipe.env["GO111MODULE"], "off");
  assert.match(old.assumed, /go\.mod is missing/);
});

test("maven: names from pom.xml; a document type is refused", async () => {
  const pom =
    "<?xml version='1.0'?><project a='>'><!-- c --><parent><artifactId>p</artifactId></parent><artifactId> x&#45;y </artifactId></project>";
  assert.deepEqual(summary((await detected({ "pom.xml": pom })).recipe).slice(0, 2), ["x-y", "maven"]);
  const hostile = '<!DOCTYPE a [<!ENTITY b "c">]><project/>';
  await assert.rejects(detect(project({ "pom.xml": hostile })), /pom\.xml:1: a document type is not accepted/);
  await assert.rejects(detect(project({ "pom.xml": "<a>".repeat(100_000) })), /nested deeper/);
});

test("debian before autotools before a bare Makefile", async () => {
  const control = { "debian/control": "Source: hello\nRules-Requires-Root: no\n", configure: "", Makefile: "" };
  const debian = (await detected(control)).recipe;
  assert.deepEqual(summary(debian), ["hello", "debian", ["out/*.deb"], []]);
  assert.ok(!debian.environment.tools.includes("fakeroot"));
  assert.equal(debian.env["FAKEROOTDONTTRYCHOWN"], undefined);
  const asRoot = (await detected({ "debian/control": "Source: hello\n" })).recipe;
  assert.ok(asRoot.environment.tools.includes("fakeroot"));
  assert.equal(asRoot.env["FAKEROOTDONTTRYCHOWN"], "1");
  const tarball = (
    await detected({ configure: "# Generated by GNU Autoconf\n", "configure.ac": "AC_INIT([GNU Hello], 2)" })
  ).recipe;
  assert.equal(tarball.name, "GNU-Hello");
  assert.match(tarball.command, /^sh \.\/configure --prefix=\/usr --disable-dependency-tracking\n/);
  const checkout = (await detected({ "configure.ac": "AC_INIT(x)" })).recipe;
  assert.match(checkout.command, /^autoreconf -fi\n/);
  assert.ok(checkout.environment.tools.includes("automake"));
});

test("a Makefile without an install target: what make made is collected", async () => {
  const folder = project({ Makefile: "all:\n\techo > 'a b'; mkdir -p d; echo > d/c; echo > x.o\n", "old.txt": "" });
  const found = await detect(folder);
  assert.ok(found !== undefined);
  execFileSync("sh", ["-eu", "-c", found.recipe.command], { cwd: folder });
  assert.ok(existsSync(join(folder, "out/a b")) && existsSync(join(folder, "out/d/c")));
  assert.ok(!existsSync(join(folder, "out/x.o")) && !existsSync(join(folder, "out/old.txt")));
});

test("a Makefile's recipe has the tools that its commands begin with, and no others", async () => {
  const makefile = "go = go\nall:\n\t@mkdir d && CGO_ENABLED=0 go build -o d/go\n\t-$(PYTHON3) x.py; echo cargo npm\n";
  const { recipe } = await detected({ Makefile: makefile, "main.go": "package main\n" });
  assert.deepEqual([recipe.ecosystem, recipe.environment.tools], ["make", ["cc", "make", "go", "python3"]]);
});

test("an empty folder is nothing; broken manifests are errors that name the file", async () => {
  assert.equal(await detect(project({})), undefined);
  await assert.rejects(detect(project({ "package.json": "{" })), /cannot parse package\.json/);
  await assert.rejects(detect(project({ "Cargo.toml": "[package\n" })), /Cargo\.toml:1:/);
});
