import { spawnSync } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, median, time, timeOrEnd } from "./paired.ts";
import { tarHeader, ZERO_BLOCKS } from "./tar.ts";
import type { Row } from "./run.ts";

/** Beyond this the peer has given no answer: on Node's own program it gave none in nine minutes. */
const PEER_TIMEOUT = 120_000;
const MEMBERS = 10_258;

/** Large files that differ in one place, against diffoscope (Debian's diffoscope-minimal). */
export async function bench(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "bitforbit-bench-"));
  try {
    const pairs = [
      { what: "a 246 MB tar, one line changed", files: await tars(folder) },
      { what: "Node's own program, one byte flipped", files: flippedPrograms(folder) },
    ];
    return pairs.map(({ what, files }) => compared(what, files));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compared(what: string, [a, b]: readonly [string, string]): Row {
  const ours: Command = [process.execPath, "dist/bitforbit.cjs", "diff", a, b];
  time(ours, { accept: [1] });
  const figure = median(Array.from({ length: 5 }, () => time(ours, { accept: [1] })));
  const row = { what, ours: figure, unit: "ms", goal: "at most 1" };
  if (spawnSync("diffoscope", ["--version"]).error !== undefined) {
    return { ...row, peer: undefined, peerName: "no diffoscope here: apt-get install diffoscope-minimal", met: false };
  }
  const peer = timeOrEnd(["diffoscope", a, b], { accept: [1], timeoutMilliseconds: PEER_TIMEOUT });
  if (peer === undefined) {
    return { ...row, peer: undefined, peerName: `diffoscope: no answer in ${PEER_TIMEOUT / 1000} s`, met: true };
  }
  return { ...row, peer, peerName: "diffoscope", met: figure <= peer };
}

/** Two tars of 10,258 text files, 246 MB: one line in one file differs. */
async function tars(folder: string): Promise<[string, string]> {
  const paths: [string, string] = [join(folder, "a.tar"), join(folder, "b.tar")];
  for (const [side, path] of paths.entries()) {
    const file = createWriteStream(path);
    for (let member = 0; member < MEMBERS; member++) {
      const lines = Array.from(
        { length: 420 },
        (_, at) => `${member} line ${at}: ${"the quick brown fox ".repeat(1 + (at % 3))}`,
      );
      if (side === 1 && member === 7000) lines[200] = "this line is another one";
      const content = Buffer.from(lines.join("\n"));
      const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
      const block = Buffer.concat([
        tarHeader(`tree/${member % 64}/file-${member}.txt`, content.length),
        content,
        padding,
      ]);
      if (!file.write(block)) await new Promise<void>((resolve) => void file.once("drain", () => resolve()));
    }
    await new Promise<void>((resolve) => void file.end(ZERO_BLOCKS, () => resolve()));
  }
  return paths;
}

function flippedPrograms(folder: string): [string, string] {
  const [a, b] = [join(folder, "node-a"), join(folder, "node-b")];
  const program = readFileSync(process.execPath);
  writeFileSync(a, program);
  const at = Math.floor(program.length / 2);
  program[at] = (program[at] ?? 0) ^ 1;
  writeFileSync(b, program);
  return [a, b];
}
