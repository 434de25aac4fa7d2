/** `log search` as operators and strangers run it: its own log's statements, copies, proofs, and what is refused. */
import { strict as assert } from "node:assert";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { bitforbit, project, type Ran, scratchFolder } from "./command.ts";

test("log search: statements about an artifact, proofs for strangers, and bad input", async (t) => {
  const folder = project(t, { "hello.txt": "hello\n" });
  const away = scratchFolder(t);
  const run = async (code: number, ...args: string[]): Promise<Ran> => {
    const ran = await bitforbit(folder, args);
    assert.equal(ran.code, code, `${args.join(" ")}: ${ran.stderr}${ran.stdout}`);
    return ran;
  };
  const search = async (code: number, ...args: string[]): Promise<Ran> => await run(code, "log", "search", ...args);
  writeFileSync(join(folder, "results.json"), JSON.stringify({ result: "PASSED", configuration: [] }));
  const attest = ["attest", "hello.txt", "--type", "test-result", "--predicate", "results.json"];
  await run(0, ...attest, "-o", "bundle.json");
  writeFileSync(join(away, "log.pub"), (await run(0, "log", "key")).stdout);
  const digest = `sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03`;

  // The artifact itself was not signed; a statement about it was, and is found by the statement.
  const own = await search(0, "--digest", digest, "--bundle", "bundle.json", "--proof", join(away, "answer.json"));
  assert.match(own.stdout, /digest sha256:5891\S+: nothing/);
  assert.match(own.stdout, /about sha256:5891\S+: 1 entry: 0/);
  await run(0, "log", "export", join(away, "log"));

  const stranger = async (code: number, ...args: string[]): Promise<Ran> => {
    const ran = await bitforbit(away, ["log", "search", "--log-key", "log.pub", ...args]);
    assert.equal(ran.code, code, `${args.join(" ")}: ${ran.stderr}${ran.stdout}`);
    return ran;
  };
  writeFileSync(join(away, "bundle.json"), readFileSync(join(folder, "bundle.json")));
  const verified = await stranger(0, "--verify", "answer.json", "--digest", digest, "--bundle", "bundle.json");
  assert.match(verified.stdout, /about sha256:5891\S+: 1 entry: 0\nproven complete for the 1 entry of /);
  // From the copy alone, whose index the log signed.
  await stranger(0, "--log", "log", "--digest", digest, "--bundle", "bundle.json", "--proof", "again.json");
  assert.equal(readFileSync(join(away, "again.json"), "utf8"), readFileSync(join(away, "answer.json"), "utf8"));
  await stranger(0, "--verify", "again.json", "--log-size", "1");
  assert.match(
    (await stranger(1, "--verify", "again.json", "--log-size", "2")).stderr,
    /the first 1 entries, not about 2/,
  );
  const none = `sha256:${"0".repeat(64)}`;
  assert.match(
    (await stranger(1, "--verify", "again.json", "--digest", none)).stderr,
    /no answer about digest sha256:000/,
  );

  const answer = readFileSync(join(away, "answer.json"), "utf8");
  writeFileSync(join(away, "changed.json"), answer.replace(/"found": \[\s*0\s*\]/, '"found": []'));
  assert.notEqual(readFileSync(join(away, "changed.json"), "utf8"), answer);
  assert.match((await stranger(1, "--verify", "changed.json")).stderr, /is not proven complete/);

  for (const [args, said] of [
    [[], /takes one of --digest, --key, --name, --package/],
    [["--digest", "sha256:1"], /not a digest: "sha256:1"/],
    [["--key", "nothing.pem"], /cannot read nothing.pem/],
    [["--digest", digest, "--name", "x"], /--digest and --name are not for one search/],
    [["--name", "x", "--bundle", "bundle.json"], /--bundle is for --digest and --package/],
    [["--package", "unheard-of"], /nothing is known of a package "unheard-of"/],
    [["--digest", none, "--bundle", "bundle.json"], /bundle.json is not about sha256:000/],
    [["--verify", "results.json"], /results.json has the unknown field "result"/],
    [["--verify", "gone.json"], /cannot read gone.json: it is not there/],
  ] as const) {
    assert.match((await search(2, ...args)).stderr, said);
  }
  assert.match((await search(0, "--package", "hello.txt", "--bundle", "bundle.json")).stdout, /: 1 entry: 0/);
  assert.match(
    (await search(0, "--name", "nobody@example.org")).stdout,
    /name nobody@example.org: nothing\nthis is all/,
  );
  rmSync(join(away, "log", "search.json"));
  assert.match(
    (await stranger(2, "--log", "log", "--digest", none, "--proof", "x.json")).stderr,
    /publishes no signed search index/,
  );

  // The log grew: what was published is old, and is signed anew for the next answer.
  await run(0, ...attest);
  const second = await search(0, "--digest", digest, "--bundle", "bundle.json", "--proof", "second.json");
  assert.match(second.stdout, /the 2 entries of .*\nsigned: \S+search\.json\nproof: second\.json/s);
});
