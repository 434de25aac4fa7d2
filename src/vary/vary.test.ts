import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { base64Inside } from "./encodings.ts";
import { instantWatermarks } from "./instants.ts";
import type { Confidence, Match, Watermark } from "./variation.ts";
import type { World } from "../world.ts";
import {
  canonicalWorld,
  experimentWorld,
  held,
  mixed,
  variations,
  variedBetween,
  withOptional,
  worldPair,
} from "./worlds.ts";
import { civil, epochOf } from "./zone.ts";

const [canonical, adversarial] = worldPair("thing");
const START = Date.UTC(2026, 2, 9, 5, 6, 7);
const times = { start: START, end: START + 90_000 };

function found(marks: readonly Watermark[], bytes: Uint8Array, least: Confidence = "likely"): Match[] {
  const rank = { weak: 0, likely: 1, certain: 2 };
  return marks.flatMap((mark) => mark.find(bytes)).filter((match) => rank[match.confidence] >= rank[least]);
}

const all = (world: typeof canonical): Watermark[] => variations.flatMap((one) => one.watermarks(world, times));

test("the worlds differ in every way that is not optional, and a held world from itself in none", () => {
  const every = withOptional(
    adversarial,
    variations.map(({ name }) => name),
  );
  for (const variation of variations) {
    assert.equal(variation.describe(canonical, adversarial) === "", variation.optional === true, variation.name);
    assert.notEqual(variation.describe(canonical, every), "", variation.name);
    assert.equal(variation.describe(held(canonical), held(worldPair("thing")[0])), "", variation.name);
    for (const text of [variation.remedy, variation.how, variation.shows, variation.beyond]) {
      assert.ok(text.length > 3, variation.name);
    }
  }
  assert.equal(new Set(variations.map(({ name }) => name)).size, variations.length);
});

test("experiments vary what is drawn at random as well, each round otherwise, and one way at a time", () => {
  const still = held(canonical);
  const [first, second] = [0, 1].map((round) => experimentWorld(adversarial, round)) as [World, World];
  for (const name of ["random", "hash-order", "race"] as const) {
    assert.ok(variedBetween(first, second).includes(name), name);
  }
  assert.deepEqual(variedBetween(first, second).toSorted(), ["hash-order", "race", "random"]);
  for (const { name, optional } of variations) {
    if (optional === true && name !== "race") continue;
    assert.deepEqual(variedBetween(still, mixed(still, first, [name], "one")), [name]);
  }
  const names = variations.map(({ name }) => name);
  const { clockHeld } = still;
  assert.ok(clockHeld !== undefined);
  assert.deepEqual(mixed(still, first, names, first.name), { ...first, clockHeld });
  assert.deepEqual({ ...mixed(first, still, names, still.name), clockHeld }, still);
});

test("the adversarial path is longer, of odd length and of other content", () => {
  assert.ok(adversarial.buildPath.length > canonical.buildPath.length + 8);
  assert.equal(adversarial.buildPath.length % 2, 1, adversarial.buildPath);
  assert.notEqual(adversarial.buildPath.split("/")[1], canonical.buildPath.split("/")[1]);
  assert.equal(canonicalWorld("../a b/ü").buildPath, "/build/a-b--");
  assert.equal(canonicalWorld("..").buildPath, "/build/project");
});

const weekday = (at: number): number => Math.floor(at / 86_400) % 7;

test("the shifted clock differs in every field, whatever the day", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1.6e9, max: 4e9 }), (epoch) => {
      const [a, b] = [civil(epoch, 0), civil(epoch + adversarial.clockOffset, 0)];
      for (const key of ["year", "month", "hour", "minute", "second"] as const) assert.notEqual(a[key], b[key], key);
      assert.notEqual(weekday(epoch), weekday(epoch + adversarial.clockOffset));
      assert.equal(epochOf(a, 0), epoch);
    }),
  );
});

