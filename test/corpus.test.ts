/** The list of real packages: as many as promised, each a source that can be asked for; and what results tell. */
import { strict as assert } from "node:assert";
import { globSync, readFileSync } from "node:fs";
import test from "node:test";
import { reasonOf, withoutAddresses } from "../bench/corpus/bitforbit.ts";
import { ECOSYSTEMS, purlOf, readList } from "../bench/corpus/list.ts";
import { folderName } from "../bench/corpus/project.ts";
import { idOf, type Result, resultOf } from "../bench/corpus/results.ts";
import { parsePurl } from "../src/format/purl.ts";

test("as many packages of each ecosystem as promised, each with a package URL and a folder of its own", () => {
  const list = readList();
  const least = { debian: 40, npm: 20, pip: 20, cargo: 10, go: 10, maven: 10 };
  for (const name of ECOSYSTEMS) {
    const count = list.filter(({ ecosystem }) => ecosystem === name).length;
    assert.ok(count >= least[name], `${name}: ${count}`);
  }
  assert.equal(new Set(list.map(folderName)).size, list.length);
  for (const entry of list) {
    const { version, qualifiers } = parsePurl(purlOf(entry));
    assert.equal(version, entry.version);
    if (entry.ecosystem === "debian") assert.equal(qualifiers?.["distro"], entry.from.suite);
  }
});

test("lockfiles are of entries, and say nothing of where a package was fetched", () => {
  const folders = new Set(readList().map(folderName));
  for (const path of globSync("bench/corpus/lockfiles/*/*")) {
    assert.ok(folders.has(path.split("/").at(-2) ?? ""), path);
    assert.doesNotMatch(readFileSync(path, "utf8"), /"resolved"/, path);
  }
});

test("a result counts while the entry and bitforbit are what they were", () => {
  const [entry] = readList();
  assert.ok(entry !== undefined);
  const { ecosystem, name, version, key } = entry;
  const result: Result = {
    ecosystem,
    name,
    version,
    key,
    bitforbit: "1.0.0",
    lock: { seconds: 1, materials: 0, packages: 1 },
  };
  const results = new Map([[idOf(result), result]]);
  assert.equal(resultOf(results, entry, "1.0.0"), result);
  assert.equal(resultOf(results, entry, "1.0.1"), undefined);
  assert.equal(resultOf(results, { ...entry, key: "another" }, "1.0.0"), undefined);
});

test("reasons are one line, and name no registry and no folder of the machine", () => {
  const said = "fetching failed\nPicked up OPTIONS\n[ERROR] Source option 5 is no longer supported: error";
  const ran = { code: 4, document: { error: { code: "outside", message: said } }, seconds: 1, said: "" };
  assert.equal(reasonOf(ran), "fetching failed: [ERROR] Source option 5 is no longer supported: error");
  const world = {
    name: "canonical",
    failure: "exited with 2",
    log: "cc -c a.c\na.c:1: error: no\nmake: *** [a.o] Error 1",
  };
  const built = { code: 3, document: { verdict: "failed", worlds: [world] }, seconds: 1, said: "" };
  assert.equal(reasonOf(built), "exited with 2: a.c:1: error: no");
  const where = withoutAddresses("reading https://registry.example/a/b: 404 at /tmp/x/y: no");
  assert.equal(where, "reading (registry)/a/b: 404 at (folder): no");
});
