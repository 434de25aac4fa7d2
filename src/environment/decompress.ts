import { spawn } from "node:child_process";
import type { ByteSource } from "../bytesource.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { unzstd } from "../format/zstd.ts";
import { spool, type Spooled } from "../format/spool.ts";
import type { DebPart } from "../format/deb.ts";
import { gunzip } from "../format/gzip.ts";
import { INFLATION_LIMITS, InflationGuard, type InflationLimits, type Sink } from "../format/inflation.ts";
import { unxz } from "../format/xz.ts";

/** Data of a package; the largest of Debian's have some 3 GB. */
const LIMITS: InflationLimits = { ...INFLATION_LIMITS, maxBytes: 16 * 2 ** 30, maxRatio: 2000 };
const IN_MEMORY = 32 << 20;
/** Below this many bytes our own decoder is through before a process has started. */
const SMALL = 256 << 10;

/**
 * The tar inside a part of a .deb; a large one lies in a nameless file of
 * `temporary` until it is closed. Throws `input`, `limit`.
 */
export async function decompressed(part: DebPart, temporary: string): Promise<Spooled> {
  const { source, compression } = part;
  if (compression === undefined) return { source, close: () => {} };
  const produce = async (sink: Sink): Promise<void> => {
    if (compression === "gzip") await gunzip(source, sink, LIMITS);
    else if (compression === "zstd") await unzstd(source, sink, LIMITS);
    else if (source.size < SMALL || !(await xzProgram(source, sink))) await unxz(source, sink, LIMITS);
  };
  return await spool(temporary, source.name, produce, IN_MEMORY);
}

/** By xz, which runs beside us and is half as fast again as our decoder; false where it is not installed. */
async function xzProgram(source: ByteSource, sink: Sink): Promise<boolean> {
  const child = spawn("xz", ["-dc"], { stdio: ["pipe", "pipe", "pipe"] });
  const guard = new InflationGuard(source.name, source.size, LIMITS);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => void (said = (said + chunk.toString()).slice(0, 1000)));
  const ended = new Promise<number | "missing">((resolve, reject) => {
    child.on("error", (error) => (systemCode(error) === "ENOENT" ? resolve("missing") : reject(error)));
    child.on("close", (code) => resolve(code ?? -1));
  });
  // It may end before it has read everything: its exit code says why.
  child.stdin.on("error", () => child.stdin.destroy());
  const feeding = feed(source, child.stdin);
  try {
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      guard.add(chunk.length);
      sink(chunk);
    }
  } catch (error) {
    if (systemCode(error) !== "ENOENT") {
      child.kill("SIGKILL");
      throw error;
    }
  }
  const code = await ended;
  await feeding;
  if (code === "missing") return false;
  if (code !== 0) throw new BitforbitError("input", `${source.name}: xz: ${said.trim().split("\n")[0] ?? ""}`);
  return true;
}

async function feed(source: ByteSource, into: NodeJS.WritableStream & { destroyed?: boolean }): Promise<void> {
  const length = 256 << 10;
  for (let at = 0; at < source.size && into.destroyed !== true; at += length) {
    const chunk = source.read(at, Math.min(length, source.size - at));
    if (into.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        into.off("drain", go);
        into.off("close", go);
        resolve();
      };
      into.on("drain", go);
      into.on("close", go);
    });
  }
  into.end();
}
