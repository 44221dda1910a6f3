// Requests to the service that sent this page, with the API key if one was given.

const SLOT = "sentiment-api-key";
let key = remembered();

// An answer other than 2xx; `status` is 0 when there was none.
export class Refused extends Error {
  constructor(status, detail, seconds = 0) {
    super(detail);
    this.status = status;
    this.seconds = seconds;
  }
}

export async function ask(path, { body, signal } = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const request = { headers, signal, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    request.method = "POST";
    request.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The service does not answer. Is it running, and are you connected?");
  }
  const said = await reply.json().catch(error => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (reply.ok && said !== null) return said;
  if (reply.status === 401) document.dispatchEvent(new CustomEvent("key-wanted", { detail: Boolean(key) }));
  throw new Refused(reply.status, reason(reply, said), Number(reply.headers.get("Retry-After")) || 0);
}

export function useKey(value) {
  key = value;
  try {
    sessionStorage.setItem(SLOT, value);
  } catch {
    // a browser that keeps nothing: the key lives as long as the page
  }
  document.dispatchEvent(new CustomEvent("key-given"));
}

function remembered() {
  try {
    return sessionStorage.getItem(SLOT) ?? "";
  } catch {
    return "";
  }
}

function reason(reply, said) {
  const detail = said?.detail ?? said?.error;
  if (typeof detail === "string" && detail) return detail;
  return `The service answered ${reply.status} ${reply.statusText}`.trim() + ".";
}
