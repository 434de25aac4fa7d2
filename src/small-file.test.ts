import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { BitforbitError } from "./errors.ts";
import { smallFile, smallText } from "./small-file.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-small-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

function refusal(path: string, most: number): { code: string; message: string } {
  try {
    smallFile(path, most);
  } catch (error) {
    assert.ok(error instanceof BitforbitError);
    return { code: error.code, message: error.message };
  }
  return assert.fail(`${path} was read`);
}

test("a small file is read to its last byte", () => {
  writeFileSync(at("empty"), "");
  writeFileSync(at("text"), "größer\n");
  assert.deepEqual(smallFile(at("empty"), 0), new Uint8Array());
  assert.equal(smallText(at("text"), 9), "größer\n");
});

test("what is too large, missing or no file is refused by its name", () => {
  writeFileSync(at("nine"), "123456789");
  assert.deepEqual(refusal(at("nine"), 8), { code: "limit", message: `${at("nine")} is larger than 8 bytes` });
  assert.deepEqual(refusal(at("none"), 8), { code: "input", message: `cannot read ${at("none")}: ENOENT` });
  assert.deepEqual(refusal(folder, 8), { code: "input", message: `${folder} is not a regular file` });
  assert.deepEqual(refusal("/dev/null", 8), { code: "input", message: "/dev/null is not a regular file" });
});

test("a pipe that nobody writes to does not keep us waiting", () => {
  assert.equal(spawnSync("mkfifo", [at("pipe")]).status, 0);
  assert.deepEqual(refusal(at("pipe"), 8), { code: "input", message: `${at("pipe")} is not a regular file` });
});
