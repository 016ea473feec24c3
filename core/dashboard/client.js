// SPDX-License-Identifier: Apache-2.0
// Asks the API of the daemon that served this page. One request at a time; whoever comes second waits. The token is kept in
// this tab alone and goes into one header, never into an address.

const TOKEN_KEY = "bytefreezer-receiver-admin-token";
const ANSWER_MS = 8000;

// status 0: there was no answer.
class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const client = {
  token: sessionStorage.getItem(TOKEN_KEY) ?? "",
  last: Promise.resolve(),

  keepToken(token) {
    this.token = token;
    if (token) sessionStorage.setItem(TOKEN_KEY, token);
    else sessionStorage.removeItem(TOKEN_KEY);
  },

  // A request that waits its turn, whatever became of the one before.
  ask(path, body) {
    const turn = this.last.then(() => this.send(path, body));
    this.last = turn.catch(() => {});
    return turn;
  },

  async send(path, body) {
    const headers = {};
    if (this.token && path.startsWith("/api/")) headers.Authorization = `Bearer ${this.token}`;
    if (body) headers["Content-Type"] = "application/json";
    const options = {
      method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit",
      redirect: "error", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(ANSWER_MS),
    };
    let response, text;
    try {
      response = await fetch(path, options);
      text = await response.text();
    } catch (error) {
      throw new ApiError(0, error.name === "TimeoutError" ? `no answer within ${ANSWER_MS / 1000} s` : "no connection");
    }
    if (!response.ok) throw new ApiError(response.status, errorText(text, response.status));
    return text;
  },

  async json(path, body) {
    const text = await this.ask(path, body);
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(502, "the answer is no JSON; is something else on this port?");
    }
  },
};

function errorText(text, status) {
  try {
    return nameText(JSON.parse(text).error || `status ${status}`);
  } catch {
    return `status ${status}`;
  }
}
