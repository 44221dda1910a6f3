// Thumbs: says which label is right, for an answer that is first given for the record.

import { ask, Refused } from "./api.js";
import { draw, find, make } from "./dom.js";
import { spoken } from "./words.js";

const UP = "M7 10v11H3V10zm0 0 4.5-8c1.7 0 2.7 1.3 2.4 3L13 9h6.2c1.3 0 2.2 1.2 1.9 2.4l-2 8A2 2 0 0 1 17.200 21H7";

export function startFeedback(service) {
  const [choices, thanks] = [find("choices"), find("thanks")];
  let given = null; // the text that was corrected

  function offer(text, label) {
    const off = service.features.feedback === false;
    find("correct").hidden = off || given === text;
    if (off) thanks.textContent = "This service takes no corrections: it keeps no log of its answers.";
    const rest = service.labels.filter(other => other !== label);
    choices.replaceChildren(
      choice(text, label, `Yes, ${spoken(label)}`, "up"),
      ...rest.map((other, place) => choice(text, other, place ? spoken(other) : `No, ${spoken(other)}`, place ? null : "down")),
    );
  }

  function choice(text, label, says, thumb) {
    const icon = thumb && draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: thumb }, draw("path", { d: UP }));
    const button = make("button", { type: "button" }, icon, says);
    button.addEventListener("click", () => send(text, label));
    return button;
  }

  async function send(text, label) {
    const buttons = [...choices.children];
    for (const button of buttons) button.disabled = true;
    try {
      const { request_id } = await ask("predict", { body: { text } });
      await ask("feedback", { body: { request_id, label } });
      given = text;
      if (find("text").value === text) {
        find("correct").hidden = true;
        thanks.textContent = `Thank you. “${spoken(label)}” will be weighed when the model learns again.`;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      thanks.textContent = error.status === 503 ? `No correction was taken. ${error.message}` : error.message;
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  function forget() {
    if (service.features.feedback !== false) thanks.textContent = "";
  }

  return { offer, forget };
}
