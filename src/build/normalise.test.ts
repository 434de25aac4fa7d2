/** What packers of the machine write, normalised: the same from what differs, and the packers still read it. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes, type TarMember } from "../format/tar-write.ts";
import { zipBytes } from "../format/zip-write.ts";
import { normaliseOutputs } from "./normalise.ts";
import type { Still } from "./normalised.ts";

const EPOCH = 1_709_374_830; // 2024-03-02T10:20:30Z
const STILL: Still = { epoch: EPOCH, user: { uid: 1000, gid: 1000 } };

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function run(folder: string, script: string, env: Readonly<Record<string, string>> = {}): string {
  const ran = spawnSync("sh", ["-euc", script], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC", ...env },
  });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

/** Files as a build leaves them, normalised; what was told, and the bytes after. */
async function after(
  t: TestContext,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<{ told: string[]; bytes: Map<string, Buffer> }> {
  const folder = folderOf(t);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  const given = Object.keys(files).map((path) => ({ path, ...described(folder, path), executable: false }));
  const { outputs, told } = await normaliseOutputs(folder, given, STILL);
  for (const output of outputs)
    assert.deepEqual(described(folder, output.path), { digest: output.digest, size: output.size });
  return { told, bytes: new Map(outputs.map(({ path }) => [path, readFileSync(join(folder, path))])) };
}

function described(folder: string, path: string): { digest: ReturnType<typeof digestOf>; size: number } {
  return {
    digest: digestOf(new Uint8Array(readFileSync(join(folder, path)))),
    size: statSync(join(folder, path)).size,
  };
}

/** A tree as two builds leave it: other times, made in another order. */
function made(t: TestContext, year: number, names: readonly string[]): string {
  const folder = folderOf(t);
  for (const name of names) {
    mkdirSync(join(folder, "pkg"), { recursive: true });
    writeFileSync(join(folder, "pkg", name), `${name}\n`.repeat(50));
  }
  run(folder, `find pkg -exec touch -d ${year}-05-06T07:08:09.123456789Z {} +; touch -d 2001-02-03T04:05:06Z pkg/old`);
  return folder;
}

const NAMES = ["old", "b", "a", "c"];

test("tar and tar.gz, in GNU's and in PAX's form, with times, owners and orders of their own", async (t) => {
  for (const format of ["gnu", "pax", "ustar"]) {
    const both = await Promise.all(
      [2030, 2031].map(async (year) => {
        const folder = made(t, year, year === 2030 ? NAMES : NAMES.toReversed());
        const order = year === 2030 ? "pkg/b pkg/old pkg/a pkg/c" : "pkg/c pkg/a pkg/b pkg/old";
        run(
          folder,
          `tar --format=${format} --owner=builder:1000 --group=builder:1000 --no-recursion -cf out.tar ${order}; gzip -9 < out.tar > out.tgz`,
        );
        return await after(t, {
          "out.tar": readFileSync(join(folder, "out.tar")),
          "out.tgz": readFileSync(join(folder, "out.tgz")),
        });
      }),
    );
    const [a, b] = both;
    assert.deepEqual(a?.bytes, b?.bytes, format);
    assert.match(
      a?.told.join("\n") ?? "",
      /^out\.tar is normalised: [34] members' times, the owner, .*the order of members/,
    );
    const folder = folderOf(t);
    writeFileSync(join(folder, "x.tgz"), a?.bytes.get("out.tgz") ?? "");
    const listed = run(folder, "tar --numeric-owner --full-time -tvzf x.tgz; tar -xzf x.tgz; cat pkg/c | wc -l");
    assert.match(listed, /^-rw\S+ 0\/0 +100 2024-03-02 10:20:30 pkg\/a\n/);
    assert.match(listed, / 2001-02-03 04:05:06 pkg\/old\n50\n$/);
  }
});

const member = (name: string, more: Partial<TarMember> = {}): TarMember & { content: Uint8Array } => ({
  name,
  mtime: EPOCH + 9,
  content: Buffer.from(name),
  ...more,
});

test("what a tar means stays: hard links, two of one name, owners that were chosen, modes", async (t) => {
  const order = async (members: (TarMember & { content?: Uint8Array })[]): Promise<string> => {
    const { bytes, told } = await after(t, { "x.tar": tarBytes(members) });
    const folder = folderOf(t);
    writeFileSync(join(folder, "x.tar"), bytes.get("x.tar") ?? "");
    return `${run(folder, "tar --numeric-owner -tvf x.tar | sed 's/ .*[0-9] / /'")}${told.join()}`;
  };
  assert.equal(
    await order([member("z", { uid: 33, mode: 0o4755 }), member("a", { uid: 1000, gid: 1000, mode: 0o666 })]),
    "-rw-rw-rw- a\n-rwsr-xr-x z\nx.tar is normalised: 2 members' times, the order of members",
  );
  assert.match(await order([member("z"), member("a", { type: "1", linkName: "z" })]), /^-\S+ z\nh\S+ a link to z\n/);
  assert.match(await order([member("z"), member("a"), member("./z")]), /^-\S+ z\n-\S+ a\n-\S+ \.\/z\n/);
});

test("zip, jar and wheel: times in all their fields, order; the manifest first; the content the same", async (t) => {
  const python = `
import os, sys, zipfile
with zipfile.ZipFile("out.jar", "w", zipfile.ZIP_DEFLATED) as z:
    for name in sys.argv[2:]:
        info = zipfile.ZipInfo(name, (int(sys.argv[1]), 5, 6, 7, 8, 10))
        info.external_attr = 0o100755 << 16
        info.extra = b"UT\\x05\\x00\\x01" + (1900000000 + int(sys.argv[1])).to_bytes(4, "little") + b"ux\\x0b\\x00\\x01\\x04\\xe8\\x03\\x00\\x00\\x04\\xe8\\x03\\x00\\x00"
        z.writestr(info, name * 100)
`;
  const names = ["META-INF/MANIFEST.MF", "b/B.class", "a.txt", "META-INF/services/x"];
  const both = await Promise.all(
    [2030, 2031].map(async (year) => {
      const folder = folderOf(t);
      writeFileSync(join(folder, "z.py"), python);
      run(folder, `python3 z.py ${year} ${(year === 2030 ? names : names.toReversed()).join(" ")}`);
      return await after(t, { "out.jar": readFileSync(join(folder, "out.jar")) });
    }),
  );
  const [a, b] = both;
  assert.deepEqual(a?.bytes, b?.bytes);
  assert.deepEqual(a?.told, ["out.jar is normalised: 4 members' times, 4 owners, the order of members"]);
  const folder = folderOf(t);
  writeFileSync(join(folder, "x.zip"), a?.bytes.get("out.jar") ?? "");
  const read = `
import zipfile
z = zipfile.ZipFile("x.zip")
print(z.testzip(), [(i.filename, i.date_time, oct(i.external_attr >> 16), z.read(i) == (i.filename * 100).encode()) for i in z.infolist()])
`;
  writeFileSync(join(folder, "r.py"), read);
  const at = "(2024, 3, 2, 10, 20, 30), '0o100755', True";
  const sorted = ["META-INF/MANIFEST.MF", "META-INF/services/x", "a.txt", "b/B.class"];
  assert.equal(run(folder, "python3 r.py"), `None [${sorted.map((name) => `('${name}', ${at})`).join(", ")}]\n`);
});

const LATE = { mtime: EPOCH + 100_000, content: Buffer.from("x") };

test("what is signed, what another output signs or holds the checksum of, and what is odd is left, and that is said", async (t) => {
  const jar = zipBytes([{ name: "META-INF/A.RSA", ...LATE }]);
  const zip = zipBytes([{ name: "x", ...LATE }]);
  const prefixed = Buffer.concat([Buffer.from("#!/bin/sh\n"), zip]);
  const sum = createHash("sha256").update(zip).digest("hex");
  for (const [files, said] of [
    [{ "a.jar": jar }, "a.jar is left as it was built: it is signed"],
    [{ "a.zip": zip, "a.zip.asc": "sig" }, "a.zip is left as it was built: a.zip.asc signs it"],
    [{ "a.zip": zip, SHA256SUMS: `${sum}  a.zip\n` }, "a.zip is left as it was built: SHA256SUMS holds its checksum"],
  ] as const) {
    const { told, bytes } = await after(t, files);
    assert.deepEqual(told, [said]);
    for (const [path, content] of Object.entries(files)) assert.deepEqual(bytes.get(path), Buffer.from(content), path);
  }
  const pyz = Buffer.concat([zip.subarray(0, 4), prefixed.subarray(10 + 4)]);
  assert.deepEqual((await after(t, { pyz })).told, ["pyz is normalised: one member's time"]);
  assert.deepEqual((await after(t, { "run.sh": prefixed })).told, [], "a script that is a zip, too, is a script");
});

const pdf = (year: number): string =>
  `%PDF-1.4\n1 0 obj\n<< /CreationDate (D:${year}0102030405+02'00') /ModDate (D:20010101000000Z) >>\nendobj\ntrailer << /ID [<${String(year).repeat(8)}> <${String(year).repeat(8)}>] >>\n%%EOF\n`;

const gz = (mtime: number): Uint8Array => gzipBytes(Buffer.from("text"), { mtime, name: "text" });

test("static libraries, Debian packages, gzip, PNG, PDF", async (t) => {
  const folder = folderOf(t);
  const deb = (year: number): Buffer => {
    const data = tarBytes([{ name: "./x", mtime: EPOCH + year, content: Buffer.from("x") }]);
    writeFileSync(join(folder, "debian-binary"), "2.0\n");
    writeFileSync(join(folder, "control.tar.gz"), gzipBytes(data, { mtime: EPOCH + year }));
    writeFileSync(join(folder, "data.tar"), data);
    run(
      folder,
      `touch -d ${year}-01-01T00:00:00Z debian-binary *.tar*; rm -f x.deb; ar rcU x.deb debian-binary control.tar.gz data.tar`,
    );
    return readFileSync(join(folder, "x.deb"));
  };
  const [one, other] = [await after(t, { "x.deb": deb(2030) }), await after(t, { "x.deb": deb(2031) })];
  assert.deepEqual(one.bytes, other.bytes);
  assert.match(one.told.join(), /one member's time in data\.tar/);
  writeFileSync(join(folder, "y.deb"), one.bytes.get("x.deb") ?? "");
  assert.equal(
    run(folder, "ar t y.deb; ar p y.deb control.tar.gz | tar -xzO"),
    "debian-binary\ncontrol.tar.gz\ndata.tar\nx",
  );

  const [p, q] = [await after(t, { "a.pdf": pdf(2030) }), await after(t, { "a.pdf": pdf(2031) })];
  assert.deepEqual(p.bytes, q.bytes);
  assert.deepEqual(p.told, ["a.pdf is normalised: its dates, its identifier"]);
  assert.match(p.bytes.get("a.pdf")?.toString() ?? "", /\(D:20240302102030\+00'00'\) \/ModDate \(D:20010101000000Z\)/);
  assert.equal(p.bytes.get("a.pdf")?.length, pdf(2030).length);

  const zipped = await after(t, { "a.gz": gz(EPOCH + 1), "b.gz": gz(7) });
  assert.deepEqual(zipped.told, ["a.gz is normalised: its time"]);
  assert.deepEqual(zipped.bytes.get("a.gz"), Buffer.from(gz(EPOCH)));
});

test("normalising twice is normalising once, and broken archives stay as they are", async (t) => {
  const whole = [
    tarBytes([
      { name: "b", ...LATE },
      { name: "a", ...LATE },
    ]),
    zipBytes([
      { name: "b", ...LATE },
      { name: "a", ...LATE },
    ]),
    gzipBytes(
      tarBytes([
        { name: "b", ...LATE },
        { name: "a", ...LATE },
      ]),
      { mtime: EPOCH + 1 },
    ),
  ];
  for (const bytes of whole) {
    const once = await after(t, { x: bytes });
    assert.equal(once.told.length, 1);
    assert.deepEqual((await after(t, { x: once.bytes.get("x") ?? "" })).told, []);
  }
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...whole), fc.nat(), fc.nat(255), async (bytes, at, value) => {
      const broken = bytes.slice();
      broken[at % broken.length] = value;
      const { bytes: left } = await after(t, { x: broken });
      assert.ok(left.has("x"));
    }),
    { numRuns: 60 },
  );
});
