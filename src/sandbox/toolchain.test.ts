import { strict as assert } from "node:assert";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { toolPaths } from "./toolchain.ts";

const own: string = mkdtempSync(join(tmpdir(), "toolchain-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

function program(path: string, text = "#!/bin/sh\n"): string {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

test("tools of the system need nothing more; what is not there is missing", async () => {
  const found = await toolPaths(["sh", "no-such-tool-here"], "/usr/bin:/bin");
  assert.deepEqual(found.hostPaths, []);
  assert.deepEqual(found.missing, ["no-such-tool-here"]);
  assert.equal(found.path, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
});

test("a toolchain elsewhere is shown whole, found through a link, first on PATH", async () => {
  program(join(own, "sdk-1.2", "bin", "frobc"));
  mkdirSync(join(own, "links"));
  symlinkSync(join(own, "sdk-1.2", "bin", "frobc"), join(own, "links", "frobc"));
  const found = await toolPaths(["frobc"], `${join(own, "links")}:/usr/bin`);
  assert.deepEqual(found.hostPaths, [join(own, "sdk-1.2")]);
  assert.ok(found.path.startsWith(`${join(own, "sdk-1.2", "bin")}:/usr/local/sbin:`));
});

test("a lone program outside any bin/ is shown alone", async () => {
  const lone = program(join(own, "lone", "thing"));
  const found = await toolPaths(["thing"], join(own, "lone"));
  assert.deepEqual(found.hostPaths, [lone]);
  assert.ok(found.path.startsWith(`${join(own, "lone")}:`));
});

test("rustup's proxies, hard links or symbolic, lead to the toolchain that rustup names", async () => {
  const real = program(join(own, "toolchains", "stable", "bin", "cargo"));
  const bin = join(own, "cargo", "bin");
  program(join(bin, "rustup"), `#!/bin/sh\n[ "$1 $2" = "which cargo" ] && echo ${real}\n`);
  symlinkSync("rustup", join(bin, "cargo"));
  linkSync(join(bin, "rustup"), join(bin, "rustc"));
  const found = await toolPaths(["cargo", "rustc"], bin);
  assert.deepEqual(found.hostPaths, [join(own, "toolchains", "stable")]);
  assert.ok(found.path.startsWith(`${join(own, "toolchains", "stable", "bin")}:`));
  assert.deepEqual(found.missing, ["rustc"], "a component that rustup does not have is missing");
});

test("pyenv's shims lead to the interpreter that pyenv names", async () => {
  const root = join(own, "pyenv");
  const real = program(join(root, "versions", "3.11.7", "bin", "python3"));
  program(join(root, "bin", "pyenv"), `#!/bin/sh\necho ${real}\n`);
  program(join(root, "shims", "python3"), "#!/bin/sh\nexit 1\n");
  const found = await toolPaths(["python3"], join(root, "shims"));
  assert.deepEqual(found.hostPaths, [join(root, "versions", "3.11.7")]);
});
