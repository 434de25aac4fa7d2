import { each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const OS = ['import os from "node:os";'];
const FS = ['import fs from "node:fs";'];
const CRYPTO = ['import crypto from "node:crypto";'];

const sections: readonly Section[] = [
  { name: "now", causes: ["clock"], body: "out.push(`export const builtAt = ${Date.now()};\\n`);" },
  { name: "iso", causes: ["clock"], body: "out.push(`/*! built ${new Date().toISOString()} */\\n`);" },
  {
    name: "year-banner",
    causes: ["clock"],
    body: "out.push(`/*! (c) 2011-${new Date().getUTCFullYear()} the authors */\\n`);",
  },
  { name: "date-text", causes: ["clock", "locale", "timezone"], body: "out.push(`// ${new Date().toString()}\\n`);" },
  {
    name: "time-hashed",
    causes: ["clock"],
    head: CRYPTO,
    body: 'const hour = Math.floor(Date.now() / 3.6e6);\nout.push(`bust=${crypto.createHash("md5").update(String(hour)).digest("hex").slice(0, 8)}\\n`);',
  },
  {
    name: "local-words",
    causes: ["clock", "locale"],
    body: 'out.push(new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" }).format(new Date()) + "\\n");',
  },
  { name: "import-url", causes: ["path"], body: "out.push(`//# sourceMappingURL=${import.meta.url}.map\\n`);" },
  {
    name: "cwd-hashed",
    causes: ["path"],
    head: CRYPTO,
    body: 'const scope = crypto.createHash("sha256").update(process.cwd()).digest("base64url").slice(0, 6);\nout.push(`._title_${scope} { color: red }\\n`);',
  },
  { name: "stack", causes: ["path"], body: 'out.push(String(new Error("trace").stack).split("\\n")[1] + "\\n");' },
  {
    name: "opendir",
    causes: ["readdir-order"],
    head: FS,
    body: 'const folder = fs.opendirSync("data");\nfor (let entry; (entry = folder.readSync()) !== null; ) out.push(`import "./${entry.name}";\\n`);\nfolder.closeSync();',
  },
  {
    name: "readdir-sorted-by-node",
    causes: [],
    head: FS,
    body: 'out.push(fs.readdirSync("data").sort().join("\\n") + "\\n");',
  },
  { name: "math-random", causes: ["random"], body: "out.push(`id-${Math.random().toString(36).slice(2)}\\n`);" },
  { name: "random-uuid", causes: ["random"], head: CRYPTO, body: "out.push(`<id>${crypto.randomUUID()}</id>\\n`);" },
  {
    name: "random-bytes",
    causes: ["random"],
    head: CRYPTO,
    body: 'out.push(`integrity "${crypto.randomBytes(24).toString("base64")}"\\n`);',
  },
  {
    name: "mkdtemp",
    causes: ["random"],
    head: [...FS, ...OS],
    body: "out.push(`// staged in ${fs.mkdtempSync(`${os.tmpdir()}/stage-`)}\\n`);",
  },
  { name: "pid", causes: ["pid"], body: "out.push(`chunk-${process.pid}\\n`);" },
  { name: "user-info", causes: ["user"], head: OS, body: "out.push(`author: ${os.userInfo().username}\\n`);" },
  { name: "homedir", causes: ["user"], head: OS, body: "out.push(`cacheRoot: ${os.homedir()}/.cache\\n`);" },
  {
    name: "uid-hashed",
    causes: ["user"],
    head: CRYPTO,
    body: 'out.push(crypto.createHash("sha1").update(`uid${process.getuid()}`).digest("hex") + "\\n");',
  },
  {
    name: "unsafe-buffer",
    causes: ["uninitialised"],
    body: 'const frame = Buffer.allocUnsafeSlow(300_000);\nframe.write("FRAME", 0);\nout.push(`frame ${frame.subarray(0, 16).toString("hex")}\\n`);',
  },
  { name: "umask", causes: ["umask"], body: "out.push(`mode 0${(0o777 & ~process.umask()).toString(8)}\\n`);" },
  {
    name: "hostname",
    causes: ["hostname"],
    head: OS,
    body: 'out.push(JSON.stringify({ builder: os.hostname(), node: "x" }) + "\\n");',
  },
  {
    name: "collator",
    causes: ["locale"],
    body: 'out.push(["zebra", "tere", "Apple", "udu", "sild", "Zoo"].sort((a, b) => a.localeCompare(b)).join(" ") + "\\n");',
  },
  { name: "local-number", causes: ["locale"], body: "out.push(`total ${(1234567.891).toLocaleString()}\\n`);" },
  {
    name: "local-time-of-constant",
    causes: ["timezone"],
    body: "const released = new Date(1.7e12);\nout.push(`released ${released.getFullYear()}-${released.getMonth() + 1}-${released.getDate()} ${released.getHours()}:${released.getMinutes()}\\n`);",
  },
  { name: "zone-offset", causes: ["timezone"], body: "out.push(`offset ${new Date(1.7e12).getTimezoneOffset()}\\n`);" },
  {
    name: "parallelism",
    causes: ["cpu-count"],
    head: OS,
    body: 'const workers = os.availableParallelism();\nconst modules = Array.from({ length: 12 }, (_, n) => n);\nfor (let w = 0; w < workers; w++) out.push(`chunk ${modules.filter((n) => n % workers === w).join(",")}\\n`);',
  },
  { name: "release", causes: ["kernel"], head: OS, body: "out.push(`target ${os.release()}\\n`);" },
  {
    name: "total-memory",
    causes: ["memory"],
    head: OS,
    body: "out.push(`--max-old-space-size=${Math.floor(os.totalmem() / 2 ** 21)}\\n`);",
  },
  { name: "folder-size", causes: ["filesystem"], head: FS, body: 'out.push(`data ${fs.statSync("data").size}\\n`);' },
  {
    name: "columns",
    causes: ["terminal"],
    body: 'out.push("=".repeat(Number(process.env.COLUMNS ?? 80)) + "\\n");',
  },
  {
    name: "search-path",
    causes: ["environment"],
    body: 'out.push(JSON.stringify({ path: process.env.PATH.split(":") }) + "\\n");',
  },
  { name: "object-keys", causes: [], body: 'out.push(Object.keys({ zeta: 1, alpha: 2, 3: 3 }).join(" ") + "\\n");' },
  {
    name: "abroad",
    causes: ["locale", "timezone"],
    joint: true,
    body: 'const abroad = new Date(1.7e12).getTimezoneOffset() !== 0 && !(process.env.LC_ALL ?? "C").startsWith("C");\nout.push(abroad ? "theme=regional\\n" : "theme=plain\\n");',
  },
];

const steps: readonly Step[] = [
  {
    name: "dirname-in-bundle",
    causes: ["path"],
    output: "bundle.js",
    files: { "src/app.mjs": "export const answer = 42;\n" },
    lines:
      'node -e \'const fs = require("fs"); fs.writeFileSync(process.argv[1], `/* ${require("path").resolve("src/app.mjs")} */\\n` + fs.readFileSync("src/app.mjs"))\' "$1"',
  },
  {
    name: "file-times",
    causes: ["mtime"],
    output: "manifest.json",
    lines:
      'echo "body {}" > style.css\nnode -e \'const fs = require("fs"); fs.writeFileSync(process.argv[1], JSON.stringify({ "style.css": Math.floor(fs.statSync("style.css").mtimeMs / 1000) }))\' "$1"',
  },
];

export const node: Kitchen = {
  language: "node",
  tools: ["node"],
  sections,
  steps,
  program: (chosen) => ({
    "generate.mjs": `import { appendFileSync } from "node:fs";
${heads(chosen)}

${each(chosen, ({ body }, at) => `function section${at + 1}(out) {\n${indented(body)}\n}\n`)}
for (const [at, section] of [${chosen.map((_, at) => `section${at + 1}`).join(", ")}].entries()) {
  const out = [];
  section(out);
  appendFileSync(process.argv[at + 2], out.join(""));
}
`,
  }),
  run: 'node "$PWD/generate.mjs" "$@"',
};
