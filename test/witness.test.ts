/** A log and its witnesses as processes: ours, and Debian's litewitness. */
import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { existsSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { dirname, join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { COSIGNATURE } from "../src/format/cosignature.ts";
import { type VerifierKey, noteVerifier, parseVerifierKey, verifierKeyText } from "../src/format/note.ts";
import { cosignWith } from "../src/log/cosigners.ts";
import { openLogReader } from "../src/log/reader.ts";
import { parseWitnesses } from "../src/log/witness-list.ts";
import { verifyCheckpoint } from "../src/log/witnessed.ts";
import { openLog } from "../src/log/writer.ts";
import { leavesOf, scratch, signerOf } from "./logs.ts";

const signer = signerOf("log");
const MAIN = resolve("src/cli/main.ts");
const logKey = verifierKeyText({ name: "log.example", type: 1, publicKey: signer.raw });
const verifier = noteVerifier("log.example", signer.publicKeyPem);

interface Running {
  child: ChildProcess;
  url: string;
  key: string;
}

/** `bitforbit witness serve` as a process, with a home of its own. */
async function witness(t: TestContext, folder: string, name: string): Promise<Running> {
  writeFileSync(join(folder, "logs.txt"), `# logs\n${logKey}\n`);
  const args = ["witness", "serve", "--name", name, "--logs", "logs.txt", "--port", "0", "--json"];
  const child = spawn(process.execPath, [MAIN, ...args, "--home", join(folder, name)], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(() => child.kill("SIGKILL"));
  let told = "";
  await new Promise<void>((ready, failed) => {
    child.on("close", () => failed(new Error(`the witness ended: ${told}`)));
    child.stdout.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      if (told.endsWith("}\n")) ready();
    });
  });
  const { url, key, logs } = JSON.parse(told) as { url: string; key: string; logs: string[] };
  assert.deepEqual(logs, ["log.example"]);
  return { child, url, key };
}

async function ended({ child }: Running): Promise<number | null> {
  const code = new Promise<number | null>((done) => child.once("close", done));
  child.kill("SIGTERM");
  return await code;
}

test("two of three witnesses are enough, one is not, and what was held back is published later", async (t) => {
  const folder = scratch(t);
  const [one, two] = await Promise.all([witness(t, folder, "w1.example"), witness(t, folder, "w2.example")]);
  const away = verifierKeyText({ name: "w3.example", type: COSIGNATURE, publicKey: signerOf("w3").raw });
  const file = (first: string): string =>
    `quorum 2\n${one.key} ${first}\n${two.key} ${two.url}/\n${away} http://127.0.0.1:1/\n`;
  const keys = [one.key, two.key, away].map(parseVerifierKey);
  const open = async (first = one.url) => {
    const cosign = cosignWith(parseWitnesses(file(first), "witnesses"), { timeoutMilliseconds: 60_000 });
    return await openLog(join(folder, "log"), signer, { origin: "log.example", cosign });
  };
  const log = await open();
  for (let at = 0; at < 3; at++) {
    const [proof] = await log.appendAll(leavesOf(100, `batch ${at}`));
    const { cosignedBy } = verifyCheckpoint(proof?.checkpoint ?? "", verifier, keys, 2);
    assert.deepEqual(cosignedBy.map(({ name }) => name).sort(), ["w1.example", "w2.example"]);
  }
  await log.settled();

  // One is down: nothing is published, and the reason names who is missing.
  const lame = await open("http://127.0.0.1:1/");
  await assert.rejects(lame.appendAll(leavesOf(5, "held back")), {
    code: "outside",
    message: /2 of 3 witnesses are needed, 1 cosigned; .*w1\.example.*/,
  });
  const reader = await openLogReader(join(folder, "log"), signer.publicKeyPem);
  assert.equal((await reader.checkpoint()).size, 300, "what is not cosigned is not published");
  assert.deepEqual((await reader.audit()).problems, []);
  const again = await open();
  assert.equal((await reader.checkpoint()).size, 305, "what was signed is published when the witnesses are there");
  const [proof] = await again.appendAll(leavesOf(1, "after"));
  assert.equal(proof?.index, 305);
  verifyCheckpoint(proof.checkpoint, verifier, keys, 2);
  assert.equal(Buffer.from(await again.entry(303)).toString(), "held back 3");

  // The witnesses remember: a log that was restored from an old copy gets no cosignature.
  const restored = join(folder, "restored");
  const other = await openLog(join(restored, "log"), signer, { origin: "log.example" });
  await other.appendAll(leavesOf(10));
  await other.settled();
  const cosign = cosignWith(parseWitnesses(file(one.url), "witnesses"));
  const stale = await openLog(join(restored, "log"), signer, { cosign });
  await assert.rejects(stale.appendAll(leavesOf(1)), { code: "outside", message: /has seen 306 entries of this log/ });
  assert.deepEqual(await Promise.all([ended(one), ended(two)]), [0, 0]);
});

test("a file of witnesses that cannot be is refused, with its line", () => {
  const key = verifierKeyText({ name: "w.example", type: COSIGNATURE, publicKey: signerOf("w").raw });
  const cases: [string, RegExp][] = [
    ["", /0 witnesses and no quorum/],
    [`${key} http://w.example`, /no quorum/],
    [`quorum 2\n${key} http://w.example`, /quorum of 2/],
    ["quorum 0", /line 1: not one quorum/],
    [`quorum 1\nquorum 1\n${key} http://w.example`, /line 2: not one quorum/],
    [`quorum 1\n${key}`, /line 2/],
    [`quorum 1\n${key} ftp://w.example`, /line 2: not an http/],
    [`quorum 1\n${key} http://u@w.example`, /line 2: not an http/],
    [`quorum 1\n${logKey} http://w.example`, /type 1/],
    [`quorum 1\n${key} http://a\n${key} http://b`, /there twice/],
  ];
  for (const [content, message] of cases)
    assert.throws(() => parseWitnesses(content, "witnesses"), { message }, content);
  const sound = parseWitnesses(`# ours\nquorum 1 # of one\n\n${key} https://w.example/x/\n`, "witnesses");
  assert.deepEqual([sound.quorum, sound.witnesses[0]?.url], [1, "https://w.example/x"]);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

test("Debian's litewitness cosigns our log, and refuses a fork of it", { timeout: 240_000 }, async (t) => {
  const found = spawnSync("sh", ["scripts/unstable", "torchwood", "0.", "litewitness", "-h"], {
    encoding: "utf8",
    timeout: 180_000,
  });
  if (found.status !== 0) return t.skip(found.stderr.trim().split("\n").at(-1) ?? "torchwood could not be had");
  const tools = dirname(found.stdout.trim());
  const folder = scratch(t);
  const run = (program: string, ...args: string[]): string => {
    const ran = spawnSync(program, args, {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, SSH_AUTH_SOCK: join(folder, "agent") },
    });
    if (ran.error !== undefined || ran.status !== 0) throw new Error(`${program}: ${ran.error?.message ?? ran.stderr}`);
    return ran.stdout.trim();
  };
  if (spawnSync("ssh-add", ["-h"]).error !== undefined)
    return t.skip("torchwood could not be had with its key: ssh-agent is not installed");
  const agent = spawn("ssh-agent", ["-D", "-a", join(folder, "agent")], { stdio: "ignore" });
  t.after(() => agent.kill("SIGKILL"));
  run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key");
  for (let tries = 0; !existsSync(join(folder, "agent")); tries++) {
    assert.ok(tries < 600, "ssh-agent does not answer");
    await new Promise((done) => setTimeout(done, 50));
  }
  run("ssh-add", "-q", "key");
  const [, print = ""] = run("ssh-keygen", "-lf", "key.pub").split(" ");
  const [, blob = ""] = run("cat", "key.pub").split(" ");
  run(join(tools, "witnessctl"), "add-log", "-db", "db", "-origin", "log.example");
  run(join(tools, "witnessctl"), "add-key", "-db", "db", "-origin", "log.example", "-key", logKey);
  const port = await freePort();
  const lite = spawn(
    join(tools, "litewitness"),
    ["-db", "db", "-key", print, "-name", "lite.example/w", "-ssh-agent", "agent", "-listen", `127.0.0.1:${port}`],
    { cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  t.after(() => lite.kill("SIGKILL"));
  let said = "";
  lite.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answers) break;
    assert.ok(tries < 600 && lite.exitCode === null, said);
    await new Promise((done) => setTimeout(done, 50));
  }
  const key: VerifierKey = {
    name: "lite.example/w",
    type: COSIGNATURE,
    publicKey: Buffer.from(blob, "base64").subarray(-32),
  };
  const cosign = cosignWith({ quorum: 1, witnesses: [{ key, url }] }, { timeoutMilliseconds: 60_000 });
  const log = await openLog(join(folder, "log"), signer, { origin: "log.example", cosign });
  for (const count of [1, 2, 300]) {
    const [proof] = await log.appendAll(leavesOf(count, `of ${count}`));
    const { at, checkpoint } = verifyCheckpoint(proof?.checkpoint ?? "", verifier, [key], 1);
    assert.ok(at !== undefined && at > Date.parse("2020-01-01"), String(checkpoint.size));
  }
  const fork = await openLog(join(folder, "fork"), signer, { origin: "log.example", cosign });
  await assert.rejects(fork.appendAll(leavesOf(400, "other")), {
    code: "outside",
    message: /lite\.example\/w: answers 4/,
  });
});
