// From what a person draws, types or drops to the numbers of one input: the same as dlx makes of a file.
"use strict";
const ABSENT = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A"];

// Pixels (RGBA) of an image as bytes: on white, and of one channel the grey that Pillow takes.
function pixelsOf(data, channels) {
  const out = new Uint8Array((data.length / 4) * channels);
  for (let i = 0, o = 0; i < data.length; i += 4) {
    const a = data[i + 3], on = (v) => (a === 255 ? v : Math.round((v * a + 255 * (255 - a)) / 255));
    const [r, g, b] = [on(data[i]), on(data[i + 1]), on(data[i + 2])];
    if (channels === 1) out[o++] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else { out[o++] = r; out[o++] = g; out[o++] = b; }
  }
  return out;
}

function daysOf(text, name) {
  const time = Date.parse(text.length === 10 ? text + "T00:00:00Z" : text.replace(" ", "T") + "Z");
  if (Number.isNaN(time)) throw new Error(`${name}: expected a date, as 2026-03-31`);
  return time / 86400000;
}

// The fields of a form, by column, as one row of numbers.
function rowOf(fields, encoding) {
  const row = [];
  for (const name of encoding.columns) {
    const text = (fields[name] ?? "").trim(), gap = ABSENT.includes(text);
    const known = (encoding.categories ?? {})[name], fill = (encoding.fill ?? {})[name];
    const lenient = (encoding.missing ?? "error") !== "error";
    if (gap && !lenient) throw new Error(`${name}: no value`);
    if (known) {
      const word = gap ? (encoding.missing === "median" ? fill : "") : text;
      if (!lenient && !known.includes(word)) throw new Error(`${name}: training never saw ${word}`);
      for (const value of known) row.push(value === word ? 1 : 0);
    } else {
      const number = gap ? fill : (encoding.dates ?? []).includes(name) ? daysOf(text, name) : Number(text);
      if (!Number.isFinite(number)) throw new Error(`${name}: expected a number`);
      row.push(number);
    }
    if (encoding.missing === "flag" && (encoding.gaps ?? []).includes(name)) row.push(gap ? 1 : 0);
  }
  return row;
}

// A text as the numbers of its words; 0 is padding, 1 a word outside of the vocabulary.
function tokensOf(text, encoding) {
  const words = text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, "").split(/\s+/).filter(Boolean);
  const place = new Map(encoding.vocabulary.map((word, number) => [word, number + 2]));
  const tokens = words.slice(0, encoding.sequence_length).map((word) => place.get(word) ?? 1);
  return tokens.concat(Array(encoding.sequence_length - tokens.length).fill(0));
}

function numbersOf(text, count) {
  const numbers = text.split(/[\s,;]+/).filter(Boolean).map(Number);
  if (numbers.some((n) => !Number.isFinite(n))) throw new Error("expected numbers");
  if (numbers.length !== count) throw new Error(`${numbers.length} numbers, expected ${count}`);
  return numbers;
}
