import { strict as assert } from "node:assert";
import test from "node:test";
import type { Attribution } from "../explain/group-testing.ts";
import { adversarialWorld, canonicalWorld, withOptional } from "../vary/worlds.ts";
import type { CauseName } from "../world.ts";
import { nameMachineCauses, otherMachines } from "./machine-causes.ts";

test("other machines differ from the asked-for one in one thing each", () => {
  const world = withOptional(adversarialWorld("thing"), ["machine"]);
  const others = otherMachines(world);
  assert.deepEqual(
    others.map(({ cause }) => cause),
    ["cpu-model", "memory"],
  );
  const [processor, memory] = others.map((one) => one.world.machine);
  assert.equal(processor?.memoryBytes, world.machine?.memoryBytes);
  assert.notEqual(processor?.processor, world.machine?.processor);
  assert.equal(memory?.processor, world.machine?.processor);
  assert.notEqual(memory?.memoryBytes, world.machine?.memoryBytes);
  assert.deepEqual(otherMachines(canonicalWorld("thing")), []);
});

test("what differs between machines with other processors is the processor's; what no machine changes stays the machine's", () => {
  const attribution: Attribution = new Map<string, CauseName[][]>([
    ["code", [["machine"]]],
    ["heap", [["machine", "locale"]]],
    ["both", [["machine"]]],
    ["kernel", [["machine"]]],
    ["path", [["path"]]],
  ]);
  nameMachineCauses(
    attribution,
    new Map([
      ["cpu-model", new Set(["code", "both", "path"])],
      ["memory", new Set(["heap", "both"])],
    ]),
  );
  assert.deepEqual(Object.fromEntries(attribution), {
    code: [["cpu-model"]],
    heap: [["memory", "locale"]],
    both: [["cpu-model"], ["memory"]],
    kernel: [["machine"]],
    path: [["path"]],
  });
});
