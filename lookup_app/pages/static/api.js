// The API as the page uses it. Errors are sentences that a person can act on.

const WITHOUT_A_BODY = {
  401: "The service asks who you are: open “Access” and paste a token or an API key.",
  403: "You may not read this dataset with this token or key.",
  429: "You ask too often; the page tries again shortly.",
};

export class ApiError extends Error {
  constructor(message, status, type) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

let credential = "";

/** Keep a token or an API key, in memory only. */
export function setCredential(text) {
  credential = text.trim();
}

export function hasCredential() {
  return credential !== "";
}

/** GET → {body, etag, stale_s}, or null if `etag` is still the newest. Throws ApiError. */
export async function get(path, etag = null) {
  const headers = access();
  if (etag) headers["If-None-Match"] = etag;
  let response;
  try {
    response = await fetch(path, { headers, cache: "no-store" });
  } catch {
    throw new ApiError("The service does not answer. The page tries again by itself.", 0, "");
  }
  const age = response.headers.get("Age");
  if (response.status === 304) return null;
  if (!response.ok) throw await errorOf(response);
  return { body: await response.json(), etag: response.headers.get("ETag"), stale_s: age === null ? null : Number(age) };
}

function access() {
  if (!credential) return {};
  // A JWT has three parts with dots between them; an API key has not.
  return credential.split(".").length === 3 ? { Authorization: `Bearer ${credential}` } : { "X-API-Key": credential };
}

async function errorOf(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Whatever stands between the page and the service may answer in its own way.
  }
  const hint = WITHOUT_A_BODY[response.status];
  const said = problem.detail || `The service answered ${response.status}.`;
  return new ApiError(hint && response.status !== 429 ? `${hint} (${said})` : said, response.status, problem.type || "");
}
