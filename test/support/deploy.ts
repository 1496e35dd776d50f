import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseAllDocuments } from "yaml";
import { repositoryPath } from "./repository.js";

/** A command line of Amalgam that a file of deploy/ starts. */
export interface DeployedCommand {
  /** The file, and who runs it there. */
  readonly where: string;
  readonly words: readonly string[];
}

export const deployFolder = repositoryPath("deploy");

/** The files below a folder of deploy/ whose names end so, as paths from there. */
export function deployed(ending: string, folder = deployFolder): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(deployFolder, join(entry.parentPath, entry.name)))
    .toSorted();
}

/** The documents of a YAML file, anchors and merge keys resolved. Throws for what is no YAML. */
export function readDocuments(file: string): readonly unknown[] {
  const documents = parseAllDocuments(readFileSync(join(deployFolder, file), "utf8"), { merge: true, strict: true });
  return documents.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as unknown;
  });
}

/** A value by its path, whatever there is on the way. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
}

/** Every command line in compose.yaml, in Kubernetes' manifests and in systemd's units. */
export function deployedCommands(): readonly DeployedCommand[] {
  return [...ofCompose(), ...ofKubernetes(), ...ofSystemd()];
}

function ofCompose(): readonly DeployedCommand[] {
  const file = "compose.yaml";
  const services = at(readDocuments(file)[0], "services") as Record<string, { image: string; command: string[] }>;
  return Object.entries(services)
    .filter(([, { image }]) => image === "amalgam")
    .map(([name, { command }]) => {
      const shell = /amalgam (.*)$/.exec(command[0] ?? "")?.[1];
      return { where: `${file}, ${name}`, words: shell === undefined ? command : shell.split(" ") };
    });
}

function ofKubernetes(): readonly DeployedCommand[] {
  return deployed(".yaml", join(deployFolder, "kubernetes")).flatMap((file) =>
    readDocuments(file).flatMap((document) => {
      const containers = at(document, "spec", "template", "spec", "containers") as readonly Container[] | undefined;
      return (containers ?? [])
        .filter(({ image }) => !image.startsWith("nats:"))
        .map(({ name, args }) => ({ where: `${file}, ${name}`, words: args ?? [] }));
    }),
  );
}

function ofSystemd(): readonly DeployedCommand[] {
  return deployed(".service").map((file) => {
    const text = readFileSync(join(deployFolder, file), "utf8");
    const start = /^ExecStart=\/usr\/bin\/amalgam (.*)$/m.exec(text)?.[1] ?? "";
    const more = /^# *[A-Z]+_OPTIONS=(.*)$/m.exec(text)?.[1] ?? "";
    const words = [...start.split(" "), ...more.split(" ")];
    return { where: file, words: words.filter((word) => word !== "" && !word.startsWith("$")) };
  });
}
