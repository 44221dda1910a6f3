// CSV as people send it (RFC 4180 and what else spreadsheets write), in and out.

export const SEPARATORS = [",", ";", "\t"];
const TEXT_NAMES = new Set(
  ("text review reviewtext reviewbody body content comment comments verifiedreviews sentence message reviewcontent").split(" "),
);
const OTHER_NAMES = new Set(
  ("id label sentiment class target polarity rating overall stars score starrating reviewrating source domain category " +
    "title user name date time timestamp createdat product").split(" "),
);
const SAMPLE = 65_536; // characters that are looked at to tell what a file is like

// The text of a file's bytes: UTF-8, with or without a byte order mark, UTF-16 with one, else Windows-1252.
export function decode(bytes) {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

// Rows of cells. Quoted cells hold separators, line ends and doubled quotes; empty lines are left out. An empty
// separator makes a cell of each line. Throws if a quote is never closed, unless the text was cut off or is lines.
export function parse(text, separator, { cut = false } = {}) {
  try {
    return parts(text, separator, cut);
  } catch (error) {
    if (separator) throw error;
    return text.split(/\r\n|[\r\n]/).filter(line => line.trim()).map(line => [line]);
  }
}

function parts(text, separator, cut) {
  const rows = [];
  let [row, cell, place, line] = [[], "", 0, 1];
  const special = new RegExp(separator ? `[${separator}\r\n]` : "[\r\n]", "g");
  const end = () => {
    row.push(cell);
    if (row.length > 1 || row[0].trim()) rows.push(row);
    [row, cell] = [[], ""];
  };
  while (place < text.length) {
    if (text[place] === '"' && !cell) {
      const [inside, after] = quoted(text, place, line, cut);
      line += inside.split("\n").length - 1;
      [cell, place] = [inside, after];
    }
    special.lastIndex = place;
    const next = special.exec(text)?.index ?? text.length;
    cell += text.slice(place, next);
    place = next + 1;
    if (next < text.length && text[next] === separator) {
      row.push(cell);
      cell = "";
      if (place === text.length) end();
    } else {
      end();
      line += 1;
      if (text[next] === "\r" && text[place] === "\n") place += 1;
    }
  }
  return rows;
}

function quoted(text, start, line, cut) {
  let [inside, place] = ["", start + 1];
  for (;;) {
    const close = text.indexOf('"', place);
    if (close < 0 && cut) return [inside + text.slice(place), text.length];
    if (close < 0) throw new Error(`The quote that opens in line ${line} is never closed.`);
    inside += text.slice(place, close);
    if (text[close + 1] !== '"') return [inside, close + 1];
    inside += '"';
    place = close + 2;
  }
}

// The separator that gives the most rows the same number of cells, and more than one; "" if none does.
export function separatorOf(text) {
  let [best, share] = ["", 0.7];
  for (const separator of SEPARATORS) {
    const rows = sample(text, separator);
    const widths = new Map();
    for (const { length } of rows) widths.set(length, (widths.get(length) ?? 0) + 1);
    const [width, times] = [...widths].sort((a, b) => b[1] - a[1] || b[0] - a[0])[0] ?? [0, 0];
    if (width > 1 && times / rows.length > share) [best, share] = [separator, times / rows.length];
  }
  return best;
}

function sample(text, separator) {
  const cut = text.length > SAMPLE;
  const rows = parse(text.slice(0, SAMPLE), separator, { cut: true });
  const whole = !cut && isWhole(text, separator);
  return !whole && rows.length > 1 ? rows.slice(0, -1) : rows;
}

function isWhole(text, separator) {
  try {
    return Boolean(parse(text, separator));
  } catch {
    return false;
  }
}

const plain = name => name.toLowerCase().replace(/[\s_-]/g, "");

const isNumber = cell => Boolean(cell?.trim()) && !Number.isNaN(Number(cell.replace(",", ".")));

// Whether the first row has names: one that is usual, or no number where all below have one, or short words above
// longer texts.
export function hasHeader(rows) {
  const [first, ...rest] = rows.slice(0, 50);
  if (!first) return false;
  if (first.some(name => TEXT_NAMES.has(plain(name)))) return true;
  if (first.some(cell => !cell.trim() || cell.length > 40 || isNumber(cell))) return false;
  if (new Set(first).size < first.length || !rest.length) return false;
  if (first.some((_, column) => rest.every(row => isNumber(row[column])))) return true;
  if (first.some(name => OTHER_NAMES.has(plain(name)))) return true;
  const column = longest(rest);
  return mean(rest, column) > 3 * (first[column] ?? "").length && !/[.!?]$/.test(first[column]?.trim() ?? "");
}

// The column of the texts: by its name, else the one with the longest cells.
export function columnOf(rows, header) {
  const named = header && rows.length ? rows[0].findIndex(name => TEXT_NAMES.has(plain(name))) : -1;
  return named >= 0 ? named : longest(rows.slice(header ? 1 : 0, 200));
}

function longest(rows) {
  const width = Math.max(1, ...rows.map(row => row.length));
  return [...Array(width).keys()].sort((a, b) => mean(rows, b) - mean(rows, a))[0];
}

const mean = (rows, column) => rows.reduce((sum, row) => sum + (row[column] ?? "").length, 0) / Math.max(1, rows.length);

// A file that spreadsheets read: CRLF, a byte order mark, and no cell that they would take for a formula.
export function write(rows, separator) {
  const lines = rows.map(row => row.map(cell => written(cell, separator)).join(separator));
  return `\ufeff${lines.join("\r\n")}\r\n`;
}

export const safe = cell =>
  /^[\s\u0000-\u001f\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/.test(cell) && !/^[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?$/.test(cell)
    ? `'${cell}`
    : cell;

function written(cell, separator) {
  const text = safe(String(cell));
  return text.includes(separator) || /["\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
