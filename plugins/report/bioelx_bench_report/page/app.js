"use strict";
// Everything that comes from data goes through textContent or setAttribute on plain attributes, never into markup.
const PAGE = 50;
const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") element.className = value;
    else if (key === "text") element.textContent = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------- theme and charts

const root = document.documentElement;
const wantsDark = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => root.dataset.theme;

function chartConfig() {
  const dark = theme() === "dark";
  const text = dark ? "#e6e9ed" : "#1b1f24";
  const line = dark ? "#353c45" : "#e1e5ea";
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent",
    font,
    axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, labelFont: font,
      titleFont: font, labelFontSize: 11, titleFontSize: 12, titleFontWeight: 400 },
    legend: { labelColor: text, titleColor: text, labelFont: font, titleFont: font, labelFontSize: 12, symbolSize: 90 },
    view: { stroke: "transparent" },
    style: { cell: { stroke: "transparent" } },
  };
}

const tip = make("div", { class: "tip", hidden: "" });
document.body.append(tip);

function showTip(handler, event, item, value) {
  if (value == null || value === "" || !event) {
    tip.hidden = true;
    return;
  }
  const lines = typeof value === "object" ? Object.entries(value).map(([k, v]) => `${k}: ${v}`) : [String(value)];
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 12, window.innerWidth - box.width - 6);
  const y = event.clientY + 14 + box.height > window.innerHeight ? event.clientY - box.height - 8 : event.clientY + 14;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${y}px`;
}

const charts = JSON.parse(byId("charts-data").textContent);
const drawn = new Map();

function draw(name) {
  const { vega, expressionInterpreter } = globalThis.vegaPage;
  const box = byId(`chart-${name}`);
  drawn.get(name)?.view.finalize();
  const width = Math.floor(box.clientWidth);
  // parsed as a syntax tree and interpreted, so that the page needs no right to evaluate text as code
  const runtime = vega.parse(charts[name], chartConfig(), { ast: true });
  const view = new vega.View(runtime, { expr: expressionInterpreter, renderer: "svg", container: box, hover: true });
  view.tooltip(showTip).width(width).runAsync();
  drawn.set(name, { view, width });
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      draw(entry.target.dataset.chart);
    }
  }
}, { rootMargin: "300px" });

function setTheme(name) {
  root.dataset.theme = name;
  for (const chart of drawn.keys()) draw(chart);
}

setTheme(wantsDark.matches ? "dark" : "light");
wantsDark.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
byId("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
for (const box of document.querySelectorAll(".chart")) seen.observe(box);

let resizing = 0;
window.addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const [name, { width }] of drawn) {
      if (Math.floor(byId(`chart-${name}`).clientWidth) !== width) draw(name);
    }
  }, 150);
});

// ---------------------------------------------------------------- mentions

let data;
let haystack;
let matches = [];
let page = 0;

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function fill(select, options) {
  for (const [value, text] of options) select.append(make("option", { value, text }));
}

function prepare() {
  fill(byId("f-subset"), [["", "all"], ...data.subsets.map((name, i) => [i, name])]);
  fill(byId("f-type"), [["", "all"], ...data.kinds.map((name, i) => [i, name]).sort((a, b) => (a[1] < b[1] ? -1 : 1))]);
  fill(byId("f-run"), data.runs.map((run, i) => [i, run.label]));
  fill(byId("f-other"), data.runs.map((run, i) => [i, run.label]));
  if (data.runs.length > 1) byId("f-other").value = "1";
  else for (const id of ["f-run", "f-other", "f-difference"]) byId(id).parentElement.hidden = true;
  if (!data.runs.some((run) => run.ranked)) byId("f-after").parentElement.hidden = true;
  if (!data.kinds.length) byId("f-type").parentElement.hidden = true;
  haystack = data.id.map((id, i) => {
    const gold = data.gold[i].flatMap((c) => [data.concepts[c], ...(data.goldNames[c] ?? []).map((n) => data.names[n])]);
    return [id, ...(data.pieces ? data.pieces[i] : []), ...gold].join("\u0001").normalize("NFKC").toLowerCase();
  });
}

function keeps() {
  const value = (id) => byId(id).value;
  const text = value("f-text").normalize("NFKC").toLowerCase().trim();
  const [subset, kind] = [value("f-subset"), value("f-type")];
  const run = data.runs[Number(value("f-run"))];
  const other = data.runs[Number(value("f-other"))];
  const [before, after, difference] = [value("f-before"), value("f-after"), value("f-difference")];
  return (i) => {
    if (subset !== "" && data.subset[i] !== Number(subset)) return false;
    if (kind !== "" && !data.types[i].includes(Number(kind))) return false;
    const [r, a] = [run.before[i], run.after[i]];
    if (before === "right" && r !== 1) return false;
    if (before === "wrong" && r === 1) return false;
    if (before === "found" && r === 0) return false;
    if (before === "missing" && r !== 0) return false;
    if (after === "right" && a !== 1) return false;
    if (after === "wrong" && a === 1) return false;
    if (after === "won" && !(r !== 1 && a === 1)) return false;
    if (after === "lost" && !(r === 1 && a !== 1)) return false;
    if (difference) {
      const pair = [a === 1, other.after[i] === 1];
      const wanted = { only: [true, false], other: [false, true], both: [true, true], neither: [false, false] }[difference];
      if (pair[0] !== wanted[0] || pair[1] !== wanted[1]) return false;
    }
    return !text || haystack[i].includes(text);
  };
}

function filter() {
  const keep = keeps();
  matches = [];
  for (let i = 0; i < data.id.length; i += 1) if (keep(i)) matches.push(i);
  page = 0;
  show();
}

function context(i) {
  const box = make("span", { class: "context", dir: "auto" });
  if (data.language) box.lang = data.language[i];
  const parts = data.pieces ? data.pieces[i] : ["", data.id[i]];
  parts.forEach((part, place) => box.append(place % 2 ? make("mark", { text: part }) : part));
  return box;
}

function verdict(run, i) {
  const rank = run.after[i];
  const moved = run.ranked && run.before[i] !== rank ? `${run.before[i] || "–"}→` : "";
  const text = `${moved}${rank || "–"}`;
  const about = `${run.label}: gold at rank ${rank || "none"}${run.ranked ? `, ${run.before[i] || "none"} as retrieved` : ""}`;
  return make("span", { class: `verdict ${rank === 1 ? "right" : "wrong"}`, text, title: about, "aria-label": about });
}

function show() {
  const list = byId("list");
  const pages = Math.max(1, Math.ceil(matches.length / PAGE));
  list.replaceChildren();
  for (const i of matches.slice(page * PAGE, (page + 1) * PAGE)) {
    const row = make("button", { class: "row", type: "button", "aria-expanded": "false" },
      make("span", { class: "place", text: data.subsets[data.subset[i]] }),
      context(i),
      make("span", { class: "verdicts" }, ...data.runs.map((run) => verdict(run, i))));
    row.addEventListener("click", () => toggle(row, i));
    list.append(make("li", {}, row));
  }
  const all = data.id.length.toLocaleString("en");
  byId("count").textContent = `${matches.length.toLocaleString("en")} of ${all} mentions. Chips: rank of the gold in each run (as retrieved → after ranking).`;
  byId("page").textContent = `page ${page + 1} of ${pages}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page + 1 >= pages;
}

