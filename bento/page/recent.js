// The tab with the last answers of the service, where it shows them.

import { ask, Refused } from "./api.js";
import { find, make } from "./dom.js";
import { count, moment, percent, spoken, titled, toneOf } from "./words.js";

export function startRecent(service) {
  find("again").addEventListener("click", () => showRecent(service));
  document.addEventListener("key-given", () => find("recent").hidden || showRecent(service));
}

export async function showRecent({ labels }) {
  try {
    const { recent } = await ask("recent");
    find("recent-said").textContent = recent.length ? `${count(recent.length, "answer")}, the newest first.` : "Nothing was asked yet.";
    find("recent-card").hidden = !recent.length;
    find("recent-rows").replaceChildren(...recent.map(answer => row(answer, labels)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    find("recent-said").textContent = error.message;
  }
}

function row(answer, labels) {
  const cell = (head, ...children) => make("td", { "data-head": head }, ...children);
  const tone = answer.abstained ? "neither" : toneOf(answer.label, labels);
  return make(
    "tr",
    {},
    cell("When", moment(answer.predicted_at, { recent: true })),
    cell("Text", make("span", { class: "clamp" }, answer.text || "(empty)")),
    cell("Answer", make("span", { class: `badge ${tone}` }, titled(spoken(answer.label)))),
    cell("Confidence", `${percent(answer.probabilities[answer.label])}${answer.abstained ? ", unsure" : ""}`),
  );
}
