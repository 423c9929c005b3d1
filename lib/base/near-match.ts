/**
 * Suggestions for misspelt names in error messages, by edit distance (Levenshtein), ignoring case.
 */

/** Largest edit distance of a suggestion. */
const MAX_DISTANCE = 2

/** Returns the nearest of `names`; undefined if none is near, or two are equally near. */
export function nearMatch (given: string, names: readonly string[]): string | undefined {
  let nearest: string | undefined
  let least = Infinity
  for (const name of names) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase())
    if (distance > least || distance > Math.min(MAX_DISTANCE, name.length / 4)) continue
    nearest = distance === least ? undefined : name
    least = distance
  }
  return nearest
}

/** Fewest characters to insert, remove or replace to turn `a` into `b`. */
function editDistance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
  }
  return row[b.length]!
}
