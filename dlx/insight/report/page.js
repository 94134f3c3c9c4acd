"use strict";
// What the page can do beside being read: a logarithmic axis, lines that are turned off, figures under the pointer.
document.documentElement.classList.add("js");
const points = JSON.parse(document.getElementById("points").textContent);
const LEFT = 56, RIGHT = 436, WIDTH = 460;

for (const button of document.querySelectorAll("button[data-log]")) {
  button.addEventListener("click", () => {
    document.getElementById(button.dataset.log).classList.toggle("scaled");
  });
}

const off = new Set();
function isOff(key) {
  for (const label of off) {
    if (key === label + " train" || key === label + " val") return true;
  }
  return false;
}

for (const box of document.querySelectorAll("input[data-run]")) {
  box.addEventListener("change", () => {
    if (box.checked) off.delete(box.dataset.run);
    else off.add(box.dataset.run);
    for (const line of document.querySelectorAll("g[data-key]")) {
      line.classList.toggle("off", isOff(line.dataset.key));
    }
  });
}

function nearest(line, x) {
  let best = line[0];
  for (const point of line) {
    if (Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  }
  return best;
}

for (const [id, lines] of Object.entries(points)) {
  const figure = document.getElementById(id);
  const svg = figure.querySelector("svg");
  const words = figure.querySelector(".hover");
  const all = Object.values(lines).flat().map((point) => point[0]);
  const low = Math.min(...all), high = Math.max(...all);
  const cross = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cross.setAttribute("class", "cross off");
  cross.setAttribute("y1", "10");
  cross.setAttribute("y2", "206");
  svg.append(cross);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const share = Math.min(1, Math.max(0, (at - LEFT) / (RIGHT - LEFT)));
    const epoch = Math.round(low + share * (high - low));
    const texts = [];
    for (const [key, line] of Object.entries(lines)) {
      if (!isOff(key)) texts.push(key + " " + nearest(line, epoch)[1]);
    }
    words.textContent = "epoch " + epoch + ": " + texts.slice(0, 8).join(", ");
    const place = high > low ? LEFT + ((epoch - low) / (high - low)) * (RIGHT - LEFT) : (LEFT + RIGHT) / 2;
    cross.setAttribute("x1", place);
    cross.setAttribute("x2", place);
    cross.classList.remove("off");
  });
  svg.addEventListener("pointerleave", () => {
    words.textContent = "";
    cross.classList.add("off");
  });
}
