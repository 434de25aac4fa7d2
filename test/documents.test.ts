/** Every verb's `--json` document is what its published schema says, on real projects and in all its outcomes. */
import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { isObject, type JsonObject } from "../src/json.ts";
import { bitforbit, project, type Ran, scratchFolder, writeFiles, lockPinned, PINNED } from "./command.ts";

const ajv = new Ajv2020({
  strict: true,
  strictRequired: false,
  strictTypes: false,
  allErrors: true,
  validateFormats: false,
});
for (const file of globSync("schemas/*.schema.json")) {
  const schema = JSON.parse(readFileSync(file, "utf8")) as { $schema: string };
  if (schema.$schema.includes("2020-12")) ajv.addSchema(schema);
}

/** The run's one document, held to the schema of `name`. */
function document(name: string, ran: Ran, code: number): JsonObject {
  assert.equal(ran.code, code, `${name}: ${ran.stderr}${ran.stdout.slice(0, 2000)}`);
  const value: unknown = JSON.parse(ran.stdout);
  const validate = ajv.getSchema(`https://bitforbit.dev/schemas/${name}.schema.json`);
  assert.ok(validate !== undefined, `schemas/${name}.schema.json`);
  assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors, null, 1)}\n${ran.stdout.slice(0, 3000)}`);
  assert.ok(isObject(value));
  assertTerms(value, name);
  return value;
}

/** What holds for every field of every document, whatever its schema says. */
function assertTerms(value: unknown, path: string): void {
  assert.notEqual(value, null, `${path} is null: what is not there is left out`);
  if (Array.isArray(value)) return value.forEach((item, at) => assertTerms(item, `${path}[${at}]`));
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const at = `${path}.${key}`;
    if (key === "size" || key === "milliseconds") assert.ok(typeof item === "number" && item >= 0, at);
    if (/^(?:at|.*At)$/.test(key)) assert.match(String(item), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, at);
    if (key === "digest" && typeof item === "string") assert.match(item, /^sha256:[0-9a-f]{64}$/, at);
    if (key !== "data") assertTerms(item, at);
  }
}

const refuses = (name: string, value: unknown): void => {
  assert.equal(ajv.getSchema(`https://bitforbit.dev/schemas/${name}.schema.json`)?.(value), false, name);
};

const lengthOf = (list: unknown): number => (Array.isArray(list) ? list.length : -1);

const recipe = (command: string, outputs: string): string =>
  `name = "thing"\ncommand = '''${command}'''\noutputs = [${outputs}]\n${PINNED}`;

const json = async (folder: string, ...args: string[]): Promise<Ran> => await bitforbit(folder, [...args, "--json"]);

function made(t: TestContext, command: string, outputs = '"out"'): string {
  return project(t, { "bitforbit.toml": recipe(command, outputs) });
}

/** What is printed while a key-ring becomes that of two people, and where keys end. */
async function ringDocuments(folder: string): Promise<void> {
  const run = async (code: number, ...args: string[]): Promise<JsonObject> =>
    document("keys", await json(folder, "keys", ...args), code);
  const ann = ["--home", "ann"];
  await run(0, "create", ...ann);
  await run(0, "export", "--role", "root", "-o", "ann.pem", ...ann);
  assert.equal((await json(folder, "keys", "export", "--ring", "-o", "ring.jsonl")).code, 0);
  await run(0, "trust", "ring.jsonl", ...ann);
  await run(0, "propose", "--add-root", "ann.pem", "--threshold", "2", "-o", "next.draft");
  assert.equal((await run(1, "collect", "next.draft"))["published"], false);
  assert.equal(((await run(0, "sign", "next.draft", ...ann))["draft"] as JsonObject)["complete"], true);
  assert.equal((await run(0, "collect", "next.draft"))["published"], true);
  document("error", await json(folder, "keys", "collect", "next.draft"), 1);
  document("error", await json(folder, "keys", "propose", "--threshold", "0", "-o", "x"), 2);
  document("error", await json(folder, "keys", "rotate"), 1);
  await run(0, "rotate", ...ann);
  const { keys } = await run(0, "list", ...ann);
  const first = (keys as JsonObject[]).find(({ status }) => status === "retired");
  const since = ["--since", "2020-01-01", "--reason", "lost"];
  await run(0, "revoke", String(first?.["keyId"]), ...since, ...ann);
  await run(0, "refresh", "--days", "30", ...ann);
  await run(0, "resign", ...ann);
  await run(0, "create", "--algorithm", "ed25519", ...ann);
}

