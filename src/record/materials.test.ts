import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes } from "../format/tar-write.ts";
import { zipBytes } from "../format/zip-write.ts";
import { bodyPath } from "../body-path.ts";
import { withMaterials } from "./materials.ts";
import { type Exchange, recordingOf } from "./recording.ts";

const own: string = mkdtempSync(join(tmpdir(), "materials-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const tgz = (files: Record<string, string>): Uint8Array =>
  gzipBytes(tarBytes(Object.entries(files).map(([name, text]) => ({ name, content: utf8(text) }))));
const sha = (algorithm: string, bytes: Uint8Array | string): string =>
  createHash(algorithm).update(bytes).digest("hex");

function exchange(
  path: string,
  body: Uint8Array | string,
  type = "application/octet-stream",
  change: Partial<Exchange> = {},
): Exchange {
  const digest: Digest = digestOf(body);
  const place = bodyPath(own, digest);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, body);
  const checksums = { sha1: sha("sha1", body), sha256: sha("sha256", body), sha512: sha("sha512", body) };
  const size = Buffer.byteLength(body);
  const headers: Exchange["headers"] = type === "" ? [] : [["content-type", type]];
  return { method: "GET", url: `https://mirror.test${path}`, status: 200, headers, digest, size, checksums, ...change };
}

const pom = (inside: string): string =>
  `<project>${inside}<artifactId>tiny</artifactId><version>1.0</version></project>`;

const version = (url: string, number: string): object => ({
  name: "tiny",
  version: number,
  dist: { tarball: `https://mirror.test${url}`, shasum: "0".repeat(40) },
});

async function purls(...exchanges: Exchange[]): Promise<Record<string, string>> {
  const { exchanges: found } = await withMaterials(recordingOf(exchanges), own);
  for (const item of found)
    assert.equal(item.purl === undefined, item.checksums === undefined, "checksums are an artifact's");
  return Object.fromEntries(
    found.flatMap(({ url, purl }) => (purl === undefined ? [] : [[new URL(url).pathname, purl]])),
  );
}

test("without a word of the registry, the file itself says what it is", async () => {
  const npm = tgz({ "package/package.json": '{"name":"@s/tiny","version":"1.2.3"}' });
  const manifest = '[package]\nname = "tiny"\nversion = "0.1.0"\n';
  const crate = tgz({ "tiny-0.1.0/Cargo.toml": manifest, "tiny-0.1.0/Cargo.toml.orig": manifest });
  const sdist = tgz({
    "tiny-thing-4.0/PKG-INFO": "Metadata-Version: 2.1\nName: Tiny.Thing\nVersion: 4.0\n",
    "tiny-thing-4.0/package.json": "{}",
  });
  const archive = tgz({
    "repository-main/package.json": '{"name":"tiny","version":"1.0.0"}',
    "repository-main/Cargo.toml": manifest,
  });
  const module = zipBytes([{ name: "x.test/Big/tiny@v1.0.0/go.mod", content: utf8("module x.test/Big/tiny\n") }]);
  const wheel = zipBytes([{ name: "tiny/x.py", content: utf8("") }]);
  assert.deepEqual(
    await purls(
      exchange("/repository/npm/@s/tiny/-/tiny-1.2.3.tgz", npm),
      exchange("/any/where/download", crate),
      exchange("/packages/tiny-thing-4.0.tar.gz", sdist),
      exchange("/owner/repository/archive/main.tar.gz", archive),
      exchange("/proxy/x.test/!big/tiny/@v/v1.0.0.zip", module),
      exchange("/wheels/tiny-1.0-py3-none-any.whl", wheel),
      exchange("/some/other.zip", wheel),
    ),
    {
      "/repository/npm/@s/tiny/-/tiny-1.2.3.tgz": "pkg:npm/%40s/tiny@1.2.3",
      "/any/where/download": "pkg:cargo/tiny@0.1.0",
      "/packages/tiny-thing-4.0.tar.gz": "pkg:pypi/tiny-thing@4.0?file_name=tiny-thing-4.0.tar.gz",
      "/proxy/x.test/!big/tiny/@v/v1.0.0.zip": "pkg:golang/x.test/Big/tiny@v1.0.0",
      "/wheels/tiny-1.0-py3-none-any.whl": "pkg:pypi/tiny@1.0?file_name=tiny-1.0-py3-none-any.whl",
    },
  );
});

test("Maven's base is learnt from poms; a pom counts where it is all there is; links lead through redirects", async () => {
  const jar = zipBytes([{ name: "META-INF/MANIFEST.MF", content: utf8("") }]);
  const base = "/artifactory/all/maven2";
  const simple = { meta: {}, name: "tiny", files: [{ filename: "tiny-1.0.tar.gz", url: "/go/tiny", hashes: {} }] };
  assert.deepEqual(
    await purls(
      exchange(`${base}/org/x/tiny/1.0/tiny-1.0.pom`, pom("<parent><groupId>org.x</groupId></parent>"), "text/xml"),
      exchange(`${base}/org/x/tiny/1.0/tiny-1.0.jar`, jar),
      exchange(`${base}/org/x/tiny/1.0/tiny-1.0-linux.jar`, jar),
      exchange(`${base}/org/x/tiny/1.0/tiny-1.0.jar.sha1`, sha("sha1", jar), "text/plain"),
      exchange(`${base}/org/y/only/2.0-SNAPSHOT/only-2.0-20200101.010203-4.pom`, pom(""), "text/xml"),
      exchange("/simple/tiny/", JSON.stringify(simple), "application/vnd.pypi.simple.v1+json"),
      exchange("/go/tiny", "", "", { status: 302, headers: [["location", "/blob/0815"]] }),
      exchange("/blob/0815", tgz({ "tiny-1.0/x": "" })),
    ),
    {
      [`${base}/org/x/tiny/1.0/tiny-1.0.jar`]: "pkg:maven/org.x/tiny@1.0",
      [`${base}/org/x/tiny/1.0/tiny-1.0-linux.jar`]: "pkg:maven/org.x/tiny@1.0?classifier=linux",
      [`${base}/org/y/only/2.0-SNAPSHOT/only-2.0-20200101.010203-4.pom`]: "pkg:maven/org.y/only@2.0-SNAPSHOT?type=pom",
      "/blob/0815": "pkg:pypi/tiny@1.0?file_name=tiny-1.0.tar.gz",
    },
  );
});

test("an artifact that is not what its registry's metadata says is told; a page in its place is none", async () => {
  const tarball = tgz({ "package/package.json": '{"name":"tiny","version":"1.0.0"}' });
  const document = {
    "dist-tags": {},
    versions: { "1.0.0": version("/tiny-1.0.0.tgz", "1.0.0"), "2.0.0": version("/tiny-2.0.0.tgz", "2.0.0") },
  };
  const recording = recordingOf([
    exchange("/tiny", JSON.stringify(document), "application/json"),
    exchange("/tiny-1.0.0.tgz", tarball),
    exchange("/tiny-2.0.0.tgz", "<html>sign in</html>", "text/html"),
  ]);
  const { exchanges, contradictions } = await withMaterials(recording, own);
  assert.deepEqual(
    exchanges.map(({ purl }) => purl),
    [undefined, "pkg:npm/tiny@1.0.0", undefined],
  );
  assert.deepEqual(contradictions, [
    {
      url: "https://mirror.test/tiny-1.0.0.tgz",
      purl: "pkg:npm/tiny@1.0.0",
      algorithm: "sha1",
      stated: "0".repeat(40),
      actual: sha("sha1", tarball),
    },
  ]);
});

test("whatever a registry answers, naming ends, and names nothing that is broken", async () => {
  const starts = fc.constantFrom(
    "",
    "PK\u0003\u0004",
    "!<arch>\n",
    "\u001f\u008b\u0008",
    '{"versions":{"a":',
    '{"files":[{}],"meta":1}',
    "<a href=x>",
    "<project>",
    "BZh",
  );
  const path = fc.constantFrom(
    "/x.tgz",
    "/a/@v/v1.0.0.zip",
    "/simple/x/",
    "/x.pom",
    "/x.deb",
    "/x.dsc",
    "/config.json",
    "/index/ti/ny/tiny",
    "/x.whl",
  );
  await fc.assert(
    fc.asyncProperty(starts, fc.uint8Array({ maxLength: 400 }), path, async (start, rest, at) => {
      const body = new Uint8Array(Buffer.concat([Buffer.from(start, "latin1"), rest]));
      const found = await purls(exchange(at, body, ""));
      if (!at.endsWith(".whl")) assert.deepEqual(found, {});
    }),
    { numRuns: 300 },
  );
});
