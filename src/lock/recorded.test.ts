/** What was fetched, set against real lockfiles: contradictions, gaps, and the materials that come of both. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { memorySource } from "../bytesource.ts";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { goHash1 } from "../format/go-sum.ts";
import { zipBytes } from "../format/zip-write.ts";
import type { Checksums, Ecosystem, Material } from "../material.ts";
import { recipeWith } from "../recipe/detected.ts";
import type { Exchange, Recording } from "../record/recording.ts";
import { findingLines } from "./finding-lines.ts";
import { type Lockfile, readLockfiles, recordedMaterials } from "./lockfiles.ts";
import { type Pins, pinsOf } from "./pins.ts";
import { compareRecording, type Findings, NOTHING_READ, requireNoContradiction } from "./recorded.ts";
import { goZipHash, servedWith, type WithBody } from "./recorded-bodies.ts";
import { askedUrl, goModOf, redirects, shownUrl } from "./recorded-url.ts";
import { trustedChecksums } from "./trusted-checksums.ts";

const FIXTURES = join(import.meta.dirname, "../sbom/fixtures");
const HOST = "https://mirror.example:8443/base";

/** A body that the tests can hand out again. */
const bodies = new Map<string, Uint8Array>();
const withBody: WithBody = async (digest, use) => {
  const bytes = bodies.get(digest);
  return bytes === undefined ? undefined : await use(memorySource(bytes, "body"));
};

function answer(path: string, body: string | Uint8Array, rest: Partial<Exchange> = {}): Exchange {
  const bytes = typeof body === "string" ? utf8(body) : body;
  const sum = (name: string): string => createHash(name).update(bytes).digest("hex");
  const digest: Digest = `sha256:${sum("sha256")}`;
  bodies.set(digest, bytes);
  const checksums = { sha1: sum("sha1"), sha256: sum("sha256"), sha512: sum("sha512") };
  return {
    method: "GET",
    url: `${HOST}${path}`,
    status: 200,
    headers: [],
    digest,
    size: bytes.length,
    checksums,
    ...rest,
  };
}

const recordingOf = (...exchanges: Exchange[]): Recording => ({ version: 1, exchanges });

function folderWith(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "recorded-"));
  context.after(() => rmSync(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

async function lockfilesOf(
  context: TestContext,
  ecosystem: Ecosystem,
  files: Record<string, string>,
): Promise<Lockfile[]> {
  const recipe = recipeWith({
    name: "x",
    command: "true",
    outputs: ["x"],
    tools: [],
    ecosystem,
    lockfiles: Object.keys(files),
  });
  return await readLockfiles(recipe, folderWith(context, files));
}

const sri = (body: string, name = "sha512"): string => `${name}-${createHash(name).update(body).digest("base64")}`;

const sha512 = (body: string): string => `sha512:${createHash("sha512").update(body).digest("hex")}`;
const sha1 = (body: string): string => createHash("sha1").update(body).digest("hex");
const hash = (body: string): string => `--hash=sha256:${hexOf(digestOf(body))}`;

const npmLock = (packages: Record<string, object>): string =>
  JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } });

const purls = (items: readonly { purl?: string }[]): string[] => items.map((item) => item.purl ?? "");
const none: Pins = { artifacts: [], trusted: [], goMods: new Map(), unread: [] };

function refusal(findings: Findings): string {
  try {
    requireNoContradiction(findings);
  } catch (error) {
    assert.ok(error instanceof BitforbitError);
    assert.equal(error.code, "refused");
    return error.message;
  }
  return "nothing was refused";
}

