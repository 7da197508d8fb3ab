// Talks to the API of the same place. The session is a cookie that this code never sees; what changes something repeats its proof.

let proof = null;

/** What the API refused, in its own words. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `the answer was ${status}`);
    this.status = status;
    this.code = error?.code ?? "unknown";
    this.field = error?.field ?? null;
    this.correlation = error?.correlation_id ?? null;
  }
}

async function call(method, path, body, headers = {}) {
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && proof) headers["x-sexton-proof"] = proof;
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store", credentials: "same-origin",
    });
  } catch {
    throw new Refused(0, { code: "unreachable", message: "nobody answers: the program may have been stopped, or the network is gone" });
  }
  const text = await answer.text();
  let document = null;
  try { document = text ? JSON.parse(text) : null; } catch { /* told below */ }
  if (!answer.ok) throw new Refused(answer.status, document?.error);
  return document;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/** Only if it has this version still; 0 for what is not there yet. */
const only = (version) => (version ? { "if-match": `"${version}"` } : { "if-none-match": "*" });
export const put = (path, body, version) => call("PUT", path, body, only(version));
export const remove = (path, version) => call("DELETE", path, undefined, only(version));

/** A path with a query of what is not empty. */
export function query(path, all) {
  const pairs = Object.entries(all).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

/** Who is signed in; null when nobody is. */
export async function session() {
  try {
    return remember(await get("session"));
  } catch (refused) {
    if (refused.status === 401) return null;
    throw refused;
  }
}

export async function signIn(token) {
  return remember(await call("POST", "session", { token }));
}

export async function signOut() {
  await call("DELETE", "session");
  proof = null;
}

function remember(who) {
  proof = who.proof;
  return who;
}

const RANKS = ["read", "run", "admin"];
/** Whether somebody may do what needs this role. */
export const may = (who, role) => RANKS.indexOf(who?.role) >= RANKS.indexOf(role);

/** The events of a run, from the first on; `ended` is called once the run is over. Gives a way to stop listening. */
export function events(run, each, ended) {
  const source = new EventSource(`/api/v1/runs/${encodeURIComponent(run)}/events`);
  let over = false;
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    // A run that was gone on with has more than one end: the last one counts, after which the stream is shut.
    over = event.event === "finished" && (event.item === null || event.item === undefined);
    each(event);
  };
  source.onerror = () => {
    // Where the connection was lost, the browser asks again from where it was.
    if (!over && source.readyState !== EventSource.CLOSED) return;
    source.close();
    ended();
  };
  return () => source.close();
}
