// Puts the page together: the form, the record that is shown, and the freshness of its dataset.

import { get, hasCredential, setCredential } from "./api.js";
import { Live } from "./live.js";
import { showFields } from "./table.js";
import { duration, lag, time } from "./words.js";

const STATUS_MS = 5000;
const at = (id) => document.getElementById(id);
const live = new Live(refresh, (sentence) => { at("mode").textContent = sentence; });

let datasets = new Map();
let changeStream = false;
let shown = null; // what is on the page: {path, dataset, text, etag, record}
let round = 0; // answers of an earlier look-up must not overwrite a later one

async function loadDatasets() {
  const { body } = await get("/v1/datasets");
  datasets = new Map(body.datasets.map((dataset) => [dataset.dataset, dataset]));
  fill(at("dataset"), [...datasets.keys()]);
}

function fill(select, names) {
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before)) select.value = before;
}

function chooseDataset() {
  const dataset = datasets.get(at("dataset").value);
  if (!dataset) return;
  fill(at("kind"), [dataset.key, ...dataset.aliases]);
  showStatus();
}

function pathOf(dataset, kind, text) {
  const id = encodeURIComponent(text);
  return kind === dataset.key ? `/v1/${dataset.dataset}/${id}` : `/v1/${dataset.dataset}?${encodeURIComponent(kind)}=${id}`;
}

async function lookUp() {
  if (!datasets.size && !(await begin())) return;
  const dataset = datasets.get(at("dataset").value);
  const kind = at("kind").value;
  const text = at("id").value.trim();
  live.stop();
  round += 1;
  shown = { path: pathOf(dataset, kind, text), dataset, text, etag: null, record: null };
  at("result").hidden = true;
  history.replaceState(null, "", `?${new URLSearchParams({ dataset: dataset.dataset, by: kind, id: text })}`);
  await Promise.all([refresh(), showStatus()]);
  if (shown.record !== null) live.start(dataset.dataset, shown.record[dataset.key], whyNoStream());
}

function whyNoStream() {
  if (!changeStream) return "this deployment has no change stream";
  return hasCredential() ? "a browser cannot send a token or key to the change stream" : null;
}

async function refresh() {
  const mine = round;
  const looked = shown;
  if (looked === null) return;
  try {
    const answer = await get(looked.path, looked.etag);
    if (mine === round) show(looked, answer);
  } catch (error) {
    if (mine === round) showError(error, looked);
  }
}

function show(looked, answer) {
  at("error").hidden = true;
  at("id").removeAttribute("aria-invalid");
  at("result").hidden = false;
  if (answer === null) return;
  const { dataset } = looked;
  const descriptions = new Map(dataset.fields.map((field) => [field.name, field.description]));
  const changed = showFields(at("fields"), answer.body, looked.record, descriptions);
  const before = looked.record;
  looked.record = answer.body;
  looked.etag = answer.etag;
  at("name").textContent = [answer.body[dataset.key], answer.body.name].filter(Boolean).join(" · ");
  at("version").textContent = String(answer.body.v);
  at("stale").hidden = answer.stale_s === null;
  at("stale").textContent = `The store is away. This was true at most ${duration(answer.stale_s ?? 0)} ago.`;
  showAge();
  if (before === null) announce(`Found ${at("name").textContent}.`);
  else if (changed.length) announce(`Changed: ${changed.join(", ")}.`);
}

function showAge() {
  const record = shown?.record;
  if (!record) return;
  const isTime = shown.dataset.version !== "log position";
  at("time").textContent = isTime ? time(record.v) : "the version is a log position";
  at("age").textContent = isTime ? duration(Date.now() / 1000 - record.v / 1e6) : "unknown";
}

function showError(error, looked) {
  at("error").textContent = error.message;
  at("error").hidden = false;
  at("id").toggleAttribute("aria-invalid", error.status === 400);
  // What was deleted is not there any more; what cannot be asked for now may still be.
  if (looked?.record && error.status !== 404) return;
  at("result").hidden = true;
  if (looked) looked.etag = looked.record = null;
}

async function showStatus() {
  const name = at("dataset").value;
  if (!name) return;
  try {
    const { body } = await get(`/v1/${name}/status`);
    changeStream = body.change_stream;
    at("cache").textContent = cacheSentence(body.cache);
    at("verdict").textContent = body.verdict;
    at("behind").textContent = body.behind_s === null ? "unknown" : `until ${duration(body.behind_s)} ago`;
    at("lag").textContent = lag(body.lag_ms.source?.records ? body.lag_ms.source : body.lag_ms.feed);
    at("message").textContent = body.message;
  } catch (error) {
    for (const id of ["cache", "verdict", "behind", "lag"]) at(id).textContent = "unknown";
    at("message").textContent = error.message;
  }
}

function cacheSentence(cache) {
  if (cache.coherent) return "coherent with the store";
  return cache.stale_s === null ? "the store is away" : `the store is away; answers are at most ${duration(cache.stale_s)} old`;
}

function announce(sentence) {
  at("news").textContent = sentence;
}

async function begin() {
  try {
    await loadDatasets();
    at("error").hidden = true;
    chooseDataset();
    return true;
  } catch (error) {
    showError(error, null);
    return false;
  }
}

async function beginWithAddress() {
  const asked = new URLSearchParams(location.search);
  if (!(await begin()) || !asked.get("id")) return;
  if (datasets.has(asked.get("dataset"))) at("dataset").value = asked.get("dataset");
  chooseDataset();
  at("kind").value = asked.get("by") ?? "";
  if (!at("kind").value) at("kind").selectedIndex = 0;
  at("id").value = asked.get("id");
  await lookUp();
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  lookUp();
});
at("dataset").addEventListener("change", chooseDataset);
at("credential").addEventListener("change", () => {
  setCredential(at("credential").value);
  begin();
});
setInterval(showAge, 1000);
setInterval(() => document.hidden || showStatus(), STATUS_MS);
beginWithAddress();
