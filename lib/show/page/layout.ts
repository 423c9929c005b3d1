/**
 * What all views of the page have around them: the head, the numbers, the navigation and the dialog that confirms an act.
 */
import { hostname } from 'node:os'
import { href, html } from './html.ts'
import type { Markup } from './html.ts'
import { changesOf, numbersOf } from './numbers.ts'
import type { PageAction } from './options.ts'
import type { Site } from './site.ts'

/** A view of the page. */
export interface View {
  readonly title: string
  readonly body: Markup
}

const CONNECTIONS = ['', 'Connections'] as const
const VIEWS = [['history', 'History'], ['routes', 'Routes'], ['drain', 'Drain']] as const
const FLEET_VIEWS = [['fleet', 'All servers'], ['nodes', 'Nodes']] as const

/** Writes the whole document. */
export function document ({ tracker, fleet, actions }: Site, current: string, { title, body }: View): string {
  const stats = tracker.stats()
  return `<!doctype html>${html`
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title} · WebSockets</title>
<link rel="stylesheet" href="?part=style">
<script type="module" src="?part=script"></script>
</head>
<body>
<header>
<h1>WebSockets <small>${hostname()} · ${process.pid}</small></h1>
<nav>${[CONNECTIONS, ...fleet === null ? [] : FLEET_VIEWS, ...VIEWS].map(([view, name]) => html`<a href="${view === '' ? '?' : href({ view })}"${view === current && html` aria-current="page"`}>${name}</a>`)}</nav>
</header>
<dl id="numbers" data-changes="${changesOf(stats, fleet?.nodes)}">${numbersOf(stats).map(({ key, name, text }) => html`<div><dt>${name}</dt><dd data-live="${key}">${text}</dd></div>`)}</dl>
<output id="stale"></output>
<output id="said"></output>
<main>
<h2>${title}</h2>
${body}
</main>
${actions.length > 0 && html`<dialog id="confirm" aria-labelledby="what"><form method="dialog">
<p id="what"></p>
<label>Why, for the audit <input name="why" maxlength="200" autocomplete="off"></label>
<p class="buttons"><button value="">Cancel</button><button value="yes" class="act"></button></p>
</form></dialog>`}
</body>
</html>`.text}`
}

/** A button that the script shows: without it, nothing can be done. */
export function actButton (site: Site, action: PageAction, text: string, question: string, data: Record<string, string | number> = {}): Markup | false {
  return site.actions.includes(action) && html`<button type="button" hidden class="act" data-act="${action}" data-question="${question}" data-target="${JSON.stringify(data)}">${text}</button>`
}
