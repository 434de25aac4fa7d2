/** `verify --trusted-root` as a user runs it, on bundles by a Sigstore of the test's own. */
import { strict as assert } from "node:assert";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { JsonObject } from "../src/json.ts";
import { policyToml } from "../src/policy/policy.ts";
import { ARTIFACT, Authority, bytesOf, COMMIT, DIGEST, IDENTITY, ISSUER } from "./authority.ts";
import { bitforbit, scratchFolder } from "./command.ts";
import { ARTIFACT as EVIDENCED, makeHome, removeHome } from "./evidence.ts";

const authority = new Authority();
const SIGNER = ["--identity", IDENTITY, "--issuer", ISSUER];
const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, validateFormats: false });
for (const file of globSync("schemas/*.schema.json")) {
  const schema = JSON.parse(readFileSync(file, "utf8")) as { $schema: string };
  if (schema.$schema.includes("2020-12")) ajv.addSchema(schema);
}

function parsed(stdout: string, verb = "verify"): JsonObject {
  const value = JSON.parse(stdout) as JsonObject;
  const validate = ajv.getSchema(`https://bitforbit.dev/schemas/${verb}.schema.json`) ?? assert.fail();
  assert.ok(validate(value), JSON.stringify(validate.errors));
  return value;
}

function folderWith(t: Parameters<typeof scratchFolder>[0]): string {
  const folder = scratchFolder(t);
  const put = (name: string, bytes: Uint8Array | string): void => writeFileSync(join(folder, name), bytes);
  put("tool", ARTIFACT);
  put("tool.sigstore.json", bytesOf(authority.bundle(DIGEST)));
  put("other", "another\n");
  put("root.json", authority.trustedRoot());
  return folder;
}

test("a file and a digest, with the chain to the commit; denied for another signer; --json by its schema", async (t) => {
  const folder = folderWith(t);
  const root = ["--trusted-root", "root.json", ...SIGNER];
  const file = await bitforbit(folder, ["verify", "tool", ...root]);
  assert.equal(file.code, 0, file.stdout + file.stderr);
  for (const part of [/allowed under root\.json/, new RegExp(`commit +${COMMIT}`), /signed at +2026-06-01T12:00:00Z/]) {
    assert.match(file.stdout, part);
  }
  const digest = await bitforbit(folder, ["verify", DIGEST, ...root, "--json", "--bundle", "tool.sigstore.json"]);
  assert.equal(digest.code, 0, digest.stderr);
  const document = parsed(digest.stdout);
  assert.equal(document["allowed"], true);
  assert.deepEqual((document["chain"] as JsonObject[]).at(-1), { link: "commit", is: COMMIT });
  const stranger = ["--trusted-root", "root.json", "--identity", "https://github.com/other/*", "--issuer", ISSUER];
  const denied = await bitforbit(folder, ["verify", "tool", ...stranger, "--json"]);
  assert.equal(denied.code, 1);
  assert.equal((parsed(denied.stdout)["reasons"] as JsonObject[]).at(-1)?.["check"], "identity");
  assert.equal((await bitforbit(folder, ["verify", "other", ...root])).code, 1, "no bundle but another's is beside it");
});

test("many at once: arguments and a list, each its line, exit 1 when one is denied", async (t) => {
  const folder = folderWith(t);
  writeFileSync(join(folder, "list"), `tool\n\n${DIGEST}\n`);
  const root = ["--trusted-root", "root.json", ...SIGNER];
  const all = await bitforbit(folder, ["verify", "tool", "--list", "list", ...root, "--bundle", "tool.sigstore.json"]);
  assert.equal(all.code, 0, all.stdout + all.stderr);
  assert.match(all.stdout, /3 of 3 allowed/);
  const some = await bitforbit(folder, ["verify", "tool", "other", ...root, "--json"]);
  assert.equal(some.code, 1);
  const { count, denied, artifacts } = parsed(some.stdout);
  assert.deepEqual([count, denied], [2, 1]);
  assert.deepEqual(
    (artifacts as JsonObject[]).map(({ allowed }) => allowed),
    [true, false],
  );
});

