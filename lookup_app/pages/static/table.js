// The fields of a record as rows of a table.

/** Show `record` in `body`; marks the rows that differ from `before` and returns the names of their fields. */
export function showFields(body, record, before, descriptions) {
  const changed = before === null ? [] : Object.keys(record).filter((name) => name !== "v" && differs(record, before, name));
  const rows = Object.entries(record).filter(([name]) => name !== "v");
  body.replaceChildren(...rows.map(([name, value]) => row(name, value, changed.includes(name), descriptions.get(name))));
  return changed;
}

function differs(record, before, name) {
  return JSON.stringify(record[name]) !== JSON.stringify(before[name]);
}

function row(name, value, isChanged, description) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  const cell = document.createElement("td");
  head.scope = "row";
  head.textContent = name;
  if (description) head.title = description;
  cell.textContent = value === null ? "none" : String(value);
  cell.classList.toggle("none", value === null);
  line.classList.toggle("changed", isChanged);
  line.append(head, cell);
  return line;
}
