// What a search may know of the linear layers that a recipe merges: how they depend on the space's dimensions, and what
// they make of the inputs that tasks give them.

/** The tensors of a merge as sums of task vectors. */
export interface RecipeLayers {
  /** As the recipe names them, without the base. */
  readonly models: readonly string[];
  readonly tensors: readonly LayerTensor[];
}

/** A tensor of a merge, θ_0 + Σ c_i τ_i. */
export interface LayerTensor {
  readonly name: string;
  /** c_i, in the order of the models. */
  readonly coefficients: readonly Coefficient[];
  /** One for each task that has an expert; none for what is not the matrix of a linear layer. */
  readonly moments: readonly LayerMoments[];
}

/** factor · the value of a dimension; or the factor alone. */
export interface Coefficient {
  /** By its name. */
  readonly dimension?: string | undefined;
  readonly factor: number;
}

/** What the task vectors of a linear layer make of the inputs X that it has in a task's expert on the task's examples. */
export interface LayerMoments {
  /** The expert, into the models. */
  readonly expert: number;
  /** tr(τ_i XᵀX τ_jᵀ) = ⟨X τ_iᵀ, X τ_jᵀ⟩, in the order of the models. */
  readonly products: readonly (readonly number[])[];
}
