// Starts the page: its tabs, the API key, and what the service says about itself.

import { ask, Refused, useKey } from "./api.js";
import { find } from "./dom.js";
import { startFile } from "./file.js";
import { showModel } from "./model.js";
import { showRecent, startRecent } from "./recent.js";
import { startWriting } from "./write.js";

// What the page knows about the service; parts read it when they need it.
const service = { facts: null, labels: ["negative", "positive"], limits: {}, features: {} };
const tabs = [...document.querySelectorAll("[role=tab]")];

function open(tab, { focus = false } = {}) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    find(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  const name = tab.getAttribute("aria-controls");
  if (location.hash.slice(1) !== name) history.replaceState(null, "", `#${name}`);
  if (name === "recent") showRecent(service);
  if (name === "model" && !service.facts) meet();
}

function startTabs() {
  const shown = () => tabs.filter(tab => !tab.hidden);
  for (const tab of tabs) tab.addEventListener("click", () => open(tab));
  document.querySelector("[role=tablist]").addEventListener("keydown", event => {
    const all = shown();
    const here = all.indexOf(document.activeElement);
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined || here < 0) return;
    event.preventDefault();
    open(all[(next + all.length) % all.length], { focus: true });
  });
  const byAddress = () => shown().find(tab => `#${tab.getAttribute("aria-controls")}` === location.hash);
  addEventListener("hashchange", () => byAddress() && open(byAddress()));
  return () => byAddress() && open(byAddress());
}

function startKey() {
  const form = find("key");
  document.addEventListener("key-wanted", ({ detail: refused }) => {
    if (refused) find("key-says").textContent = "The key that was used is not valid here. Is there another?";
    if (form.hidden) {
      form.hidden = false;
      if (!find("text").value) find("key-value").focus();
    }
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    const value = find("key-value").value.trim();
    if (!value) return;
    find("key-value").value = "";
    form.hidden = true;
    useKey(value);
  });
  document.addEventListener("key-given", meet);
}

async function meet() {
  try {
    const facts = await ask("model");
    service.facts = facts;
    service.labels = facts.labels;
    service.limits = facts.limits ?? {};
    service.features = facts.features ?? {};
    find("serving").textContent = `Version ${facts.model_version}, learned from ${facts.snapshot}.`;
    find("tab-recent").hidden = !service.features.recent;
    showModel(facts);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    find("model-lead").textContent = error.message;
  }
}

const openByAddress = startTabs();
startKey();
startWriting(service);
startFile(service);
startRecent(service);
await meet();
openByAddress();
