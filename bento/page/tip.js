// The numbers of the word under the pointer or at the cursor, in a small box above it. The list below the text has
// them too, for those who do not see it.

import { find, make } from "./dom.js";
import { signed } from "./words.js";

const MOST = 4;
const LEAST = 0.005; // what would be written as zero

export function startTip(field, pieces) {
  const tip = find("tip");
  let at = null; // the place it was last shown for

  function show(mark) {
    const begin = Number(mark.dataset.begin);
    const piece = pieces().find(one => one.begin === begin);
    if (!piece || at === begin) return;
    at = begin;
    const words = piece.words.filter(({ weight }) => Math.abs(weight) >= LEAST);
    words.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
    tip.replaceChildren(
      ...words.slice(0, MOST).map(({ word, weight }) => make("span", {}, word, make("b", { class: weight < 0 ? "against" : "for" }, signed(weight)))),
    );
    tip.hidden = false;
    const [paper, box] = [tip.offsetParent.getBoundingClientRect(), mark.getClientRects()[0]];
    const middle = box.left - paper.left + box.width / 2 - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(4, Math.min(middle, paper.width - tip.offsetWidth - 4))}px`;
    const above = box.top - paper.top - tip.offsetHeight - 6;
    tip.style.top = `${above >= -tip.offsetHeight ? above : box.bottom - paper.top + 6}px`;
  }

  function hide() {
    tip.hidden = true;
    at = null;
  }

  function atPlace(place) {
    const mark = [...find("marks").querySelectorAll("mark")].find(
      one => Number(one.dataset.begin) <= place && place < Number(one.dataset.begin) + one.textContent.length,
    );
    if (mark) show(mark);
    else hide();
  }

  field.addEventListener("mousemove", event => {
    const mark = document.elementsFromPoint(event.clientX, event.clientY).find(one => one.tagName === "MARK");
    if (mark) show(mark);
    else hide();
  });
  field.addEventListener("mouseleave", hide);
  field.addEventListener("blur", hide);
  field.addEventListener("click", () => atPlace(field.selectionStart));
  field.addEventListener("keyup", event => {
    if (event.key === "Escape") hide();
    else if (/^(Arrow|Home|End|Page)/.test(event.key)) atPlace(field.selectionStart);
  });
  return { hide };
}
