/** Updates that one tensor may carry: far more adapters than anybody stacks. */
export const maxUpdates = 64;

/** Of a low-rank update. A row of either factor fits the buffer that it is read through. */
export const maxRank = 32_768;

/** Tensors that one row map may read from. */
export const maxRowTensors = 1_024;

/** Columns of a row map: combined rows are kept whole. */
export const maxRowColumns = 1 << 22;

/** Segments of one row map: several times the largest vocabularies. */
export const maxRowSegments = 1 << 21;

/** Terms of all combinations of one row map. */
export const maxRowTerms = 1 << 22;
