import { colour } from "./window.js";

/** Colours of the strip as the page has them now. */
export interface Palette {
  readonly edge: string;
  readonly card: string;
  readonly ink: string;
  readonly soft: string;
  readonly done: string;
  readonly run: string;
  readonly twice: string;
  readonly bad: string;
  readonly pale: string;
}

export function paletteNow(): Palette {
  return {
    ...{ edge: colour("edge"), card: colour("card"), ink: colour("ink"), soft: colour("soft"), done: colour("done") },
    ...{ run: colour("run"), twice: colour("twice"), bad: colour("bad"), pale: colour("pale") },
  };
}

/** Okabe and Ito, without black: https://jfly.uni-koeln.de/color/ */
export const nodeColours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"] as const;

export function nodeColour(agent: number): string {
  return nodeColours[agent % nodeColours.length] ?? nodeColours[0];
}

/** A, B, …, Z, a, …, z: of more nodes than these, some share one. */
export function nodeLetter(agent: number): string {
  const place = agent % 52;
  return String.fromCharCode(place < 26 ? 65 + place : 97 + place - 26);
}

/** A letter's colour, at 4 : 1 or more. */
export function inkOn(agent: number): string {
  return agent % nodeColours.length === 0 ? "#ffffff" : "#1d2126";
}

/** Cividis, which looks the same to almost all eyes (Nuñez et al. 2018): from quick to slow. */
const stops = [
  [253, 231, 119],
  [188, 174, 108],
  [125, 124, 120],
  [67, 78, 108],
  [0, 34, 78],
] as const;

/** `share` from 0, quick, to 1, slow. */
export function heat(share: number): string {
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const below = stops[Math.min(stops.length - 2, Math.floor(at))] ?? stops[0];
  const above = stops[Math.min(stops.length - 1, Math.floor(at) + 1)] ?? below;
  const part = at - Math.min(stops.length - 2, Math.floor(at));
  const [r, g, b] = below.map((from, i) => Math.round(from + part * ((above[i] ?? from) - from)));
  return `rgb(${r}, ${g}, ${b})`;
}
