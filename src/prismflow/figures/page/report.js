"use strict";
// Figures enlarge in a dialog, which keeps the focus inside it and gives it back on Escape.
const viewer = document.getElementById("viewer");
const canvas = document.getElementById("viewer-canvas");
const size = document.getElementById("viewer-size");
function setSize(actual) {
  canvas.classList.toggle("actual", actual);
  size.setAttribute("aria-pressed", String(actual));
}
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const shown = button.querySelector("img");
    const image = new Image();
    image.alt = shown.alt;
    image.src = shown.src;
    image.addEventListener("click", () => setSize(!canvas.classList.contains("actual")));
    canvas.replaceChildren(image);
    document.getElementById("viewer-title").textContent = shown.alt;
    setSize(false);
    viewer.showModal();
  });
}
size.addEventListener("click", () => setSize(!canvas.classList.contains("actual")));
viewer.addEventListener("close", () => canvas.replaceChildren());
viewer.addEventListener("click", event => { if (event.target === viewer) viewer.close(); });

const words = text => text.toLowerCase().split(/\s+/).filter(Boolean);
const holds = (element, wanted) => {
  const text = element.textContent.toLowerCase();
  return wanted.every(word => text.includes(word));
};

// The first number of an entry ("0.36 ± 0.01", "<0.0001", "1,024"); NaN where there is none.
function number(text) {
  const found = text.replace(/,/g, "").replace(/−/g, "-").match(/^[<>≤≥~]?\s*([-+]?\d*\.?\d+(?:e[-+]?\d+)?)/i);
  return found ? parseFloat(found[1]) : NaN;
}
const missing = text => text === "" || text === "–" || text === "NA";

function compare(column, direction) {
  const text = row => row.cells[column].textContent.trim();
  return (a, b) => {
    const [x, y] = [text(a), text(b)];
    if (missing(x) || missing(y)) return missing(x) - missing(y);
    const [p, q] = [number(x), number(y)];
    const order = isNaN(p) || isNaN(q) ? x.localeCompare(y, "en", { numeric: true }) : p - q;
    return direction * order;
  };
}

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (rows.length < 2) continue;
  // Third press: the order in which the table was written.
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      heads.forEach(other => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const direction = next === "descending" ? -1 : 1;
      body.append(...(next === "none" ? rows : [...rows].sort(compare(column, direction))));
    });
  });
  if (rows.length < 5) continue;
  const tools = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  tools.className = "tools";
  input.type = "search";
  input.autocomplete = "off";
  count.setAttribute("aria-live", "polite");
  label.append("Filter rows", input);
  tools.append(label, count);
  table.parentElement.before(tools);
  input.addEventListener("input", () => {
    const wanted = words(input.value);
    for (const row of rows) row.hidden = !holds(row, wanted);
    const left = rows.filter(row => !row.hidden).length;
    count.textContent = wanted.length ? `${left} of ${rows.length} rows` : "";
  });
}

// A table that is wider than its place becomes a list of cards; so does one of many columns on a phone.
const NARROW = 560;
function fit(places) {
  for (const place of places) {
    const table = place.querySelector("table");
    table.classList.remove("cards");
    const columns = table.tHead ? table.tHead.rows[0].cells.length : 0;
    const crowded = columns > 3 && place.clientWidth < NARROW;
    table.classList.toggle("cards", crowded || table.offsetWidth > place.clientWidth);
  }
}
const places = [...document.querySelectorAll(".wide")];
fit(places);
addEventListener("resize", () => fit(places));
document.addEventListener("toggle", event => {
  if (event.target instanceof HTMLDetailsElement) fit(event.target.querySelectorAll(".wide"));
}, true);

const search = document.getElementById("search");
search.closest(".search").hidden = false;
search.addEventListener("input", () => {
  const wanted = words(search.value);
  const items = [...document.querySelectorAll(".item")];
  for (const item of items) item.hidden = !holds(item, wanted);
  for (const part of document.querySelectorAll(".part")) {
    part.hidden = ![...part.querySelectorAll(".item")].some(item => !item.hidden);
  }
  const left = items.filter(item => !item.hidden).length;
  document.getElementById("found").textContent = wanted.length ? `${left} of ${items.length} parts hold it` : "";
});
