/**
 * Benchmarks: whole processes, paired in one run, medians and ratios.
 *     npm run bench             all of them
 *     npm run bench -- startup  those whose name contains a word
 *     npm run bench -- diffoscope --only deb- --resume  with options of its own, behind the words
 * bench/README.md has the figures of one run.
 */
import { globSync } from "node:fs";

export interface Row {
  what: string;
  ours: number;
  /** Undefined when the peer could not be had or gave no answer: `peerName` says why. */
  peer: number | undefined;
  peerName: string;
  unit: string;
  goal: string;
  met: boolean;
}

// What begins with - and what stands behind it is read by the benchmark itself.
const options = process.argv.findIndex((word) => word.startsWith("--"));
const words = process.argv.slice(2, options < 0 ? undefined : options);
for (const file of globSync("bench/*.bench.ts").sort()) {
  if (words.length > 0 && !words.some((word) => file.includes(word))) continue;
  const { bench } = (await import(`../${file}`)) as { bench: () => Promise<Row[]> };
  console.log(`\n${file.slice("bench/".length, -".bench.ts".length)}`);
  for (const row of await bench()) console.log(line(row));
}

function line({ what, ours, peer, peerName, unit, goal, met }: Row): string {
  const figure = `  ${what.padEnd(44)} ${ours.toFixed(1).padStart(9)} ${unit}   `;
  if (peer === undefined) return `${figure}${peerName} (${goal})`;
  const ratio = (ours / peer).toFixed(2);
  return `${figure}${peerName}: ${peer.toFixed(1)} ${unit}   ratio ${ratio} (${goal}: ${met ? "met" : "NOT met"})`;
}
