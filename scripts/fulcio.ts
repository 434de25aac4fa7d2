/**
 * Keyless signing against real servers: Sigstore's own Fulcio and timestamp
 * authority, with keys of their own that live as long as they run, an OpenID
 * issuer that this script is, and our log. Signs by the command line, verifies
 * by it, by @sigstore/verify, and by the real cosign where it can be had.
 * CI does not run it, since its machines need not have Go:
 *
 *     go install github.com/sigstore/fulcio@v1.8.8
 *     go install github.com/sigstore/timestamp-authority/cmd/timestamp-server@latest
 *     node scripts/fulcio.ts --bin "$(go env GOPATH)/bin"
 *
 * Nothing but loopback is contacted. The exit code is 1 where something is not as it must be.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { cosign } from "../test/cosign.ts";
import { sigstoreJs } from "../test/sigstore-oracle.ts";

const { values } = parseArgs({ options: { bin: { type: "string" } } });
if (values.bin === undefined) throw new Error("--bin: the folder of fulcio and timestamp-server");
const bin = values.bin;
const folder = mkdtempSync(join(tmpdir(), "bitforbit-fulcio-"));
const at = (name: string): string => join(folder, name);
const main = resolve(import.meta.dirname, "../src/cli/main.ts");
const children: ChildProcess[] = [];

const WORKFLOW = "example/tool/.github/workflows/release.yml@refs/heads/main";
const IDENTITY = `https://github.com/${WORKFLOW}`;

/** A port that is free at this moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** An OpenID issuer: discovery, keys, and tokens as GitHub's say who a job is. */
async function openIssuer(): Promise<{ url: string; token: string; close: () => void }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const server = createServer((request, response) => {
    const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }];
    const discovery = {
      issuer: url,
      jwks_uri: `${url}/keys`,
      authorization_endpoint: `${url}/none`,
      token_endpoint: `${url}/none`,
      response_types_supported: ["id_token"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"],
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/keys" ? { keys } : discovery));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: url,
    aud: "sigstore",
    iat: now,
    nbf: now - 5,
    exp: now + 600,
    sub: "repo:example/tool:ref:refs/heads/main",
    job_workflow_ref: WORKFLOW,
    job_workflow_sha: "0".repeat(40),
    workflow_ref: WORKFLOW,
    workflow_sha: "0".repeat(40),
    workflow: "release",
    event_name: "push",
    repository: "example/tool",
    repository_id: "1",
    repository_owner: "example",
    repository_owner_id: "2",
    repository_visibility: "public",
    ref: "refs/heads/main",
    sha: "1".repeat(40),
    run_id: "3",
    run_attempt: "1",
    runner_environment: "github-hosted",
  };
  const text = `${part({ alg: "RS256", typ: "JWT", kid: "1" })}.${part(claims)}`;
  const token = `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  return { url, token, close: () => server.close() };
}

/** Starts a server and waits until `path` answers. */
async function serve(program: string, args: readonly string[], probe: string): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { HOME: folder, PATH: "" } });
  children.push(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  for (let tries = 0; tries < 100; tries++) {
    if (child.exitCode !== null) break;
    const answer = await fetch(probe).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok === true) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${program} does not answer at ${probe}: ${said.slice(-2000)}`);
}

