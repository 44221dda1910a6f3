// Sends many texts in batches and gathers an answer, or a reason, for each.

import { ask, Refused } from "./api.js";

const USUAL = { max_batch: 64, max_body_bytes: 1_000_000 };
const CHARACTERS = 200_000; // of text in a batch, so that progress shows and no request is long
const PATIENCE = 6; // times a batch is sent again when the service is busy

export class Cancelled extends Error {}

// Calls `told(done)` after each batch. Gives, in order, {answer} or {error} for each text; `stopped` says why the rest was
// not sent, if so.
export async function judgeAll(texts, limits, { signal, told }) {
  const { max_batch: most, max_body_bytes: bytes } = { ...USUAL, ...limits };
  const outcomes = texts.map(text => (text.trim() ? null : { error: "The text is empty." }));
  const waiting = texts.map((_, place) => place).filter(place => !outcomes[place]);
  let done = texts.length - waiting.length;
  let stopped = "";
  for (let start = 0; start < waiting.length && !stopped; ) {
    const batch = nextBatch(waiting, start, texts, Math.min(most, 256), Math.min(CHARACTERS, bytes / 8));
    try {
      const { predictions } = await patiently(batch.map(place => texts[place]), signal);
      batch.forEach((place, turn) => (outcomes[place] = outcome(predictions[turn])));
    } catch (error) {
      if (error.name === "AbortError" || error instanceof Cancelled) stopped = "It was cancelled.";
      else if (!(error instanceof Refused)) throw error;
      else if (batch.length === 1 && [400, 413, 422].includes(error.status)) outcomes[batch[0]] = { error: error.message };
      else stopped = error.message;
    }
    start += batch.length;
    if (!stopped) told((done += batch.length));
  }
  return { outcomes: outcomes.map(one => one ?? { error: `Not answered. ${stopped}` }), stopped };
}

function nextBatch(waiting, start, texts, most, characters) {
  let [end, size] = [start, 0];
  while (end < waiting.length && end - start < most) {
    size += texts[waiting[end]].length;
    if (end > start && size > characters) break;
    end += 1;
  }
  return waiting.slice(start, end);
}

function outcome(prediction) {
  if (!prediction) return { error: "The service gave no answer for this row." };
  if (prediction.error) return { error: prediction.error.detail ?? prediction.error.title ?? "Refused." };
  return { answer: prediction };
}

async function patiently(texts, signal) {
  for (let turn = 1; ; turn += 1) {
    try {
      return await ask("predict_batch", { body: { texts }, signal });
    } catch (error) {
      const busy = error instanceof Refused && (error.status === 429 || error.status === 503 || error.status === 0);
      if (!busy || turn === PATIENCE) throw error;
      await pause(1000 * Math.max(error.seconds, 2 ** (turn - 2)), signal);
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(new Cancelled())), { once: true });
  });
}
