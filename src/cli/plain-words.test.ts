import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { BitforbitError } from "../errors.ts";
import { parsed } from "./parser.ts";
import { plainWords } from "./plain-words.ts";
import { type Options, type VerbEntry, verbEntries } from "./program.ts";

interface Understood {
  args: readonly string[];
  options: Options;
}

/** As the parser of the whole command line has it; undefined where it refuses. */
async function byParser(entry: VerbEntry, words: readonly string[]): Promise<Understood | undefined> {
  let found: Understood | undefined;
  try {
    await parsed([entry.usage.split(" ")[0] ?? "", ...words], [entry], (_, args, options) => {
      found = { args: [...args], options: { ...options } };
      return Promise.resolve(0);
    });
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
  }
  return found;
}

const verb = fc.constantFrom(...verbEntries());
const named = verb.chain((entry) => {
  const flags = entry.options.flatMap(([text]) => text.match(/--?[a-z][a-z-]*/g) ?? []);
  // No `--help`, which prints.
  const odd = fc.constantFrom("-", "--", "", "-x", "--jso", "--json=yes", "-qx", "-1", "--no-json", "--html=", "a b");
  const word = fc.oneof(fc.constantFrom("a", "b/c", "sha256:0"), fc.constantFrom(...flags), odd);
  return fc.tuple(fc.constant(entry), fc.array(word, { maxLength: 7 }));
});

test("what is read without the parser is what the parser reads", async () => {
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(named, async ([entry, words]) => {
      const found = plainWords(entry, words);
      if (found === undefined) return;
      plain++;
      assert.deepEqual(await byParser(entry, words), found);
    }),
    { numRuns: 4000 },
  );
  assert.ok(plain > 300, `only ${plain} calls were plain`);
});

test("a verb whose last word may stand several times needs no parser", () => {
  const entry = verbEntries().find(({ usage }) => usage === "verify [artifacts...]");
  assert.ok(entry !== undefined);
  for (const args of [[], ["a"], ["a", "b", "c"]]) {
    assert.deepEqual(plainWords(entry, [...args, "--policy", "p"]), { args, options: { policy: "p", cache: true } });
  }
  assert.equal(plainWords(entry, ["a", "--help"]), undefined);
});

test("plain calls need no parser", () => {
  const entry = verbEntries().find(({ usage }) => usage.startsWith("diff "));
  assert.ok(entry !== undefined);
  assert.deepEqual(plainWords(entry, ["a", "b"]), { args: ["a", "b"], options: {} });
  assert.deepEqual(plainWords(entry, ["--json", "a", "b", "--exclude", "*.o", "x", "-q", "--max-lines", "3"]), {
    args: ["a", "b"],
    options: { json: true, exclude: ["*.o", "x"], quiet: true, maxLines: "3" },
  });
  for (const words of [[], ["a"], ["a", "b", "c"], ["a", "b", "--help"], ["a", "b", "--html"], ["a", "--", "b"]]) {
    assert.equal(plainWords(entry, words), undefined, words.join(" "));
  }
});
