// Numbers as people say them.

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", timeZone: "UTC" });

/** Seconds → "4 s", "12 min", "3 h", "5 days". */
export function duration(seconds) {
  const amount = Math.max(0, seconds);
  if (amount < 120) return `${Math.round(amount)} s`;
  if (amount < 7200) return `${Math.round(amount / 60)} min`;
  if (amount < 172800) return `${Math.round(amount / 3600)} h`;
  return `${Math.round(amount / 86400).toLocaleString()} days`;
}

/** Microseconds since 1970 → a date and time in UTC. */
export function time(microseconds) {
  return TIME.format(new Date(microseconds / 1000));
}

/** The lag of the dataset: {records, p50_ms, p99_ms} → a sentence. */
export function lag(found) {
  if (!found || !found.records) return "no change measured yet";
  return `half of them ${bound(found.p50_ms)}, 99 of 100 ${bound(found.p99_ms)}`;
}

function bound(milliseconds) {
  if (milliseconds === null) return "over 5 min";
  return `within ${milliseconds < 1000 ? `${milliseconds} ms` : duration(milliseconds / 1000)}`;
}
