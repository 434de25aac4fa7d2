/** What bears no trace of a world must show none: a wrong cause is as bad as none. */
import { strict as assert } from "node:assert";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import test from "node:test";
import * as fc from "fast-check";
import type { World } from "../world.ts";
import type { Match, Watermark } from "./variation.ts";
import { experimentWorld, held, variations, withOptional, worldPair } from "./worlds.ts";

const [canonical, adversarial] = worldPair("thing");
const START = Date.UTC(2031, 4, 17, 13, 46, 7);
const times = { start: START, end: START + 90_000 };
const every = withOptional(
  adversarial,
  variations.map(({ name }) => name),
);

const marksOf = (world: World): Watermark[] => variations.flatMap((one) => one.watermarks(world, times));
const worlds: readonly World[] = [canonical, adversarial, held(canonical), experimentWorld(every)];
const marks: readonly Watermark[] = [
  ...new Map(worlds.flatMap(marksOf).map((mark) => [`${mark.cause} ${mark.label}`, mark])).values(),
];

const telling = (bytes: Uint8Array, among = marks): (Match & { label: string })[] =>
  among.flatMap((mark) =>
    mark
      .find(bytes)
      .filter(({ confidence }) => confidence !== "weak")
      .map((match) => ({ ...match, label: `${mark.cause}: ${mark.label}` })),
  );

/** Programs and libraries of any Linux; what a system lacks is left out. */
const BINARIES = [
  "/bin/ls",
  "/bin/sh",
  "/usr/bin/perl",
  "/usr/bin/git",
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/usr/share/common-licenses/GPL-3",
  "/usr/share/perl/5.36/unicore/Name.pl",
];

/** Four bytes of a program may be a number of any kind, rarely. */
const chance = (label: string): boolean => /integer|milliseconds|DOS time/.test(label);

test("programs, libraries and texts of the system hold no telling match", (t) => {
  const present = BINARIES.filter((path) => existsSync(path));
  assert.ok(present.length >= 3, "there are programs to look at");
  for (const path of present) {
    const bytes = readFileSync(path).subarray(0, 1 << 19);
    const found = telling(bytes).filter(({ label }) => !chance(label));
    assert.deepEqual(found, [], path);
    t.diagnostic(`${path}: ${bytes.length} bytes, ${telling(bytes).length} by chance`);
  }
});

test("source code holds no telling match, but where it speaks of the worlds themselves", () => {
  const files = globSync("{src,bench,scripts,docs}/**/*.{ts,md,json}", {
    exclude: (name) => /vary|worlds|instants|golden/.test(name),
  }).sort();
  assert.ok(files.length > 200);
  const strange =
    /qelvarn|kworblezif|vrompelzak|zufnadlik|ozmiquel|bfbuilder|bitforbit-canon|Bitforbit Builder|drisquel|Marquesas|et_EE|\/build\/thing|\/run\/world/;
  let seen = 0;
  for (const path of files) {
    if (statSync(path).size > 1 << 20) continue;
    const bytes = readFileSync(path);
    if (strange.test(bytes.toString())) continue;
    seen += bytes.length;
    assert.deepEqual(telling(bytes), [], path);
  }
  assert.ok(seen > 1 << 20, `${seen} bytes`);
});

const MONTHS = ["January", "March", "May", "August", "September", "Oct", "Dec."];
const WORDS =
  "the a of and build was made on in for with version release kernel memory terminal user group total path host locale time zone port error line file true false null 0 1 2 3 53 60 97 100 0644 0755 644 755 664 1000 1024 4096 8080 65536 11:30 09:30 1.2.3 2.6 6.1 C UTC tree build thing Aug sept".split(
    " ",
  );

test("prose with numbers, dates of other times, versions and modes holds no telling match", () => {
  const date = fc
    .tuple(fc.integer({ min: 1, max: 28 }), fc.constantFrom(...MONTHS), fc.integer({ min: 1970, max: 2029 }))
    .map(([day, month, year]) => `${day} ${month} ${year}`);
  const hash = fc.uint8Array({ minLength: 20, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("hex"));
  const word = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...WORDS) },
    { weight: 2, arbitrary: fc.nat(99_999).map(String) },
    { weight: 1, arbitrary: date },
    { weight: 1, arbitrary: hash },
    { weight: 1, arbitrary: fc.base64String({ minLength: 8, maxLength: 60 }) },
    { weight: 1, arbitrary: fc.ipV4() },
    { weight: 1, arbitrary: fc.emailAddress() },
    { weight: 1, arbitrary: fc.webUrl() },
  );
  // These numbers are watermarks: to meet one of them by chance is to meet it.
  const own = new Set(["23417", "64923", "64817"]);
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), fc.constantFrom("utf8", "utf16le"), (words, encoding) => {
      const text = words.filter((one) => !own.has(one)).join(" ");
      fc.pre(!text.includes(release()));
      assert.deepEqual(telling(Buffer.from(text, encoding)), [], text);
    }),
    { numRuns: 200 },
  );
});

test("random bytes hold a telling match no more often than their bits allow", () => {
  let found = 0;
  let bytes = 0;
  // A generator of our own, so that the outcome is the same everywhere.
  let state = 0x2545f491;
  for (let round = 0; round < 16; round++) {
    const noise = Buffer.alloc(64 << 10);
    for (let at = 0; at < noise.length; at += 4) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      noise.writeInt32LE(state | 0, at);
    }
    found += telling(noise).length;
    bytes += noise.length;
  }
  assert.ok(found <= 2, `${found} in ${bytes} bytes`);
});
