import { strict as assert } from "node:assert";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { canonicalJson, type Json } from "../json.ts";
import { parseChallenges } from "./challenge.ts";
import { credentialsOfClients } from "./credentials.ts";
import { OCI_INDEX, OCI_MANIFEST, parseImageConfig, parseImageDocument } from "./manifest.ts";
import { choosePlatform, machinePlatform, parsePlatform, platformText } from "./platform.ts";
import { isLoopback, parseReference, referenceText, registryHost } from "./reference.ts";
import { file, imageOf } from "./test-images.ts";

const DIGEST = digestOf("x");

test("references of registries, as the distribution project reads them", () => {
  // Cases of distribution/reference's own tests, where they name a registry.
  const cases: [string, [string, string, string | undefined, string | undefined]][] = [
    ["test.com/repo:tag", ["test.com", "repo", "tag", undefined]],
    ["test:5000/repo", ["test:5000", "repo", "latest", undefined]],
    ["test:5000/repo:tag", ["test:5000", "repo", "tag", undefined]],
    [`test:5000/repo@${DIGEST}`, ["test:5000", "repo", undefined, DIGEST]],
    [`test:5000/repo:tag@${DIGEST}`, ["test:5000", "repo", "tag", DIGEST]],
    ["sub-dom1.foo.com/bar/baz/quux:some-long-tag", ["sub-dom1.foo.com", "bar/baz/quux", "some-long-tag", undefined]],
    ["b.gcr.io/test.example.com/my-app", ["b.gcr.io", "test.example.com/my-app", "latest", undefined]],
    ["xn--n3h.com/myimage:xn--n3h.com", ["xn--n3h.com", "myimage", "xn--n3h.com", undefined]],
    ["foo_bar.com:8080/app", ["", "", undefined, undefined]],
    ["test.com/foo/foo_bar.com:8080", ["test.com", "foo/foo_bar.com", "8080", undefined]],
    ["192.168.1.1:5000/repo", ["192.168.1.1:5000", "repo", "latest", undefined]],
    ["[2001:db8::1]:5000/repo:tag", ["[2001:db8::1]:5000", "repo", "tag", undefined]],
    ["localhost/repo", ["localhost", "repo", "latest", undefined]],
    ["Uppercase/lowercase:tag", ["Uppercase", "lowercase", "tag", undefined]],
    ["docker.io/debian:12", ["docker.io", "library/debian", "12", undefined]],
    ["docker.io/some/image", ["docker.io", "some/image", "latest", undefined]],
    ["a.com/a__b/c--d/e.f", ["a.com", "a__b/c--d/e.f", "latest", undefined]],
  ];
  for (const [text, [domain, repository, tag, digest]] of cases) {
    if (domain === "") {
      assert.throws(() => parseReference(text), BitforbitError, text);
      continue;
    }
    assert.deepEqual(parseReference(text), { type: "registry", domain, repository, tag, digest }, text);
  }
});

test("references of layouts", () => {
  const cases: [string, [string, string | undefined, string | undefined]][] = [
    ["layout:images/base", ["images/base", undefined, undefined]],
    ["layout:images/base:12", ["images/base", "12", undefined]],
    [`layout:../a b@${DIGEST}`, ["../a b", undefined, DIGEST]],
    [`layout:/x/y:1.2@${DIGEST}`, ["/x/y", "1.2", DIGEST]],
    ["layout:/a@b/c:tag", ["/a@b/c", "tag", undefined]],
    ["layout:a:b/c", ["a:b/c", undefined, undefined]],
  ];
  for (const [text, [path, tag, digest]] of cases) {
    assert.deepEqual(parseReference(text), { type: "layout", path, tag, digest }, text);
  }
});

test("what is no reference is said, with what to write instead", () => {
  const cases: [string, RegExp][] = [
    ["", /names its registry|not name its registry/],
    ["debian:12", /"debian:12" is no image reference: it does not name its registry/],
    ["library/debian", /it does not name its registry/],
    [":justtag", /./],
    ["test.com/repo@sha256:ffff", /not a digest: "sha256:ffff"/],
    [`test.com/repo@sha512:${"f".repeat(128)}`, /not a digest/],
    ["test.com/repo@latest", /what follows @ is no digest/],
    ["test.com/Repo:tag", /not a repository: "Repo"/],
    ["test.com/a//b", /not a repository/],
    ["test.com/-foo", /not a repository/],
    ["-foo.com/bar", /not a host/],
    ["a..b/c", /not a host/],
    ["test.com/repo:", /not a tag/],
    [`test.com/repo:${"t".repeat(129)}`, /not a tag/],
    [`test.com/${"a/".repeat(130)}a`, /longer than 255/],
    ["test.com/repo:a/b", /not a repository|not a tag/],
    ["layout:", /names no folder/],
    ["layout:x:a b", /not a tag/],
    ["https://test.com/repo", /not a host|not a repository|not a tag/],
    ["x".repeat(5000), /longer than 4096/],
  ];
  for (const [text, said] of cases) assert.throws(() => parseReference(text), said, text.slice(0, 80));
  try {
    parseReference("debian:12");
  } catch (error) {
    assert.equal((error as BitforbitError).hint, "write the host first, as in docker.io/library/debian");
  }
});

