/** `verify --trusted-root` as a user runs it, on bundles by a Sigstore of the test's own. */
import { strict as assert } from "node:assert";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { JsonObject } from "../src/json.ts";
import { ARTIFACT, Authority, bytesOf, COMMIT, DIGEST, IDENTITY, ISSUER } from "./authority.ts";
import { bitforbit, scratchFolder } from "./command.ts";

const authority = new Authority();
const SIGNER = ["--identity", IDENTITY, "--issuer", ISSUER];
const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, validateFormats: false });
for (const file of globSync("schemas/*.schema.json")) {
  const schema = JSON.parse(readFileSync(file, "utf8")) as { $schema: string };
  if (schema.$schema.includes("2020-12")) ajv.addSchema(schema);
}

function parsed(stdout: string): JsonObject {
  const value = JSON.parse(stdout) as JsonObject;
  const validate = ajv.getSchema("https://bitforbit.dev/schemas/verify.schema.json") ?? assert.fail();
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
