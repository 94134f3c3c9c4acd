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

let watched = new AbortController(); // of the listeners of the model that is shown

// about: what the model says of itself. predict: an input -> {numbers of one answer, remarks}. An input has what a server
// takes, a file or json, and local(), which makes {data, shape}. examples: gives inputs to choose from.
function page(about, predict, examples) {
  watched.abort();
  watched = new AbortController();
  document.title = about.run;
  $("title").textContent = about.run;
  const what = { classification: "a class", regression: "a value", multi_label: "labels" }[about.task];
  const of = { image: "an image", table: "a row of a table", text: "a text", series: "a series" }[about.input.kind] ?? "numbers";
  $("about").textContent = `Predicts ${what} of ${of}${examples ? "" : "; nothing leaves this page"}.`;
  let next = null, busy = false, signal = watched.signal;
  const ask = async (input) => {
    next = input;
    if (busy) return; // only the newest waits
    busy = true;
    while (next !== null && !signal.aborted) {
      const now = next;
      next = null;
      try {
        const { numbers, remarks } = await predict(typeof now === "function" ? await now() : now);
        if (next === null && !signal.aborted) show(numbers, about, remarks);
      } catch (error) { if (!signal.aborted) fail(error); }
    }
    busy = false;
  };
  const kinds = { image: askImage, table: askTable, text: askText };
  const build = about.input.kind === "image" && about.input.dtype !== "uint8" ? askNumbers : kinds[about.input.kind] ?? askNumbers;
  $("answer").replaceChildren();
  $("examples").replaceChildren();
  const take = build($("ask"), about, ask);
  if (examples && take) examples().then((list) => { if (!signal.aborted) offer($("examples"), list, take); }, () => {});
}

// Inputs to choose from: pictures, or rows of numbers.
function offer(place, list, take) {
  if (!list.length) return;
  const buttons = list.map(({ name, image, text }) => {
    const face = image ? make("img", { src: image, alt: name }) : name;
    return make("button", { type: "button", class: "example", title: name, onclick: () => take(image ? blobOf(image) : text) }, face);
  });
  place.append(make("p", { class: "dim" }, "Or one that the run was not trained on:"), make("div", { class: "examples" }, ...buttons));
}

function blobOf(address) {
  const [, kind, text] = address.match(/^data:([^;]+);base64,(.*)$/);
  return new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], { type: kind });
}

function askImage(place, about, ask) {
  const channels = about.input.shape[2];
  if (channels === 1) place.append(...drawing(ask));
  const shown = make("img", { alt: "", hidden: "" });
  const take = async (file) => {
    if (!file) return;
    let read = null;
    try {
      const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
      const canvas = make("canvas", { width: bitmap.width, height: bitmap.height }), context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      shown.src = canvas.toDataURL();
      shown.hidden = false;
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      read = { data, shape: [1, bitmap.height, bitmap.width, channels] };
    } catch (error) { shown.hidden = true; } // a server may read it nevertheless
    const local = () => {
      if (!read) throw new Error("is no image that this browser reads");
      return { data: pixelsOf(read.data, channels), shape: read.shape };
    };
    ask({ file, local });
  };
  const choose = make("input", { type: "file", accept: "image/*", id: "file", onchange: (e) => take(e.target.files[0]) });
  const drop = make("div", { class: "drop" }, make("label", { for: "file" }, "An image: choose it, drop it here, or paste it"), choose, shown);
  drop.addEventListener("dragover", (e) => { e.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (e) => { e.preventDefault(); drop.classList.remove("over"); take(e.dataTransfer.files[0]); });
  document.addEventListener("paste", (e) => take([...e.clipboardData.files][0]), { signal: watched.signal });
  place.append(drop);
  return take;
}

// A canvas to draw on, white on black.
function drawing(ask) {
  const canvas = make("canvas", { width: 280, height: 280, id: "draw" }), context = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => { context.fillStyle = "#000"; context.fillRect(0, 0, 280, 280); };
  const at = (e) => { const box = canvas.getBoundingClientRect(); return [((e.clientX - box.left) * 280) / box.width, ((e.clientY - box.top) * 280) / box.height]; };
  const local = () => ({ data: pixelsOf(context.getImageData(0, 0, 280, 280).data, 1), shape: [1, 280, 280, 1] });
  const now = () => ask(async () => ({ file: await new Promise((done) => canvas.toBlob(done, "image/png")), local }));
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
  const now = () => {
    const fields = Object.fromEntries(new FormData(form));
    ask({ json: fields, local: () => ({ data: rowOf(fields, encoding), shape: [1, about.input.shape[0]] }) });
  };
  form.addEventListener("input", now);
  form.addEventListener("submit", (e) => { e.preventDefault(); now(); });
  place.append(form);
  now();
}

function askText(place, about, ask) {
  const encoding = about.input.encoding;
  const area = make("textarea", { id: "text", placeholder: "A text" });
  const local = () => ({ data: tokensOf(area.value, encoding), shape: [1, encoding.sequence_length] });
  area.addEventListener("input", () => ask({ json: [area.value], local }));
  place.append(area);
}

function askNumbers(place, about, ask, columns) {
  const shape = about.input.shape, count = shape.reduce((a, b) => a * b, 1);
  const names = columns?.length ? columns.join(", ") : shape.join(" × ") + " numbers";
  const area = make("textarea", { id: "numbers", placeholder: names });
  const numbers = () => numbersOf(area.value, count);
  const now = () => ask(() => ({ json: [nested(numbers(), shape)], local: () => ({ data: numbers(), shape: [1, ...shape] }) }));
  area.addEventListener("input", now);
  place.append(make("p", { class: "dim" }, names), area);
  return (text) => { area.value = text; now(); };
}

function nested(numbers, shape) {
  if (shape.length < 2) return numbers;
  const size = numbers.length / shape[0];
  return Array.from({ length: shape[0] }, (_, n) => nested(numbers.slice(n * size, (n + 1) * size), shape.slice(1)));
}

// numbers: those of one answer, in order.
function show(numbers, about, remarks = []) {
  const classes = about.classes, steps = about.steps || 1;
  const parts = remarks.map((remark) => make("p", { class: "dim" }, remark));
  if (!classes.length) parts.unshift(make("p", { class: "headline", id: "value" }, numbers.map((n) => Number(n.toPrecision(6))).join(", ")));
  for (let step = 0; classes.length && step < steps; step++) {
    const shares = numbers.slice(step * classes.length, (step + 1) * classes.length);
    const best = about.threshold === undefined ? shares.indexOf(Math.max(...shares)) : Number(shares[1] >= about.threshold);
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
