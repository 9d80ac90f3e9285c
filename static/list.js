// Lists that search as one types and renew themselves, from the JSON interface. Without this script
// their forms do the same, a page at a time. Rows are copies of the page's <template>, filled with the
// DOM only: text from outside never becomes HTML.
"use strict";

const form = document.querySelector("form[data-live]");
const template = document.querySelector("template[data-row]");
const nothing = document.querySelector("template[data-none]");
const results = document.querySelector("[data-results]");
const PATIENCE = 250;

// The value at `user.email` of an object.
const at = (item, path) => path.split(".").reduce((inner, name) => inner?.[name], item);
const filled = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));
const woven = (text, item, wrap) => text.replace(/\{([\w.]+)\}/g, (_, path) => wrap(at(item, path) ?? ""));
const link = (href, text) => {
  const anchor = document.createElement("a");
  const code = document.createElement("code");
  anchor.href = href;
  code.textContent = text;
  anchor.append(code);
  return anchor;
};

// What each attribute of the template makes of an element and the item that the row is about.
const fill = {
  if: (node, item, path) => filled(at(item, path)) || node.remove(),
  unless: (node, item, path) => !filled(at(item, path)) || node.remove(),
  text: (node, item, path) => {
    const { else: other, elseText = "" } = node.dataset;
    node.textContent = at(item, path) || (other && at(item, other)) || elseText;
  },
  href: (node, item, text) => node.setAttribute("href", woven(text, item, encodeURIComponent)),
  value: (node, item, text) => node.setAttribute("value", woven(text, item, String)),
  name: (node, item, text) => node.setAttribute("aria-label", woven(text, item, String)),
  time: (node, item, path) => {
    if (at(item, path)) node.dateTime = at(item, path);
  },
  each: (node, item, path) => {
    for (const one of at(item, path)) {
      const copy = node.cloneNode(false);
      copy.textContent = one;
      node.before(copy, " ");
    }
    node.remove();
  },
  badge: (node, item, path) => {
    const value = String(at(item, path));
    const { good, bad } = node.dataset;
    node.classList.add(value === good ? "good" : value === bad ? "bad" : "plain");
    node.textContent = path === "status" ? value.charAt(0).toUpperCase() + value.slice(1) : value;
  },
  initials: (node, item, path) => {
    const words = String(at(item, path) ?? "").split(/\s+/).filter(Boolean);
    const ends = words.length ? [words[0], ...words.slice(1).slice(-1)] : [at(item, node.dataset.else)];
    node.textContent = ends.map((word) => [...word][0].toUpperCase()).join("");
  },
  who: (node, item, path) => {
    const name = at(item, path);
    if (!name || name === "operator" || name === "server") node.textContent = name || "–";
    else node.replaceWith(link(`/admin/users/${encodeURIComponent(name)}`, name));
  },
};

const row = (item) => {
  const copy = template.content.firstElementChild.cloneNode(true);
  for (const [kind, apply] of Object.entries(fill)) {
    for (const node of copy.querySelectorAll(`[data-${kind}]`)) {
      if (copy.contains(node)) apply(node, item, node.dataset[kind]);
    }
  }
  return copy;
};

// What the form asks for, without what is empty.
const asked = () => {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) query.append(name, value.trim());
  return query;
};

const say = (text) => {
  const status = results.querySelector("[data-status]");
  if (status && status.textContent !== text) status.textContent = text;
};

const noun = { "/admin/users": ["person", "people"], "/admin/sessions": ["session", "sessions"], "/admin/audit": ["event", "events"] };
const counted = (count) => {
  const [one, many] = noun[new URL(form.action).pathname];
  return `${count} ${count === 1 ? one : many} on this page`;
};

const pager = (query, cursor) => {
  const place = results.querySelector(".pager");
  place.querySelector("nav")?.remove();
  if (!cursor) return;
  const next = document.createElement("a");
  const nav = document.createElement("nav");
  const address = new URLSearchParams(query);
  address.set("cursor", cursor);
  next.href = `${new URL(form.action).pathname}?${address}`;
  next.className = "button";
  next.rel = "next";
  next.textContent = "Next page";
  nav.setAttribute("aria-label", "Pages");
  nav.append(next);
  place.append(nav);
};

