import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKeys } from "../src/keys/keys.ts";
import { checkLog } from "../src/log/fsck.ts";
import { type Log, openLog } from "../src/log/writer.ts";
import { walkTree } from "../src/tree.ts";
import type { Row } from "./run.ts";

/** As large as a `hashedrekord` entry with a P-256 key. */
const LEAF = "x".repeat(640);
const seconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1e9;

/**
 * Durable, integrated appends by many writers, each waiting for the proof of
 * its own before the next; proofs; and how a log grows. The peer's figures are
 * Tessera's POSIX driver on such a machine, not of this run. `--entries 1000000`
 * grows the log so far (default: 100,000).
 */
export async function bench(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const keys = await openKeys(folder);
    const rows: Row[] = [];
    for (const [writers, peer] of [
      [1024, 7700],
      [8192, 10_450],
    ] as const) {
      const log = await openLog(join(folder, `writers-${writers}`), keys.checkpoint);
      rows.push(...(await appends(log, writers, peer)));
    }
    rows.push(...(await growth(join(folder, "growth"), keys.checkpoint)));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function appends(log: Log, writers: number, peer: number): Promise<Row[]> {
  await log.appendAll(Array.from({ length: 4096 }, (_, at) => new Uint8Array(Buffer.from(`warm ${at} ${LEAF}`))));
  const each = Math.max(4, Math.round(60_000 / writers));
  const waits: number[] = [];
  const start = process.hrtime.bigint();
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let at = 0; at < each; at++) {
        const asked = process.hrtime.bigint();
        await log.appendAll([new Uint8Array(Buffer.from(`${writer} ${at} ${LEAF}`))]);
        waits.push(seconds(asked));
      }
    }),
  );
  const rate = (writers * each) / seconds(start);
  waits.sort((a, b) => a - b);
  const late = (waits[Math.floor(waits.length * 0.99)] ?? 0) * 1000;
  const who = `${writers.toLocaleString("en")} writers`;
  return [
    row(`durable appends, ${who}`, rate, peer, "Tessera (published)", "/s", rate >= peer),
    row(`  of these the slowest hundredth, ${who}`, late, 1000, "one second", "ms", late < 1000, "below 1"),
  ];
}

/** Ten thousand entries, then ten times as many, up to what was asked for. */
async function growth(path: string, signer: Parameters<typeof openLog>[1]): Promise<Row[]> {
  const at = process.argv.indexOf("--entries");
  const most = at < 0 ? 100_000 : Number(process.argv[at + 1]);
  const log = await openLog(path, signer);
  const rows: Row[] = [];
  let size = 0;
  for (let goal = 10_000; goal <= most; goal *= 10) {
    const start = process.hrtime.bigint();
    const added = goal - size;
    while (size < goal) {
      const count = Math.min(4096, goal - size);
      await log.appendAll(Array.from({ length: count }, (_, n) => new Uint8Array(Buffer.from(`${size + n} ${LEAF}`))));
      size += count;
    }
    await log.settled();
    const rate = added / seconds(start);
    const proving = process.hrtime.bigint();
    for (let n = 0; n < 1000; n++) await log.prove((n * 7919) % size);
    const proofs = 1000 / seconds(proving);
    const checking = process.hrtime.bigint();
    const { ok } = await checkLog(log.source, log.verifier);
    const checked = size / seconds(checking);
    if (!ok) throw new Error(`the log of ${goal} entries is damaged`);
    let bytes = 0;
    for await (const entry of walkTree(path)) bytes += entry.type === "file" ? entry.stats.size : 0;
    const overhead = bytes / size - (Buffer.byteLength(LEAF) + String(goal).length);
    const what = `${goal.toLocaleString("en")} entries`;
    rows.push(
      row(`${what}: appends of 4,096`, rate, 10_000, "the goal", "/s", rate >= 10_000),
      row(`${what}: inclusion proofs`, proofs, 1000, "a floor", "/s", proofs >= 1000),
      row(`${what}: checked by fsck`, checked, 50_000, "a floor", "/s", checked >= 50_000),
      row(
        `${what}: bytes besides an entry's own`,
        overhead,
        64,
        "one hash and its share",
        "B",
        overhead <= 64,
        "at most 1",
      ),
    );
  }
  return rows;
}

function row(
  what: string,
  ours: number,
  peer: number,
  peerName: string,
  unit: string,
  met: boolean,
  goal = "at least 1",
): Row {
  return { what, ours, peer, peerName, unit, goal, met };
}
