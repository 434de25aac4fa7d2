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
  return rows;
}
