// Numbers and labels in words.

const whole = new Intl.NumberFormat("en");
const ended = { one: "", other: "s" };
const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23", timeZone: "UTC" });
const short = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC" });
const plural = new Intl.PluralRules("en");

export const count = (number, noun) =>
  noun ? `${whole.format(number)} ${noun}${ended[plural.select(number)]}` : whole.format(number);

// Never 0% or 100% of what is not quite so.
export function percent(share, digits = 0) {
  const least = 10 ** -(digits + 2);
  if (share > 0 && share < least) return `< ${(least * 100).toFixed(digits)}%`;
  if (share < 1 && share > 1 - least) return `> ${((1 - least) * 100).toFixed(digits)}%`;
  return `${(share * 100).toFixed(digits)}%`;
}

export const signed = number => `${number < 0 ? "\u2212" : "+"}${Math.abs(number).toFixed(2)}`;

export const spoken = label => (/^\d+$/.test(label) ? count(Number(label), "star") : label);

export const titled = text => text.charAt(0).toUpperCase() + text.slice(1);

// Which way a label points, by its place among the labels: "for" the positive, "against" it, or neither.
export function toneOf(label, labels) {
  const place = labels.indexOf(label) / Math.max(1, labels.length - 1);
  return place > 0.5 ? "for" : place < 0.5 ? "against" : "neither";
}

export function sureness(probability, abstained) {
  if (abstained) return "Unsure";
  if (probability >= 0.97) return "Very sure";
  if (probability >= 0.85) return "Sure";
  if (probability >= 0.7) return "Fairly sure";
  return "Leaning";
}

export function confidence(label, probability, abstained) {
  const right = Math.floor(probability * 100);
  const share = right >= 99 ? "99 or more are right" : `about ${right} ${right === 1 ? "is" : "are"} right`;
  const says = abstained ? `Leans to ${spoken(label)}, but is better left to a person` : sureness(probability, false);
  return `${says}: of 100 answers like this, ${share}.`;
}

// A moment in UTC; with seconds and without the year for what has just been.
export function moment(text, { recent = false } = {}) {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return text;
  return `${(recent ? short : exact).format(when)} UTC`;
}
