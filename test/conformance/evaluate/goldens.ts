import { readFileSync } from "node:fs";
import { repositoryPath } from "../../support/repository.js";

const folder = "test/conformance/evaluate";

/** What make_goldens.py wrote. */
export function readGoldens<Goldens>(name: "text" | "likelihood" | "scores" | "metrics"): Goldens {
  return JSON.parse(readFileSync(repositoryPath(folder, `${name}.json`), "utf8")) as Goldens;
}
