import { strict as assert } from "node:assert";
import { generateKeyPairSync, sign } from "node:crypto";
import test from "node:test";
import { base64, concat, fromBase64 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { verifyDigest } from "./ecdsa.ts";

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function integer(value: bigint): Uint8Array {
  let digits = value.toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  const bytes = Buffer.from((Number.parseInt(digits.slice(0, 2), 16) >= 0x80 ? "00" : "") + digits, "hex");
  return concat([Uint8Array.of(2, bytes.length), bytes]);
}

function encoded(r: bigint, s: bigint): Uint8Array {
  const body = concat([integer(r), integer(s)]);
  return concat([Uint8Array.of(0x30, body.length), body]);
}

test("agrees with OpenSSL on signatures, keys and digests, good and changed", () => {
  for (let round = 0; round < 12; round++) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const point = new Uint8Array(publicKey.export({ format: "der", type: "spki" })).subarray(-65);
    const message = Uint8Array.of(round, 1, 2);
    const signature = new Uint8Array(sign("sha256", message, { key: privateKey, dsaEncoding: "der" }));
    const digest = sha256(message);
    assert.equal(verifyDigest(digest, signature, point), true);
    assert.equal(verifyDigest(sha256(Uint8Array.of(round)), signature, point), false);
    for (const at of [4, 10, signature.length - 1]) {
      const changed = Uint8Array.from(signature);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.equal(verifyDigest(digest, changed, point), false);
    }
    const moved = Uint8Array.from(point);
    moved[40] = (moved[40] ?? 0) ^ 1; // no longer on the curve
    assert.equal(verifyDigest(digest, signature, moved), false);
  }
});

test("the published signature of RFC 6979", () => {
  // RFC 6979, A.2.5: P-256 with SHA-256, the message "sample".
  const key = concat([
    Uint8Array.of(4),
    Buffer.from("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6", "hex"),
    Buffer.from("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "hex"),
  ]);
  const r = 0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716n;
  const s = 0xf7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8n;
  const digest = sha256("sample");
  assert.equal(verifyDigest(digest, encoded(r, s), key), true);
  assert.equal(verifyDigest(digest, encoded(r, ORDER - s), key), true, "n − s is good too: signatures are malleable");
  assert.equal(verifyDigest(sha256("other"), encoded(r, s), key), false);
});

test("what is no signature, digest or key is refused", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const point = new Uint8Array(publicKey.export({ format: "der", type: "spki" })).subarray(-65);
  const digest = sha256("x");
  const good = new Uint8Array(sign("sha256", Buffer.from("x"), { key: privateKey, dsaEncoding: "der" }));
  assert.equal(verifyDigest(digest, good, point), true);
  for (const bad of [
    new Uint8Array(),
    good.subarray(0, -1),
    concat([good, Uint8Array.of(0)]),
    encoded(0n, 1n),
    encoded(1n, 0n),
    encoded(ORDER, 1n),
    encoded(1n, ORDER),
    fromBase64(base64(good)).fill(0x30),
  ]) {
    assert.equal(verifyDigest(digest, bad, point), false);
  }
  assert.equal(verifyDigest(digest.subarray(1), good, point), false);
  assert.equal(verifyDigest(digest, good, point.subarray(1)), false);
  assert.equal(verifyDigest(digest, good, Uint8Array.of(4, ...new Uint8Array(64))), false);
});
