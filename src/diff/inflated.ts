import type { ByteSource } from "../bytesource.ts";
import type { InflationLimits, Sink } from "../format/inflation.ts";
import { type Spooled, spool } from "../format/spool.ts";
import type { Comparison } from "./comparison.ts";

/** Decompresses into memory or a file, within what the whole run may use. */
export async function inflated(
  comparison: Comparison,
  name: string,
  produce: (sink: Sink, limits: InflationLimits) => Promise<unknown>,
): Promise<Spooled> {
  const { bounds } = comparison;
  const left = Math.max(0, bounds.maxInflated - comparison.inflated);
  const limits = { ...bounds.inflation, maxBytes: Math.min(bounds.inflation.maxBytes, left) };
  const inMemory = Math.max(0, Math.min(bounds.maxInMemory / 4, bounds.maxInMemory - comparison.inMemory));
  const spooled = await spool(bounds.temporary, name, (sink) => produce(sink, limits), inMemory);
  const held = spooled.source.size <= inMemory ? spooled.source.size : 0;
  comparison.inflated += spooled.source.size;
  comparison.inMemory += held;
  return {
    source: spooled.source,
    close: () => {
      comparison.inMemory -= held;
      spooled.close();
    },
  };
}

/** Two contents to look into, closed afterwards whatever happens. */
export async function withBoth<T>(
  openA: () => Promise<Spooled>,
  openB: () => Promise<Spooled>,
  work: (a: ByteSource, b: ByteSource) => Promise<T>,
): Promise<T> {
  const opened = await Promise.allSettled([openA(), openB()]);
  try {
    const [a, b] = opened.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value.source;
    });
    if (a === undefined || b === undefined) throw new Error("unreachable: two were opened");
    return await work(a, b);
  } finally {
    for (const result of opened) if (result.status === "fulfilled") result.value.close();
  }
}
