// What we ask of a page beyond axe-core. Returns a list of complaints.
const complaints = [];
const complain = (what, element) => complaints.push(`${what}: ${element.outerHTML.slice(0, 200)}`);
const shown = (element) => element.checkVisibility({ visibilityProperty: true });

// Nobody scrolls sideways, but within a region that says what it is.
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  complaints.push(`${document.documentElement.scrollWidth} wide on a page of ${width}`);
}

// The keyboard comes to the way past the navigation first, and what has the focus shows it.
const stops = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((stop) => shown(stop) && !stop.disabled && stop.type !== "hidden");
if (!stops[0]?.matches(".skip")) complain("not the first stop of the keyboard", stops[0]);
const target = document.querySelector(stops[0]?.getAttribute("href") ?? "main");
if (!target?.matches("main[tabindex='-1']")) complaints.push("the first stop does not lead to the content");
const focused = document.activeElement;
for (const stop of stops) {
  stop.focus({ focusVisible: true, preventScroll: true });
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(stop);
  const ring = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  if (document.activeElement !== stop) complain("takes no focus", stop);
  if (!ring && boxShadow === "none") complain("does not show its focus", stop);
}
focused?.focus({ preventScroll: true });

// Password managers and screen readers know what each field is about.
for (const field of document.querySelectorAll("form[method=post] input:not([type=hidden], [type=checkbox], [type=radio])")) {
  if (!field.autocomplete && field.getAttribute("autocomplete") !== "off") complain("says nothing to autofill", field);
  if (field.id.includes("password") && !/^(current|new)-password$/.test(field.autocomplete)) {
    complain("is not known as a password", field);
  }
  if (field.autocomplete.endsWith("-password") && !field.form.querySelector("[autocomplete=username], [name=email]")) {
    complain("is a password of nobody", field);
  }
}
for (const field of document.querySelectorAll("[aria-invalid=true]")) {
  const error = document.getElementById(`e-${field.name}`);
  const described = (field.getAttribute("aria-describedby") ?? "").split(" ");
  if (!error || !described.includes(error.id)) complain("does not name its error", field);
  if (!document.querySelector(`[role=alert] a[href="#${field.id}"]`)) complain("is not in the list of errors", field);
}
for (const element of document.querySelectorAll("[aria-describedby]")) {
  for (const id of element.getAttribute("aria-describedby").split(" ")) {
    if (!document.getElementById(id)) complain(`is described by ${id}, which is not there`, element);
  }
}
for (const link of document.querySelectorAll("a[href^='#']")) {
  if (!document.querySelector(link.getAttribute("href"))) complain("leads nowhere", link);
}

// A picture that says something says it in words too, and its numbers stand in a table.
for (const chart of document.querySelectorAll("svg:not([aria-hidden=true])")) {
  if (chart.getAttribute("role") !== "img" || !chart.getAttribute("aria-label")) complain("has no text", chart);
  if (!chart.closest("section")?.querySelector("table")) complain("has no table", chart);
}
return complaints;
