// What the engine's own pages do in a browser: the menu on narrow screens, copy buttons, and search.
// They can be read without it. Nothing is loaded from elsewhere.
"use strict";

const SECTIONS_SHOWN_MAX = 20;
const EXCERPT_CHARS = 140;

// The menu -----------------------------------------------------------------------------------------------------------

const menu = document.querySelector(".menu");
const pages = document.getElementById("pages");
menu?.addEventListener("click", () => {
  const isOpen = pages.classList.toggle("is-open");
  menu.setAttribute("aria-expanded", String(isOpen));
});

// Copy buttons -------------------------------------------------------------------------------------------------------

for (const block of document.querySelectorAll("main pre")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", async () => {
    let outcome = "Copied";
    try {
      await navigator.clipboard.writeText(block.textContent.replace(/\n$/, ""));
    } catch {
      // Browsers refuse the clipboard on plain http from another host: then the text stands there, selected.
      getSelection()?.selectAllChildren(block);
      outcome = "Selected: copy it with your keyboard";
    }
    button.textContent = outcome;
    button.setAttribute("aria-label", outcome);
    setTimeout(() => {
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy this code");
    }, 2_000);
  });
  const bar = document.createElement("div");
  bar.append(button);
  const frame = document.createElement("div");
  frame.className = "code";
  block.replaceWith(frame);
  frame.append(bar, block);
}

// Search -------------------------------------------------------------------------------------------------------------

const box = document.getElementById("search");
const found = document.getElementById("found");
let reading = null;

/** The sections of all pages; read once, when somebody begins to search. */
function sections() {
  reading ??= fetch("/docs/search.json").then((answer) => {
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.json();
  });
  reading.catch(() => (reading = null));
  return reading;
}

/** Sections that have every word, best first: in their heading, in the page's title, then the earlier in the text. */
function matches(all, words) {
  const scored = [];
  for (const section of all) {
    const heading = section.heading.toLowerCase();
    const page = section.page.toLowerCase();
    const text = section.text.toLowerCase();
    let score = 0;
    for (const word of words) {
      const inText = text.indexOf(word);
      if (heading.includes(word)) score += heading.startsWith(word) ? 120 : 100;
      else if (page.includes(word)) score += 40;
      else if (inText >= 0) score += 20 - Math.min(19, inText / 200);
      else score = -Infinity;
      if (inText >= 0) score += 1;
    }
    if (score > 0) scored.push([score, section]);
  }
  return scored.sort((one, other) => other[0] - one[0]).map(([, section]) => section);
}

/** A part of the text with the first word in it, and all words marked. */
function excerpt(text, words) {
  const first = Math.max(0, Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0)));
  const start = Number.isFinite(first) ? Math.max(0, first - 40) : 0;
  const part = (start > 0 ? "…" : "") + text.slice(start, start + EXCERPT_CHARS) + (text.length > start + EXCERPT_CHARS ? "…" : "");
  const line = document.createElement("small");
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "gi");
  for (const piece of part.split(pattern)) {
    if (words.includes(piece.toLowerCase())) {
      const mark = document.createElement("mark");
      mark.textContent = piece;
      line.append(mark);
    } else line.append(piece);
  }
  return line;
}

function show(message, hits = [], words = []) {
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  status.textContent = message;
  const list = document.createElement("ul");
  for (const section of hits.slice(0, SECTIONS_SHOWN_MAX)) {
    const link = document.createElement("a");
    link.href = section.address;
    const name = document.createElement("strong");
    name.textContent = section.heading === section.page ? section.page : `${section.page}: ${section.heading}`;
    link.append(name, excerpt(section.text, words));
    link.addEventListener("click", hide);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  found.replaceChildren(status, ...(hits.length > 0 ? [list] : []));
  found.hidden = false;
}

function hide() {
  found.hidden = true;
}

async function search() {
  const words = [...new Set(box.value.toLowerCase().split(/\s+/).filter((word) => word !== ""))].slice(0, 8);
  if (words.length === 0) return hide();
  const asked = box.value;
  let all;
  try {
    all = await sections();
  } catch {
    return show("The engine does not answer, so nothing can be searched. Try again.");
  }
  // Somebody types faster than the index comes: only the latest question is answered.
  if (asked !== box.value) return;
  const hits = matches(all, words);
  if (hits.length === 0) return show(`Nothing has “${asked.trim()}” in it.`);
  const more = hits.length > SECTIONS_SHOWN_MAX ? `, the best ${SECTIONS_SHOWN_MAX} of them` : "";
  show(`${hits.length === 1 ? "One section" : `${hits.length} sections`}${more}`, hits, words);
}

if (box !== null) {
  box.addEventListener("input", search);
  box.addEventListener("focus", () => box.value !== "" && search());
  box.form.addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select") !== null;
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
    }
    if (found.hidden || !box.form.contains(event.target)) return;
    const links = [...found.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      hide();
      box.focus();
    } else if (event.key === "ArrowDown" && links.length > 0) {
      event.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && links.length > 0) {
      event.preventDefault();
      (at <= 0 ? box : links[at - 1]).focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!box.form.contains(event.target)) hide();
  });
}
