// Where in a text the words stand that decided. The service counts places in Unicode code points, JavaScript in
// UTF-16 units: an emoji is one there and two here.

export function places(text) {
  const found = [];
  let place = 0;
  for (const letter of text) {
    found.push(place);
    place += letter.length;
  }
  found.push(place);
  return found;
}

// Parts a text into pieces that the same words and word sequences cover: [{begin, end, words, strength}], in order and
// without those that nothing covers. A sequence shares its weight among its words, so that strengths compare.
export function pieces(text, words) {
  const at = places(text);
  const edges = new Map();
  const edge = place => edges.get(place) ?? edges.set(place, { opens: [], closes: [] }).get(place);
  for (const word of words) {
    for (const [begin, end] of word.spans ?? []) {
      if (!(begin >= 0 && begin < end && end < at.length)) continue;
      edge(at[begin]).opens.push(word);
      edge(at[end]).closes.push(word);
    }
  }
  const found = [];
  const open = new Map();
  let begin = 0;
  for (const [place, { opens, closes }] of [...edges].sort(([a], [b]) => a - b)) {
    if (open.size && place > begin) found.push(piece(begin, place, [...open.keys()]));
    for (const word of closes) count(open, word, -1);
    for (const word of opens) count(open, word, 1);
    begin = place;
  }
  return found;
}

// Keeps pieces at their words while the text is typed on, until the service has read it again.
export function moved(kept, before, after) {
  const shorter = Math.min(before.length, after.length);
  let same = 0;
  while (same < shorter && before[same] === after[same]) same += 1;
  let tail = 0;
  while (tail < shorter - same && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const shift = after.length - before.length;
  return kept
    .filter(({ begin, end }) => end <= same || begin >= before.length - tail)
    .map(one => (one.end <= same ? one : { ...one, begin: one.begin + shift, end: one.end + shift }));
}

function piece(begin, end, words) {
  const strength = words.reduce((sum, word) => sum + word.weight / word.word.trim().split(/\s+/).length, 0);
  return { begin, end, words, strength };
}

function count(open, word, step) {
  const times = (open.get(word) ?? 0) + step;
  if (times > 0) open.set(word, times);
  else open.delete(word);
}
