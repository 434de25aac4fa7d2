/** A recipe is changed in its own style, and means what was asked for. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import * as fc from "fast-check";
import { editRecipe } from "./edit.ts";
import { parseRecipe, RECIPE_FILE } from "./recipe.ts";

const REST = 'outputs = ["out"] # what it makes\n';

for (const [style, before, command, after] of [
  ["a basic string", 'command = "make \\"x\\"" # builds', 'make "y"', 'command = "make \\"y\\"" # builds'],
  ["a literal string", "command = 'make \"x\"'", 'make "y"', "command = 'make \"y\"'"],
  [
    "a literal string that cannot be one any more",
    "command = 'make'",
    "make 'y'\nls",
    "command = '''\nmake 'y'\nls'''",
  ],
  ["several lines", "command = '''\na\nb\n''' # c", "umask 022\na\nb\n", "command = '''\numask 022\na\nb\n''' # c"],
  ["several lines without a break", "command = '''a\nb'''", "x\nb", "command = '''x\nb'''"],
  ["escaped lines", 'command = """\na\nb\\n"""', "a\nc\n", "command = '''\na\nc\n'''"],
] as const) {
  test(`the command, written as ${style}`, () => {
    const text = `# mine\nname = "x"\n${before}\n${REST}`;
    const edited = editRecipe(text, { command, env: {} });
    assert.equal(edited, `# mine\nname = "x"\n${after}\n${REST}`);
    assert.equal(parseRecipe(edited, RECIPE_FILE).command, command);
  });
}

test("variables: a table of their own, or the one that is there; what is set is replaced", () => {
  const plain = `name = "x"\ncommand = "y"\n${REST}`;
  assert.equal(editRecipe(plain, { command: "y", env: { TZ: "UTC" } }), `${plain}\n[env]\nTZ = "UTC"\n`);
  const some = `${plain}\n[env]\nA = "1" # one\n\n[limits]\nlog = "1 MiB"\n`;
  assert.equal(
    editRecipe(some, { command: "y", env: { A: "1", TZ: "UTC" } }),
    `${plain}\n[env]\nA = "1" # one\nTZ = "UTC"\n\n[limits]\nlog = "1 MiB"\n`,
  );
  assert.match(editRecipe(some, { command: "y", env: { A: "2" } }), /\[env\]\nA = "2"\n/);
});

test("what cannot be changed without a guess is refused", () => {
  const inline = `name = "x"\ncommand = "y"\n${REST}env = { A = "1" }\n`;
  assert.throws(() => editRecipe(inline, { command: "y", env: { TZ: "UTC" } }), /cannot be changed/);
});

test("whatever the command becomes, the recipe means just that", () => {
  const styles = ['command = "a"', "command = 'a'", "command = '''\na\n'''", 'command = """a"""'];
  fc.assert(
    fc.property(
      fc.constantFrom(...styles),
      fc.string({ minLength: 1, maxLength: 40, unit: "binary" }),
      (style, command) => {
        const edited = editRecipe(`name = "x"\n${style}\n${REST}`, { command, env: {} });
        assert.equal(parseRecipe(edited, RECIPE_FILE).command, command);
      },
    ),
    { numRuns: 300 },
  );
});
