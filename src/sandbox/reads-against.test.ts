import { strict as assert } from "node:assert";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { run } from "../child.ts";
import type { DebianEnvironment } from "../lock/environment.ts";
import type { Material } from "../material.ts";
import { type LockedSide, readsAgainst } from "./reads-against.ts";
import { dependencyIndex } from "./reads-dependencies.ts";
import { packageOwners } from "./reads-packages.ts";
import type { Reads } from "./reads.ts";

const own: string = mkdtempSync(join(tmpdir(), "reads-against-"));
after(() => rmSync(own, { recursive: true, force: true }));

const dependency = (purl: string, checksums: Material["checksums"] = {}): Material => ({
  kind: "dependency",
  purl,
  name: purl,
  checksums,
});

const sha512 = "0f".repeat(64);
const MATERIALS: Material[] = [
  dependency("pkg:npm/%40types/node@20.1.0", { sha512 }),
  dependency("pkg:npm/unread@1.0.0", { sha512: "aa".repeat(64) }),
  dependency("pkg:pypi/ruamel-yaml@0.18.5"),
  dependency("pkg:pypi/numpy@1.26.0?file_name=numpy-1.26.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
  dependency("pkg:pypi/numpy@1.26.0?file_name=numpy-1.26.0-cp312-cp312-manylinux_2_17_x86_64.whl"),
  dependency("pkg:cargo/ansi_term@0.11.0"),
  dependency("pkg:cargo/ansi_term@0.12.1"),
  dependency("pkg:golang/github.com/BurntSushi/toml@v1.3.2"),
  dependency("pkg:golang/filippo.io/edwards25519@v1.0.0"),
  dependency("pkg:maven/org.apache.commons/commons-lang3@3.14.0"),
  dependency("pkg:maven/org.apache.commons/commons-lang3@3.14.0?classifier=sources"),
  dependency("pkg:maven/org.apache/apache@31?type=pom"),
];

test("fetched files belong to the dependency whose client keeps them so", () => {
  const index = dependencyIndex(MATERIALS);
  for (const [path, expected] of [
    [`npm/_cacache/content-v2/sha512/0f/0f/${"0f".repeat(62)}`, "pkg:npm/%40types/node@20.1.0"],
    ["wheels/ruamel.yaml-0.18.5-py3-none-any.whl", "pkg:pypi/ruamel-yaml@0.18.5"],
    ["sdist/ruamel.yaml-0.18.5.tar.gz", "pkg:pypi/ruamel-yaml@0.18.5"],
    [
      "wheels/numpy-1.26.0-cp312-cp312-manylinux_2_17_x86_64.whl",
      "pkg:pypi/numpy@1.26.0?file_name=numpy-1.26.0-cp312-cp312-manylinux_2_17_x86_64.whl",
    ],
    ["cargo/registry/cache/index-0123456789abcdef/ansi_term-0.12.1.crate", "pkg:cargo/ansi_term@0.12.1"],
    ["cargo/vendor/ansi_term-0.11.0/src/lib.rs", "pkg:cargo/ansi_term@0.11.0"],
    ["go/cache/download/github.com/!burnt!sushi/toml/@v/v1.3.2.zip", "pkg:golang/github.com/BurntSushi/toml@v1.3.2"],
    ["go/github.com/!burnt!sushi/toml@v1.3.2/decode.go", "pkg:golang/github.com/BurntSushi/toml@v1.3.2"],
    ["go/filippo.io/edwards25519@v1.0.0/go.mod", "pkg:golang/filippo.io/edwards25519@v1.0.0"],
    [
      "m2/org/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.jar",
      "pkg:maven/org.apache.commons/commons-lang3@3.14.0",
    ],
    [
      "m2/org/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0-sources.jar",
      "pkg:maven/org.apache.commons/commons-lang3@3.14.0?classifier=sources",
    ],
    ["m2/org/apache/apache/31/apache-31.pom", "pkg:maven/org.apache/apache@31?type=pom"],
  ]) {
    assert.deepEqual(index(path ?? ""), [expected], path);
  }
  for (const path of [
    "npm/_cacache/index-v5/00/11/22",
    "m2/org/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.pom",
    "cargo/registry/index/config.json",
    "go/cache/download/github.com/!burnt!sushi/toml/@v/list",
    "go/github.com/!burnt!sushi/toml@v9.9.9/decode.go",
  ]) {
    assert.deepEqual(index(path), [], path);
  }
});

test("no path makes the index throw or name what is not locked", () => {
  const index = dependencyIndex(MATERIALS);
  const known = new Set(MATERIALS.map(({ purl }) => purl));
  const piece = fc.constantFrom(
    "@v",
    "@",
    "!",
    "v1.0.0.zip",
    "-",
    "a-1.jar",
    "content-v2",
    "sha512",
    "..",
    "%",
    "\ud800",
  );
  const path = fc
    .array(fc.oneof(piece, fc.string({ maxLength: 12 })), { maxLength: 400 })
    .map((parts) => parts.join("/"));
  fc.assert(fc.property(path, (text) => index(text).every((purl) => known.has(purl))));
});

const hasDpkg = (await run("dpkg", ["--version"]).catch(() => undefined)) !== undefined;

test("packages of files are those that dpkg names", { skip: hasDpkg ? false : "dpkg is not installed" }, async () => {
  const wanted = ["/bin/sh", "/bin/cat", "/usr/bin/dpkg", "/bin/bash", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/perl"]
    .flatMap((path) => {
      try {
        return [realpathSync(path)];
      } catch {
        return [];
      }
    })
    .concat("/usr/share/common-licenses/GPL-3", "/etc/hosts-of-nobody", "/usr/bin/no-such-program");
  const owners = await packageOwners("/", wanted);
  const names = wanted.flatMap((path) => [path, path.replace(/^\/usr(?=\/(?:s?bin|lib))/, "")]);
  const said = Buffer.from((await run("dpkg", ["-S", ...names], { env: { LC_ALL: "C" } })).stdout).toString();
  for (const path of wanted) {
    const expected = said.split("\n").flatMap((line) => {
      const [packages = "", file = ""] = line.split(": ");
      if (line.startsWith("diversion") || (file !== path && `/usr${file}` !== path)) return [];
      return packages.split(", ").map((name) => name.replace(/:.*$/, ""));
    });
    assert.deepEqual(owners?.get(path)?.map(({ name }) => name) ?? [], [...new Set(expected)], path);
  }
  assert.ok((owners?.size ?? 0) >= 5);
  const [dpkg] = owners?.get("/usr/bin/dpkg") ?? [];
  const version = Buffer.from((await run("dpkg-query", ["-W", "-f", "${Version} ${Architecture}", "dpkg"])).stdout);
  assert.equal(`${dpkg?.version} ${dpkg?.architecture}`, version.toString());
});

function status(name: string, architecture: string, more = "Status: install ok installed"): string {
  return `Package: ${name}\n${more}\nVersion: 1:2-3\nArchitecture: ${architecture}\n\n`;
}

function locked(name: string, architecture: string): DebianEnvironment["packages"][number] {
  return { name, version: "1:2-3", architecture, sha256: "0".repeat(64), size: 1 };
}

/** A root with three packages: one has a file diverted, one is no longer installed. */
function packagedRoot(): string {
  const root = join(own, "root");
  const info = join(root, "var/lib/dpkg/info");
  mkdirSync(info, { recursive: true });
  writeFileSync(
    join(root, "var/lib/dpkg/status"),
    status("tool", "amd64") +
      status("better", "all") +
      status("lib", "amd64", "Status: install ok installed\nMulti-Arch: same") +
      status("left", "all", "Status: deinstall ok config-files"),
  );
  writeFileSync(join(info, "tool.list"), "/.\n/bin\n/bin/tool\n/usr/lib/python3/tool.py\n");
  writeFileSync(join(info, "better.list"), "/.\n/bin/tool\n");
  writeFileSync(join(info, "lib:amd64.list"), "/usr/lib/x.so\n");
  writeFileSync(join(info, "left.list"), "/etc/left\n");
  writeFileSync(join(root, "var/lib/dpkg/diversions"), "/bin/tool\n/bin/tool.real\nbetter\n");
  return root;
}

test("diversions, merged /usr, compiled Python and packages that are gone", async () => {
  const paths = ["/usr/bin/tool", "/usr/bin/tool.real", "/usr/lib/x.so", "/etc/left"];
  const compiled = "/usr/lib/python3/__pycache__/tool.cpython-311.pyc";
  const owners = await packageOwners(packagedRoot(), [...paths, compiled]);
  const names = [...paths, compiled].map((path) => owners?.get(path)?.map(({ name }) => name));
  assert.deepEqual(names, [["better"], ["tool"], ["lib"], undefined, ["tool"]]);
  assert.equal(await packageOwners(own, paths), undefined);
});

const PLACES: LockedSide["places"] = [
  { at: "/", holds: "environment" },
  { at: "/run/world", holds: "own" },
  { at: "/deps", holds: "dependencies" },
  { at: "/build/x", holds: "source" },
  { at: "/usr/local/go", holds: "machine" },
];
const readsOf = (opened: string[], doubts: string[] = []): Reads => ({
  opened,
  executed: [],
  watched: ["/"],
  shared: [],
  doubts,
});

const OPENED = [
  "/usr/bin/tool",
  "/usr/lib/x.so",
  "/etc/ld.so.cache",
  "/run/world/passwd",
  "/deps/cargo/vendor/ansi_term-0.11.0/src/lib.rs",
  "/deps/cargo/config.toml",
  "/build/x/main.c",
  "/build/x/main.o",
  "/usr/local/go/bin/go",
];

test("what was read is set against a locked Debian environment", async () => {
  const environment: DebianEnvironment = {
    type: "debian",
    pinned: true,
    suite: "stable",
    components: ["main"],
    requested: ["x"],
    architecture: "amd64",
    packages: [locked("better", "all"), locked("tool", "amd64")],
    root: `sha256:${"0".repeat(64)}`,
  };
  const owners = await packageOwners(packagedRoot(), OPENED);
  const sourceFiles = new Set(["main.c", "README"]);
  const side: LockedSide = { environment, materials: MATERIALS, places: PLACES, owners, sourceFiles };
  const found = readsAgainst(side, readsOf(OPENED, ["a doubt"]));
  assert.deepEqual(found.environment, {
    read: [{ name: "better", version: "1:2-3", architecture: "all" }],
    unread: [{ name: "tool", version: "1:2-3", architecture: "amd64" }],
    files: ["/etc/ld.so.cache"],
  });
  assert.deepEqual(found.dependencies.read, ["pkg:cargo/ansi_term@0.11.0"]);
  assert.equal(found.dependencies.unread.length, MATERIALS.length - 1);
  assert.deepEqual(found.source, { read: ["main.c"], unread: ["README"] });
  assert.deepEqual(found.undeclared, [
    { package: { name: "lib", version: "1:2-3", architecture: "amd64" }, paths: ["/usr/lib/x.so"] },
    { paths: ["/usr/local/go/bin/go"] },
  ]);
  assert.deepEqual(found.doubts, ["a doubt"]);
});

test("of the host's environment all is undeclared, with its packages", async () => {
  const owners = await packageOwners(packagedRoot(), OPENED);
  const side: LockedSide = {
    environment: { type: "host", pinned: false },
    materials: MATERIALS,
    places: PLACES,
    owners,
  };
  const found = readsAgainst(side, readsOf(OPENED));
  assert.deepEqual(
    found.undeclared.map(({ package: of, paths }) => [of?.name, paths]),
    [
      ["better", ["/usr/bin/tool"]],
      ["lib", ["/usr/lib/x.so"]],
      [undefined, ["/etc/ld.so.cache", "/usr/local/go/bin/go"]],
    ],
  );
  assert.deepEqual(found.environment, { read: [], unread: [], files: [] });
  assert.deepEqual(found.source.read, ["main.c", "main.o"]);
});
