import { strict as assert } from "node:assert";
import { createPrivateKey, generateKeyPairSync, sign, verify } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import test from "node:test";
import * as fc from "fast-check";
import { fromHex, utf8 } from "../bytes.ts";
import { systemEntropy } from "../entropy.ts";
import { BitforbitError } from "../errors.ts";
import { spkiPem } from "../format/spki.ts";
import { privateKeyPem } from "./encrypted.ts";
import { exportPublic, openKeys, publicKeys } from "./keys.ts";
import { signerOf } from "./signer.ts";
import { parsePublicKey } from "./verifier.ts";

const folder = mkdtempSync(join(tmpdir(), "keys-test-"));
test.after(() => rmSync(folder, { recursive: true }));
let homes = 0;
const newHome = (): string => join(folder, `home-${++homes}`);
const mode = (path: string): number => statSync(path).mode & 0o777;

/** The error's every word, as a log would print it. */
async function failure(work: Promise<unknown>): Promise<BitforbitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, inspect(error));
    assert.doesNotMatch(inspect(error, { depth: 9 }), /PRIVATE KEY-----|correct horse/);
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("keys are made at first use, kept after, and closed to others", async () => {
  const home = newHome();
  const first = await openKeys(home);
  const second = await openKeys(home);
  assert.equal(second.artifact.keyId, first.artifact.keyId);
  assert.equal(second.checkpoint.keyId, first.checkpoint.keyId);
  assert.equal(mode(join(home, "keys")), 0o700);
  assert.equal(mode(join(home, "keys/artifact.key")), 0o600);
  assert.equal(mode(join(home, "keys/checkpoint.key")), 0o600);
  const bytes = utf8("what is signed");
  for (const role of ["artifact", "checkpoint"] as const) {
    const { [role]: key } = await publicKeys(home);
    const signature = await second[role].sign(bytes);
    assert.ok(key.verify(bytes, signature));
    assert.ok(!key.verify(utf8("something else"), signature));
    assert.equal(await exportPublic(home, role), second[role].publicKeyPem);
  }
});

