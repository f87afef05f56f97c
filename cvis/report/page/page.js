"use strict";

// Without this script every panel stands below the other, unsorted: nothing is lost but comfort.
document.documentElement.classList.add("js");

function announce(text) {
  document.getElementById("announce").textContent = text;
}

// Sorting. Rows are sorted within their own body; what is missing comes last, in either order.

function sortBy(head) {
  const table = head.closest("table");
  const opposite = { ascending: "descending", descending: "ascending" };
  const order = opposite[head.getAttribute("aria-sort")] || head.dataset.first;
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", other === head ? order : "none");
  const column = head.cellIndex;
  const numeric = head.dataset.kind === "number";
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const [x, y] = [a.cells[column].dataset.key, b.cells[column].dataset.key];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
  };
  for (const body of table.tBodies) body.append(...[...body.rows].sort(compare));
  announce(`Sorted by ${head.textContent.trim()}, ${order}`);
}

// Switches: of all panels of one group, the chosen one is shown.

function show(group, id) {
  for (const panel of document.querySelectorAll("[data-panel]")) {
    if (panel.dataset.panel !== group) continue;
    panel.hidden = panel.id !== id;
    if (panel.hidden) for (const video of panel.querySelectorAll("video")) video.pause();
  }
}

function chosen(control) {
  return (control.querySelector("input:checked") || control).value;
}

// A link into a hidden scenario shows that scenario first.

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const panel = target && target.closest(".panel");
  if (!panel || !panel.hidden) return;
  const input = document.querySelector(`.pills input[value="${CSS.escape(panel.id)}"]`);
  input.checked = true;
  show("scenario", panel.id);
  target.scrollIntoView();
}

// Themes: the system's, until the button is pressed, which says what it switches to.

const theme = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

function other() {
  const now = document.documentElement.dataset.theme || (system.matches ? "dark" : "light");
  return now === "dark" ? "light" : "dark";
}

function labelTheme() {
  theme.textContent = other() === "dark" ? "Dark theme" : "Light theme";
}

theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = other();
  labelTheme();
});
system.addEventListener("change", labelTheme);

// Videos: of all learners, or of one. A phone begins with one, and with long lists folded.

function showLearner(select) {
  for (const figure of select.closest("section").querySelectorAll("figure.video")) {
    figure.hidden = select.value !== "" && figure.dataset.learner !== select.value;
    if (figure.hidden) figure.querySelector("video").pause();
  }
}

if (matchMedia("(max-width: 40rem)").matches) {
  for (const list of document.querySelectorAll("details.long")) list.open = false;
  for (const select of document.querySelectorAll("[data-learners]")) select.selectedIndex = 1;
}

function playAll(button) {
  const videos = [...button.closest(".videos").querySelectorAll("figure:not([hidden]) video")];
  const start = videos.some((video) => video.paused);
  for (const video of videos) {
    if (start) {
      video.currentTime = 0;
      video.play();
    } else {
      video.pause();
    }
  }
  button.firstChild.textContent = start ? "Pause all " : "Play all ";
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("thead th");
  if (head && event.target.closest("button")) sortBy(head);
  const player = event.target.closest("[data-play]");
  if (player) playAll(player);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-learners]")) showLearner(event.target);
  const control = event.target.closest("[data-switch]");
  if (!control) return;
  show(control.dataset.switch, event.target.value);
  if (control.dataset.switch === "scenario") history.replaceState(null, "", "#" + event.target.value);
});

for (const control of document.querySelectorAll("[data-switch]")) show(control.dataset.switch, chosen(control));
for (const select of document.querySelectorAll("[data-learners]")) showLearner(select);
addEventListener("hashchange", follow);
labelTheme();
follow();
