import { each, heads, indented, type Kitchen, type Section, type Step } from "../ingredient.ts";

const FILES = ["import java.nio.file.*;"];
const TIME = ["import java.time.*;", "import java.time.format.*;"];

const sections: readonly Section[] = [
  { name: "millis", causes: ["clock"], body: 'out.printf("build.time=%d%n", System.currentTimeMillis());' },
  {
    name: "instant",
    causes: ["clock"],
    head: TIME,
    body: 'out.println("Build-Date: " + LocalDate.now(ZoneOffset.UTC));',
  },
  {
    name: "properties-date",
    causes: ["clock", "timezone"],
    head: ["import java.util.*;"],
    body: 'new Properties().store(out, "written by the build");',
  },
  {
    name: "time-hashed",
    causes: ["clock"],
    body: 'out.println("serialVersionUID = " + Long.hashCode(System.currentTimeMillis() / 3600000L * 31L) + "L");',
  },
  {
    name: "local-words",
    causes: ["clock", "locale"],
    head: [...TIME, "import java.util.*;"],
    body: 'out.println(LocalDate.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("EEEE, d MMMM", Locale.getDefault())));',
  },
  { name: "user-dir", causes: ["path"], body: 'out.println("basedir=" + System.getProperty("user.dir"));' },
  {
    name: "user-dir-hashed",
    causes: ["path"],
    body: 'out.printf("module-%08x%n", System.getProperty("user.dir").hashCode());',
  },
  {
    name: "file-list",
    causes: ["readdir-order"],
    head: ["import java.io.*;"],
    body: 'for (String name : new File("data").list()) out.println("service " + name);',
  },
  {
    name: "directory-stream",
    causes: ["readdir-order"],
    head: FILES,
    body: 'try (var all = Files.newDirectoryStream(Path.of("data"))) {\n  for (var path : all) out.println(path);\n}',
  },
  {
    name: "set-of",
    causes: ["hash-order"],
    head: ["import java.util.*;"],
    body: 'out.println(Set.of("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"));',
  },
  {
    name: "map-of",
    causes: ["hash-order"],
    head: ["import java.util.*;"],
    body: 'Map.of("http", 80, "https", 443, "ssh", 22, "smtp", 25, "dns", 53, "ntp", 123).forEach((name, port) -> out.println(name + "=" + port));',
  },
  {
    name: "hash-set-of-text",
    causes: [],
    head: ["import java.util.*;"],
    body: 'out.println(new HashSet<>(List.of("one", "two", "three", "four")));',
  },
  {
    name: "random-uuid",
    causes: ["random"],
    head: ["import java.util.*;"],
    body: 'out.println("<id>" + UUID.randomUUID() + "</id>");',
  },
  {
    name: "secure-random",
    causes: ["random"],
    head: ["import java.security.*;"],
    body: 'out.printf("salt=%x%n", new SecureRandom().nextLong());',
  },
  {
    name: "temporary-file",
    causes: ["random"],
    head: FILES,
    body: 'Path made = Files.createTempFile("gen", ".java");\nout.println("// from " + made);\nFiles.delete(made);',
  },
  { name: "pid", causes: ["pid"], body: 'out.println("vm-" + ProcessHandle.current().pid());' },
  { name: "user-name", causes: ["user"], body: 'out.println("Built-By: " + System.getProperty("user.name"));' },
  {
    name: "user-home",
    causes: ["user"],
    body: 'out.println("repository=" + System.getProperty("user.home") + "/.m2");',
  },
  {
    name: "hostname",
    causes: ["hostname"],
    head: FILES,
    body: 'out.println("Build-Host: " + Files.readString(Path.of("/proc/sys/kernel/hostname")).trim());',
  },
  {
    name: "hostname-hashed",
    causes: ["hostname"],
    head: FILES,
    body: 'out.println(Files.readString(Path.of("/proc/sys/kernel/hostname")).hashCode());',
  },
  { name: "formatted-number", causes: ["locale"], body: 'out.println(String.format("%,.2f", 1234567.891));' },
  {
    name: "collator",
    causes: ["locale"],
    head: ["import java.text.*;", "import java.util.*;"],
    body: 'String[] words = {"zebra", "tere", "apple", "udu", "sild", "zoo"};\nArrays.sort(words, Collator.getInstance());\nout.println(String.join(" ", words));',
  },
  {
    name: "local-time-of-constant",
    causes: ["timezone"],
    head: TIME,
    body: 'out.println("released " + LocalDateTime.ofInstant(Instant.ofEpochSecond(1700000000L), ZoneId.systemDefault()));',
  },
  {
    name: "processors",
    causes: ["cpu-count"],
    body: 'for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) out.println("fork " + i);',
  },
  { name: "os-version", causes: ["kernel"], body: 'out.println("Os-Version: " + System.getProperty("os.version"));' },
  {
    name: "meminfo",
    causes: ["memory"],
    head: FILES,
    body: 'out.println("-Xmx" + Files.readAllLines(Path.of("/proc/meminfo")).get(0).replaceAll("\\\\D", "") + "k");',
  },
  { name: "folder-size", causes: ["filesystem"], head: FILES, body: 'out.println(Files.size(Path.of("data")));' },
  {
    name: "columns",
    causes: ["terminal"],
    body: 'out.println("=".repeat(Integer.parseInt(System.getenv().getOrDefault("COLUMNS", "80"))));',
  },
  {
    name: "environment-hashed",
    causes: ["environment"],
    body: 'out.printf("toolchain=%08x%n", System.getenv("PATH").hashCode());',
  },
];