/** Each way in which artifacts carry a text, written by means of its own. */
const CARRIED: Readonly<Record<string, (text: string, around: Buffer) => Buffer>> = {
  raw: (text) => Buffer.from(text),
  "UTF-16LE": (text) => Buffer.from(text, "utf16le"),
  "UTF-16BE": (text) => Buffer.from(text, "utf16le").swap16(),
  hexadecimal: (text) => Buffer.from(Buffer.from(text).toString("hex")),
  HEXADECIMAL: (text) => Buffer.from(Buffer.from(text).toString("hex").toUpperCase()),
  base64: (text, around) => Buffer.from(Buffer.concat([around, Buffer.from(text), around]).toString("base64")),
  base64url: (text, around) => Buffer.from(Buffer.concat([around, Buffer.from(text), around]).toString("base64url")),
  "percent-encoding": (text) => Buffer.from(encodeURIComponent(text)),
  "C's hexadecimal list": (text) =>
    Buffer.from([...Buffer.from(text)].map((byte) => `0x${byte.toString(16)}`).join(", ")),
  "C's decimal list": (text) => Buffer.from([...Buffer.from(text)].join(", ")),
  "decimal list without blanks": (text) => Buffer.from([...Buffer.from(text)].join(",")),
  "hexadecimal escapes": (text) =>
    Buffer.from([...Buffer.from(text)].map((byte) => `\\x${byte.toString(16)}`).join("")),
  "octal escapes": (text) =>
    Buffer.from([...Buffer.from(text)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")),
  "a dump": (text) => Buffer.from([...Buffer.from(text)].map((byte) => byte.toString(16)).join(" ")),
};

test("texts are found in every encoding, wherever they stand, and the other world's are not", () => {
  const padding = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(padding, padding, fc.constantFrom(...Object.keys(CARRIED)), (before, after, how) => {
      for (const [cause, value] of [
        ["hostname", adversarial.hostname],
        ["path", adversarial.buildPath],
        ["user", adversarial.user.home],
        ["user", adversarial.user.fullName],
        ["environment", adversarial.environment["BLORVIK_ZANTHUM"] ?? ""],
        ["environment", "/run/world/clock.so"],
      ] as const) {
        const carried = CARRIED[how]?.(value, Buffer.from(before)) ?? Buffer.alloc(0);
        const bytes = Buffer.concat([before, Buffer.from("\n"), carried, Buffer.from("\n"), after]);
        const matches = found(all(adversarial), bytes, "certain").filter(({ text }) => text === value);
        assert.ok(matches.length > 0, `${cause} in ${how}`);
        assert.equal(found(all(canonical), bytes, "certain").length, 0, "the other world's are not found");
      }
    }),
    { numRuns: 60 },
  );
});

test("a build path is found in names and in quotes, and where only its folders show", () => {
  const mark = (bytes: string): string[] =>
    found(variations.find(({ name }) => name === "path")?.watermarks(adversarial, times) ?? [], Buffer.from(bytes)).map(
      ({ text }) => text,
    );
  const path = adversarial.buildPath;
  for (const text of [
    `{"root":"${path.replaceAll("/", "\\/")}"}`,
    `${path.replaceAll("/", "#")}#main.gcda`,
    `cache/${path.slice(1).replaceAll("/", "-")}.lock`,
    `_${path.slice(1).replaceAll("/", "_")}_`,
    "../../wuzmok-longer/thing/tree/a.c",
    `${path.slice(0, -5)}/elsewhere`,
  ]) {
    assert.notDeepEqual(mark(text), [], text);
  }
  assert.deepEqual(mark("/usr/src/thing/tree/main.c other-place tree"), []);
});

test("numbers of a world are found in decimal, hexadecimal, octal and as integers of either end", () => {
  const kib = (adversarial.memoryShown ?? 0) / 1024;
  const marks = variations.filter(({ name }) => name === "memory").flatMap((one) => one.watermarks(adversarial, times));
  const table: [string, Buffer][] = [
    ["decimal", Buffer.from(`MemTotal: ${kib} kB`)],
    ["bytes", Buffer.from(`total=${kib * 1024};`)],
    ["hexadecimal", Buffer.from(`0x${kib.toString(16).toUpperCase()}`)],
    ["octal", Buffer.from(`0${kib.toString(8)}`)],
    ["little", binary((bytes) => bytes.writeUInt32LE(kib, 3), 9)],
    ["big", binary((bytes) => bytes.writeUInt32BE(kib, 2), 9)],
  ];
  for (const [how, bytes] of table) assert.equal(found(marks, bytes).length > 0, true, how);
  for (const near of [kib + 1, kib * 10, Number(`1${kib}`)]) {
    assert.deepEqual(found(marks, Buffer.from(`MemTotal: ${near} kB 0x${near.toString(16)}`)), []);
  }
});

test("memory that was filled is found raw, in hexadecimal and in base64, and short runs are not", () => {
  const marks = variations
    .filter(({ name }) => name === "uninitialised")
    .flatMap((one) => one.watermarks(adversarial, times));
  for (const byte of [0x15, 0xea]) {
    const run = Buffer.alloc(16, byte);
    for (const bytes of [run, Buffer.from(run.toString("hex")), Buffer.from(run.toString("base64"))]) {
      assert.ok(found(marks, Buffer.concat([Buffer.from("ab"), bytes])).length > 0, bytes.toString("latin1"));
    }
    assert.deepEqual(found(marks, Buffer.alloc(3, byte)), []);
  }
});

test("base64 digits that depend on neighbours are left out", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 30 }),
      fc.uint8Array({ maxLength: 9 }),
      fc.uint8Array({ maxLength: 9 }),
      (raw, a, b) => {
        const text = Buffer.concat([a, raw, b]).toString("base64");
        assert.ok(text.includes(base64Inside(raw, a.length % 3)));
      },
    ),
  );
});

/** Bytes of noise with a number among them. */
const binary = (write: (bytes: Buffer) => void, size: number): Buffer => {
  const bytes = Buffer.alloc(size, 0xa5);
  write(bytes);
  return bytes;
};