/** What is printed about a log and its copies: of this home's own, which has three entries. */
async function logDocuments(folder: string): Promise<void> {
  const run = async (code: number, ...args: string[]): Promise<JsonObject> =>
    document("log", await json(folder, "log", ...args), code);
  writeFileSync(join(folder, "log.key"), String((await run(0, "key"))["key"]));
  assert.equal((await run(0, "fsck"))["ok"], true);
  assert.equal((await run(0, "export", "served"))["size"], 3);
  assert.equal((await run(0, "mirror", "served", "copy", "--log-key", "log.key"))["written"], 2);
  assert.equal(lengthOf((await run(0, "export", "--entries"))["entries"]), 3);
  const own = await run(0, "monitor");
  assert.deepEqual([own["alerts"], (own["logs"] as JsonObject[])[0]?.["size"]], [[], 3]);
  writeFileSync(join(folder, "logs.txt"), `${readFileSync(join(folder, "log.key"), "utf8")} copy\n`);
  const listed = document("keys", await json(folder, "keys", "list"), 0)["keys"] as { role: string; keyId: string }[];
  const keyId = listed.find(({ role }) => role === "artifact")?.keyId ?? "";
  writeFileSync(join(folder, "mine.txt"), `key ${keyId}\n`);
  const told = await run(1, "monitor", "--logs", "logs.txt", "--watch", "mine.txt", "--state", "state");
  assert.equal(lengthOf(told["alerts"]), 3);
  assert.equal((await run(0, "judge", "served/checkpoint", "copy/checkpoint"))["verdict"], "consistent");
  await searchDocuments(keyId, run);
  writeFileSync(join(folder, "copy/tile/0/000.p/3"), "x");
  assert.equal((await run(1, "fsck", "copy", "--log-key", "log.key"))["damaged"], 1);
}

const found = (value: JsonObject): unknown[] => (value["answers"] as JsonObject[]).map((answer) => answer["found"]);

/** Searches the log of three entries, with and without proof, here and as a stranger. */
async function searchDocuments(
  keyId: string,
  run: (code: number, ...args: string[]) => Promise<JsonObject>,
): Promise<void> {
  const none = `sha256:${"0".repeat(64)}`;
  const stranger = ["--log-key", "log.key"];
  assert.deepEqual(found(await run(0, "search", "--key", keyId)), [[0, 1, 2]]);
  assert.deepEqual(found(await run(0, "search", "--digest", none, "--log", "copy", ...stranger)), [[]]);
  const proven = await run(0, "search", "--key", keyId, "--proof", "answer.json");
  assert.deepEqual([found(proven), typeof proven["published"]], [[[0, 1, 2]], "string"]);
  const verified = await run(0, "search", "--verify", "answer.json", ...stranger);
  assert.deepEqual([verified["verified"], verified["size"], found(verified)], [true, 3, [[0, 1, 2]]]);
  assert.equal((await run(0, "search", "--publish"))["published"], undefined, "it is there, and of this tree");
}

