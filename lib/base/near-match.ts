/**
 * Finds the name that a misspelt one was meant to be, for error messages. Compares by edit distance (Levenshtein), without
 * regard to case.
 */

/** Edits between two names that still count as a slip. */
const MAX_DISTANCE = 2

/** The one of `names` that `given` was probably meant to be; undefined where none is near, or two are equally near. */
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

/** How many characters have to be inserted, removed or replaced to make `b` of `a`. */
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
