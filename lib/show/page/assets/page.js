// The page works without this script; with it, numbers are live, rows are asked for again, and acts are confirmed.
// Text of the server becomes text of the document: nothing here writes HTML.

/** Shortest time between two requests for rows, milliseconds. */
const REFRESH = 3_000

const byId = (id) => document.getElementById(id)
let live
/** Connections opened and closed and messages: those of the rows, then those of the last numbers. */
let changes = Number(byId('numbers').dataset.changes)
let refreshedAt = performance.now()
let timer
/** Errors of the stream in a row: one is its end, after which the browser opens another. */
let errors = 0
/** Whether the browser has given up the stream. */
let lost = false
/** What is not current. */
const stale = { numbers: '', rows: '' }

/** Opens the stream of numbers, if the page is visible; after a drain they do not change. */
function listen () {
  lost = false
  if (document.hidden || isDrained()) return
  live = new EventSource('?part=live')
  live.onmessage = ({ data }) => show(JSON.parse(data))
  live.onerror = () => {
    lost = live.readyState === EventSource.CLOSED
    if (lost || ++errors > 1) say('numbers', 'The numbers are not live.')
    if (lost) refreshSoon()
  }
}

// HTTP/1.1 has six connections for all tabs of a server: a hidden page must not hold one.
document.onvisibilitychange = () => {
  live?.close()
  listen()
}

function isDrained () { return document.querySelector('[data-live=state]').textContent === 'drained' }

function show (message) {
  errors = 0
  say('numbers', '')
  write(message.texts)
  showDrain(message)
  if (message.end) {
    live.close()
    void refresh()
  } else if (changes !== message.changes) {
    refreshSoon()
  }
  changes = message.changes
}

function write (texts) {
  for (const element of document.querySelectorAll('[data-live]')) put(element, texts[element.dataset.live])
}

function put (element, text) {
  if (text !== undefined && element.textContent !== text) element.textContent = text
}

/** Says what of the page is not current. */
function say (what, text) {
  stale[what] = text
  put(byId('stale'), Object.values(stale).join(' ').trim())
}

function showDrain ({ texts, share, held }) {
  const progress = byId('progress')
  if (progress && texts.phase !== undefined) progress.hidden = false
  const now = byId('now')
  if (now && share > 0) {
    now.setAttribute('x', Math.round(share * 1_000) - 4)
    now.removeAttribute('visibility')
  }
  byId('held')?.tBodies[0].replaceChildren(...held.map((cells) => {
    const row = document.createElement('tr')
    for (const cell of cells) row.insertCell().textContent = cell
    return row
  }))
}

/** Whether rows may not change: they have the focus or a selection, or nothing of the page is visible. */
function inUse (rows) {
  return document.hidden || rows?.contains(document.activeElement) || !getSelection().isCollapsed
}

function refreshSoon () {
  timer ??= setTimeout(refresh, Math.max(0, refreshedAt + REFRESH - performance.now()))
}

/** Asks for the page again, for its rows and for a stream that is lost; later, if the rows are in use. */
async function refresh () {
  clearTimeout(timer)
  timer = undefined
  refreshedAt = performance.now()
  const rows = byId('rows')
  if (!rows && !lost) return
  if (inUse(rows)) return refreshSoon()
  try {
    const response = await fetch(location.href, { redirect: 'manual' })
    // Signed out; a redirect has the status 0.
    if ([0, 401, 403].includes(response.status)) return location.reload()
    if (!response.ok) throw new Error(response.status)
    const page = new DOMParser().parseFromString(await response.text(), 'text/html')
    const fresh = page.getElementById('rows')
    if (fresh && !inUse(rows)) rows.replaceWith(fresh)
    say('rows', '')
    if (!lost) return
    write(Object.fromEntries([...page.querySelectorAll('[data-live]')].map(({ dataset, textContent }) => [dataset.live, textContent])))
    if (isDrained()) say('numbers', '')
    listen()
  } catch {
    if (rows) say('rows', 'The rows are not current.')
    if (!isDrained()) refreshSoon()
  }
}

listen()

const dialog = byId('confirm')
for (const button of document.querySelectorAll('[data-act]')) {
  button.hidden = false
  button.onclick = () => confirm(button)
}

function confirm ({ dataset, textContent }) {
  byId('what').textContent = dataset.question
  dialog.querySelector('[value=yes]').textContent = textContent
  dialog.querySelector('form').reset()
  dialog.returnValue = ''
  dialog.onclose = () => { if (dialog.returnValue === 'yes') void act(dataset) }
  dialog.showModal()
}

async function act ({ act, target }) {
  const said = byId('said')
  try {
    const response = await fetch('?', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-sockets-page': act },
      body: JSON.stringify({ action: act, target: JSON.parse(target), why: dialog.querySelector('[name=why]').value })
    })
    const { message } = await response.json()
    said.textContent = message
  } catch {
    said.textContent = 'The server did not answer.'
  }
}