const blocks = (pem: string): { rawBytes: string }[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map((block) => ({
    rawBytes: new X509Certificate(block).raw.toString("base64"),
  }));

async function startFulcio(issuer: string): Promise<{ url: string; chain: { rawBytes: string }[] }> {
  writeFileSync(
    at("fulcio.yaml"),
    `oidc-issuers:\n  ${issuer}:\n    issuer-url: ${issuer}\n    client-id: sigstore\n    type: github-workflow\n`,
  );
  const [port, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const args = ["serve", "--host", "127.0.0.1", "--port", String(port), "--grpc-host", "127.0.0.1"];
  args.push("--grpc-port", String(grpc), "--metrics-port", String(metrics), "--ca", "ephemeralca");
  args.push("--ct-log-url", "", "--config-path", at("fulcio.yaml"), "--legacy-unix-domain-socket", at("fulcio.sock"));
  const url = `http://127.0.0.1:${port}`;
  await serve(join(bin, "fulcio"), args, `${url}/healthz`);
  const bundle = (await (await fetch(`${url}/api/v2/trustBundle`)).json()) as { chains: { certificates: string[] }[] };
  return { url, chain: blocks(bundle.chains[0]?.certificates.join("\n") ?? "") };
}

async function startStamps(): Promise<{ url: string; chain: { rawBytes: string }[] }> {
  const port = await freePort();
  const args = ["serve", "--host", "127.0.0.1", "--port", String(port), "--timestamp-signer", "memory"];
  args.push("--disable-ntp-monitoring");
  const url = `http://127.0.0.1:${port}/api/v1/timestamp`;
  await serve(join(bin, "timestamp-server"), args, `${url}/certchain`);
  return { url, chain: blocks(await (await fetch(`${url}/certchain`)).text()) };
}

/** Runs a program, while the issuer answers; says how it went. */
async function run(
  what: string,
  program: string,
  args: readonly string[],
  code: number,
  env: Record<string, string> = {},
): Promise<void> {
  const around = { ...process.env, HTTPS_PROXY: "http://127.0.0.1:9", BITFORBIT_HOME: at("home"), NO_COLOR: "1" };
  const child = spawn(program, args, { cwd: folder, timeout: 60_000, env: { ...around, ...env } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  const good = status === code;
  console.log(`${good ? "as it must be" : "WRONG"}: ${what} (exit ${status})`);
  if (!good) process.exitCode = 1;
  console.log(said.replaceAll(/^(?=.)/gm, "    ").trimEnd());
}

async function bitforbit(
  what: string,
  args: readonly string[],
  code: number,
  env: Record<string, string> = {},
): Promise<void> {
  await run(`bitforbit ${what}`, process.execPath, [main, ...args], code, env);
}

async function tryIt(): Promise<void> {
  const issuer = await openIssuer();
  const [fulcio, stamps] = [await startFulcio(issuer.url), await startStamps()];
  const validFor = { start: new Date(Date.now() - 86_400_000).toISOString() };
  const authority = (uri: string, certificates: { rawBytes: string }[]): object => ({
    subject: { organization: "example", commonName: uri },
    uri,
    certChain: { certificates },
    validFor,
  });
  const root = {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [],
    certificateAuthorities: [authority(fulcio.url, fulcio.chain)],
    ctlogs: [],
    timestampAuthorities: [authority(stamps.url, stamps.chain)],
  };
  writeFileSync(at("authorities.json"), JSON.stringify(root));
  writeFileSync(at("tool"), "signed by a job\n");
  writeFileSync(at("tests.json"), '{"result":"PASSED","configuration":[]}');
  const services = ["--fulcio", fulcio.url, "--timestamp-authority", stamps.url];
  const test = ["attest", "tool", "--type", "test-result", "--predicate", "tests.json", "-o", "tool.sigstore.json"];
  const keyless = [...test, "--keyless", "--trusted-root", "authorities.json", ...services];
  await bitforbit("attest --keyless, by the real Fulcio", keyless, 0, { SIGSTORE_ID_TOKEN: issuer.token });
  const [head = "", , signature = ""] = issuer.token.split(".");
  const claims = JSON.parse(Buffer.from(issuer.token.split(".")[1] ?? "", "base64url").toString()) as object;
  const forged = `${head}.${part({ ...claims, job_workflow_ref: "someone/else@refs/heads/main" })}.${signature}`;
  await bitforbit("attest with a forged token, refused", [...keyless, "-o", "forged.json"], 4, {
    SIGSTORE_ID_TOKEN: forged,
  });
  await bitforbit(
    "keys trusted-root",
    ["keys", "trusted-root", "--trusted-root", "authorities.json", "-o", "root.json"],
    0,
  );
  const by = ["verify", "tool", "--trusted-root", "root.json", "--identity", IDENTITY, "--issuer"];
  await bitforbit("verify", [...by, issuer.url], 0);
  await bitforbit("verify by another issuer, denied", [...by, `${issuer.url}0`], 1);
  const theirs = sigstoreJs({
    artifact: readFileSync(at("tool")),
    trustedRoot: readFileSync(at("root.json")),
    identity: IDENTITY,
    issuer: issuer.url,
    key: undefined,
  });
  // It cannot be told to do without a certificate transparency log from here: this is the one thing that it must miss.
  console.log(`@sigstore/verify: ${theirs(readFileSync(at("tool.sigstore.json"))) ?? "accepted"}`);
  const program = cosign();
  if ("skip" in program) console.log(program.skip);
  else {
    const who = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", issuer.url, "--insecure-ignore-sct"];
    const args = ["verify-blob-attestation", ...who, "--use-signed-timestamps", "--trusted-root", "root.json"];
    const type = [
      "--type",
      "https://in-toto.io/attestation/test-result/v0.1",
      "--bundle",
      "tool.sigstore.json",
      "tool",
    ];
    await run("cosign verify-blob-attestation", program.path, [...args, ...type], 0);
  }
  issuer.close();
}

try {
  await tryIt();
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
}
