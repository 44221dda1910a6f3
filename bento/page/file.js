// The tab in which a file is read, judged row by row, and given back.

import { columnOf, decode, hasHeader, parse, separatorOf, write } from "./csv.js";
import { distribution, histogram } from "./charts.js";
import { find, make } from "./dom.js";
import { judgeAll } from "./judging.js";
import { count, percent, spoken, titled, toneOf } from "./words.js";

const MOST_BYTES = 50 * 1024 * 1024;
const SHOWN = { preview: 3, failed: 20, rows: 50 };
const ADDED = ["predicted_label", "predicted_probability", "predicted_score", "unsure", "model_version", "prediction_error"];

export function startFile(service) {
  let file = null; // {name, text, rows}
  let running = null; // AbortController of what is sent
  let link = "";

  async function take(chosen) {
    running?.abort();
    for (const id of ["setup", "progress", "result"]) find(id).hidden = true;
    find("file-trouble").textContent = "";
    if (!chosen) return;
    if (chosen.size > MOST_BYTES) {
      const size = count(Math.round(chosen.size / 1048576));
      find("file-trouble").textContent = `${chosen.name} has ${size} MB; at most 50 are read here. Split it, or use “sentiment predict”.`;
      return;
    }
    const text = decode(new Uint8Array(await chosen.arrayBuffer()));
    file = { name: chosen.name, text, rows: [] };
    find("file-name").textContent = chosen.name;
    find("separator").value = separatorOf(text);
    reread();
    find("header").checked = hasHeader(file.rows);
    offerColumns();
    find("setup").hidden = false;
    find("column").focus();
  }

  function reread() {
    file.rows = [];
    let trouble = "";
    try {
      file.rows = parse(file.text, find("separator").value);
      if (!file.rows.length) trouble = "It is empty.";
    } catch (error) {
      trouble = error.message;
    }
    find("file-trouble").textContent = trouble && `${file.name}: ${trouble}`;
  }

  const names = () => {
    const width = file.rows.reduce((most, row) => Math.max(most, row.length), 1);
    const first = (find("header").checked && file.rows[0]) || [];
    return [...Array(width).keys()].map(place => first[place]?.trim() || `column_${place + 1}`);
  };
  const body = () => file.rows.slice(find("header").checked ? 1 : 0);
  const textOf = row => row[Number(find("column").value)] ?? "";

  function offerColumns() {
    find("column").replaceChildren(...names().map((name, place) => make("option", { value: String(place) }, name)));
    find("column").value = String(columnOf(file.rows, find("header").checked));
    preview();
  }

  function preview() {
    const rows = body();
    const texts = rows.slice(0, SHOWN.preview).map(row => make("li", { class: "clamp" }, textOf(row) || "(empty)"));
    find("preview").replaceChildren(...texts);
    find("start").textContent = rows.length ? `Judge ${count(rows.length, "text")}` : "There are no rows";
    find("start").disabled = !rows.length;
  }

  async function judge() {
    const [rows, heads, separator] = [body(), names(), find("separator").value || ","];
    const texts = rows.map(textOf);
    running = new AbortController();
    const mine = running;
    find("setup").hidden = find("result").hidden = true;
    find("progress").hidden = false;
    find("cancel").focus();
    tell(0, texts.length);
    const { outcomes, stopped } = await judgeAll(texts, service.limits, { signal: mine.signal, told: done => tell(done, texts.length) });
    if (running !== mine) return; // another file was dropped meanwhile
    running = null;
    find("progress").hidden = true;
    offerDownload(rows, heads, outcomes, separator);
    showResult(texts, outcomes, stopped);
  }

  function tell(done, all) {
    find("bar").max = all;
    find("bar").value = done;
    find("progress-says").textContent = `${count(done)} of ${count(all, "text")} judged`;
    if (done === 0 || done === all) find("file-said").textContent = find("progress-says").textContent;
  }

  function offerDownload(rows, heads, outcomes, separator) {
    const taken = new Set(heads);
    const added = ADDED.map(name => (taken.has(name) ? `${name}_2` : name));
    const table = rows.map((row, place) => [...heads.map((_, column) => row[column] ?? ""), ...cells(outcomes[place])]);
    URL.revokeObjectURL(link);
    link = URL.createObjectURL(new Blob([write([[...heads, ...added], ...table], separator)], { type: "text/csv" }));
    find("download").href = link;
    find("download").download = `${file.name.replace(/\.[^.]*$/, "")}-sentiment.${separator === "\t" ? "tsv" : "csv"}`;
  }

  function showResult(texts, outcomes, stopped) {
    const answers = outcomes.flatMap(({ answer }) => answer ?? []);
    const failed = outcomes.length - answers.length;
    find("result-title").textContent = `${count(answers.length, "text")} judged`;
    find("result-says").textContent = summary(answers, failed, stopped);
    find("charts").replaceChildren(...(answers.length ? [distribution(answers, service.labels), histogram(answers)] : []));
    showFailures(outcomes, failed);
    find("rows-title").textContent = outcomes.length > SHOWN.rows ? `The first ${SHOWN.rows} rows` : "The rows";
    find("rows").replaceChildren(...outcomes.slice(0, SHOWN.rows).map((one, place) => tableRow(one, place, texts[place], service.labels)));
    find("result").hidden = false;
    find("result").focus();
    find("file-said").textContent = `${find("result-title").textContent}. ${find("result-says").textContent}`;
  }

  const drop = find("drop");
  find("chosen").addEventListener("change", event => {
    take(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  for (const kind of ["dragover", "drop"]) addEventListener(kind, event => event.preventDefault());
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, () => drop.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", event => take(event.dataTransfer.files[0]));
  find("separator").addEventListener("change", () => (reread(), offerColumns()));
  find("header").addEventListener("change", offerColumns);
  find("column").addEventListener("change", preview);
  find("cancel").addEventListener("click", () => running?.abort());
  find("setup").addEventListener("submit", event => {
    event.preventDefault();
    judge();
  });
}

function cells({ answer, error }) {
  if (!answer) return ["", "", "", "", "", error];
  const probability = answer.probabilities[answer.label].toFixed(4);
  return [answer.label, probability, answer.score.toFixed(4), answer.abstained ? "yes" : "no", answer.model_version, ""];
}

function summary(answers, failed, stopped) {
  const unsure = answers.filter(({ abstained }) => abstained).length;
  const parts = [];
  if (unsure) parts.push(`${count(unsure)} of them unsure`);
  if (failed) parts.push(`${count(failed, "row")} without an answer`);
  return [parts.length ? `${titled(parts.join(", "))}.` : "Every row has an answer.", stopped].filter(Boolean).join(" ");
}

function showFailures(outcomes, failed) {
  find("failures").hidden = !failed;
  find("failures-title").textContent = `${count(failed, "row")} without an answer`;
  const found = outcomes.flatMap(({ error }, place) => (error ? [make("li", {}, make("b", {}, `Row ${count(place + 1)}: `), error)] : []));
  const rest = found.length - SHOWN.failed;
  if (rest > 0) found.splice(SHOWN.failed, rest, make("li", { class: "soft" }, `And ${count(rest)} more; the file names them all.`));
  find("failed").replaceChildren(...found);
}

function tableRow({ answer, error }, place, text, labels) {
  const cell = (head, ...children) => make("td", { "data-head": head }, ...children);
  const tone = answer && (answer.abstained ? "neither" : toneOf(answer.label, labels));
  return make(
    "tr",
    {},
    cell("Row", count(place + 1)),
    cell("Text", make("span", { class: "clamp" }, text)),
    cell("Answer", answer ? make("span", { class: `badge ${tone}` }, titled(spoken(answer.label))) : error),
    cell("Confidence", answer ? `${percent(answer.probabilities[answer.label])}${answer.abstained ? ", unsure" : ""}` : ""),
  );
}
