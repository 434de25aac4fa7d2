/**
 * The clouds' key services against exchanges of recorded shape (the documented
 * requests and answers, with keys made here that really sign): not against the
 * services themselves.
 */
import { strict as assert } from "node:assert";
import { generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { inspect } from "node:util";
import { utf8 } from "../bytes.ts";
import { sha256Hex } from "../digest.ts";
import { BitforbitError, exitCodeOf } from "../errors.ts";
import { awsAuthorization } from "./aws-signature.ts";
import { type Asked, recordedService, type Reply } from "./recorded-for-tests.ts";
import type { ServiceOptions } from "./bounded-request.ts";
import { serviceSigner } from "./services.ts";
import { derOfIntegers } from "./signature-form.ts";
import { parsePublicKey } from "./verifier.ts";

const MESSAGE = utf8("what is signed");
const SECRET = "very-secret-token";
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed25519 = generateKeyPairSync("ed25519");
const pem = (key: KeyObject): string => key.export({ format: "pem", type: "spki" }).toString();

/** ECDSA over a digest that comes from outside: Node only hashes itself, so the message must be known. */
function signDigest(digest: Buffer, encoding: "der" | "ieee-p1363" = "der"): Buffer {
  assert.equal(digest.toString("hex"), sha256Hex(MESSAGE), "the digest of the message was sent");
  return sign("sha256", MESSAGE, { key: p256.privateKey, dsaEncoding: encoding });
}

const json = (asked: Asked): Record<string, string> => JSON.parse(asked.body) as Record<string, string>;

interface Service {
  /** The URI and the environment for a service at `host`. */
  at(host: string): { uri: string; environment: Record<string, string> };
  answer(asked: Asked): Reply;
}

const SERVICES: Record<string, Service> = {
  "HashiCorp Vault": {
    at: (host) => ({
      uri: "hashivault://release",
      environment: { VAULT_ADDR: `http://${host}/`, VAULT_TOKEN: SECRET, VAULT_NAMESPACE: "team" },
    }),
    answer: (asked) => {
      assert.equal(asked.headers["x-vault-token"], SECRET);
      assert.equal(asked.headers["x-vault-namespace"], "team");
      if (asked.path === "/v1/transit/keys/release") {
        const old = generateKeyPairSync("ec", { namedCurve: "P-256" });
        const keys = { "1": { public_key: pem(old.publicKey) }, "2": { public_key: pem(p256.publicKey) } };
        return { body: { request_id: "a", data: { type: "ecdsa-p256", latest_version: 2, keys } } };
      }
      assert.equal(`${asked.method} ${asked.path}`, "POST /v1/transit/sign/release/sha2-256");
      const { input = "", prehashed, marshaling_algorithm: form, key_version: version } = json(asked);
      assert.deepEqual([prehashed, form, version], [true, "asn1", 2]);
      const signature = signDigest(Buffer.from(input, "base64")).toString("base64");
      return { body: { data: { key_version: 2, signature: `vault:v2:${signature}` } } };
    },
  },
  "OpenBao with Ed25519": {
    at: (host) => ({
      uri: "openbao://release",
      environment: { BAO_ADDR: `http://${host}`, BAO_TOKEN: SECRET, TRANSIT_SECRET_ENGINE_PATH: "keys" },
    }),
    answer: (asked) => {
      if (asked.method === "GET") {
        const raw = ed25519.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
        const keys = { "1": { public_key: raw.toString("base64") } };
        return { body: { data: { type: "ed25519", latest_version: 1, keys } } };
      }
      assert.equal(asked.path, "/v1/keys/sign/release");
      const signature = sign(null, Buffer.from(json(asked)["input"] ?? "", "base64"), ed25519.privateKey);
      return { body: { data: { signature: `vault:v1:${signature.toString("base64")}` } } };
    },
  },
  "AWS KMS": {
    at: (host) => ({
      uri: `awskms://${host}/alias/release`,
      environment: {
        AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY: SECRET,
        AWS_SESSION_TOKEN: "session",
        AWS_REGION: "eu-central-1",
      },
    }),
    answer: (asked) => {
      assert.equal(asked.headers["content-type"], "application/x-amz-json-1.1");
      requireAwsSignature(asked);
      const { KeyId, Message = "", MessageType, SigningAlgorithm } = json(asked);
      assert.equal(KeyId, "alias/release");
      if (asked.headers["x-amz-target"] === "TrentService.GetPublicKey") {
        const key = p256.publicKey.export({ format: "der", type: "spki" }).toString("base64");
        return { body: { KeyId, KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY", PublicKey: key } };
      }
      assert.deepEqual(
        [asked.headers["x-amz-target"], MessageType, SigningAlgorithm],
        ["TrentService.Sign", "DIGEST", "ECDSA_SHA_256"],
      );
      const Signature = signDigest(Buffer.from(Message, "base64")).toString("base64");
      return { body: { KeyId, Signature, SigningAlgorithm } };
    },
  },
  "Google Cloud KMS": {
    at: (host) => ({
      uri: "gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k/versions/3",
      environment: {
        CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `http://${host}/`,
        GOOGLE_APPLICATION_CREDENTIALS: accountFile(host),
      },
    }),
    answer: (asked) => {
      if (asked.path === "/token") {
        const { assertion = "", grant_type: grant } = Object.fromEntries(new URLSearchParams(asked.body));
        assert.equal(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        const [head, claim, signature = ""] = assertion.split(".");
        assert.ok(verify("sha256", utf8(`${head}.${claim}`), account.publicKey, Buffer.from(signature, "base64url")));
        return { body: { access_token: SECRET, expires_in: 3600, token_type: "Bearer" } };
      }
      assert.equal(asked.headers.authorization, `Bearer ${SECRET}`);
      const name = "/v1/projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3";
      if (asked.path === `${name}/publicKey`) {
        return { body: { pem: pem(p256.publicKey), algorithm: "EC_SIGN_P256_SHA256", name: name.slice(4) } };
      }
      assert.equal(asked.path, `${name}:asymmetricSign`);
      const { digest } = JSON.parse(asked.body) as { digest: { sha256: string } };
      return { body: { signature: signDigest(Buffer.from(digest.sha256, "base64")).toString("base64") } };
    },
  },
  "Azure Key Vault": {
    at: (host) => ({
      uri: `azurekms://${host}/release`,
      environment: {
        AZURE_AUTHORITY_HOST: `http://${host}`,
        AZURE_TENANT_ID: "tenant",
        AZURE_CLIENT_ID: "client",
        AZURE_CLIENT_SECRET: SECRET,
      },
    }),
    answer: (asked) => {
      if (asked.path === "/tenant/oauth2/v2.0/token") {
        const form = Object.fromEntries(new URLSearchParams(asked.body));
        assert.deepEqual(
          [form["client_secret"], form["scope"], form["grant_type"]],
          [SECRET, "https://vault.azure.net/.default", "client_credentials"],
        );
        return { body: { token_type: "Bearer", expires_in: 3599, access_token: `access-${SECRET}` } };
      }
      assert.equal(asked.headers.authorization, `Bearer access-${SECRET}`);
      if (asked.path === "/keys/release?api-version=7.4") {
        const { x, y } = p256.publicKey.export({ format: "jwk" });
        return { body: { key: { kid: "k", kty: "EC", key_ops: ["sign"], crv: "P-256", x, y } } };
      }
      assert.equal(asked.path, "/keys/release/sign?api-version=7.4");
      const { alg, value = "" } = json(asked);
      assert.equal(alg, "ES256");
      const signature = signDigest(Buffer.from(value, "base64url"), "ieee-p1363");
      return { body: { kid: "k", value: signature.toString("base64url") } };
    },
  },
};

const account = generateKeyPairSync("rsa", { modulusLength: 2048 });
const folder = mkdtempSync(join(tmpdir(), "services-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));

function accountFile(host: string): string {
  const path = join(folder, "account.json");
  const key = account.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const fields = { type: "service_account", client_email: "x@p.example", private_key: key };
  writeFileSync(path, JSON.stringify({ ...fields, token_uri: `http://${host}/token` }), { mode: 0o600 });
  return path;
}

/** Computed once more, from what arrived. */
function requireAwsSignature({ method, headers, body }: Asked): void {
  const { authorization = "", host = "", "x-amz-date": date } = headers;
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(";") ?? [];
  assert.deepEqual(names, ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"]);
  const time = String(date).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const again = awsAuthorization(
    {
      method,
      url: new URL(`http://${host}/`),
      headers: {
        "content-type": String(headers["content-type"]),
        "x-amz-target": String(headers["x-amz-target"]),
      },
      body: utf8(body),
    },
    { accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET, sessionToken: "session" },
    "eu-central-1",
    "kms",
    Date.parse(time),
  );
  assert.equal(authorization, again["authorization"]);
}

async function failure(work: Promise<unknown>): Promise<BitforbitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, inspect(error));
    assert.ok(!inspect(error, { depth: 9 }).includes(SECRET), "no secret in an error");
    return error;
  }
  return assert.fail("nothing was thrown");
}

/** The service at work, with what `interfere` answers in its place. */
async function started(
  t: TestContext,
  service: Service,
  interfere: (asked: Asked, count: number) => Reply | "as usual" | undefined = () => "as usual",
) {
  const { host, asked } = await recordedService(t, (one, count) => {
    const reply = interfere(one, count);
    return reply === "as usual" ? service.answer(one) : reply;
  });
  const { uri, environment } = service.at(host);
  const pauses: number[] = [];
  const options: ServiceOptions = { environment, pause: async (time) => void pauses.push(time) };
  return { uri, options, asked, pauses };
}

const isSign = ({ method, path, headers }: Asked): boolean =>
  method === "POST" && /[/:](?:sign|asymmetricSign)\b|Sign$/.test(`${path} ${String(headers["x-amz-target"])}`);

for (const [name, service] of Object.entries(SERVICES)) {
  test(`${name}: signs, and the signature verifies`, async (t) => {
    const { uri, options, asked } = await started(t, service);
    const signer = await serviceSigner(uri, options);
    const signature = await signer.sign(MESSAGE);
    assert.ok(parsePublicKey(signer.publicKeyPem).verify(MESSAGE, signature));
    const before = asked.length;
    await signer.sign(MESSAGE);
    assert.equal(asked.length, before + 1, "a token and a public key are asked for once");
  });

  test(`${name}: busy is tried again, with pauses that it asks for`, async (t) => {
    let busy = 3;
    const { uri, options, pauses } = await started(t, service, (asked) => {
      if (!isSign(asked) || busy-- <= 0) return "as usual";
      return { status: busy === 1 ? 429 : 503, body: {}, headers: busy === 1 ? { "retry-after": "3" } : {} };
    });
    await (await serviceSigner(uri, options)).sign(MESSAGE);
    assert.equal(pauses.length, 3);
    assert.ok(pauses.includes(3000), String(pauses));
  });

  test(`${name}: down for good is exit 4 after few attempts; a refusal is not tried again`, async (t) => {
    let reply: Reply = { status: 500, body: { errors: ["sealed"], error: { message: "sealed" }, message: "sealed" } };
    const { uri, options, asked } = await started(t, service, (one) => (isSign(one) ? reply : "as usual"));
    const signer = await serviceSigner(uri, options);
    const down = await failure(signer.sign(MESSAGE));
    assert.equal(exitCodeOf(down), 4);
    assert.match(down.message, /answered 500: sealed.* after 4 attempts/);
    assert.match(down.hint ?? "", /nothing was signed/);
    const before = asked.length;
    reply = { status: 403, body: { errors: [`no ${SECRET}`], error: { code: "Forbidden", message: `no ${SECRET}` } } };
    const refused = await failure(signer.sign(MESSAGE));
    assert.equal(exitCodeOf(refused), 4);
    assert.match(refused.message, /answered 403/);
    assert.equal(asked.length, before + 1, "asked once");
  });

  test(`${name}: no answer, half an answer, a wrong signature`, async (t) => {
    let reply: Reply | undefined;
    const { uri, options } = await started(t, service, (one) => (isSign(one) ? reply : "as usual"));
    const patient = { ...options, timeoutMilliseconds: 30_000 };
    const signer = await serviceSigner(uri, patient);
    reply = { body: '{"data":{"signature"' };
    assert.match((await failure(signer.sign(MESSAGE))).message, /no JSON object/);
    reply = { body: {} };
    assert.match((await failure(signer.sign(MESSAGE))).message, /the answer has no/);
    reply = { body: "x".repeat(2 << 20) };
    assert.match((await failure(signer.sign(MESSAGE))).message, /more than 1048576 bytes/);
    reply = { status: 302, body: "", headers: { location: "http://127.0.0.1:1/" } };
    assert.match((await failure(signer.sign(MESSAGE))).message, /cannot be reached/);
    const other = sign("sha256", utf8("something else"), { key: p256.privateKey, dsaEncoding: "ieee-p1363" });
    const der = derOfIntegers(other.subarray(0, 32), other.subarray(32));
    const b64 = Buffer.from(der).toString("base64");
    const wrong = { data: { signature: `vault:v2:${b64}` }, Signature: b64, signature: b64 };
    reply = { body: { ...wrong, value: other.toString("base64url") } };
    const error = await failure(signer.sign(MESSAGE));
    assert.match(error.message, /a signature that its public key does not verify/);
    assert.equal(exitCodeOf(error), 4);
    reply = undefined;
    patient.timeoutMilliseconds = 100;
    const silent = await failure(signer.sign(MESSAGE));
    assert.match(silent.message, /no answer in time/);
  });

  test(`${name}: credentials that are missing are named, and none goes out in the clear`, async (t) => {
    const { uri, options } = await started(t, service);
    const environment = options.environment ?? {};
    for (const missing of Object.keys(environment).filter((one) => /TOKEN$|SECRET|TENANT|ADDR$/.test(one))) {
      if (/^(?:AWS_SESSION_TOKEN|TRANSIT_.*)$/.test(missing) || missing === "GOOGLE_APPLICATION_CREDENTIALS") continue;
      const rest = Object.fromEntries(Object.entries(environment).filter(([one]) => one !== missing));
      const error = await failure(serviceSigner(uri, { ...options, environment: rest }));
      assert.equal(error.code, "lacking");
      assert.match(error.message, /_(?:TOKEN|SECRET|SECRET_ACCESS_KEY|TENANT_ID|ADDR) is not set/);
    }
    const clear = Object.fromEntries(
      Object.entries(environment).map(([one, value]) => [
        one,
        (value ?? "").replace(/^http:\/\/127.0.0.1:\d+/, "http://192.0.2.1"),
      ]),
    );
    if (JSON.stringify(clear) === JSON.stringify(environment)) return;
    const error = await failure(serviceSigner(uri, { ...options, environment: clear }));
    assert.match(`${error.code} ${error.message}`, /refused .*in the clear/);
  });
}

test("a service that nobody runs is exit 4", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const environment = { VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: SECRET };
  const error = await failure(serviceSigner("hashivault://x", { environment, pause: async () => {} }));
  assert.equal(exitCodeOf(error), 4);
  assert.match(error.message, /cannot be reached \(ECONNREFUSED\) after 4 attempts/);
});

test("AWS throttles with status 400", async (t) => {
  const service = SERVICES["AWS KMS"] ?? assert.fail();
  let busy = 2;
  const { uri, options, pauses } = await started(t, service, (asked) =>
    isSign(asked) && busy-- > 0 ? { status: 400, body: { __type: "ThrottlingException" } } : "as usual",
  );
  await (await serviceSigner(uri, options)).sign(MESSAGE);
  assert.equal(pauses.length, 2);
});

test("Vault that rotated the key by itself: the old version signs while it is there", async (t) => {
  const service = SERVICES["HashiCorp Vault"] ?? assert.fail();
  const { uri, options } = await started(t, service);
  const signer = await serviceSigner(uri, options);
  const gone = await started(t, service, (asked) => {
    if (asked.method !== "GET") return "as usual";
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return { body: { data: { type: "ecdsa-p256", latest_version: 3, keys: { "3": { public_key: pem(publicKey) } } } } };
  });
  const { openService } = await import("./services.ts");
  const service2 = await openService(gone.uri, gone.options);
  const error = await failure(service2.sign(MESSAGE, parsePublicKey(signer.publicKeyPem)));
  assert.match(`${error.message} ${error.hint}`, /no version with the key .*rotate --kms/);
});

test("URIs that are malformed or of no known kind", async () => {
  for (const [uri, code] of [
    ["hashivault://", "input"],
    ["hashivault://../sys/seal", "input"],
    ["hashivault://a/b", "input"],
    ["awskms://alias/x?y", "input"],
    ["gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "input"],
    ["gcpkms://projects/../locations/l/keyRings/r/cryptoKeys/k/versions/x", "input"],
    ["azurekms://vault", "input"],
    ["azurekms://user@vault/key", "input"],
    ["pkcs11:object=x;pin-value=1234?module-path=/x.so", "input"],
    ["pkcs11:token=x?module-path=/x.so", "input"],
    ["pkcs11:object=x?module-path=x.so", "input"],
    ["pkcs11:object=%zz?module-path=/x.so", "input"],
    ["pkcs11:object=a;object=b?module-path=/x.so", "input"],
    ["pkcs11:object=a;type=cert?module-path=/x.so", "input"],
    ["ssh-agent:", "input"],
    ["k8s://x/y", "usage"],
  ]) {
    const error = await failure(serviceSigner(uri ?? "", { environment: {}, cache: folder }));
    assert.equal(error.code, code, `${uri}: ${error.message}`);
    assert.doesNotMatch(inspect(error), /1234/);
  }
});

test("AWS Signature Version 4: AWS's own test vector (get-vanilla)", () => {
  const request = { method: "GET", url: new URL("https://example.amazonaws.com/"), headers: {}, body: utf8("") };
  const credentials = {
    accessKeyId: "AKIDEXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  };
  const headers = awsAuthorization(request, credentials, "us-east-1", "service", Date.UTC(2015, 7, 30, 12, 36));
  assert.match(
    headers["authorization"] ?? "",
    /SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31$/,
  );
});

test("DER of any r and s is what OpenSSL reads", () => {
  for (let at = 0; at < 64; at++) {
    const raw = sign("sha256", MESSAGE, { key: p256.privateKey, dsaEncoding: "ieee-p1363" });
    const der = derOfIntegers(raw.subarray(0, 32), raw.subarray(32));
    assert.ok(verify("sha256", MESSAGE, { key: p256.publicKey, dsaEncoding: "der" }, der));
  }
  assert.deepEqual([...derOfIntegers(new Uint8Array(32), Uint8Array.of(0, 0x80))], [0x30, 7, 2, 1, 0, 2, 2, 0, 0x80]);
});