/** Written by means of their own, not by those that search. */
function formats(epoch: number, offset: number): Record<string, Buffer> {
  const local = new Date((epoch + offset * 60) * 1000);
  const isoText = local.toISOString();
  const [, day = "", month = "", year = "", clock = ""] =
    /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(local.toUTCString()) ?? [];
  const dayName = local.toUTCString().slice(0, 3);
  const sign = offset < 0 ? "-" : "+";
  const zone = `${sign}${String(Math.floor(Math.abs(offset) / 60)).padStart(2, "0")}:${String(Math.abs(offset) % 60).padStart(2, "0")}`;
  const dosTime = (local.getUTCHours() << 11) | (local.getUTCMinutes() << 5) | (local.getUTCSeconds() >> 1);
  const dosDate = ((local.getUTCFullYear() - 1980) << 9) | ((local.getUTCMonth() + 1) << 5) | local.getUTCDate();
  const texts: Record<string, string> = {
    rfc3339: isoText.slice(0, 19) + zone,
    "rfc3339 without zone": isoText.slice(0, 19),
    "date and time": isoText.slice(0, 19).replace("T", " "),
    rfc2822: `${dayName}, ${Number(day)} ${month} ${year} ${clock} ${zone.replace(":", "")}`,
    ctime: `${dayName} ${month} ${day.replace(/^0/, " ")} ${clock} ${year}`,
    "date(1)": `${dayName} ${month} ${day.replace(/^0/, " ")} ${clock} ${offset === 0 ? "UTC" : zone.replace(":", "")} ${year}`,
    __DATE__: `${month} ${day.replace(/^0/, " ")} ${year}`,
    "__DATE__ __TIME__": `${month} ${day.replace(/^0/, " ")} ${year} ${clock}`,
    "day first": `${day}/${isoText.slice(5, 7)}/${year}`,
    "month first": `${isoText.slice(5, 7)}/${day}/${year}`,
    compact: isoText.slice(0, 10).replaceAll("-", ""),
    "compact with time": `${isoText.slice(0, 10).replaceAll("-", "")}T${isoText.slice(11, 19).replaceAll(":", "")}`,
    "date only": isoText.slice(0, 10),
    decimal: String(epoch),
    milliseconds: `${epoch}123`,
    octal: epoch.toString(8).padStart(11, "0"),
    hexadecimal: epoch.toString(16),
  };
  return {
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(`x = "${text}";\n`)])),
    le32: binary((bytes) => bytes.writeUInt32LE(epoch, 3), 9),
    be32: binary((bytes) => bytes.writeUInt32BE(epoch, 2), 9),
    le64: binary((bytes) => bytes.writeBigUInt64LE(BigInt(epoch), 1), 12),
    "le64 ms": binary((bytes) => bytes.writeBigUInt64LE(BigInt(epoch) * 1000n + 77n, 1), 12),
    "be64 ms": binary((bytes) => bytes.writeBigUInt64BE(BigInt(epoch) * 1000n + 77n, 1), 12),
    dos: binary((bytes) => (bytes.writeUInt16LE(dosTime, 3), bytes.writeUInt16LE(dosDate, 5)), 9),
  };
}

test("a time of the build is found in every format, in UTC and in the world's zone; another month's is not", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1.6e9, max: 4e9 }), fc.nat(600), fc.boolean(), (from, length, local) => {
      const span = { from, to: from + length };
      const marks = instantWatermarks("clock", "time", span, adversarial);
      const offset = local ? -570 : 0;
      for (const [name, bytes] of Object.entries(formats(from + Math.floor(length / 2), offset))) {
        assert.ok(found(marks, bytes).length > 0, `${name}: ${bytes.toString("latin1")}`);
      }
      for (const [name, bytes] of Object.entries(formats(from + 40 * 86_400, offset))) {
        assert.deepEqual(found(marks, bytes), [], name);
      }
    }),
    { numRuns: 60 },
  );
});

test("a match says where it is, and their number and the time taken are bounded", () => {
  const bytes = Buffer.from(`built on ${adversarial.hostname}, ${adversarial.hostname}`);
  const [first, second] = found(all(adversarial), bytes, "certain");
  assert.deepEqual([first?.offset, second?.offset], [9, 9 + adversarial.hostname.length + 2]);
  const started = process.cpuUsage();
  for (const fill of [
    "2026-03-09T05:06:08Z ",
    "1773032767 ",
    "Mar  9 2026 ",
    ":::::",
    "12:",
    "+-+-09",
    "7f",
    "Mar ",
    "000000",
    "\t\t\t",
  ]) {
    const big = Buffer.alloc(64 << 10, fill);
    for (const mark of all(adversarial)) assert.ok(mark.find(big).length <= 64, mark.label);
  }
  const spent = process.cpuUsage(started);
  assert.ok(spent.user < 6_000_000, `${spent.user / 1000} ms for ten times 64 KiB`);
});

test("text without any trace of a world has no telling match", () => {
  const prose = Buffer.from(
    "The quick brown fox 1.2.3 (c) 1999-2003, port 8080, 0644 root:root /usr/lib/x86_64-linux-gnu, id 1234567890\n",
  );
  assert.deepEqual(found([...all(canonical), ...all(adversarial)], prose), []);
});
