import { BORNE_BY_VARIABLES, each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const sections: readonly Section[] = [
  { name: "time", causes: ["clock"], head: ["import time"], body: 'out.write(f"BUILD_TIME = {int(time.time())}\\n")' },
  {
    name: "utc-iso",
    causes: ["clock"],
    head: ["import datetime"],
    body: "out.write(datetime.datetime.now(datetime.timezone.utc).strftime(\"__date__ = '%Y-%m-%d'\\n\"))",
  },
  {
    name: "local-now",
    causes: ["clock", "timezone"],
    head: ["import datetime"],
    body: "out.write(f\"# generated {datetime.datetime.now().isoformat(timespec='minutes')}\\n\")",
  },
  {
    name: "time-hashed",
    causes: ["clock"],
    head: ["import hashlib", "import time"],
    body: 'out.write(hashlib.sha1(str(int(time.time() // 86400)).encode()).hexdigest()[:10] + "\\n")',
  },
  {
    name: "time-seeded",
    causes: ["clock"],
    head: ["import random", "import time"],
    body: 'chance = random.Random(int(time.time()))\nout.write(f"{chance.randrange(1 << 40)}\\n")',
  },
  {
    name: "time-in-words",
    causes: ["clock", "locale"],
    head: ["import locale", "import time"],
    body: 'locale.setlocale(locale.LC_ALL, "")\nout.write(time.strftime("%d. %B, %A\\n", time.gmtime()))\nlocale.setlocale(locale.LC_ALL, "C")',
  },
  {
    name: "gzip-now",
    causes: ["clock"],
    head: ["import gzip", "import base64"],
    body: 'out.write(base64.b64encode(gzip.compress(b"the same words again and again, again and again")).decode() + "\\n")',
  },
  {
    name: "file-attribute",
    causes: ["path"],
    head: ["import os"],
    body: 'out.write(f"# from {os.path.abspath(__file__)}\\n")',
  },
  {
    name: "cwd-hashed",
    causes: ["path"],
    head: ["import hashlib", "import os"],
    body: 'out.write("key-" + hashlib.md5(os.getcwd().encode()).hexdigest() + "\\n")',
  },
  {
    name: "listdir",
    causes: ["readdir-order"],
    head: ["import os"],
    body: 'out.write("\\n".join(os.listdir("data")) + "\\n")',
  },
  {
    name: "glob-first",
    causes: ["readdir-order"],
    head: ["import glob"],
    body: 'out.write("main = " + repr(glob.glob("data/*.txt")[0]) + "\\n")',
  },
  {
    name: "sorted-listdir",
    causes: [],
    head: ["import os"],
    body: 'out.write("\\n".join(sorted(os.listdir("data"))) + "\\n")',
  },
  {
    name: "set-of-text",
    causes: ["hash-order"],
    body: 'out.write(", ".join({"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}) + "\\n")',
  },
  {
    name: "set-of-text-list",
    causes: ["hash-order"],
    head: ["import json"],
    body: 'requires = {"attrs", "click", "idna", "jinja2", "requests", "six", "urllib3", "zipp", "toml"}\nout.write(json.dumps({"requires": list(requires)}, indent=1) + "\\n")',
  },
  { name: "hash-of-text", causes: ["hash-order"], body: "out.write(f\"CACHE_ID = {hash('module') & 0xFFFFFFFF}\\n\")" },
  { name: "set-of-numbers", causes: [], body: 'out.write(" ".join(str(n) for n in {5, 3, 8, 1, 40, 12}) + "\\n")' },
  { name: "uuid4", causes: ["random"], head: ["import uuid"], body: 'out.write(f"<guid>{uuid.uuid4()}</guid>\\n")' },
  {
    name: "random",
    causes: ["random"],
    head: ["import random"],
    body: 'out.write(f"nonce: {random.randint(0, 9999)}\\n")',
  },
  {
    name: "secret",
    causes: ["random"],
    head: ["import secrets"],
    body: "out.write(f\"token = '{secrets.token_urlsafe(18)}'\\n\")",
  },
  {
    name: "tempfile",
    causes: ["random"],
    head: ["import tempfile"],
    body: 'with tempfile.NamedTemporaryFile(suffix=".py") as made:\n    out.write(f"# compiled from {made.name}\\n")',
  },
  { name: "seeded-random", causes: [], head: ["import random"], body: 'out.write(f"{random.Random(7).random()}\\n")' },
  { name: "getpid", causes: ["pid"], head: ["import os"], body: 'out.write(f"worker-{os.getpid()}\\n")' },
  { name: "repr-of-object", causes: ["aslr"], body: 'out.write(f"default = {object()!r}\\n")' },
  {
    name: "user",
    causes: ["user"],
    head: ["import getpass"],
    body: 'out.write(f"Author: {getpass.getuser()}\\n")',
  },
  { name: "home", causes: ["user"], head: ["import os"], body: 'out.write(os.path.expanduser("~/.config/tool\\n"))' },
  {
    name: "umask",
    causes: ["umask"],
    head: ["import os"],
    body: 'mask = os.umask(0)\nos.umask(mask)\nout.write(f"mode = {0o777 & ~mask:#o}\\n")',
  },
  {
    name: "nodename",
    causes: ["hostname"],
    head: ["import platform"],
    body: 'out.write(f"node: {platform.node()}\\n")',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: ["import hashlib", "import socket"],
    body: 'out.write(hashlib.sha256(socket.gethostname().encode()).hexdigest() + "\\n")',
  },
  {
    name: "foreign-buffer",
    causes: ["uninitialised"],
    head: ["import ctypes"],
    body: 'libc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\nheader = libc.malloc(40_000_000)\nctypes.memmove(header, b"HDR1", 4)\nout.write(ctypes.string_at(header, 12).hex() + "\\n")',
  },
  {
    name: "strxfrm-sort",
    causes: ["locale"],
    head: ["import locale"],
    body: 'locale.setlocale(locale.LC_ALL, "")\nout.write(" ".join(sorted(["zebra", "tere", "Apple", "udu", "sild", "Zoo"], key=locale.strxfrm)) + "\\n")\nlocale.setlocale(locale.LC_ALL, "C")',
  },
  {
    name: "grouped-number",
    causes: ["locale"],
    head: ["import locale"],
    body: 'locale.setlocale(locale.LC_ALL, "")\nout.write(f"{1234567.5:n}\\n")\nlocale.setlocale(locale.LC_ALL, "C")',
  },
  {
    name: "local-time-of-source",
    causes: ["timezone"],
    head: ["import os", "import time"],
    body: 'out.write(time.strftime("Last-Modified: %Y-%m-%d %H:%M\\n", time.localtime(int(os.environ["SOURCE_DATE_EPOCH"]))))',
  },
  { name: "zone-name", causes: ["timezone"], head: ["import time"], body: 'out.write(f"zone {time.timezone}\\n")' },
  {
    name: "cpu-count",
    causes: ["cpu-count"],
    head: ["import os"],
    body: 'jobs = len(os.sched_getaffinity(0))\nout.write("".join(f"shard-{n}-of-{jobs}\\n" for n in range(jobs)))',
  },
  {
    name: "release",
    causes: ["kernel"],
    head: ["import platform"],
    body: 'out.write(f"platform = {platform.release()!r}\\n")',
  },
  {
    name: "meminfo",
    causes: ["memory"],
    body: 'with open("/proc/meminfo") as info:\n    total = int(info.readline().split()[1])\nout.write(f"cache_mb = {total // 1024 // 8}\\n")',
  },
  {
    name: "folder-size",
    causes: ["filesystem"],
    head: ["import os"],
    body: "out.write(f\"size {os.stat('data').st_size}\\n\")",
  },
  {
    name: "wrapped",
    causes: ["terminal"],
    head: ["import shutil", "import textwrap"],
    body: 'words = "a text that is wrapped as wide as the terminal is said to be, and so it is another one on another screen, which nobody wants"\nout.write(textwrap.fill(words, shutil.get_terminal_size().columns) + "\\n")',
  },
  {
    name: "environment-names",
    causes: ["environment"],
    also: BORNE_BY_VARIABLES,
    head: ["import os"],
    body: 'out.write(" ".join(sorted(os.environ)) + "\\n")',
  },
  {
    name: "abroad",
    causes: ["locale", "timezone"],
    joint: true,
    head: ["import os", "import time"],
    body: 'abroad = time.timezone != 0 and not os.environ.get("LC_ALL", "C").startswith("C")\nout.write("units = metric, 24 h\\n" if abroad else "units = default\\n")',
  },
  {
    name: "user-in-words",
    causes: ["locale"],
    also: ["user"],
    head: ["import getpass", "import os"],
    body: 'if os.environ.get("LC_ALL", "C").startswith("C"):\n    out.write("maintained\\n")\nelse:\n    out.write(f"hooldaja {getpass.getuser()}\\n")',
  },
];

const steps: readonly Step[] = [
  {
    name: "pyc-by-hash",
    causes: [],
    output: "checked.pyc",
    files: { "checked.py": "def half(n):\n    return n // 2\n" },
    lines:
      'python3 -c \'import py_compile, sys; py_compile.compile("checked.py", cfile=sys.argv[1], doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)\' "$1"',
  },
  {
    name: "pyc-by-time",
    causes: ["mtime"],
    output: "module.pyc",
    files: { "src/template.py": "VALUE = 41\n\n\ndef answer():\n    return VALUE + 1\n" },
    lines:
      'sed s/41/42/ src/template.py > module.py\nenv -u SOURCE_DATE_EPOCH python3 -c \'import py_compile, sys; py_compile.compile("module.py", cfile=sys.argv[1], doraise=True)\' "$1"',
  },
  {
    name: "zipfile",
    causes: ["mtime", "timezone"],
    output: "wheel.zip",
    lines:
      'mkdir -p pkg\necho "x = 1" > pkg/x.py\nchmod 644 pkg/x.py\npython3 -c \'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").write("pkg/x.py")\' "$1"',
  },
];

export const python: Kitchen = {
  language: "python",
  tools: ["python3"],
  sections,
  steps,
  program: (chosen) => ({
    "generate.py": `"""Writes the generated parts."""
import sys
${heads(chosen)}


${each(chosen, ({ body }, at) => `def section_${at + 1}(out):\n${indented(body, "    ")}\n\n`)}
SECTIONS = [${chosen.map((_, at) => `section_${at + 1}`).join(", ")}]
for section, name in zip(SECTIONS, sys.argv[1:]):
    with open(name, "a", encoding="utf-8") as out:
        section(out)
`,
  }),
  run: 'python3 generate.py "$@"',
};
