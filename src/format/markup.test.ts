import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { expanded, type Shown, survives } from "../../test/parts.ts";
import { memorySource } from "../bytesource.ts";
import { htmlParts, xmlParts } from "./markup.ts";
import type { Parse } from "./part.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** A comment that makes a line long enough. */
const LONG = `<!--${"x".repeat(400)}-->`;

async function lines(text: string, parse: Parse): Promise<string[]> {
  const parts = await expanded(bytes(text), parse);
  assert.equal(claimed(parts), bytes(text).length, "every byte is in a part");
  return parts
    .filter(({ kind, path }) => (kind === "field" || kind === "content") && path !== "comment")
    .map(({ path, shown, kind }) => `${path} = ${shown ?? kind}`);
}

function claimed(parts: readonly Shown[]): number {
  return parts.filter(({ kind }) => kind !== "group").reduce((sum, { length }) => sum + length, 0);
}

test("XML: elements by name and what names them, attributes, texts", async () => {
  const text = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]>${LONG}<a xmlns:n='u'><n:b id="1" v="a&amp;b>"/><b id="2">t&x;</b><c><![CDATA[<d>]]></c> </a>`;
  assert.deepEqual(await lines(text, xmlParts), [
    '<?xml = <?xml version="1.0"?>',
    'doctype = <!DOCTYPE a [<!ENTITY x "y">]>',
    "a › @xmlns:n = u",
    "a › n:b id=1 › @id = 1",
    "a › n:b id=1 › @v = a&amp;b>",
    "a › b id=2 › @id = 2",
    "a › b id=2 › text = t&x;",
    "a › c › text = <![CDATA[<d>]]>",
  ]);
});

test("XML that does not match is refused, and so is what is laid out in lines", () => {
  for (const text of ["<a><b></a></b>", "<a>", "<a></a></b>", "<a", "<a>< b></a>"]) {
    assert.throws(() => xmlParts(memorySource(bytes(LONG + text)), "x"), { code: "input" }, text);
  }
  assert.throws(() => xmlParts(memorySource(bytes("<a>\n<b/>\n</a>\n")), "x"), /line by line/);
  const deep = bytes(LONG + "<a>".repeat(100_000));
  assert.throws(() => xmlParts(memorySource(deep), "x"), { code: "limit" });
});

test("HTML: whatever browsers take", async () => {
  const text = `<!doctype html>${LONG}<title>a <b></title><META charset=utf-8><p>one<p class=x hidden>two<br><ul><li>a<li>b</ul></i><script>if (a < b) "</p>"</script><style>a{}</style><script type="application/ld+json">{}</script>1 < 2`;
  assert.deepEqual(await lines(text, htmlParts), [
    "doctype = <!doctype html>",
    "title › text = a <b>",
    "meta › @charset = utf-8",
    "p › text = one",
    "p › @class = x",
    "p › @hidden = ",
    "p › text = two",
    "ul › li › text = a",
    "ul › li › text = b",
    "script ›  = content",
    "style ›  = content",
    "script › @type = application/ld+json",
    "script ›  = content",
    "text = 1 < 2",
  ]);
});

test("any markup is cut without a gap", async () => {
  const piece = fc.constantFrom(
    "<a>",
    "</a>",
    "<b x='1' y=2",
    ">",
    "/>",
    "<!--",
    "-->",
    "t",
    " ",
    "<",
    "<li>",
    "<script>",
    "</script>",
    '"',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      await expanded(bytes(LONG + pieces.join("")), htmlParts);
    }),
    { numRuns: 500 },
  );
  await survives(bytes(`${LONG}<a id="1"><b c='d'/>text<?p i?></a>`), xmlParts);
  await survives(bytes(`${LONG}<ul><li>a<li id=x>b</ul><script>1</script>`), htmlParts);
});
