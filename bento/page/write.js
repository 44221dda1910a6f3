// The tab in which one writes: asks the service while the text grows, and shows what it says and why.

import { ask, Refused } from "./api.js";
import { startFeedback } from "./feedback.js";
import { bar, find, make } from "./dom.js";
import { moved, pieces } from "./spans.js";
import { startTip } from "./tip.js";
import { confidence, count, percent, signed, spoken, sureness, titled, toneOf } from "./words.js";

const PAUSE = 220; // ms without a key before the service is asked
const HUSH = 900; // ms without a new answer before it is read out
const MOST = 8; // words of each side in the list
const FAINTEST = 0.1; // share of the strongest word below which nothing is marked
const LEVELS = 5;
const EXAMPLES = [
  "A wonderful cast, wasted on a dull and predictable script.",
  "Not bad at all! I expected little and loved every minute of it.",
  "It arrived on Tuesday. It is a kettle.",
];

export function startWriting(service) {
  const field = find("text");
  let [marked, read] = [[], ""]; // pieces, and the text they are places in
  let [timer, hush, flight] = [0, 0, null];
  const tip = startTip(field, () => marked);
  const feedback = startFeedback(service);

  function paint() {
    const marks = find("marks");
    marks.replaceChildren(...painted(field.value, marked), "\n");
  }

  function typed() {
    marked = moved(marked, read, field.value);
    read = field.value;
    tip.hide();
    paint();
    find("clear").hidden = !field.value;
    clearTimeout(timer);
    flight?.abort();
    feedback.forget();
    if (!field.value.trim()) return show(null);
    timer = setTimeout(judge, PAUSE);
  }

  async function judge() {
    const text = field.value;
    const mine = new AbortController();
    flight = mine;
    try {
      const most = service.limits.max_characters;
      if (most && text.length > most && [...text].length > most) {
        throw new Refused(413, `The text has ${count([...text].length)} characters; at most ${count(most)} are read.`);
      }
      const answer = await ask("explain", { body: { text }, signal: mine.signal });
      if (flight !== mine || field.value !== text) return; // a later text was asked for
      marked = pieces(text, answer.words);
      paint();
      show(answer);
    } catch (error) {
      if (error.name === "AbortError" || flight !== mine) return;
      if (!(error instanceof Refused)) throw error;
      complain(error, judge);
    }
  }

  function complain(error, again) {
    show(null);
    find("waiting").hidden = true;
    find("trouble").textContent = error.message;
    if (error.status === 429 || error.status === 503) timer = setTimeout(again, 1000 * Math.max(1, error.seconds));
  }

  function show(answer) {
    clearTimeout(hush);
    find("trouble").textContent = "";
    find("waiting").hidden = Boolean(answer);
    find("answer").hidden = find("why").hidden = !answer;
    if (!answer) {
      find("said").textContent = "";
      if (!field.value.trim()) [marked, flight] = [[], null];
      return paint();
    }
    const probability = answer.probabilities[answer.label];
    showVerdict(answer, probability, service.labels);
    showWhy(answer);
    feedback.offer(field.value, answer.label);
    const said = `${spoken(answer.label)}, ${percent(probability)}. ${sureness(probability, answer.abstained)}.`;
    hush = setTimeout(() => (find("said").textContent = titled(said)), HUSH);
  }

  field.addEventListener("input", typed);
  find("clear").addEventListener("click", () => {
    field.value = "";
    typed();
    field.focus();
  });
  document.addEventListener("key-given", () => field.value.trim() && judge());
  find("examples").append(
    ...EXAMPLES.map(text => {
      const button = make("button", { type: "button", class: "example" }, text);
      button.addEventListener("click", () => {
        field.value = text;
        typed();
        field.focus();
      });
      return make("li", {}, button);
    }),
  );
  if (field.value) typed(); // what the browser kept over a reload
}

function painted(text, marked) {
  const strongest = Math.max(0.4, ...marked.map(piece => Math.abs(piece.strength)));
  const parts = [];
  let place = 0;
  for (const piece of marked) {
    const share = Math.abs(piece.strength) / strongest;
    if (share < FAINTEST || !text.slice(piece.begin, piece.end).trim()) continue;
    const level = Math.min(LEVELS, Math.ceil(share * LEVELS));
    const tone = piece.strength < 0 ? "against" : "for";
    const mark = make("mark", { class: `${tone} level-${level}` }, text.slice(piece.begin, piece.end));
    mark.dataset.begin = piece.begin;
    parts.push(text.slice(place, piece.begin), mark);
    place = piece.end;
  }
  return [...parts, text.slice(place)];
}

function showVerdict(answer, probability, labels) {
  const tone = answer.abstained ? "neither" : toneOf(answer.label, labels);
  const says = answer.abstained ? "Unsure" : titled(spoken(answer.label));
  find("label").replaceChildren(make("i", { class: tone, "aria-hidden": "true" }), says);
  find("surely").textContent = confidence(answer.label, probability, answer.abstained);
  const rows = Object.entries(answer.probabilities).reverse();
  find("probabilities").replaceChildren(
    ...rows.map(([label, share]) =>
      make("div", {}, make("dt", {}, titled(spoken(label))), make("dd", {}, bar(share, toneOf(label, labels)), percent(share, 1))),
    ),
  );
}

function showWhy({ words, baseline, margin }) {
  const largest = Math.max(...words.map(({ weight }) => Math.abs(weight)), 0.01);
  const sides = { for: words.filter(({ weight }) => weight > 0), against: words.filter(({ weight }) => weight < 0) };
  for (const [side, found] of Object.entries(sides)) {
    found.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
    const rows = found.slice(0, MOST).map(({ word, weight }) =>
      make("li", {}, make("span", { class: "word" }, word), bar(Math.abs(weight) / largest, side), make("span", { class: "number" }, signed(weight))),
    );
    const rest = found.slice(MOST);
    const others = rest.reduce((sum, { weight }) => sum + weight, 0);
    if (rest.length) rows.push(make("li", { class: "soft" }, make("span", { class: "word" }, `${count(rest.length)} more`), make("span"), make("span", { class: "number" }, signed(others))));
    if (!rows.length) rows.push(make("li", { class: "soft" }, "Nothing."));
    find(side).replaceChildren(...rows);
  }
  const known = words.length
    ? `Without any word the model stands at ${signed(baseline)}; these words bring it to ${signed(margin)}.`
    : `The model knows no word of this text: it answers what it would answer to none, ${signed(baseline)}.`;
  find("sum").textContent = `${known} Above zero is positive; the unit is log-odds.`;
}
