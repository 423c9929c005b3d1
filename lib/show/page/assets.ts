/**
 * The script and the style of the page: files of `assets/`, served as they are. scripts/build.js writes their text into the module
 * that it builds from this one, so that bundles have them.
 */
import { readFileSync } from 'node:fs'

const read = (name: string): string => {
  // @ts-ignore -- the build is CommonJS, which has no `import.meta`; its module is another.
  return readFileSync(new URL(`assets/${name}`, import.meta.url), 'utf8')
}

/** Part of the page → its media type and its text. */
export const assets = {
  script: { type: 'text/javascript; charset=utf-8', text: () => read('page.js') },
  style: { type: 'text/css; charset=utf-8', text: () => read('page.css') }
}
