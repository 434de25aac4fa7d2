/** Keyless signing, from the token to a bundle that the field's verifiers take, and every way in which it can fail. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { statement } from "../src/attest/statement.ts";
import { TEST_RESULT } from "../src/attest/statement-kinds.ts";
import { utf8 } from "../src/bytes.ts";
import { digestOf } from "../src/digest.ts";
import { BitforbitError } from "../src/errors.ts";
import { attestKeyless, type KeylessRequest, openKeyless } from "../src/flow/keyless.ts";
import type { ServiceOptions } from "../src/keys/bounded-request.ts";
import { Authority, ecPair, type TrustedRootJson } from "./authority.ts";
import { bitforbit, project, type Ran, writeFiles } from "./command.ts";
import { cosign } from "./cosign.ts";
import { type Fault, JOB } from "./fulcio.ts";
import { type KeylessParts, keylessParts } from "./keyless-parts.ts";
import { sigstoreJs } from "./sigstore-oracle.ts";

const ARTIFACT = utf8("signed by a job\n");
const made = statement([{ name: "tool", digest: digestOf(ARTIFACT) }], TEST_RESULT, {
  result: "PASSED",
  configuration: [],
});

/** As a job would: `attest` on the command line, with the token in a variable unless `environment` says another place. */
async function attested(parts: KeylessParts, more: string[] = [], environment = token(parts)): Promise<Ran> {
  writeFiles(parts.folder, { tool: "signed by a job\n", "tests.json": '{"result":"PASSED","configuration":[]}' });
  const args = ["attest", "tool", "--type", "test-result", "--predicate", "tests.json", "-o", "tool.sigstore.json"];
  return await bitforbit(parts.folder, [...args, ...more], { ...NO_TOKENS, ...environment });
}

const NO_TOKENS = {
  BITFORBIT_IDENTITY_TOKEN: "",
  SIGSTORE_ID_TOKEN: "",
  ACTIONS_ID_TOKEN_REQUEST_URL: "",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "",
};
const token = (parts: KeylessParts): Record<string, string> => ({ SIGSTORE_ID_TOKEN: parts.token() });

/** A run's document, held to its schema. */
function document(name: string, { stdout }: Ran): unknown {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  for (const file of globSync("schemas/*.schema.json")) {
    const schema = JSON.parse(readFileSync(file, "utf8")) as { $schema: string };
    if (schema.$schema.includes("2020-12")) ajv.addSchema(schema);
  }
  const validate = ajv.getSchema(`https://bitforbit.dev/schemas/${name}.schema.json`);
  const value: unknown = JSON.parse(stdout);
  assert.ok(validate?.(value), `${name}: ${JSON.stringify(validate?.errors)}`);
  return value;
}

/** Nothing that a run wrote or printed has the token, or a part of it that is long enough to be told. */
function assertUnseen(parts: KeylessParts, ran: Ran, secret: string): void {
  const files = globSync("**/*", { cwd: parts.folder })
    .concat(globSync(".bitforbit/**/*", { cwd: parts.folder }))
    .map((name) => join(parts.folder, name))
    .filter((path) => lstatSync(path).isFile() && !path.endsWith(".token"));
  assert.ok(files.length > 3, "there is something to look into");
  const texts = [ran.stdout, ran.stderr, ...files.map((path) => readFileSync(path, "latin1"))];
  for (const part of secret.split(".").slice(1)) {
    for (const text of texts) assert.ok(!text.includes(part), "a part of the token was seen");
  }
}

