import { strict as assert } from "node:assert";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import test from "node:test";
import { fixedClock } from "../clock.ts";
import { makeAuthority } from "./authority.ts";
import { certificate as certificateOf } from "./certificate.ts";
import { clientSettings } from "./settings.ts";

const authority = makeAuthority();
const where = {
  authority,
  proxy: "http://127.0.0.1:3128",
  folder: "/run/recording",
  home: "/home/x",
  bundle: "SYSTEM\n",
};

test("the caller's registries and credentials stay, the caller's proxies and authorities become ours", () => {
  const settings = `<settings><mirrors><mirror><url>https://mirror.test/</url></mirror></mirrors><proxies><proxy><host>old.test</host></proxy></proxies></settings>`;
  const { environment, files } = clientSettings({
    ...where,
    base: {
      environment: {
        HTTPS_PROXY: "http://user:secret@old.test:3128",
        NO_PROXY: "*",
        SSL_CERT_FILE: "/old.pem",
        SSL_CERT_DIR: "/old",
        npm_config_registry: "https://npm.test/",
        "npm_config_https-proxy": "http://old.test",
        NPM_CONFIG_CAFILE: "/old.pem",
        PIP_INDEX_URL: "https://me:token@pip.test/simple",
        MAVEN_OPTS: "-Xmx1g -Dhttps.proxyHost=old.test -Djavax.net.ssl.trustStore=/old.jks",
        GOPROXY: "https://go.test",
      },
      files: [
        {
          to: "/home/x/.npmrc",
          content: Buffer.from("//npm.test/:_authToken=t\nproxy = http://old.test\ncafile=/old.pem\nnoproxy=*\n"),
        },
        { to: "/home/x/.m2/settings.xml", content: Buffer.from(settings) },
      ],
    },
  });
  const file = (to: string): string => files.find((one) => one.to === to)?.content.toString() ?? "";
  assert.doesNotMatch(
    JSON.stringify([environment, files.map(({ content }) => content.toString("latin1"))]),
    /old\.|\/old|secret/,
  );
  assert.equal(environment["npm_config_registry"], "https://npm.test/");
  assert.equal(environment["PIP_INDEX_URL"], "https://me:token@pip.test/simple");
  assert.equal(environment["GOPROXY"], "https://go.test");
  assert.equal(environment["MAVEN_OPTS"], "-Xmx1g");
  assert.equal(environment["NO_PROXY"], "localhost,127.0.0.1,::1");
  assert.equal(environment["GOSUMDB"], undefined);
  assert.equal(file("/home/x/.npmrc"), "//npm.test/:_authToken=t\n");
  assert.match(
    file("/home/x/.m2/settings.xml"),
    /<url>https:\/\/mirror\.test\/<\/url>.*<host>127\.0\.0\.1<\/host><port>3128<\/port>.*<\/proxies><\/settings>/,
  );
  assert.equal(file("/run/recording/authorities.pem"), `SYSTEM\n${authority.pem}`);
});

test("a registry at localhost is reached through the proxy, for inside there is none", () => {
  for (const base of [
    { environment: { PIP_INDEX_URL: "http://localhost:8081/simple" }, files: [] },
    { environment: {}, files: [{ to: "/home/x/.npmrc", content: Buffer.from("registry=http://127.0.0.1:4873/\n") }] },
  ]) {
    const { environment } = clientSettings({ ...where, base, replay: true });
    assert.equal(environment["no_proxy"], "");
    assert.match(environment["JAVA_TOOL_OPTIONS"] ?? "", /-Dhttp\.nonProxyHosts= /);
    assert.equal(environment["GOSUMDB"], "off");
  }
  const base = { environment: { HTTPS_PROXY: "http://localhost:3128" }, files: [] };
  assert.notEqual(clientSettings({ ...where, base }).environment["no_proxy"], "", "a proxy is no registry");
});

test("the authority is valid for a while, for itself alone, and makes certificates for names and addresses", () => {
  const now = Date.parse("2049-12-30T00:00:00Z");
  const late = makeAuthority({ clock: fixedClock(now), days: 7 });
  const certificate = new X509Certificate(late.der);
  assert.ok(certificate.ca && certificate.verify(certificate.publicKey));
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  // From UTCTime to GeneralizedTime.
  assert.deepEqual(
    [certificate.validFrom, certificate.validTo],
    ["Dec 29 00:00:00 2049 GMT", "Jan  6 00:00:00 2050 GMT"],
  );
  assert.equal(late.contextFor("registry.test"), late.contextFor("registry.test"));
  for (const host of ["127.0.0.1", "::1", "2001:db8::17", "a_b.test", "bücher.example"]) late.contextFor(host);
  for (const host of ["", "a b", "x\0.test", "../x", "a".repeat(300)]) {
    assert.throws(() => late.contextFor(host), { code: "input" }, JSON.stringify(host));
  }
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = new Uint8Array(key.publicKey.export({ type: "spki", format: "der" }));
  const issuerKey = { private: key.privateKey, publicKey };
  for (const host of ["10.1.2.3", "::1", "2001:db8::17:0:1", "::"]) {
    const fields = {
      serial: Uint8Array.of(0, 0, 1),
      issuer: "i",
      subject: host,
      notBefore: now,
      notAfter: now,
      publicKey,
      issuerKey,
    };
    assert.equal(new X509Certificate(certificateOf({ ...fields, hosts: [host] })).checkIP(host), host);
  }
  assert.notEqual(new X509Certificate(authority.der).subject, certificate.subject);
});
