/** `store retention` by the command line: with a real witness, on the real clock, and as an auditor with files of his own. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import test, { type TestContext } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isObject, type JsonObject } from "../src/json.ts";
import { bitforbit, scratchFolder } from "./command.ts";

const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, validateFormats: false });
for (const name of ["terms", "store"]) {
  ajv.addSchema(JSON.parse(readFileSync(`schemas/${name}.schema.json`, "utf8")) as object);
}

async function run(folder: string, code: number, ...args: string[]): Promise<JsonObject> {
  const ran = await bitforbit(folder, [...args, "--json"]);
  assert.equal(ran.code, code, `${args.join(" ")}: ${ran.stderr}${ran.stdout}`);
  const document: unknown = JSON.parse(ran.stdout);
  if (args[0] === "store" && code < 2 && !ran.stdout.includes('"error"')) {
    const validate = ajv.getSchema("https://bitforbit.dev/schemas/store.schema.json");
    assert.ok(validate?.(document), JSON.stringify(validate?.errors));
  }
  assert.ok(isObject(document));
  return document;
}

async function witness(t: TestContext, folder: string): Promise<string> {
  const words = [
    "witness",
    "serve",
    "--name",
    "w.example",
    "--logs",
    "logs.txt",
    "--home",
    "w",
    "--port",
    "0",
    "--json",
  ];
  const child = spawn(process.execPath, [resolve("src/cli/main.ts"), ...words], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  let told = "";
  await new Promise<void>((ready) => {
    child.stdout.on("data", (chunk: Buffer) => {
      told += chunk.toString();
      if (told.endsWith("}\n")) ready();
    });
  });
  const { key, url } = JSON.parse(told) as { key: string; url: string };
  return `quorum 1\n${key} ${url}\n`;
}

test("an auditor with a copy: all is there, then something is gone", { timeout: 120_000 }, async (t) => {
  const folder = scratchFolder(t);
  const home = join(folder, ".bitforbit");
  writeFileSync(join(folder, "artifact"), "bytes\n");
  writeFileSync(join(folder, "tests.json"), JSON.stringify({ result: "PASSED", configuration: [] }));
  const attest = ["attest", "artifact", "--type", "test-result", "--predicate", "tests.json"];
  const first = await run(folder, 0, ...attest);
  assert.match((await bitforbit(folder, ["store", "retention"])).stdout, /without trusted time nothing may go/);
  assert.equal((await bitforbit(folder, ["store", "retention", "--prune"])).code, 1);
  writeFileSync(join(folder, "logs.txt"), String((await run(folder, 0, "log", "key"))["key"]));
  const witnesses = await witness(t, folder);
  writeFileSync(join(home, "witnesses"), witnesses);
  await run(folder, 0, ...attest);
  const { evidence } = (await run(folder, 0, "store", "retention")) as { evidence: JsonObject[] };
  assert.equal(evidence.length, 2);
  for (const { kept, until } of evidence)
    assert.deepEqual([kept, typeof until], ["its retention is not over", "string"]);
  assert.deepEqual((await run(folder, 0, "store", "retention", "--prune"))["dropped"], []);

  // As a stranger: his own policy, witnesses, keys, and a mirror of the log.
  writeFileSync(join(folder, "auditor.toml"), "years = 10\n");
  writeFileSync(join(folder, "auditor.witnesses"), witnesses);
  await run(folder, 0, "log", "mirror", join(home, "log"), "copy", "--log-key", "logs.txt");
  await run(folder, 0, "keys", "export", "-o", "signer.pem");
  const audit = ["store", "retention", "--check", "--policy", "auditor.toml", "--witnesses", "auditor.witnesses"];
  audit.push("--key", "signer.pem", "--log", "copy", "--log-key", "logs.txt");
  const whole = await run(folder, 0, ...audit);
  assert.deepEqual([whole["ok"], whole["own"], whole["present"]], [true, 2, 2]);
  rmSync(join(home, "store", "blobs", "sha256", String(first["digest"]).slice("sha256:".length)));
  const { ok, problems } = (await run(folder, 1, ...audit)) as { ok: boolean; problems: JsonObject[] };
  assert.deepEqual([ok, problems.length, problems[0]?.["what"], problems[0]?.["index"]], [false, 1, "missing", 0]);

  for (const [words, message] of [
    [["--prune", "--check"], /two things/],
    [["--policy", "auditor.toml"], /--policy is for --check/],
    [["--check", "--policy", "nowhere.toml"], /no such file: nowhere\.toml/],
    [["--check", "--log", "copy"], /--log-key is missing/],
  ] as const) {
    const ran = await bitforbit(folder, ["store", "retention", ...words]);
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, message);
  }
});