test("a job signs: our verify, @sigstore/verify and the log have it, and the token is nowhere", async (t) => {
  const parts = await keylessParts(t);
  const environment = token(parts);
  const ran = await attested(parts, parts.args, environment);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(
    ran.stderr,
    new RegExp(`token in \\$SIGSTORE_ID_TOKEN goes to ${parts.url}`),
    "what is contacted is said",
  );
  assert.deepEqual(parts.asked, ["POST /api/v2/signingCert", "POST /stamp"]);
  assert.ok(!existsSync(join(parts.folder, ".bitforbit", "keys")), "whoever signs without keys has none made");
  assertUnseen(parts, ran, environment["SIGSTORE_ID_TOKEN"] ?? "");
  const by = ["--trusted-root", parts.trustedRoot, "--identity", JOB, "--issuer", parts.url];
  const verified = await bitforbit(parts.folder, ["verify", "tool", ...by]);
  assert.equal(verified.code, 0, verified.stdout);
  const stranger = await bitforbit(parts.folder, ["verify", "tool", ...by.slice(0, 3), `${JOB}x`, ...by.slice(4)]);
  assert.equal(stranger.code, 1, stranger.stdout);
  const theirs = sigstoreJs({
    artifact: ARTIFACT,
    trustedRoot: readFileSync(parts.trustedRoot),
    identity: JOB,
    issuer: parts.url,
    key: undefined,
  });
  assert.equal(theirs(readFileSync(join(parts.folder, "tool.sigstore.json"))), undefined);
});

