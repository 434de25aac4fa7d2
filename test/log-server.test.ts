/** The log that others write to: what a client gets, what an attacker gets, and the real cosign. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { fromBase64 } from "../src/bytes.ts";
import { openCheckpoint } from "../src/log/checkpoint.ts";
import { verifyInclusion } from "../src/log/proof.ts";
import { readLog } from "../src/log/reader.ts";
import { LogAddress } from "../src/log/address.ts";
import { leafHash } from "../src/log/tile.ts";
import { type Log, openLog } from "../src/log/writer.ts";
import { createLogServer, type LogServerOptions } from "../src/server/log-server.ts";
import { bitforbit } from "./command.ts";
import { cosign } from "./cosign.ts";
import { scratch, signerOf } from "./logs.ts";

const signer = signerOf("served");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = p256.publicKey.export({ format: "der", type: "spki" });

interface Entry {
  logIndex: string;
  logId: { keyId: string };
  inclusionProof: { treeSize: string; rootHash: string; hashes: string[]; checkpoint: { envelope: string } };
  canonicalizedBody: string;
}

async function served(t: TestContext, options: Partial<LogServerOptions> = {}): Promise<{ log: Log; url: string }> {
  const log = await openLog(join(scratch(t), "log"), signer, { origin: "log.example" });
  const report = (error: unknown): void => t.diagnostic(String(error));
  const server = await createLogServer(log, {
    host: "127.0.0.1",
    port: 0,
    ratePerSecond: 100_000,
    maxUnderWay: 1000,
    report,
    ...options,
  });
  t.after(() => server.close());
  return { log, url: server.url };
}

function requestFor(message: string): {
  hashedRekordRequestV002: { digest: string; signature: { content: string; verifier: Record<string, unknown> } };
} {
  return {
    hashedRekordRequestV002: {
      digest: createHash("sha256").update(message).digest("base64"),
      signature: {
        content: sign("sha256", Buffer.from(message), p256.privateKey).toString("base64"),
        verifier: { publicKey: { rawBytes: spki.toString("base64") }, keyDetails: "PKIX_ECDSA_P256_SHA_256" },
      },
    },
  };
}

const post = async (url: string, body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
  await fetch(`${url}/api/v2/log/entries`, { method: "POST", body });

test("entries by many clients at once: each gets a proof that anyone can check, and the tiles are there", async (t) => {
  const { log, url } = await served(t);
  const requests = Array.from({ length: 300 }, (_, at) => JSON.stringify(requestFor(`message ${at}`)));
  const answers = await Promise.all(requests.map(async (request) => await post(url, request)));
  const indexes = new Set<string>();
  for (const answer of answers) {
    assert.equal(answer.status, 201);
    const entry = (await answer.json()) as Entry;
    const { size, root } = openCheckpoint(entry.inclusionProof.checkpoint.envelope, log.verifier);
    assert.equal(entry.inclusionProof.treeSize, String(size));
    const hashes = entry.inclusionProof.hashes.map(fromBase64);
    assert.ok(
      verifyInclusion(Number(entry.logIndex), size, leafHash(fromBase64(entry.canonicalizedBody)), hashes, root),
    );
    assert.equal(entry.logId.keyId, Buffer.from(log.identity.keyHash).toString("base64"));
    indexes.add(entry.logIndex);
  }
  assert.equal(indexes.size, 300);
  const again = (await (await post(url, requests[7] ?? "")).json()) as Entry;
  assert.ok(indexes.has(again.logIndex), "who asks again gets the same entry");
  for (const prefix of ["", "/api/v2"]) {
    const reader = await readLog(new LogAddress(url + prefix), signer.publicKeyPem);
    assert.equal((await reader.checkpoint()).size, 300);
    await reader.prove(299);
  }
  for (const path of [
    "/tile/0/1",
    "/tile/0/000.p/256",
    "/tile/0/000.p/0",
    "/tile/00/000",
    "/tile/0/x000/000",
    "/tile/entries/..%2f..%2fcheckpoint",
    "/.lock",
    "/tile/0/999",
    "/",
  ]) {
    assert.equal((await fetch(url + path)).status, 404, path);
  }
  assert.equal((await fetch(`${url}/checkpoint`, { method: "DELETE" })).status, 405);
  assert.equal((await fetch(`${url}/api/v2/log/entries`)).status, 405);
});

const changed = (change: (request: ReturnType<typeof requestFor>["hashedRekordRequestV002"]) => void): string => {
  const request = requestFor("message");
  change(request.hashedRekordRequestV002);
  return JSON.stringify(request);
};

const keyed = (verifier: Record<string, unknown>): string =>
  changed((request) => (request.signature.verifier = verifier));

const other = (curve: string): string =>
  generateKeyPairSync("ec", { namedCurve: curve }).publicKey.export({ format: "der", type: "spki" }).toString("base64");

test("what is wrong with a request is said with 400, and nothing is logged", async (t) => {
  const { log, url } = await served(t);
  const keyDetails = "PKIX_ECDSA_P256_SHA_256";
  const cases: [string, string | Uint8Array<ArrayBuffer>, RegExp][] = [
    ["not JSON", "{", /cannot parse/],
    ["nothing", "", /cannot parse/],
    ["not UTF-8", Uint8Array.of(0x7b, 0xff), /not UTF-8/],
    ["a list", "[]", /not an object/],
    ["deep", "[".repeat(1000) + "]".repeat(1000), /nested deeper/],
    ["another kind", "{}", /not one hashedRekordRequestV002/],
    ["two requests", `{"hashedRekordRequestV002":{},"x":{}}`, /not one hashedRekordRequestV002/],
    ["dsse", `{"dsseRequestV002":{}}`, /dsse entries are not taken/],
    ["duplicate keys", `{"hashedRekordRequestV002":{"digest":"","digest":""}}`, /duplicate key/],
    ["an unknown field", changed((request) => Object.assign(request, { more: 1 })), /unknown field "more"/],
    ["no digest", changed((request) => (request.digest = "")), /has 0 bytes/],
    [
      "another digest",
      changed((request) => (request.digest = Buffer.alloc(32).toString("base64"))),
      /signature is not by this key/,
    ],
    ["a long digest", changed((request) => (request.digest = Buffer.alloc(64).toString("base64"))), /has 64 bytes/],
    ["stray base64", changed((request) => (request.digest = `${request.digest} `)), /canonical base64/],
    [
      "a changed signature",
      changed((request) => (request.signature.content = Buffer.alloc(70, 1).toString("base64"))),
      /signature is not by this key/,
    ],
    ["no key", keyed({ keyDetails }), /not one of publicKey/],
    ["two keys", keyed({ keyDetails, publicKey: {}, x509Certificate: {} }), /not one of publicKey/],
    ["another key", keyed({ keyDetails, publicKey: { rawBytes: other("P-256") } }), /signature is not by this key/],
    [
      "P-384",
      keyed({ keyDetails: "PKIX_ECDSA_P384_SHA_384", publicKey: { rawBytes: other("P-384") } }),
      /keyDetails is "PKIX_ECDSA_P384/,
    ],
    ["P-384 that says P-256", keyed({ keyDetails, publicKey: { rawBytes: other("P-384") } }), /neither a P-256 key/],
    ["secp256k1", keyed({ keyDetails, publicKey: { rawBytes: other("secp256k1") } }), /neither a P-256 key/],
    [
      "a certificate that is none",
      keyed({ keyDetails, x509Certificate: { rawBytes: spki.toString("base64") } }),
      /not one certificate/,
    ],
  ];
  for (const [what, body, message] of cases) {
    const answer = await post(url, body);
    assert.equal(answer.status, 400, what);
    assert.match(((await answer.json()) as { message: string }).message, message, what);
  }
  assert.equal((await post(url, "x".repeat(70_000))).status, 413);
  assert.equal((await log.checkpoint()).size, 0);
});

test("overload is 503, a flood from one address 429, a log that cannot write 503 and later good again", async (t) => {
  const { log, url } = await served(t, { maxUnderWay: 1, ratePerSecond: 2 });
  let release: (() => void) | undefined;
  const { appendAll } = log;
  const writing = new Promise<void>((began) => {
    log.appendAll = async (leaves) => {
      began();
      await new Promise<void>((done) => (release = done));
      return await appendAll(leaves);
    };
  });
  const first = post(url, JSON.stringify(requestFor("one")));
  await writing;
  assert.equal((await fetch(`${url}/checkpoint`)).status, 503);
  release?.();
  assert.equal((await first).status, 201);
  log.appendAll = async () => {
    throw new Error("the disk is away");
  };
  const failed = await post(url, JSON.stringify(requestFor("two")));
  assert.equal(failed.status, 503);
  assert.doesNotMatch(await failed.text(), /disk is away/, "what failed inside is not told");
  log.appendAll = appendAll;
  assert.equal((await post(url, JSON.stringify(requestFor("two")))).status, 201);
  const statuses: number[] = [];
  for (let at = 0; at < 8; at++) statuses.push((await post(url, "{}")).status);
  assert.ok(statuses.includes(429), statuses.join(" "));
});

test(
  "cosign signs a blob into 'log serve' and verifies it; not with another log's key",
  { timeout: 240_000 },
  async (t) => {
    const tool = cosign();
    if ("skip" in tool) return t.skip(tool.skip);
    const folder = scratch(t);
    const home = join(folder, "home");
    mkdirSync(home);
    const main = resolve("src/cli/main.ts");
    const server = spawn(
      process.execPath,
      [main, "log", "serve", "--home", home, "--port", "0", "--origin", "log.example", "--json"],
      {
        cwd: folder,
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const ended = new Promise((done) => server.on("close", done));
    t.after(() => server.kill("SIGKILL"));
    let told = "";
    await new Promise<void>((ready) => {
      server.stdout.on("data", (chunk: Buffer) => {
        told += chunk.toString();
        if (told.endsWith("}\n")) ready();
      });
    });
    const { url, origin } = JSON.parse(told) as { url: string; origin: string };
    assert.equal(origin, "log.example");
    const service = { url, majorApiVersion: 2, validFor: { start: "2024-01-01T00:00:00Z" }, operator: "test" };
    writeFileSync(
      join(folder, "signing.json"),
      JSON.stringify({
        mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        rekorTlogUrls: [service],
        rekorTlogConfig: { selector: "ANY" },
        caUrls: [],
        oidcUrls: [],
        tsaUrls: [],
        tsaConfig: { selector: "ANY" },
      }),
    );
    const root = await bitforbit(folder, ["keys", "trusted-root", "--home", home, "-o", "root.json"]);
    assert.equal(root.code, 0, root.stderr);
    writeFileSync(join(folder, "blob"), "a blob\n");
    const run = (...args: string[]): { status: number | null; stderr: string } =>
      spawnSync(tool.path, args, {
        cwd: folder,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], HOME: folder, COSIGN_PASSWORD: "" },
        timeout: 60_000,
      });
    assert.equal(run("generate-key-pair").status, 0);
    const signed = run(
      "sign-blob",
      "--key",
      "cosign.key",
      "--signing-config",
      "signing.json",
      "--trusted-root",
      "root.json",
      "--bundle",
      "blob.json",
      "--yes",
      "blob",
    );
    assert.equal(signed.status, 0, signed.stderr);
    const verify = (rootFile: string): ReturnType<typeof run> =>
      run("verify-blob", "--key", "cosign.pub", "--bundle", "blob.json", "--trusted-root", rootFile, "blob");
    const good = verify("root.json");
    assert.equal(good.status, 0, good.stderr);
    const bundle = JSON.parse(readFileSync(join(folder, "blob.json"), "utf8")) as {
      verificationMaterial: { tlogEntries: Entry[] };
    };
    assert.equal(bundle.verificationMaterial.tlogEntries.length, 1, "cosign took our proof into its bundle");
    writeFileSync(
      join(folder, "other.json"),
      readFileSync(join(folder, "root.json"), "utf8").replaceAll("log.example", "other.example"),
    );
    assert.notEqual(verify("other.json").status, 0);
    server.kill("SIGTERM");
    assert.equal(await ended, 0);
    const shown = await bitforbit(folder, ["log", "fsck", "--home", home, "--json"]);
    assert.equal((JSON.parse(shown.stdout) as { size: number }).size, 1);
  },
);
