import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKeys } from "../src/keys/keys.ts";
import { openLog } from "../src/log/writer.ts";
import type { Row } from "./run.ts";

/** Durable, integrated appends and proofs. Peer: Tessera's POSIX driver, 7,700/s with 1,024 writers (a published figure, not of this run). */
export async function bench(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  const keys = await openKeys(folder);
  const log = await openLog(join(folder, "log"), keys.checkpoint);
  const leaves = Array.from(
    { length: 1024 },
    (_, index) => new Uint8Array(Buffer.from(`leaf ${index} ${"x".repeat(600)}`)),
  );
  const appendStart = process.hrtime.bigint();
  const rounds = 20;
  for (let round = 0; round < rounds; round++) await Promise.all(leaves.map(async (leaf) => log.appendAll([leaf])));
  const appended = (leaves.length * rounds) / (Number(process.hrtime.bigint() - appendStart) / 1e9);
  const proveStart = process.hrtime.bigint();
  for (let index = 0; index < 500; index++) await log.prove((index * 37) % (leaves.length * rounds));
  const proved = 500 / (Number(process.hrtime.bigint() - proveStart) / 1e9);
  rmSync(folder, { recursive: true, force: true });
  return [
    {
      what: "durable appends, 1,024 at once",
      ours: appended,
      peer: 7700,
      peerName: "Tessera (published)",
      unit: "/s",
      goal: "at least 1",
      met: appended >= 7700,
    },
    {
      what: "inclusion proofs from disk",
      ours: proved,
      peer: 1000,
      peerName: "1,000/s as a floor",
      unit: "/s",
      goal: "at least 1",
      met: proved >= 1000,
    },
  ];
}
