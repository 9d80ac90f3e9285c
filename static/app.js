// Comforts on top of pages that work without them. Makes elements with the DOM only, so that it runs
// under `require-trusted-types-for 'script'`.
"use strict";

// A button that shows and hides a password. It is made here: without the script it could do nothing.
for (const input of document.querySelectorAll('input[type="password"]')) {
  const wrap = document.createElement("div");
  const button = document.createElement("button");
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide" : "Show";
    button.setAttribute("aria-label", visible ? "Hide password" : "Show password");
  };
  const focused = document.activeElement === input;
  wrap.className = "reveal";
  button.type = "button";
  input.replaceWith(wrap);
  wrap.append(input, button);
  if (focused) input.focus();
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  // Browsers remember what was typed into text fields, so a password leaves as a password.
  input.form?.addEventListener("submit", () => show(false));
}

// A form is sent once, however often its button is pressed; coming back to the page frees it again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.busy) {
    event.preventDefault();
    return;
  }
  form.dataset.busy = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-busy]")) delete form.dataset.busy;
  for (const button of document.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
});

// "3 minutes ago", with the exact moment on hover.
const units = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const tellTimes = () => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
    if (Number.isNaN(seconds)) continue;
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 0];
    time.textContent = length ? words.format(Math.trunc(seconds / length), unit) : "just now";
  }
};
tellTimes();
document.addEventListener("renewed", tellTimes);
setInterval(tellTimes, 60000);

// A filter applies as soon as it is chosen.
for (const select of document.querySelectorAll("form[data-autosubmit]:not([data-live]) select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A link to something that is folded unfolds it.
const unfold = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
unfold();
addEventListener("hashchange", unfold);
