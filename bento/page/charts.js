// Pictures of many answers and of how good a model is, as SVG, each with its numbers in words.

import { draw, make } from "./dom.js";
import { count, percent, spoken, titled, toneOf } from "./words.js";

const [WIDTH, HEIGHT, LEFT, RIGHT] = [360, 208, 48, 12];
const BINS = 20;
const MOST_DOTS = 20; // more points are a line alone

// How many answers each label got, the unsure ones apart.
export function distribution(answers, labels) {
  const most = Math.max(...labels.map(label => answers.filter(answer => answer.label === label).length), 1);
  const rows = [...labels].reverse().map(label => {
    const found = answers.filter(answer => answer.label === label);
    const unsure = found.filter(({ abstained }) => abstained).length;
    const tone = toneOf(label, labels);
    const parts = [
      draw("rect", { class: tone, width: ((found.length - unsure) / most) * 100, height: 12 }),
      draw("rect", { class: `${tone} faint`, x: ((found.length - unsure) / most) * 100, width: (unsure / most) * 100, height: 12 }),
    ];
    const picture = draw("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, ...parts);
    const says = `${count(found.length)} (${percent(found.length / answers.length)})${unsure ? `, ${count(unsure)} unsure` : ""}`;
    return make("div", {}, make("dt", {}, titled(spoken(label))), make("dd", {}, picture, says));
  });
  return figure("Answers", make("dl", { class: "shares" }, ...rows), "The paler part is unsure.");
}

// How the scores spread, from 0 (the most negative) to 1.
export function histogram(answers) {
  const bins = Array(BINS).fill(0);
  for (const { score } of answers) bins[Math.min(BINS - 1, Math.floor(score * BINS))] += 1;
  const most = Math.max(...bins);
  const bars = bins.map((number, place) => {
    const height = number ? Math.max(1.5, (number / most) * 100) : 0;
    const tone = place < BINS / 2 ? "against" : "for";
    return draw("rect", { class: tone, x: place * 10 + 1, y: 100 - height, width: 8, height, rx: 1 });
  });
  const axis = draw("path", { class: "axis", d: `M0 100.500H${BINS * 10}` });
  const low = answers.filter(({ score }) => score < 0.5).length;
  const says = `${count(low)} below the middle, ${count(answers.length - low)} at or above it.`;
  const picture = draw("svg", { viewBox: `0 0 ${BINS * 10} 102`, role: "img", "aria-label": `Scores: ${says}`, class: "histogram", preserveAspectRatio: "none" }, ...bars, axis);
  const ends = make("p", { class: "ends", "aria-hidden": "true" }, make("span", {}, "most negative"), make("span", {}, "most positive"));
  return figure("How positive", make("div", {}, picture, ends), says);
}

// A curve of shares over shares: points are [x, y, low, high], the ends of the interval if known.
export function curve(title, points, { across, along, says, straight = false }) {
  const xs = points.map(([x]) => x);
  const ys = points.flatMap(([, ...values]) => values);
  const floor = values => Math.min(0.9, Math.floor(Math.min(...values) * 10) / 10);
  const [left, low] = straight ? [floor([...xs, ...ys]), floor([...xs, ...ys])] : [floor(xs), floor(ys)];
  const x = value => LEFT + ((value - left) / (1 - left)) * (WIDTH - LEFT - RIGHT);
  const y = value => 12 + (1 - (value - low) / (1 - low)) * (HEIGHT - 56);
  const at = (horizontal, vertical) => `${x(horizontal).toFixed(1)} ${y(vertical).toFixed(1)}`;
  const line = places => places.map(([a, b], turn) => `${turn ? "L" : "M"}${at(a, b)}`).join("");
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const [value, place] = [low + share * (1 - low), left + share * (1 - left)];
    parts.push(draw("path", { class: "axis", d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}` }));
    parts.push(draw("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, percent(value)));
    parts.push(draw("text", { x: x(place), y: HEIGHT - 24, "text-anchor": share === 1 ? "end" : share ? "middle" : "start" }, percent(place)));
  }
  if (straight) parts.push(draw("path", { class: "ideal", d: `M${at(left, left)}L${at(1, 1)}` }));
  if (points.every(point => point.length === 4)) {
    const band = [...points.map(point => [point[0], point[3]]), ...points.map(point => [point[0], point[2]]).reverse()];
    parts.push(draw("path", { class: "band", d: `${line(band)}Z` }));
  }
  parts.push(draw("path", { class: "line", d: line(points) }));
  if (points.length <= MOST_DOTS) parts.push(...points.map(([a, b]) => draw("circle", { cx: x(a), cy: y(b), r: 3.5 })));
  parts.push(draw("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, across));
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${says}`, class: "curve" }, ...parts);
  const heads = make("tr", {}, make("th", { scope: "col" }, across), make("th", { scope: "col" }, along));
  const rows = points.map(([a, b]) => make("tr", {}, make("td", {}, percent(a, 1)), make("td", {}, percent(b, 1))));
  const table = make("table", {}, make("thead", {}, heads), make("tbody", {}, ...rows));
  const numbers = make("details", {}, make("summary", {}, "The numbers"), make("div", { class: "scroll" }, table));
  return figure(title, make("div", {}, picture, numbers), says);
}

function figure(title, content, says) {
  return make("figure", {}, make("figcaption", {}, make("h3", {}, title), make("p", { class: "soft" }, says)), content);
}
