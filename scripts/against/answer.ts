/** diffoscope's answer to a pair, kept beside it. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Figure, measure } from "../../bench/measured.ts";
import type { MadePair } from "../pairs/all.ts";

/** It has no answer to some in an hour. */
export const LONGEST = 120;
const EQUAL = "{}";

function placeOf({ a }: MadePair): string {
  return join(dirname(dirname(a)), "diffoscope.json");
}

/** Asks and keeps the answer. */
export function askPeer(pair: MadePair): Figure {
  const place = placeOf(pair);
  const half = `${place}.half`;
  rmSync(half, { force: true });
  const figure = measure(["diffoscope", "--json", half, pair.a, pair.b], { accept: [0, 1], seconds: LONGEST });
  if (figure.ended && existsSync(half) && statSync(half).size > 0) renameSync(half, place);
  else writeFileSync(place, figure.ended ? EQUAL : "");
  rmSync(half, { force: true });
  return figure;
}

/** Undefined: none in time. "equal": it finds no difference. */
export function keptAnswer(pair: MadePair, again: boolean): unknown {
  const place = placeOf(pair);
  if (again || !existsSync(place)) askPeer(pair);
  const text = readFileSync(place, "utf8");
  if (text === "") return undefined;
  return text === EQUAL ? "equal" : JSON.parse(text);
}
