/** What is published: small, without dependencies, the same bytes twice, and it runs where it is unpacked. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { scratchFolder, writeFiles } from "./command.ts";

const ROOT = resolve(import.meta.dirname, "..");

function run(program: string, args: readonly string[], cwd: string): string {
  const ran = spawnSync(program, args, { cwd, encoding: "utf8", timeout: 180_000 });
  assert.equal(ran.status, 0, `${program} ${args.join(" ")}: ${ran.stderr}`);
  return ran.stdout;
}

/** A copy of the checkout's files, so that nobody else's dist/ is touched. */
function checkout(t: TestContext): string {
  const folder = join(scratchFolder(t), "checkout");
  mkdirSync(folder);
  const listed = run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT);
  const tar = spawnSync("tar", ["-c", "--null", "-T", "-"], { cwd: ROOT, input: listed, maxBuffer: 1 << 30 });
  spawnSync("tar", ["-x", "-C", folder], { input: tar.stdout });
  run("ln", ["-s", join(ROOT, "node_modules"), "node_modules"], folder);
  return folder;
}

function pack(folder: string): { path: string; digest: string } {
  run(process.execPath, ["scripts/bundle.ts"], folder);
  const name = run("npm", ["pack", "--silent", "--ignore-scripts"], folder).trim().split("\n").at(-1) ?? "";
  const path = join(folder, name);
  return { path, digest: createHash("sha256").update(readFileSync(path)).digest("hex") };
}

test("npm pack of bitforbit reproduces, at another path and time, and the result runs", async (t) => {
  const [one, two] = [checkout(t), checkout(t)];
  const first = pack(one);
  utimesSync(join(two, "README.md"), 1, 1);
  const second = pack(two);
  assert.equal(first.digest, second.digest);
  assert.ok(statSync(first.path).size < 3 << 20, "the package is small");

  const folder = scratchFolder(t);
  run("tar", ["-xzf", first.path, "-C", folder], folder);
  const manifest = JSON.parse(readFileSync(join(folder, "package/package.json"), "utf8")) as Record<string, unknown>;
  assert.equal(manifest["dependencies"], undefined, "everything is bundled");
  writeFiles(folder, { a: "1\n", b: "2\n" });
  const entry = join(folder, "package", (manifest["bin"] as Record<string, string>)["bitforbit"] ?? "");
  assert.equal(run(process.execPath, [entry, "--version"], folder).trim(), String(manifest["version"]));
  assert.equal(spawnSync(process.execPath, [entry, "diff", "a", "b"], { cwd: folder }).status, 1);
  run(process.execPath, [entry, "diff", "a", "a", "--html", "report.html"], folder);
  assert.match(
    readFileSync(join(folder, "report.html"), "utf8"),
    /<script>\(\(\) => \{\n"use strict"/,
    "the report's page is in the bundle",
  );
  const library = `import { verify } from ${JSON.stringify(join(folder, "package/dist/verify.js"))}; process.exit(typeof verify === "function" ? 0 : 1)`;
  run(process.execPath, ["--input-type=module", "-e", library], folder);
});