test("npm: confirmed, without integrity, SHA-1 only, for another platform, in no lockfile", async (t) => {
  const lockfiles = await lockfilesOf(t, "npm", {
    "package-lock.json": npmLock({
      "node_modules/@a/good": {
        version: "1.0.0",
        integrity: sri("good"),
        dev: true,
        dependencies: { bare: "*", far: "*" },
      },
      "node_modules/bare": { version: "1.0.0" },
      "node_modules/weak": { version: "1.0.0", integrity: sri("weak", "sha1") },
      "node_modules/far": { version: "1.0.0", integrity: sri("far"), optional: true },
      "node_modules/g": { version: "1.0.0", resolved: "git+https://example.org/g.git#0a1b2c" },
    }),
  });
  const recording = recordingOf(
    answer("/@a/good/-/good-1.0.0.tgz", "good", { purl: "pkg:npm/%40a/good@1.0.0" }),
    answer("/bare.tgz?token=secret", "bare", { purl: "pkg:npm/bare@1.0.0" }),
    answer("/weak.tgz", "weak", { purl: "pkg:npm/weak@1.0.0" }),
    answer("/extra.tgz", "extra", { purl: "pkg:npm/extra@1.0.0" }),
    answer("/bare", '{"versions":{}}'),
    answer("/gone.tgz", "not found", { status: 404 }),
  );
  const { findings, materials } = compareRecording(recording, pinsOf(lockfiles));
  assert.deepEqual(findings.contradictions, []);
  assert.equal(findings.confirmed, 1);
  assert.deepEqual(purls(findings.unpinned), ["pkg:npm/bare@1.0.0"]);
  assert.deepEqual(purls(findings.weak), ["pkg:npm/weak@1.0.0"]);
  assert.deepEqual(purls(findings.unlisted), ["pkg:npm/extra@1.0.0"]);
  assert.deepEqual(findings.unfetched, [{ purl: "pkg:npm/far@1.0.0", where: "package-lock.json" }]);
  assert.doesNotMatch(JSON.stringify(findings), /secret/);
  assert.equal(
    findingLines(findings).join("\n"),
    `1 fetched, with the checksums that the project's lockfiles pin
1 in no lockfile, pinned by bitforbit.lock alone:
  pkg:npm/extra@1.0.0, 5 B, from ${HOST}/extra.tgz
1 in a lockfile without a checksum, pinned by bitforbit.lock alone:
  pkg:npm/bare@1.0.0, 4 B, from ${HOST}/bare.tgz?…
1 pinned by SHA-1 only, which is no protection; bitforbit.lock has SHA-256:
  pkg:npm/weak@1.0.0, 4 B, from ${HOST}/weak.tgz
1 in a lockfile, and not fetched (other platforms, optional)`,
  );
  const unfetched = new Set(purls(findings.unfetched));
  const joined = recordedMaterials(lockfiles, [], materials, unfetched);
  assert.deepEqual(purls(joined), [
    "pkg:npm/%40a/good@1.0.0",
    "pkg:npm/bare@1.0.0",
    "pkg:npm/extra@1.0.0",
    "pkg:npm/g@1.0.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fg.git%400a1b2c",
    "pkg:npm/weak@1.0.0",
  ]);
  assert.deepEqual(joined[0], {
    kind: "dependency",
    purl: "pkg:npm/%40a/good@1.0.0",
    name: "@a/good",
    version: "1.0.0",
    checksums: { sha256: hexOf(digestOf("good")), sha512: createHash("sha512").update("good").digest("hex") },
    runtime: false,
    size: 4,
    dependsOn: ["pkg:npm/bare@1.0.0"],
  });
  const elsewhere = recordingOf(
    ...recording.exchanges.map((item) => ({ ...item, url: item.url.replace(HOST, "http://proxy.test") })),
  );
  assert.deepEqual(compareRecording(elsewhere, pinsOf(lockfiles)).materials, materials, "a mirror makes no difference");
});

test("other bytes than the lockfile's are refused, with both checksums and no credentials", async (t) => {
  const lockfiles = await lockfilesOf(t, "npm", {
    "package-lock.json": npmLock({ "node_modules/a": { version: "1.0.0", integrity: sri("a") } }),
  });
  const evil = answer("/a.tgz?X-Signature=secret", "evil", { purl: "pkg:npm/a@1.0.0" });
  const { findings } = compareRecording(
    recordingOf({ ...evil, url: evil.url.replace("://", "://user:password@") }),
    pinsOf(lockfiles),
  );
  assert.equal(
    refusal(findings),
    `what was fetched is not what the project pinned: pkg:npm/a@1.0.0 from ${HOST}/a.tgz?… is ${sha512("evil")}, and package-lock.json says ${sha512("a")}`,
  );
});