test("property: what is read is written the same, and nothing throws but our own error", () => {
  const piece = fc.constantFrom(
    "a",
    "b-c",
    "d_e",
    "host.example",
    "localhost",
    "[::1]",
    ":5000",
    "/",
    ":",
    "@",
    DIGEST,
    "layout:",
    ".",
    "..",
    "A",
    " ",
    "\0",
    "12",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 60 }),
        fc.array(piece, { maxLength: 9 }).map((pieces) => pieces.join("")),
      ),
      (text) => {
        let read;
        try {
          read = parseReference(text);
        } catch (error) {
          assert.ok(error instanceof BitforbitError && error.code === "input");
          return;
        }
        assert.deepEqual(parseReference(referenceText(read)), read);
        if (read.type === "registry")
          assert.ok(URL.canParse(`https://${registryHost(read.domain)}/v2/${read.repository}/`));
      },
    ),
    { numRuns: 10_000 },
  );
});

test("only this machine itself is loopback", () => {
  for (const host of ["localhost", "localhost:5000", "127.0.0.1:80", "127.9.9.9", "[::1]:5000"])
    assert.ok(isLoopback(host), host);
  for (const host of ["localhost.example", "127.0.0.1.example", "10.0.0.1", "[::2]:1", "1127.0.0.1", "[::1].example"]) {
    assert.equal(isLoopback(host), false, host);
  }
});

test("platforms: the exact one, a variant that was not asked for, and doubt", () => {
  const offers = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "unknown/unknown"].map((text) => ({
    text,
    platform: text.startsWith("unknown")
      ? { os: "unknown", architecture: "unknown", variant: undefined }
      : parsePlatform(text),
  }));
  const chosen = (text: string): string => choosePlatform(offers, parsePlatform(text), "it").text;
  assert.equal(chosen("linux/amd64"), "linux/amd64");
  assert.equal(chosen("linux/arm64"), "linux/arm64/v8");
  assert.equal(chosen("linux/arm64/v8"), "linux/arm64/v8");
  assert.equal(chosen("linux/arm/v7"), "linux/arm/v7");
  assert.throws(() => chosen("linux/arm"), /several images are for linux\/arm: linux\/arm\/v6, linux\/arm\/v7/);
  assert.throws(() => chosen("linux/s390x"), /no image for linux\/s390x/);
  assert.throws(() => choosePlatform([{ platform: undefined }], parsePlatform("linux/arm"), "it"), /no image/);
  for (const text of ["linux", "linux/", "Linux/amd64", "linux/amd64/v2/x", "linux/amd 64"]) {
    assert.throws(() => parsePlatform(text), /not a platform/);
  }
  assert.equal(platformText(machinePlatform("x64")), "linux/amd64");
  assert.equal(platformText(machinePlatform("ppc64")), "linux/ppc64le");
  assert.equal(platformText(machinePlatform("riscv64")), "linux/riscv64");
});

