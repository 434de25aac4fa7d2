import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import test from "node:test";
import * as fc from "fast-check";
import { versionOrder } from "./version-order.ts";

/** Each list from old to new, as the specifications give them. */
const ASCENDING: Readonly<Record<string, readonly string[]>> = {
  npm: [
    "0.9.9",
    ..."1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1".split(" "),
    ..."1.0.0 1.2.0 1.10.0 2.0.0 10.0.0 99999999999999999999999.0.0".split(" "),
  ],
  golang: [
    "v0.0.0-20190101000000-abcdefabcdef",
    "v0.0.0-20200101000000-000000000000",
    "v0.1.0",
    "v1.0.0",
    "v2.0.0+incompatible",
  ],
  deb: [
    "1.0~~",
    "1.0~~a",
    "1.0~",
    "1.0",
    "1.0-1~bpo11+1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-2",
    "1.0a-1",
    "1.0+git-1",
    "1.2",
    "1.10",
    "1:0.1",
  ],
  pypi: [
    "1.0.dev456",
    "1.0a1",
    "1.0a2.dev456",
    "1.0a12.dev456",
    "1.0a12",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0rc1.dev456",
    "1.0rc1",
    "1.0",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.0.15",
    "1.1.dev1",
    "1!0.1",
  ],
  maven: [
    "1-alpha",
    "1-beta-1",
    "1-milestone-1",
    "1.0-rc1",
    "1.0-SNAPSHOT",
    "1.0",
    "1.0-sp",
    "1.0-foo",
    "1.0.1",
    "1.1",
    "1.9",
    "1.10",
    "2.0.0.Final",
    "2.0.1.RELEASE",
    "31.0-jre",
    "32.0-jre",
  ],
};

for (const [type, versions] of Object.entries(ASCENDING)) {
  test(`${type}: the specification's own list`, () => {
    for (const [at, a] of versions.entries()) {
      for (const [other, b] of versions.entries()) {
        assert.equal(Math.sign(versionOrder(type, a, b) ?? Number.NaN), Math.sign(at - other), `${a} ${b}`);
      }
    }
  });
}

test("what ranks the same, and what can't be told", () => {
  assert.equal(versionOrder("npm", "1.0.0+a", "1.0.0+b"), 0);
  assert.equal(versionOrder("pypi", "1.0", "1.0.0"), 0);
  assert.equal(versionOrder("pypi", "1.0-1", "1.0.post1"), 0);
  assert.equal(versionOrder("maven", "1.0", "1.0.0.Final"), 0);
  assert.equal(versionOrder("deb", "0:1.0", "1.0-0"), 0);
  assert.equal(versionOrder("npm", "1.0.0", "main"), undefined);
  assert.equal(versionOrder("pypi", "1.0", "local"), undefined);
  assert.equal(versionOrder("generic", "1", "2"), undefined);
  assert.equal(versionOrder("deb", "1".repeat(300), "1"), undefined);
});

test("deb: as dpkg orders", (t) => {
  const versions = fc.sample(fc.stringMatching(/^(?:[01]:)?[0-9][a-c0-2.+~]{0,5}(?:-[a-b0-2+~]{1,3})?$/), {
    numRuns: 200,
    seed: 7,
  });
  const pairs = versions.slice(1).map((b, index) => [versions[index] ?? "", b] as const);
  const script =
    'while read -r a b; do if dpkg --compare-versions "$a" lt "$b"; then echo lt; elif dpkg --compare-versions "$a" eq "$b"; then echo eq; else echo gt; fi; done';
  const ran = spawnSync("sh", ["-c", `command -v dpkg >/dev/null || exit 9; ${script}`], {
    input: pairs.map((pair) => `${pair.join(" ")}\n`).join(""),
    encoding: "utf8",
  });
  if (ran.status === 9) return t.skip("dpkg is not there");
  const words = ran.stdout.trim().split("\n");
  assert.equal(words.length, pairs.length);
  for (const [index, [a, b]] of pairs.entries()) {
    const order = Math.sign(versionOrder("deb", a, b) ?? Number.NaN);
    assert.equal(order, { lt: -1, eq: 0, gt: 1 }[words[index] ?? ""], `${a} ${b}`);
  }
});

test("pypi: as the packaging library orders", (t) => {
  const version = fc.stringMatching(
    /^(?:1!)?[0-2](?:\.[0-2]){0,2}(?:(?:a|b|rc|\.alpha|-pre)[0-2]?)?(?:(?:\.post|-r)[0-2]?|-[12])?(?:\.dev[0-2]?)?$/,
  );
  const versions = fc.sample(version, { numRuns: 400, seed: 7 });
  const pairs = versions.slice(1).map((b, index) => [versions[index] ?? "", b] as const);
  const script = `import sys
from packaging.version import Version
for line in sys.stdin:
    a, b = map(Version, line.split())
    print((a > b) - (a < b))`;
  const ran = spawnSync("python3", ["-c", script], {
    input: pairs.map((pair) => `${pair.join(" ")}\n`).join(""),
    encoding: "utf8",
  });
  if (ran.status !== 0) return t.skip("Python's packaging library is not there");
  const found = ran.stdout.trim().split("\n").map(Number);
  assert.equal(found.length, pairs.length);
  for (const [index, [a, b]] of pairs.entries()) {
    assert.equal(Math.sign(versionOrder("pypi", a, b) ?? Number.NaN), found[index], `${a} ${b}`);
  }
});

test("any order of any two texts is the reverse of that of the two", () => {
  const text = fc.oneof(fc.string({ maxLength: 12 }), fc.stringMatching(/^[0-9a-c.~+-]{0,10}$/));
  fc.assert(
    fc.property(fc.constantFrom("npm", "deb", "pypi", "maven"), text, text, (type, a, b) => {
      const [one, other] = [versionOrder(type, a, b), versionOrder(type, b, a)];
      if (one === undefined) assert.equal(other, undefined);
      else assert.equal(Math.sign(one) + Math.sign(other ?? Number.NaN), 0);
    }),
    { numRuns: 2000 },
  );
});
