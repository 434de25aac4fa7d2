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
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { measure } from "../bench/measured.ts";
import { type MadePair, pairsThatAreThere } from "./pairs/all.ts";
import { keptAnswer, LONGEST } from "./against/answer.ts";
import { type Counts, writeTable } from "./against/table.ts";
import { missingOf } from "./against/missing.ts";
import { type OurDocument, shownIn } from "./against/ours.ts";
import { linesOf, toldBy } from "./against/peer.ts";

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
  const ours = join(place, "bitforbit.json");
  measure([process.execPath, "dist/bitforbit.cjs", "diff", "--json", "--prove", pair.a, pair.b], {
    accept: [0, 1],
    seconds: LONGEST,
    into: ours,
  });
  const document = JSON.parse(readFileSync(ours, "utf8")) as OurDocument;
  const answer = keptAnswer(pair, values.again === true);
  if (answer === undefined) {
    writeFileSync(join(place, "missing.json"), JSON.stringify({ differences: document.summary?.leaves ?? 0 }));
    console.log(
      `${pair.name}: ${document.summary?.leaves ?? 0} differences; diffoscope gave no answer in ${LONGEST} s`,
    );
    return 0;
  }
  const told = answer === "equal" ? [] : toldBy(answer);
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