test("documents that could be read in two ways, or are of another kind, are refused", () => {
  const image = imageOf([[file("x")]]);
  const good = JSON.parse(Buffer.from(image.manifest.bytes).toString()) as Record<string, Json>;
  const [config, layer] = [good["config"] as Record<string, Json>, (good["layers"] as Record<string, Json>[])[0] ?? {}];
  const read = (change: Record<string, Json>, type: string | undefined = OCI_MANIFEST) =>
    parseImageDocument(canonicalJson({ ...good, ...change }), type, "it");
  assert.equal(read({}).kind, "manifest");
  assert.equal(read({}, "text/plain").kind, "manifest");
  const cases: [Record<string, Json>, RegExp, string?][] = [
    [{}, /says it is .*manifest.* but is given as .*index/, OCI_INDEX],
    [{ manifests: [] }, /is index and manifest at once/],
    [{ schemaVersion: 1 }, /Docker manifest of schema 1/],
    [{ schemaVersion: 3 }, /no schemaVersion 2/],
    [{ mediaType: "application/x" }, /says it is "application\/x"/],
    [{ mediaType: "application/x" }, /it has the media type "application\/x"/, "text/plain"],
    [{ mediaType: 7 }, /the media type is not text/],
    [{ config: { ...config, mediaType: "application/vnd.oci.empty.v1+json" } }, /it is no container image/],
    [
      { layers: [{ ...layer, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" }] },
      /layers\[0\] has the media type/,
    ],
    [{ layers: [{ ...layer, digest: "md5:x" }] }, /layers\[0\] has no sha256 digest: "md5:x"/],
    [{ layers: [{ ...layer, size: -1 }] }, /layers\[0\] has no size: -1/],
    [{ layers: [{ ...layer, size: 2 ** 52 }] }, /layers\[0\] has no size/],
    [{ layers: {} }, /layers is not a list/],
    [{ layers: Array.from({ length: 501 }, () => layer) }, /501 of them, over 500/],
    [{ layers: [null] }, /layers\[0\] is not a descriptor/],
  ];
  for (const [change, said, type] of cases) assert.throws(() => read(change, type), said);
  assert.throws(() => parseImageDocument(utf8("<html>"), undefined, "it"), /cannot parse it/);
  assert.throws(() => parseImageDocument(utf8("[]"), undefined, "it"), /it is not an image manifest/);
  assert.throws(
    () => parseImageDocument(utf8('{"schemaVersion":2,"schemaVersion":1}'), undefined, "it"),
    /duplicate key/,
  );
});

test("property: documents of any shape are read or refused", () => {
  const image = imageOf([[file("x")]]);
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  const key = fc.constantFrom(
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "os",
    "architecture",
    "rootfs",
  );
  for (const base of [image.manifest, image.blobs[0]]) {
    const good = JSON.parse(Buffer.from(base?.bytes ?? []).toString()) as Record<string, Json>;
    fc.assert(
      fc.property(fc.dictionary(key, json), (change) => {
        const bytes = canonicalJson({ ...good, ...change });
        for (const parse of [() => parseImageDocument(bytes, undefined, "it"), () => parseImageConfig(bytes, "it")]) {
          try {
            parse();
          } catch (error) {
            assert.ok(error instanceof BitforbitError, String(error));
          }
        }
      }),
      { numRuns: 500 },
    );
  }
});

function challenges(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

function auth(text: string): string {
  return Buffer.from(text).toString("base64");
}

test("challenges: several in a line, quoted or not", () => {
  assert.deepEqual(challenges('Bearer realm="https://a.example/token",service="a, b",scope="repository:x:pull"'), [
    ["bearer", { realm: "https://a.example/token", service: "a, b", scope: "repository:x:pull" }],
  ]);
  assert.deepEqual(challenges('Basic realm="x\\"y", Bearer Realm=plain , Negotiate'), [
    ["basic", { realm: 'x"y' }],
    ["bearer", { realm: "plain" }],
    ["negotiate", {}],
  ]);
  assert.deepEqual(challenges(""), []);
  assert.deepEqual(challenges('Bearer realm="open'), [["bearer", {}]]);
  fc.assert(fc.property(fc.string(), (header) => void parseChallenges(header)));
});

test("credentials come from the clients' files, and their secrets into no message", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-credentials-"));
  const write = (content: string): void => writeFileSync(join(folder, "config.json"), content);
  const find = credentialsOfClients({ DOCKER_CONFIG: folder, HOME: folder });
  assert.equal(await find("a.example"), undefined);
  write(
    JSON.stringify({
      auths: {
        "https://index.docker.io/v1/": { auth: auth("hub:p") },
        "a.example:5000": { auth: auth("u:p:w") },
        "https://b.example": { identitytoken: "t" },
        "c.example": { auth: auth("nocolon") },
        "d.example": { username: "u", password: "p" },
        "e.example": {},
      },
      credHelpers: { "f.example": "../../bin/sh" },
    }),
  );
  assert.deepEqual(await find("docker.io"), { type: "basic", user: "hub", password: "p" });
  assert.deepEqual(await find("a.example:5000"), { type: "basic", user: "u", password: "p:w" });
  assert.equal(await find("a.example"), undefined);
  assert.deepEqual(await find("b.example"), { type: "identity", token: "t" });
  assert.deepEqual(await find("d.example"), { type: "basic", user: "u", password: "p" });
  assert.equal(await find("e.example"), undefined);
  await assert.rejects(find("c.example"), /auths\["c\.example"\]\.auth is not the base64 of name:password/);
  await assert.rejects(find("f.example"), /not the name of a credential helper/);
  write('{"auths":{"a.example":{"auth":"c2VjcmV0"');
  await assert.rejects(find("a.example"), (error: unknown) => {
    assert.match(String(error), /config\.json is not a JSON object/);
    assert.doesNotMatch(JSON.stringify(error, ["message", "cause", "hint"]), /c2VjcmV0/);
    return true;
  });
  await rm(folder, { recursive: true });
});
