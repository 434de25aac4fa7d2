import { strict as assert } from "node:assert";
import test from "node:test";
import { fixedClock } from "../clock.ts";
import { canonicalWorld } from "../vary/worlds.ts";
import { BuildProgress } from "./progress.ts";

const world = (name: string): ReturnType<typeof canonicalWorld> => ({ ...canonicalWorld("thing"), name });

function shown(live: boolean): { lines: string[]; terminal: ConstructorParameters<typeof BuildProgress>[0] } {
  const lines: string[] = [];
  const terminal = {
    live,
    progress: (text: string | undefined) => void (live && text !== undefined && lines.push(text)),
    say: (text: string) => void lines.push(text),
  };
  return { lines, terminal };
}

test("a terminal sees which build of how many, in what world, and the time left", () => {
  const { lines, terminal } = shown(true);
  const clock = fixedClock(0);
  const progress = new BuildProgress(terminal, { budget: 20 * 60_000, clock });
  progress.build({ world: world("canonical"), what: "begins" });
  progress.build({ world: world("adversarial"), what: "begins" });
  clock.advance(5000);
  progress.output("canonical", "cc -c a.c");
  assert.equal(lines.at(-1), "builds 1 to 2 · canonical (5.0 s) | adversarial (5.0 s) · canonical: cc -c a.c");
  progress.build({ world: world("canonical"), what: "ends" });
  progress.build({ world: world("adversarial"), what: "ends" });
  clock.advance(60_000);
  progress.build({ world: world("clock+path+user"), what: "begins" });
  assert.equal(lines.at(-1), "build 3 of about 20 · clock+path+user · 19 min 0 s of the budget left");
  clock.advance(20 * 60_000);
  progress.tick();
  assert.match(lines.at(-1) ?? "", /no time left/);
  progress.end();
});

test("elsewhere lines are plain and seldom, and a build that was there counts", () => {
  const { lines, terminal } = shown(false);
  const clock = fixedClock(0);
  const progress = new BuildProgress(terminal, { budget: 60_000, total: 4, clock });
  for (const name of ["a", "b", "c"]) progress.build({ world: world(name), what: "reused" });
  progress.build({ world: world("d"), what: "begins" });
  progress.output("d", "talks");
  assert.deepEqual(lines, [], "a short run says nothing");
  clock.advance(61_000);
  progress.tick();
  progress.tick();
  progress.end();
  assert.deepEqual(lines, ["  build 4 of 4 · d (1 min 1 s) · no time left: the last builds"]);
});
