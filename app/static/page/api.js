// Requests, their errors, and the token: asked for when the server wants one, kept for this tab, never in a URL.

const TOKEN = 'wfg-token'
const MAX_WAIT_SECS = 10

/** What the API refuses, or that it was not reached: then status is 0. */
export class ApiError extends Error {
  constructor(status, { message, details, hint }) {
    super(message)
    this.status = status
    this.details = details
    this.hint = hint
  }

  /** Nobody refused: the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

const UNREACHABLE = {
  message: 'The server does not answer.',
  hint: 'It may be starting anew, or the network is down.',
}

/** path`api/runs/${id}`: an id may hold any character. But browsers take these two for folders: a job's would be its run's. */
export function path(parts, ...values) {
  if (values.includes('.') || values.includes('..')) {
    throw new ApiError(400, { message: 'No browser can ask for this id.', hint: 'Use the command line.' })
  }
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent))
}

/** A path with those of the parameters that are given. */
export function query(base, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '')
  return given.length ? `${base}?${new URLSearchParams(given)}` : base
}

// --- the server's clock ---

let ahead = 0

/** What time it is at the server, about. */
export function now() {
  return Date.now() + ahead
}

function compareClocks(response, sent) {
  const date = Date.parse(response.headers.get('date'))
  if (!date) return
  // It tells whole seconds: only what is more than that is a difference.
  const difference = date + 500 - (sent + Date.now()) / 2
  ahead = Math.abs(difference) > 2000 ? difference : 0
}

// --- the token ---

let askForToken = async () => null
let asking = null
let isDeclined = false

/** Tells `given` when there is a new one. */
export const tokens = new EventTarget()

/** Who asks people for a token: told why, answers it, or null. */
export function setAsker(asker) {
  askForToken = asker
}

export function hasToken() {
  return token() !== null
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN)
}

function token() {
  return sessionStorage.getItem(TOKEN)
}

/** Somebody does something: who declined before is asked again. Polling and streams do not ask twice. */
export function mayAsk() {
  isDeclined = false
}

/** Whether there is another token than the one that was refused. Asks once for all who wait. */
async function renewToken(refused, error) {
  if (token() !== refused) return true
  if (isDeclined) return false
  asking ??= askForToken(error).finally(() => {
    asking = null
  })
  const given = await asking
  isDeclined = !given
  if (!given) return false
  sessionStorage.setItem(TOKEN, given)
  tokens.dispatchEvent(new Event('given'))
  return true
}

// --- requests ---

/** A response that is none of an error. */
export async function send(method, url, { body, headers, signal } = {}) {
  for (;;) {
    const used = token()
    const sent = Date.now()
    let response
    try {
      response = await fetch(url, {
        method,
        signal,
        cache: 'no-store',
        credentials: 'omit',
        headers: {
          ...headers,
          ...(used ? { authorization: `Bearer ${used}` } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
    } catch (error) {
      if (signal?.aborted) throw error
      throw new ApiError(0, UNREACHABLE)
    }
    compareClocks(response, sent)
    if (response.ok) return response
    const error = new ApiError(response.status, await refusal(response))
    if (response.status === 401 && (await renewToken(used, error))) continue
    if (response.status === 429 && (await mayTryAgain(response, signal))) continue
    throw error
  }
}

/** Waits as a server with too many requests asks for; whether it did. */
async function mayTryAgain(response, signal) {
  const secs = Number(response.headers.get('retry-after'))
  if (!(secs > 0 && secs <= MAX_WAIT_SECS)) return false
  await new Promise((resolve) => {
    setTimeout(resolve, secs * 1000)
    signal?.addEventListener('abort', resolve, { once: true })
  })
  return true
}

async function refusal(response) {
  try {
    const { message, details, hint } = await response.json()
    if (message) return { message, details, hint }
  } catch {
    // not ours: a proxy's
  }
  return { message: `HTTP ${response.status}`, details: response.statusText, hint: null }
}

export async function get(url, options) {
  return read(await send('GET', url, options), options?.signal)
}

export async function post(url, body, options) {
  return read(await send('POST', url, { ...options, body }), options?.signal)
}

export async function del(url, options) {
  return read(await send('DELETE', url, options), options?.signal)
}

async function read(response, signal) {
  try {
    return await response.json()
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, UNREACHABLE)
  }
}

/** For an idempotency key: crypto.randomUUID is for secure origins only. */
export function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