test("pip: any of several hashes is right, another is not; two files of one version are two materials", async (t) => {
  const lockfiles = await lockfilesOf(t, "pip", {
    "requirements.txt": `Foo==1.0 ${hash("wheel")} ${hash("sdist")}\nbar==2.0 ${hash("bar")}\n`,
  });
  const wheel = answer("/f/foo-1.0-py3-none-any.whl", "wheel", { purl: "pkg:pypi/foo@1.0" });
  const named = answer("/x/bar-2.0.tar.gz", "bar", { purl: "pkg:pypi/bar@2.0?file_name=bar-2.0.tar.gz" });
  const good = compareRecording(recordingOf(wheel, named), pinsOf(lockfiles));
  assert.deepEqual([good.findings.confirmed, refusal(good.findings)], [2, "nothing was refused"]);
  assert.deepEqual(purls(good.materials), ["pkg:pypi/bar@2.0", "pkg:pypi/foo@1.0"]);
  const both = compareRecording(
    recordingOf(wheel, answer("/f/foo-1.0.tar.gz", "sdist", { purl: "pkg:pypi/foo@1.0" })),
    pinsOf(lockfiles),
  );
  assert.deepEqual(purls(both.materials), [
    "pkg:pypi/foo@1.0?file_name=foo-1.0-py3-none-any.whl",
    "pkg:pypi/foo@1.0?file_name=foo-1.0.tar.gz",
  ]);
  assert.equal(both.findings.confirmed, 2);
  const bad = compareRecording(
    recordingOf(answer("/f/foo-1.0-py3-none-any.whl", "evil", { purl: "pkg:pypi/foo@1.0" })),
    pinsOf(lockfiles),
  );
  assert.match(
    refusal(bad.findings),
    /pkg:pypi\/foo@1\.0 from .* is sha256:[0-9a-f]{64}, and requirements\.txt says sha256:[0-9a-f]{64} or sha256:/,
  );
  // What pip built of the archive was not fetched.
  const built: Material = {
    kind: "dependency",
    purl: "pkg:pypi/bar@2.0",
    name: "bar",
    version: "2.0",
    checksums: { sha256: "b".repeat(64) },
  };
  const [bar] = recordedMaterials(lockfiles, [built], good.materials, new Set());
  assert.deepEqual(bar?.checksums, { sha256: hexOf(digestOf("bar")) });
});

test("real lockfiles: what they pin is confirmed, whatever the mirror's addresses are", async (t) => {
  for (const [ecosystem, file] of [
    ["npm", "package-lock.json"],
    ["cargo", "Cargo.lock"],
    ["go", "go.sum"],
    ["pip", "requirements.txt"],
  ] as const) {
    const lockfiles = await lockfilesOf(t, ecosystem, { [file]: readFileSync(join(FIXTURES, file), "utf8") });
    const pins = pinsOf(lockfiles);
    assert.ok(pins.artifacts.length > 1 && pins.artifacts.every((pin) => pin.alternatives.length > 0), file);
    const served = pins.artifacts.map(({ purl, alternatives }, index): Exchange => {
      const sums = alternatives.at(-1) ?? {};
      const digest: Digest = `sha256:${sums.sha256 ?? String(index).padStart(64, "0")}`;
      return { ...answer(`/odd/${index}`, `${index}`), digest, checksums: sums, ...(index % 2 === 0 ? { purl } : {}) };
    });
    const { findings, materials } = compareRecording(recordingOf(...served), pins);
    assert.deepEqual([findings.confirmed, findings.contradictions, findings.unlisted], [served.length, [], []], file);
    assert.deepEqual(new Set(purls(materials)), new Set(purls(pins.artifacts)), file);
    const changed = served.map((item) => ({
      ...item,
      purl: pins.artifacts[served.indexOf(item)]?.purl ?? "",
      digest: digestOf("evil"),
      checksums: allOther(item.checksums),
    }));
    const evil = compareRecording(recordingOf(...changed), pins).findings;
    assert.deepEqual(new Set(purls(evil.contradictions)), new Set(purls(pins.artifacts)), file);
  }
});

const allOther = (sums: Checksums = {}): Checksums =>
  Object.fromEntries(
    Object.entries(sums).map(([name, value]) => [name, name === "goH1" ? goHash1([]) : value.replaceAll(/./g, "0")]),
  );

