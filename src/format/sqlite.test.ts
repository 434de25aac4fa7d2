import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { sqliteParts } from "./sqlite.ts";
import { declarationOf, varint } from "./sqlite-record.ts";

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(`test/golden/sqlite/${name}.db`));

function at(parts: Shown[], path: string): string | undefined {
  return parts.find((part) => part.path === path)?.shown;
}

async function rows(name: string): Promise<string[]> {
  const parts = await expanded(golden(name), sqliteParts);
  const shown = parts.filter((part) => /^table \w+ row [^›]+$/.test(part.path) && part.shown !== undefined);
  return shown.map((part) => `${part.path}: ${part.shown}`).toSorted();
}

const value = (...bytes: number[]): bigint | undefined => varint(Uint8Array.from(bytes), 0)?.value;

test("header, schema and rows by name", async () => {
  const parts = await expanded(golden("changed/a"), sqliteParts);
  assert.equal(at(parts, "page size"), "1024");
  assert.equal(at(parts, "user version"), "7");
  assert.equal(at(parts, "application id"), "0x1234");
  assert.equal(at(parts, "text encoding"), "utf8");
  assert.match(at(parts, "schema: view adults › sql") ?? "", /^"CREATE VIEW adults AS/);
  assert.equal(at(parts, "table people row 17 › name"), '"person number 17"');
  assert.equal(at(parts, "table people row 17 › score"), "25.5");
  assert.equal(at(parts, "table people row 17 › active flag"), "1");
  assert.equal(at(parts, "table people row 17 › photo"), "NULL");
  assert.match(at(parts, "table people row 20") ?? "", /x'0{120}…' \(1500 bytes\), 0$/);
  assert.equal(at(parts, 'table settings row "net", "port" › value'), "8080");
  assert.equal(parts.filter((part) => /^table people row \d+$/.test(part.path)).length, 60);
  assert.ok(parts.some((part) => part.path === "index people_name" && part.kind === "derived"));
});

test("a vacuumed database has the same rows", async () => {
  const found = await rows("vacuumed/a");
  assert.equal(found.length, 64);
  assert.deepEqual(found, await rows("vacuumed/b"));
});

test("numbers of one to nine bytes", () => {
  assert.equal(value(0x7f), 127n);
  assert.equal(value(0x81, 0), 128n);
  assert.equal(value(0x81, 0x80, 0x80, 0x80, 0), 1n << 28n);
  assert.equal(value(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), -1n);
  assert.equal(value(0xff, 0xff), undefined);
});

test("columns of a statement", () => {
  const sql = `CREATE TABLE "a ""b"(x INT DEFAULT (1,2), [y z] TEXT CHECK([y z] <> ','), 'k' PRIMARY KEY, UNIQUE(x), q)`;
  assert.deepEqual(declarationOf(sql), { columns: ["x", "y z", "k", "q"], key: ["k"] });
  assert.deepEqual(declarationOf("CREATE TABLE t(a, b, PRIMARY KEY(b, a))").key, ["b", "a"]);
});

test("hostile databases", async () => {
  await survives(golden("changed/b"), sqliteParts, 250);
  await survives(golden("vacuumed/b"), sqliteParts, 100);
});