test("a passphrase encrypts with scrypt, and OpenSSL's own reader opens it", async () => {
  const home = newHome();
  const passphrase = "correct horse é";
  const { artifact } = await openKeys(home, { passphrase });
  const pem = readFileSync(join(home, "keys/artifact.key"), "utf8");
  assert.match(pem, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64").toString("hex");
  assert.ok(der.includes("06092b06010401da47040b"), "the scrypt identifier 1.3.6.1.4.1.11591.4.11 is in the file");
  const key = createPrivateKey({ key: pem, passphrase });
  assert.equal(key.asymmetricKeyDetails?.namedCurve, "prime256v1");
  assert.equal((await openKeys(home, { passphrase })).artifact.keyId, artifact.keyId);
  assert.equal((await publicKeys(home)).artifact.keyId, artifact.keyId);

  const wrong = await failure(openKeys(home, { passphrase: "correct horse" }));
  assert.equal(wrong.code, "input");
  assert.match(wrong.message, /wrong passphrase for the key file .*artifact\.key/);
  assert.match(wrong.hint ?? "", /BITFORBIT_PASSPHRASE/);
  assert.match((await failure(openKeys(home))).message, /artifact\.key is encrypted and no passphrase was given/);
});

test("a passphrase for a plain key, and an empty one, are refused", async () => {
  const home = newHome();
  await openKeys(home);
  assert.match((await failure(openKeys(home, { passphrase: "correct horse" }))).message, /is not encrypted/);
  assert.match((await failure(openKeys(newHome(), { passphrase: "" }))).message, /empty/);
});

test("keys that others may read, or that are links, are refused", async () => {
  const home = newHome();
  await openKeys(home);
  const path = join(home, "keys/artifact.key");
  for (const loose of [0o640, 0o604, 0o620, 0o666]) {
    chmodSync(path, loose);
    const error = await failure(openKeys(home));
    assert.equal(error.code, "refused");
    assert.match(error.message, new RegExp(`artifact\\.key has mode 0${loose.toString(8)}`));
    assert.match(error.hint ?? "", /chmod 600/);
  }
  chmodSync(path, 0o600);
  chmodSync(join(home, "keys"), 0o755);
  assert.match((await failure(openKeys(home))).message, /keys folder .* has mode 0755/);
  chmodSync(join(home, "keys"), 0o700);
  copyFileSync(path, join(home, "elsewhere"));
  rmSync(path);
  symlinkSync(join(home, "elsewhere"), path);
  assert.match((await failure(openKeys(home))).message, /not a regular file/);
});

test("damaged, exchanged and lost key files are named", async () => {
  const home = newHome();
  await openKeys(home);
  const path = join(home, "keys/artifact.key");
  const pem = readFileSync(path, "utf8");
  writeFileSync(path, pem.slice(0, 90));
  assert.match((await failure(openKeys(home))).message, /cannot parse the key file .*artifact\.key/);
  writeFileSync(path, "hello");
  assert.match((await failure(openKeys(home))).message, /not a PKCS#8 private key/);
  writeFileSync(path, readFileSync(join(home, "keys/checkpoint.key")));
  assert.match((await failure(openKeys(home))).message, /is ed25519, not ecdsa-p256/);
  writeFileSync(
    path,
    privateKeyPem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, undefined, systemEntropy),
  );
  assert.match((await failure(openKeys(home))).message, /artifact\.pub is not the public key of/);
  rmSync(path);
  const lost = await failure(openKeys(home));
  assert.equal(lost.code, "refused");
  assert.match(lost.message, /its private key .*artifact\.key is not/);
  assert.match((await failure(publicKeys(newHome()))).message, /there are no keys in/);
});

test("several first uses at once agree on one key", async () => {
  const home = newHome();
  const opened = await Promise.all(Array.from({ length: 4 }, () => openKeys(home)));
  assert.equal(new Set(opened.map(({ artifact }) => artifact.keyId)).size, 1);
  assert.equal(new Set(opened.map(({ checkpoint }) => checkpoint.keyId)).size, 1);
});

test("public keys of other kinds and forms are refused", () => {
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
  assert.equal(parsePublicKey(pem(p256.publicKey)).algorithm, "ecdsa-p256");
  assert.equal(parsePublicKey(pem(p256.publicKey)).pem, pem(p256.publicKey));
  const cases: [string, RegExp][] = [
    [pem(generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey), /neither a P-256 key/],
    [pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey), /neither a P-256 key/],
    [p256.privateKey.export({ format: "pem", type: "pkcs8" }).toString(), /not one PEM block/],
    [pem(p256.publicKey).repeat(2), /not one PEM block/],
    ["", /not one PEM block/],
    [spkiPem(fromHex(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${"11".repeat(64)}`)), /not a point/],
    [pem(p256.publicKey).replace(/M/, "N"), /neither a P-256 key/],
  ];
  for (const [text, message] of cases) assert.throws(() => parsePublicKey(text), { code: "input", message });
});

test("verifying never throws, and takes DER only", async () => {
  const home = newHome();
  const { artifact } = await openKeys(home);
  const { artifact: key, checkpoint } = await publicKeys(home);
  const bytes = utf8("x");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (junk) => {
      assert.equal(key.verify(bytes, junk), false);
      assert.equal(checkpoint.verify(bytes, junk), false);
    }),
  );
  const der = await artifact.sign(bytes);
  assert.equal(key.verify(bytes, Uint8Array.from([...der, 0])), false, "trailing bytes");
  const ieee = signIeee(createPrivateKey(readFileSync(join(home, "keys/artifact.key"), "utf8")), bytes);
  assert.ok(verify("sha256", bytes, { key: key.pem, dsaEncoding: "ieee-p1363" }, ieee));
  assert.equal(key.verify(bytes, ieee), false);
});

function pem(key: { export(options: { format: "pem"; type: "spki" }): string | Buffer }): string {
  return key.export({ format: "pem", type: "spki" }).toString();
}

function signIeee(key: ReturnType<typeof createPrivateKey>, bytes: Uint8Array): Uint8Array {
  return sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });
}

test("ML-DSA-44: signs and verifies, and nothing of another length passes", async () => {
  const signer = signerOf(generateKeyPairSync("ml-dsa-44").privateKey, "a test's key");
  const key = parsePublicKey(signer.publicKeyPem);
  assert.equal(key.algorithm, "ml-dsa-44");
  const signature = await signer.sign(utf8("x"));
  assert.equal(signature.length, 2420);
  assert.ok(key.verify(utf8("x"), signature));
  assert.ok(!key.verify(utf8("y"), signature));
  assert.ok(!key.verify(utf8("x"), signature.subarray(1)));
});
