import { strict as assert } from "node:assert";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { certificateSubject, derParts } from "./der-parts.ts";
import { pemParts } from "./pem.ts";

const golden = (path: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/x509/${path}`));

async function shown(bytes: Uint8Array, parse = derParts): Promise<Map<string, string | undefined>> {
  const parts = await expanded(bytes, parse);
  const claimed = parts
    .filter(({ kind }) => kind !== "group")
    .reduce((sum: number, part: Shown) => sum + part.length, 0);
  assert.equal(claimed, bytes.length, "every byte is in a part");
  return new Map(
    parts.map(({ path, shown: value, kind }) => [path.replace(/^(?: › )+|(?: › )(?= › )/g, ""), value ?? kind]),
  );
}

test("a certificate's fields and extensions by name, as Node reads them", async () => {
  for (const side of ["certificate/a", "certificate/b"]) {
    const found = await shown(golden(side));
    const truth = new X509Certificate(golden(side));
    const value = (path: string): string => found.get(path) ?? "";
    assert.equal(Date.parse(value("validity › notBefore")), truth.validFromDate.getTime());
    assert.equal(Date.parse(value("validity › notAfter")), truth.validToDate.getTime());
    assert.equal(Number(value("serialNumber")), Number.parseInt(truth.serialNumber, 16));
    assert.ok(truth.subject.includes(`CN=${value("subject › common name › text")}`));
    assert.equal(value("public key › algorithm › parameters"), "P-256");
    assert.equal(value("signatureAlgorithm › algorithm"), "ECDSA with SHA-256");
    assert.equal(certificateSubject(golden(side)), value("subject › common name › text"));
  }
  const names = (await shown(golden("certificate/b"))).get("extensions › subjectAltName › value › sequence › [2]");
  assert.match(names ?? "", /other\.example$/);
});

test("requests, revocation lists, signed data", async () => {
  const request = await shown(golden("request/a"));
  assert.equal(request.get("subject › common name › text"), "host1.example");
  assert.ok([...request.keys()].some((path) => path.startsWith("attributes › extension request")));
  const revocations = await shown(golden("revocations/b"));
  assert.equal(revocations.get("revoked › 2 › revocationDate"), "2024-01-02T00:00:00Z");
  assert.equal(revocations.get("extensions › cRLNumber › value › integer"), "2");
  const signed = await shown(golden("signed-data/a"));
  assert.equal(signed.get("contentType"), "signed data");
  assert.equal(signed.get("certificates › certificate › subject › common name › text"), "host1.example");
  assert.match(signed.get("signers › signer › signedAttributes › signing time › set › time") ?? "", /^20\d\d-/);
});

test("private values are not shown", async () => {
  const told = /^private, its SHA-256 is [0-9a-f]{64}$/;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pkcs8 = new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" }));
  assert.match((await shown(pkcs8)).get("private key") ?? "", told);
  const sec1 = new Uint8Array(privateKey.export({ type: "sec1", format: "der" }));
  assert.match((await shown(sec1)).get("private key") ?? "", told);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const pkcs1 = await shown(new Uint8Array(rsa.export({ type: "pkcs1", format: "der" })));
  assert.equal(pkcs1.get("public exponent"), "65537");
  assert.match(pkcs1.get("private exponent") ?? "", told);
  assert.match(pkcs1.get("coefficient") ?? "", told);
  const pem = new TextEncoder().encode(privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  assert.match((await shown(pem, pemParts)).get("PRIVATE KEY › private key") ?? "", told);
  for (const part of await expanded(pkcs8, derParts)) {
    assert.ok(!(part.shown ?? "").includes(Buffer.from(pkcs8.subarray(40, 60)).toString("hex")), part.path);
  }
});

test("certificates in a bundle go by their subjects", async () => {
  const found = await shown(golden("bundle/b"), pemParts);
  assert.equal(found.get("text"), "# a comment");
  assert.equal(found.get("CERTIFICATE host1.example › "), "content");
  assert.equal(found.get("CERTIFICATE same.example › label"), "CERTIFICATE");
});

test("damage gives parts or an error of ours", async () => {
  await survives(golden("certificate/a"), derParts);
  await survives(golden("signed-data/a"), derParts);
  await survives(golden("bundle/a"), pemParts);
});
