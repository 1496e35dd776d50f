import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { TaskAnswers } from "./answer-loss.js";

/** Examples that answers are of. */
export function exampleCount({ values, width, rowsPerExample = 1 }: TaskAnswers): number {
  return values.length / width / rowsPerExample;
}

/** The mean of a loss over rows, given where each begins. */
export function meanOverRows(answers: TaskAnswers, lossOf: (begin: number, row: number) => number): number {
  const rows = answers.values.length / answers.width;
  let sum = 0;
  for (let row = 0; row < rows; row += 1) sum += lossOf(row * answers.width, row);
  return sum / rows;
}

/** The gradient of such a mean, from those of the rows. */
export function gradientOfRows(
  answers: TaskAnswers,
  gradientOf: (begin: number, row: number) => Float64Array,
): Float64Array {
  const { values, width } = answers;
  const rows = values.length / width;
  const gradient = new Float64Array(values.length);
  for (let row = 0; row < rows; row += 1) {
    const own = gradientOf(row * width, row);
    for (let j = 0; j < width; j += 1) gradient[row * width + j] = (own[j] ?? 0) / rows;
  }
  return gradient;
}

/** What the expert answered, in the shape of the answers. */
export function teacherOf(loss: string, { values, teacher }: TaskAnswers): Float32Array {
  if (teacher === undefined) throw lacking(loss, "the answers of the task's expert are not there");
  if (teacher.length === values.length) return teacher;
  throw lacking(loss, `the task's expert gave ${teacher.length} numbers and the merged model ${values.length}`);
}

/** The right class of each row. */
export function classesOf(loss: string, { values, width, classes }: TaskAnswers): Int32Array {
  if (classes === undefined) throw lacking(loss, "the task has no labels");
  const rows = values.length / width;
  if (classes.length !== rows) throw lacking(loss, `there are ${classes.length} labels for ${rows} answers`);
  const stray = classes.find((one) => one < 0 || one >= width);
  if (stray === undefined) return classes;
  throw lacking(loss, `there is a label ${stray}, and the model has ${width} classes`);
}

function lacking(loss: string, problem: string): AmalgamError {
  return new AmalgamError("recipe_invalid", `Cannot compute the loss ${quote(loss)}: ${problem}`);
}
