// The tab with what the service says about its model.

import { curve } from "./charts.js";
import { find, make } from "./dom.js";
import { count, moment, percent, spoken, titled } from "./words.js";

const share = value => percent(value, 1);
const MEANINGS = [
  ["accuracy", "Right", share, "of reviews it had never seen"],
  ["answered_accuracy", "Right when sure", share, "of the answers that are not unsure"],
  ["coverage", "Sure", share, "of reviews; the others are better left to a person"],
  ["macro_f1", "Right for every label alike", share, "macro-F1: no label makes up for another"],
  ["auc", "In the right order", share, "of the pairs of a worse and a better review (AUC)"],
  ["expected_calibration_error", "Confidence off by", share, "on average: how far 90% sure is from right nine times in ten"],
];

export function showModel(facts) {
  find("model-lead").textContent = `Version ${facts.model_version} tells ${facts.labels.map(spoken).join(" from ")}.`;
  find("facts").replaceChildren(...[quality(facts), limits(facts), curves(facts.curves), origin(facts)].filter(Boolean));
}

function card(title, ...content) {
  return make("section", { class: "card" }, make("h2", {}, title), ...content);
}

function list(rows) {
  const pairs = rows.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return make("dl", { class: "facts" }, ...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function quality({ metrics }) {
  const known = MEANINGS.filter(([name]) => Number.isFinite(metrics?.[name]));
  const rows = known.map(([name, title, written, says]) =>
    make("div", {}, make("dt", {}, title), make("dd", {}, make("strong", {}, written(metrics[name])), says, interval(metrics, name, written))),
  );
  return rows.length ? card("How good it is", make("dl", { class: "facts figures" }, ...rows)) : null;
}

function interval(metrics, name, written) {
  const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]];
  const known = Number.isFinite(low) && Number.isFinite(high);
  return known ? make("small", {}, `95% interval: ${written(low)} to ${written(high)}`) : null;
}

function limits(facts) {
  const least = facts.thresholds?.min_confidence ?? facts.min_confidence;
  const unsure = least > 0 ? `An answer no surer than ${percent(least, 1)}` : "Never";
  const most = facts.limits ?? {};
  const asked = most.max_characters ? `At most ${count(most.max_characters)} characters a text, ${count(most.max_batch)} texts a batch` : null;
  return card("How it answers", list([["Labels", facts.labels.map(label => titled(spoken(label))).join(", ")], ["Unsure", unsure], ["Reads", asked]]));
}

function curves(given) {
  const drawn = [reliability(given?.reliability), coverage(given?.coverage)].filter(Boolean);
  return drawn.length ? make("section", { class: "card" }, make("h2", {}, "Can it be believed?"), make("div", { class: "halves" }, ...drawn)) : null;
}

function reliability(points) {
  const found = read(points, "confidence");
  const says = "On the dashed line, confidence is what it says; below it the model is too sure.";
  return found.length > 1 ? curve("Confidence and truth", found, { across: "confidence", along: "right", says, straight: true }) : null;
}

function coverage(points) {
  const found = read(points, "coverage").filter(([x]) => x >= 0.1);
  const says = "The further left, the more of its unsure answers are left to a person, and the more of the rest are right.";
  return found.length > 1 ? curve("Answered and right", found, { across: "share answered", along: "right", says }) : null;
}

// Points as objects, as the service gives them.
function read(points, across) {
  return (points ?? [])
    .map(point => {
      const { accuracy, accuracy_low: low, accuracy_high: high } = point.share ?? point;
      return [point[across], accuracy, ...(Number.isFinite(low) && Number.isFinite(high) ? [low, high] : [])];
    })
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
    .sort(([a], [b]) => a - b);
}

function origin(facts) {
  const code = text => (text ? make("code", { title: text }, text.length > 24 ? `${text.slice(0, 16)}…` : text) : null);
  return card(
    "Where it comes from",
    list([
      ["Promoted", facts.promoted_at ? moment(facts.promoted_at) : null],
      ["Why", facts.promotion_reason],
      ["Learned from", code(facts.snapshot)],
      ["MLflow run", code(facts.run_id)],
      ["Name", facts.name],
      ["Packaged", facts.built_at ? moment(facts.built_at) : null],
      ["Digest of the Bento", code(facts.bento_digest)],
      ["Digest of the scorer", code(facts.scorer_digest)],
      ["Code", facts.code_version ? `sentiment ${facts.code_version}` : null],
    ]),
  );
}
