import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import test from "node:test";
import * as fc from "fast-check";
import { BitforbitError } from "../errors.ts";
import { looksLikeJks, normaliseJks } from "./jks.ts";

interface Entry {
  alias: string;
  time: bigint;
  certificate: Uint8Array;
}

const number = (value: number, size: 2 | 4): Buffer => {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
};

function store(entries: readonly Entry[], password = "changeit"): Uint8Array {
  const parts = [number(0xfeedfeed, 4), number(2, 4), number(entries.length, 4)];
  for (const { alias, time, certificate } of entries) {
    const at = Buffer.alloc(8);
    at.writeBigUInt64BE(time);
    parts.push(number(2, 4), number(alias.length, 2), Buffer.from(alias), at, number(5, 2), Buffer.from("X.509"));
    parts.push(number(certificate.length, 4), Buffer.from(certificate));
  }
  const body = Buffer.concat(parts);
  const salt = Buffer.concat([Buffer.from(password, "utf16le").swap16(), Buffer.from("Mighty Aphrodite")]);
  return new Uint8Array(Buffer.concat([body, createHash("sha1").update(salt).update(body).digest()]));
}

const entries = fc.uniqueArray(
  fc.record({
    alias: fc.stringMatching(/^[a-z]{1,12}$/),
    time: fc.bigInt({ min: 0n, max: 1n << 40n }),
    certificate: fc.uint8Array({ maxLength: 40 }),
  }),
  { selector: ({ alias }) => alias, maxLength: 8 },
);

test("stores with the same certificates become equal, whatever their order and times were", () => {
  fc.assert(
    fc.property(entries, fc.bigInt({ min: 0n, max: 1n << 40n }), (given, time) => {
      const other = given.map((entry) => ({ ...entry, time })).reverse();
      const [a, b] = [normaliseJks(store(given), 1000, "a"), normaliseJks(store(other), 1000, "b")];
      assert.deepEqual(a, b);
      const sorted = given.toSorted((x, y) => (x.alias < y.alias ? -1 : 1)).map((entry) => ({ ...entry, time: 1000n }));
      assert.deepEqual(a, store(sorted), "the digest over all holds again");
    }),
  );
});

test("a store with another password stays, and a broken one is said to be", () => {
  const one = [{ alias: "a", time: 5n, certificate: new Uint8Array(3) }];
  const secret = store(one, "secret");
  assert.deepEqual(normaliseJks(secret, 1000, "x"), secret);
  assert.ok(looksLikeJks(secret));
  assert.ok(!looksLikeJks(new Uint8Array(2)));
  const lying = store(one).slice(0, -20);
  new DataView(lying.buffer).setUint32(8, 2);
  const salt = Buffer.concat([Buffer.from("changeit", "utf16le").swap16(), Buffer.from("Mighty Aphrodite")]);
  const whole = Buffer.concat([lying, createHash("sha1").update(salt).update(lying).digest()]);
  assert.throws(
    () => normaliseJks(new Uint8Array(whole), 1000, "x"),
    (error) => error instanceof BitforbitError && error.message.includes("cut off"),
  );
});
