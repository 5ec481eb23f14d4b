// Freshness and comfort. Every page is complete without this file.
"use strict";

// The local time of every moment, beside UTC.
const local = (root) => {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = format.format(new Date(time.dateTime)) + " (local)";
  }
};

// A choice that has a button is sent when it is made.
const sendItself = () => {
  for (const form of document.querySelectorAll("form[data-sends-itself]")) {
    form.querySelector("button").hidden = true;
    form.addEventListener("change", () => form.requestSubmit());
  }
};

// One box that ticks all.
const tickAll = () => {
  for (const head of document.querySelectorAll("[data-tick-all]")) {
    const boxes = () => head.closest("table").querySelectorAll("tbody input[type=checkbox]");
    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Choose all of this page");
    all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
    head.replaceWith(all);
  }
};

// Parts marked `data-live` are asked for again when there is news, while somebody looks and has nothing in hand there.
const PERIOD_MS = 15000;
const live = () => [...document.querySelectorAll("[data-live]")];
const refresh = async () => {
  const parts = live();
  const busy = (part) => part.contains(document.activeElement) || part.querySelector("input:checked, details[open]");
  if (document.hidden || parts.some(busy)) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || !answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (next && next.innerHTML !== part.dataset.seen) {
      part.innerHTML = next.innerHTML;
      part.dataset.seen = next.innerHTML;
      local(part);
    }
  }
};

// A stream says when there is news. The server ends it now and then, and the browser opens it again: that is news, too, of
// what leaves no trace in the audit log. Without a stream the page asks by itself. One that nobody looks at has none.
const base = document.currentScript.src.replace(/static\/console\.js.*$/, "");
let stream = null;
let timer = null;
const poll = () => { timer ??= setInterval(refresh, PERIOD_MS); };
const listen = () => {
  if (stream || document.hidden) return;
  stream = new EventSource(`${base}live?since=${document.getElementById("main").dataset.entry}`);
  let isFirst = true;
  stream.addEventListener("open", () => {
    clearInterval(timer);
    timer = null;
    if (!isFirst) refresh();
    isFirst = false;
  });
  stream.addEventListener("message", (event) => {
    const main = document.getElementById("main");
    if (main.dataset.entry === event.data) return;
    main.dataset.entry = event.data;
    refresh();
  });
  stream.addEventListener("error", () => { if (stream?.readyState === EventSource.CLOSED) poll(); });
};
const hush = () => {
  stream?.close();
  stream = null;
};

local(document);
sendItself();
tickAll();
if (live().length > 0) {
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush();
    listen();
    refresh();
  });
}