test("what cannot be decided ends with 2 and says what to do", async (t) => {
  const folder = folderWith(t);
  writeFileSync(join(folder, "broken.json"), '{"mediaType":"x"}');
  for (const [args, message] of [
    [["tool", "--trusted-root", "root.json"], /needs --identity and --issuer, or --key/],
    [["tool", "--trusted-root", "root.json", "--identity", IDENTITY], /needs --identity and --issuer/],
    [["tool", "--trusted-root", "root.json", "--identity", "*", "--issuer", ISSUER], /accepts anybody/],
    [["tool", "--trusted-root", "root.json", "--key", "tool", ...SIGNER], /--key excludes --identity/],
    [["tool", "--trusted-root", "root.json", "--key", "tool"], /tool is not one PEM block/],
    [["tool", "--trusted-root", "root.json", "--policy", "p", ...SIGNER], /--trusted-root and --policy exclude/],
    [["tool", "--identity", IDENTITY], /--identity needs --trusted-root/],
    [["tool", "--trusted-root", "broken.json", ...SIGNER], /broken\.json: mediaType is "x"/],
    [["tool", "--trusted-root", "missing.json", ...SIGNER], /cannot read missing\.json: ENOENT/],
    [["missing", "--trusted-root", "root.json", ...SIGNER], /cannot read missing: ENOENT/],
    [["--list", "missing", "--trusted-root", "root.json", ...SIGNER], /cannot read missing: ENOENT/],
    [[], /verify takes files or digests/],
  ] as const) {
    const ran = await bitforbit(folder, ["verify", ...args]);
    assert.equal(ran.code, 2, `${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, message);
  }
});

test("policy test and policy explain: cases that hold and fail, the least change, --json by its schema", async (t) => {
  const folder = scratchFolder(t);
  const home = await makeHome(3);
  t.after(() => removeHome(home));
  const put = (name: string, bytes: Uint8Array | string): void => writeFileSync(join(folder, name), bytes);
  const keys = [{ name: "builder", publicKeyPem: home.keys.artifact.publicKeyPem }];
  const policy = {
    ...home.request.policy,
    minimumLevel: 2,
    rules: [{ name: "own", expression: "size(signers) >= 1" }],
  };
  put("policy.toml", policyToml(policy, { keys, logs: [home.log.identity] }));
  put("loose.toml", policyToml({ ...policy, minimumLevel: 0 }, { keys, logs: [home.log.identity] }));
  put("hello", EVIDENCED);
  for (const [at, bundle] of home.bundles.entries()) put(`${at}.sigstore.json`, bundle);
  put(
    "cases.toml",
    `[[case]]\nname = "a release"\nartifact = "hello"\nallow = true\n\n[[case]]\nname = "nobody's"\nartifact = "policy.toml"\nallow = false\ndecidedBy = "subject"\n`,
  );
  const passes = await bitforbit(folder, ["policy", "test", "cases.toml", "--policy", "loose.toml"]);
  assert.equal(passes.code, 0, passes.stdout + passes.stderr);
  assert.match(passes.stdout, /2 of 2 cases are decided as they must be/);
  const fails = await bitforbit(folder, ["policy", "test", "cases.toml", "--policy", "policy.toml", "--json"]);
  assert.equal(fails.code, 1, fails.stderr);
  assert.equal(parsed(fails.stdout, "policy")["failed"], 1);
  const explained = await bitforbit(folder, ["policy", "explain", "hello", "--policy", "policy.toml", "--json"]);
  assert.equal(explained.code, 1, explained.stderr);
  const { decidedBy, changes } = parsed(explained.stdout, "policy");
  assert.deepEqual(
    [decidedBy, (changes as JsonObject[]).map(({ policy: named }) => named)],
    ["level", [["minimumLevel"]]],
  );
  put("broken.toml", `[[case]]\nname = "x"\nartifact = "hello"\nallow = "yes"\n`);
  const broken = await bitforbit(folder, ["policy", "test", "broken.toml", "--policy", "loose.toml"]);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /broken\.toml: case\.0\.allow/);
  put(
    "rule.toml",
    policyToml({ ...policy, rules: [{ name: "own", expression: "1 +" }] }, { keys, logs: [home.log.identity] }),
  );
  assert.equal((await bitforbit(folder, ["verify", "hello", "--policy", "rule.toml"])).code, 2);
});