function toggle(row, i) {
  const open = row.getAttribute("aria-expanded") === "true";
  row.setAttribute("aria-expanded", String(!open));
  if (open) row.nextElementSibling.remove();
  else row.after(detail(i));
}

function detail(i) {
  const box = make("div", { class: "detail" });
  const about = [data.id[i], ...data.types[i].map((t) => data.kinds[t])].join(" · ");
  box.append(make("p", { class: "quiet", text: about }));
  const gold = make("div", { class: "gold" }, make("strong", { text: "Gold: " }));
  data.gold[i].forEach((concept, place) => {
    const names = (data.goldNames[concept] ?? []).map((n) => data.names[n]);
    gold.append(make("bdi", { text: `${place ? "; " : ""}${data.concepts[concept]}${names.length ? ` (${names.join(", ")})` : ""}` }));
  });
  if (!data.inKb[i]) gold.append(make("span", { class: "wrong-text", text: " not in the knowledge base" }));
  box.append(gold);
  for (const run of data.runs) {
    box.append(make("h4", { text: run.label }));
    box.append(candidates(run, i));
  }
  return box;
}

function candidates(run, i) {
  const flat = run.candidates[i];
  const rows = [];
  for (let at = 0; at < flat.length; at += 6) rows.push(flat.slice(at, at + 6));
  if (!rows.length) return make("p", { class: "quiet", text: "No candidate was retrieved." });
  if (run.ranked) rows.sort((a, b) => (a[4] || 1e9) - (b[4] || 1e9) || a[3] - b[3]);
  const head = make("tr", {}, ...(run.ranked ? ["after", "before"] : ["rank"]).map((text) => make("th", { text })),
    make("th", { text: "score" }), ...(run.ranked ? [make("th", { text: "evidence" })] : []),
    make("th", { class: "words", text: "concept" }), make("th", { class: "words", text: "name that matched" }));
  const body = make("tbody");
  for (const [concept, name, score, before, after, evidence] of rows) {
    const right = data.gold[i].includes(concept);
    body.append(make("tr", right ? { class: "gold-row" } : {},
      ...(run.ranked ? [make("td", { text: after || "–" })] : []),
      make("td", { text: before }),
      make("td", { text: score }),
      ...(run.ranked ? [make("td", { text: evidence ?? "–" })] : []),
      make("td", { class: "words", text: data.concepts[concept] + (right ? " ✓" : "") }),
      make("td", { class: "name", dir: "auto", text: data.names[name] })));
  }
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), body));
}

function turn(step) {
  const next = page + step;
  if (next < 0 || next * PAGE >= matches.length) return;
  page = next;
  show();
  byId("filters").scrollIntoView({ block: "start" });
}

function move(step) {
  const rows = [...document.querySelectorAll("#list .row")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? 0 : at + step];
  if (next) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

document.addEventListener("keydown", (event) => {
  if (!data || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing) return;
  const action = { "/": () => byId("f-text").focus(), j: () => move(1), k: () => move(-1), n: () => turn(1), p: () => turn(-1) }[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

unpack(byId("mentions-data").textContent).then((found) => {
  data = found;
  prepare();
  let waiting = 0;
  byId("filters").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  filter();
  root.dataset.ready = "yes";
}).catch((error) => {
  byId("count").textContent = `The mentions cannot be unpacked: ${error}`;
});
