import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { makeAuthority } from "./authority.ts";
import { compareVersions, highestVersion } from "./published.ts";
import { type Note, startRecorder } from "./recorder.ts";
import { get, listening, loopback, startUpstream } from "./upstream-for-tests.ts";

const own: string = mkdtempSync(join(tmpdir(), "time-travel-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

const NPM = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
const PYTHON = "application/vnd.pypi.simple.v1+json, text/html; q=0.1";
const version = (name: string, number: string): object => ({ name, version: number });
const packument = {
  name: "tiny",
  "dist-tags": { latest: "3.0.0", next: "2.0.0-rc.1", old: "1.0.0" },
  versions: {
    "1.0.0": version("tiny", "1.0.0"),
    "1.10.0": version("tiny", "1.10.0"),
    "1.9.0": version("tiny", "1.9.0"),
    "2.0.0-rc.1": {},
    "3.0.0": {},
  },
  time: {
    created: "2020-01-01T00:00:00.000Z",
    modified: "2024-01-01T00:00:00.000Z",
    "1.0.0": "2020-01-01T00:00:00.000Z",
    "1.9.0": "2021-01-01T00:00:00.000Z",
    "1.10.0": "2021-06-01T00:00:00.000Z",
    "2.0.0-rc.1": "2021-12-31T23:59:59.000Z",
    "3.0.0": "2022-01-01T00:00:01.000Z",
  },
};
const file = (name: string, time: string | undefined): object => ({
  filename: name,
  url: `/files/${name}`,
  hashes: { sha256: "0".repeat(64) },
  "requires-python": ">=3.8",
  yanked: false,
  ...(time === undefined ? {} : { "upload-time": time }),
});
const simple = {
  meta: { "api-version": "1.1" },
  name: "tiny-thing",
  versions: ["1.0", "2.0"],
  files: [
    file("tiny_thing-1.0-py3-none-any.whl", "2021-05-05T00:00:00.000000Z"),
    file("tiny-thing-1.0.tar.gz", "2021-05-05T00:00:00Z"),
    file("tiny_thing-2.0-py3-none-any.whl", "2022-05-05T00:00:00.000000Z"),
  ],
};
const maven = `<metadata><groupId>g</groupId><artifactId>tiny</artifactId><versioning><latest>2.0</latest><release>2.0</release><versions>
  <version>1.0</version><version>2.0</version></versions></versioning></metadata>`;
const crate = (vers: string, pubtime?: string): string => JSON.stringify({ name: "tiny", vers, cksum: "0", pubtime });

const PAGES: Record<string, string> = {
  "/npm/tiny": JSON.stringify(packument),
  "/npm/dateless": JSON.stringify({ ...packument, time: undefined }),
  "/simple/tiny-thing/": JSON.stringify(simple),
  "/simple/html/": '<a href="x-1.0.tar.gz">x-1.0.tar.gz</a>',
  "/go/x.test/tiny/@v/list": "v1.0.0\nv1.1.0\nv2.0.0\n",
  "/go/x.test/tiny/@v/v1.0.0.info": '{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}',
  "/go/x.test/tiny/@v/v1.1.0.info": '{"Version":"v1.1.0","Time":"2021-01-01T00:00:00Z"}',
  "/go/x.test/tiny/@v/v2.0.0.info": '{"Version":"v2.0.0","Time":"2023-01-01T00:00:00Z"}',
  "/go/x.test/tiny/@v/main.info": '{"Version":"v2.0.1-0.2023","Time":"2023-01-01T00:00:00Z"}',
  "/go/x.test/tiny/@latest": '{"Version":"v2.0.0","Time":"2023-01-01T00:00:00Z"}',
  "/m2/g/tiny/maven-metadata.xml": maven,
  "/m2/g/tiny/maven-metadata.xml.sha1": createHash("sha1").update(maven).digest("hex"),
  "/m2/g/tiny/1.0/tiny-1.0.pom": "<project/>",
  "/m2/g/tiny/2.0/tiny-2.0.pom": "<project/>",
  "/index/ti/ny/tiny": `${crate("1.0.0", "2020-01-01T00:00:00Z")}\n${crate("2.0.0", "2023-01-01T00:00:00Z")}\n${crate("1.5.0")}\n`,
  "/debian/dists/x/InRelease": "Origin: x\nDate: Sun, 01 Jan 2023 00:00:00 UTC\n",
  "/data.json": '{"versions": 5}',
};

test("as of a date, each registry's documents show what was published by then", async (context) => {
  const accepts: Record<string, string> = {};
  const upstream = await startUpstream((request, response) => {
    const url = request.url ?? "";
    accepts[url] = String(request.headers.accept);
    const page = PAGES[url];
    if (page === undefined) return void response.writeHead(404).end();
    const type = url.startsWith("/simple/html")
      ? "text/html"
      : url.endsWith("list")
        ? "text/plain"
        : "application/json";
    if (url.endsWith(".pom"))
      response.setHeader(
        "last-modified",
        url.includes("2.0") ? "Sun, 01 Jan 2023 00:00:00 GMT" : "Fri, 01 Jan 2021 00:00:00 GMT",
      );
    response
      .writeHead(200, { "content-type": type, "content-encoding": "gzip", etag: '"now"' })
      .end(request.method === "HEAD" ? undefined : gzipSync(page));
  });
  const { server, proxy } = await listening();
  const authority = makeAuthority();
  const notes: Note[] = [];
  const recorder = startRecorder(server, {
    authority,
    cache: join(own, "cache"),
    environment: {},
    authorities: [upstream.authority.pem],
    lookup: loopback,
    asOf: Date.parse("2022-01-01T00:00:00Z") / 1000,
    onNote: (note) => notes.push(note),
  });
  context.after(async () => {
    upstream.close();
    await recorder.close();
  });
  const ask = async (path: string, accept = "*/*"): Promise<string> => {
    const got = await get(upstream.https + path, proxy, authority, { headers: { accept, "accept-encoding": "gzip" } });
    assert.equal(got.status, 200, path);
    assert.equal(got.headers["content-encoding"], undefined, path);
    return got.body.toString();
  };

  const npm = JSON.parse(await ask("/npm/tiny", NPM)) as typeof packument;
  assert.equal(accepts["/npm/tiny"], "application/json", "the form that has times");
  assert.deepEqual(Object.keys(npm.versions), ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"]);
  assert.deepEqual(npm["dist-tags"], { next: "2.0.0-rc.1", old: "1.0.0", latest: "1.10.0" });
  assert.equal(npm.time.modified, "2021-12-31T23:59:59.000Z");

  const python = JSON.parse(await ask("/simple/tiny-thing/", PYTHON)) as typeof simple;
  assert.deepEqual([python.versions, python.files.length], [["1.0"], 2]);
  const html = await ask("/simple/tiny-thing/", "text/html");
  assert.match(html, /<a href="\/files\/tiny-thing-1\.0\.tar\.gz#sha256=0{64}" data-requires-python="&gt;=3\.8">/);
  assert.doesNotMatch(html, /2\.0-py3/);

  assert.equal(await ask("/go/x.test/tiny/@v/list"), "v1.0.0\nv1.1.0\n");
  assert.match(await ask("/go/x.test/tiny/@latest"), /"v1\.1\.0"/);
  const metadata = await ask("/m2/g/tiny/maven-metadata.xml");
  assert.match(metadata, /<latest>1\.0<\/latest><release>1\.0<\/release>/);
  assert.doesNotMatch(metadata, /2\.0/);
  assert.equal(await ask("/m2/g/tiny/maven-metadata.xml.sha1"), createHash("sha1").update(metadata).digest("hex"));
  assert.deepEqual(
    notes.splice(0).map(({ kind }) => kind),
    ["changed"],
    "the same URL as JSON and as HTML, without Vary",
  );

  assert.deepEqual((await ask("/index/ti/ny/tiny")).match(/"vers":"[\d.]+"/g), ['"vers":"1.0.0"', '"vers":"1.5.0"']);
  const untouched = async (path: string, accept?: string): Promise<void> => {
    const got = await get(upstream.https + path, proxy, authority, {
      headers: { ...(accept === undefined ? {} : { accept }), "accept-encoding": "gzip" },
    });
    assert.deepEqual(got.body, gzipSync(PAGES[path] ?? ""), path);
    assert.equal(got.headers.etag, '"now"');
  };
  await untouched("/npm/dateless", NPM);
  await untouched("/simple/html/", PYTHON);
  await untouched("/go/x.test/tiny/@v/main.info");
  await untouched("/go/x.test/tiny/@v/v2.0.0.info");
  await untouched("/debian/dists/x/InRelease");
  await untouched("/data.json");
  upstream.close();
  await recorder.close();
  assert.deepEqual(
    notes.map(({ kind, url }) => `${kind} ${new URL(url).pathname}`),
    [
      "beyond-time /index/ti/ny/tiny",
      "beyond-time /npm/dateless",
      "beyond-time /simple/html/",
      "beyond-time /go/x.test/tiny/@v/main.info",
      "beyond-time /debian/dists/x/InRelease",
    ],
  );
  assert.match(notes[0]?.message ?? "", /1 versions bear no date and stay: 1\.5\.0/);
});

test("versions are in the order of Semantic Versioning", () => {
  const order = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.2.0",
    "1.10.0",
    "v2.0.0",
  ];
  fc.assert(
    fc.property(fc.shuffledSubarray(order, { minLength: 1 }), (some) => {
      const sorted = [...some].sort(compareVersions);
      assert.deepEqual(
        sorted,
        order.filter((one) => some.includes(one)),
      );
    }),
  );
  assert.equal(highestVersion(["1.0.0", "2.0.0-rc.1"]), "1.0.0");
  assert.equal(highestVersion(["2.0.0-rc.1", "2.0.0-rc.2"]), "2.0.0-rc.2");
  assert.equal(highestVersion([]), undefined);
});
