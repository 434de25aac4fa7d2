/** Against SoftHSM 2, a token in software with the interface of a real one. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { inspect } from "node:util";
import { utf8 } from "../bytes.ts";
import { BitforbitError, exitCodeOf } from "../errors.ts";
import { type ServiceOptions } from "./bounded-request.ts";
import { serviceSigner } from "./services.ts";
import { parsePublicKey } from "./verifier.ts";

const PIN = "98765432";
const folder = mkdtempSync(join(tmpdir(), "pkcs11-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const [MODULE] = globSync("/usr/lib/{*/,}softhsm/libsofthsm2.so");
const installed = spawnSync("softhsm2-util", ["--version"]).error === undefined && MODULE !== undefined;
const skip = installed ? false : "softhsm2 is not installed";

process.env["SOFTHSM2_CONF"] = join(folder, "softhsm2.conf");
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });

function softhsm(...args: string[]): void {
  const ran = spawnSync("softhsm2-util", args);
  assert.equal(ran.status, 0, `${args[0]}: ${ran.stdout}${ran.stderr}`);
}

if (installed) {
  mkdirSync(join(folder, "tokens"));
  writeFileSync(join(folder, "softhsm2.conf"), `directories.tokendir = ${join(folder, "tokens")}\nlog.level = ERROR\n`);
  for (const token of ["first token", "second"]) {
    softhsm("--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", "12345678");
  }
  const file = join(folder, "key.pem");
  writeFileSync(file, p256.privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  const place = ["--token", "second", "--pin", PIN];
  softhsm("--import", file, ...place, "--label", "release", "--id", "0a");
  softhsm("--import", file, ...place, "--label", "twice", "--id", "0b");
  softhsm("--import", file, ...place, "--label", "twice", "--id", "0c");
}

const options = (more: Record<string, string> = { BITFORBIT_PKCS11_PIN: PIN }): ServiceOptions => ({
  environment: more,
  cache: join(folder, "cache"),
  timeoutMilliseconds: 60_000,
});
const uri = (path: string): string => `pkcs11:${path}?module-path=${MODULE}`;

async function failure(work: Promise<unknown>): Promise<BitforbitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof BitforbitError, inspect(error));
    assert.ok(!inspect(error, { depth: 9 }).includes(PIN), "no PIN in an error");
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("a token signs: by label, by id, many at once", { skip }, async () => {
  for (const named of ["token=second;object=release;type=private", "object=release", "token=second;id=%0a"]) {
    const signer = await serviceSigner(
      uri(named === "object=release" ? "token=second;object=release" : named),
      options(),
    );
    assert.equal(signer.publicKeyPem, p256.publicKey.export({ format: "pem", type: "spki" }));
    const messages = Array.from({ length: 200 }, (_, at) => utf8(`message ${at}`));
    const signatures = await Promise.all(messages.map(async (message) => await signer.sign(message)));
    const key = parsePublicKey(signer.publicKeyPem);
    assert.ok(signatures.every((signature, at) => key.verify(messages[at] ?? utf8(""), signature)));
  }
});

test("the PIN comes from a file, too, and is in no command line", { skip }, async () => {
  const file = join(folder, "pin");
  writeFileSync(file, `${PIN}\n`, { mode: 0o600 });
  const signer = await serviceSigner(`${uri("token=second;object=release")}&pin-source=file:${file}`, options({}));
  await signer.sign(utf8("x"));
  const lines = globSync("/proc/[0-9]*/cmdline").map((path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // it has ended
    }
  });
  assert.ok(
    lines.some((line) => line.includes("/pkcs11-")),
    "the helper runs",
  );
  assert.ok(!lines.some((line) => line.includes(PIN)));
});

test(
  "what is wrong is named, and is exit 4; a wrong PIN is tried once, since a token locks itself",
  { skip },
  async () => {
    const cases: [string, Record<string, string>, RegExp][] = [
      ["token=second;object=release", { BITFORBIT_PKCS11_PIN: "1111" }, /the PIN is wrong/],
      ["token=second;object=release", {}, /no such key in the token, or the PIN is needed/],
      ["token=third;object=release", { BITFORBIT_PKCS11_PIN: PIN }, /no such token/],
      ["token=second;object=nothing", { BITFORBIT_PKCS11_PIN: PIN }, /no such key/],
      ["token=second;object=twice", { BITFORBIT_PKCS11_PIN: PIN }, /more than one key/],
    ];
    for (const [path, environment, message] of cases) {
      const error = await failure(serviceSigner(uri(path), options(environment)));
      assert.match(error.message, message);
      assert.equal(exitCodeOf(error), 4);
      assert.match(error.hint ?? "", /nothing was signed/);
    }
    const text = join(folder, "not-a-module.so");
    writeFileSync(text, "text");
    const load = await failure(serviceSigner(`pkcs11:object=x?module-path=${text}`, options()));
    assert.match(load.message, /the module cannot be loaded/);
  },
);

test("a token that hangs, or whose program dies, is exit 4 after few attempts", { skip }, async () => {
  const source = join(folder, "bad.c");
  for (const [name, body, message] of [
    ["hangs", "for (;;) pause();", /no answer in time/],
    ["dies", "_exit(1);", /ended/],
  ] as const) {
    writeFileSync(source, `#include <unistd.h>\nunsigned long C_GetFunctionList(void **f) { ${body} return 5; }\n`);
    const module = join(folder, `${name}.so`);
    assert.equal(spawnSync("cc", ["-shared", "-fPIC", "-o", module, source]).status, 0);
    const patience = { ...options(), timeoutMilliseconds: name === "hangs" ? 100 : 60_000 };
    const error = await failure(serviceSigner(`pkcs11:object=x?module-path=${module}`, patience));
    assert.match(error.message, message);
    assert.equal(exitCodeOf(error), 4);
  }
});

test("a helper that is killed between two signatures is started again", { skip }, async () => {
  const signer = await serviceSigner(uri("token=second;object=release"), options());
  await signer.sign(utf8("one"));
  const mine = globSync("/proc/[0-9]*/stat").filter((path) => {
    try {
      const [, name = "", , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(path, "utf8")) ?? [];
      return name.startsWith("pkcs11-") && Number(parent) === process.pid;
    } catch {
      return false;
    }
  });
  assert.ok(mine.length > 0);
  for (const path of mine) process.kill(Number(path.split("/")[2]), "SIGKILL");
  const again = await signer.sign(utf8("two"));
  assert.ok(parsePublicKey(signer.publicKeyPem).verify(utf8("two"), again));
});
