import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { anyLock } from "../../test/any-lock.ts";
import { digestOf } from "../digest.ts";
import type { Material } from "../material.ts";
import type { Exchange, Recording } from "../record/recording.ts";
import type { Lock } from "./lock.ts";
import { upstreamChanges, upstreamLines } from "./upstream.ts";

const lockOf = (...materials: [name: string, sha256?: string][]): Lock => ({
  version: 2,
  name: "demo",
  recipe: digestOf("recipe"),
  environment: { type: "host", pinned: false },
  tools: [],
  lockfiles: [],
  materials: materials.map(([name, digit]): Material => ({
    kind: "dependency",
    purl: `pkg:npm/${name}@1.0.0`,
    name,
    version: "1.0.0",
    checksums: digit === undefined ? {} : { sha256: digit.repeat(64) },
  })),
});

const exchange = (name: string, body: string, rest: Partial<Exchange> = {}): Exchange => ({
  method: "GET",
  url: `https://mirror.test/${name}?key=secret`,
  status: 200,
  headers: [],
  digest: digestOf(body),
  size: body.length,
  purl: `pkg:npm/${name}@1.0.0`,
  ...rest,
});

const recordingOf = (...exchanges: Exchange[]): Recording => ({ version: 1, exchanges });

test("other bytes, no longer served, also fetched, no longer fetched: each once, with both digests", () => {
  const { purl: _, ...index } = exchange("index", "yesterday");
  const before = {
    lock: lockOf(["same", "1"], ["swapped", "2"], ["gone", "3"], ["dropped", "4"]),
    recording: recordingOf(
      exchange("same", "s"),
      exchange("swapped", "old"),
      exchange("gone", "g"),
      exchange("dropped", "d"),
      index,
    ),
  };
  const failed = exchange("gone", "not found", { status: 404 });
  const now = {
    lock: lockOf(["same", "1"], ["swapped", "9"], ["fresh", "5"]),
    recording: recordingOf(exchange("same", "s"), exchange("swapped", "new"), failed, exchange("fresh", "f"), {
      ...index,
      digest: digestOf("today"),
    }),
  };
  const changes = upstreamChanges(before, now);
  assert.equal(
    upstreamLines(changes).join("\n"),
    `pkg:npm/swapped@1.0.0: same name, other bytes (https://mirror.test/swapped?…)
    locked ${digestOf("old")}
    served ${digestOf("new")}
pkg:npm/gone@1.0.0: no longer served, status 404 (https://mirror.test/gone?…)
    locked ${digestOf("g")}
pkg:npm/fresh@1.0.0: fetched now, and not in the lock
    served sha256:${"5".repeat(64)}
pkg:npm/dropped@1.0.0: in the lock, and no longer fetched
    locked sha256:${"4".repeat(64)}`,
  );
  // Without the old recording the lock alone tells as much, but for addresses.
  assert.deepEqual(
    upstreamChanges({ lock: before.lock }, now).map(({ kind, what }) => `${kind} ${what}`),
    [
      "other-bytes pkg:npm/swapped@1.0.0",
      "also-fetched pkg:npm/fresh@1.0.0",
      "not-fetched pkg:npm/dropped@1.0.0",
      "not-fetched pkg:npm/gone@1.0.0",
    ],
  );
});

test("a mirror's redirect, and a day's worth of other index pages, change nothing", () => {
  const lock = lockOf(["a", "1"]);
  const { purl: _, ...index } = exchange("index", "yesterday");
  const before = { lock, recording: recordingOf(exchange("a", "a"), index) };
  const moved = exchange("a", "", { status: 302, headers: [["location", "https://other.test/a.tgz"]] });
  const now = {
    lock,
    recording: recordingOf(
      moved,
      { ...exchange("a", "a"), url: "https://other.test/a.tgz" },
      { ...index, digest: digestOf("today") },
    ),
  };
  assert.deepEqual(upstreamChanges(before, now), []);
});

test("nothing changes from a lock to itself", () => {
  fc.assert(
    fc.property(anyLock, (lock) => assert.deepEqual(upstreamChanges({ lock }, { lock, recording: recordingOf() }), [])),
  );
});