describe("documents", { concurrency: 3 }, () => {
  test("all schemas are sound, titled, and of one draft; each verb has one", () => {
    const verbs = /usage: "(\w+)/g;
    const program = readFileSync("src/cli/program.ts", "utf8");
    const names = globSync("schemas/*.schema.json").map((file) => basename(file, ".schema.json"));
    for (const [, verb] of program.matchAll(verbs)) assert.ok(names.includes(verb ?? ""), `no schema for ${verb}`);
    for (const name of names.filter((one) => one !== "recipe")) {
      const schema = JSON.parse(readFileSync(`schemas/${name}.schema.json`, "utf8")) as JsonObject;
      assert.equal(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", name);
      assert.equal(schema["$id"], `https://bitforbit.dev/schemas/${name}.schema.json`);
      assert.equal(typeof schema["title"], "string", name);
      assert.ok(ajv.getSchema(String(schema["$id"])) !== undefined, name);
    }
  });

  test("the schemas refuse what is not theirs", () => {
    refuses("error", { version: 1, error: { code: "input", message: "x", stack: "…" } });
    refuses("error", { error: { code: "input", message: "x" } });
    refuses("init", { version: 1, written: "/x", project: "x", assumed: [], ecosystem: "perl" });
    refuses("store", { version: 1, artifacts: [{ digest: "sha256:1" }] });
    refuses("diff", { version: 2, equal: true, verdict: "identical", excluded: [], incomplete: [], difference: {} });
    refuses("verify", { version: 1, allowed: true });
  });

  test("a project that reproduces: every verb's document", async (t) => {
    const folder = project(t, {
      "hello.sh": "echo hello\n",
      Makefile: "all:\n\tcp hello.sh hello\ninstall: all\n\tinstall -D hello $(DESTDIR)/usr/bin/hello\n",
    });
    const initialised = document("init", await json(folder, "init"), 0);
    assert.equal(initialised["ecosystem"], "make");
    writeFileSync(
      join(folder, "bitforbit.toml"),
      recipe("cp hello.sh hello; mkdir d; echo 2 > d/two", '"hello", "d/*"'),
    );

    const locked = document("lock", await json(folder, "lock"), 0);
    assert.equal(locked["written"], join(folder, "bitforbit.lock"));
    assert.equal(document("lock", await json(folder, "lock", "--check"), 0)["fits"], true);
    const built = document("build", await json(folder, "build"), 0);
    assert.equal(built["verdict"], "reproducible");
    assert.equal(built["canonical"], true);
    const [artifact] = built["artifacts"] as { digest: string; file: string }[];
    assert.ok(artifact !== undefined);

    const verified = document("verify", await json(folder, "verify", artifact.file), 0);
    assert.equal((verified["artifact"] as JsonObject)["digest"], artifact.digest);
    assert.equal(document("promote", await json(folder, "promote", artifact.digest, "staging"), 0)["allowed"], true);
    document("policy", await json(folder, "policy", "explain", artifact.digest), 0);
    writeFileSync(join(folder, "policy.json"), (await json(folder, "policy", "show")).stdout);
    document("policy", await json(folder, "policy", "show", "--policy", "policy.json"), 0);
    document("verify", await json(folder, "verify", artifact.file, "--policy", "policy.json"), 0);

    const [, listed, , , shown, proven, audited, events, artifacts, attested, checked] = await Promise.all([
      json(folder, "keys", "create").then((ran) => document("keys", ran, 0)),
      json(folder, "keys", "list").then((ran) => document("keys", ran, 0)),
      json(folder, "keys", "export", "-o", "key.pem").then((ran) => document("keys", ran, 0)),
      json(folder, "keys", "trusted-root").then((ran) => document("keys", ran, 0)),
      json(folder, "log", "show").then((ran) => document("log", ran, 0)),
      json(folder, "log", "prove", "1").then((ran) => document("log", ran, 0)),
      json(folder, "log", "audit").then((ran) => document("log", ran, 0)),
      json(folder, "log", "list").then((ran) => document("log", ran, 0)),
      json(folder, "store", "list").then((ran) => document("store", ran, 0)),
      json(folder, "store", "show", artifact.digest).then((ran) => document("store", ran, 0)),
      json(folder, "store", "check").then((ran) => document("store", ran, 0)),
      json(folder, "store", "get", artifact.digest, "-o", "got").then((ran) => document("store", ran, 0)),
      json(folder, "stats").then((ran) => document("stats", ran, 0)),
      json(folder, "sbom").then((ran) => document("sbom", ran, 0)),
      json(folder, "sbom", "-o", "sbom.json").then((ran) => document("sbom", ran, 0)),
    ]);
    await logDocuments(folder);
    writeFiles(folder, { "tests.json": '{"result":"PASSED","configuration":[]}', "bad.json": '{"result":"PASSED"}' });
    const test = ["attest", artifact.digest, "--type", "test-result", "--predicate"];
    document("attest", await json(folder, ...test, "tests.json", "-o", "test.sigstore.json"), 0);
    document("attest", await json(folder, "attest", artifact.digest, "--type", "vsa"), 0);
    document("error", await json(folder, ...test, "bad.json"), 2);
    const retained = document("store", await json(folder, "store", "retention"), 0);
    assert.equal(lengthOf(retained["evidence"]), 5, "three of the build, and two attested");
    assert.equal(document("store", await json(folder, "store", "retention", "--check"), 0)["present"], 5);
    document("error", await json(folder, "store", "retention", "--prune"), 1);
    document("evidence", await json(folder, "evidence", "export", artifact.digest, "-o", "all.evidence"), 0);
    const by = ["--evidence", "all.evidence", "--policy", "policy.json"];
    assert.equal(
      document("evidence", await json(folder, "evidence", "verify", artifact.file, ...by), 0)["allowed"],
      true,
    );
    document("evidence", await json(folder, "evidence", "verify", "bad.json", ...by), 1);
    document("sbom", await json(folder, "sbom", "--score"), 0);
    document("sbom", await json(folder, "sbom", "--format", "spdx", "-o", "sbom.spdx.json"), 0);
    const at = ["--artifact", artifact.digest];
    document("sbom", await json(folder, "sbom", "import", "sbom.spdx.json", "-o", "again.cdx.json", ...at), 0);
    assert.equal(document("sbom", await json(folder, "sbom", "diff", "sbom.spdx.json", "sbom.json"), 0)["equal"], true);
    assert.deepEqual(document("keys", await json(folder, "keys", "export"), 0), listed, "export prints what list does");
    await ringDocuments(folder);
    assert.equal(shown?.["root"], proven?.["root"]);
    assert.equal(audited?.["ok"], true);
    assert.equal(lengthOf(events?.["events"]), 4);
    assert.equal(lengthOf(artifacts?.["artifacts"]), 2);
    assert.equal(lengthOf(attested?.["attestations"]), 3);
    assert.equal(checked?.["ok"], true);
    assert.ok(readFileSync(join(folder, "got")).equals(readFileSync(artifact.file)));
  });

  test("a project that differs: the difference, the causes, the denial", async (t) => {
    const folder = made(
      t,
      "mkdir out; hostname > out/who; date > out/when; umask > out/mask; od -An -N8 -tx1 /dev/urandom > out/r",
      '"out/*"',
    );
    const checked = document("check", await json(folder, "check"), 1);
    assert.equal(checked["verdict"], "differs");
    const built = document("build", await json(folder, "build"), 1);
    assert.equal(built["verdict"], "differs");
    const denied = document("verify", await json(folder, "verify", "dist/who"), 1);
    assert.equal(denied["allowed"], false);
    const [artifact] = built["artifacts"] as { digest: string }[];
    const explained = document("policy", await json(folder, "policy", "explain", artifact?.digest ?? ""), 1);
    assert.equal(explained["decidedBy"], "reproduced");
    assert.equal(
      document("promote", await json(folder, "promote", artifact?.digest ?? "", "prod"), 1)["allowed"],
      false,
    );
    document("stats", await json(folder, "stats", "--days", "7"), 0);
  });

  test("a project that is mended: what was tried, the diff, what is left", async (t) => {
    const folder = made(t, "hostname > out; od -An -N8 -tx1 /proc/sys/kernel/random/uuid >> out");
    const dry = document("fix", await json(folder, "fix", "--dry-run"), 1);
    assert.deepEqual(
      [(dry["before"] as JsonObject)["verdict"], lengthOf(dry["files"]), dry["written"]],
      ["differs", 1, []],
    );
    document("fix", await json(made(t, "echo x > out"), "fix"), 0);
  });

  test("builds that fail, in one world or in both, and a build of one world only", async (t) => {
    const fails = made(t, "echo broken >&2; exit 3");
    const [failed, checked] = await Promise.all([json(fails, "build"), json(fails, "check")]);
    assert.equal(document("build", failed, 3)["verdict"], "failed");
    document("check", checked, 3);
    const halves = made(t, 'test "$(umask)" = 0022; echo x > out');
    const half = document("build", await json(halves, "build"), 1);
    assert.equal(half["verdict"], "fails-in-adversarial");

    const single = made(t, "echo x > out");
    appendFileSync(join(single, "bitforbit.toml"), "# dirty\n");
    lockPinned(single);
    const local = document("build", await json(single, "build", "--once"), 0);
    assert.deepEqual([local["verdict"], local["canonical"], local["covered"]], ["built-once", false, []]);
    const people = await bitforbit(single, ["build", "--once"]);
    assert.doesNotMatch(people.stdout, /identical|failed/, "one build says nothing about reproducing");
    assert.match(people.stdout, /built once/);
    const denied = document("verify", await json(single, "verify", "dist/out"), 1);
    assert.equal(denied["allowed"], false);
  });

  test("an artifact that nobody attested is denied in the same form", async (t) => {
    const folder = made(t, "echo x > out");
    document("build", await json(folder, "build"), 0);
    writeFiles(folder, { stranger: "other bytes\n" });
    const denied = document("verify", await json(folder, "verify", "stranger"), 1);
    assert.deepEqual(denied["facts"], { signedBy: [] });
    appendFileSync(join(folder, ".bitforbit", "store", "index.json"), " ");
    const [blob] = globSync(join(folder, ".bitforbit/store/blobs/sha256/*")).sort();
    assert.ok(blob !== undefined);
    writeFileSync(`${blob}x`, "stray");
    const damaged = document("store", await json(folder, "store", "check"), 1);
    assert.equal(damaged["ok"], false);
  });

  test("where nothing was built yet: empty documents or errors, never half a document", async (t) => {
    const folder = scratchFolder(t);
    assert.deepEqual(document("store", await json(folder, "store", "list"), 0), { version: 1, artifacts: [] });
    document("store", await json(folder, "store", "check"), 0);
    document("stats", await json(folder, "stats"), 0);
    const zeros = `sha256:${"0".repeat(64)}`;
    const cases: [number, ...string[]][] = [
      [2, "keys", "list"],
      [2, "log", "show"],
      [2, "verify", zeros],
      [2, "build"],
      [2, "init"],
      [1, "lock", "--check"],
      [2, "frobnicate"],
    ];
    await Promise.all(cases.map(async ([code, ...args]) => document("error", await json(folder, ...args), code)));
  });

  test("a build against somebody's artifact: the same, and another", async (t) => {
    const folder = project(t, { "bitforbit.toml": recipe("echo one > out", '"out"'), same: "one\n", other: "two\n" });
    const same = document("check", await json(folder, "check", "--against", "same"), 0);
    assert.equal(same["verdict"], "matches-given");
    const other = document("check", await json(folder, "check", "--against", "other", "--quick"), 1);
    assert.equal(other["verdict"], "differs-from-given");
    assert.equal(lengthOf(other["causes"]), 1);
  });

  test("diff: equal, different, left out", async (t) => {
    const folder = scratchFolder(t);
    writeFiles(folder, { "a/x": "1\n", "a/y": "1\n", "b/x": "2\n", "b/y": "1\n" });
    assert.deepEqual(document("diff", await json(folder, "diff", "a", "a"), 0), {
      version: 2,
      equal: true,
      verdict: "identical",
      excluded: [],
      incomplete: [],
    });
    assert.equal(document("diff", await json(folder, "diff", "a", "b"), 1)["equal"], false);
    const without = document("diff", await json(folder, "diff", "a", "b", "--exclude", "x"), 0);
    assert.deepEqual(without["excluded"], [{ rule: "path x", leaves: 1, bytes: 2 }]);
    assert.equal(without["verdict"], "equal but for what was excluded");
    const kinds = document("diff", await json(folder, "diff", "a", "b", "--exclude-kind", "order", "text"), 0);
    assert.deepEqual(kinds["excluded"], [
      { rule: "kind order", leaves: 0, bytes: 0 },
      { rule: "kind text", leaves: 1, bytes: 2 },
    ]);
    document("error", await json(folder, "diff", "a", "nothing"), 2);
  });

  test("serve says where it answers, once", { timeout: 20_000 }, async (t) => {
    const folder = scratchFolder(t);
    const main = resolve(import.meta.dirname, "../src/cli/main.ts");
    const child = spawn(process.execPath, [main, "serve", "--port", "0", "--json"], { cwd: folder });
    t.after(() => child.kill("SIGKILL"));
    let [stdout, stderr] = ["", ""];
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    while (!stdout.endsWith("}\n")) {
      const [chunk] = (await once(child.stdout, "data")) as [Buffer];
      stdout += chunk.toString();
    }
    child.kill("SIGTERM");
    const [code] = (await once(child, "close")) as [number];
    assert.match(String(document("serve", { code, stdout, stderr }, 0)["url"]), /^http:\/\/127\.0\.0\.1:\d+/);
  });
});
