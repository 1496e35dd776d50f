import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import type { SourceFileSchema } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { checkWeights } from "../../shared/onnx/check-weights.js";
import { elementsOf } from "../../shared/shape.js";
import { buildGraphs } from "../graphs/families.js";
import type { GraphRequest, ModelGraphs } from "../graphs/types.js";
import { exportGraphs, type OpenedExport } from "./exports/export-graphs.js";
import type { GraphNeeds } from "./kinds/context.js";
import type { ModelResult } from "./types.js";

/** A checkpoint that is to be evaluated, as the user named it. */
export interface SubjectRequest {
  /** By what it is called in tables. */
  readonly name: string;
  readonly path: string;
  readonly role: ModelResult["role"];
}

/** A checkpoint whose headers are read: everything that can be known before a byte of weights moves. */
export class Subject {
  readonly request: SubjectRequest;
  readonly checkpoint: Checkpoint;
  /** Its weight files as they are now. */
  readonly sources: readonly MessageInitShape<typeof SourceFileSchema>[];
  /** Of the weight files, as far as paths, headers, sizes and times tell. Hex SHA-256. */
  readonly digest: string;
  /** Folders that an agent reads it from. */
  readonly roots: readonly string[];
  /** Elements of all its tensors. */
  readonly parameters: number;
  readonly #exported: OpenedExport | undefined;
  readonly #graphs = new Map<string, ModelGraphs>();

  private constructor(
    request: SubjectRequest,
    checkpoint: Checkpoint,
    sources: readonly { readonly path: string; readonly bytes: bigint; readonly modifiedMs: number }[],
    exported: OpenedExport | undefined,
  ) {
    this.request = request;
    this.#exported = exported;
    this.checkpoint = checkpoint;
    this.sources = sources;
    const hash = createHash("sha256");
    checkpoint.files.forEach(({ path, headerSha256 }, i) => {
      // The path as well: models of one form, unpacked together, differ in nothing else.
      hash.update(`${path} ${headerSha256} ${sources[i]?.bytes} ${sources[i]?.modifiedMs}\n`);
    });
    this.digest = hash.digest("hex");
    this.roots = [...new Set([checkpoint.root, ...checkpoint.files.map(({ path }) => dirname(path))])];
    this.parameters = 0;
    for (const { shape } of checkpoint.tensors.values()) this.parameters += elementsOf(shape);
  }

  /** Fails with `checkpoint_malformed` or `path_refused`. `exported`: is run instead of a graph of our own. */
  static async open(
    request: SubjectRequest,
    {
      signal,
      exported,
    }: { readonly signal?: AbortSignal | undefined; readonly exported?: OpenedExport | undefined } = {},
  ): Promise<Subject> {
    const checkpoint = await openCheckpoint(request.path, signal === undefined ? {} : { signal });
    const sources = await Promise.all(
      checkpoint.files.map(async ({ path, bytes }) => {
        return { path, bytes: BigInt(bytes), modifiedMs: (await stat(path)).mtimeMs };
      }),
    );
    return new Subject(request, checkpoint, sources, exported);
  }

  /** A model whose headers are known and whose weights are not on any disk: it has no files for agents to read. */
  static unstored(checkpoint: Checkpoint): Subject {
    const { directory } = checkpoint;
    return new Subject({ name: directory, path: directory, role: "model" }, checkpoint, [], undefined);
  }

  /**
   * The graphs that compute what a task needs, checked against the checkpoint's tensors. Fails with
   * `checkpoint_mismatch`: no such architecture, a config that is not supported, tensors that are missing or do not fit.
   */
  graphsFor(needs: GraphNeeds & Pick<GraphRequest, "provider">): ModelGraphs {
    const key = JSON.stringify(needs);
    const known = this.#graphs.get(key);
    if (known !== undefined) return known;
    const graphs = this.#exported === undefined ? this.#build(needs) : this.#bind(this.#exported, needs);
    this.#graphs.set(key, graphs);
    return graphs;
  }

  #build(needs: GraphNeeds & Pick<GraphRequest, "provider">): ModelGraphs {
    const { config, tensors } = this.checkpoint;
    const graphs = buildGraphs({ ...needs, config, tensors, configFile: this.#configFile });
    checkWeights(
      Object.values(graphs.graphs).flatMap(({ weights }) => weights),
      this.checkpoint,
    );
    return graphs;
  }

  #bind(exported: OpenedExport, needs: GraphNeeds): ModelGraphs {
    checkWeights(exported.weights, this.checkpoint, exported.bindings);
    return exportGraphs(exported, needs, { config: this.checkpoint.config, configFile: this.#configFile });
  }

  get #configFile(): string {
    return join(this.checkpoint.directory, "config.json");
  }
}
