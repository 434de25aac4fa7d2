/**
 * Is anything that diffoscope shows missing in ours? On the pairs of `npm run pairs`:
 *
 *     npm run against-diffoscope                  all pairs
 *     npm run against-diffoscope -- deb-hello pdf those whose name begins so
 *     npm run against-diffoscope -- --again …     diffoscope is run again where its answer is kept already
 *     npm run against-diffoscope -- --all …       every missing line is printed, not the first twenty
 *     npm run against-diffoscope -- --table       compares nothing: writes the table of docs/diff.md from what is kept
 *
 * diffoscope's tree is walked: each line that it marks with - or + must be in our difference at the same member, as a
 * whole or in each of its words that differ. What its programs print that is no difference of its own is taken out
 * first, by scripts/against/rules.ts. Answers are kept beside the pairs. The exit code is 1 when anything is missing.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { measure } from "../bench/measured.ts";
import { type MadePair, pairsThatAreThere } from "./pairs/all.ts";
import { type Counts, writeTable } from "./against/table.ts";
import { missingOf } from "./against/missing.ts";
import { type OurDocument, shownIn } from "./against/ours.ts";
import { linesOf, toldBy } from "./against/peer.ts";

/** It has no answer to some in an hour. */
const LONGEST = 120;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { again: { type: "boolean" }, all: { type: "boolean" }, table: { type: "boolean" } },
});
if (values.table === true) writeTable(pairsThatAreThere());
else {
  let left = 0;
  for (const pair of pairsThatAreThere(positionals)) left += compared(pair);
  process.exitCode = left === 0 ? 0 : 1;
}

/** How many lines are missing. */
function compared(pair: MadePair): number {
  const place = dirname(dirname(pair.a));
  const peer = join(place, "diffoscope.json");
  const ours = join(place, "bitforbit.json");
  measure([process.execPath, "dist/bitforbit.cjs", "diff", "--json", "--prove", pair.a, pair.b], {
    accept: [0, 1],
    seconds: LONGEST,
    into: ours,
  });
  if (!existsSync(peer) || values.again === true) askPeer(pair, peer);
  const document = JSON.parse(readFileSync(ours, "utf8")) as OurDocument;
  const answer = readFileSync(peer, "utf8");
  if (answer === "") {
    writeFileSync(join(place, "missing.json"), JSON.stringify({ differences: document.summary?.leaves ?? 0 }));
    console.log(
      `${pair.name}: ${document.summary?.leaves ?? 0} differences; diffoscope gave no answer in ${LONGEST} s`,
    );
    return 0;
  }
  const told = answer === "{}" ? [] : toldBy(JSON.parse(answer));
  const missing = missingOf(told, shownIn(document));
  const lines = linesOf(told);
  const sum = `${document.summary?.leaves ?? 0} differences; diffoscope ${lines} lines in ${told.length} places`;
  console.log(`${pair.name}: ${sum}; missing ${missing.length}`);
  const counts: Counts = { differences: document.summary?.leaves ?? 0, lines, missing: missing.length };
  writeFileSync(join(place, "missing.json"), JSON.stringify(counts));
  const shown = values.all === true ? missing.length : 20;
  let where = "";
  for (const one of missing.slice(0, shown)) {
    if (one.where !== where) console.log(`    ${(where = one.where)}`);
    console.log(`        ${one.what}`);
  }
  if (missing.length > shown) console.log(`        … ${missing.length - shown} more`);
  return missing.length;
}

/** Writes its JSON; "{}" when it finds no difference, nothing at all when it has no answer in time. */
function askPeer({ a, b }: MadePair, into: string): void {
  const half = `${into}.half`;
  const { ended } = measure(["diffoscope", "--json", half, a, b], {
    accept: [0, 1],
    seconds: LONGEST,
  });
  const answer = ended && existsSync(half) && statSync(half).size > 0 ? readFileSync(half) : ended ? "{}" : "";
  writeFileSync(into, answer);
  rmSync(half, { force: true });
}
