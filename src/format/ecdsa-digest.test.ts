import { strict as assert } from "node:assert";
import { createECDH, createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import test from "node:test";
import { verifyDigest } from "./ecdsa-digest.ts";

const digestOf = (message: Uint8Array): Uint8Array => createHash("sha256").update(message).digest();
const pointOf = (key: ReturnType<typeof createPublicKey>): Buffer =>
  key.export({ format: "der", type: "spki" }).subarray(-65);

test("what OpenSSL signs is accepted, and nothing that was changed", () => {
  for (let round = 0; round < 60; round++) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const message = Buffer.from(`message ${round}`);
    const signature = sign("sha256", message, privateKey);
    const point = pointOf(publicKey);
    assert.ok(verifyDigest(digestOf(message), signature, point));
    assert.ok(!verifyDigest(digestOf(Buffer.from("another")), signature, point));
    for (let at = 0; at < signature.length; at += 5) {
      const changed = Buffer.from(signature);
      changed[at] = (changed[at] ?? 0) ^ (1 << (round % 8));
      assert.equal(verifyDigest(digestOf(message), changed, point), verify("sha256", message, publicKey, changed));
    }
    const other = pointOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey);
    assert.ok(!verifyDigest(digestOf(message), signature, other));
    // −Q has the same x everywhere: its sign must count.
    const mirrored = Buffer.from(point);
    const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
    const y = p - BigInt(`0x${point.subarray(33).toString("hex")}`);
    mirrored.set(Buffer.from(y.toString(16).padStart(64, "0"), "hex"), 33);
    assert.ok(!verifyDigest(digestOf(message), signature, mirrored));
  }
});

const pair = (r: Uint8Array, s: Uint8Array): Buffer =>
  Buffer.concat([Buffer.of(0x30, 4 + r.length + s.length, 2, r.length), r, Buffer.of(2, s.length), s]);

test("numbers out of range, other encodings and points off the curve are refused", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = Buffer.from("m");
  const digest = digestOf(message);
  const signature = sign("sha256", message, privateKey);
  const point = pointOf(publicKey);
  const n = Buffer.from("00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const one = Buffer.of(1);
  const bad = [
    pair(Buffer.of(0), one),
    pair(one, Buffer.of(0)),
    pair(n, one),
    pair(one, n),
    pair(Buffer.of(0x81), one),
    pair(Buffer.of(0, 1), one),
    Buffer.concat([signature, Buffer.of(0)]),
    signature.subarray(0, -1),
    sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" }),
    Buffer.alloc(0),
    Buffer.alloc(72, 0x30),
  ];
  for (const one of bad) assert.ok(!verifyDigest(digest, one, point), one.toString("hex"));
  const off = Buffer.from(point);
  off[64] = (off[64] ?? 0) ^ 1;
  assert.ok(!verifyDigest(digest, signature, off));
  assert.ok(!verifyDigest(digest, signature, Buffer.alloc(65, 4)));
  assert.ok(!verifyDigest(digest.subarray(1), signature, point));
  // A digest that is zero: u1·G is no point then, and only u2·Q counts.
  const key = createECDH("prime256v1");
  key.generateKeys();
  assert.ok(!verifyDigest(new Uint8Array(32), signature, key.getPublicKey()));
});

test("the published signature of RFC 6979", () => {
  // RFC 6979, A.2.5: P-256 with SHA-256, the message "sample".
  const key = Buffer.from(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6" +
      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    "hex",
  );
  const r = Buffer.from("00efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716", "hex");
  const s = Buffer.from("00f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8", "hex");
  assert.ok(verifyDigest(digestOf(Buffer.from("sample")), pair(r, s), key));
  assert.ok(!verifyDigest(digestOf(Buffer.from("other")), pair(r, s), key));
  assert.ok(!verifyDigest(digestOf(Buffer.from("sample")), pair(r, s), Uint8Array.of(4, ...new Uint8Array(64))));
  assert.ok(!verifyDigest(digestOf(Buffer.from("sample")).subarray(1), pair(r, s), key));
});
