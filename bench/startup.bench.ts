import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { paired } from "./paired.ts";
import type { Row } from "./run.ts";

/** Start-up of the built command line against an empty Node. */
export async function bench(): Promise<Row[]> {
  const node = process.execPath;
  const rows: Row[] = [];
  const version = paired([node, "dist/bitforbit.cjs", "--version"], [node, "-e", "0"]);
  rows.push({
    what: "bitforbit --version",
    ours: version.a,
    peer: version.b,
    peerName: "node -e 0",
    unit: "ms",
    goal: "at most 1.5",
    met: version.ratio <= 1.5,
  });
  const help = paired([node, "dist/bitforbit.cjs", "--help"], [node, "-e", "0"]);
  rows.push({
    what: "bitforbit --help",
    ours: help.a,
    peer: help.b,
    peerName: "node -e 0",
    unit: "ms",
    goal: "at most 2",
    met: help.ratio <= 2,
  });
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    for (const name of ["a", "b"]) writeFileSync(join(folder, name), "the same\n".repeat(10_000));
    const equal = [node, "dist/bitforbit.cjs", "diff", join(folder, "a"), join(folder, "b")] as const;
    const diff = paired(equal, [node, "-e", "0"], 40);
    rows.push({
      what: "bitforbit diff of two equal files",
      ours: diff.a,
      peer: diff.b,
      peerName: "node -e 0",
      unit: "ms",
      goal: "at most 1.5",
      met: diff.ratio <= 1.5,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}