test("Go: the zip's own hash, and that of each go.mod", async (t) => {
  const zip = zipOf({
    "example.org/Mod@v1.0.0/go.mod": "module example.org/Mod\n",
    "example.org/Mod@v1.0.0/a.go": "package a\n",
  });
  const files = [
    ["example.org/Mod@v1.0.0/a.go", "package a\n"],
    ["example.org/Mod@v1.0.0/go.mod", "module example.org/Mod\n"],
  ] as const;
  const h1 = goHash1(files.map(([name, text]) => [name, hexOf(digestOf(text))]));
  const mod = goHash1([["go.mod", hexOf(digestOf("module example.org/Mod\n"))]]);
  assert.equal(await goZipHash(memorySource(zip, "zip")), h1);
  const sums = `example.org/Mod v1.0.0 ${h1}\nexample.org/Mod v1.0.0/go.mod ${mod}\n`;
  const pins = pinsOf(await lockfilesOf(t, "go", { "go.sum": sums }));
  const recording = recordingOf(
    answer("/go/example.org/!mod/@v/v1.0.0.zip", zip, { purl: "pkg:golang/example.org/Mod@v1.0.0" }),
    answer("/go/example.org/!mod/@v/v1.0.0.mod", "module example.org/Mod\n"),
    answer("/go/example.org/!mod/@v/v1.0.0.info", "{}"),
  );
  const good = compareRecording(recording, pins, await servedWith(recording, withBody));
  assert.deepEqual([good.findings.confirmed, refusal(good.findings)], [1, "nothing was refused"]);
  assert.equal(good.materials[0]?.checksums.goH1, h1);
  // Without the bodies, nothing can be said of the zip.
  assert.deepEqual(purls(compareRecording(recording, pins).findings.unpinned), ["pkg:golang/example.org/Mod@v1.0.0"]);
  const other = recordingOf(answer("/go/example.org/!mod/@v/v1.0.0.mod", "module evil\n"));
  assert.match(
    refusal(compareRecording(other, pins).findings),
    /example\.org\/Mod@v1\.0\.0\/go\.mod from .* is h1:.*, and go\.sum says h1:/,
  );
  const broken = recordingOf(
    answer("/example.org/!mod/@v/v1.0.0.zip", "no zip", { purl: "pkg:golang/example.org/Mod@v1.0.0" }),
  );
  assert.equal((await servedWith(broken, withBody)).goH1.size, 0);
});

function zipOf(files: Record<string, string>): Uint8Array {
  return zipBytes(Object.entries(files).map(([name, text]) => ({ name, content: utf8(text) })));
}

test("Maven: a checksum that is served beside, and those that the project trusts", async (t) => {
  const path = "/org/a/b/1.0/b-1.0.jar";
  const jar = answer(path, "jar", { purl: "pkg:maven/org.a/b@1.0" });
  const pom = answer("/org/a/b/1.0/b-1.0.pom", "pom", { purl: "pkg:maven/org.a/b@1.0?type=pom" });
  const parent = answer("/org/a/p/1/p-1.pom", "parent", { purl: "pkg:maven/org.a/p@1?type=pom" });
  const agrees = recordingOf(jar, answer(`${path}.sha1`, `${sha1("jar").toUpperCase()}  b-1.0.jar\n`), pom, parent);
  const good = compareRecording(agrees, none, await servedWith(agrees, withBody));
  assert.equal(refusal(good.findings), "nothing was refused");
  assert.deepEqual(purls(good.materials), ["pkg:maven/org.a/b@1.0", "pkg:maven/org.a/p@1?type=pom"]);
  const differs = recordingOf(jar, answer(`${path}.sha1`, sha1("other")));
  assert.match(
    refusal(compareRecording(differs, none, await servedWith(differs, withBody)).findings),
    new RegExp(`is sha1:${sha1("jar")}, and ${HOST}${path}\\.sha1 says sha1:${sha1("other")}`),
  );

  const folder = folderWith(t, {
    ".mvn/checksums/checksums-central.sha256": `# trusted\n${hexOf(digestOf("jar"))}  org/a/b/1.0/b-1.0.jar\n`,
    ".mvn/checksums/central/org/a/p/1/p-1.pom.sha1": sha1("parent"),
  });
  const trusted = await trustedChecksums(folder);
  const { findings } = compareRecording(agrees, pinsOf([], trusted), NOTHING_READ);
  assert.deepEqual(
    [findings.confirmed, purls(findings.weak), findings.unfetched],
    [1, ["pkg:maven/org.a/p@1?type=pom"], []],
  );
  const evil = recordingOf(answer(path, "evil", { purl: "pkg:maven/org.a/b@1.0" }));
  assert.match(
    refusal(compareRecording(evil, pinsOf([], trusted)).findings),
    /and \.mvn\/checksums\/checksums-central\.sha256 says/,
  );
});

