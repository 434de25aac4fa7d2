import { childText, parseXml } from "../format/xml.ts";
import { type Detected, recipeName, recipeWith, script } from "./detected.ts";
import { readProjectFile } from "../project-file.ts";

const MAVEN = 'mvn -B -q -Dmaven.repo.local="$BITFORBIT_DEPS/m2" -DskipTests';

/**
 * Maven: the same `package` run once with network fills a local repository
 * (dependency:go-offline leaves out what plug-ins load late). Its tracking
 * files are removed: they hold times and the names of mirrors, and Maven would
 * refuse what came from a mirror that the build cannot name.
 */
export async function detectMaven(folder: string, fallbackName: string): Promise<Detected | undefined> {
  const text = await readProjectFile(folder, "pom.xml");
  if (text === undefined) return undefined;
  const project = parseXml(text, "pom.xml");
  const modules = project.children.some((child) => child.name === "modules");
  const packaging = childText(project, "packaging") ?? "jar";
  const archive = ["war", "ear", "rar"].includes(packaging) ? packaging : "jar";
  const recipe = recipeWith({
    name: recipeName(childText(project, "artifactId"), fallbackName),
    ecosystem: "maven",
    tools: ["mvn", "java"],
    fetch: script(
      `${MAVEN} package`,
      `${MAVEN} dependency:tree -DoutputType=text -DappendOutput=true -DoutputFile="$BITFORBIT_DEPS/maven-tree.txt"`,
      `find "$BITFORBIT_DEPS/m2" \\( -name _remote.repositories -o -name '*.lastUpdated' -o -name resolver-status.properties \\) -delete`,
    ),
    command: script(
      'stamp=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)',
      `${MAVEN} -o -Dproject.build.outputTimestamp="$stamp" package`,
    ),
    outputs: [`${modules ? "**/" : ""}target/*.${archive}`],
  });
  const others = modules ? [`the modules make ${archive} files; name others in outputs`] : [];
  const assumed = [...others, "tests are skipped: they are not part of the artifact"];
  const jarPlugin = /maven-jar-plugin/.test(text);
  if (!jarPlugin && !/<parent>/.test(text)) {
    assumed.push("no maven-jar-plugin version is set; 3.2.0 or newer is needed for time stamps that do not change");
  }
  return { recipe, assumed };
}
