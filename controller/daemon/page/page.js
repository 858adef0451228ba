// Refreshes the status page without loading it again. The server makes all content: this script fetches the page and
// replaces the parts that are marked data-live.
"use strict";

const REFRESH_MILLISECONDS = 10_000;
const TYPING_MILLISECONDS = 200;

document.documentElement.classList.add("scripted");

/** The newest request; answers to older ones are ignored. */
let newest = 0;

async function fetched(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Replaces the parts that differ from the page at that address. */
async function show(address) {
  const mine = ++newest;
  let page;
  try {
    page = await fetched(address);
  } catch (error) {
    if (mine === newest) complain(error);
    return;
  }
  if (mine !== newest) return;
  complain(null);
  lastAnswer = new Date();
  document.title = page.title;
  const fresh = new Set();
  for (const part of page.querySelectorAll("[data-live]")) {
    fresh.add(part.id);
    replace(document.getElementById(part.id), part);
  }
  const shown = document.querySelectorAll("[data-live]");
  if (fresh.size !== shown.length) location.reload(); // The first pass has ended, or another version answers.
}

/** Replaces a part, and restores the focus and the text that is being typed. */
function replace(old, part) {
  if (!old || sourceOf(old) === part.outerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && placeOf(focused);
  const typed = focused && focused.type === "search" ? focused : null;
  const source = part.outerHTML;
  const state = typed && { value: typed.value, start: typed.selectionStart, end: typed.selectionEnd };
  old.replaceWith(part);
  sources.set(part, source);
  if (!focused) return;
  const again = find(part, place);
  if (!again) return;
  if (state) {
    again.value = state.value;
    again.setSelectionRange(state.start, state.end);
  }
  again.focus({ preventScroll: true });
}

const sources = new WeakMap();

function sourceOf(part) {
  if (!sources.has(part)) sources.set(part, part.outerHTML);
  return sources.get(part);
}

/** How to find an element in a newer version of the same part: by its kind and its text. */
function placeOf(element) {
  const selector = element.id ? `#${element.id}` : `${element.localName}[href="${CSS.escape(element.getAttribute("href") ?? "")}"]`;
  const text = element.textContent.replace(/[\d,\s]+/g, "");
  return { selector, name: element.localName, text };
}

function find(part, place) {
  return part.querySelector(place.selector)
    ?? [...part.querySelectorAll(place.name)].find((each) => each.textContent.replace(/[\d,\s]+/g, "") === place.text);
}

/** Shows that the page is out of date, and why; null: it is current. */
function complain(error) {
  let line = document.getElementById("stale");
  if (!error) {
    line?.remove();
    return;
  }
  if (!line) {
    line = document.createElement("p");
    line.id = "stale";
    line.className = "stale";
    line.setAttribute("role", "alert");
    document.querySelector("main").prepend(line);
  }
  const text = `The controller does not answer (${error.message}). This page shows the state of ${lastAnswer.toLocaleTimeString()}.`;
  if (line.textContent !== text) line.textContent = text;
}

let lastAnswer = new Date();

function go(address) {
  history.replaceState(null, "", address);
  return show(address);
}

async function explain(address) {
  const dialog = document.getElementById("why");
  const page = await fetched(address).catch((error) => {
    complain(error);
    return null;
  });
  const found = page?.getElementById("explanation");
  if (!found) return;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(close, found);
  if (!dialog.open) dialog.showModal();
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (event.target.id === "why") event.target.close(); // A click outside the window.
  const link = event.target.closest?.("a[data-view], a[data-explain]");
  if (!link) return;
  event.preventDefault();
  if ("explain" in link.dataset) explain(link.href);
  else go(link.getAttribute("href"));
});

function searched(form) {
  const words = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  return words.size ? `/?${words}` : "/";
}

let typing = 0;

document.addEventListener("input", (event) => {
  if (event.target.id !== "q") return;
  clearTimeout(typing);
  typing = setTimeout(() => go(searched(event.target.form)), TYPING_MILLISECONDS);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".search")) return;
  event.preventDefault();
  clearTimeout(typing);
  go(searched(event.target));
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) show(location.pathname + location.search);
});

setInterval(() => {
  if (!document.hidden) show(location.pathname + location.search);
}, REFRESH_MILLISECONDS);
