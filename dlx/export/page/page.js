// The page around a model: how to ask it, by the kind of its inputs, and bars for its answer.
"use strict";
const $ = (id) => document.getElementById(id);
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function fail(error) {
  $("answer").replaceChildren(make("p", { class: "error" }, String(error.message ?? error)));
}

// about: what the model says of itself. predict: {data, shape} -> numbers of one answer. Asks as soon as there is an input.
function page(about, predict) {
  document.title = about.run;
  $("title").textContent = about.run;
  const what = { classification: "a class", regression: "a value", multi_label: "labels" }[about.task];
  const of = { image: "an image", table: "a row of a table", text: "a text", series: "a series" }[about.input.kind] ?? "numbers";
  $("about").textContent = `Predicts ${what} of ${of}; nothing leaves this page.`;
  let asked = 0;
  const ask = async (input) => {
    const number = ++asked;
    try {
      const answer = await predict(typeof input === "function" ? input() : input);
      if (number === asked) show(answer, about);
    } catch (error) { fail(error); }
  };
  const kinds = { image: askImage, table: askTable, text: askText };
  const build = about.input.kind === "image" && about.input.dtype !== "uint8" ? askNumbers : kinds[about.input.kind] ?? askNumbers;
  $("answer").replaceChildren();
  build($("ask"), about, ask);
}

function askImage(place, about, ask) {
  const channels = about.input.shape[2];
  if (channels === 1) place.append(...drawing(ask));
  const shown = make("img", { alt: "", hidden: "" });
  const take = async (file) => {
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
      const canvas = make("canvas", { width: bitmap.width, height: bitmap.height }), context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      shown.src = canvas.toDataURL();
      shown.hidden = false;
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      ask({ data: pixelsOf(data, channels), shape: [1, bitmap.height, bitmap.width, channels] });
    } catch (error) { fail(new Error("is no image that this browser reads")); }
  };
  const choose = make("input", { type: "file", accept: "image/*", id: "file", onchange: (e) => take(e.target.files[0]) });
  const drop = make("div", { class: "drop" }, make("label", { for: "file" }, "An image: choose it, drop it here, or paste it"), choose, shown);
  drop.addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (e) => { e.preventDefault(); drop.classList.remove("over"); take(e.dataTransfer.files[0]); });
  document.addEventListener("paste", (e) => take([...e.clipboardData.files][0]));
  place.append(drop);
}

// A canvas to draw on, white on black.
function drawing(ask) {
  const canvas = make("canvas", { width: 280, height: 280, id: "draw" }), context = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => { context.fillStyle = "#000"; context.fillRect(0, 0, 280, 280); };
  const at = (e) => { const box = canvas.getBoundingClientRect(); return [((e.clientX - box.left) * 280) / box.width, ((e.clientY - box.top) * 280) / box.height]; };
  const now = () => ask({ data: pixelsOf(context.getImageData(0, 0, 280, 280).data, 1), shape: [1, 280, 280, 1] });
  let last = null;
  clear();
  Object.assign(context, { strokeStyle: "#fff", lineWidth: 24, lineCap: "round", lineJoin: "round" });
  canvas.addEventListener("pointerdown", (e) => { last = at(e); canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", (e) => {
    if (!last) return;
    const to = at(e);
    context.beginPath(); context.moveTo(...last); context.lineTo(...to); context.stroke();
    last = to;
    now();
  });
  canvas.addEventListener("pointerup", () => { last = null; });
  return [make("p", { class: "dim" }, "Draw here, in the middle and large."), canvas, make("button", { type: "button", onclick: clear }, "clear")];
}

function askTable(place, about, ask) {
  const encoding = about.input.encoding;
  if (!encoding.types || !encoding.columns) return askNumbers(place, about, ask, encoding.columns);
  const fields = encoding.columns.map((name) => {
    const known = (encoding.categories ?? {})[name], date = (encoding.dates ?? []).includes(name);
    const usual = (encoding.fill ?? {})[name];
    const field = known
      ? make("select", { name }, ...known.map((value) => make("option", value === usual ? { selected: "" } : {}, value)))
      : make("input", { name, type: date ? "date" : "text", inputmode: "decimal", value: date || usual == null ? "" : usual });
    return make("label", {}, name, field);
  });
  const form = make("form", { id: "form" }, ...fields);
  const now = () => ask(() => ({ data: rowOf(Object.fromEntries(new FormData(form)), encoding), shape: [1, about.input.shape[0]] }));
  form.addEventListener("input", now);
  form.addEventListener("submit", (e) => { e.preventDefault(); now(); });
  place.append(form);
  now();
}

function askText(place, about, ask) {
  const encoding = about.input.encoding;
  const area = make("textarea", { id: "text", placeholder: "A text" });
  area.addEventListener("input", () => ask({ data: tokensOf(area.value, encoding), shape: [1, encoding.sequence_length] }));
  place.append(area);
}

function askNumbers(place, about, ask, columns) {
  const shape = about.input.shape, count = shape.reduce((a, b) => a * b, 1);
  const names = columns?.length ? columns.join(", ") : shape.join(" × ") + " numbers";
  const area = make("textarea", { id: "numbers", placeholder: names });
  area.addEventListener("input", () => ask(() => ({ data: numbersOf(area.value, count), shape: [1, ...shape] })));
  place.append(make("p", { class: "dim" }, names), area);
}

// numbers: those of one answer, in order.
function show(numbers, about) {
  const classes = about.classes, steps = about.steps || 1;
  if (!classes.length) {
    $("answer").replaceChildren(make("p", { class: "headline", id: "value" }, numbers.map((n) => Number(n.toPrecision(6))).join(", ")));
    return;
  }
  const parts = [];
  for (let step = 0; step < steps; step++) {
    const shares = numbers.slice(step * classes.length, (step + 1) * classes.length);
    const best = shares.indexOf(Math.max(...shares));
    const order = classes.length > 12 ? [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 12) : [...shares.keys()];
    const rows = order.flatMap((n) => {
      const first = about.task === "multi_label" ? shares[n] > 0.5 : n === best;
      const fill = make("div", { class: first ? "fill first" : "fill" });
      fill.style.width = `${100 * shares[n]}%`;
      return [make("b", { class: first ? "first" : "" }, classes[n]), make("div", { class: "track" }, fill), make("span", {}, `${(100 * shares[n]).toFixed(1)} %`)];
    });
    parts.push(make("p", { class: "headline" }, about.task === "multi_label" ? classes.filter((_, n) => shares[n] > 0.5).join(", ") || "none" : classes[best]), make("div", { class: "bars" }, ...rows));
  }
  $("answer").replaceChildren(...parts);
}