const steps: readonly Step[] = [
  {
    name: "jar-of-a-date",
    causes: [],
    output: "dated.jar",
    files: { "src/Dated.java": "class Dated {}\n" },
    lines:
      'mkdir -p dated-classes\njavac -d dated-classes src/Dated.java\njar --create --date 2024-03-02T10:20:30Z --file "$1" -C dated-classes Dated.class',
    tools: ["javac", "jar"],
  },
  {
    name: "jar",
    causes: ["mtime", "timezone"],
    // META-INF/ and the manifest in it have the time of packing.
    also: ["clock"],
    output: "app.jar",
    files: {
      "src/App.java":
        'class App {\n  public static void main(String[] args) {\n    System.out.println("app");\n  }\n}\n',
    },
    lines: 'mkdir -p classes\njavac -d classes src/App.java\njar --create --file "$1" -C classes App.class',
    tools: ["javac", "jar"],
  },
  {
    name: "zip-stream",
    causes: ["clock", "timezone"],
    output: "sources.zip",
    files: {
      "src/Pack.java":
        'import java.io.*;\nimport java.util.zip.*;\n\nclass Pack {\n  public static void main(String[] args) throws IOException {\n    try (var zip = new ZipOutputStream(new FileOutputStream(args[0]))) {\n      zip.putNextEntry(new ZipEntry("notes.txt"));\n      zip.write("notes that do not change\\n".getBytes());\n    }\n  }\n}\n',
    },
    lines: 'java -Xshare:auto src/Pack.java "$1"',
  },
];

export const java: Kitchen = {
  language: "java",
  tools: ["java"],
  sections,
  steps,
  program: (chosen) => ({
    "Generate.java": `import java.io.PrintStream;
import java.io.FileOutputStream;
${heads(chosen)}

class Generate {
  interface Section { void write(PrintStream out) throws Exception; }

${each(chosen, ({ body }, at) => `  static void section${at + 1}(PrintStream out) throws Exception {\n${indented(body, "    ")}\n  }\n`)}
  public static void main(String[] names) throws Exception {
    Section[] all = {${chosen.map((_, at) => `Generate::section${at + 1}`).join(", ")}};
    for (int i = 0; i < all.length; i++) {
      try (var out = new PrintStream(new FileOutputStream(names[i], true), false, "UTF-8")) {
        all[i].write(out);
      }
    }
  }
}
`,
  }),
  run: 'java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 Generate.java "$@"',
};
