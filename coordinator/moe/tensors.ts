import { isComputable } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import type { MergedTensor } from "../plan/merged-tensor.js";
import { copyProgram } from "../plan/programs.js";
import type { ModelTensor, StageModel } from "../plan/stage-model.js";
import type { Complaints } from "../recipe/complaints.js";
import type { MoeConfig, MoeExpert } from "./config.js";
import { type DenseShape, inLayer, matrixName, matrixShape, storedMatrix } from "./dense-shape.js";
import type { MakeGate } from "./gates.js";
import { type FeedForward, feedForward, type MoeLayout } from "./layouts.js";
import { ExpertPrograms, zeros } from "./programs.js";

export interface MoeParts {
  readonly config: MoeConfig;
  readonly layout: MoeLayout;
  readonly base: StageModel;
  /** As in the config, one for each of its experts. */
  readonly experts: readonly StageModel[];
  readonly shared: readonly StageModel[];
  readonly dense: DenseShape;
  readonly makeGate: MakeGate;
  readonly complaints: Complaints;
}

/** All tensors of the mixture, layer by layer between what stands before and after them. */
export function moeTensors(parts: MoeParts): readonly MergedTensor[] {
  return new MoeTensors(parts).all();
}

class MoeTensors {
  readonly #parts: MoeParts;
  readonly #programs = new ExpertPrograms();
  /** Experts that were complained of: one complaint says enough of a model that does not fit. */
  readonly #unfit = new Set<StageModel>();

  constructor(parts: MoeParts) {
    this.#parts = parts;
  }

  all(): readonly MergedTensor[] {
    const { base, dense } = this.#parts;
    const kept = [...base.names()].filter((name) => {
      return !base.architecture.place(name).optional && !/^model\.layers\.\d+\.mlp\./.test(name);
    });
    const layers = Array.from({ length: dense.layers }, (_, layer) => [
      ...kept.filter((name) => base.architecture.place(name).layer === layer).map((name) => this.#fromBase(name)),
      ...this.#missingBiases(layer),
      ...this.#feedForward(layer),
    ]);
    const at = (part: string): readonly MergedTensor[] =>
      kept.filter((name) => base.architecture.place(name).part === part).map((name) => this.#fromBase(name));
    return [...at("before"), ...layers.flat(), ...at("after")];
  }

  #fromBase(name: string): MergedTensor {
    const { base, config } = this.#parts;
    const tensor = base.tensor(name);
    if (tensor === undefined || !("input" in tensor)) throw new RangeError(`The base has no tensor ${quote(name)}`);
    const { dtype, shape, input } = tensor;
    const output = isComputable(dtype) ? (config.dtype ?? dtype) : dtype;
    return {
      name,
      dtype: output,
      shape,
      program: copyProgram,
      parameters: [],
      inputs: [input],
      randomStreams: undefined,
    };
  }

  #missingBiases(layer: number): readonly MergedTensor[] {
    const { base, config, layout } = this.#parts;
    return layout.requiredBiases.flatMap((matrix): MergedTensor[] => {
      const name = inLayer(layer, `${matrix}.bias`);
      const weight = base.tensor(inLayer(layer, `${matrix}.weight`));
      if (weight === undefined || base.tensor(name) !== undefined) return [];
      const dtype = config.dtype ?? weight.dtype;
      const shape = weight.shape.slice(0, 1);
      const randomStreams = [{ seed: config.seed, tensor: name, stream: 0 }];
      return [{ name, dtype, shape, program: zeros, parameters: [], inputs: [], randomStreams }];
    });
  }

  #feedForward(layer: number): readonly MergedTensor[] {
    const { config, layout, experts, shared, makeGate } = this.#parts;
    const routed = experts.flatMap((model, i) =>
      feedForward.map((matrix) => this.#expert(layer, matrix, model, config.experts[i], layout.expert(i, matrix))),
    );
    const always = shared.flatMap((model, i) =>
      feedForward.map((matrix) => {
        return this.#expert(layer, matrix, model, config.sharedExperts[i], layout.sharedExpert(matrix));
      }),
    );
    return [
      makeGate(layer, inLayer(layer, layout.router), config.experts),
      ...routed.filter((tensor) => tensor !== undefined),
      ...always.filter((tensor) => tensor !== undefined),
      ...(layout.sharedGate === undefined
        ? []
        : [makeGate(layer, inLayer(layer, layout.sharedGate), config.sharedExperts)]),
    ];
  }

  /** One matrix of an expert, in the dtype that the base has there unless the config says otherwise. */
  #expert(
    layer: number,
    matrix: FeedForward,
    model: StageModel,
    expert: MoeExpert | undefined,
    nameInLayer: string,
  ): MergedTensor | undefined {
    const { base, config, dense } = this.#parts;
    const source = matrixName(layer, matrix);
    const tensor = model.tensor(source);
    const input = tensor && storedMatrix(tensor);
    const shape = matrixShape(matrix, dense);
    if (tensor === undefined || input === undefined || String(tensor.shape) !== String(shape)) {
      return this.#complain(model, source, shape, tensor);
    }
    const name = inLayer(layer, nameInLayer);
    const dtype = config.dtype ?? base.tensor(source)?.dtype ?? tensor.dtype;
    const noise = expert?.noiseScale;
    const residual = matrix === "down_proj" ? expert?.residualScale : undefined;
    const computed = this.#programs.programFor(noise, residual);
    const { program, parameters } = computed ?? { program: copyProgram, parameters: [] };
    const isNoisy = noise !== undefined && noise !== 0;
    const streams = [0, 1].map((stream) => ({ seed: config.seed, tensor: name, stream }));
    return { name, dtype, shape, program, parameters, inputs: [input], randomStreams: isNoisy ? streams : undefined };
  }

  #complain(model: StageModel, source: string, shape: readonly number[], tensor: ModelTensor | undefined): undefined {
    if (this.#unfit.has(model)) return undefined;
    this.#unfit.add(model);
    const found = tensor === undefined ? "it is missing" : `it is ${tensor.dtype} of [${tensor.shape}]`;
    return this.#parts.complaints.add(
      model.at,
      `Model ${quote(model.name)} cannot be an expert: ${quote(source)} must be floats of [${shape}] as in the base, ${found}`,
    );
  }
}
