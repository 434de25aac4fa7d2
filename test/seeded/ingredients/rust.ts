import { each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const using = (path: string): string => `use ${path};`;
const MAP = using("std::collections::HashMap");
const SET = using("std::collections::HashSet");
const FNV =
  "fn fnv(text: &[u8]) -> u64 { text.iter().fold(1469598103934665603u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(1099511628211)) }";
const NOW = "fn now() -> u64 { std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() }";

const sections: readonly Section[] = [
  { name: "system-time", causes: ["clock"], head: [NOW], body: 'writeln!(out, "pub const BUILT: u64 = {};", now())?;' },
  { name: "days", causes: ["clock"], head: [NOW], body: 'writeln!(out, "version = \\"0.9.{}\\"", now() / 86400)?;' },
  {
    name: "time-hashed",
    causes: ["clock"],
    head: [NOW, FNV],
    body: 'writeln!(out, "epoch {:016x}", fnv((now() / 3600).to_string().as_bytes()))?;',
  },
  {
    name: "time-binary",
    causes: ["clock"],
    head: [NOW],
    body: 'out.write_all(b"HEAD")?;\nout.write_all(&now().to_be_bytes())?;\nout.write_all(b"TAIL\\n")?;',
  },
  { name: "current-dir", causes: ["path"], body: 'writeln!(out, "source = {:?}", std::env::current_dir()?)?;' },
  { name: "panic-location", causes: ["path"], body: 'writeln!(out, "at {}", std::panic::Location::caller().file())?;' },
  {
    name: "folder-hashed",
    causes: ["path"],
    head: [FNV],
    body: 'writeln!(out, "crate-{:x}", fnv(std::env::current_dir()?.to_string_lossy().as_bytes()))?;',
  },
  {
    name: "length-set-too-early",
    causes: ["uninitialised"],
    body: 'let mut table: Vec<u8> = Vec::with_capacity(300_000);\nunsafe { table.set_len(300_000) };\ntable[..6].copy_from_slice(b"TABLE:");\nwriteln!(out, "{}", table[..14].iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;',
  },
  {
    name: "capacity-hashed",
    causes: ["uninitialised"],
    head: [FNV],
    body: 'let mut page: Vec<u8> = Vec::with_capacity(400_000);\nunsafe { page.set_len(400_000) };\npage[0] = 1;\nwriteln!(out, "page {:016x}", fnv(&page[..4096]))?;',
  },
  {
    name: "read-dir",
    causes: ["readdir-order"],
    body: 'for entry in std::fs::read_dir("data")? {\n  writeln!(out, "mod {};", entry?.file_name().to_string_lossy().replace(".txt", ""))?;\n}',
  },
  {
    name: "hash-map",
    causes: ["hash-order"],
    head: [MAP],
    body: 'let ports: HashMap<&str, u16> = [("http", 80), ("https", 443), ("ssh", 22), ("smtp", 25), ("dns", 53), ("ntp", 123), ("imap", 143)].into_iter().collect();\nfor (name, port) in &ports {\n  writeln!(out, "{name}={port}")?;\n}',
  },
  {
    name: "hash-set-first",
    causes: ["hash-order"],
    toldAs: "random",
    head: [SET],
    body: 'let names: HashSet<u32> = (100..160).collect();\nwriteln!(out, "root = {}", names.iter().next().unwrap())?;',
  },
  {
    name: "btree-map",
    causes: [],
    head: [using("std::collections::BTreeMap")],
    body: 'let sizes: BTreeMap<&str, u8> = [("s", 1), ("m", 2), ("l", 3)].into_iter().collect();\nwriteln!(out, "{sizes:?}")?;',
  },
  {
    name: "urandom",
    causes: ["random"],
    head: [using("std::io::Read")],
    body: 'let mut key = [0u8; 16];\nstd::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;\nwriteln!(out, "key = {:02x?}", key)?;',
  },
  {
    name: "getrandom",
    causes: ["random"],
    head: ['extern "C" { fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize; }'],
    body: 'let mut seed = [0u8; 8];\nunsafe { getrandom(seed.as_mut_ptr(), 8, 0) };\nwriteln!(out, "seed {}", u64::from_le_bytes(seed))?;',
  },
  // how many threads rustc and the linker have had before depends on the CPUs
  { name: "pid", causes: ["pid"], also: ["cpu-count"], body: 'writeln!(out, "// unit {}", std::process::id())?;' },
  {
    name: "address",
    causes: ["aslr"],
    body: '#[repr(align(4096))]\nstruct Page([u64; 4]);\nstatic TABLE: Page = Page([3, 1, 4, 1]);\nwriteln!(out, "table@{:p} {}", &TABLE, TABLE.0[0])?;',
  },
  {
    name: "address-as-key",
    causes: ["aslr"],
    body: 'static HERE: u8 = 7;\nwriteln!(out, "slot {}", (&HERE as *const u8 as usize >> 12).wrapping_mul(2654435761) & 0xffff)?;',
  },
  {
    name: "uid",
    causes: ["user"],
    head: ['extern "C" { fn getuid() -> u32; }'],
    body: 'writeln!(out, "owner {}", unsafe { getuid() })?;',
  },
  { name: "home", causes: ["user"], body: 'writeln!(out, "registry = {}/.cargo", std::env::var("HOME").unwrap())?;' },
  {
    name: "umask",
    causes: ["umask"],
    head: ['extern "C" { fn umask(mask: u32) -> u32; }'],
    body: 'let mask = unsafe { umask(0) };\nunsafe { umask(mask) };\nwriteln!(out, "mode {:o}", 0o777 & !mask)?;',
  },
  {
    name: "hostname",
    causes: ["hostname"],
    body: 'writeln!(out, "built-on {}", std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim())?;',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: [FNV],
    body: 'writeln!(out, "node {:x}", fnv(std::fs::read("/proc/sys/kernel/hostname")?.as_slice()))?;',
  },
  {
    name: "zone-variable",
    causes: ["timezone"],
    body: 'writeln!(out, "tz {}", std::env::var("TZ").unwrap_or_default())?;',
  },
  {
    name: "locale-name",
    causes: ["locale"],
    body: 'let language = std::env::var("LC_ALL").unwrap_or_default();\nwriteln!(out, "messages-{}.bin", language.split(\'_\').next().unwrap_or("c").to_lowercase())?;',
  },
  {
    name: "parallelism",
    causes: ["cpu-count"],
    body: 'let units = std::thread::available_parallelism()?.get();\nfor unit in 0..units {\n  writeln!(out, "cgu.{unit} {}", (0..24).filter(|n| n % units == unit).map(|n| n.to_string()).collect::<Vec<_>>().join(" "))?;\n}',
  },
  {
    name: "uname",
    causes: ["kernel"],
    head: ['extern "C" { fn uname(system: *mut u8) -> i32; }'],
    body: 'let mut system = [0u8; 65 * 6];\nunsafe { uname(system.as_mut_ptr()) };\nlet release: Vec<u8> = system[130..195].iter().copied().take_while(|byte| *byte != 0).collect();\nwriteln!(out, "kernel {}", String::from_utf8_lossy(&release))?;',
  },
  {
    name: "meminfo",
    causes: ["memory"],
    body: 'let info = std::fs::read_to_string("/proc/meminfo")?;\nwriteln!(out, "budget {}", info.split_whitespace().nth(1).unwrap())?;',
  },
  { name: "folder-size", causes: ["filesystem"], body: 'writeln!(out, "dir {}", std::fs::metadata("data")?.len())?;' },
  {
    name: "columns",
    causes: ["terminal"],
    body: 'let width: usize = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(80);\nwriteln!(out, "{}", "#".repeat(width))?;',
  },
  {
    name: "path-hashed",
    causes: ["environment"],
    head: [FNV],
    body: 'writeln!(out, "toolchain {:08x}", fnv(std::env::var("PATH").unwrap_or_default().as_bytes()) as u32)?;',
  },
];

const steps: readonly Step[] = [
  {
    name: "debug-info-mapped",
    causes: [],
    output: "mapped.o",
    files: { "src/mapped.rs": "pub fn twice(a: u32) -> u32 { a * 2 }\n" },
    lines:
      'rustc --edition 2021 --crate-type lib --emit obj -g "--remap-path-prefix=$PWD=." -o "$1" "$PWD/src/mapped.rs"',
  },
  {
    name: "panic-path-in-binary",
    causes: ["path"],
    output: "panics.o",
    files: { "src/panics.rs": "pub fn pick(all: &[u32], at: usize) -> u32 { all[at] + 1 }\n" },
    lines: 'rustc --edition 2021 --crate-type lib --emit obj -g -o "$1" "$PWD/src/panics.rs"',
  },
];

export const rust: Kitchen = {
  language: "rust",
  tools: ["rustc", "gcc"],
  sections,
  steps,
  program: (chosen) => ({
    "generate.rs": `#![allow(dead_code, clippy::all)]
use std::io::Write;
${heads(chosen)}

${each(chosen, ({ body }, at) => `#[track_caller]\nfn section_${at + 1}(out: &mut dyn Write) -> std::io::Result<()> {\n${indented(body)}\n  Ok(())\n}\n`)}
fn main() -> std::io::Result<()> {
  let names: Vec<String> = std::env::args().skip(1).collect();
  let sections: Vec<fn(&mut dyn Write) -> std::io::Result<()>> = vec![${chosen.map((_, at) => `section_${at + 1}`).join(", ")}];
  for (section, name) in sections.iter().zip(names) {
    let mut out = std::fs::OpenOptions::new().append(true).create(true).open(name)?;
    section(&mut out)?;
  }
  Ok(())
}
`,
  }),
  run: 'rustc --edition 2021 -o generate "$PWD/generate.rs"\n./generate "$@"',
};
