/**
 * Benchmarks: whole processes, paired in one run, medians and ratios.
 *     npm run bench             all of them
 *     npm run bench -- startup  those whose name contains a word
 */
import { globSync } from "node:fs";

export interface Row {
  what: string;
  ours: number;
  peer: number;
  peerName: string;
  unit: string;
  goal: string;
  met: boolean;
}

const words = process.argv.slice(2);
for (const file of globSync("bench/*.bench.ts").sort()) {
  if (words.length > 0 && !words.some((word) => file.includes(word))) continue;
  const { bench } = (await import(`../${file}`)) as { bench: () => Promise<Row[]> };
  console.log(`\n${file.slice("bench/".length, -".bench.ts".length)}`);
  for (const { what, ours, peer, peerName, unit, goal, met } of await bench()) {
    const ratio = (ours / peer).toFixed(2);
    console.log(
      `  ${what.padEnd(44)} ${ours.toFixed(1).padStart(9)} ${unit}   ${peerName}: ${peer.toFixed(1)} ${unit}   ratio ${ratio} (${goal}: ${met ? "met" : "NOT met"})`,
    );
  }
}
