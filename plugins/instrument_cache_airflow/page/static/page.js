// Keeps the page fresh, and opens an operation's form. The page says all it has to say without this script.
"use strict";

const EVERY_MS = 15000;
const FORM_WAIT_MS = 30000;

// The form has no address of its own in Airflow, so the button that opens it is pressed in the new window.
function openForm(event) {
  const link = event.target.closest("a[data-dag]");
  if (!link) return;
  const opened = window.open(link.href, "_blank");
  if (!opened) return;
  event.preventDefault();
  const until = Date.now() + FORM_WAIT_MS;
  const timer = setInterval(() => {
    const button = opened.closed ? null : opened.document.querySelector("[data-testid=trigger-dag-button]");
    if (button) button.click();
    if (button || opened.closed || Date.now() > until) clearInterval(timer);
  }, 200);
}

// What a reader opened stays open, and the focus stays where it was.
function replaceContent(fresh) {
  const open = [...document.querySelectorAll("details[open]")].map((details) => details.id);
  const focused = document.activeElement?.id;
  for (const id of ["state", "content"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  const told = document.getElementById("told");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status === 401 ? "the login has ended: load the page again" : `status ${answer.status}`);
    replaceContent(new DOMParser().parseFromString(await answer.text(), "text/html"));
    told.textContent = "";
  } catch (error) {
    told.textContent = `This page is no longer fresh: ${error.message}.`;
  }
}

document.addEventListener("click", openForm);
setInterval(() => document.hidden || refresh(), EVERY_MS);
