export { toNumbers } from "../../shared/checkpoint/numbers.js";
