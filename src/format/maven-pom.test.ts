import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { mavenTreeMaterials, pomMaterials } from "./maven-pom.ts";

const FIXTURES = `${import.meta.dirname}/../sbom/fixtures`;
const dependency = (artifact: string, rest = ""): string =>
  `<dependency><groupId>org.a</groupId><artifactId>${artifact}</artifactId>${rest}</dependency>`;
const pom = (dependencies: string, rest = ""): string =>
  `<project><groupId>org.me</groupId><version>3</version>${rest}<dependencies>${dependencies}</dependencies></project>`;
const purls = (text: string): (string | undefined)[] => pomMaterials(text, "pom.xml").map((item) => item.purl);

test("a real pom: direct dependencies, properties filled in, tests apart", () => {
  const found = pomMaterials(readFileSync(`${FIXTURES}/pom.xml`, "utf8"), "pom.xml");
  assert.deepEqual(
    found.map((item) => [item.purl, item.runtime]),
    [
      ["pkg:maven/org.hamcrest/hamcrest@2.2", false],
      ["pkg:maven/org.slf4j/slf4j-simple@2.0.9", true],
    ],
  );
});

test("properties of properties, of the project, of its parent, and managed versions", () => {
  const rest = `<parent><groupId>org.p</groupId><version>7</version></parent>
    <properties><a>\${b}.1</a><b>2</b></properties>
    <dependencyManagement><dependencies>${dependency("m", "<version>${a}</version><scope>test</scope>")}</dependencies></dependencyManagement>`;
  const text = pom(
    dependency("x", "<version>${a}</version>") +
      dependency("y", "<version>${project.version}</version><type>zip</type><classifier>bin</classifier>") +
      dependency("z", "<version>${not.here}</version>") +
      dependency("m"),
    rest,
  );
  assert.deepEqual(purls(text), [
    "pkg:maven/org.a/m@2.1",
    "pkg:maven/org.a/x@2.1",
    "pkg:maven/org.a/y@3?classifier=bin&type=zip",
    "pkg:maven/org.a/z",
  ]);
  assert.equal(pomMaterials(text, "pom.xml")[0]?.runtime, false);
});

const grown = (leaf: string): string =>
  `<properties>${Array.from({ length: 14 }, (_, i) => `<p${i}>${`\${p${i + 1}}`.repeat(8)}</p${i}>`).join("")}<p14>${leaf}</p14></properties>`;

test("properties that refer to themselves, or grow without end, end in an error", () => {
  const version = dependency("x", "<version>${p0}</version>");
  assert.throws(() => purls(pom(version, "<properties><p0>${p1}</p0><p1>${p0}</p1></properties>")), /refers to itself/);
  assert.throws(() => purls(pom(version, grown("aaaa"))), /longer than 4096/);
  assert.deepEqual(purls(pom(version, grown(""))), ["pkg:maven/org.a/x"]);
});

test("refused: another document, a dependency without a name", () => {
  assert.throws(() => purls("<settings/>"), /pom\.xml: the root is <settings>/);
  assert.throws(() => purls(pom("<dependency/>")), /pom\.xml: a dependency has no groupId/);
});

test("a real dependency tree", () => {
  const found = mavenTreeMaterials(readFileSync(`${FIXTURES}/maven-tree.txt`, "utf8"), "tree");
  assert.deepEqual(
    found.map((item) => [item.purl, item.runtime, item.dependsOn]),
    [
      ["pkg:maven/org.hamcrest/hamcrest@2.2", false, undefined],
      ["pkg:maven/org.slf4j/slf4j-api@2.0.9", true, undefined],
      ["pkg:maven/org.slf4j/slf4j-simple@2.0.9", true, ["pkg:maven/org.slf4j/slf4j-api@2.0.9"]],
    ],
  );
});

test("several modules appended: they are the project, not its dependencies", () => {
  const found = mavenTreeMaterials(
    "org.me:a:jar:1\n\\- org.x:x:jar:linux:1:compile (optional)\norg.me:b:jar:1\n+- org.me:a:jar:1:compile\n|  \\- org.x:x:jar:linux:1:compile\n\\- org.y:y:jar:2:test\n",
    "tree",
  );
  assert.deepEqual(
    found.map((item) => item.purl),
    ["pkg:maven/org.x/x@1?classifier=linux", "pkg:maven/org.y/y@2"],
  );
  assert.throws(() => mavenTreeMaterials("org.me:a:jar:1\n|  |  \\- a:b:c:1:test", "tree"), /tree:2: not a line/);
});
