/** What a person reads of causes. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { Cause, Writer } from "../explain/cause.ts";
import { showCauses } from "./causes.ts";
import { type Terminal, wrapped } from "./terminal.ts";

const plain = (text: string): string => text;

/** The lines of a terminal 100 columns wide, without colours. */
function shown(causes: readonly Cause[]): string {
  const lines: string[] = [];
  const terminal = {
    step: (label: string, text: string) => {
      const all = text.split("\n").flatMap((line) => wrapped(line, 87));
      lines.push(...all.map((line, at) => `${(at === 0 ? label : "").padEnd(10)} ${line}`));
    },
    good: plain,
    bad: plain,
    dim: plain,
    strong: plain,
  } as unknown as Terminal;
  showCauses(terminal, causes);
  return stripVTControlCharacters(lines.join("\n"));
}

const date: Writer = {
  argv: ["date", "+%F %T"],
  directory: ".",
  file: "out/when.txt",
  parents: ["make"],
  script: { path: "Makefile", line: 8, text: "date '+%F %T' > $@" },
};
const clock: Cause = {
  name: "clock",
  artifact: "out.tar",
  leaf: ["out/when.txt"],
  offset: 1234,
  evidence: { a: "2026-11-23 10:00:00", b: "2027-12-28 17:37:11\nand more that is far too long to be shown whole" },
  confidence: "certain",
  remedy: "take SOURCE_DATE_EPOCH",
  basis: "watermark",
  command: date,
};
const hidden: Cause = {
  name: "unknown",
  artifact: "x\u001b[31m.bin",
  leaf: ["mtime"],
  offset: undefined,
  evidence: { a: "", b: "\u202e" },
  confidence: "possible",
  remedy: "",
  tried: ["18 variations, none alone", "3 equal worlds"],
};
const checksum: Cause = {
  ...clock,
  name: "consequence",
  artifact: "SHA256SUMS",
  leaf: [],
  from: ["out.tar", "out/when.txt"],
  basis: "digest",
};

test("cause by cause: how sure, where, the bytes, who wrote them, the remedy, what follows", () => {
  const { script: _, ...noScript } = date;
  const path: Cause = {
    ...clock,
    name: "path",
    with: ["race"],
    confidence: "likely",
    basis: "experiment",
    command: { ...noScript, argv: ["gcc", "-c", "it's.c"] },
    remedy: "-ffile-prefix-map",
  };
  assert.equal(
    shown([checksum, hidden, path, clock, { ...clock, leaf: ["b"] }, { ...clock, leaf: ["c"] }]),
    `cause      clock (certain: each world's own value stands there)
           out.tar › out/when.txt at byte 1,234
             2026-11-23 10:00:00  ≠  2027-12-28 17:37:11⏎and more that is far to…
           out.tar › b at byte 1,234
             2026-11-23 10:00:00  ≠  2027-12-28 17:37:11⏎and more that is far to…
           and 1 more place, and 1 that follow from it
           by: date '+%F %T' (Makefile:8)
           remedy: take SOURCE_DATE_EPOCH
cause      path with race (likely: builds that differ in nothing else differ there)
           out.tar › out/when.txt at byte 1,234
             2026-11-23 10:00:00  ≠  2027-12-28 17:37:11⏎and more that is far to…
           by: gcc -c 'it'\\''s.c'
           remedy: -ffile-prefix-map
cause      unknown (possible)
           x\\u001b[31m.bin › mtime
             nothing  ≠  \\u202e
           tried: 18 variations, none alone; 3 equal worlds`,
  );
});

test("of many causes each is told in few lines, and consequences of nothing are told apart", () => {
  const names = ["clock", "path", "user", "hostname"] as const;
  const many = names.flatMap((name) => [1, 2].map((at): Cause => ({ ...clock, name, leaf: [String(at)] })));
  const lines = shown([...many, { ...checksum, artifact: "alone", from: ["other"] }]).split("\n");
  assert.equal(lines.filter((line) => line.includes("out.tar › 1 at")).length, 4);
  assert.equal(lines.filter((line) => line.includes("out.tar › 2 at")).length, 0);
  assert.equal(lines.at(-1), "cause      consequence in 1 place");
  assert.ok(lines.length <= 40, "fits a screen");
  assert.equal(shown([]), "");
});