test("the real cosign takes what a job signed, offline, and no other identity", async (t) => {
  const program = cosign();
  if ("skip" in program) return t.skip(program.skip);
  const parts = await keylessParts(t);
  assert.equal((await attested(parts, parts.args)).code, 0);
  const run = (identity: string, issuer: string): number | null => {
    const at = (name: string): string => join(parts.folder, name);
    const by = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
    const files = ["--bundle", at("tool.sigstore.json"), "--trusted-root", parts.trustedRoot, at("tool")];
    const args = ["verify-blob-attestation", ...by, "--type", TEST_RESULT, "--use-signed-timestamps", ...files];
    const ran = spawnSync(program.path, args, {
      encoding: "utf8",
      timeout: 60_000,
      env: { HOME: parts.folder, HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
    });
    if (identity === JOB && issuer === parts.url) assert.match(ran.stderr, /Verified OK/);
    return ran.status;
  };
  assert.equal(run(JOB, parts.url), 0);
  assert.notEqual(run(`${JOB}x`, parts.url), 0);
  assert.notEqual(run(JOB, `${parts.url}0`), 0);
});

test("GitHub's token service, a file, and an e-mail address as the subject", async (t) => {
  const parts = await keylessParts(t);
  const github = {
    ACTIONS_ID_TOKEN_REQUEST_URL: `${parts.url}/token?v=1`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "job-secret",
  };
  const first = await attested(parts, [...parts.args, "--audience", "ours"], github);
  assert.equal(first.code, 0, first.stderr);
  assert.equal(parts.asked[0], "GET /token");
  const text = parts.token({ email: "someone@example.com", email_verified: true });
  writeFileSync(join(parts.folder, "job.token"), `${text}\n`);
  const second = await attested(parts, [...parts.args, "--identity-token", "job.token", "--json"], {});
  assert.equal(second.code, 0, second.stderr);
  const { identity, log } = document("attest", second) as { identity: object; log: { origin: string } };
  assert.deepEqual(identity, { subject: "someone@example.com", issuer: parts.url });
  assert.equal(log.origin, "log.example");
  assertUnseen(parts, second, text);
});

test("the home's own log takes the entries where no other is named", async (t) => {
  const parts = await keylessParts(t);
  const named = ["--keyless", "--trusted-root", parts.trustedRoot, "--fulcio", parts.url];
  const ran = await attested(parts, [...named, "--timestamp-authority", `${parts.url}/stamp`]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /entries in the project's own log/);
  const by = ["--identity", JOB, "--issuer", parts.url];
  const without = await bitforbit(parts.folder, ["verify", "tool", "--trusted-root", parts.trustedRoot, ...by]);
  assert.match(without.stdout, /log that is not trusted/);
  const merge = ["keys", "trusted-root", "--trusted-root", parts.trustedRoot, "-o", "both.json"];
  assert.equal((await bitforbit(parts.folder, merge)).code, 0);
  const verified = await bitforbit(parts.folder, ["verify", "tool", "--trusted-root", "both.json", ...by]);
  assert.equal(verified.code, 0, verified.stdout);
});

test("a build is signed by its job, stored, and says how to verify it", async (t) => {
  const parts = await keylessParts(t);
  const folder = project(t, {
    "bitforbit.toml": 'name = "thing"\ncommand = "echo x > out"\noutputs = ["out"]\n[environment]\ntype = "host"\n',
  });
  const ran = await bitforbit(folder, ["build", "--once", ...parts.args], { ...NO_TOKENS, ...token(parts) });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout + ran.stderr, new RegExp(`signed by\\s+${JOB.replaceAll(/[.]/g, "\\.")}`));
  const by = ["--trusted-root", parts.trustedRoot, "--identity", JOB, "--issuer", parts.url];
  const verified = await bitforbit(folder, [
    "verify",
    "dist/out",
    ...by,
    "--bundle",
    "dist/thing.provenance.sigstore.json",
  ]);
  assert.equal(verified.code, 0, verified.stdout);
  const again = await bitforbit(folder, ["build", "--once", "--json", ...parts.args], {
    ...NO_TOKENS,
    ...token(parts),
  });
  const { identity } = document("build", again) as { identity: object };
  assert.deepEqual(identity, { subject: JOB, issuer: parts.url });
  // Nobody whom this home knows signed it.
  assert.equal((await bitforbit(folder, ["verify", "dist/out"])).code, 2);
});

const by = (name: string): string[] => ["--policy", `trust/${name}.toml`];

test("a policy names the job: verify, policy test and policy explain go by it, and say who was found", async (t) => {
  const parts = await keylessParts(t);
  const folder = project(t, {
    "bitforbit.toml": 'name = "thing"\ncommand = "echo x > out"\noutputs = ["out"]\n[environment]\ntype = "host"\n',
  });
  const built = await bitforbit(folder, ["build", "--once", ...parts.args], { ...NO_TOKENS, ...token(parts) });
  assert.equal(built.code, 0, built.stderr);
  const policy = (subject: string): string => `version = 1
builders = ["https://bitforbit.dev/builder/local/v1"]
sources = ["*"]
requireCanonical = false
requireReproduced = false
trustedRoot = "trusted_root.json"
[[identities]]
name = "release"
issuer = "${parts.url}"
subject = "${subject}"
repository = "https://github.com/example/tool"
`;
  writeFiles(folder, {
    "trust/trusted_root.json": readFileSync(parts.trustedRoot, "utf8"),
    "trust/policy.toml": policy(JOB),
    "trust/other.toml": policy(JOB.replace("release.yml", "other.yml")),
    "trust/loose.toml": policy("https://github.com/*"),
    "trust/rootless.toml": policy(JOB).replace("trusted_root.json", "none.json"),
    "cases.toml": '[[case]]\nname = "the job"\nartifact = "dist/out"\nbundles = []\nallow = true\n',
    "denied.toml": '[[case]]\nname = "another"\nartifact = "dist/out"\nallow = false\ndecidedBy = "identity"\n',
  });
  const run = async (code: number, ...args: string[]): Promise<Ran> => {
    const ran = await bitforbit(folder, args, NO_TOKENS);
    assert.equal(ran.code, code, `${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
    return ran;
  };
  assert.match(
    (await run(0, "verify", "dist/out", ...by("policy"))).stdout,
    new RegExp(`vouched for by\\s+${parts.url}`),
  );
  document("verify", await run(0, "verify", "dist/out", "--json", ...by("policy")));
  document("policy", await run(0, "policy", "show", "--json", ...by("policy")));
  const denied = await run(1, "verify", "dist/out", ...by("other"));
  assert.match(
    denied.stdout,
    /release\.yml@refs\/heads\/main, vouched for by .* is not accepted: release: the subject/,
  );
  const explained = await run(1, "policy", "explain", "dist/out", ...by("other"));
  assert.match(explained.stdout, /decided by: identity; to be allowed, at least:/);
  assert.match(explained.stdout, /add it to the policy's identities/);
  await run(0, "policy", "test", "cases.toml", ...by("policy"));
  // The home that signed keeps no keys and no log: its evidence goes out all the same, and comes back whole.
  const digest = digestOf(readFileSync(join(folder, "dist/out")));
  await run(0, "evidence", "export", digest, "-o", "all.evidence");
  await run(0, "evidence", "verify", "dist/out", "--evidence", "all.evidence", ...by("policy"));
  await run(1, "evidence", "verify", "dist/out", "--evidence", "all.evidence", ...by("other"));
  await run(0, "policy", "test", "denied.toml", ...by("other"));
  await run(1, "policy", "test", "cases.toml", ...by("other"));
  assert.match(
    (await run(2, "verify", "dist/out", ...by("loose"))).stderr,
    /identities\.0\.subject: a \* may only stand/,
  );
  assert.match((await run(2, "verify", "dist/out", ...by("rootless"))).stderr, /cannot read .*none\.json/);
});

/** The library, with waits that take no time; the error that it must throw, or undefined. */
async function failureOf(
  parts: KeylessParts,
  { environment = token(parts), request = {}, ...options }: ServiceOptions & { request?: Partial<KeylessRequest> },
): Promise<BitforbitError | undefined> {
  const { trustedRoot, signingConfig } = parts;
  const services = { environment, now: () => Date.now(), pause: async () => {}, ...options };
  try {
    const keyless = await openKeyless({ trustedRoot, signingConfig, ...request }, services);
    await attestKeyless([made, made], keyless, undefined);
    return undefined;
  } catch (error) {
    if (error instanceof BitforbitError) return error;
    throw error;
  }
}

const FAULTS: Record<string, { fault: Fault; says: RegExp; asked?: number; edit?: (root: TrustedRootJson) => void }> = {
  "Fulcio refuses": { fault: { status: 403 }, says: /answered 403: There was an error processing/, asked: 1 },
  "Fulcio repeats the token": { fault: { status: 400, echo: true }, says: /answered 400: There was/, asked: 1 },
  "Fulcio is down": { fault: { status: 503 }, says: /answered 503.*after 4 attempts/, asked: 4 },
  "Fulcio answers garbage": { fault: { garbage: "fulcio" }, says: /what is no JSON object/, asked: 1 },
  "a certificate for another key": { fault: { otherKey: true }, says: /a certificate for another key/, asked: 1 },
  "another authority's certificate": { fault: { by: new Authority() }, says: /certificate by .* is no good/, asked: 1 },
  "no certificate timestamp": { fault: { twist: { noSct: true } }, says: /not shown to a certificate tr/, asked: 1 },
  "one by another log": { fault: { twist: { sctKey: ecPair() } }, says: /timestamp is not one by the log/, asked: 1 },
  "a certificate that has ended": {
    fault: { twist: { leaf: { from: Date.now() - 1_200_000, until: Date.now() - 600_000 } } },
    says: /the certificate is valid from/,
    asked: 1,
  },
  "a certificate of tomorrow": {
    fault: { twist: { leaf: { from: Date.now() + 86_400_000, until: Date.now() + 87_000_000 } } },
    says: /the certificate is valid from/,
    asked: 1,
  },
  "timestamps refused": { fault: { stampStatus: 400 }, says: /the timestamp authority .* answered 400/, asked: 2 },
  "a timestamp on something else": {
    fault: { stamp: { stampKey: ecPair("P-384") } },
    says: /timestamp by .* no good/,
    asked: 2,
  },
  "timestamps of garbage": { fault: { garbage: "stamps" }, says: /timestamp by .* is no good/, asked: 2 },
  "a timestamp of another day": {
    fault: { stamp: { stampedAt: Date.now() - 86_400_000 } },
    says: /does not verify: time/,
  },
  "a log that the root does not have": {
    fault: {},
    says: /does not verify: log: the entry is in a log that is not trusted/,
    edit: (root) => void root.tlogs.pop(),
  },
};

for (const [name, { fault, says, asked, edit }] of Object.entries(FAULTS)) {
  test(`${name}: told, nothing kept, the token unseen`, async (t) => {
    const parts = await keylessParts(t, fault, edit);
    const environment = token(parts);
    const error = await failureOf(parts, { environment });
    assert.ok(error !== undefined, "it was signed");
    assert.equal(error.code, "outside");
    assert.match(error.message, says);
    const whole = `${error.message} ${error.hint} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    for (const part of (environment["SIGSTORE_ID_TOKEN"] ?? "").split(".")) assert.ok(!whole.includes(part), whole);
    if (asked === undefined) return;
    assert.equal(parts.asked.length, asked, parts.asked.join(", "));
    assert.equal((await parts.log.checkpoint()).size, 0, "nothing was logged before all was there");
  });
}

test("what is busy twice is asked again; what says nothing is given up after four attempts", async (t) => {
  const parts = await keylessParts(t, { busy: 2 });
  assert.equal(await failureOf(parts, {}), undefined);
  for (const silent of ["fulcio", "stamps", "github"] as const) {
    parts.fault.silent = silent;
    parts.fault.busy = 0;
    const environment = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${parts.url}/token`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "job-secret",
    };
    const error = await failureOf(parts, { environment, timeoutMilliseconds: silent === "github" ? 50 : 500 });
    assert.match(error?.message ?? "", /no answer in time after 4 attempts/, silent);
    assert.equal(error?.code, "outside");
  }
});

test("a token is looked at before it is sent: expired, for others, of nobody, or none", async (t) => {
  const parts = await keylessParts(t);
  const past = Math.floor(Date.now() / 1000) - 90;
  const cases: [string, RegExp][] = [
    [parts.token({ exp: past }), /expired 9\d seconds ago/],
    [parts.token({ aud: "https://other.example" }), /is for \["https:\/\/other\.example"\], not for sigstore/],
    [parts.token({ email: "a@example.com", email_verified: false }), /did not verify/],
    [parts.token({ sub: "" }), /names no subject/],
    [parts.token({ iss: 5 }), /does not say who issued it/],
    ["not.a token", /is not a JSON web token/],
    [`a.${Buffer.from("{secret").toString("base64url")}.b`, /is not a JSON web token/],
    [`${"A".repeat(17_000)}.e30.A`, /is larger than/],
  ];
  for (const [text, says] of cases) {
    const error = await failureOf(parts, { environment: { BITFORBIT_IDENTITY_TOKEN: text } });
    assert.match(error?.message ?? "", says);
    assert.ok(!`${error?.message} ${String(error?.cause)}`.includes("secret"), error?.message);
  }
  const none = await failureOf(parts, { environment: {} });
  assert.deepEqual([none?.code, /id-token: write/.test(none?.hint ?? "")], ["lacking", true]);
  const refused = await failureOf(parts, {
    environment: { ACTIONS_ID_TOKEN_REQUEST_URL: `${parts.url}/token`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "wrong" },
  });
  assert.match(refused?.message ?? "", /GitHub's token service: answered 401: not allowed: bearer …/);
  assert.deepEqual(parts.asked, ["GET /token"], "no token was sent to anybody");
  const clear = await failureOf(parts, { request: { authority: "http://fulcio.example" } });
  assert.match(clear?.message ?? "", /would be sent credentials in the clear/);
});

test("the command line: what is missing or contradicts is said, and a service that is down is exit 4", async (t) => {
  const parts = await keylessParts(t, { status: 503 });
  const cases: [number, RegExp, ...string[]][] = [
    [2, /--keyless needs --trusted-root/, "--keyless"],
    [2, /--fulcio needs --keyless/, "--fulcio", parts.url],
    [2, /needs a certificate authority/, "--keyless", "--trusted-root", parts.trustedRoot],
    [2, /needs a timestamp authority/, "--keyless", "--trusted-root", parts.trustedRoot, "--fulcio", parts.url],
    [2, /cannot read none\.json/, "--keyless", "--trusted-root", "none.json"],
    [2, /has the unknown field "caUrls"/, "--keyless", "--trusted-root", parts.signingConfig],
    [4, /certificate authority .* answered 503/, ...parts.args],
  ];
  for (const [code, says, ...more] of cases) {
    const ran = await attested(parts, more);
    assert.equal(ran.code, code, `${more.join(" ")}: ${ran.stderr}`);
    assert.match(ran.stderr, says);
    assert.ok(!existsSync(join(parts.folder, "tool.sigstore.json")));
  }
  const nobody = await attested(parts, parts.args, {});
  assert.deepEqual([nobody.code, /there is no identity token/.test(nobody.stderr)], [2, true]);
});

test("an authority without a transparency log: its root names none, and its certificates need no timestamp", async (t) => {
  const parts = await keylessParts(t, { twist: { noSct: true } }, (root) => void (root.ctlogs = []));
  assert.equal(await failureOf(parts, {}), undefined);
  // One that carries a timestamp of a log that nobody named is still refused.
  parts.fault.twist = {};
  assert.match((await failureOf(parts, {}))?.message ?? "", /transparency log that is not trusted/);
});
