import { strict as assert } from "node:assert";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { BitforbitError } from "../errors.ts";
import { bodyPath } from "../body-path.ts";
import {
  file,
  folder,
  hardLink,
  imageOf,
  indexOf,
  link,
  type MadeImage,
  whiteout,
  writeLayout,
} from "../oci/test-images.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { removeTree } from "../tree.ts";
import { type OciContext, openOci, resolveOci } from "./oci.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-oci-"));
after(() => removeTree(home));
let caches = 0;

function contextOf(more: Partial<OciContext> = {}): OciContext & { said: string[] } {
  const said: string[] = [];
  const host = {} as HostAbilities;
  return { cache: join(home, `cache${caches++}`), host, onProgress: (line) => void said.push(line), said, ...more };
}

function layoutOf(image: MadeImage, name: string): string {
  const path = join(home, name);
  writeLayout(path, { base: image.manifest }, image.blobs);
  return path;
}

const BASE = [
  folder("etc", { mtime: 1_600_000_000 }),
  file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
  file("etc/shadow", "root:!", { mode: 0o640 }),
  folder("usr"),
  folder("usr/bin"),
  file("usr/bin/tool", "#!/bin/sh\n", { mode: 0o4755 }),
  hardLink("usr/bin/alias", "usr/bin/tool"),
  link("bin", "usr/bin"),
  file("etc/old", "old"),
];
const UPPER = [whiteout("etc/.wh.old"), file("bin/second", "two", { mode: 0o755 }), link("usr/away", "/etc/passwd")];

test("an image of a layout becomes a root, and a lock opens it again", async () => {
  const path = layoutOf(imageOf([BASE, UPPER], { env: ["PATH=/opt/bin:/bin", "LANG=C"] }), "layout");
  const context = contextOf();
  const { locked, root } = await resolveOci({ image: `layout:${path}:base`, platform: "linux/amd64" }, context);
  assert.equal(locked.image, `layout:${path}:base`);
  assert.equal(locked.root, root.digest);
  assert.equal(locked.layers.length, 2);
  assert.deepEqual(root.env, { PATH: "/opt/bin:/bin", LANG: "C" });
  const at = (name: string): string => join(root.folder, name);
  assert.equal(readFileSync(at("usr/bin/second"), "utf8"), "two");
  assert.equal(readlinkSync(at("usr/away")), "/etc/passwd");
  assert.equal(existsSync(at("etc/old")), false);
  assert.equal(statSync(at("usr/bin/tool")).mode & 0o7777, 0o755);
  assert.equal(statSync(at("usr/bin/tool")).ino, statSync(at("usr/bin/alias")).ino);
  assert.equal(statSync(at("etc/shadow")).mode & 0o7777, 0o644);
  assert.equal(statSync(at("etc")).mtimeMs, 1_600_000_000_000);
  for (const mount of ["proc", "sys", "dev", "tmp", "run", "build", "deps", "home"]) {
    assert.ok(statSync(at(mount)).isDirectory(), mount);
  }
  assert.match(context.said.join("\n"), /set-id bits dropped from 1 files \(usr\/bin\/tool\)/);
  const again = await openOci(locked, context);
  assert.deepEqual(again, root);
  const elsewhere = await openOci(locked, contextOf());
  assert.equal(elsewhere.digest, root.digest);
});

test("what was changed in the cache is named and made anew", async () => {
  const path = layoutOf(imageOf([BASE, UPPER]), "poisoned");
  const context = contextOf();
  const { locked, root } = await resolveOci({ image: `layout:${path}:base`, platform: "linux/amd64" }, context);
  const tool = join(root.folder, "usr/bin/tool");
  for (const harm of [
    () => writeFileSync(tool, "#!/bin/zsh"),
    () => chmodSync(tool, 0o700),
    () => rmSync(tool),
    () => writeFileSync(join(root.folder, "etc/extra"), ""),
  ]) {
    harm();
    context.said.length = 0;
    assert.equal((await openOci(locked, context)).digest, root.digest);
    assert.match(context.said.join("\n"), /was changed \((?:usr\/bin|etc\/extra|etc)/);
    assert.equal(readFileSync(tool, "utf8"), "#!/bin/sh\n");
  }
  const unsure = await openOci(locked, { ...context, check: "later" });
  assert.equal(await unsure.confirm?.(), undefined, "unchanged");
  writeFileSync(tool, "#!/bin/zsh");
  const anew = await unsure.confirm?.();
  assert.equal(anew?.digest, root.digest);
  assert.equal(readFileSync(tool, "utf8"), "#!/bin/sh\n");
  const body = bodyPath(context.cache, locked.layers[0] ?? locked.root);
  writeFileSync(body, "poison");
  await removeTree(join(context.cache, "roots"));
  assert.equal((await openOci(locked, context)).digest, root.digest);
  assert.match(context.said.join("\n"), /does not hold what its name says: fetching it anew/);
});

test("a lock that was edited is refused", async () => {
  const path = layoutOf(imageOf([BASE]), "edited");
  const context = contextOf();
  const { locked } = await resolveOci({ image: `layout:${path}:base`, platform: "linux/amd64" }, context);
  const other = locked.manifest;
  await assert.rejects(openOci({ ...locked, root: other }, context), /has digest .* and the lock says/);
  await assert.rejects(openOci({ ...locked, layers: [other] }, context), /the lock's layers are not those of/);
  await assert.rejects(
    openOci({ ...locked, platform: "linux/arm64" }, context),
    /is for linux\/amd64, not linux\/arm64/,
  );
});

test("an index gives the platform's own image, and says what it has when there is none", async () => {
  const [x86, arm] = [imageOf([BASE]), imageOf([UPPER], { architecture: "arm64", variant: "v8" })];
  const index = indexOf([
    { image: x86, platform: { os: "linux", architecture: "amd64" } },
    { image: arm, platform: { os: "linux", architecture: "arm64", variant: "v8" } },
  ]);
  const path = join(home, "index");
  writeLayout(path, { both: index }, [x86.manifest, arm.manifest, ...x86.blobs, ...arm.blobs]);
  const context = contextOf();
  const { locked } = await resolveOci({ image: `layout:${path}@${index.digest}`, platform: "linux/arm64" }, context);
  assert.equal(locked.manifest, arm.manifest.digest);
  assert.equal(locked.image, `layout:${path}`);
  await assert.rejects(
    resolveOci({ image: `layout:${path}:both`, platform: "linux/riscv64" }, context),
    (error: unknown) => {
      assert.ok(error instanceof BitforbitError);
      assert.match(error.message, /no image for linux\/riscv64/);
      assert.match(error.hint ?? "", /linux\/amd64, linux\/arm64\/v8/);
      return true;
    },
  );
});
