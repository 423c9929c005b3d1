// The page works without this script; with it, numbers are live, rows are asked for again, and acts are confirmed.
// Text of the server becomes text of the document: nothing here writes HTML.

/** Shortest time between two requests for rows, milliseconds. */
const REFRESH = 3_000

const byId = (id) => document.getElementById(id)
const live = new EventSource('?part=live')
let changes
let refreshedAt = performance.now()
let timer

live.onmessage = ({ data }) => {
  const message = JSON.parse(data)
  for (const element of document.querySelectorAll('[data-live]')) {
    const text = message.texts[element.dataset.live]
    if (text !== undefined && element.textContent !== text) element.textContent = text
  }
  showDrain(message)
  if (message.end) {
    live.close()
    void refresh()
  } else if (changes !== undefined && changes !== message.changes) {
    timer ??= setTimeout(refresh, Math.max(0, refreshedAt + REFRESH - performance.now()))
  }
  changes = message.changes
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
  return document.hidden || rows.contains(document.activeElement) || !getSelection().isCollapsed
}

/** Asks for the rows again; later, if they are in use. */
async function refresh () {
  clearTimeout(timer)
  timer = undefined
  refreshedAt = performance.now()
  const rows = byId('rows')
  if (!rows) return
  if (inUse(rows)) {
    timer = setTimeout(refresh, REFRESH)
    return
  }
  try {
    const response = await fetch(location.href)
    // Signed out.
    if (!response.ok || response.redirected) return location.reload()
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('rows')
    if (fresh && !inUse(rows)) rows.replaceWith(fresh)
  } catch {
    // The server is gone; the numbers come back with it.
  }
}

const dialog = byId('confirm')
for (const button of document.querySelectorAll('[data-act]')) {
  button.hidden = false
  button.onclick = () => confirm(button)
}

function confirm ({ dataset, textContent }) {
  byId('what').textContent = dataset.question
  dialog.querySelector('[value=yes]').textContent = textContent
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