// Links that take the filter along: files of what is shown, and the end of all that match.
const follow = (query) => {
  for (const anchor of document.querySelectorAll("[data-follow] a")) {
    const url = new URL(anchor.href);
    const kept = new URLSearchParams(query);
    kept.set("format", url.searchParams.get("format"));
    anchor.href = `${url.pathname}?${kept}`;
  }
  const all = results.querySelector("[data-end-all]");
  if (all) {
    all.href = `${new URL(all.href).pathname}?${query}`;
    all.hidden = !query.size;
  }
};

// Does something again and again, and when somebody comes back to the page.
const whileSeen = (every, work) => {
  setInterval(() => document.hidden || work(), every);
  document.addEventListener("visibilitychange", () => document.hidden || work());
};

let running;
let shown = form && asked().toString();

const search = async (quietly) => {
  running?.abort();
  running = new AbortController();
  const query = asked();
  const address = `${new URL(form.action).pathname}${query.size ? `?${query}` : ""}`;
  try {
    const answer = await fetch(`${form.dataset.live}?${query}`, {
      signal: running.signal,
      headers: { Accept: "application/json" },
    });
    if (answer.status === 401) return location.replace(address);
    if (answer.status === 422) {
      const { errors } = await answer.json();
      return quietly || say(errors?.[0]?.message ?? "This cannot be searched for yet");
    }
    if (!answer.ok) return quietly || say("The list cannot be renewed at the moment");
    const { items, next_cursor: cursor } = await answer.json();
    show(items, cursor, query, quietly);
    if (!quietly) history.replaceState(null, "", address);
    shown = query.toString();
  } catch (error) {
    if (error.name !== "AbortError" && !quietly) say("The server does not answer");
  }
};

const show = (items, cursor, query, quietly) => {
  const body = results.querySelector("[data-rows]");
  const ticked = new Set([...body.querySelectorAll(":checked")].map((box) => box.value));
  const focused = body.contains(document.activeElement) && (document.activeElement.value || document.activeElement.href);
  body.replaceChildren(...items.map(row));
  for (const node of body.querySelectorAll("input, a")) {
    if (ticked.has(node.value)) node.checked = true;
    if (focused && (node.value || node.href) === focused) node.focus({ preventScroll: true });
  }
  const card = body.closest(".card");
  card.hidden = items.length === 0;
  results.querySelector(".empty")?.remove();
  if (card.hidden) card.before(nothing.content.cloneNode(true));
  pager(query, cursor);
  follow(query);
  const told = items.length ? counted(items.length) : cursor ? "Nothing on this page; there is more" : "Nothing matches";
  if (!quietly || items.length === 0) say(told + (cursor && items.length ? ", more follow" : ""));
  document.dispatchEvent(new Event("renewed"));
};

if (form && template && results?.querySelector("[data-rows]")) {
  const first = !new URLSearchParams(location.search).has("cursor");
  let timer;
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => asked().toString() === shown || search(false), PATIENCE);
  };
  form.addEventListener("input", typed);
  form.addEventListener("change", typed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    search(false);
  });
  const every = Number(form.dataset.every) * 1000;
  // A later page stays as it is: what joins in front would move it.
  if (every && first) {
    whileSeen(every, () => asked().toString() === shown && search(true));
  }
} else if (form) {
  // Nothing is shown that rows could take the place of: the server answers with a page.
  form.addEventListener("change", () => form.requestSubmit());
}

// The numbers of the overview.
const stats = document.querySelector("[data-stats]");
const renewNumbers = async () => {
  const answer = await fetch(stats.dataset.stats, { headers: { Accept: "application/json" } }).catch(() => undefined);
  if (!answer?.ok) return;
  const numbers = await answer.json();
  for (const node of stats.querySelectorAll("[data-figure]")) {
    const name = node.dataset.figure;
    const value = name in numbers ? numbers[name] : numbers.items.reduce((sum, hour) => sum + hour[name], 0);
    const text = value === null ? "?" : value.toLocaleString("en");
    if (node.textContent !== text) node.textContent = text;
  }
};
if (stats) {
  whileSeen(Number(stats.dataset.every) * 1000, renewNumbers);
}
