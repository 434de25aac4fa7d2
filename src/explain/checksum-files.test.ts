/** A checksum file follows from the files whose digests it holds, and a random number or the hash of something else does not. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { checksumFiles } from "./checksum-files.ts";

const own = mkdtempSync(join(tmpdir(), "checksum-files-"));
after(() => rmSync(own, { recursive: true, force: true }));

const hash = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest("hex");

const data = (side: string): string => `data of ${side}`;

/** Writes one folder a side; the functions make the content from the side's letter. */
function sides(files: Record<string, (side: string) => string>): [string, string] {
  return ["a", "b"].map((side) => {
    const folder = mkdtempSync(join(own, `${side}-`));
    mkdirSync(join(folder, "sub"));
    for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content(side));
    return folder;
  }) as [string, string];
}

test("digests of the own side's files are found, of any common algorithm", async () => {
  const folders = sides({
    "sub/data": data,
    SHA256SUMS: (side) => `${hash("sha256", data(side))}  sub/data\n${hash("sha256", "same")}  other\n`,
    "data.md5": (side) => `${hash("md5", data(side)).toUpperCase()}\n`,
    "data.sha512": (side) => hash("sha512", data(side)),
  });
  const found = await checksumFiles(folders, ["sub/data", "SHA256SUMS", "data.md5", "data.sha512"]);
  assert.deepEqual(Object.fromEntries(found), {
    SHA256SUMS: "sub/data",
    "data.md5": "sub/data",
    "data.sha512": "sub/data",
  });
});

test("what only looks like a digest is none: of the path, of the other side's file, of itself", async () => {
  const folders = sides({
    data,
    path: (side) => hash("sha256", `/build/${side}`),
    swapped: (side) => hash("sha256", data(side === "a" ? "b" : "a")),
    more: (side) => `${hash("sha256", data(side))} and ${hash("sha256", `unknown ${side}`)}`,
  });
  assert.equal((await checksumFiles(folders, ["data", "path", "swapped", "more", "missing"])).size, 0);
});
