import { strict as assert } from "node:assert";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { sha256Hex } from "../digest.ts";
import { parseOneLine, parseSourcesFile } from "./debian-source.ts";
import { unpackDsc, verifyDsc } from "./dsc.ts";
import { fetchPurl } from "./purl.ts";
import { gpgStatus, sshStatus } from "./tag.ts";

test("what is no source's package URL is refused before any client runs", async () => {
  const into = mkdtempSync(join(tmpdir(), "purl-"));
  const table: [string, RegExp][] = [
    ["npm/x@1", /not a package URL/],
    ["pkg:cobol/x@1", /no client is known for "cobol"/],
    ["pkg:constructor/x@1", /no client is known/],
    ["pkg:npm/x", /no exact version/],
    ["pkg:npm/x@--global", /no exact version/],
    ["pkg:npm/x@1%20--global", /no exact version/],
    ["pkg:npm/--config@1", /not a package's name/],
    ["pkg:golang/..%2F..%2Fetc/x@1", /not a package's name/],
    ["pkg:deb/debian/hello@1", /no distro/],
    ["pkg:deb/debian/hello@1?distro=..%2Fx", /no distro/],
    ["pkg:maven/x@1%7E2", /not a Maven artifact/],
  ];
  for (const [purl, message] of table) await assert.rejects(fetchPurl(purl, into), message, purl);
});

test("a .dsc: exactly the files that it names, each with its digest", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dsc-"));
  const path = join(folder, "x_1.dsc");
  const write = (line: string): void => writeFileSync(path, `Format: 1.0\nSource: x\nChecksums-Sha256:\n ${line}\n`);
  write(`${sha256Hex("a")} 1 x_1.tar.gz`);
  await assert.rejects(verifyDsc(path), /x_1\.tar\.gz, which x_1\.dsc names, is not there/);
  writeFileSync(join(folder, "x_1.tar.gz"), "a");
  await verifyDsc(path);
  writeFileSync(join(folder, "stray"), "");
  await assert.rejects(verifyDsc(path), /stray lies beside/);
  write(`${sha256Hex("b")} 1 x_1.tar.gz`);
  await assert.rejects(verifyDsc(path), /is not the file that x_1\.dsc names/);
  write(`${sha256Hex("b")} 1 ../x_1.tar.gz`);
  await assert.rejects(verifyDsc(path), /not a checksum line/);
  writeFileSync(path, "Format: 1.0\n");
  await assert.rejects(verifyDsc(path), /no Checksums-Sha256/);
  await assert.rejects(unpackDsc(path, join(folder, "out")), /dpkg-source cannot unpack x_1\.dsc/);
});

test("apt's sources, in both of their styles", () => {
  const key = "/usr/share/keyrings/k.gpg";
  const expected = { uris: ["http://m.test/debian"], suites: ["bookworm"], components: ["main", "contrib"] };
  const line = `# x\ndeb [arch=amd64 signed-by=${key}] http://m.test/debian bookworm main contrib # y\ndeb\n`;
  assert.deepEqual(parseOneLine(line), [{ ...expected, options: `[signed-by=${key}] ` }]);
  const inline = " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x";
  const file = `Types: deb\nURIs: http://m.test/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By:\n${inline}\n`;
  assert.deepEqual(parseSourcesFile(file, "x.sources"), [{ ...expected, options: "" }]);
  assert.deepEqual(parseSourcesFile(`${file}Enabled: no\n`, "x.sources"), []);
  assert.throws(() => parseSourcesFile(" x\n", "x.sources"), /x\.sources:1: a continuation line/);
});

test("what gpg and ssh-keygen say is read by the letter", () => {
  const valid = "[GNUPG:] GOODSIG 00AA G <g@x>\n[GNUPG:] VALIDSIG 00AA 2020-01-01";
  assert.deepEqual(gpgStatus(valid, 0), { signature: "good", signer: "G <g@x>" });
  assert.equal(gpgStatus(valid, 1).signature, "bad");
  assert.deepEqual(gpgStatus("[GNUPG:] BADSIG 00AA G", 1), { signature: "bad", signer: "G" });
  assert.deepEqual(gpgStatus("[GNUPG:] REVKEYSIG 00AA G\n[GNUPG:] VALIDSIG 00AA", 1), {
    signature: "bad",
    signer: "G",
  });
  assert.equal(gpgStatus("[GNUPG:] ERRSIG 00AA 22 10 00 1 9 -", 1).signature, "unknown-key");
  assert.equal(gpgStatus("error: cannot run gpg: No such file or directory", 1).signature, "unchecked");
  assert.equal(gpgStatus("x [GNUPG:] GOODSIG 00AA G\nx [GNUPG:] VALIDSIG", 0).signature, "bad");
  assert.equal(
    sshStatus('Good "git" signature with ED25519 key SHA256:x\nNo principal matched.', 1).signature,
    "unknown-key",
  );
  assert.equal(sshStatus('Good "git" signature for a with ED25519 key SHA256:x', 1).signature, "bad");
});
