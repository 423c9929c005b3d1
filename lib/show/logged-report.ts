/**
 * The report of a drain as it is logged: one line of at most 4 KB. Its lists are cut, and a count says how many entries are not
 * shown. The event and the promise have the whole report.
 */
import { Buffer } from 'node:buffer'
import type { DrainReport } from '../track/drain-report.ts'

/** Maximum number of entries of a list. */
const MAX_ENTRIES = 10
/** Maximum size of a report, bytes; the logger adds fields of its own. */
const MAX_BYTES = 3_500

/** A report whose lists may be cut. */
export type LoggedReport = Omit<DrainReport, 'cleanups'> & { cleanups: DrainReport['cleanups'] & { notShown?: number } }

/** Returns the report with its lists cut to fit a line. */
export function loggedReport (report: DrainReport): LoggedReport {
  let entries = MAX_ENTRIES
  let cut = cutTo(report, entries)
  while (entries > 0 && Buffer.byteLength(JSON.stringify(cut)) > MAX_BYTES) cut = cutTo(report, --entries)
  return cut
}

function cutTo (report: DrainReport, entries: number): LoggedReport {
  const { cleanups, held } = report
  const notShown = cleanups.abandoned.length - entries
  if (notShown <= 0 && held.length <= entries) return report
  return {
    ...report,
    held: held.slice(0, entries),
    cleanups: notShown <= 0 ? cleanups : { ...cleanups, abandoned: cleanups.abandoned.slice(0, entries), notShown }
  }
}
