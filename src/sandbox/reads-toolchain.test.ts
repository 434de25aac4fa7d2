import { strict as assert } from "node:assert";
import test from "node:test";
import { toolchain, toolName } from "./reads-toolchain.ts";

test("tools are called by their own names", () => {
  for (const [path, name] of [
    ["/usr/bin/x86_64-linux-gnu-gcc-12", "gcc"],
    ["/usr/bin/x86_64-linux-gnu-g++-12", "g++"],
    ["/usr/bin/arm-linux-gnueabihf-ld.bfd", "ld.bfd"],
    ["/usr/bin/aarch64-linux-gnu-as", "as"],
    ["/usr/bin/clang++-16", "clang++"],
    ["/usr/bin/python3.11", "python3"],
    ["/usr/bin/perl5.36.0", "perl"],
    ["/usr/bin/automake-1.16", "automake"],
    ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "cc1"],
    ["/usr/bin/ld.gold", "ld.gold"],
    ["/usr/share/nodejs/npm/bin/npm-cli.js", "npm-cli.js"],
  ]) {
    assert.equal(toolName(path ?? ""), name, path);
  }
});

test("the toolchain is told from other programs, each with version and digest", async () => {
  const asked: string[] = [];
  const found = await toolchain(
    [
      "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
      "/usr/bin/make",
      "/usr/bin/make",
      "/usr/bin/cat",
      "/usr/local/go/pkg/tool/linux_amd64/compile",
      "/usr/local/bin/link",
      "/usr/include/x86_64-linux-gnu/asm",
      "/home/b/.rustup/toolchains/stable/bin/rustc",
      "/usr/bin/dash",
    ],
    {
      sha256: async (path) => `digest of ${path}`,
      packageVersion: (path) => (path.includes("/gcc/") ? "12.2.0-14" : undefined),
      askVersion: async (path) => {
        asked.push(path);
        return path.endsWith("rustc") ? "rustc 1.82.0" : undefined;
      },
    },
  );
  assert.deepEqual(
    found.map(({ name, role, version }) => [name, role, version]),
    [
      ["cc1", "compiler", "12.2.0-14"],
      ["compile", "compiler", "unknown"],
      ["dash", "interpreter", "unknown"],
      ["make", "build tool", "unknown"],
      ["rustc", "compiler", "rustc 1.82.0"],
    ],
  );
  assert.equal(found[0]?.sha256, "digest of /usr/lib/gcc/x86_64-linux-gnu/12/cc1");
  assert.ok(!asked.some((path) => path.includes("/gcc/")));
});
