import { strict as assert } from "node:assert";
import test from "node:test";
import type { JsonObject } from "../json.ts";
import { adversarialWorld, canonicalWorld, variations, withOptional } from "../vary/worlds.ts";
import type { World } from "../world.ts";
import type { StoryEvent } from "./evidence.ts";
import { worldsTable } from "./worlds.ts";

const event = (world: World): StoryEvent => ({
  kind: "world",
  at: 0,
  ok: true,
  data: { world: JSON.parse(JSON.stringify(world)) as JsonObject },
});

/** The values of a row, canonical world first. */
function row(markup: string, name: string): string[] {
  const line = markup.split("<tr").find((one) => one.includes(`</span> ${name}<span`)) ?? "";
  return [...line.matchAll(/<code>(.*?)<\/code>/g)].map((match) => match[1] ?? "");
}

test("what one world names and the other leaves to the machine is told of both", () => {
  const other = withOptional(
    adversarialWorld("thing"),
    variations.map(({ name }) => name),
  );
  const both = String(worldsTable([event(canonicalWorld("thing")), event(other)]));
  assert.deepEqual(row(both, "processes numbered from"), ["1", "23417"]);
  assert.deepEqual(row(both, "kernel release"), ["the machine&#39;s", "2.6.x, an old one"]);
  assert.deepEqual(row(both, "version control"), ["none", "repository"]);
  assert.deepEqual(row(both, "file system"), ["the machine&#39;s", "memory"]);
  assert.equal(row(both, "memory").length, 2);
  assert.match(row(both, "environment")[1] ?? "", /BLORVIK_ZANTHUM=quempst-fradnil/);
  const alone = String(worldsTable([event(canonicalWorld("thing"))]));
  assert.deepEqual(row(alone, "kernel release"), [], "nothing is told of what no world names");
});
