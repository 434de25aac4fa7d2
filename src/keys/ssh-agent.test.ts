/** Against the machine's own ssh-agent. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { utf8 } from "../bytes.ts";
import { BitforbitError, exitCodeOf } from "../errors.ts";
import { serviceSigner } from "./services.ts";
import { parsePublicKey } from "./verifier.ts";

const folder = mkdtempSync(join(tmpdir(), "agent-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const missing = spawnSync("ssh-agent", ["-h"]).error !== undefined ? "ssh-agent is not installed" : false;

/** An agent of the test's own, with a P-256 and an Ed25519 key. */
async function agent(t: TestContext, name: string): Promise<string> {
  const socket = join(folder, name);
  const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const [type, comment] of [
    ["ecdsa", "release key"],
    ["ed25519", "other"],
    ["rsa", "old"],
  ] as const) {
    const file = join(folder, `${name}-${type}`);
    const made = spawnSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", comment, "-f", file]);
    assert.equal(made.status, 0, String(made.stderr));
    const added = spawnSync("ssh-add", ["-q", file], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    assert.equal(added.status, 0, String(added.stderr));
  }
  return socket;
}

async function failure(work: Promise<unknown>): Promise<BitforbitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, String(error));
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("the agent signs with P-256 and Ed25519, found by comment and by fingerprint", { skip: missing }, async (t) => {
  const SSH_AUTH_SOCK = await agent(t, "a");
  const environment = { SSH_AUTH_SOCK };
  const listed = spawnSync("ssh-add", ["-l"], { env: { ...process.env, SSH_AUTH_SOCK } }).stdout.toString();
  const print = /(SHA256:\S+) release key/.exec(listed)?.[1] ?? "";
  for (const [named, algorithm] of [
    ["release key", "ecdsa-p256"],
    ["other", "ed25519"],
    [print, "ecdsa-p256"],
  ]) {
    const signer = await serviceSigner(`ssh-agent:${named}`, { environment });
    assert.equal(signer.algorithm, algorithm);
    for (let at = 0; at < 20; at++) {
      const bytes = utf8(`message ${at}`);
      assert.ok(parsePublicKey(signer.publicKeyPem).verify(bytes, await signer.sign(bytes)));
    }
  }
  const rsa = await failure(serviceSigner("ssh-agent:old", { environment }));
  assert.match(rsa.message, /type ssh-rsa, not ecdsa-sha2-nistp256/);
  const none = await failure(serviceSigner("ssh-agent:nobody", { environment }));
  assert.equal(exitCodeOf(none), 4);
  assert.match(none.message, /the agent has no such key/);
});

test("an agent that is locked, or lost the key, or is gone: exit 4", { skip: missing }, async (t) => {
  const SSH_AUTH_SOCK = await agent(t, "b");
  const environment = { SSH_AUTH_SOCK };
  const signer = await serviceSigner("ssh-agent:release key", { environment });
  spawnSync("ssh-add", ["-D"], { env: { ...process.env, SSH_AUTH_SOCK } });
  assert.match((await failure(signer.sign(utf8("x")))).message, /no such key/);
  const gone = await failure(serviceSigner("ssh-agent:x", { environment: { SSH_AUTH_SOCK: join(folder, "nothing") } }));
  assert.equal(exitCodeOf(gone), 4);
  assert.match(gone.message, /cannot be reached/);
  assert.match((await failure(serviceSigner("ssh-agent:x", { environment: {} }))).message, /SSH_AUTH_SOCK is not set/);
});

test("an agent that answers nonsense, too much, or nothing", async (t) => {
  const answers: [string, Uint8Array | undefined, RegExp][] = [
    ["n1", Uint8Array.of(0, 0, 0, 1, 5), /refused to list/],
    ["n2", Uint8Array.of(0, 0, 0, 5, 12, 255, 255, 255, 255), /keys/],
    ["n3", Uint8Array.of(0, 0, 0, 9, 12, 0, 0, 0, 1, 0, 0, 0, 99), /cut off/],
    ["n4", Uint8Array.of(255, 255, 255, 255), /answers with 4294967295 bytes/],
    ["n5", new Uint8Array(), /ended without an answer/],
    ["n6", undefined, /no answer in time/],
  ];
  for (const [name, answer, message] of answers) {
    const socket = join(folder, name);
    const server = createServer((connection) => {
      connection.on("error", () => undefined);
      if (answer === undefined) return;
      connection.once("data", () => connection.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    t.after(() => server.close());
    const options = { environment: { SSH_AUTH_SOCK: socket }, timeoutMilliseconds: answer === undefined ? 50 : 30_000 };
    const error = await failure(serviceSigner("ssh-agent:x", options));
    assert.match(error.message, message, name);
  }
});
