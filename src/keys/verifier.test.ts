import { strict as assert } from "node:assert";
import { generateKeyPairSync, sign } from "node:crypto";
import test from "node:test";
import { parsePublicKey } from "./verifier.ts";

const pairs = {
  "ecdsa-p256": { ...generateKeyPairSync("ec", { namedCurve: "P-256" }), hash: "sha256" },
  ed25519: { ...generateKeyPairSync("ed25519"), hash: null },
} as const;

for (const [algorithm, { publicKey, privateKey, hash }] of Object.entries(pairs)) {
  test(`${algorithm}: another thread says of a signature what this one does`, async () => {
    const key = parsePublicKey(publicKey.export({ format: "pem", type: "spki" }).toString());
    assert.equal(key.algorithm, algorithm);
    const bytes = new TextEncoder().encode("signed");
    const good = new Uint8Array(sign(hash, bytes, privateKey));
    const bad = Uint8Array.from(good, (byte, at) => (at === good.length - 1 ? byte ^ 1 : byte));
    // The form of ECDSA signatures that is not DER: r and s, one behind the other.
    const plain = new Uint8Array(sign(hash, bytes, { key: privateKey, dsaEncoding: "ieee-p1363" }));
    const signatures: [signature: Uint8Array, is: boolean][] = [
      [good, true],
      [bad, false],
      [good.subarray(1), false],
      [new Uint8Array(), false],
      [new Uint8Array(64), false],
      [Uint8Array.of(...good, 0), false],
      [plain, algorithm === "ed25519"],
    ];
    for (const [signature, is] of signatures) {
      assert.equal(key.verify(bytes, signature), is);
      assert.equal(await key.verifyAside(bytes, signature), is);
    }
    assert.equal(await key.verifyAside(bytes.subarray(1), good), false);
  });
}