test("trusted checksums: absent, broken, and a link that leads out", async (t) => {
  assert.deepEqual(await trustedChecksums(folderWith(t, { x: "" })), []);
  const broken = folderWith(t, { ".mvn/checksums/checksums.sha256": "# x\nabc  org/a/b/1/b-1.jar\n" });
  await assert.rejects(trustedChecksums(broken), {
    message: '.mvn/checksums/checksums.sha256:2: "abc" is not a sha256',
  });
  const linked = folderWith(t, { x: "" });
  symlinkSync(join(broken, ".mvn"), join(linked, ".mvn"));
  assert.deepEqual(await trustedChecksums(linked), []);
});

test("a download without a name of its own is named by the address that was asked for, not by where it led", () => {
  const signed = `${HOST}/store/123?Signature=changes-each-time`;
  const asked = `${HOST}/releases/v1/tool.tar.gz`;
  const recording = recordingOf(
    answer("/releases/v1/tool.tar.gz", "", {
      status: 302,
      headers: [["location", "/base/store/123?Signature=changes-each-time"]],
    }),
    { ...answer("/x", "tool"), url: signed },
    answer("/dists/stable/main/binary-amd64/Packages.xz", "list"),
  );
  const { findings, materials } = compareRecording(recording, none);
  assert.deepEqual(purls(materials), [
    `pkg:generic/tool.tar.gz?download_url=${encodeURIComponent(asked).replaceAll("%3A", ":")}`,
  ]);
  assert.deepEqual(purls(findings.unlisted), purls(materials));
  const loop = redirects([
    answer("/a", "", { status: 302, headers: [["location", "/base/b"]] }),
    answer("/b", "", { status: 302, headers: [["location", "/base/a"]] }),
  ]);
  assert.match(askedUrl(`${HOST}/a`, loop), /\/[ab]$/);
});

test("one name with two contents in one recording is refused", () => {
  const recording = recordingOf(
    answer("/one", "1", { purl: "pkg:npm/a@1" }),
    answer("/two", "2", { purl: "pkg:npm/a@1" }),
  );
  assert.match(
    refusal(compareRecording(recording, none).findings),
    /pkg:npm\/a@1 from .*\/two is sha256:.*, and .*\/one says sha256:/,
  );
  const same = recordingOf(answer("/one", "1", { purl: "pkg:npm/a@1" }), answer("/two", "1", { purl: "pkg:npm/a@1" }));
  assert.equal(compareRecording(same, none).materials.length, 1);
});

test("lockfiles that are not read are said", async (t) => {
  const pins = pinsOf(await lockfilesOf(t, "npm", { "bun.lock": "{}" }));
  const { findings } = compareRecording(recordingOf(), pins);
  assert.deepEqual(findingLines(findings), ["bun.lock is not read: what was fetched is not compared with it"]);
});

test("addresses: what is shown, and which go.mod they are of", () => {
  assert.equal(shownUrl("https://user:secret@h.test/p?token=1#f"), "https://h.test/p?…");
  assert.equal(shownUrl("no address"), "an address that is none");
  assert.deepEqual(goModOf("https://h.test/b/github.com/!azure/x/@v/v1.0.0-!r!c.mod"), [
    "b/github.com/Azure/x v1.0.0-RC",
    "github.com/Azure/x v1.0.0-RC",
    "Azure/x v1.0.0-RC",
    "x v1.0.0-RC",
  ]);
});

test("any recording ends in findings and materials", () => {
  const exchange = fc.record({
    method: fc.constantFrom("GET", "HEAD"),
    url: fc.oneof(
      fc.webUrl({ withQueryParameters: true }),
      fc.string(),
      fc.constantFrom("http://h/a.tgz", "http://h/m/@v/v1.mod"),
    ),
    status: fc.constantFrom(200, 302, 404),
    headers: fc.constantFrom<[string, string][][]>([], [["location", "//"]], [["location", "/a.tgz"]]),
    digest: fc.constantFrom(digestOf("1"), digestOf("2")),
    size: fc.nat(),
    purl: fc.constantFrom("pkg:npm/a@1", "pkg:%", "pkg:pypi/a@1?file_name=%zz", "pkg:maven/g/a@1?type=pom"),
  });
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 6 }), (exchanges) => {
      const { findings, materials } = compareRecording(recordingOf(...exchanges), none);
      assert.equal(new Set(purls(materials)).size <= materials.length, true);
      findingLines(findings);
      refusal(findings);
    }),
    { numRuns: 500 },
  );
});
